//! Who has authority and who is where: administrators' sessions, bindings of sessions to Gateways.

use std::time::Duration;

use proptest::prelude::*;
use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{AdminSessionId, LogIndex, SessionId, SignInId, SiteId};
use ringwall_protocol::object::GlobalSettings;
use ringwall_raft::state::admin_session::{
    AdminSession, EndAdminSession, EndAdminSessionsOf, MAX_SESSIONS_OF_ONE, OpenAdminSession, TouchAdminSession,
};
use ringwall_raft::state::binding::{
    BindSessions, Binding, EndSessions, EndedSession, MAX_BOUND, MAX_BOUND_PER_GATEWAY,
};
use ringwall_raft::state::blocklist::BlockUser;
use ringwall_raft::state::collective::ChangeSettings;
use ringwall_raft::state::local_password::{PasswordHash, SetLocalPassword};
use ringwall_raft::state::object::PutObject;
use ringwall_raft::state::secret::Sealed;
use ringwall_raft::state::security_key::RemoveSecurityKeys;
use ringwall_raft::state::totp::{PutTotpSeed, RemoveTotpSeed};
use ringwall_raft::{Command, Rejection, Reply};

use crate::fixture::*;
use crate::replicas::world;

fn session() -> AdminSession {
    AdminSession {
        id: AdminSessionId::new(id(0xad)),
        user_id: user(1),
        provider_id: provider(),
        dn: dn(1, 1),
        claims: None,
        key: Some(key(1)),
        source: [192, 0, 2, 1].into(),
        started_idx: LogIndex(1),
        created_at: START,
        last_used_at: START,
        expires_at: START.plus(Duration::from_secs(1_000_000)),
    }
}

fn is_live(replica: &Replica, id: AdminSessionId) -> bool {
    let session = replica.state.admin_session(id);
    session.is_some_and(|one| one.is_live(replica.state.settings(), replica.now))
}

#[test]
fn an_administrators_session_ends_idle_or_after_twelve_hours() {
    let mut replica = Replica::founded();
    replica.apply(OpenAdminSession { session: session() }).accepted().unwrap();
    let live = |replica: &Replica| is_live(replica, session().id);
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
    let other = AdminSession { id: AdminSessionId::new(id(0xae)), dn: dn(2, 2), user_id: user(2), ..session() };
    replica.apply(OpenAdminSession { session: session() }).accepted().unwrap();
    replica.apply(OpenAdminSession { session: other.clone() }).accepted().unwrap();
    replica.apply(BlockUser { user: user_dn(1), reason: String::new() });
    assert!(replica.state.admin_session(session().id).is_none());
    assert!(replica.state.admin_session(other.id).is_some());
}

#[test]
fn a_bearer_tokens_session_is_idle_as_soon_as_the_settings_say() {
    let mut replica = Replica::founded();
    let bearer = AdminSession { key: None, ..session() };
    replica.apply(OpenAdminSession { session: bearer.clone() }).accepted().unwrap();
    replica.now = replica.now.plus(Duration::from_secs(15 * 60 - 1));
    assert!(is_live(&replica, bearer.id));
    replica.now = replica.now.plus(Duration::from_secs(1));
    assert!(!is_live(&replica, bearer.id), "15 minutes by default");
    let settings = GlobalSettings { bearer_idle_minutes: 60, ..replica.state.settings().clone() };
    replica.apply(ChangeSettings { settings: settings.clone(), expected_version: None }).accepted().unwrap();
    assert!(is_live(&replica, bearer.id));
    for minutes in [4, 61] {
        let settings = GlobalSettings { bearer_idle_minutes: minutes, ..settings.clone() };
        let refused = replica.refusal(ChangeSettings { settings, expected_version: None });
        assert!(matches!(refused, Rejection::Invalid { field, .. } if field == "bearerIdleMinutes"));
    }
}

