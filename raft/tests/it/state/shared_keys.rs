//! Keys that all Controllers share: offered to every member, active when all hold them, and what they replace (T72).

use std::collections::BTreeMap;
use std::time::Duration;

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{ApplianceId, NodeId};
use ringwall_protocol::object::ClientProfile;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_raft::state::candidate::{AdmitController, AskAdmission};
use ringwall_raft::state::device::{RegisterDevice, RevokeDeviceSpaKey};
use ringwall_raft::state::gateway::AdmitGateway;
use ringwall_raft::state::join_token::{CreateJoinToken, JoinTokenHash};
use ringwall_raft::state::kek::{ConfirmKek, OfferKek, OrderKeyRotation, Reseal, Resealed, RetireKek};
use ringwall_raft::state::member::ChangeControllerState;
use ringwall_raft::state::object::PutObject;
use ringwall_raft::state::secret::{PutSecret, Sealed};
use ringwall_raft::state::secret_place::SecretPlace;
use ringwall_raft::state::spa::RotateGatewaySpaKey;
use ringwall_raft::state::spa_master::{EndFormerSpaMaster, NotePeerKey, PeerKeyHolder, RotateSpaMaster};
use ringwall_raft::state::totp::PutTotpSeed;
use ringwall_raft::{Command, Rejection, Reply};

use crate::fixture::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn join_token(replica: &mut Replica, number: u8, appliance: ApplianceId) -> JoinTokenHash {
    let token = JoinTokenHash::new([number; 32]);
    let create = CreateJoinToken { appliance, token: token.clone(), not_after: replica.now.plus(DAY) };
    replica.apply(create).accepted().expect("a token");
    token
}

/// A second Controller, admitted.
fn with_second_controller(replica: &mut Replica) -> NodeId {
    let appliance = second_controller();
    replica.apply(PutObject::new(controller_object()));
    let token = join_token(replica, 2, appliance);
    replica.apply(AskAdmission { token, candidate: candidate(2) }).accepted().expect("asked");
    let Reply::Controller(record) = replica.apply(AdmitController { appliance, key: key(2) }) else {
        panic!("not admitted")
    };
    assert_eq!(replica.state.wrap_key(record.node), Some("wrap-2"));
    record.node
}

fn with_gateway(replica: &mut Replica) {
    replica.apply(PutObject::new(gateway_object(1)));
    let token = join_token(replica, 1, gateway(1));
    let admit = AdmitGateway { token, key: key(3), spa_key: Sealed::new(1, "spa") };
    replica.apply(admit).accepted().expect("admitted");
}

fn offer(generation: u32, nodes: &[NodeId]) -> OfferKek {
    let wrapped: BTreeMap<_, _> = nodes.iter().map(|node| (*node, format!("for-{node}"))).collect();
    OfferKek { generation, wrapped }
}

fn confirm(replica: &mut Replica, generation: u32, node: NodeId) {
    replica.apply(ConfirmKek { node, generation }).accepted().expect("confirmed");
}

#[test]
fn a_key_is_active_when_every_member_holds_it_and_not_before() {
    let mut replica = Replica::founded();
    let second = with_second_controller(&mut replica);
    assert_eq!(replica.state.wrap_key(NODE), Some("wrap-1"));
    replica.apply(OrderKeyRotation {}).accepted().expect("ordered");
    assert_eq!(replica.state.kek().wanted, Some(replica.now));
    for wrong in [vec![NODE], vec![NODE, second, NodeId(99)]] {
        assert!(matches!(replica.refusal(offer(2, &wrong)), Rejection::Invalid { .. }), "not to exactly the members");
    }
    assert!(matches!(replica.refusal(offer(3, &[NODE, second])), Rejection::WrongState { .. }));
    replica.apply(offer(2, &[NODE, second])).accepted().expect("offered");
    assert_eq!(replica.state.kek().wanted, None);
    let put = |generation| PutSecret { name: "a".to_owned(), sealed: Sealed::new(generation, "x") };
    assert!(matches!(replica.refusal(put(2)), Rejection::WrongState { .. }), "nobody seals under it yet");
    confirm(&mut replica, 2, NODE);
    confirm(&mut replica, 2, NODE);
    assert_eq!(replica.state.kek().active, 1, "one of two");
    assert!(matches!(replica.refusal(ConfirmKek { node: NodeId(99), generation: 2 }), Rejection::NotFound { .. }));
    assert!(matches!(replica.refusal(ConfirmKek { node: second, generation: 3 }), Rejection::WrongState { .. }));
    confirm(&mut replica, 2, second);
    assert_eq!((replica.state.kek().active, replica.state.kek().oldest), (2, 1));
    replica.apply(put(2)).accepted().expect("sealed under the new one");
    replica.apply(put(1)).accepted().expect("a proposer may not have heard of it yet");
    replica.apply(PutObject::new(gateway_object(1)));
    let token = join_token(&mut replica, 1, gateway(1));
    let admit =
        |generation| AdmitGateway { token: token.clone(), key: key(3), spa_key: Sealed::new(generation, "spa") };
    assert!(matches!(replica.refusal(admit(1)), Rejection::WrongState { .. }), "a new key is for the new one only");
    replica.apply(admit(2)).accepted().expect("the refusal spent no token");
    assert!(matches!(replica.refusal(offer(3, &[NODE, second])), Rejection::WrongState { .. }), "one after the other");
}

