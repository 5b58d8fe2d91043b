//! Revocations: cut-offs, their way to effect, and when they may be forgotten.

use std::time::Duration;

use proptest::prelude::*;
use ringwall_protocol::id::{LogIndex, TokenId};
use ringwall_protocol::name::DnScope;
use ringwall_protocol::object::GlobalSettings;
use ringwall_protocol::revocation::{
    RevocationIndex, RevocationMode, RevocationScope, Standing, TokenFacts, TokenKind,
};
use ringwall_raft::state::collective::ChangeSettings;
use ringwall_raft::state::revocation::{AdvanceRevocation, ForgetRevocation, KEPT, Revoke};
use ringwall_raft::{Rejection, Reply};

use crate::fixture::*;

fn revoke(scope: DnScope, mode: RevocationMode) -> Revoke {
    Revoke { scope: RevocationScope::Dn(scope), kinds: TokenKind::ALL.into(), site: None, mode, reason: String::new() }
}

fn standing(replica: &Replica, idx: u64) -> Standing {
    let dn = dn(1, 1);
    let id = TokenId::from_random([1; 16]);
    replica.state.revocations().standing(&TokenFacts {
        kind: TokenKind::Claims,
        dn: &dn,
        id,
        idx: LogIndex(idx),
        site: None,
    })
}

#[test]
fn the_index_of_the_entry_is_the_cut_off() {
    let mut replica = Replica::founded();
    let reply = replica.apply(revoke(DnScope::User(user_dn(1)), RevocationMode::Cut));
    let index = replica.state.index();
    assert_eq!(reply, Reply::Revoked(index));
    assert_eq!(standing(&replica, index.0 - 1), Standing::Revoked(index));
    assert_eq!(standing(&replica, index.0), Standing::Valid, "a sign-in after it works at once");
}

#[test]
fn renew_now_is_told_at_once_and_effective_after_twenty_seconds() {
    let mut replica = Replica::founded();
    replica.apply(revoke(DnScope::Everyone, RevocationMode::RenewNow));
    let index = replica.state.index();
    assert_eq!(standing(&replica, 0), Standing::RenewWanted(index));
    assert!(replica.state.revocations_due(replica.now.plus(Duration::from_millis(19_999))).is_empty());
    replica.now = replica.now.plus(Duration::from_secs(20));
    for due in replica.state.revocations_due(replica.now) {
        replica.apply(due);
    }
    assert_eq!(standing(&replica, 0), Standing::Revoked(index));
    assert!(replica.state.revocations_due(replica.now.plus(KEPT)).is_empty(), "nothing is left to do");
}

