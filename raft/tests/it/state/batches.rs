//! Objects written together: all or none, whatever revocations they bring.

use std::collections::BTreeSet;

use ringwall_protocol::name::DnScope;
use ringwall_protocol::object::{GlobalSettings, LocalUser, Object, ObjectKind, Site};
use ringwall_protocol::revocation::RevocationScope;
use ringwall_raft::state::collective::ChangeSettings;
use ringwall_raft::state::object::batch::{AppliedFields, ApplyObjects, FieldDigest, MAX_PARTS, NoteApplied};
use ringwall_raft::state::object::{DeleteObject, Expected, PutObject};
use ringwall_raft::state::secret::{PutSecret, Sealed};
use ringwall_raft::{Command, Rejection, Reply, codec};

use crate::fixture::*;

fn put(object: impl Into<Object>) -> Command {
    PutObject::new(object).into()
}

fn lab() -> Site {
    let mut site = site_object();
    site.base.id = ringwall_protocol::id::SiteId::new(id(0x52));
    site.base.name = "lab".to_owned();
    site
}

fn disabled(number: u128) -> LocalUser {
    LocalUser { disabled: true, ..user_object(number) }
}

fn note(object: &Site) -> NoteApplied {
    let fields = AppliedFields([("name".to_owned(), FieldDigest([1; 8]))].into());
    NoteApplied { kind: ObjectKind::Site, id: object.base.id.uuid(), fields }
}

#[test]
fn a_batch_is_applied_completely_or_not_at_all() {
    let mut replica = Replica::founded();
    let before = replica.state.clone();
    let mut wrong = lab();
    wrong.base.id = ringwall_protocol::id::SiteId::new(id(0x53));
    // The same name twice: the first part alone would be fine.
    let refused = replica.refusal(ApplyObjects { parts: vec![put(lab()), put(wrong)] });
    assert!(matches!(refused, Rejection::InGroup { at: 1, .. }), "{refused}");
    assert!(replica.state.site(lab().base.id).is_none());
    assert_eq!(replica.state.objects(), before.objects());
    let settings = GlobalSettings { message_of_the_day: "maintenance".to_owned(), ..replica.state.settings().clone() };
    let change = ChangeSettings { settings, expected_version: None };
    let reply = replica.apply(ApplyObjects { parts: vec![change.into(), put(lab()), note(&lab()).into()] });
    assert!(matches!(reply, Reply::Changed { version, .. } if version == replica.state.index()), "{reply:?}");
    assert_eq!(replica.state.settings().message_of_the_day, "maintenance");
    assert!(replica.state.site(lab().base.id).is_some());
}

#[test]
fn revocations_that_do_not_go_together_are_owed_and_made_once() {
    let mut replica = Replica::founded();
    for number in [1, 2] {
        replica.apply(PutObject::new(user_object(number))).accepted().unwrap();
    }
    let reply = replica.apply(ApplyObjects { parts: vec![put(disabled(1)), put(disabled(2))] });
    let first = reply.revocation().expect("a cut");
    let of = |number| RevocationScope::Dn(DnScope::User(user_dn(number)));
    assert_eq!(replica.state.revocations().find(first).expect("kept").scope, of(1));
    let owed: Vec<_> = replica.state.revocations_owed().collect();
    assert_eq!(owed.len(), 1);
    assert!(replica.state.revocations_due(START).contains(&owed[0].clone().into()), "the leader makes it");
    let Reply::Revoked(second) = replica.apply(owed[0].clone()) else { panic!("expected a revocation") };
    assert_eq!(replica.state.revocations().find(second).expect("kept").scope, of(2));
    assert_eq!(replica.state.revocations_owed().count(), 0);
    assert_eq!(replica.apply(owed[0].clone()), Reply::Done, "made once");
    let scopes: BTreeSet<_> = replica.state.revocations().iter().map(|one| one.scope.clone()).collect();
    assert_eq!(scopes, BTreeSet::from([of(1), of(2)]));
}

#[test]
fn a_note_lasts_until_its_object_is_deleted() {
    let mut replica = Replica::founded();
    let unknown = replica.refusal(note(&lab()));
    assert!(matches!(unknown, Rejection::NotFound { .. }), "{unknown}");
    replica.apply(ApplyObjects { parts: vec![put(lab()), note(&lab()).into()] }).accepted().unwrap();
    let noted = |replica: &Replica| replica.state.applied_fields(ObjectKind::Site, lab().base.id.uuid()).cloned();
    assert_eq!(noted(&replica), Some(note(&lab()).fields));
    let mut changed = lab();
    changed.lease_seconds = 30;
    replica.apply(PutObject::new(changed)).accepted().unwrap();
    assert_eq!(noted(&replica), Some(note(&lab()).fields), "what others write is no file");
    let delete = DeleteObject { kind: ObjectKind::Site, id: lab().base.id.uuid(), expected: Expected::Present };
    replica.apply(delete).accepted().unwrap();
    assert_eq!(noted(&replica), None);
}

#[test]
fn a_batch_holds_objects_and_their_secrets_and_is_bounded() {
    let mut replica = Replica::founded();
    let many = vec![put(lab()); MAX_PARTS + 1];
    assert!(matches!(replica.refusal(ApplyObjects { parts: many }), Rejection::TooMany { .. }));
    let nested = ApplyObjects { parts: vec![Command::Group(Vec::new())] };
    assert!(matches!(replica.refusal(nested), Rejection::Invalid { field, .. } if field == "parts[0]"));
    let long: Vec<Command> = (0..70)
        .map(|number| PutSecret { name: format!("s{number}"), sealed: Sealed::new(1, "x".repeat(64 * 1024)) }.into())
        .collect();
    assert!(
        matches!(replica.refusal(ApplyObjects { parts: long }), Rejection::Invalid { field, .. } if field == "parts")
    );
}

#[test]
fn a_state_with_notes_and_owed_revocations_is_read_as_it_was_written() {
    let mut replica = Replica::founded();
    for number in [1, 2] {
        replica.apply(PutObject::new(user_object(number))).accepted().unwrap();
    }
    let parts = vec![put(lab()), note(&lab()).into(), put(disabled(1)), put(disabled(2))];
    let command: Command = ApplyObjects { parts }.into();
    let read: Command = codec::decode(&codec::encode(&command).unwrap()).expect("decoded");
    assert_eq!(read, command);
    replica.apply(command).accepted().unwrap();
    let read = ringwall_raft::State::from_bytes(&replica.state.to_bytes().unwrap()).expect("decoded");
    assert_eq!(read, replica.state);
    assert_eq!(read.digest(), replica.state.digest());
}
