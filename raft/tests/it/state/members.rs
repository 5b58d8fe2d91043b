//! Controllers, Gateways, their keys, and how they join and go.

use std::time::Duration;

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{ApplianceId, LogIndex, NodeId, Thumbprint};
use ringwall_protocol::membership::KeyState;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::{EntityBase, GlobalSettings};
use ringwall_protocol::revocation::RevocationMode;
use ringwall_raft::state::candidate::{AdmitController, AskAdmission, TurnAway};
use ringwall_raft::state::collective::ChangeSettings;
use ringwall_raft::state::gateway::{AdmitGateway, ChangeGatewayState, EndFormerGatewayKey, RenewGatewayKey};
use ringwall_raft::state::join_token::{CreateJoinToken, JoinTokenHash};
use ringwall_raft::state::member::{ChangeControllerState, SetIssuers};
use ringwall_raft::state::object::PutObject;
use ringwall_raft::state::secret::Sealed;
use ringwall_raft::state::signing_key::{AddKey, RetireKey};
use ringwall_raft::state::spa::RotateGatewaySpaKey;
use ringwall_raft::{Command, Rejection, Reply};

use crate::fixture::*;

fn token(number: u8) -> JoinTokenHash {
    JoinTokenHash::new([number; 32])
}

fn create_token(number: u8, appliance: ApplianceId) -> CreateJoinToken {
    CreateJoinToken { appliance, token: token(number), not_after: START.plus(Duration::from_secs(24 * 3600)) }
}

fn admit(number: u8) -> AdmitGateway {
    AdmitGateway { token: token(number), key: key(number), spa_key: Sealed::new(1, "spa") }
}

fn with_gateway() -> Replica {
    let mut replica = Replica::founded();
    replica.apply(PutObject::new(gateway_object(1)));
    replica.apply(create_token(1, gateway(1)));
    replica.apply(admit(1)).accepted().expect("admitted");
    replica
}

fn ask_admission(number: u8) -> AskAdmission {
    AskAdmission { token: token(number), candidate: candidate(number) }
}

fn admit_controller(number: u8) -> AdmitController {
    AdmitController { appliance: second_controller(), key: key(number) }
}

fn add_key(kid: &str, node: NodeId) -> AddKey {
    let public_key = data_encoding::BASE64URL_NOPAD.encode(&[5; 32]);
    AddKey { kid: kid.to_owned(), controller: node, public_key }
}

