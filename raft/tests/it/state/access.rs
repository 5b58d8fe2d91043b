//! Who has authority and who is where: administrators' sessions, bindings of sessions to Gateways.

use std::time::Duration;

use proptest::prelude::*;
use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{AdminSessionId, LogIndex, SessionId, SignInId};
use ringwall_raft::state::admin_session::{AdminSession, EndAdminSession, OpenAdminSession, TouchAdminSession};
use ringwall_raft::state::binding::{BindSessions, Binding, EndSessions};
use ringwall_raft::state::blocklist::BlockUser;
use ringwall_raft::{Rejection, Reply};

use crate::fixture::*;

fn session() -> AdminSession {
    AdminSession {
        id: AdminSessionId::new(id(0xad)),
        user_id: user(1),
        provider_id: provider(),
        user: user_dn(1),
        roles: Default::default(),
        key: None,
        started_idx: LogIndex(1),
        created_at: START,
        last_used_at: START,
        expires_at: START.plus(Duration::from_secs(1_000_000)),
    }
}

#[test]
fn an_administrators_session_ends_idle_or_after_twelve_hours() {
    let mut replica = Replica::founded();
    replica.apply(OpenAdminSession { session: session() }).accepted().unwrap();
    let live =
        |replica: &Replica| replica.state.admin_session(session().id).is_some_and(|one| one.is_live(replica.now));
    for _ in 0..12 * 2 - 1 {
        replica.now = replica.now.plus(Duration::from_secs(1_800));
        assert!(live(&replica));
        replica.apply(TouchAdminSession { session: session().id }).accepted().unwrap();
    }
    replica.now = replica.now.plus(Duration::from_secs(1_800));
    assert!(!live(&replica), "twelve hours");
    assert!(matches!(replica.refusal(TouchAdminSession { session: session().id }), Rejection::NotFound { .. }));
    for chore in replica.state.chores_due(replica.now) {
        replica.apply(chore);
    }
    assert!(replica.state.admin_session(session().id).is_none());
    replica.apply(OpenAdminSession { session: session() });
    replica.now = replica.now.plus(Duration::from_secs(3_600));
    assert!(!live(&replica), "an hour without a request");
}

#[test]
fn a_blocked_administrator_gets_no_session() {
    let mut replica = Replica::founded();
    replica.apply(BlockUser { user: user_dn(1), reason: String::new() });
    assert_eq!(replica.refusal(OpenAdminSession { session: session() }), Rejection::Blocked);
    assert_eq!(replica.apply(EndAdminSession { session: session().id }), Reply::Done);
}

#[test]
fn a_cut_ends_the_sessions_of_the_administrators_concerned() {
    let mut replica = Replica::founded();
    let other = AdminSession { id: AdminSessionId::new(id(0xae)), user: user_dn(2), user_id: user(2), ..session() };
    replica.apply(OpenAdminSession { session: session() }).accepted().unwrap();
    replica.apply(OpenAdminSession { session: other.clone() }).accepted().unwrap();
    replica.apply(BlockUser { user: user_dn(1), reason: String::new() });
    assert!(replica.state.admin_session(session().id).is_none());
    assert!(replica.state.admin_session(other.id).is_some());
}

fn binding(at: u128, sign_in_idx: u64, connect_seq: u64) -> Binding {
    Binding {
        dn: dn(1, 1),
        site: site(),
        gateway: gateway(at),
        session: SessionId::new(id((u128::from(sign_in_idx) << 64) + u128::from(connect_seq))),
        sid: SignInId::new(id(u128::from(sign_in_idx))),
        sign_in_idx: LogIndex(sign_in_idx),
        connect_seq,
        since: START,
    }
}

proptest! {
    #[test]
    fn the_newest_connection_wins_whatever_the_order_of_reports(
        reports in prop::collection::vec((0u128..3, 0u64..4, 0u64..4), 1..20),
    ) {
        let newest = reports.iter().map(|(_, idx, seq)| (*idx, *seq)).max().unwrap();
        let mut replica = Replica::founded();
        for (at, idx, seq) in reports {
            replica.apply(BindSessions { bindings: vec![binding(at, idx, seq)] });
        }
        let bound = replica.state.binding(&dn(1, 1), site()).unwrap();
        prop_assert_eq!((bound.sign_in_idx.0, bound.connect_seq), newest);
    }
}

#[test]
fn the_gateway_that_lost_is_told_who_won() {
    let mut replica = Replica::founded();
    let reply = replica.apply(BindSessions { bindings: vec![binding(1, 5, 2), binding(2, 5, 1)] });
    assert_eq!(reply, Reply::Bound(vec![true, false]));
    let (_, events) = replica.apply_with_events(BindSessions { bindings: vec![binding(3, 5, 1)] });
    assert!(
        matches!(&events[0].event, FeedEvent::SessionBound { gateway: at, connect_seq: 2, .. } if *at == gateway(1))
    );
    assert_eq!(events[0].site, Some(site()));
    let late = EndSessions { ended: vec![(dn(1, 1), site(), binding(2, 5, 1).session)] };
    replica.apply(late);
    assert!(replica.state.binding(&dn(1, 1), site()).is_some(), "the loser's end is not the winner's");
    replica.apply(EndSessions { ended: vec![(dn(1, 1), site(), binding(1, 5, 2).session)] });
    assert_eq!(replica.state.bindings().count(), 0);
}
