//! What sign-ins leave in the state: transactions, one-time passwords, lock-outs.

use std::time::Duration;

use ringwall_protocol::id::{LogIndex, TransactionId};
use ringwall_raft::state::lockout::{ClearLockout, LockOut, LockoutSubject};
use ringwall_raft::state::secret::Sealed;
use ringwall_raft::state::security_key::{Permission, RegistrationCode};
use ringwall_raft::state::totp::{EnrolTotp, PermitTotp, PutTotpSeed, RemoveTotpSeed, UseTotpStep};
use ringwall_raft::state::transaction::{
    CountAttempt, DropTransactions, FinishTransaction, OpenTransaction, PAGE_LIFE, Transaction, TransactionKind,
    UpdateTransaction,
};
use ringwall_raft::{Rejection, Reply};

use crate::fixture::*;

fn transaction(number: u128) -> TransactionId {
    TransactionId::new(id(0x7000 + number))
}

fn open(number: u128, who: u128) -> OpenTransaction {
    OpenTransaction {
        transaction: Transaction {
            id: transaction(number),
            kind: TransactionKind::SignIn,
            user_id: user(who),
            provider_id: provider(),
            dn: dn(who, 1),
            device_id: device(1),
            key: key(1),
            profile_id: None,
            started_idx: LogIndex(1),
            factor_provider_id: id(5),
            interaction: None,
            provider_state: None,
            context: Some(Sealed::new(1, "context")),
            on_page: false,
            attempts: 77,
            expires_at: START.plus(Duration::from_secs(1_000_000)),
        },
    }
}

#[test]
fn a_user_has_at_most_three_open_transactions() {
    let mut replica = Replica::founded();
    for number in 0..3 {
        replica.apply(open(number, 1)).accepted().unwrap();
    }
    assert!(matches!(replica.refusal(open(3, 1)), Rejection::TooMany { .. }));
    replica.apply(open(4, 2)).accepted().expect("another user is not concerned");
    replica.now = replica.now.plus(Duration::from_secs(120));
    replica.apply(open(3, 1)).accepted().expect("expired ones do not count");
    assert!(replica.state.transaction(transaction(0)).is_none());
}

/// The same with a page, for which people have more time.
fn open_page(number: u128, who: u128) -> OpenTransaction {
    OpenTransaction { transaction: Transaction { on_page: true, ..open(number, who).transaction } }
}

#[test]
fn a_page_has_ten_minutes_and_is_not_prolonged() {
    let mut replica = Replica::founded();
    let update = |number| UpdateTransaction { transaction: transaction(number), provider_state: None, on_page: true };
    replica.apply(open_page(1, 1)).accepted().unwrap();
    replica.apply(open(2, 2)).accepted().unwrap();
    replica.now = START.plus(Duration::from_secs(60));
    // What began with something typed goes to a page: from then on it has a page's time, once.
    for _ in 0..2 {
        let Reply::Transaction(updated) = replica.apply(update(2)) else { panic!("not updated") };
        assert_eq!(updated.expires_at, START.plus(Duration::from_secs(60)).plus(PAGE_LIFE));
        replica.apply(update(1)).accepted().unwrap();
        replica.now = replica.now.plus(Duration::from_secs(60));
    }
    assert_eq!(replica.state.transaction(transaction(1)).unwrap().expires_at, START.plus(PAGE_LIFE));
    replica.now = START.plus(PAGE_LIFE);
    assert_eq!(replica.refusal(CountAttempt { transaction: transaction(1) }), Rejection::TransactionOver);
    replica.apply(CountAttempt { transaction: transaction(2) }).accepted().expect("it began later");
}