#[test]
fn who_is_removed_meanwhile_voids_the_offer_and_every_removal_wants_new_keys() {
    let mut replica = Replica::founded();
    let second = with_second_controller(&mut replica);
    replica.apply(OrderKeyRotation {});
    replica.apply(offer(2, &[NODE, second])).accepted().expect("offered");
    confirm(&mut replica, 2, second);
    replica.apply(ChangeControllerState { node: second, state: ApplianceState::Removed }).accepted().expect("removed");
    let kek = replica.state.kek();
    assert_eq!((kek.active, kek.next.is_none(), kek.wanted), (1, true, Some(replica.now)));
    assert_eq!(replica.state.wrap_key(second), None);
    assert!(matches!(replica.refusal(ConfirmKek { node: NODE, generation: 2 }), Rejection::WrongState { .. }));
    assert!(
        matches!(replica.refusal(offer(2, &[NODE])), Rejection::WrongState { .. }),
        "its number does not come back"
    );
    replica.apply(offer(3, &[NODE])).accepted().expect("offered to who is left");
    confirm(&mut replica, 3, NODE);
    assert_eq!(replica.state.kek().active, 3);
}

#[test]
fn who_joins_meanwhile_is_waited_for() {
    let mut replica = Replica::founded();
    replica.apply(OrderKeyRotation {});
    replica.apply(offer(2, &[NODE])).accepted().expect("offered");
    let second = with_second_controller(&mut replica);
    confirm(&mut replica, 2, NODE);
    assert_eq!(replica.state.kek().active, 1, "the one that joined does not hold it");
    replica.apply(offer(3, &[NODE, second])).accepted().expect("offered to both");
    confirm(&mut replica, 3, NODE);
    confirm(&mut replica, 3, second);
    assert_eq!(replica.state.kek().active, 3);
}

#[test]
fn a_former_key_is_retired_when_nothing_is_sealed_under_it() {
    let mut replica = Replica::founded();
    with_gateway(&mut replica);
    replica.apply(RotateSpaMaster { replaces: 0, key: Sealed::new(1, "master") }).accepted().expect("a master");
    replica.apply(PutSecret { name: "a".to_owned(), sealed: Sealed::new(1, "a") }).accepted().expect("kept");
    replica.apply(PutTotpSeed { user: user(1), dn: user_dn(1), seed: Sealed::new(1, "seed") });
    let mut device = register(1, 1);
    device.spa_key = Some(Sealed::new(1, "device"));
    replica.apply(device).accepted().expect("registered");
    replica.apply(OrderKeyRotation {});
    replica.apply(offer(2, &[NODE]));
    confirm(&mut replica, 2, NODE);
    let places: Vec<_> = replica.state.secrets_under_former_keys().map(|(place, _)| place).collect();
    assert_eq!(places.len(), 5, "{places:?}");
    assert!(matches!(replica.refusal(RetireKek { active: 2 }), Rejection::WrongState { .. }));
    let resealed = |replica: &Replica| -> Vec<Resealed> {
        let secrets = replica.state.secrets_under_former_keys();
        let new = |text: &str| Sealed::new(2, text.trim_start_matches("1."));
        secrets.map(|(place, text)| Resealed { place, former: Sealed::from_text(text), sealed: new(text) }).collect()
    };
    let early = resealed(&replica);
    // Whoever writes a secret meanwhile wins.
    replica.apply(PutSecret { name: "a".to_owned(), sealed: Sealed::new(2, "newer") }).accepted().expect("kept");
    replica.apply(Reseal { secrets: early }).accepted().expect("resealed");
    assert_eq!(replica.state.secret("a").map(Sealed::as_str), Some("2.newer"));
    assert_eq!(replica.state.device(user(1), dn(1, 1).device).and_then(|one| one.spa_key.as_deref()), Some("2.device"));
    assert_eq!(resealed(&replica), []);
    replica.apply(RetireKek { active: 2 }).accepted().expect("retired");
    assert_eq!(replica.state.kek().oldest, 2);
    let late = PutSecret { name: "b".to_owned(), sealed: Sealed::new(1, "b") };
    assert!(matches!(replica.refusal(late), Rejection::WrongState { .. }), "a key that is retired seals nothing");
    let none = Resealed {
        place: SecretPlace::Named("gone".to_owned()),
        former: Sealed::new(2, "x"),
        sealed: Sealed::new(2, "y"),
    };
    replica.apply(Reseal { secrets: vec![none] }).accepted().expect("what is gone is left");
    assert_eq!(replica.state.secret("gone"), None);
}

