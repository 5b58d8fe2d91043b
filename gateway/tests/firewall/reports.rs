//! What the firewall tells: denied and alerted flows, wrong host settings, the read-back.

use std::net::SocketAddr;
use std::time::Duration;

use ringwall_gateway::firewall::{AlertedFlow, BlockedFlow, HostSettings, LoggedPort, Severity};
use ringwall_protocol::rules::{Direction, Protocol, RuleSet, Verdict};

use crate::lab::{HOUR, Lab, allow_port, client, client6, element, in_namespace, run_of, server, server6};
use crate::packets::{echo, tcp, udp};

fn lab(rules: &RuleSet) -> Lab {
    let lab = Lab::new();
    lab.admit(7, rules).expect("new");
    lab.admit(8, rules).expect("new");
    lab.hold_lease(HOUR);
    lab
}

fn blocked(n: u16, to: SocketAddr, protocol: u8) -> BlockedFlow {
    let session = if to.is_ipv4() { client(n) } else { client6(n) };
    let port = LoggedPort::Ports { source: 4_000, destination: to.port() };
    BlockedFlow { session, destination: to.ip(), protocol, port, direction: Direction::Up }
}

#[test]
fn a_denial_is_reported_once_with_its_flow() {
    in_namespace(|| {
        let mut lab = lab(&allow_port(80));
        let (from, from6) = (SocketAddr::new(client(7), 4_000), SocketAddr::new(client6(7), 4_000));
        for _ in 0..10 {
            lab.client_sends(&udp(from, server(81), b"again and again"));
        }
        lab.client_sends(&tcp(from6, server6(82), "S", (1, 0), b""));
        lab.client_sends(&echo(client(7), server(0).ip(), true, b"ping"));
        assert_eq!(lab.firewall.blocked.blocking_recv(), Some(blocked(7, server(81), 17)));
        assert_eq!(lab.firewall.blocked.blocking_recv(), Some(blocked(7, server6(82), 6)));
        let ping = lab.firewall.blocked.blocking_recv().expect("the third");
        assert_eq!((ping.protocol, ping.port), (1, LoggedPort::Icmp { kind: 8, code: 0 }));
        assert_eq!(ping.port.number(), 2_048);
    });
}

#[test]
fn one_session_cannot_use_up_the_denial_log() {
    in_namespace(|| {
        let mut lab = lab(&allow_port(80));
        for port in 1_000..1_300 {
            lab.client_sends(&udp(SocketAddr::new(client(7), 4_000), server(port), b"scan"));
        }
        lab.client_sends(&udp(SocketAddr::new(client(8), 4_000), server(81), b"one"));
        let last = blocked(8, server(81), 17);
        let mut noisy = 0;
        while lab.firewall.blocked.blocking_recv().expect("it is logged") != last {
            noisy += 1;
        }
        assert!((50..=60).contains(&noisy), "the budget is 50 at once: {noisy}");
    });
}

#[test]
fn packets_without_a_lease_are_not_logged() {
    in_namespace(|| {
        let mut lab = Lab::new();
        lab.admit(7, &allow_port(80)).expect("new");
        lab.client_sends(&udp(SocketAddr::new(client(7), 4_000), server(81), b"too early"));
        lab.hold_lease(HOUR);
        lab.client_sends(&udp(SocketAddr::new(client(7), 4_000), server(82), b"now"));
        assert_eq!(lab.firewall.blocked.blocking_recv(), Some(blocked(7, server(82), 17)));
    });
}

#[test]
fn an_alert_passes_and_is_reported_once_a_flow() {
    in_namespace(|| {
        let rules = RuleSet {
            up4: vec![run_of(Verdict::Alert, vec![element("10.20.0.5", "10.20.0.5", Protocol::Udp, 0..=65_535)])],
            down4: vec![run_of(Verdict::Alert, vec![element("10.20.0.5", "10.20.0.5", Protocol::Tcp, 22..=22)])],
            ..RuleSet::default()
        };
        let mut lab = lab(&rules);
        let (here, there) = (SocketAddr::new(client(7), 4_000), server(53));
        assert!(lab.client_reaches(&udp(here, there, b"question")));
        assert!(lab.server_reaches(&udp(there, here, b"answer")));
        assert!(lab.client_reaches(&udp(here, there, b"another")));
        assert!(lab.server_reaches(&tcp(server(50_000), SocketAddr::new(client(7), 22), "S", (1, 0), b"")));
        let up = AlertedFlow {
            session: client(7),
            peer: there.ip(),
            protocol: 17,
            port: LoggedPort::Ports { source: 4_000, destination: 53 },
            direction: Direction::Up,
        };
        let down = AlertedFlow {
            protocol: 6,
            port: LoggedPort::Ports { source: 50_000, destination: 22 },
            direction: Direction::Down,
            ..up
        };
        assert_eq!(lab.firewall.alerted.blocking_recv(), Some(up));
        assert_eq!(lab.firewall.alerted.blocking_recv(), Some(down));
    });
}

#[test]
fn wrong_host_settings_are_set_or_named() {
    in_namespace(|| {
        let lab = Lab::new();
        let names = || ["rw0", "lan0"].map(|name| name.parse().expect("a name"));
        let [tun, lan] = names();
        let settings = HostSettings::new(tun, vec![lan]);
        let unsafe_ones = |wrong: Vec<ringwall_gateway::firewall::WrongSetting>| {
            wrong.into_iter().filter(|one| one.severity == Severity::Unsafe).map(|one| one.name).collect::<Vec<_>>()
        };
        assert_eq!(unsafe_ones(settings.apply()), Vec::<String>::new());
        assert_eq!(unsafe_ones(settings.verify()), Vec::<String>::new());
        std::fs::write("/proc/sys/net/ipv4/conf/lan0/accept_redirects", "1").expect("root");
        lab.firewall.disable_forwarding().expect("root");
        let wrong = unsafe_ones(settings.verify());
        assert!(wrong.contains(&"net.ipv4.conf.lan0.accept_redirects".to_owned()), "{wrong:?}");
        assert!(wrong.contains(&"net.ipv4.ip_forward".to_owned()), "{wrong:?}");
        let [tun, _] = names();
        let absent = HostSettings::new(tun, vec!["eth77".parse().expect("a name")]);
        assert!(unsafe_ones(absent.apply()).iter().any(|name| name.contains("eth77")));
    });
}

#[test]
fn the_read_back_finds_the_table_as_wanted() {
    in_namespace(|| {
        let lab = lab(&allow_port(80));
        let audit = lab.enforcer.audit().blocking_recv().expect("answered").expect("readable");
        assert_eq!((audit.addresses, audit.differences), (4, vec![]));
        assert!(audit.slots >= 1);
        let mut short = crate::lab::install(9, 1, &allow_port(80));
        short.expires_in = Duration::from_millis(1);
        lab.install(short).expect("new");
        let audit = lab.enforcer.audit().blocking_recv().expect("answered").expect("readable");
        assert_eq!(audit.differences, Vec::<String>::new(), "an expired element is not missing");
    });
}
