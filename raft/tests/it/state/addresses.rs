//! Tunnel addresses: sticky, never two owners, quarantined before they are free.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use ringwall_protocol::object::ObjectKind;
use ringwall_raft::state::address::{Addresses, AllocateAddresses, ReleaseAddress, SweepAddresses};
use ringwall_raft::state::object::{DeleteObject, PutObject};
use ringwall_raft::{Rejection, Reply};

use crate::fixture::*;

fn allocate(on: u128) -> AllocateAddresses {
    AllocateAddresses { user_id: user(on), provider_id: provider(), device_id: device(on) }
}

fn address(reply: Reply) -> IpAddr {
    match reply {
        Reply::Addresses(Addresses { v4: Some(v4), v6: None }) => v4.into(),
        other => panic!("expected an IPv4 address, got {other:?}"),
    }
}

proptest! {
    #[test]
    fn an_address_never_has_two_owners(
        steps in prop::collection::vec((0u128..12, 0u8..4, 0u64..40), 1..120),
    ) {
        let mut replica = Replica::founded();
        replica.apply(PutObject::new(pool_object("10.9.0.0/28")));
        // Who could still carry an address: until then, nobody else may have it.
        let mut carried: BTreeMap<IpAddr, (u128, u64)> = BTreeMap::new();
        for (on, what, hours) in steps {
            replica.now = replica.now.plus(Duration::from_secs(hours * 1800));
            let now = replica.now.0;
            match what {
                0 | 1 => {
                    replica.apply(register(on, on));
                    if let Ok(reply) = replica.apply(allocate(on)).accepted() {
                        let address = address(reply);
                        if let Some((owner, until)) = carried.get(&address) {
                            prop_assert!(*owner == on || *until <= now, "{} of {} was given to {}", address, owner, on);
                        }
                        carried.insert(address, (on, now + 24 * 3_600_000 + 15_000));
                    }
                }
                2 => { replica.apply(ReleaseAddress { user_id: user(on), device_id: device(on) }); }
                _ => { replica.apply(SweepAddresses {}); }
            }
        }
    }
}

#[test]
fn an_address_is_sticky_and_follows_the_pool() {
    let mut replica = Replica::founded();
    replica.apply(register(1, 1));
    let first = address(replica.apply(allocate(1)));
    assert_eq!(address(replica.apply(allocate(1))), first);
    assert_eq!(replica.state.addresses_of(user(1), device(1)).v4.map(IpAddr::from), Some(first));
    replica.apply(PutObject::new(pool_object("10.77.0.0/24")));
    let moved = address(replica.apply(allocate(1)));
    assert!(moved.to_string().starts_with("10.77.0."), "{moved}");
    assert_eq!(replica.state.addresses().held().count(), 1);
}

#[test]
fn a_full_pool_refuses_and_recovers_after_the_quarantine() {
    let mut replica = Replica::founded();
    replica.apply(PutObject::new(pool_object("10.9.0.0/29")));
    for on in 0..6 {
        replica.apply(register(on, on));
    }
    for on in 0..5 {
        address(replica.apply(allocate(on)));
    }
    assert_eq!(replica.refusal(allocate(5)), Rejection::NoAddress { pool: pool() });
    replica.apply(ReleaseAddress { user_id: user(0), device_id: device(0) });
    assert_eq!(replica.refusal(allocate(5)), Rejection::NoAddress { pool: pool() }, "still quarantined");
    replica.now = replica.now.plus(Duration::from_secs(24 * 3600 + 15 + 61));
    replica.apply(SweepAddresses {});
    address(replica.apply(allocate(5)));
}

#[test]
fn unused_addresses_are_swept_after_the_lease_time_of_the_pool() {
    let mut replica = Replica::founded();
    replica.apply(register(1, 1));
    address(replica.apply(allocate(1)));
    replica.now = replica.now.plus(Duration::from_secs(30 * 24 * 3600 + 1));
    replica.apply(SweepAddresses {});
    assert_eq!(replica.state.addresses().held().count(), 0);
}

#[test]
fn a_pool_in_use_or_overlapping_is_protected() {
    let mut replica = Replica::founded();
    replica.apply(register(1, 1));
    address(replica.apply(allocate(1)));
    let mut other = pool_object("10.9.0.128/25");
    other.base.id = ringwall_protocol::id::IpPoolId::new(id(0x91));
    other.base.name = "other".to_owned();
    assert!(matches!(replica.refusal(PutObject::new(other)), Rejection::Invalid { field, .. } if field == "ranges"));
    let delete = DeleteObject { kind: ObjectKind::IpPool, id: pool().uuid(), expected: Default::default() };
    assert!(matches!(replica.refusal(delete), Rejection::Referenced { .. }));
}
