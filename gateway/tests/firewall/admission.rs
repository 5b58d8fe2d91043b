//! Installs, cuts and their order.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringwall_actors::ports::{InstallError, RuleEnforcer};
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::rules::RuleSet;

use crate::lab::{
    HOUR, Lab, allow_everything, allow_port, client, config, in_namespace, install, run, server, session,
};
use crate::packets::{tcp, udp};

fn from(n: u16) -> SocketAddr {
    SocketAddr::new(client(n), 4_000)
}

#[test]
fn a_cut_stops_a_running_flow_at_its_next_packet() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.admit(7, &allow_everything()).expect("new");
        lab.hold_lease(HOUR);
        let (here, there) = (from(7), server(443));
        assert!(lab.client_reaches(&tcp(here, there, "S", (1, 0), b"")));
        assert!(lab.server_reaches(&tcp(there, here, "SA", (100, 2), b"")));
        assert!(lab.client_reaches(&tcp(here, there, "A", (2, 101), b"")));
        lab.cut(7);
        assert!(!lab.client_reaches(&tcp(here, there, "PA", (2, 101), b"data")));
        assert!(!lab.server_reaches(&tcp(there, here, "PA", (101, 2), b"data")));
    });
}

#[test]
fn late_install_after_cut_is_refused() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.hold_lease(HOUR);
        lab.admit(7, &allow_everything()).expect("new");
        lab.cut(7);
        assert_eq!(lab.install(install(7, 2, &allow_everything())), Err(InstallError::Ended));
        lab.cut(8);
        assert_eq!(lab.admit(8, &allow_everything()), Err(InstallError::Ended), "even if it was never installed");
        assert!(!lab.client_reaches(&udp(from(7), server(80), b"dead")));
    });
}

#[test]
fn revocation_between_check_and_install_wins() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.hold_lease(HOUR);
        // All in the queue at once: the cut comes last and wins, whatever was worked on first.
        let admitted = lab.enforcer.install(install(7, 1, &allow_everything()));
        let widened = lab.enforcer.install(install(7, 2, &allow_port(80)));
        let cut = lab.enforcer.remove(session(7), LogIndex(101));
        cut.blocking_recv().expect("answered");
        let _ = (admitted.blocking_recv(), widened.blocking_recv());
        assert!(!lab.client_reaches(&udp(from(7), server(80), b"revoked")));
        let mut next = install(8, 1, &allow_everything());
        next.addresses = crate::lab::addresses(7);
        next.checked_at = LogIndex(101);
        lab.install(next).expect("a session that was checked after the revocation");
    });
}

#[test]
fn an_older_generation_never_replaces_a_newer_one() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.hold_lease(HOUR);
        lab.install(install(7, 5, &allow_port(80))).expect("new");
        let stale = InstallError::Stale { got: 5, applied: 5 };
        assert_eq!(lab.install(install(7, 5, &allow_everything())), Err(stale));
        assert!(!lab.client_reaches(&udp(from(7), server(81), b"not in generation 5")));
        lab.install(install(7, 6, &allow_port(81))).expect("newer");
        assert!(lab.client_reaches(&udp(from(7), server(81), b"in generation 6")));
        assert!(!lab.client_reaches(&udp(from(7), server(80), b"no longer")));
    });
}

#[test]
fn equal_rule_sets_share_a_mark() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.admit(1, &allow_port(80)).expect("new");
        lab.admit(2, &allow_port(80)).expect("new");
        lab.admit(3, &allow_port(81)).expect("new");
        let mark = |n: u16| {
            let element = format!("{{ {} }}", client(n));
            let found = run("nft", &["get", "element", "inet", "ringwall", "s4", &element]);
            found.split("0x").nth(1).map(|rest| rest.chars().take(8).collect::<String>()).expect("a mark")
        };
        assert_eq!(mark(1), mark(2));
        assert_ne!(mark(1), mark(3));
    });
}

#[test]
fn a_session_ends_by_itself_when_its_tokens_do() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.hold_lease(HOUR);
        let begun = Instant::now();
        let mut short = install(7, 1, &allow_everything());
        short.expires_in = Duration::from_millis(300);
        lab.install(short).expect("new");
        assert!(lab.client_reaches(&udp(from(7), server(80), b"now")));
        while lab.client_reaches(&udp(from(7), server(80), b"still")) {
            assert!(begun.elapsed() < Duration::from_secs(2), "the element does not expire");
        }
        assert!(begun.elapsed() >= Duration::from_millis(290), "not before its time: {:?}", begun.elapsed());
        let mut over = install(7, 2, &allow_everything());
        over.expires_in = Duration::ZERO;
        lab.install(over).expect("accepted");
        assert!(!lab.client_reaches(&udp(from(7), server(80), b"a timeout of zero is not for ever")));
        lab.install(install(7, 3, &allow_everything())).expect("renewed tokens");
        assert!(lab.client_reaches(&udp(from(7), server(80), b"again")));
    });
}

#[test]
fn changing_rules_under_traffic_loses_no_packet() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.hold_lease(HOUR);
        lab.install(install(7, 1, &allow_port(80))).expect("new");
        let wide = allow_everything();
        for generation in 2..400 {
            let rules = if generation % 2 == 0 { &wide } else { &allow_port(80) };
            let changed = lab.enforcer.install(install(7, generation, rules));
            for _ in 0..3 {
                assert!(lab.client_reaches(&udp(from(7), server(80), b"in both")), "generation {generation}");
            }
            changed.blocking_recv().expect("answered").expect("newer");
        }
    });
}

#[test]
fn rules_that_no_kernel_takes_are_refused_and_leave_nothing_behind() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.hold_lease(HOUR);
        // Overlapping elements in one run: the compiler never makes them, the kernel refuses them.
        let mut broken = allow_everything();
        let elements = &mut broken.up4[0].elements;
        let mut inner = elements[0];
        inner.last_port = 99;
        elements.push(inner);
        assert!(matches!(lab.admit(7, &broken), Err(InstallError::Kernel(_))));
        assert!(!lab.client_reaches(&udp(from(7), server(80), b"not installed")));
        lab.admit(8, &allow_everything()).expect("others are not disturbed");
        assert!(lab.client_reaches(&udp(from(8), server(80), b"fine")));
        lab.install(install(7, 2, &allow_port(80))).expect("and the session may try again");
        let audit = lab.enforcer.audit().blocking_recv().expect("answered").expect("readable");
        assert_eq!(audit.differences, Vec::<String>::new());
    });
}

#[test]
fn slots_are_reused_after_their_rest_and_the_table_stays_as_wanted() {
    in_namespace(|| {
        let mut config = config();
        config.longest_lease = Duration::from_millis(20);
        let lab = Lab::with(config);
        lab.hold_lease(HOUR);
        let begun = Instant::now();
        for n in 2.. {
            lab.admit(n, &RuleSet { down4: allow_port(n).up4, ..allow_port(n) }).expect("new");
            assert!(lab.client_reaches(&udp(from(n), server(n), b"own rules")));
            lab.cut(n);
            let audit = lab.enforcer.audit().blocking_recv().expect("answered").expect("readable");
            assert_eq!((audit.addresses, audit.differences), (0, vec![]));
            if audit.slots + 100 < usize::from(n) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "no slot was ever used again: {}", audit.slots);
        }
    });
}
