//! Each rule finds what it is for, and is silent where nothing is wrong.

use ringwall_protocol::entitlement::Entitlement;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::object::{GlobalSettings, IdentityProvider, Site};
use ringwall_protocol::policy::{Condition, CriteriaScript, Policy};
use ringwall_raft::state::collective::ChangeSettings;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::administration::fixture::Fixture;

fn id(n: u8) -> Uuid {
    Uuid::from_bytes([n; 16])
}

/// A Site with a network, an entitlement for everybody there, and nothing wrong but the missing Gateway.
struct Scene(Fixture);

impl Scene {
    fn new() -> Self {
        let mut fixture = Fixture::founded();
        let site = json!({"id": id(1), "name": "office", "networkSubnets": ["10.0.0.0/8"]});
        fixture.put(serde_json::from_value::<Site>(site).expect("a site"));
        Self(fixture)
    }

    fn condition(&mut self, n: u8, expression: &str, methods: Value) {
        let condition =
            json!({"id": id(n), "name": format!("c{n}"), "expression": expression, "remedyMethods": methods});
        self.0.put(serde_json::from_value::<Condition>(condition).expect("a condition"));
    }

    /// An entitlement with one action, given to everybody by its own policy.
    fn entitlement(&mut self, n: u8, action: Value, conditions: &[u8]) {
        let conditions: Vec<_> = conditions.iter().map(|n| id(*n)).collect();
        let entitlement = json!({"id": id(n), "name": format!("e{n}"), "site": id(1), "actions": [action],
            "conditions": conditions, "tags": [format!("t{n}")]});
        self.0.put(serde_json::from_value::<Entitlement>(entitlement).expect("an entitlement"));
    }

    fn policy(&mut self, n: u8, kind: &str, expression: &str, entitlements: &[u8]) {
        let entitlements: Vec<_> = entitlements.iter().map(|n| id(*n)).collect();
        let policy = json!({"id": id(n), "name": format!("p{n}"), "type": kind, "expression": expression,
            "entitlements": entitlements});
        self.0.put(serde_json::from_value::<Policy>(policy).expect("a policy"));
    }

    /// Rules that fired, with the names of the objects.
    fn found(&self) -> Vec<(String, String)> {
        findings(&self.0.state).into_iter().map(|finding| (finding.rule, finding.name)).collect()
    }

    fn finds(&self, rule: &str, name: &str) -> bool {
        self.found().contains(&(rule.to_owned(), name.to_owned()))
    }
}

fn tcp(action: &str, host: &str, port: &str) -> Value {
    json!({"subtype": "tcp_up", "action": action, "hosts": [host], "ports": [port]})
}

fn otp(suffix: &str) -> Value {
    json!([{"type": "OtpAuthentication", "message": "code?", "claimSuffix": suffix}])
}

