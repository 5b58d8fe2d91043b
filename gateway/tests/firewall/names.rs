//! Hosts by name: what they stand for comes, changes and goes without touching a rule set.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ringwall_protocol::entitlement::{Action, ActionKind, Host, ParsedAction, Subtype};
use ringwall_protocol::rules::RuleSet;
use ringwall_protocol::rules::compile::{ResolvedNames, compile};

use crate::lab::{Lab, client, client6, config, in_namespace, install, server, server6, session};
use crate::packets::{echo, tcp, udp};

const LEASE: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(600);

fn web() -> Host {
    Host::Name("web.example".to_owned())
}

fn below() -> Host {
    Host::Domain("corp.example".to_owned())
}

fn action(kind: ActionKind, subtype: Subtype, host: &str, ports: &[&str]) -> ParsedAction {
    let ports = ports.iter().map(|text| (*text).to_owned()).collect();
    let hosts = vec![host.to_owned()];
    Action { subtype: Some(subtype), action: kind, hosts, ports, types: vec![] }.parse().expect("valid")
}

fn rules(actions: &[ParsedAction]) -> RuleSet {
    compile(actions, &ResolvedNames::default()).expect("small")
}

fn by_name() -> RuleSet {
    rules(&[
        action(ActionKind::Allow, Subtype::UdpUp, "dns://web.example", &["53", "8000-8010"]),
        action(ActionKind::Allow, Subtype::IcmpUp, "dns://web.example", &[]),
        action(ActionKind::Allow, Subtype::UdpUp, "*.corp.example", &["53"]),
    ])
}

trait Names {
    fn resolve(&self, host: Host, addresses: &[IpAddr], time: Duration);
    fn tell(&self, n: u16, host: Host, addresses: &[IpAddr], time: Duration) -> bool;
    fn settled(&self);
}

impl Names for Lab {
    fn resolve(&self, host: Host, addresses: &[IpAddr], time: Duration) {
        self.enforcer.resolved(host, addresses.iter().map(|address| (*address, time)).collect());
        self.settled();
    }

    fn tell(&self, n: u16, host: Host, addresses: &[IpAddr], time: Duration) -> bool {
        let addresses = addresses.iter().map(|address| (*address, time)).collect();
        self.enforcer.told(session(n), host, addresses).blocking_recv().expect("the enforcer lives")
    }

    /// Everything asked before is done, and the kernel holds what it should.
    fn settled(&self) {
        let audit = self.enforcer.audit().blocking_recv().expect("the enforcer lives").expect("readable");
        assert_eq!(audit.differences, [""; 0]);
    }
}

fn lab() -> Lab {
    let lab = Lab::new();
    lab.admit(7, &by_name()).expect("new");
    lab.hold_lease(LEASE);
    lab
}

fn asks(lab: &Lab, n: u16, to: SocketAddr) -> bool {
    let from = if to.is_ipv4() { client(n) } else { client6(n) };
    lab.client_reaches(&udp(SocketAddr::new(from, 4_000), to, b"question"))
}

fn other(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([10, 20, 0, 6]), port)
}

#[test]
fn a_name_passes_what_it_stands_for_and_nothing_else() {
    in_namespace(|| {
        let lab = lab();
        assert!(!asks(&lab, 7, server(53)), "nothing is known of the name yet");
        lab.resolve(web(), &[server(0).ip(), server6(0).ip()], LONG);
        for port in [53, 8_000, 8_005, 8_010] {
            assert!(asks(&lab, 7, server(port)), "{port}");
            assert!(asks(&lab, 7, server6(port)), "{port}");
        }
        for port in [52, 54, 7_999, 8_011] {
            assert!(!asks(&lab, 7, server(port)), "{port}");
        }
        assert!(!asks(&lab, 7, other(53)));
        assert!(lab.client_reaches(&echo(client(7), server(0).ip(), true, b"ping")));
        assert!(!lab.client_reaches(&echo(client6(7), server6(0).ip(), true, b"icmp is of IPv4")));
        assert!(!lab.client_reaches(&tcp(SocketAddr::new(client(7), 4_000), server(53), "S", (1, 0), b"")));
        assert!(lab.server_reaches(&udp(server(53), SocketAddr::new(client(7), 4_000), b"answer")));
    });
}

#[test]
fn when_a_name_moves_the_old_address_stops_and_the_new_one_passes() {
    in_namespace(|| {
        let lab = lab();
        lab.resolve(web(), &[server(0).ip()], LONG);
        assert!(asks(&lab, 7, server(53)));
        lab.resolve(web(), &[other(0).ip()], LONG);
        assert!(!asks(&lab, 7, server(53)), "even on the flow that passed");
        assert!(asks(&lab, 7, other(53)));
        lab.resolve(web(), &[], LONG);
        assert!(!asks(&lab, 7, other(53)));
    });
}

#[test]
fn what_nobody_confirms_runs_out_by_itself() {
    in_namespace(|| {
        let lab = lab();
        let begun = Instant::now();
        lab.resolve(web(), &[server(0).ip()], Duration::from_millis(400));
        assert!(asks(&lab, 7, server(53)) || begun.elapsed() > Duration::from_millis(400));
        while asks(&lab, 7, server(53)) {
            assert!(begun.elapsed() < Duration::from_secs(5), "it passes for ever");
        }
        assert!(begun.elapsed() >= Duration::from_millis(390));
        lab.resolve(web(), &[server(0).ip()], Duration::from_millis(400));
        lab.resolve(web(), &[server(0).ip()], LONG);
        std::thread::sleep(Duration::from_millis(500));
        assert!(asks(&lab, 7, server(53)), "confirmed, it lives on");
    });
}

