//! What stands, changed by the difference, is what is wanted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use ringwall_actors::ports::SessionAddresses;
use ringwall_protocol::id::SessionId;

use super::*;

const SESSIONS: u8 = 4;
const MEMORY: Duration = Duration::from_secs(75);

fn session(n: u8) -> SessionId {
    SessionId::from_random([n; 16])
}

/// Addresses that only session `n` ever has.
fn addresses(n: u8, v4: Option<u8>, v6: Option<u16>) -> SessionAddresses {
    SessionAddresses {
        v4: v4.map(|last| Ipv4Addr::new(10, 9, n, last)),
        v6: v6.map(|last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, n.into(), last)),
    }
}

/// The kernel's session maps: what an element gives, and when it vanishes.
type Kernel = BTreeMap<Place, ((Mark, Owner), Instant)>;

fn apply(difference: &Difference, kernel: &mut Kernel, now: Instant) {
    for place in &difference.removed {
        kernel.remove(place);
    }
    for Addition { place, gives, after } in &difference.added {
        let former = kernel.insert(place.clone(), (gives.expect("a map"), now + *after));
        assert_eq!(former, None, "the kernel does not move the end of an element that is there");
    }
}

/// What the kernel must hold of the sessions of the ledger.
fn expected(ledger: &Ledger, now: Instant) -> Kernel {
    let elements = ledger.sessions().flat_map(|(_, rules)| {
        let value = ((rules.mark, rules.owner), rules.expires);
        rules.addresses.iter().map(move |address| (Place::of_session(address), value))
    });
    elements.filter(|(_, (_, expires))| *expires > now).collect()
}

/// An install of session `n`.
#[derive(Debug, Clone)]
struct Asked {
    n: u8,
    addresses: SessionAddresses,
    mark: Mark,
    seconds: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Install { sessions: Vec<Asked> },
    Remove { sessions: Vec<u8> },
    Wait { seconds: u64 },
}

fn asked() -> impl Strategy<Value = Asked> {
    let v4 = proptest::option::of(1u8..4);
    let v6 = proptest::option::of(1u16..4);
    // Some are over when they are asked for.
    (0..SESSIONS, v4, v6, 1u32..6, 0u64..20).prop_map(|(n, v4, v6, mark, seconds)| Asked {
        n,
        addresses: addresses(n, v4, v6),
        mark: Mark(mark),
        seconds,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec(asked(), 1..4).prop_map(|sessions| Step::Install { sessions }),
        2 => proptest::collection::vec(0..SESSIONS, 1..4).prop_map(|sessions| Step::Remove { sessions }),
        1 => (1u64..10).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

proptest! {
    #[test]
    fn what_stands_with_the_difference_applied_is_what_is_wanted(steps in proptest::collection::vec(step(), 1..40)) {
        let mut now = Instant::now();
        let (mut ledger, mut kernel, mut generation) = (Ledger::new(MEMORY), Kernel::new(), 0);
        for step in steps {
            match step {
                Step::Install { mut sessions } => {
                    // One session comes once in a transaction, as the install queue has it.
                    sessions.sort_unstable_by_key(|asked| asked.n);
                    sessions.dedup_by_key(|asked| asked.n);
                    generation += 1;
                    let rules = |Asked { n, addresses, mark, seconds }| {
                        let expires = now + Duration::from_secs(seconds);
                        (session(n), SessionRules { generation, addresses, mark, owner: Owner(1), expires })
                    };
                    let wanted: Vec<_> = sessions.into_iter().map(rules).collect();
                    apply(&Difference::between(&Wanted::Rules(wanted.clone()), &ledger, now), &mut kernel, now);
                    for (session, rules) in wanted {
                        ledger.installed(session, rules);
                    }
                }
                Step::Remove { mut sessions } => {
                    sessions.sort_unstable();
                    sessions.dedup();
                    let sessions: Vec<SessionId> = sessions.into_iter().map(session).collect();
                    let difference = Difference::between(&Wanted::Nothing(sessions.clone()), &ledger, now);
                    prop_assert!(difference.added.is_empty());
                    apply(&difference, &mut kernel, now);
                    for session in sessions {
                        ledger.removed(session);
                    }
                }
                Step::Wait { seconds } => {
                    now += Duration::from_secs(seconds);
                    kernel.retain(|_, (_, expires)| *expires > now);
                }
            }
            prop_assert_eq!(&kernel, &expected(&ledger, now));
        }
    }

    #[test]
    fn removals_go_before_installations(count in 1usize..1_000, both in any::<bool>()) {
        let table = Table::new("ringwall".to_owned());
        let mut difference = Difference::default();
        for n in 0..u32::try_from(count).expect("few") {
            let place = Place::of_session(IpAddr::from(n.to_be_bytes()));
            difference.put(place, Some((Mark(1), Owner(1))), Duration::from_secs(1));
            if both {
                difference.remove(Place::of_session(IpAddr::from(Ipv6Addr::from(u128::from(n)))));
            }
        }
        let (removed, added) = (difference.removed.clone(), difference.added.clone());
        let only_removals = Difference { removed, added: vec![] }.messages(&table);
        let only_additions = Difference { removed: vec![], added }.messages(&table);
        prop_assert_eq!(difference.messages(&table), [only_removals, only_additions].concat());
    }
}

#[test]
fn a_session_whose_rules_are_over_loses_its_elements() {
    let now = Instant::now();
    let rules = SessionRules {
        generation: 1,
        addresses: addresses(1, Some(1), None),
        mark: Mark(1),
        owner: Owner(1),
        expires: now,
    };
    let wanted = Wanted::Rules(vec![(session(1), rules)]);
    let difference = Difference::between(&wanted, &Ledger::new(MEMORY), now);
    assert_eq!((difference.removed.len(), difference.added.len()), (1, 0));
}

#[test]
fn a_session_that_is_not_installed_needs_no_removal() {
    let wanted = Wanted::Nothing(vec![session(1)]);
    assert_eq!(Difference::between(&wanted, &Ledger::new(MEMORY), Instant::now()), Difference::default());
}
