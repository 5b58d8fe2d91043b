//! Orders that wait for a second administrator: approved once, in time, by another user, with everything that they come to.

use ringwall_protocol::id::{AdminSessionId, LogIndex, ProviderId, UserId};
use ringwall_protocol::revocation::{RevocationMode, RevocationScope, TokenKind};
use ringwall_raft::state::admin_session::{AdminSession, EndAdminSession, OpenAdminSession};
use ringwall_raft::state::approval::{
    ApproveOrder, AskApproval, MAX_OF_ONE, MAX_WAITING, ProtectedOrder, WAITS, WithdrawOrder,
};
use ringwall_raft::state::blocklist::BlockUser;
use ringwall_raft::state::object::PutObject;
use ringwall_raft::state::revocation::Revoke;
use ringwall_raft::{Command, Rejection, Reply};
use uuid::Uuid;

use crate::fixture::*;

fn session_id(number: u128) -> AdminSessionId {
    AdminSessionId::new(id(0xad00 + number))
}

/// Session `number` of an administrator.
fn session(number: u128, of: u128) -> AdminSession {
    AdminSession {
        id: session_id(number),
        user_id: user(of),
        provider_id: provider(),
        dn: dn(of, number),
        claims: None,
        key: Some(key(1)),
        source: [192, 0, 2, 1].into(),
        started_idx: LogIndex(1),
        created_at: START,
        last_used_at: START,
        expires_at: START.plus(WAITS * 100),
    }
}

/// A Collective with the sessions 1 (user 1), 2 (user 2) and 3 (user 1 again).
fn signed_in() -> Replica {
    let mut replica = Replica::founded();
    for (number, of) in [(1, 1), (2, 2), (3, 1)] {
        replica.apply(OpenAdminSession { session: session(number, of) }).accepted().expect("signed in");
    }
    replica
}

fn revoke() -> Revoke {
    Revoke {
        scope: RevocationScope::Dn(ringwall_protocol::name::DnScope::Everyone),
        kinds: [TokenKind::Entitlement].into(),
        site: None,
        mode: RevocationMode::Cut,
        reason: "test".to_owned(),
    }
}

fn asked(number: u128, session: u128) -> AskApproval {
    let order = ProtectedOrder::RevokeTokens(revoke().into());
    AskApproval { id: id(number), order, summary: "revoke".to_owned(), session: session_id(session) }
}

fn approve(number: u128, session: u128) -> Command {
    let approve = ApproveOrder { order: id(number), session: session_id(session) };
    Command::Group(vec![approve.into(), revoke().into()])
}

fn refusal(replica: &mut Replica, command: Command) -> Rejection {
    match replica.refusal(command) {
        Rejection::InGroup { at: 0, why } => *why,
        other => other,
    }
}

fn waiting(replica: &Replica) -> Vec<Uuid> {
    replica.state.waiting_orders(replica.now).map(|one| one.id).collect()
}

#[test]
fn an_order_is_approved_once_in_time_and_never_by_the_one_who_asked() {
    let mut replica = signed_in();
    assert!(matches!(refusal(&mut replica, approve(1, 2)), Rejection::NotFound { .. }), "nobody asked");
    replica.apply(asked(1, 1)).accepted().expect("it waits");
    let kept = replica.state.waiting_order(id(1), replica.now).expect("kept").clone();
    assert_eq!((kept.asked_by, kept.expires_at), (user_dn(1), replica.now.plus(WAITS)));
    for session in [1, 3] {
        assert!(matches!(refusal(&mut replica, approve(1, session)), Rejection::Invalid { .. }), "session {session}");
    }
    let before = replica.state.revocations().iter().count();
    let Reply::Group(replies) = replica.apply(approve(1, 2)) else { panic!("approved") };
    assert!(matches!(replies[..], [Reply::Done, Reply::Revoked(_)]), "{replies:?}");
    assert_eq!(replica.state.revocations().iter().count(), before + 1);
    assert!(matches!(refusal(&mut replica, approve(1, 2)), Rejection::NotFound { .. }), "once");

    replica.apply(asked(2, 1)).accepted().expect("it waits");
    replica.now = replica.now.plus(WAITS);
    assert!(matches!(refusal(&mut replica, approve(2, 2)), Rejection::NotFound { .. }), "too late");
    assert_eq!(waiting(&replica), Vec::<Uuid>::new());
    let chores = replica.state.chores_due(replica.now);
    assert!(chores.contains(&WithdrawOrder { order: id(2) }.into()), "{chores:?}");
}