#[test]
fn the_oldest_session_of_an_administrator_gives_way_and_nobody_elses() {
    let mut replica = Replica::founded();
    let other = AdminSession { id: AdminSessionId::new(id(0xae)), dn: dn(2, 2), user_id: user(2), ..session() };
    replica.apply(OpenAdminSession { session: other.clone() }).accepted().unwrap();
    let nth = |number: u128| AdminSession { id: AdminSessionId::new(id(0x100 + number)), ..session() };
    for number in 0..u128::try_from(MAX_SESSIONS_OF_ONE).unwrap() + 3 {
        replica.now = replica.now.plus(Duration::from_secs(1));
        replica.apply(OpenAdminSession { session: nth(number) }).accepted().unwrap();
    }
    let mine = replica.state.admin_sessions().filter(|one| one.user_id == user(1)).count();
    assert_eq!(mine, MAX_SESSIONS_OF_ONE);
    assert!((0..3).all(|number| replica.state.admin_session(nth(number).id).is_none()), "the oldest");
    assert!(replica.state.admin_session(nth(3).id).is_some());
    assert!(replica.state.admin_session(other.id).is_some());
}

#[test]
fn whatever_proved_an_administrator_ends_his_sessions_when_it_changes() {
    let hash = |text: &str| PasswordHash::new(format!("$argon2id${text}"));
    let mut other_factor = provider_object(100);
    other_factor.min_password_length = 20;
    let mut closed = provider_object(100);
    closed.admin_provider = true;
    let changes: Vec<(&str, bool, Command)> = vec![
        ("password", true, SetLocalPassword { user: user(1), hash: hash("new"), must_change: false }.into()),
        ("seed", true, PutTotpSeed { user: user(1), dn: user_dn(1), seed: Sealed::new(1, "seed") }.into()),
        ("seed taken away", true, RemoveTotpSeed { user: user(1) }.into()),
        ("keys taken away", true, RemoveSecurityKeys { user: user(1) }.into()),
        ("provider opened to administrators", true, PutObject::new(closed).into()),
        ("secret of the provider", true, EndAdminSessionsOf { provider: provider().uuid() }.into()),
        ("blocked", true, BlockUser { user: user_dn(1), reason: String::new() }.into()),
        ("what proves nobody", false, PutObject::new(other_factor).into()),
        (
            "another user's password",
            false,
            SetLocalPassword { user: user(2), hash: hash("x"), must_change: false }.into(),
        ),
    ];
    for (what, ends, change) in changes {
        let mut replica = Replica::founded();
        for number in [1, 2] {
            replica.apply(PutObject::new(user_object(number)));
        }
        replica.apply(OpenAdminSession { session: session() }).accepted().unwrap();
        replica.apply(change).accepted().unwrap();
        assert_eq!(replica.state.admin_session(session().id).is_none(), ends, "{what}");
    }
}

fn binding(at: u128, sign_in_idx: u64, connect_seq: u64) -> Binding {
    Binding {
        dn: dn(1, 1),
        user_id: user(1),
        site: site(),
        gateway: gateway(at),
        session: SessionId::new(id((u128::from(sign_in_idx) << 64) + u128::from(connect_seq))),
        sid: SignInId::new(id(u128::from(sign_in_idx))),
        sign_in_idx: LogIndex(sign_in_idx),
        connect_seq,
        since: START,
        proof: proof(),
        key: key(9),
    }
}

/// Two Gateways, and a device that is registered with the key of [`binding`].
fn registered() -> Replica {
    let mut replica = world();
    replica.apply(register(1, 1)).accepted().unwrap();
    replica
}

proptest! {
    #[test]
    fn the_newest_connection_wins_whatever_the_order_of_reports(
        reports in prop::collection::vec((1u128..3, 0u64..4, 0u64..4), 1..20),
    ) {
        let newest = reports.iter().map(|(_, idx, seq)| (*idx, *seq)).max().unwrap();
        let mut replica = registered();
        for (at, idx, seq) in reports {
            replica.apply(BindSessions { bindings: vec![binding(at, idx, seq)] });
        }
        let bound = replica.state.binding(&dn(1, 1), site()).unwrap();
        prop_assert_eq!((bound.sign_in_idx.0, bound.connect_seq), newest);
    }
}

