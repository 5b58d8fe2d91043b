//! Accounts that are closed by what their entries say, though the server would let them bind.

use ringwall_protocol::wire::error::ErrorCode;

use super::{claims, client, scene};
use crate::devices::Captured;
use crate::servers::slapd::PASSWORD;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_whose_entries_close_them_sign_nobody_in_and_operators_learn_why() {
    let log = Captured::begin();
    let (lab, _slapd, _admin, _) = scene(0).await;
    let at = lab.client_address(0);
    let wrong = client(&lab, "alice").try_sign_in(at, "a wrong password").await;
    for (user, why) in [
        ("oda", "the account has expired (shadowExpire)"),
        ("past", "the account has expired (accountExpires)"),
        ("disabled", "the account is disabled (userAccountControl)"),
        ("barred", "the account is disabled (loginDisabled)"),
    ] {
        let answer = client(&lab, user).try_sign_in(at, PASSWORD).await;
        assert_eq!((answer.status, &answer.body), (wrong.status, &wrong.body), "{user}: like a wrong password");
        assert!(log.text().contains(&format!("user={user} cause={why}")), "{user}");
    }
    for user in ["piet", "kept", "endless"] {
        claims(&lab, user).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_ends_with_the_account() {
    let (lab, slapd, _admin, _) = scene(0).await;
    let at = lab.client_address(0);
    for (user, attribute, value) in [
        ("kept", "shadowExpire", "1"),
        ("endless", "userAccountControl", "514"),
        ("anna", "loginDisabled", "TRUE"),
        ("alice", "pwdAccountLockedTime", "20260101000000Z"),
    ] {
        let mut client = client(&lab, user);
        let answer = client.try_sign_in(at, PASSWORD).await.ok();
        client.keep(&answer);
        let answer = client.try_certificate(at).await.ok();
        client.keep_certificate(&answer);
        client.renew(at).await.ok();
        slapd.set(user, attribute, value);
        assert_eq!(client.renew(at).await.code(), ErrorCode::TokenRevoked, "{user}");
    }
}