#[test]
fn a_name_known_before_passes_for_a_session_that_comes_later() {
    in_namespace(|| {
        let lab = lab();
        lab.resolve(web(), &[server(0).ip()], LONG);
        lab.admit(8, &rules(&[action(ActionKind::Allow, Subtype::UdpUp, "dns://web.example", &["99"])])).expect("new");
        assert!(asks(&lab, 8, server(99)));
        assert!(!asks(&lab, 8, server(53)), "other ports are another session's");
    });
}

#[test]
fn two_names_of_one_address_each_keep_it_open() {
    in_namespace(|| {
        let lab = Lab::new();
        let ports = &["53"];
        let both = [
            action(ActionKind::Allow, Subtype::UdpUp, "dns://web.example", ports),
            action(ActionKind::Allow, Subtype::UdpUp, "dns://mail.example", ports),
        ];
        lab.admit(7, &rules(&both)).expect("new");
        lab.hold_lease(LEASE);
        let mail = Host::Name("mail.example".to_owned());
        lab.resolve(web(), &[server(0).ip()], LONG);
        lab.resolve(mail.clone(), &[server(0).ip()], LONG);
        lab.resolve(web(), &[], LONG);
        assert!(asks(&lab, 7, server(53)));
        lab.resolve(mail, &[], LONG);
        assert!(!asks(&lab, 7, server(53)));
    });
}

#[test]
fn a_domain_opens_only_after_the_lookup_and_only_for_the_session_that_asked() {
    in_namespace(|| {
        let lab = lab();
        lab.admit(8, &by_name()).expect("new");
        assert!(!asks(&lab, 7, server(53)));
        assert!(lab.tell(7, below(), &[server(0).ip(), server6(0).ip()], LONG));
        assert!(asks(&lab, 7, server(53)) && asks(&lab, 7, server6(53)));
        assert!(!asks(&lab, 8, server(53)), "the same rules, another session");
        assert!(!asks(&lab, 7, server(8_000)), "the name's ports are not the domain's");
        assert!(!lab.tell(9, below(), &[server(0).ip()], LONG), "nobody of that number is here");
        lab.settled();
    });
}

#[test]
fn what_a_session_was_told_outlives_a_change_of_its_rules_and_not_its_end() {
    in_namespace(|| {
        let lab = lab();
        assert!(lab.tell(7, below(), &[server(0).ip()], LONG));
        lab.install(install(7, 2, &RuleSet::default())).expect("newer");
        assert!(!asks(&lab, 7, server(53)), "the entitlement went");
        let others = [
            action(ActionKind::Allow, Subtype::UdpUp, "*.corp.example", &["53"]),
            action(ActionKind::Allow, Subtype::UdpUp, "10.20.0.6", &["53"]),
        ];
        lab.install(install(7, 3, &rules(&others))).expect("newer");
        assert!(asks(&lab, 7, server(53)), "it came back, in other rules");
        lab.cut(7);
        let mut next = install(9, 1, &rules(&others));
        next.addresses = crate::lab::addresses(7);
        lab.install(next).expect("the address is free again");
        assert!(!asks(&lab, 7, server(53)), "the next one at the address was told nothing");
        assert!(asks(&lab, 7, other(53)));
    });
}

#[test]
fn a_block_by_address_beats_a_name_that_stands_for_it() {
    in_namespace(|| {
        let lab = Lab::new();
        let actions = [
            action(ActionKind::Allow, Subtype::UdpUp, "dns://web.example", &["53"]),
            action(ActionKind::Block, Subtype::UdpUp, "10.20.0.5", &["53"]),
            action(ActionKind::Block, Subtype::UdpUp, "10.20.0.0/24", &[]),
        ];
        lab.admit(7, &rules(&actions)).expect("new");
        lab.hold_lease(LEASE);
        lab.resolve(web(), &[server(0).ip(), other(0).ip()], LONG);
        assert!(!asks(&lab, 7, server(53)), "an exact tie: block");
        assert!(asks(&lab, 7, other(53)), "a single host is more specific than a subnet");
    });
}

#[test]
fn a_name_can_be_who_comes_to_the_client() {
    in_namespace(|| {
        let lab = Lab::new();
        let down = [action(ActionKind::Allow, Subtype::UdpDown, "dns://web.example", &["9000"])];
        lab.admit(7, &rules(&down)).expect("new");
        lab.hold_lease(LEASE);
        let here = SocketAddr::new(client(7), 9_000);
        assert!(!lab.server_reaches(&udp(server(1), here, b"hello")));
        lab.resolve(web(), &[server(0).ip()], LONG);
        assert!(lab.server_reaches(&udp(server(1), here, b"hello")));
        assert!(!lab.server_reaches(&udp(other(1), here, b"hello")));
        assert!(!asks(&lab, 7, server(9_000)), "nothing upward");
    });
}

#[test]
fn an_emptied_slot_leaves_no_address_of_its_names_behind() {
    in_namespace(|| {
        let mut config = config();
        config.longest_lease = Duration::from_millis(50);
        let lab = Lab::with(config);
        lab.hold_lease(LEASE);
        lab.admit(7, &by_name()).expect("new");
        lab.resolve(web(), &[server(0).ip()], LONG);
        lab.cut(7);
        let named = || crate::lab::run("nft", &["list", "set", "inet", "ringwall", "named4"]);
        let begun = Instant::now();
        while named().contains("elements") {
            assert!(begun.elapsed() < Duration::from_secs(5), "{}", named());
            std::thread::sleep(Duration::from_millis(20));
        }
        lab.settled();
    });
}