#[test]
fn former_masters_end_when_nobody_needs_them_however_many_there_are() {
    let mut replica = Replica::founded();
    with_gateway(&mut replica);
    let profile: ClientProfile = serde_json::from_value(serde_json::json!({"id": id(0xf1), "name": "staff",
        "identityProvider": provider(), "formerKeyHours": 240, "created": "2026-01-01T00:00:00Z",
        "updated": "2026-01-01T00:00:00Z"}))
    .expect("a profile");
    let rotate = |replaces: u32| RotateSpaMaster { replaces, key: Sealed::new(1, "master") };
    let holders = [PeerKeyHolder::Controller(NODE), PeerKeyHolder::Gateway(gateway(1))];
    let note = |replica: &mut Replica, generation| {
        for holder in holders {
            replica.apply(NotePeerKey { holder, generation }).accepted().expect("noted");
        }
    };
    replica.apply(rotate(0)).accepted().expect("the first");
    note(&mut replica, 1);
    let (_, events) = replica.apply_with_events(rotate(1));
    assert!(events.iter().any(|one| matches!(one.event, FeedEvent::SpaChanged { .. })), "Gateways hear of it");
    assert!(matches!(replica.refusal(rotate(1)), Rejection::WrongState { .. }), "once");
    let replaced = replica.now;
    replica.now = replaced.plus(DAY);
    replica.apply(rotate(2)).accepted().expect("a second removal the next day");
    let generations =
        |replica: &Replica| -> Vec<u32> { replica.state.spa_masters().keys.iter().map(|key| key.generation).collect() };
    assert_eq!(generations(&replica), [3, 2, 1], "nobody who knows only the first is shut out");

    let days = |number: u32| replaced.plus(number * DAY);
    assert_eq!(replica.state.members_with_former_peer_key().collect::<Vec<_>>(), holders);
    assert_eq!(replica.state.former_spa_master_due(days(60)), None, "members need it");
    let stranger = NotePeerKey { holder: PeerKeyHolder::Gateway(gateway(9)), generation: 3 };
    assert!(matches!(replica.refusal(stranger), Rejection::NotFound { .. }));
    note(&mut replica, 2);
    assert_eq!(replica.state.former_spa_master_due(days(6)), None, "administrators have a week");
    assert_eq!(replica.state.former_spa_master_due(days(60)), Some(1), "the second is needed");
    note(&mut replica, 3);
    note(&mut replica, 2);
    assert_eq!(
        replica.state.members_with_former_peer_key().count(),
        0,
        "a late report of an older one changes nothing"
    );
    assert_eq!(replica.state.former_spa_master_due(days(7)), Some(1));
    assert_eq!(replica.state.former_spa_master_due(days(8)), Some(2));
    replica.apply(PutObject::new(profile)).accepted().expect("a profile");
    assert_eq!(replica.state.former_spa_master_due(days(8)), None, "its links have ten days");
    assert_eq!(replica.state.former_spa_master_due(days(11)), Some(2));
    assert!(replica.state.chores_due(days(10)).contains(&Command::from(EndFormerSpaMaster { generation: 1 })));
    replica.apply(EndFormerSpaMaster { generation: 1 }).accepted().expect("ended");
    assert_eq!(generations(&replica), [3, 2]);
    replica.apply(EndFormerSpaMaster { generation: 9 }).accepted().expect("ended");
    assert_eq!(generations(&replica), [3], "the present one never ends");
}