#[test]
fn a_window_is_told_in_slices_each_effective_after_its_delay() {
    let mut replica = Replica::founded();
    replica.apply(revoke(DnScope::Everyone, RevocationMode::RenewWindow { delay_seconds: 30, slices: 4 }));
    let index = replica.state.index();
    let start = replica.now;
    let mut seen = Vec::new();
    for seconds in 0..60 {
        replica.now = start.plus(Duration::from_secs(seconds));
        for due in replica.state.revocations_due(replica.now) {
            replica.apply(due);
        }
        let one = replica.state.revocations().find(index).unwrap();
        if seen.last() != Some(&(one.told, one.effective)) {
            seen.push((one.told, one.effective));
        }
    }
    assert_eq!(seen, [(1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (4, 2), (4, 3), (4, 4)]);
}

#[test]
fn a_revocation_never_moves_back_nor_beyond_its_slices() {
    let mut replica = Replica::founded();
    replica.apply(revoke(DnScope::Everyone, RevocationMode::RenewWindow { delay_seconds: 30, slices: 4 }));
    let revocation = replica.state.index();
    for (told, effective) in [(2, 1), (1, 0), (99, 99), (0, 0)] {
        replica.apply(AdvanceRevocation { revocation, told, effective });
    }
    let one = replica.state.revocations().find(revocation).unwrap();
    assert_eq!((one.told, one.effective), (4, 4));
    let unknown = AdvanceRevocation { revocation: LogIndex(9_999), told: 1, effective: 1 };
    assert!(matches!(replica.refusal(unknown), Rejection::NotFound { .. }));
}

#[test]
fn a_revocation_is_forgotten_only_when_nothing_can_be_older() {
    let mut replica = Replica::founded();
    replica.apply(revoke(DnScope::Everyone, RevocationMode::Cut));
    let revocation = replica.state.index();
    replica.now = replica.now.plus(KEPT);
    assert!(matches!(replica.refusal(ForgetRevocation { revocation }), Rejection::WrongState { .. }));
    replica.now = replica.now.plus(Duration::from_millis(1));
    assert_eq!(replica.state.chores_due(replica.now).len(), 1);
    for chore in replica.state.chores_due(replica.now) {
        replica.apply(chore);
    }
    assert!(replica.state.revocations().find(revocation).is_none());
    // Should there be a token from before, a clock was wrong: it stays void.
    assert_eq!(standing(&replica, 0), Standing::Revoked(revocation));
    assert_eq!(standing(&replica, replica.state.index().0), Standing::Valid);
    assert_eq!(replica.apply(ForgetRevocation { revocation }), Reply::Done, "twice is fine");
}

#[test]
fn shorter_lifetimes_do_not_make_a_revocation_forgotten_earlier() {
    let mut replica = Replica::founded();
    let long = GlobalSettings { claims_token_expiration: 24 * 60, ..GlobalSettings::default() };
    replica.apply(ChangeSettings { settings: long, expected_version: None }).accepted().unwrap();
    let minted = replica.state.index().0;
    replica.apply(revoke(DnScope::Everyone, RevocationMode::Cut));
    let revocation = replica.state.index();
    let short = GlobalSettings { claims_token_expiration: 15, entitlement_token_expiration: 15, ..Default::default() };
    replica.apply(ChangeSettings { settings: short, expected_version: None }).accepted().unwrap();
    // Tokens from before live for a day, however short tokens live from now on.
    let begun = replica.now;
    for hours in [1, 23, 24, 7 * 24] {
        replica.now = begun.plus(Duration::from_secs(hours * 3_600));
        assert!(replica.state.chores_due(replica.now).is_empty(), "after {hours} h");
        assert!(matches!(replica.refusal(ForgetRevocation { revocation }), Rejection::WrongState { .. }));
        assert_eq!(standing(&replica, minted), Standing::Revoked(revocation), "after {hours} h");
    }
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let mut replica = Replica::founded();
    let none = Revoke { kinds: Default::default(), ..revoke(DnScope::Everyone, RevocationMode::Cut) };
    assert!(matches!(replica.refusal(none), Rejection::Invalid { .. }));
    for slices in [0, 17_281] {
        let mode = RevocationMode::RenewWindow { delay_seconds: 1, slices };
        assert!(matches!(replica.refusal(revoke(DnScope::Everyone, mode)), Rejection::Invalid { .. }));
    }
}

fn scope() -> impl Strategy<Value = DnScope> {
    prop_oneof![
        Just(DnScope::Everyone),
        Just(DnScope::Provider("local".to_owned().try_into().unwrap())),
        (0u128..3).prop_map(|number| DnScope::User(user_dn(number))),
        (0u128..3, 0u128..2).prop_map(|(number, on)| DnScope::Device(dn(number, on))),
    ]
}

proptest! {
    /// The state's own index and the Gateways' table judge every token alike.
    #[test]
    fn the_state_judges_as_a_gateways_table_does(
        scopes in prop::collection::vec((scope(), 0u8..3), 0..12),
        number in 0u128..3, on in 0u128..2, idx in 0u64..16,
    ) {
        let mut replica = Replica::founded();
        for (scope, mode) in scopes {
            let mode = match mode {
                0 => RevocationMode::Cut,
                1 => RevocationMode::RenewNow,
                _ => RevocationMode::RenewWindow { delay_seconds: 5, slices: 3 },
            };
            replica.apply(revoke(scope, mode));
        }
        for due in replica.state.revocations_due(replica.now.plus(Duration::from_secs(11))) {
            replica.apply(due);
        }
        let table: RevocationIndex = replica.state.revocations().iter().cloned().collect();
        let dn = dn(number, on);
        let id = TokenId::from_random([1; 16]);
        let facts = TokenFacts { kind: TokenKind::Claims, dn: &dn, id, idx: LogIndex(idx), site: None };
        let kind = |standing| match standing {
            Standing::Valid => 0,
            Standing::RenewWanted(_) => 1,
            Standing::Revoked(_) => 2,
        };
        prop_assert_eq!(kind(replica.state.revocations().standing(&facts)), kind(table.standing(&facts)));
    }
}

#[test]
fn a_revocation_that_is_forgotten_too_early_revives_no_session() {
    let mut replica = Replica::founded();
    replica.apply(revoke(DnScope::User(user_dn(1)), RevocationMode::Cut));
    let index = replica.state.index();
    let forget = ForgetRevocation { revocation: index };
    assert!(matches!(replica.refusal(forget.clone()), Rejection::WrongState { .. }), "not by a clock that is right");
    // A leader whose clock is eight days ahead.
    replica.now = START.plus(Duration::from_secs(8 * 24 * 3600));
    let (reply, events) = replica.apply_with_events(forget);
    assert_eq!(reply, Reply::Done);
    assert!(events.iter().all(|scoped| scoped.site.is_none()), "every Site hears how far it goes");
    assert!(replica.state.revocations().find(index).is_none());
    assert_eq!(standing(&replica, index.0 - 1), Standing::Revoked(index), "as before");
    assert_eq!(standing(&replica, index.0), Standing::Valid);
}