#[test]
fn a_condition_that_never_tests_its_interactions_claim_is_found() {
    let mut scene = Scene::new();
    scene.condition(10, r#"hasMfa("vault", 60)"#, otp("vault"));
    scene.condition(11, r#"hasMfa("safe", 60)"#, otp("vault"));
    scene.condition(12, r#"hasPassword("vault", 60)"#, otp("vault"));
    assert!(!scene.finds("untested-interaction", "c10"));
    assert!(scene.finds("untested-interaction", "c11"));
    assert!(scene.finds("untested-interaction", "c12"), "another kind of answer is another claim");
}

#[test]
fn a_question_that_nobody_is_asked_is_found() {
    let mut scene = Scene::new();
    scene.condition(10, r#"hasReason("ticket", 60)"#, json!([]));
    assert!(scene.finds("unanswerable-question", "c10"));
    scene.condition(11, "true", json!([{"type": "Reason", "message": "why?", "claimSuffix": "ticket"}]));
    assert!(!scene.finds("unanswerable-question", "c10"), "another condition asks for it");
}

#[test]
fn ports_that_answer_anybody_are_found() {
    let mut scene = Scene::new();
    assert!(!scene.finds("open-ports", "controller-1"), "a new Collective is dark");
    for (mode, found) in [(SpaMode::Open, true), (SpaMode::Tcp, false)] {
        let settings = GlobalSettings { spa_mode: mode, ..scene.0.state.settings().clone() };
        scene.0.apply(ChangeSettings { settings, expected_version: None });
        assert_eq!(scene.finds("open-ports", "controller-1"), found, "{mode:?}");
    }
}

#[test]
fn an_interaction_whose_provider_is_gone_is_found() {
    let mut scene = Scene::new();
    let mut factor = otp("vault");
    let providers: Vec<_> = scene.0.state.mfa_providers().map(|provider| provider.base.id.uuid()).collect();
    factor[0]["providerId"] = json!(providers.first().expect("a founded Collective has one"));
    scene.condition(10, r#"hasMfa("vault", 60)"#, factor);
    assert!(!scene.finds("missing-provider", "c10"));
    // The API keeps references alive; what an older version left behind is told by the rule itself.
    let mut found = Found::default();
    let view = View { state: &scene.0.state, scripts: scripts(&scene.0.state) };
    answers::unusable_providers(&view, &mut found);
    assert!(found.0.is_empty());
    assert!(answers::is_missing(
        &scene.0.state,
        ringwall_protocol::interaction::InteractionKind::OtpAuthentication,
        id(99)
    ));
}

#[test]
fn an_entitlement_shadowed_by_another_is_found() {
    let mut scene = Scene::new();
    scene.entitlement(20, tcp("allow", "10.0.0.0/16", "1-1000"), &[]);
    scene.entitlement(21, tcp("allow", "10.0.1.1", "443"), &[]);
    scene.entitlement(22, tcp("allow", "10.1.0.0/16", "443"), &[]);
    scene.policy(30, "Access", "true", &[20, 21, 22]);
    assert!(scene.finds("shadowed-entitlement", "e21"));
    assert!(!scene.finds("shadowed-entitlement", "e20"));
    assert!(!scene.finds("shadowed-entitlement", "e22"));
    // Whoever has e21 by another policy does not have e20.
    scene.policy(31, "Access", r#"user.username == "bob""#, &[21]);
    assert!(!scene.finds("shadowed-entitlement", "e21"));
}

#[test]
fn an_entitlement_that_another_blocks_whole_is_found() {
    let mut scene = Scene::new();
    scene.entitlement(20, tcp("block", "10.0.1.0/24", "443"), &[]);
    scene.entitlement(21, tcp("allow", "10.0.1.0/24", "443"), &[]);
    scene.entitlement(22, tcp("allow", "10.0.1.7", "443"), &[]);
    scene.policy(30, "Access", "true", &[20, 21, 22]);
    assert!(scene.finds("shadowed-entitlement", "e21"));
    assert!(!scene.finds("shadowed-entitlement", "e22"), "the more specific allow wins");
}

#[test]
fn down_subtypes_behind_snat_are_found() {
    let mut scene = Scene::new();
    scene.entitlement(20, json!({"subtype": "tcp_down", "action": "allow", "hosts": ["10.0.0.1"]}), &[]);
    scene.entitlement(21, tcp("allow", "10.0.0.1", "80"), &[]);
    assert!(scene.finds("down-behind-snat", "e20"));
    assert!(!scene.finds("down-behind-snat", "e21"));
    let routed = json!({"id": id(1), "name": "office", "networkSubnets": ["10.0.0.0/8"], "vpn": {"snat": false}});
    scene.0.put(serde_json::from_value::<Site>(routed).expect("a site"));
    assert!(!scene.finds("down-behind-snat", "e20"));
}

#[test]
fn criteria_that_are_always_or_never_true_are_found() {
    let mut scene = Scene::new();
    scene.entitlement(20, tcp("allow", "10.0.0.1", "80"), &[]);
    scene.policy(30, "Access", r#"user.username == "a" && user.username == "b""#, &[20]);
    scene.policy(31, "Stop", r#""x" != "y""#, &[]);
    scene.policy(32, "Access", "true", &[20]);
    scene.policy(33, "Access", r#"user.username == "a""#, &[20]);
    scene.condition(10, "1 == 2", json!([]));
    for (rule, name, wanted) in [
        ("constant-criteria", "p30", true),
        ("constant-criteria", "p31", true),
        ("constant-criteria", "p32", false),
        ("constant-criteria", "p33", false),
        ("constant-condition", "c10", true),
    ] {
        assert_eq!(scene.finds(rule, name), wanted, "{rule} {name}: {:?}", scene.found());
    }
}

#[test]
fn claims_that_nobody_has_are_found() {
    let mut scene = Scene::new();
    scene.policy(30, "Access", r#"user.departmnt == "dev""#, &[]);
    scene.policy(31, "Access", r#""dev" in user.tags"#, &[]);
    assert!(scene.finds("unknown-claim", "p30"));
    assert!(!scene.finds("unknown-claim", "p31"));
}

#[test]
fn claims_that_a_directory_tells_or_a_script_computes_are_known() {
    let mut scene = Scene::new();
    scene.policy(30, "Access", r#""dev" in user.groups || "cn=dev" in user.groupDns"#, &[]);
    scene.policy(31, "Access", "user.level == 3", &[]);
    assert!(scene.finds("unknown-claim", "p30") && scene.finds("unknown-claim", "p31"));
    let directory = json!({"id": id(40), "name": "corp", "type": "Ldap", "hostnames": ["ldap.example"], "port": 636,
        "adminDistinguishedName": "cn=a", "claimScripts": [{"claimName": "level", "expression": "3"}]});
    scene.0.put(serde_json::from_value::<IdentityProvider>(directory).expect("a provider"));
    assert!(!scene.finds("unknown-claim", "p30") && !scene.finds("unknown-claim", "p31"), "{:?}", scene.found());
}

#[test]
fn an_entitlement_on_a_site_without_gateways_is_found() {
    let mut scene = Scene::new();
    scene.entitlement(20, tcp("allow", "10.0.0.1", "80"), &[]);
    assert!(scene.finds("site-without-gateway", "e20"));
}

#[test]
fn policies_that_give_nothing_are_found() {
    let mut scene = Scene::new();
    scene.entitlement(20, tcp("allow", "10.0.0.1", "80"), &[]);
    scene.policy(30, "Access", "true", &[]);
    scene.policy(31, "Access", "true", &[20]);
    scene.policy(32, "Stop", r#"user.username == "x""#, &[]);
    assert!(scene.finds("empty-policy", "p30"));
    assert!(!scene.finds("empty-policy", "p31") && !scene.finds("empty-policy", "p32"));
}

#[test]
fn hosts_that_no_client_routes_to_the_site_are_found() {
    let mut scene = Scene::new();
    scene.entitlement(20, tcp("allow", "192.0.2.1", "80"), &[]);
    scene.entitlement(21, tcp("allow", "10.0.0.1", "80"), &[]);
    scene.entitlement(22, tcp("block", "192.0.2.1", "80"), &[]);
    assert!(scene.finds("unrouted-host", "e20"));
    assert!(!scene.finds("unrouted-host", "e21"));
    assert!(!scene.finds("unrouted-host", "e22"), "what is blocked need not be reached");
}

#[test]
fn names_that_no_resolver_serves_are_found() {
    let mut scene = Scene::new();
    scene.entitlement(20, tcp("allow", "dns://web.corp.example", "443"), &[]);
    assert!(scene.finds("name-without-resolver", "e20"));
    let resolving = |domains: Value| {
        json!({"id": id(1), "name": "office", "networkSubnets": ["10.0.0.0/8"],
            "nameResolution": {"dnsResolvers": [{"name": "r", "servers": ["10.0.0.53"], "matchDomains": domains}]}})
    };
    scene.0.put(serde_json::from_value::<Site>(resolving(json!(["other.example"]))).expect("a site"));
    assert!(scene.finds("name-without-resolver", "e20"));
    scene.0.put(serde_json::from_value::<Site>(resolving(json!(["corp.example"]))).expect("a site"));
    assert!(!scene.finds("name-without-resolver", "e20"));
}

#[test]
fn what_nothing_uses_is_found() {
    let mut scene = Scene::new();
    scene.condition(10, r#"user.username == "a""#, json!([]));
    scene.condition(11, r#"user.username == "a""#, json!([]));
    scene.entitlement(20, tcp("allow", "10.0.0.1", "80"), &[11]);
    scene.entitlement(21, tcp("allow", "10.0.0.2", "80"), &[]);
    scene.policy(30, "Access", "called()", &[]);
    let script = |n: u8, name: &str| json!({"id": id(n), "name": name, "expression": "user.username == \"a\""});
    for (n, name) in [(40, "called"), (41, "idle")] {
        scene.0.put(serde_json::from_value::<CriteriaScript>(script(n, name)).expect("a script"));
    }
    let linked = json!({"id": id(31), "name": "p31", "type": "Access", "expression": "true",
        "entitlementLinks": ["t21", "nothing"]});
    scene.0.put(serde_json::from_value::<Policy>(linked).expect("a policy"));
    for (rule, name, wanted) in [
        ("unused-condition", "c10", true),
        ("unused-condition", "c11", false),
        ("unused-entitlement", "e20", true),
        ("unused-entitlement", "e21", false),
        ("unused-script", "idle", true),
        ("unused-script", "called", false),
        ("dangling-link", "p31", true),
    ] {
        assert_eq!(scene.finds(rule, name), wanted, "{rule} {name}: {:?}", scene.found());
    }
}

#[test]
fn a_new_collective_has_nothing_to_complain_of() {
    assert_eq!(findings(&Fixture::founded().state), []);
}

#[test]
fn sites_that_claim_the_same_and_pools_inside_a_site_are_found() {
    let mut scene = Scene::new();
    let site = |n: u8, name: &str, networks: Value, by_entitlement: bool| {
        serde_json::from_value::<Site>(json!({"id": id(n), "name": name, "networkSubnets": networks,
            "entitlementBasedRouting": by_entitlement}))
        .expect("a site")
    };
    scene.0.put(site(20, "branch a", json!(["192.168.1.0/24"]), false));
    scene.0.put(site(21, "branch c", json!(["192.168.1.0/24"]), true));
    let overlapping = ["equal-subnets", "equal-domains", "pool-in-site"];
    let rules = |scene: &Scene| -> Vec<(String, String)> {
        scene.found().into_iter().filter(|(rule, _)| overlapping.contains(&rule.as_str())).collect()
    };
    let pool = ("pool-in-site".to_owned(), "default pool v4".to_owned());
    assert_eq!(rules(&scene), std::slice::from_ref(&pool), "one is routed by its entitlements");
    scene.0.put(site(22, "branch b", json!(["192.168.1.0/24", "192.168.0.0/16"]), false));
    assert!(scene.finds("equal-subnets", "branch b") && !scene.finds("equal-subnets", "branch a"));
    assert_eq!(
        rules(&scene),
        [("equal-subnets".to_owned(), "branch b".to_owned()), pool],
        "one inside another is not equal"
    );

    scene.entitlement(30, tcp("allow", "domain://corp.example", "443"), &[]);
    scene.entitlement(31, tcp("allow", "domain://corp.example", "80"), &[]);
    assert!(!scene.finds("equal-domains", "e31"), "the same Site asks the same resolver");
    let elsewhere =
        json!({"id": id(32), "name": "e32", "site": id(20), "actions": [tcp("allow", "*.Corp.example", "443")]});
    scene.0.put(serde_json::from_value::<Entitlement>(elsewhere).expect("an entitlement"));
    assert!(scene.finds("equal-domains", "e32"));

    let mut scene = Scene::new();
    assert!(scene.finds("pool-in-site", "default pool v4"), "10.99.0.0/16 lies in 10.0.0.0/8");
    assert!(!scene.finds("pool-in-site", "default pool v6"));
    scene.0.put(site(1, "office", json!(["10.20.0.0/16"]), false));
    assert!(!scene.finds("pool-in-site", "default pool v4"));
}