#[test]
fn what_replaces_a_key_is_sealed_under_the_active_one() {
    let mut replica = Replica::founded();
    with_gateway(&mut replica);
    replica.apply(OrderKeyRotation {});
    replica.apply(offer(2, &[NODE])).accepted().expect("offered");
    replica.apply(OrderKeyRotation {}).accepted().expect("it is under way");
    assert_eq!(replica.state.kek().wanted, None, "one order, one rotation");
    confirm(&mut replica, 2, NODE);
    let master = |generation| RotateSpaMaster { replaces: 0, key: Sealed::new(generation, "m") };
    assert!(matches!(replica.refusal(master(1)), Rejection::WrongState { .. }));
    replica.apply(master(2)).accepted().expect("replaced");
    let gateway_key =
        |generation| RotateGatewaySpaKey { gateway: gateway(1), replaces: 1, key: Sealed::new(generation, "g") };
    assert!(matches!(replica.refusal(gateway_key(1)), Rejection::WrongState { .. }));
    replica.apply(gateway_key(2)).accepted().expect("replaced");
}

#[test]
fn a_gateways_former_key_ends_with_the_last_token_that_can_carry_it() {
    let mut replica = Replica::founded();
    with_gateway(&mut replica);
    let rotate = RotateGatewaySpaKey { gateway: gateway(1), replaces: 1, key: Sealed::new(1, "two") };
    replica.apply(rotate).accepted().expect("rotated");
    let ends = |replica: &Replica, hours: u32| {
        let due = replica.state.chores_due(replica.now.plus(Duration::from_secs(3600) * hours));
        due.into_iter().find(|one| matches!(one, Command::EndFormerGatewaySpaKey(_)))
    };
    assert_eq!(ends(&replica, 24), None, "a token may live for a day");
    let end = ends(&replica, 26).expect("over");
    let (reply, events) = replica.apply_with_events(end);
    reply.accepted().expect("ended");
    assert_eq!(replica.state.spa_keys(gateway(1)).iter().map(|one| one.generation).collect::<Vec<_>>(), [2]);
    assert!(events.iter().any(|one| matches!(&one.event, FeedEvent::SpaChanged { keys, .. } if keys.len() == 1)));
}

#[test]
fn a_devices_former_key_is_kept_until_it_has_shown_that_it_got_the_new_one() {
    let mut replica = Replica::founded();
    let mut device = register(1, 1);
    let known = |replica: &Replica| replica.state.device(user(1), dn(1, 1).device).expect("known").clone();
    let sign_in = |replica: &mut Replica, device: &mut RegisterDevice, key: &str, cookie: &str| {
        device.presented_cookie = replica.state.device(user(1), dn(1, 1).device).map(|one| one.cookie_hash.clone());
        (device.spa_key, device.new_cookie) = (Some(Sealed::new(1, key)), cookie.to_owned());
        replica.apply(device.clone()).accepted().expect("registered");
    };
    sign_in(&mut replica, &mut device, "one", "c1");
    let first = known(&replica).spa_key_at;
    assert_eq!(first, replica.state.index());
    sign_in(&mut replica, &mut device, "one", "c2");
    assert_eq!((known(&replica).spa_key_at, known(&replica).former_spa_key), (first, None), "the same key");
    sign_in(&mut replica, &mut device, "two", "c3");
    assert_eq!(known(&replica).spa_key_at, replica.state.index());
    assert_eq!(known(&replica).former_spa_key, Some(("1.one".to_owned(), first)));
    // The answer was lost: the device comes with the cookie before.
    device.presented_cookie = Some("c2".to_owned());
    device.new_cookie = "c4".to_owned();
    replica.apply(device.clone()).accepted().expect("forgiven once");
    assert!(known(&replica).former_spa_key.is_some(), "it may not have the new key");
    sign_in(&mut replica, &mut device, "two", "c5");
    assert_eq!(known(&replica).former_spa_key, None, "the cookie came with the key");
    sign_in(&mut replica, &mut device, "three", "c6");
    replica.apply(RevokeDeviceSpaKey { user_id: user(1), device_id: dn(1, 1).device }).accepted().expect("revoked");
    assert_eq!((known(&replica).spa_key, known(&replica).former_spa_key), (None, None));
}