#[test]
fn what_an_order_comes_to_is_done_with_its_approval_or_it_goes_on_waiting() {
    let mut replica = signed_in();
    replica.apply(asked(1, 1)).accepted().expect("it waits");
    let approve = ApproveOrder { order: id(1), session: session_id(2) };
    let nothing = Revoke { kinds: Default::default(), ..revoke() };
    let refused = replica.refusal(Command::Group(vec![approve.into(), nothing.into()]));
    assert!(matches!(refused, Rejection::InGroup { at: 1, .. }), "{refused}");
    assert_eq!(waiting(&replica), [id(1)]);
}

#[test]
fn an_order_ends_with_the_session_that_asked_and_needs_the_one_that_approves() {
    let mut replica = signed_in();
    replica.apply(asked(1, 1)).accepted().expect("it waits");
    replica.apply(EndAdminSession { session: session_id(1) }).accepted().expect("signed out");
    assert!(matches!(refusal(&mut replica, approve(1, 2)), Rejection::NotFound { .. }));
    assert!(matches!(replica.refusal(asked(2, 1)), Rejection::NotFound { .. }), "nobody asks without a session");
    replica.apply(asked(2, 3)).accepted().expect("it waits");
    // Blocking a user ends his sessions: his approval counts for nothing from the same entry on.
    replica.apply(BlockUser { user: user_dn(2), reason: String::new() }).accepted().expect("blocked");
    assert!(matches!(refusal(&mut replica, approve(2, 2)), Rejection::NotFound { .. }));
    assert_eq!(waiting(&replica), [id(2)]);
    replica.apply(WithdrawOrder { order: id(2) }).accepted().expect("taken back");
    assert_eq!(waiting(&replica), Vec::<Uuid>::new());
}

#[test]
fn the_break_glass_session_asks_and_approves_nothing() {
    let mut replica = signed_in();
    let nobody = (UserId::new(Uuid::nil()), ProviderId::new(Uuid::nil()));
    let glass = AdminSession { user_id: nobody.0, provider_id: nobody.1, ..session(9, 9) };
    replica.apply(OpenAdminSession { session: glass }).accepted().expect("signed in");
    replica.apply(asked(1, 1)).accepted().expect("it waits");
    assert!(matches!(refusal(&mut replica, approve(1, 9)), Rejection::Invalid { .. }));
    replica.apply(asked(2, 9)).accepted().expect("it waits");
    replica.apply(approve(2, 2)).accepted().expect("approved");
}

#[test]
fn orders_that_wait_are_bounded_in_number_size_and_kind() {
    let mut replica = signed_in();
    let most = MAX_OF_ONE as u128;
    for number in 0..most {
        replica.apply(asked(number, 1)).accepted().expect("it waits");
    }
    assert!(matches!(replica.refusal(asked(0, 2)), Rejection::Exists { .. }), "an id is one order's");
    assert!(matches!(replica.refusal(asked(most, 3)), Rejection::TooMany { .. }), "of one, in all of his sessions");
    for number in most..MAX_WAITING as u128 {
        let of = 100 + number / most;
        drop(replica.apply(OpenAdminSession { session: session(of, of) }));
        replica.apply(asked(number, of)).accepted().expect("it waits");
    }
    assert!(matches!(replica.refusal(asked(1_000, 2)), Rejection::TooMany { .. }), "of all");
    replica.now = replica.now.plus(WAITS);
    replica.apply(asked(1_000, 2)).accepted().expect("those whose time is over give way");
    assert_eq!(waiting(&replica), [id(1_000)]);

    let ask = |order: ProtectedOrder, summary: String| AskApproval { order, summary, ..asked(2_000, 2) };
    let renew = ProtectedOrder::RenewBreakGlass;
    assert!(matches!(replica.refusal(ask(renew, "x".repeat(513))), Rejection::Invalid { .. }));
    let nested = ProtectedOrder::HandOnAuthority(Command::Group(vec![asked(2_001, 2).into()]));
    assert!(matches!(replica.refusal(ask(nested, String::new())), Rejection::Invalid { .. }));
    let mut user = user_object(7);
    user.first_name = "x".repeat(64 * 1024);
    let long = ProtectedOrder::HandOnAuthority(PutObject::new(user).into());
    assert!(matches!(replica.refusal(ask(long, String::new())), Rejection::Invalid { .. }));
}
