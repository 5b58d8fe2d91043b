//! The lease: nothing passes without it, and it is never longer than it was earned for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringwall_actors::ports::{LeaseRenewal, RuleEnforcer};
use ringwall_gateway::firewall::FirewallEvent;
use ringwall_protocol::id::LogIndex;

use crate::lab::{Lab, allow_everything, arrived, client, in_namespace, server};
use crate::packets::udp;

const LEASE: Duration = Duration::from_secs(15);

fn lab() -> Lab {
    let lab = Lab::new();
    lab.admit(7, &allow_everything()).expect("a new session");
    lab
}

fn passes(lab: &Lab) -> (bool, bool) {
    let (here, there) = (SocketAddr::new(client(7), 4_000), server(80));
    (lab.client_reaches(&udp(here, there, b"question")), lab.server_reaches(&udp(there, here, b"answer")))
}

fn renew(lab: &Lab, read_index: u64, sent_at: Instant, lease: Duration) -> bool {
    let renewal = LeaseRenewal { read_index: LogIndex(read_index), sent_at, lease };
    lab.enforcer.renew_lease(renewal).blocking_recv().expect("answered")
}

#[test]
fn nothing_passes_before_the_first_lease_and_after_its_end() {
    in_namespace(|| {
        let lab = lab();
        assert_eq!(passes(&lab), (false, false));
        lab.hold_lease(LEASE);
        assert_eq!(passes(&lab), (true, true));
        lab.enforcer.end_lease();
        assert!(!renew(&lab, 0, Instant::now() - Duration::from_secs(1), LEASE), "a poll sent before the end");
        assert_eq!(passes(&lab), (false, false));
        lab.hold_lease(LEASE);
        assert_eq!(passes(&lab), (true, true));
    });
}

#[test]
fn a_lease_that_is_not_renewed_ends_on_time_both_ways() {
    in_namespace(|| {
        let mut lab = lab();
        let lease = Duration::from_millis(500);
        let sent_at = Instant::now();
        assert!(renew(&lab, 0, sent_at, lease));
        assert_eq!(passes(&lab), (true, true));
        while passes(&lab) != (false, false) {
            assert!(sent_at.elapsed() < lease + Duration::from_millis(100), "the lease overshoots");
        }
        assert!(sent_at.elapsed() >= lease - Duration::from_millis(10), "ended early: {:?}", sent_at.elapsed());
        assert_eq!(lab.firewall.events.blocking_recv(), Some(FirewallEvent::LeaseLapsed));
    });
}

#[test]
fn lease_is_not_renewed_while_the_feed_lags() {
    in_namespace(|| {
        let lab = lab();
        lab.enforcer.progress(LogIndex(90));
        assert!(!renew(&lab, 100, Instant::now(), LEASE), "confirmed at 100, enforced up to 90");
        assert_eq!(passes(&lab), (false, false));
        lab.enforcer.progress(LogIndex(100));
        assert!(renew(&lab, 100, Instant::now(), LEASE));
        assert_eq!(passes(&lab), (true, true));
    });
}

#[test]
fn the_lease_counts_from_the_poll_not_from_the_answer() {
    in_namespace(|| {
        let lab = lab();
        assert!(!renew(&lab, 0, Instant::now() - LEASE, LEASE), "answered after its end");
        assert_eq!(passes(&lab), (false, false));
        let sent_at = Instant::now() - Duration::from_millis(14_700);
        assert!(renew(&lab, 0, sent_at, LEASE));
        while passes(&lab).0 {
            assert!(sent_at.elapsed() < LEASE + Duration::from_millis(100), "the lease overshoots");
        }
    });
}

#[test]
fn an_older_confirmation_does_not_shorten_the_lease() {
    in_namespace(|| {
        let lab = lab();
        let now = Instant::now();
        assert!(renew(&lab, 0, now, LEASE));
        assert!(renew(&lab, 0, now - Duration::from_millis(14_900), LEASE), "what holds longer holds");
        let over = now + Duration::from_millis(200);
        while Instant::now() < over {
            assert_eq!(passes(&lab), (true, true));
        }
    });
}

#[test]
fn everything_removed_before_a_renewal_is_out_of_the_kernel_when_it_is_granted() {
    in_namespace(|| {
        let lab = lab();
        lab.hold_lease(Duration::from_millis(100));
        for index in 1..200u64 {
            let n = u16::try_from(index).expect("small") + 1_000;
            lab.admit(n, &allow_everything()).expect("new");
            let _removal = lab.enforcer.remove(crate::lab::session(n), LogIndex(index));
            lab.enforcer.progress(LogIndex(index));
            assert!(renew(&lab, index, Instant::now(), LEASE));
            let dead = SocketAddr::new(client(n), 4_000);
            assert!(!lab.client_reaches(&udp(dead, server(80), b"cut before the lease")));
        }
    });
}

#[test]
fn a_gateway_that_stops_is_closed_at_once() {
    in_namespace(|| {
        let Lab { tun, lan, firewall, enforcer } = lab();
        let renewal = LeaseRenewal { read_index: LogIndex(0), sent_at: Instant::now(), lease: LEASE };
        assert_eq!(enforcer.renew_lease(renewal).blocking_recv(), Ok(true));
        drop(firewall);
        tun.send(&udp(SocketAddr::new(client(7), 1), server(80), b"anybody there")).expect("up");
        assert_eq!(arrived(&lan), []);
        assert!(enforcer.renew_lease(renewal).blocking_recv().is_err(), "a stopped enforcer promises nothing");
    });
}
