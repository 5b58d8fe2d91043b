//! Which process has a port of this machine: the kernel lists sockets with their inode (proc_pid_net(5)), and what each
//! process has open (proc_pid_fd(5)). Without the right to look into other processes nobody is named.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kernel's tables of sockets that can hold a port of the stub.
const TABLES: [&str; 4] = ["/proc/net/udp", "/proc/net/tcp", "/proc/net/udp6", "/proc/net/tcp6"];
/// Most bytes of a table that are read: some 10,000 sockets. The rest would only name somebody.
const MAX_TABLE: u64 = 2 << 20;
/// Most descriptors of all processes that are looked at.
const MAX_DESCRIPTORS: usize = 200_000;
/// State of a TCP socket that listens (`TCP_LISTEN`), and of a UDP socket that nobody connected (`TCP_CLOSE`).
const HOLDING: [&str; 2] = ["0A", "07"];
/// The kernel's own bound of a process's name.
const MAX_NAME: usize = 16;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PortHolder {
    pub(crate) pid: u32,
    /// Its name, as `ps -o comm` shows it.
    pub(crate) name: String,
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// Which sockets count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// Those of this address alone.
    Here,
    /// Those of all addresses as well.
    Anywhere,
}

/// Who has this port; `None` if nobody, or if this process may not look into the one that has it.
pub(super) fn port_holder(address: IpAddr, port: u16, bound: Bound) -> Option<PortHolder> {
    let inodes = inodes(address, port, bound);
    if inodes.is_empty() { None } else { process_with(&inodes) }
}

/// Whether anybody has this port of this very address.
pub(super) fn is_held(address: IpAddr, port: u16) -> bool {
    !inodes(address, port, Bound::Here).is_empty()
}

fn inodes(address: IpAddr, port: u16, bound: Bound) -> Vec<u64> {
    let tables = TABLES.iter().filter_map(|path| read(path, MAX_TABLE));
    tables.flat_map(|table| of(&table, address, port, bound)).collect()
}

/// Inodes of the sockets of a table that hold the port.
fn of(table: &str, address: IpAddr, port: u16, bound: Bound) -> Vec<u64> {
    let row = |line: &str| {
        let mut columns = line.split_ascii_whitespace();
        let (place, number) = columns.nth(1)?.split_once(':')?;
        let state = columns.nth(1)?;
        let inode: u64 = columns.nth(5)?.parse().ok()?;
        let place = parse_address(place)?;
        let here = place == address || (bound == Bound::Anywhere && place.is_unspecified());
        let holds = here && u16::from_str_radix(number, 16) == Ok(port) && HOLDING.contains(&state);
        holds.then_some(inode)
    };
    table.lines().filter_map(row).collect()
}

/// An address in the kernel's notation: words of 4 bytes in host order, in hexadecimal digits.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let bytes = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical())
        }
        _ => None,
    }
}

fn process_with(inodes: &[u64]) -> Option<PortHolder> {
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let mut left = MAX_DESCRIPTORS;
    for process in fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It has ended, or belongs to somebody else.
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        for descriptor in descriptors.filter_map(Result::ok) {
            left = left.checked_sub(1)?;
            let link = fs::read_link(descriptor.path());
            if link.is_ok_and(|link| links.iter().any(|wanted| link.as_os_str() == wanted.as_str())) {
                return Some(PortHolder { pid, name: name_of(pid) });
            }
        }
    }
    None
}

/// A process chooses its name: what is shown of it is plain.
fn name_of(pid: u32) -> String {
    let name = read(&format!("/proc/{pid}/comm"), MAX_NAME as u64).unwrap_or_default();
    let plain: String = name.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    if plain.is_empty() { "a process".to_owned() } else { plain }
}

fn read(path: &str, most: u64) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_socket_is_told_from_others_by_address_port_and_state() {
        // As a little-endian machine prints them.
        let word = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let table = format!(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             1: {}:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 11 2\n\
             2: 00000000:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 22 2\n\
             3: {}:0035 01020304:1234 01 00000000:00000000 00:00000000 00000000 0 0 33 2\n\
             4: {}:0036 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 44 2\n\
             torn line\n",
            word([127, 0, 0, 157]),
            word([127, 0, 0, 157]),
            word([127, 0, 0, 157]),
        );
        let address = IpAddr::from([127, 0, 0, 157]);
        assert_eq!(of(&table, address, 53, Bound::Here), [11]);
        assert_eq!(of(&table, address, 53, Bound::Anywhere), [11, 22]);
        assert_eq!(of(&table, [127, 0, 0, 1].into(), 53, Bound::Here), Vec::<u64>::new());
    }

    #[test]
    fn this_process_holds_its_own_sockets() {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("bound").local_addr().map(|at| at.port());
        let udp_again = UdpSocket::bind("[::]:0").expect("bound");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("bound");
        let own = Some(std::process::id());
        let address = IpAddr::from([127, 0, 0, 1]);
        let pid = |port: u16, bound| port_holder(address, port, bound).map(|holder| holder.pid);
        assert_eq!(pid(tcp.local_addr().expect("bound").port(), Bound::Here), own);
        let everywhere = udp_again.local_addr().expect("bound").port();
        assert_eq!(pid(everywhere, Bound::Anywhere), own);
        assert_eq!(pid(everywhere, Bound::Here), None);
        assert!(is_held(address, tcp.local_addr().expect("bound").port()) && !is_held(address, everywhere));
        assert_eq!(pid(udp.expect("it was bound"), Bound::Here), None, "it is closed");
    }
}
