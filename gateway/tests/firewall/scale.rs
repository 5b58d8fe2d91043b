//! Many sessions, many rule sets; figures are printed, bounds are generous.

use std::time::{Duration, Instant};

use ringwall_actors::ports::RuleEnforcer;
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::rules::{Protocol, RuleSet, Verdict};

use crate::lab::{HOUR, Lab, allow_port, config, element, in_namespace, install, run_of, session};

#[expect(clippy::print_stderr, reason = "figures for whoever reads the test's output")]
fn percentiles(name: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    eprintln!("{name:60} n {:6}  p50 {:>10.1?}  p99 {:>10.1?}  max {:>10.1?}", times.len(), at(0.5), at(0.99), at(1.0));
    at(0.99)
}

/// 50 networks with their ports, different for every `n`.
fn fifty_ranges(n: u16) -> RuleSet {
    let [a, b] = n.to_be_bytes();
    let network = |i: u8| {
        let (first, last) = (format!("10.{}.{}.{}", 64 + (i >> 2), a, b), format!("10.{}.{}.{}", 64 + (i >> 2), a, b));
        let port = 1_000 + u16::from(i) * 100;
        element(&first, &last, Protocol::Tcp, port..=port + 50)
    };
    RuleSet { up4: vec![run_of(Verdict::Allow, (0..50).map(network).collect())], ..RuleSet::default() }
}

#[test]
fn a_thousand_sessions_are_installed_and_removed_in_one_go() {
    in_namespace(|| {
        let lab = Lab::new();
        let rules = allow_port(80);
        let begun = Instant::now();
        let installs: Vec<_> = (1..=1_000).map(|n| lab.enforcer.install(install(n, 1, &rules))).collect();
        for reply in installs {
            reply.blocking_recv().expect("answered").expect("new");
        }
        eprintln!("1,000 installs in a row: {:?}", begun.elapsed());
        let audit = lab.enforcer.audit().blocking_recv().expect("answered").expect("readable");
        assert_eq!((audit.addresses, audit.differences), (2_000, vec![]));
        let begun = Instant::now();
        let cuts: Vec<_> = (1..=1_000).map(|n| lab.enforcer.remove(session(n), LogIndex(0))).collect();
        for reply in cuts {
            reply.blocking_recv().expect("answered");
        }
        let took = begun.elapsed();
        eprintln!("1,000 removals in a row: {took:?}");
        assert!(took < Duration::from_millis(500));
        let audit = lab.enforcer.audit().blocking_recv().expect("answered").expect("readable");
        assert_eq!((audit.addresses, audit.differences), (0, vec![]));
    });
}

#[test]
fn a_change_costs_the_same_at_ten_thousand_sessions() {
    in_namespace(|| {
        let mut config = config();
        config.slots_ahead = 256;
        let begun = Instant::now();
        let lab = Lab::with(config);
        eprintln!("start: {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_millis(1_500));
        let rules = allow_port(80);
        let mut present = 0u16;
        for sessions in [1_000u16, 10_000] {
            let filling: Vec<_> =
                (present + 1..=sessions).map(|n| lab.enforcer.install(install(n, 1, &rules))).collect();
            for reply in filling {
                reply.blocking_recv().expect("answered").expect("new");
            }
            present = sessions;
            measure(&lab, sessions);
        }
    });
}

fn measure(lab: &Lab, sessions: u16) {
    let base = 20_000 + sessions;
    let rules = allow_port(80);
    let (mut installs, mut removals, mut fresh) = (vec![], vec![], vec![]);
    for n in base..base + 1_000 {
        let wanted = install(n, 1, &rules);
        let begun = Instant::now();
        lab.install(wanted).expect("new");
        installs.push(begun.elapsed());
    }
    for n in base..base + 1_000 {
        let begun = Instant::now();
        lab.cut(n);
        removals.push(begun.elapsed());
    }
    for n in base + 1_000..base + 1_100 {
        let wanted = install(n, 1, &fifty_ranges(n));
        let begun = Instant::now();
        lab.install(wanted).expect("new");
        fresh.push(begun.elapsed());
    }
    for n in base + 1_000..base + 1_100 {
        lab.cut(n);
    }
    let install_p99 = percentiles(&format!("{sessions} sessions: install, known rules"), installs);
    let removal_p99 = percentiles(&format!("{sessions} sessions: removal"), removals);
    let fresh_p99 = percentiles(&format!("{sessions} sessions: install, new rule set of 50 ranges"), fresh);
    assert!(install_p99 < Duration::from_millis(20), "{install_p99:?}");
    assert!(removal_p99 < Duration::from_millis(20), "{removal_p99:?}");
    assert!(fresh_p99 < Duration::from_millis(100), "{fresh_p99:?}");
}

#[test]
fn cuts_do_not_wait_for_a_large_rule_set() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.install(install(1, 1, &allow_port(80))).expect("new");
        let host = |i: u32| {
            let [_, b, c, d] = (0x0040_0000 + i).to_be_bytes();
            let address = format!("10.{b}.{c}.{d}");
            element(&address, &address, Protocol::Tcp, 1_000..=2_000)
        };
        let rules = RuleSet { up4: vec![run_of(Verdict::Allow, (0..4_000).map(host).collect())], ..RuleSet::default() };
        let large = install(2, 1, &rules);
        let begun = Instant::now();
        let filling = lab.enforcer.install(large);
        let cut = lab.enforcer.remove(session(1), LogIndex(0));
        cut.blocking_recv().expect("answered");
        let cut_after = begun.elapsed();
        filling.blocking_recv().expect("answered").expect("new");
        let filled_after = begun.elapsed();
        eprintln!("a cut beside a rule set of 4,000 ranges: {cut_after:?} of {filled_after:?}");
        assert!(HOUR > filled_after);
        assert!(cut_after < filled_after / 2, "{cut_after:?} of {filled_after:?}");
    });
}

#[test]
#[ignore = "measures for half a minute"]
fn five_thousand_users_with_rules_of_their_own() {
    in_namespace(|| {
        let mut config = config();
        config.slots_ahead = 256;
        let lab = Lab::with(config);
        let mut fresh = vec![];
        for n in 2..5_002 {
            let wanted = install(n, 1, &fifty_ranges(n));
            let begun = Instant::now();
            lab.install(wanted).expect("new");
            fresh.push(begun.elapsed());
            if n % 1_000 == 0 {
                percentiles(&format!("new rule set of 50 ranges, up to {n} present"), std::mem::take(&mut fresh));
                let known = (0..200u16).map(|i| {
                    let wanted = install(30_000 + n + i, 1, &fifty_ranges(2));
                    let begun = Instant::now();
                    lab.install(wanted).expect("new");
                    begun.elapsed()
                });
                percentiles(&format!("known rules, {n} rule sets present"), known.collect());
            }
        }
    });
}
