//! Registrations: limits, matching, takeover, removal.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use ringwall_protocol::name::DnScope;
use ringwall_protocol::object::identity_provider::DeviceTakeover;
use ringwall_protocol::revocation::{RevocationMode, RevocationScope};
use ringwall_raft::state::address::{AllocateAddresses, Taken};
use ringwall_raft::state::blocklist::BlockUser;
use ringwall_raft::state::device::{RegisterDevice, RemoveDevice, TouchDevices};
use ringwall_raft::state::object::PutObject;
use ringwall_raft::{Rejection, Reply};

use crate::fixture::*;

fn again(register: RegisterDevice, cookie: &str, new: &str) -> RegisterDevice {
    RegisterDevice { presented_cookie: Some(cookie.to_owned()), new_cookie: new.to_owned(), ..register }
}

fn matched(reply: &Reply) -> bool {
    match reply {
        Reply::Device { matched, .. } => *matched,
        other => panic!("expected a device, got {other:?}"),
    }
}

proptest! {
    #[test]
    fn the_device_limit_holds_under_any_order(
        steps in prop::collection::vec((0u128..3, 0u128..8, 0u8..4), 1..80),
        limit in 0u32..4,
    ) {
        let mut replica = Replica::founded();
        replica.apply(PutObject::new(provider_object(limit)));
        for (who, on, what) in steps {
            if what == 3 {
                replica.apply(RemoveDevice { user_id: user(who), device_id: device(on), reason: String::new() });
            } else {
                replica.apply(register(who, on));
            }
            for who in 0..3 {
                prop_assert!(replica.state.devices_of(user(who)).count() <= limit as usize);
            }
        }
    }
}

#[test]
fn the_limit_counts_new_devices_only() {
    let mut replica = Replica::founded();
    for on in 0..3 {
        assert!(!matched(&replica.apply(register(1, on))));
    }
    assert_eq!(replica.refusal(register(1, 3)), Rejection::DeviceLimit { limit: 3 });
    replica.apply(PutObject::new(provider_object(0)));
    assert!(matched(&replica.apply(again(register(1, 0), "cookie-1-0", "next"))), "registered devices stay welcome");
    assert_eq!(replica.refusal(register(2, 0)), Rejection::DeviceLimit { limit: 0 });
}

#[test]
fn device_id_and_password_do_not_make_a_device() {
    let mut replica = Replica::founded();
    replica.apply(register(1, 1));
    assert_eq!(replica.refusal(register(1, 1)), Rejection::DeviceConflict, "no cookie");
    assert_eq!(replica.refusal(again(register(1, 1), "guessed", "x")), Rejection::DeviceConflict);
    let other_key = RegisterDevice { key: key(7), mfa_given: true, ..again(register(1, 1), "cookie-1-1", "x") };
    assert_eq!(replica.refusal(other_key), Rejection::DeviceConflict, "takeover is refused by default");
}

#[test]
fn a_replaced_cookie_is_accepted_once_more_within_ten_minutes() {
    let mut replica = Replica::founded();
    replica.apply(register(1, 1));
    assert!(matched(&replica.apply(again(register(1, 1), "cookie-1-1", "second"))));
    replica.now = replica.now.plus(Duration::from_secs(599));
    assert!(matched(&replica.apply(again(register(1, 1), "cookie-1-1", "third"))), "the answer was lost");
    assert_eq!(replica.refusal(again(register(1, 1), "cookie-1-1", "fourth")), Rejection::DeviceConflict, "once");
    assert!(matched(&replica.apply(again(register(1, 1), "third", "fifth"))));
    replica.now = replica.now.plus(Duration::from_secs(601));
    assert_eq!(replica.refusal(again(register(1, 1), "third", "sixth")), Rejection::DeviceCookieReused);
}

#[test]
fn with_takeover_another_factor_replaces_the_device_and_cuts_the_old_one() {
    let mut replica = Replica::founded();
    let mut provider = provider_object(3);
    provider.device_takeover = DeviceTakeover::ReplaceWithMfa;
    replica.apply(PutObject::new(provider));
    replica.apply(register(1, 1));
    let stranger = RegisterDevice { key: key(7), new_cookie: "new".to_owned(), ..register(1, 1) };
    assert_eq!(replica.refusal(stranger.clone()), Rejection::DeviceConflict, "not without the factor");
    let reply = replica.apply(RegisterDevice { mfa_given: true, ..stranger });
    assert!(!matched(&reply));
    let cut = replica.state.revocations().find(reply.revocation().expect("a cut")).expect("kept");
    assert_eq!(cut.scope, RevocationScope::Dn(DnScope::Device(dn(1, 1))));
    assert_eq!((cut.mode, cut.effective), (RevocationMode::Cut, 1));
    assert_eq!(replica.state.device(user(1), device(1)).unwrap().key, key(7));
}

#[test]
fn removing_a_device_cuts_it_and_quarantines_its_address() {
    let mut replica = Replica::founded();
    replica.apply(register(1, 1));
    let allocate = AllocateAddresses { user_id: user(1), provider_id: provider(), device_id: device(1) };
    let Reply::Addresses(addresses) = replica.apply(allocate.clone()) else { panic!("no addresses") };
    let reply = replica.apply(RemoveDevice { user_id: user(1), device_id: device(1), reason: "lost".to_owned() });
    assert_eq!(reply, Reply::Revoked(replica.state.index()));
    let address = addresses.v4.expect("an address").into();
    assert!(
        matches!(replica.state.addresses().taken(address), Some(Taken::Quarantined(until)) if *until > replica.now)
    );
    assert!(matches!(replica.refusal(allocate), Rejection::NotFound { .. }));
}

#[test]
fn a_blocked_user_registers_nothing() {
    let mut replica = Replica::founded();
    replica.apply(BlockUser { user: user_dn(1), reason: String::new() });
    assert_eq!(replica.refusal(register(1, 1)), Rejection::Blocked);
}

#[test]
fn devices_not_seen_for_long_become_chores() {
    let mut replica = Replica::founded();
    replica.apply(register(1, 1));
    replica.apply(register(1, 2));
    replica.now = replica.now.plus(Duration::from_secs(80 * 24 * 3600));
    replica.apply(TouchDevices { devices: vec![(user(1), device(2)), (user(9), device(9))] });
    let later = replica.now.plus(Duration::from_secs(11 * 24 * 3600));
    assert!(replica.state.chores_due(replica.now).is_empty());
    replica.now = later;
    for chore in replica.state.chores_due(later) {
        replica.apply(chore);
    }
    let left: BTreeSet<_> = replica.state.devices().map(|one| one.device_id).collect();
    assert_eq!(left, BTreeSet::from([device(2)]));
}