#[test]
fn a_page_that_was_left_gives_way_and_attempts_are_never_forgotten_by_it() {
    let mut replica = Replica::founded();
    for number in 0..5 {
        replica.apply(open_page(number, 1)).accepted().expect("the former page is given up");
    }
    assert!(replica.state.transaction(transaction(3)).is_none());
    replica.apply(CountAttempt { transaction: transaction(4) }).accepted().unwrap();
    replica.apply(open_page(5, 1)).accepted().unwrap();
    assert!(replica.state.transaction(transaction(4)).is_some(), "its attempt counts on");
    replica.apply(CountAttempt { transaction: transaction(5) }).accepted().unwrap();
    replica.apply(open(6, 1)).accepted().unwrap();
    assert!(matches!(replica.refusal(open_page(7, 1)), Rejection::TooMany { .. }));
    // What is typed gives no way: it would be a way to more tries.
    let mut replica = Replica::founded();
    for number in 0..3 {
        replica.apply(open(number, 1)).accepted().unwrap();
    }
    assert!(matches!(replica.refusal(open(3, 1)), Rejection::TooMany { .. }));
}

#[test]
fn attempts_are_counted_before_and_end_after_three() {
    let mut replica = Replica::founded();
    let Reply::Transaction(opened) = replica.apply(open(1, 1)) else { panic!("not opened") };
    assert_eq!((opened.attempts, opened.expires_at), (0, START.plus(Duration::from_secs(120))));
    for attempt in 1..=3 {
        let Reply::Transaction(counted) = replica.apply(CountAttempt { transaction: transaction(1) }) else {
            panic!("not counted")
        };
        assert_eq!(counted.attempts, attempt);
    }
    assert_eq!(replica.refusal(CountAttempt { transaction: transaction(1) }), Rejection::NoAttemptLeft);
}

#[test]
fn a_transaction_is_finished_once_and_not_after_its_end() {
    let mut replica = Replica::founded();
    replica.apply(open(1, 1));
    replica.apply(open(2, 1));
    let finish = |number| FinishTransaction { transaction: transaction(number) };
    replica.apply(finish(1)).accepted().unwrap();
    assert_eq!(replica.refusal(finish(1)), Rejection::TransactionOver);
    replica.apply(DropTransactions { transactions: vec![transaction(2)] });
    assert!(replica.state.transaction(transaction(2)).is_some(), "what lives is not dropped");
    replica.now = replica.now.plus(Duration::from_secs(120));
    assert_eq!(replica.refusal(finish(2)), Rejection::TransactionOver);
    for chore in replica.state.chores_due(replica.now) {
        replica.apply(chore);
    }
    assert!(replica.state.transaction(transaction(2)).is_none());
}

#[test]
fn a_one_time_password_is_accepted_once_and_never_an_older_one() {
    let mut replica = Replica::founded();
    assert!(matches!(replica.refusal(UseTotpStep { user: user(1), step: 1 }), Rejection::NotFound { .. }));
    replica.apply(PutTotpSeed { user: user(1), dn: user_dn(1), seed: Sealed::new(1, "seed") });
    assert!(replica.state.totp_seed(user(1)).is_some());
    assert_eq!(replica.apply(UseTotpStep { user: user(1), step: 100 }), Reply::Done);
    for step in [100, 99] {
        assert_eq!(replica.refusal(UseTotpStep { user: user(1), step }), Rejection::CodeUsed);
    }
    assert_eq!(replica.apply(UseTotpStep { user: user(1), step: 101 }), Reply::Done);
    replica.apply(RemoveTotpSeed { user: user(1) });
    assert!(replica.state.totp_seed(user(1)).is_none());
}

#[test]
fn a_seed_is_enrolled_once_with_the_code_that_permitted_it() {
    let mut replica = Replica::founded();
    let code = |number: u8| RegistrationCode::new([number; 32]);
    let enrol =
        |number: u8, step: u64| EnrolTotp { user: user(1), code: code(number), seed: Sealed::new(1, "seed"), step };
    assert!(matches!(replica.refusal(enrol(1, 7)), Rejection::NotFound { .. }));
    let not_after = replica.now.plus(Duration::from_secs(3_600));
    let permission = |number: u8| Permission { code: code(number), not_after };
    replica.apply(PermitTotp { user: user(1), dn: user_dn(1), permission: permission(1) });
    assert!(replica.state.totp_seed(user(1)).is_none(), "a permission is no seed");
    replica.apply(PermitTotp { user: user(1), dn: user_dn(1), permission: permission(2) });
    assert_eq!(replica.refusal(enrol(1, 7)), Rejection::CodeUsed, "a newer code voids the older");
    replica.apply(enrol(2, 7)).accepted().unwrap();
    assert_eq!(replica.refusal(UseTotpStep { user: user(1), step: 7 }), Rejection::CodeUsed, "what proved it is spent");
    assert_eq!(replica.refusal(enrol(2, 8)), Rejection::CodeUsed);
    replica.apply(PermitTotp { user: user(1), dn: user_dn(1), permission: permission(3) });
    replica.now = not_after;
    assert_eq!(replica.refusal(enrol(3, 9)), Rejection::CodeUsed, "too late");
    assert!(replica.state.totp_seed(user(1)).is_some(), "the former seed stays until another one is proved");
}

