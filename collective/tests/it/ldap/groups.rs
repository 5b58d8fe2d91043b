//! Groups as POSIX directories and Active Directory have them: all of a user's, or a refusal.

use ringwall_protocol::wire::client::NoEntitlements;
use ringwall_protocol::wire::error::ErrorCode;
use serde_json::json;

use super::{change, claims, client, scene};
use crate::admin::Admin;
use crate::harness::Lab;
use crate::servers::slapd::{BOUNDED_READER, PASSWORD, SERVICE_PASSWORD};

const POSIX_TOO: &str = "(|(objectClass=groupOfNames)(objectClass=posixGroup))";

/// A sign-in that fails because the directory does not tell all, and what operators are told of it.
async fn refused(lab: &Lab, (admin, id): (&Admin, &str), user: &str, why: &str) {
    let answer = client(lab, user).try_sign_in(lab.client_address(0), PASSWORD).await;
    assert_eq!(answer.code(), ErrorCode::ProviderUnavailable, "{user}: {answer:?}");
    let asked = admin.post(&format!("/identity-providers/{id}/attributes"), &json!({"username": user})).await;
    assert_eq!(asked.status, 409, "{asked:?}");
    assert!(asked.body.to_string().contains(why), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posix_groups_count_and_a_stop_policy_on_one_hits() {
    let (lab, _slapd, admin, id) = scene(0).await;
    assert_eq!(claims(&lab, "piet").await.0["groups"], json!([]), "the filter says which entries are groups");
    change(&admin, &id, json!({"membershipFilter": POSIX_TOO})).await.ok();
    assert_eq!(claims(&lab, "piet").await.0["groups"], json!(["contractors", "primary"]));
    assert_eq!(claims(&lab, "alice").await.0["groups"], json!(["engineers", "everyone", "staff"]));
    let by_name = json!({"membershipFilter": "(objectClass=posixGroup)", "memberAttribute": "memberUid"});
    change(&admin, &id, by_name).await.ok();
    assert_eq!(claims(&lab, "piet").await.0["groups"], json!(["contractors", "primary"]));
    // The default of a provider that says nothing of groups.
    let default = json!({"membershipFilter": "(objectCategory=group)", "memberAttribute": "member"});
    change(&admin, &id, default).await.ok();
    assert_eq!(claims(&lab, "piet").await.0["groups"], json!(["contractors", "primary"]));
    let mut nowhere = admin.get(&format!("/identity-providers/{id}")).await.ok();
    nowhere["membershipBaseDn"] = json!("ou=people,dc=corp,dc=example");
    let tested = admin.post("/identity-providers/test", &nowhere).await.ok();
    assert!(tested["error"].as_str().is_some_and(|error| error.contains("matches no entry")), "{tested}");
    let stop = json!({"name": "no contractors", "type": "Stop", "expression": "\"contractors\" in user.groups",
        "stopMessage": "not today"});
    admin.create("policies", stop).await;
    let at = lab.client_address(0);
    let mut piet = client(&lab, "piet");
    let answer = piet.try_sign_in(at, PASSWORD).await.ok();
    piet.keep(&answer);
    let answer = piet.try_certificate(at).await.ok();
    piet.keep_certificate(&answer);
    let answer = piet.entitlements(at).await.ok();
    let reason = serde_json::from_value::<NoEntitlements>(answer["reason"].clone()).ok();
    assert_eq!(reason, Some(NoEntitlements::Stopped), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_group_counts_and_the_groups_that_it_is_in() {
    let (lab, _slapd, admin, id) = scene(0).await;
    let all = json!(["domain users", "household"]);
    assert_eq!(claims(&lab, "anna").await.0["groups"], all);
    change(&admin, &id, json!({"nestedGroups": "direct"})).await.ok();
    assert_eq!(claims(&lab, "anna").await.0["groups"], json!(["domain users"]));
    // slapd does not have the rule, and says so by finding nothing.
    change(&admin, &id, json!({"nestedGroups": "matchingRule"})).await.ok();
    assert_eq!(claims(&lab, "anna").await.0["groups"], all);
    assert_eq!(claims(&lab, "alice").await.0["groups"], json!(["engineers", "everyone", "staff"]));
    refused(&lab, (&admin, &id), "untold", "let adminDistinguishedName read objectSid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_that_are_not_told_completely_are_a_refusal_with_its_reason() {
    let (lab, _slapd, admin, id) = scene(0).await;
    change(&admin, &id, json!({"membershipFilter": POSIX_TOO})).await.ok();
    change(&admin, &id, json!({"membershipBaseDn": "ou=split,dc=corp,dc=example"})).await.ok();
    refused(&lab, (&admin, &id), "piet", "ldap://child.corp.example/ou=elsewhere").await;
    let bounded = json!({"membershipBaseDn": "ou=groups,dc=corp,dc=example", "adminDistinguishedName": BOUNDED_READER,
        "adminPassword": SERVICE_PASSWORD});
    change(&admin, &id, bounded).await.ok();
    refused(&lab, (&admin, &id), "piet", "size limit was exceeded (result code 4)").await;
    // Whoever is in one group is told completely.
    change(&admin, &id, json!({"nestedGroups": "direct"})).await.ok();
    assert_eq!(claims(&lab, "alice").await.0["groups"], json!(["engineers"]));
}
