//! Entitlement tokens.

use ringwall_protocol::entitlement::Entitlement;
use ringwall_protocol::id::{ConditionId, SiteId};
use ringwall_protocol::object::Site;
use ringwall_protocol::policy::Policy;
use ringwall_protocol::wire::client::NoEntitlements;
use ringwall_protocol::wire::error::ErrorCode;
use serde_json::json;
use uuid::Uuid;

use crate::client::{Client, site_tokens};
use crate::devices::Captured;
use crate::harness::Lab;

/// Gives a user an entitlement with conditions at a new Site.
pub(crate) async fn grant(lab: &Lab, user: &str, conditions: &[ConditionId]) -> SiteId {
    let site: Site = lab
        .put(json!({
            "id": Uuid::new_v4(), "name": format!("site of {user} {}", Uuid::new_v4()),
            "networkSubnets": ["10.20.0.0/16"],
        }))
        .await;
    let entitlement: Entitlement = lab
        .put(json!({
            "id": Uuid::new_v4(), "name": format!("web of {user} {}", Uuid::new_v4()), "site": site.base.id,
            "conditions": conditions,
            "actions": [{ "subtype": "tcp_up", "action": "allow", "hosts": ["10.20.0.5"], "ports": ["443"] }],
        }))
        .await;
    let _: Policy = lab
        .put(json!({
            "id": Uuid::new_v4(), "name": format!("policy of {user} {}", Uuid::new_v4()), "type": "Access",
            "expression": format!("user.username == \"{user}\""), "entitlements": [entitlement.base.id],
        }))
        .await;
    site.base.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_site_gets_a_token_with_what_the_policies_give_there() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let sites = [grant(&lab, "alice", &[]).await, grant(&lab, "alice", &[]).await];
    grant(&lab, "bob", &[]).await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    let answer = alice.entitlements(at).await.ok();
    let tokens = site_tokens(&answer);
    let mut found: Vec<SiteId> = tokens.iter().map(|token| SiteId::new(token.head.aud)).collect();
    found.sort();
    let mut wanted = sites.to_vec();
    wanted.sort();
    assert_eq!(found, wanted);
    let claims = alice.claims_content();
    for token in &tokens {
        assert_eq!(token.head.cnf, claims.head.cnf);
        assert_eq!(token.head.sid, claims.head.sid);
        assert_eq!(token.claims_idx, claims.head.idx);
        assert!(token.head.idx >= claims.head.idx);
        assert_eq!(token.entitlements[0].actions[0].hosts, ["10.20.0.5"]);
        assert_eq!(token.routes.include, ["10.20.0.0/16".parse().expect("a network")]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_a_success_with_its_reason_and_a_stop_policy_ends_it_all() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    let reason = |answer: &serde_json::Value| serde_json::from_value::<NoEntitlements>(answer["reason"].clone()).ok();
    let answer = alice.entitlements(at).await.ok();
    assert_eq!(reason(&answer), Some(NoEntitlements::NoPolicyMatched));
    grant(&lab, "alice", &[]).await;
    assert_eq!(site_tokens(&alice.entitlements(at).await.ok()).len(), 1);
    let _: Policy = lab
        .put(json!({
            "id": Uuid::new_v4(), "name": "stop", "type": "Stop", "expression": "true", "stopMessage": "not today",
        }))
        .await;
    let answer = alice.entitlements(at).await.ok();
    assert_eq!(reason(&answer), Some(NoEntitlements::Stopped));
    assert_eq!(answer["message"], "not today");
    assert!(site_tokens(&answer).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_would_be_too_large_is_refused_and_the_operator_hears_which_policy_it_is() {
    let log = Captured::begin();
    let lab = Lab::start().await;
    lab.user("alice").await;
    let site = grant(&lab, "alice", &[]).await;
    let actions: Vec<_> = (0..250)
        .map(|n| json!({"subtype": "tcp_up", "action": "allow", "hosts": [format!("10.20.{}.5", n % 250)], "ports": ["443"]}))
        .collect();
    let mut heavy = Vec::new();
    for number in 0..20 {
        let entitlement: Entitlement = lab
            .put(json!({"id": Uuid::new_v4(), "name": format!("heavy {number}"), "site": site, "actions": actions}))
            .await;
        heavy.push(entitlement.base.id);
    }
    let _: Policy = lab
        .put(json!({"id": Uuid::new_v4(), "name": "gives far too much", "type": "Access", "expression": "true",
            "entitlements": heavy}))
        .await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    let answer = alice.entitlements(at).await;
    assert_eq!(answer.code(), ErrorCode::PolicyTooLarge);
    assert!(!answer.body.to_string().contains("gives far too much"), "users are not told of policies: {answer:?}");
    let text = log.text();
    assert!(text.contains("gives far too much") && text.contains("too large"), "{text}");
}