#[test]
fn lock_outs_double_up_to_an_hour_and_are_forgiven() {
    let mut replica = Replica::founded();
    replica.apply(register(1, 1)).accepted().unwrap();
    let subject = LockoutSubject { user: user_dn(1), device: None };
    let lock = || LockOut { subject: subject.clone(), base_minutes: 1 };
    let mut minutes = Vec::new();
    for _ in 0..8 {
        replica.apply(lock());
        let lockout = replica.state.locked_out(&subject, replica.now).expect("locked");
        assert_eq!(replica.apply(lock()), Reply::Done);
        assert_eq!(replica.state.locked_out(&subject, replica.now), Some(lockout), "a second report changes nothing");
        minutes.push(replica.now.until(lockout.until).as_secs() / 60);
        replica.now = lockout.until;
        assert!(replica.state.locked_out(&subject, replica.now).is_none());
    }
    assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
    let device = LockoutSubject { device: Some(device(1)), ..subject.clone() };
    assert!(replica.state.locked_out(&device, START).is_none(), "a registered device has its own");
    replica.apply(ClearLockout { subject: subject.clone() });
    replica.apply(lock());
    let lockout = replica.state.locked_out(&subject, replica.now).unwrap();
    assert_eq!(lockout.count, 1);
}

#[test]
fn invented_names_are_not_remembered_and_end_nobodys_lock_out() {
    let mut replica = Replica::founded();
    replica.apply(register(1, 1)).accepted().unwrap();
    let subject = |number| LockoutSubject { user: user_dn(number), device: None };
    let lock = |number| LockOut { subject: subject(number), base_minutes: 60 };
    replica.apply(lock(1)).accepted().unwrap();
    let held = replica.state.locked_out(&subject(1), replica.now).expect("locked");
    for invented in 2..1_000 {
        assert!(matches!(replica.refusal(lock(invented)), Rejection::NotFound { .. }));
    }
    assert_eq!(replica.state.lockouts().count(), 1);
    assert_eq!(replica.state.locked_out(&subject(1), replica.now), Some(held));
}

#[test]
fn when_all_places_are_taken_the_lock_out_that_ended_first_makes_room_and_none_that_holds() {
    const PLACES: u128 = 100_000;
    let mut replica = Replica::founded();
    replica.apply(register(1, 1)).accepted().unwrap();
    // Devices of one user take places as well; which of them exist is not looked at.
    let subject = |number: u128| LockoutSubject { user: user_dn(1), device: Some(device(number)) };
    let lock = |number| LockOut { subject: subject(number), base_minutes: 60 };
    for number in 0..PLACES {
        replica.apply(lock(number)).accepted().unwrap();
    }
    assert!(matches!(replica.refusal(lock(PLACES)), Rejection::TooMany { .. }), "all of them hold");
    assert!((0..PLACES).all(|number| replica.state.locked_out(&subject(number), replica.now).is_some()));
    replica.now = replica.now.plus(Duration::from_secs(3_600));
    replica.apply(lock(5)).accepted().unwrap();
    replica.apply(lock(PLACES)).accepted().expect("one has made room");
    assert_eq!(replica.state.lockouts().count(), 100_000);
    assert!(replica.state.locked_out(&subject(5), replica.now).is_some(), "not the one that holds");
}
