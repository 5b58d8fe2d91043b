//! Exactly once, all or none, nothing before the founding.

use std::time::Duration;

use ringwall_raft::state::blocklist::{BlockUser, UnblockUser};
use ringwall_raft::state::object::PutObject;
use ringwall_raft::state::secret::{PutSecret, Sealed};
use ringwall_raft::{Command, CommandEnvelope, Rejection, Reply, RequestDigest};

use crate::fixture::*;

fn block(number: u128) -> Command {
    BlockUser { user: user_dn(number), reason: String::new() }.into()
}

fn secret(name: &str) -> Command {
    PutSecret { name: name.to_owned(), sealed: Sealed::new(1, "sealed") }.into()
}

#[test]
fn a_command_retried_gives_the_first_answer_and_changes_nothing() {
    let mut replica = Replica::founded();
    let first = CommandEnvelope::new(fresh(), NODE, START, block(1));
    let answer = replica.apply_envelope(&first).outcome;
    replica.apply(UnblockUser { user: user_dn(1) });
    let before = replica.state.digest();
    let from_elsewhere =
        CommandEnvelope { proposed_by: ringwall_protocol::id::NodeId(7), proposed_at: replica.now, ..first.clone() };
    let again = replica.apply_envelope(&from_elsewhere);
    assert_eq!(again.outcome, answer, "index and reply of the first time");
    assert!(again.events.is_empty());
    assert!(replica.state.blocked(&user_dn(1)).is_none());
    assert_ne!(replica.state.digest(), before, "the index moves on");
    assert_eq!(replica.state.revocations().iter().count(), 1);
}

#[test]
fn a_refusal_is_repeated_too() {
    let mut replica = Replica::founded();
    let early = CommandEnvelope::new(fresh(), NODE, START, UnblockUser { user: user_dn(1) }.into());
    let refused = replica.apply_envelope(&early).outcome;
    replica.apply(block(1));
    assert_eq!(replica.apply_envelope(&early).outcome, refused);
    assert!(replica.state.blocked(&user_dn(1)).is_some());
}

#[test]
fn a_command_id_under_another_request_is_refused() {
    let mut replica = Replica::founded();
    let first = CommandEnvelope {
        request: Some(RequestDigest([1; 16])),
        ..CommandEnvelope::new(fresh(), NODE, START, block(1))
    };
    replica.apply_envelope(&first);
    let other = CommandEnvelope { request: Some(RequestDigest([2; 16])), command: block(2), ..first };
    let reply = replica.apply_envelope(&other).outcome.reply;
    assert_eq!(reply, Reply::Refused(Rejection::CommandIdReused));
    assert!(replica.state.blocked(&user_dn(2)).is_none());
}

#[test]
fn answers_are_forgotten_after_a_day() {
    let mut replica = Replica::founded();
    let first = CommandEnvelope::new(fresh(), NODE, START, secret("a"));
    replica.apply_envelope(&first);
    replica.now = START.plus(Duration::from_secs(24 * 3600 - 1));
    replica.apply(secret("b"));
    assert!(replica.state.results().find(first.command_id).is_some());
    replica.now = START.plus(Duration::from_secs(24 * 3600));
    replica.apply(secret("c"));
    assert!(replica.state.results().find(first.command_id).is_none());
}

#[test]
fn a_group_is_applied_as_a_whole_or_not_at_all() {
    let mut replica = Replica::founded();
    let bad = Command::from(UnblockUser { user: user_dn(9) });
    let refused = replica.refusal(Command::Group(vec![secret("a"), bad]));
    assert!(matches!(refused, Rejection::InGroup { at: 1, .. }), "{refused}");
    assert!(replica.state.secret("a").is_none());
    let reply = replica.apply(Command::Group(vec![secret("a"), block(1), secret("b")]));
    assert_eq!(reply.revocation(), Some(replica.state.index()));
    assert!(matches!(reply, Reply::Group(parts) if parts.len() == 3));
    assert!(replica.state.secret("b").is_some());
}

#[test]
fn a_group_makes_one_revocation_and_holds_no_group() {
    let mut replica = Replica::founded();
    let refused = replica.refusal(Command::Group(vec![block(1), block(2)]));
    assert!(matches!(refused, Rejection::InGroup { at: 1, why } if *why == Rejection::TwoRevocations));
    assert!(replica.state.blocked(&user_dn(1)).is_none());
    assert_eq!(replica.refusal(Command::Group(vec![Command::Group(Vec::new())])), Rejection::Nested);
    assert_eq!(replica.refusal(Command::Group(vec![founding().into()])), Rejection::Nested);
}

#[test]
fn nothing_is_done_before_the_founding_or_founded_twice() {
    let mut replica = Replica::empty();
    assert_eq!(replica.refusal(block(1)), Rejection::NotFounded);
    replica.apply(founding());
    assert_eq!(replica.state.collective().expect("founded").name, "test");
    assert_eq!(replica.refusal(founding()), Rejection::AlreadyFounded);
}

#[test]
fn secrets_are_in_no_debug_output() {
    let put = PutSecret { name: "kek".to_owned(), sealed: Sealed::new(1, "c2VjcmV0") };
    assert!(!format!("{put:?}").contains("c2VjcmV0"));
    let mut replica = Replica::founded();
    replica.apply(put);
    assert!(!format!("{:?}", replica.state).contains("c2VjcmV0"));
    let object = PutObject::new(site_object());
    assert!(format!("{object:?}").contains("office"));
}
