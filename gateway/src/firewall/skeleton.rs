//! The table that stands before anybody is let in: who decides what, in which hook, in which order.
//!
//! Everything is made in one batch, with the table replaced if a former process left one. Rules look a session up by
//! the tunnel address of the packet, jump to its rule set (`super::ruleset`) and end in `denied`. What each rule is
//! there for is a test under `tests/firewall/`; what the kernel makes of them stands in `tests/golden/`.

mod guard;
mod sessions;
mod sets;

use netlink_packet_netfilter::nftables::InetHookNumber;

use ringwall_kernel::nft::{BaseChain, Batch, Family, Message, Rule, Side, TCP, Table, UDP};

use super::config::FirewallConfig;

pub(super) use sets::{
    ALERTS4, ALERTS6, ASKED4, ASKED6, DOWN, LEASE, NAMED4, NAMED6, PEERS4, PEERS6, SESSIONS4, SESSIONS6, UP,
};

/// The chain where a client's packet goes that nothing allowed.
pub(super) const DENIED: &str = "denied";

/// The whole table, without any session.
pub(super) fn batch(table: &Table, config: &FirewallConfig) -> Batch {
    let mut build = Build { table, config, messages: vec![table.destroy(), table.create()], anonymous: 0 };
    sets::make(&mut build);
    base_chains(&mut build);
    guard::raw(&mut build);
    sessions::from_client(&mut build);
    sessions::forward(&mut build);
    sessions::denied(&mut build);
    guard::input(&mut build);
    guard::output(&mut build);
    segment_size(&mut build);
    translation(&mut build);
    build.messages.into_iter().collect()
}

/// Collects the messages of the skeleton in order.
struct Build<'a> {
    table: &'a Table,
    config: &'a FirewallConfig,
    messages: Vec<Message>,
    anonymous: u32,
}

impl Build<'_> {
    fn push(&mut self, message: Message) {
        self.messages.push(message);
    }

    fn rule(&mut self, rule: Rule) {
        self.messages.extend(rule.messages(self.table, &mut self.anonymous));
    }

    fn rules(&mut self, rules: impl IntoIterator<Item = Rule>) {
        rules.into_iter().for_each(|rule| self.rule(rule));
    }

    fn tun(&self) -> String {
        self.config.tun.as_str().to_owned()
    }
}

/// Hook priorities (`NF_IP_PRI_…`).
mod priority {
    /// Before connection tracking.
    pub(super) const RAW: i32 = -300;
    pub(super) const MANGLE: i32 = -150;
    /// After connection tracking, before routing and destination translation.
    pub(super) const DECIDE: i32 = -140;
    pub(super) const FILTER: i32 = 0;
    pub(super) const SOURCE_NAT: i32 = 100;
}

fn base_chains(build: &mut Build<'_>) {
    use InetHookNumber::{Forward, LocalIn, LocalOut, PostRouting, PreRouting};
    let filter = |hook, priority, accept| BaseChain { kind: "filter", hook, priority, accept };
    let bases = [
        ("raw_in", filter(PreRouting, priority::RAW, true)),
        ("raw_out", filter(LocalOut, priority::RAW, true)),
        ("prerouting", filter(PreRouting, priority::DECIDE, true)),
        ("forward", filter(Forward, priority::FILTER, false)),
        ("input", filter(LocalIn, priority::FILTER, true)),
        ("output", filter(LocalOut, priority::FILTER, true)),
        ("mss", filter(Forward, priority::MANGLE, true)),
    ];
    for (name, base) in bases {
        build.push(build.table.base_chain(name, base));
    }
    for name in ["from_client", "to_client", DENIED, "gateway_to_client"] {
        build.push(build.table.chain(name));
    }
    if build.config.snat.is_some() {
        let base = BaseChain { kind: "nat", hook: PostRouting, priority: priority::SOURCE_NAT, accept: true };
        build.push(build.table.base_chain("site_nat", base));
    }
}

/// TCP segments that fit the tunnel, both ways.
fn segment_size(build: &mut Build<'_>) {
    build.rule(Rule::in_chain("mss").iif_in(LEASE, true).clamp_segment_size());
    build.rule(Rule::in_chain("mss").oif_in(LEASE, true).clamp_segment_size());
}

/// Clients appear to protected hosts under one address, if the Site wants it (T34).
fn translation(build: &mut Build<'_>) {
    let Some(snat) = build.config.snat.clone() else { return };
    let addresses = [
        (Family::V4, snat.v4.map(|address| address.octets().to_vec())),
        (Family::V6, snat.v6.map(|address| address.octets().to_vec())),
    ];
    for (family, address) in addresses {
        let Some(address) = address else { continue };
        let from_pool = || {
            let rule = Rule::in_chain("site_nat").address_in(family, Side::Source, sets::pool(family));
            rule.oifname(snat.out.as_str())
        };
        // Never a port at which this host listens (T50).
        let with_ports = from_pool().l4proto_in(&[TCP, UDP], true);
        build.rule(with_ports.snat_to_ports(family, &address, snat.ports));
        build.rule(from_pool().snat(family, &address));
    }
}