#[test]
fn a_join_token_is_used_once_by_one_key_within_its_time() {
    let mut replica = Replica::founded();
    assert_eq!(replica.refusal(admit(1)), Rejection::JoinTokenUnknown);
    replica.apply(PutObject::new(gateway_object(1)));
    replica.apply(create_token(1, gateway(1)));
    let joined = ringwall_raft::CommandEnvelope::new(fresh(), NODE, START, admit(1).into());
    let first = replica.apply_envelope(&joined).outcome;
    assert!(matches!(&first.reply, Reply::Gateway(record) if record.state == ApplianceState::Active));
    assert_eq!(replica.apply_envelope(&joined).outcome, first, "the answer was lost: the same again");
    assert_eq!(replica.refusal(admit(1)), Rejection::JoinTokenUsed);
    assert!(replica.state.appliance(gateway(1)).unwrap().activated);
    assert!(matches!(replica.refusal(create_token(2, gateway(1))), Rejection::WrongState { .. }));
    replica.apply(PutObject::new(gateway_object(2)));
    replica.apply(create_token(2, gateway(2)));
    replica.now = replica.now.plus(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(replica.refusal(admit(2)), Rejection::JoinTokenExpired);
}

#[test]
fn a_controllers_node_id_is_the_index_of_its_admission() {
    let mut replica = Replica::founded();
    replica.apply(PutObject::new(controller_object()));
    replica.apply(create_token(2, second_controller()));
    replica.apply(ask_admission(2)).accepted().unwrap();
    let Reply::Controller(record) = replica.apply(admit_controller(2)) else { panic!("not admitted") };
    assert_eq!(LogIndex(record.node.0), replica.state.index());
    assert_eq!(record.state, ApplianceState::Joining);
    let activate = ChangeControllerState { node: record.node, state: ApplianceState::Active };
    assert!(matches!(replica.refusal(activate.clone()), Rejection::Invalid { .. }), "the root signs first");
    let issuers = SetIssuers { node: record.node, client_issuer: "a".to_owned(), appliance_issuer: "b".to_owned() };
    replica.apply(issuers).accepted().unwrap();
    replica.apply(activate).accepted().unwrap();
    replica.apply(add_key("two", record.node)).accepted().unwrap();
    let remove = ChangeControllerState { node: record.node, state: ApplianceState::Removed };
    let (reply, events) = replica.apply_with_events(remove.clone());
    assert!(reply.accepted().is_ok());
    assert_eq!(replica.state.key("two").unwrap().state, KeyState::Removed, "its keys go in the same entry");
    assert!(events.iter().any(|one| matches!(&one.event, FeedEvent::KeyChanged { key } if key.kid == "two")));
    assert!(matches!(replica.refusal(remove), Rejection::WrongState { .. }), "removed is final");
    assert!(matches!(replica.refusal(add_key("three", record.node)), Rejection::WrongState { .. }));
    assert!(replica.state.controller(record.node).is_some(), "and stays recorded");
}

#[test]
fn a_controller_that_asks_is_nobody_until_its_key_is_admitted() {
    let appliance = second_controller();
    let mut replica = Replica::founded();
    replica.apply(PutObject::new(controller_object()));
    replica.apply(create_token(2, appliance));
    let before = replica.state.controllers().count();
    let (reply, events) = replica.apply_with_events(ask_admission(2));
    assert_eq!((reply, events.len()), (Reply::Done, 0), "nobody hears of it");
    assert_eq!(replica.state.controllers().count(), before);
    assert!(!replica.state.appliance(appliance).unwrap().activated);
    assert_eq!(replica.refusal(ask_admission(2)), Rejection::JoinTokenUsed);
    let other = AdmitController { key: key(9), ..admit_controller(2) };
    assert!(matches!(replica.refusal(other), Rejection::Invalid { field, .. } if field == "fingerprint"));
    // A newer seed forgets who asked with the older.
    replica.apply(create_token(3, appliance)).accepted().unwrap();
    assert!(matches!(replica.refusal(admit_controller(2)), Rejection::NotFound { .. }));
    replica.apply(ask_admission(3)).accepted().unwrap();
    replica.apply(TurnAway { appliance }).accepted().unwrap();
    assert!(replica.state.candidate(appliance).is_none() && replica.state.join_token(&token(3)).is_none());
    replica.apply(create_token(4, appliance)).accepted().unwrap();
    replica.apply(ask_admission(4)).accepted().unwrap();
    let Reply::Controller(record) = replica.apply(admit_controller(4)) else { panic!("not admitted") };
    assert!(matches!(replica.refusal(admit_controller(4)), Rejection::WrongState { .. }), "once");
    assert!(matches!(replica.refusal(TurnAway { appliance }), Rejection::WrongState { .. }), "a member is removed");
    assert_eq!(replica.state.candidate(appliance).unwrap().node, Some(record.node));
    replica.apply(ChangeControllerState { node: record.node, state: ApplianceState::Removed }).accepted().unwrap();
    assert!(replica.state.candidate(appliance).is_none());
}

#[test]
fn a_controller_that_nobody_admits_is_forgotten() {
    let appliance = second_controller();
    let mut replica = Replica::founded();
    replica.apply(PutObject::new(controller_object()));
    replica.apply(create_token(2, appliance));
    replica.apply(ask_admission(2)).accepted().unwrap();
    replica.now = replica.now.plus(Duration::from_secs(30 * 24 * 3600 + 1));
    for chore in replica.state.chores_due(replica.now) {
        replica.apply(chore);
    }
    assert!(replica.state.candidate(appliance).is_none());
}

#[test]
fn a_new_key_retires_the_former_one_at_its_index() {
    let mut replica = Replica::founded();
    replica.apply(add_key("one", NODE));
    let from = replica.state.index();
    replica.apply(add_key("two", NODE));
    let until = replica.state.index();
    let one = replica.state.key("one").unwrap();
    assert_eq!((one.state, one.from, one.until), (KeyState::Retired, from, Some(until)));
    assert!(one.covers(until) && !one.covers(LogIndex(until.0 + 1)));
    assert!(replica.state.key("two").unwrap().covers(until));
    assert!(matches!(replica.refusal(add_key("one", NODE)), Rejection::Exists { .. }));
    replica.apply(RetireKey { kid: "one".to_owned() }).accepted().expect("again is fine");
    assert!(replica.state.chores_due(replica.now.plus(Duration::from_secs(24 * 3600))).is_empty());
    replica.now = replica.now.plus(Duration::from_secs(25 * 3600 + 1));
    for chore in replica.state.chores_due(replica.now) {
        replica.apply(chore);
    }
    assert_eq!(replica.state.key("one").unwrap().state, KeyState::Removed);
}

#[test]
fn a_removed_gateway_cuts_its_site_and_does_not_come_back() {
    let mut replica = with_gateway();
    let change = |state| ChangeGatewayState { gateway: gateway(1), state };
    for state in [ApplianceState::Suspended, ApplianceState::Active, ApplianceState::Retiring] {
        assert!(matches!(replica.apply(change(state)), Reply::Gateway(record) if record.state == state));
    }
    assert!(matches!(replica.refusal(change(ApplianceState::Active)), Rejection::WrongState { .. }));
    let Reply::Revoked(index) = replica.apply(change(ApplianceState::Removed)) else { panic!("no cut") };
    let cut = replica.state.revocations().find(index).unwrap();
    assert_eq!((cut.mode, cut.site), (RevocationMode::Cut, Some(site())));
    assert!(matches!(replica.refusal(change(ApplianceState::Active)), Rejection::WrongState { .. }));
    assert!(replica.state.spa_keys(gateway(1)).is_empty());
    assert!(!replica.state.appliance(gateway(1)).unwrap().activated);
}

#[test]
fn a_gateway_follows_its_object_but_stays_in_its_site() {
    let mut replica = with_gateway();
    let mut object = replica.state.appliance(gateway(1)).unwrap().clone();
    object.gateway.vpn.weight = 7;
    object.client_interface.addresses = vec!["gw.example:443".to_owned()];
    let (reply, events) = replica.apply_with_events(PutObject::new(object.clone()));
    reply.accepted().unwrap();
    let record = replica.state.gateway(gateway(1)).unwrap();
    assert_eq!((record.weight, record.addresses.as_slice()), (7, ["gw.example:443".to_owned()].as_slice()));
    assert_eq!(record.state, ApplianceState::Active);
    assert!(events.iter().any(|one| matches!(one.event, FeedEvent::GatewayChanged { .. })));
    let mut lab = site_object();
    lab.base = EntityBase::new(ringwall_protocol::id::SiteId::new(id(0x52)), "lab");
    replica.apply(PutObject::new(lab.clone()));
    object.site = Some(lab.base.id);
    assert!(matches!(replica.refusal(PutObject::new(object)), Rejection::Invalid { field, .. } if field == "site"));
}

#[test]
fn keys_of_gateways_are_renewed_and_spa_keys_rotate_by_generation() {
    let mut replica = with_gateway();
    let keys: Vec<Thumbprint> = vec![key(1), key(2)];
    replica.apply(RenewGatewayKey { gateway: gateway(1), keys: keys.clone() }).accepted().unwrap();
    assert_eq!(replica.state.gateway(gateway(1)).unwrap().keys, keys);
    let used = |used| EndFormerGatewayKey { gateway: gateway(1), used };
    replica.apply(used(key(2))).accepted().unwrap();
    assert_eq!(replica.state.gateway(gateway(1)).unwrap().keys, keys, "the former one is used on until the next is");
    replica.apply(used(key(1))).accepted().unwrap();
    assert_eq!(replica.state.gateway(gateway(1)).unwrap().keys, [key(1)]);
    let rotate =
        |replaces, name: &str| RotateGatewaySpaKey { gateway: gateway(1), replaces, key: Sealed::new(1, name) };
    replica.apply(rotate(1, "two")).accepted().unwrap();
    assert!(matches!(replica.refusal(rotate(1, "again")), Rejection::WrongState { .. }));
    let (_, events) = replica.apply_with_events(rotate(2, "three"));
    let generations: Vec<_> = replica.state.spa_keys(gateway(1)).iter().map(|one| one.generation).collect();
    assert_eq!(generations, [3, 2, 1], "tokens may carry each of them");
    assert!(events.iter().all(|one| one.gateway == Some(gateway(1))), "nobody else learns its keys");
}

#[test]
fn a_controller_that_retires_stays_good_for_what_it_signed_until_that_has_ended() {
    let mut replica = Replica::founded();
    let retire = |node| ChangeControllerState { node, state: ApplianceState::Retiring };
    assert!(matches!(replica.refusal(retire(NODE)), Rejection::Invalid { .. }), "the last active one stays");
    replica.apply(PutObject::new(controller_object()));
    replica.apply(create_token(2, second_controller()));
    replica.apply(ask_admission(2)).accepted().unwrap();
    let Reply::Controller(second) = replica.apply(admit_controller(2)) else { panic!("not admitted") };
    let node = second.node;
    let issuers = SetIssuers { node, client_issuer: "a".to_owned(), appliance_issuer: "b".to_owned() };
    replica.apply(issuers).accepted().unwrap();
    replica.apply(ChangeControllerState { node, state: ApplianceState::Active }).accepted().unwrap();
    replica.apply(add_key("two", node)).accepted().unwrap();
    replica.apply(retire(node)).accepted().unwrap();
    let key = replica.state.key("two").unwrap();
    assert_eq!((key.state, key.until), (KeyState::Retired, Some(replica.state.index())));
    assert!(key.covers(replica.state.index()), "what it signed before is proved by it");
    assert!(matches!(replica.refusal(add_key("three", node)), Rejection::WrongState { .. }), "it signs nothing new");
    let removes = |replica: &Replica, hours: u64| {
        let now = START.plus(Duration::from_secs(hours * 3600));
        let removed =
            |command: &Command| matches!(command, Command::ChangeControllerState(change) if change.node == node);
        replica.state.chores_due(now).iter().any(removed)
    };
    assert!(!removes(&replica, 25), "a token or a certificate of it may live");
    assert!(removes(&replica, 26));
    let settings = GlobalSettings { vpn_certificate_expiration: 7 * 24 * 60, ..GlobalSettings::default() };
    replica.apply(ChangeSettings { settings, expected_version: None }).accepted().unwrap();
    assert!(!removes(&replica, 7 * 24) && removes(&replica, 7 * 24 + 1), "as long as certificates of Clients live");
    replica.now = START.plus(Duration::from_secs(8 * 24 * 3600));
    for chore in replica.state.chores_due(replica.now) {
        replica.apply(chore);
    }
    assert_eq!(replica.state.controller(node).unwrap().state, ApplianceState::Removed);
    assert!(replica.state.retirement_ends(node).is_none());
}