#[test]
fn the_gateway_that_lost_is_told_who_won() {
    let mut replica = registered();
    let reply = replica.apply(BindSessions { bindings: vec![binding(1, 5, 2), binding(2, 5, 1)] });
    assert_eq!(reply, Reply::Bound(vec![true, false]));
    let (_, events) = replica.apply_with_events(BindSessions { bindings: vec![binding(2, 5, 0)] });
    assert!(
        matches!(&events[0].event, FeedEvent::SessionBound { gateway: at, connect_seq: 2, .. } if *at == gateway(1))
    );
    assert_eq!(events[0].site, Some(site()));
    replica.apply(EndSessions { ended: vec![ended(2, binding(2, 5, 1).session)] });
    assert!(replica.state.binding(&dn(1, 1), site()).is_some(), "the loser's end is not the winner's");
    replica.apply(EndSessions { ended: vec![ended(2, binding(1, 5, 2).session)] });
    assert!(replica.state.binding(&dn(1, 1), site()).is_some(), "nor does another Gateway end it");
    replica.apply(EndSessions { ended: vec![ended(1, binding(1, 5, 2).session)] });
    assert_eq!(replica.state.bindings().count(), 0);
}

fn ended(at: u128, session: SessionId) -> EndedSession {
    EndedSession { dn: dn(1, 1), site: site(), gateway: gateway(at), session }
}

#[test]
fn only_a_registered_devices_own_key_binds_a_session() {
    let mut replica = registered();
    let true_one = || binding(1, 5, 1);
    let forged = vec![
        Binding { dn: dn(1, 2), ..true_one() },
        Binding { dn: dn(2, 1), ..true_one() },
        Binding { user_id: user(2), ..true_one() },
        Binding { key: key(8), ..true_one() },
        Binding { gateway: gateway(3), ..true_one() },
        Binding { site: SiteId::new(id(0x52)), ..true_one() },
    ];
    let count = forged.len();
    let (reply, events) = replica.apply_with_events(BindSessions { bindings: forged });
    assert_eq!(reply, Reply::Bound(vec![false; count]));
    assert!(events.is_empty(), "no Gateway hears of them");
    assert_eq!(replica.state.bindings().count(), 0);
    assert_eq!(replica.apply(BindSessions { bindings: vec![true_one()] }), Reply::Bound(vec![true]));
}

#[test]
fn a_gateway_binds_no_more_sessions_than_it_can_have_and_old_ones_are_dropped() {
    let mut replica = registered();
    let count = u128::from(MAX_BOUND_PER_GATEWAY) + 1;
    let bound = |who: u128| Binding { dn: dn(who, 1), user_id: user(who), ..binding(1, 5, 1) };
    let mut won = 0;
    for first in (1..=count).step_by(MAX_BOUND) {
        let users = first..(first + MAX_BOUND as u128).min(count + 1);
        users.clone().for_each(|who| drop(replica.apply(register(who, 1))));
        let Reply::Bound(some) = replica.apply(BindSessions { bindings: users.map(bound).collect() }) else {
            panic!("not bound")
        };
        won += some.into_iter().filter(|won| *won).count();
    }
    assert_eq!(won, MAX_BOUND_PER_GATEWAY as usize);
    let again = Binding { gateway: gateway(2), connect_seq: 2, ..bound(1) };
    assert_eq!(replica.apply(BindSessions { bindings: vec![again] }), Reply::Bound(vec![true]), "another has room");
    assert_eq!(replica.apply(BindSessions { bindings: vec![bound(count)] }), Reply::Bound(vec![true]), "one has left");
    let due = replica.state.chores_due(START.plus(Duration::from_secs(8 * 24 * 3600)));
    assert!(due.iter().any(|command| matches!(command, Command::EndSessions(_))), "nothing lives for eight days");
}
