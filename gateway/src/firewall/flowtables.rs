//! Flow tables of others: a flow that is offloaded there skips every chain of ours (T43).

use std::io;

use netlink_packet_core::{Emitable as _, Nla as _, NlaBuffer, NlasIterator};
use netlink_packet_netfilter::nftables::NfTablesMessage;

use ringwall_kernel::nft::Kernel;

const NFTA_FLOWTABLE_NAME: u16 = 2;
const NFTA_FLOWTABLE_HOOK: u16 = 3;
const NFTA_FLOWTABLE_HOOK_DEVS: u16 = 3;
const NFTA_DEVICE_NAME: u16 = 1;

/// The first flow table that takes packets of one of these interfaces: its name and the interface.
pub(super) fn containing(kernel: &mut Kernel, interfaces: &[&str]) -> io::Result<Option<(String, String)>> {
    for message in kernel.dump(&NfTablesMessage::GetFlowTable(vec![]))? {
        let NfTablesMessage::NewFlowTable(attributes) = message else { continue };
        let mut name = String::new();
        let mut devices = vec![];
        for attribute in &attributes {
            let mut value = vec![0; attribute.buffer_len()];
            attribute.emit(&mut value);
            let value = value.get(4..).unwrap_or_default();
            match attribute.kind() {
                NFTA_FLOWTABLE_NAME => name = text(value),
                NFTA_FLOWTABLE_HOOK => devices = devices_of(value),
                _ => {}
            }
        }
        if let Some(device) = devices.into_iter().find(|device| interfaces.contains(&device.as_str())) {
            return Ok(Some((name, device)));
        }
    }
    Ok(None)
}

fn devices_of(hook: &[u8]) -> Vec<String> {
    let mut devices = vec![];
    for list in parts(hook).filter(|part| part.kind() == NFTA_FLOWTABLE_HOOK_DEVS) {
        let names = parts(list.value()).filter(|device| device.kind() == NFTA_DEVICE_NAME);
        devices.extend(names.map(|device| text(device.value())));
    }
    devices
}

fn parts(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}
