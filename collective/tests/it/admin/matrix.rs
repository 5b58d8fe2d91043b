//! Every operation of the admin API beside every privilege: the one that it names opens it, everything else together
//! does not, and neither does the same privilege for other objects.

use std::collections::BTreeSet;

use ringwall_collective::{ACTIONS, TARGETS, applies};
use ringwall_protocol::object::role::{PrivilegeTarget as T, PrivilegeType as A};
use serde_json::{Value, json};

use super::Admin;
use super::objects::samples;
use crate::harness::Lab;

/// What opens an operation.
enum Opens {
    /// Any one of these.
    One(&'static [(A, T)]),
    /// A privilege on a whole target only: it cannot be given for some objects.
    Whole(A, T),
}

/// An operation, and how it is called with something valid enough to come to the question of privileges.
struct Operation {
    method: &'static str,
    /// As the API describes it.
    path: String,
    /// What stands for `{id}` or `{dn}`.
    subject: String,
    body: Value,
    opens: Opens,
}

/// Operations that want no privilege: before a session, about one's own, and the names of claims. What may be approved follows
/// from the order that waits (`only_whoever_could_give_an_order_himself_sees_and_approves_it`).
const OPEN: [(&str, &str); 16] = [
    ("get", "/version"),
    ("get", "/openapi.json"),
    ("get", "/identity-providers/names"),
    ("post", "/login"),
    ("post", "/authentication"),
    ("post", "/authentication/otp/initialize"),
    ("post", "/authentication/otp"),
    ("get", "/authorization"),
    ("post", "/authorization"),
    ("post", "/authentication/logout"),
    ("post", "/authentication/knock-key"),
    ("get", "/claims/names"),
    ("get", "/administrator-sessions"),
    ("get", "/approvals"),
    ("post", "/approvals/{id}"),
    ("delete", "/approvals/{id}"),
];
/// A user and a device that nobody has: whoever may ask hears that they are not there.
const USER: &str = "CN%3Dnobody%2COU%3Dlocal";
const DEVICE: &str = "CN%3D4c07bc6757ea42ddb702c2d6c45419fc%2CCN%3Dnobody%2COU%3Dlocal";
/// An id that nothing has.
const NOTHING: &str = "0190a000-0000-7000-8000-00000000dead";
/// Whoever may see objects of any kind may ask what is wrong with those.
const SEES_OBJECTS: [(A, T); 12] = [
    (A::View, T::Appliance),
    (A::View, T::Condition),
    (A::View, T::CriteriaScript),
    (A::View, T::Entitlement),
    (A::View, T::AdministrativeRole),
    (A::View, T::IdentityProvider),
    (A::View, T::MfaProvider),
    (A::View, T::IpPool),
    (A::View, T::LocalUser),
    (A::View, T::Policy),
    (A::View, T::Site),
    (A::View, T::ClientProfile),
];

/// The founder, and an administrator whose only role changes from question to question.
struct Scene {
    root: Admin,
    clerk: Admin,
    role: String,
}

impl Scene {
    async fn start(lab: &Lab) -> Self {
        let root = Admin::root(lab).await;
        root.create("local-users", json!({"name": "clerk", "password": "a clerk's password"})).await;
        let nothing = json!({"name": "changing", "privileges": [privilege(A::View, T::AuditLog)]});
        let role = root.create("administrative-roles", nothing).await;
        let policy = json!({"name": "clerks", "type": "Admin", "expression": "user.username == \"clerk\"",
            "administrativeRoles": [role]});
        root.create("policies", policy).await;
        let clerk = Admin::signed_in(lab, "clerk", "a clerk's password").await;
        Self { root, clerk, role }
    }

    /// The clerk holds exactly these from now on.
    async fn hold(&self, privileges: Vec<Value>) {
        let role = json!({"name": "changing", "privileges": privileges});
        self.root.put(&format!("/administrative-roles/{}", self.role), &role).await.ok();
    }

    async fn call(&self, operation: &Operation) -> super::caller::Reply {
        let path = operation.path.replace("{id}", &operation.subject).replace("{dn}", &operation.subject);
        let body = if operation.method == "get" { String::new() } else { operation.body.to_string() };
        self.clerk.call(&operation.method.to_uppercase(), &path, &body).await
    }

    async fn judge(&self, operation: &Operation) {
        let told = format!("{} {}", operation.method, operation.path);
        let whole = [match &operation.opens {
            Opens::Whole(action, target) => (*action, *target),
            Opens::One(some) => some[0],
        }];
        let openers = if let Opens::One(some) = &operation.opens { *some } else { &whole };

        self.hold(everything_but(openers)).await;
        let refused = self.call(operation).await;
        assert_eq!((refused.status, refused.body["id"].as_str()), (403, Some("forbidden")), "{told}: {refused:?}");

        for (action, target) in openers {
            self.hold(vec![elsewhere(*action, *target)]).await;
            let outside = self.call(operation).await;
            let nothing = outside.body["data"].as_array().or(outside.body["findings"].as_array());
            let nothing = nothing.is_some_and(Vec::is_empty);
            let by_class = matches!(operation.opens, Opens::One(_)) && is_a_question(&operation.path);
            assert!([403, 404].contains(&outside.status) || nothing || by_class, "{told} from afar: {outside:?}");
        }
    }

    /// Once it was judged: with the privilege alone it is carried out, or fails for what it asks and not for who asks.
    async fn open(&self, operation: &Operation) {
        let told = format!("{} {}", operation.method, operation.path);
        let whole;
        let openers: &[(A, T)] = match &operation.opens {
            Opens::One(some) => some,
            Opens::Whole(action, target) => {
                whole = [(*action, *target)];
                &whole
            }
        };
        for (action, target) in openers {
            // Whoever names a Site holds something on it too (T66).
            let site = if *target == T::Appliance { A::Edit } else { A::View };
            self.hold(vec![privilege(*action, *target), privilege(site, T::Site)]).await;
            let answer = self.call(operation).await;
            assert!(![401, 403].contains(&answer.status) && answer.status < 500, "{told}: {answer:?}");
            let nothing = operation.path.contains("{dn}") || operation.subject == NOTHING;
            assert!(answer.status != 404 || nothing, "{told}: {answer:?}");
        }
    }
}

/// Operations that judge what they are given, and show no object: a privilege for some objects is enough.
fn is_a_question(path: &str) -> bool {
    path.ends_with("/test") || path == "/lint" || path == "/collective/status"
}

fn privilege(action: A, target: T) -> Value {
    json!({"type": action, "target": target})
}

fn elsewhere(action: A, target: T) -> Value {
    json!({"type": action, "target": target, "scope": {"all": false, "tags": ["elsewhere"]}})
}

/// All privileges that can be named one by one, without these.
fn everything_but(missing: &[(A, T)]) -> Vec<Value> {
    let (mut all, concerned): (Vec<Value>, BTreeSet<T>) =
        (Vec::new(), missing.iter().map(|(_, target)| *target).collect());
    for target in TARGETS.into_iter().filter(|target| *target != T::All) {
        if !concerned.contains(&target) {
            all.push(privilege(A::All, target));
            continue;
        }
        let others = ACTIONS
            .into_iter()
            .filter(|action| *action != A::All && applies(*action, target) && !missing.contains(&(*action, target)));
        all.extend(others.map(|action| privilege(action, target)));
    }
    all
}

/// Operations on no object of a kind.
fn special(profile: &str, provider: &str, gateway: &str) -> Vec<Operation> {
    let with = |method, path: &str, subject: &str, body: Value, opens| Operation {
        method,
        path: path.to_owned(),
        subject: subject.to_owned(),
        body,
        opens,
    };
    let plain = |method, path, opens| with(method, path, "", json!({}), opens);
    let whole = |action, target| Opens::Whole(action, target);
    let blocked = json!({"userDistinguishedName": "CN=nobody,OU=local"});
    let question = json!({"user": "CN=plain,OU=local", "destination": "10.20.0.10:80"});
    let mut all = vec![
        with("delete", "/administrator-sessions/{id}", NOTHING, json!({}), whole(A::Delete, T::AdministratorSession)),
        plain("post", "/break-glass/renew", whole(A::All, T::All)),
        plain("get", "/collective/waiting", whole(A::View, T::ControllerAdmission)),
        with(
            "post",
            "/collective/waiting/{id}/admit",
            NOTHING,
            json!({"fingerprint": "ab".repeat(32)}),
            whole(A::Admit, T::ControllerAdmission),
        ),
        with("delete", "/collective/waiting/{id}", NOTHING, json!({}), whole(A::Admit, T::ControllerAdmission)),
        plain("get", "/global-settings", whole(A::View, T::GlobalSetting)),
        plain("put", "/global-settings", whole(A::Edit, T::GlobalSetting)),
        plain("delete", "/global-settings", whole(A::Edit, T::GlobalSetting)),
        with(
            "post",
            "/apply",
            "",
            json!({"dryRun": true, "objects": [{"kind": "Site", "object": {"name": "applied"}}]}),
            Opens::One(&[(A::Create, T::Site)]),
        ),
        plain("get", "/on-boarded-devices", whole(A::View, T::RegisteredDevice)),
        with(
            "post",
            "/on-boarded-devices/revoke-tokens",
            "",
            json!({"distinguishedNameFilter": "CN=nobody"}),
            whole(A::Revoke, T::RegisteredDevice),
        ),
        with(
            "post",
            "/on-boarded-devices/reevaluate/{dn}",
            DEVICE,
            json!({}),
            whole(A::Reevaluate, T::RegisteredDevice),
        ),
        with(
            "post",
            "/on-boarded-devices/revoke-spa-key/{dn}",
            DEVICE,
            json!({}),
            whole(A::Revoke, T::RegisteredDevice),
        ),
        with("get", "/on-boarded-devices/{dn}", DEVICE, json!({}), whole(A::View, T::RegisteredDevice)),
        with("delete", "/on-boarded-devices/{dn}", DEVICE, json!({}), whole(A::Delete, T::RegisteredDevice)),
        plain("get", "/blacklist", whole(A::View, T::Blacklist)),
        with("post", "/blacklist", "", blocked, whole(A::Create, T::Blacklist)),
        with("delete", "/blacklist/{dn}", USER, json!({}), whole(A::Delete, T::Blacklist)),
        plain("get", "/stats/active-sessions/dn", whole(A::View, T::SessionInfo)),
        plain("get", "/stats/active-sessions/dashboard", whole(A::View, T::SessionInfo)),
        with("get", "/session-info/{dn}", DEVICE, json!({}), whole(A::View, T::SessionInfo)),
        plain("get", "/otp/seeds", whole(A::View, T::OtpSeed)),
        with(
            "post",
            "/otp/seeds",
            "",
            json!({"userDistinguishedName": "CN=plain,OU=local"}),
            whole(A::Create, T::OtpSeed),
        ),
        with("delete", "/otp/seeds/{dn}", USER, json!({}), whole(A::Delete, T::OtpSeed)),
        with(
            "post",
            "/otp/enrolments",
            "",
            json!({"userDistinguishedName": "CN=plain,OU=local"}),
            whole(A::Create, T::OtpSeed),
        ),
        plain("get", "/fido2-devices", whole(A::View, T::OtpSeed)),
        with(
            "post",
            "/fido2-devices/registrations",
            "",
            json!({"userDistinguishedName": "CN=plain,OU=local"}),
            whole(A::Create, T::OtpSeed),
        ),
        with("delete", "/fido2-devices/{dn}", USER, json!({}), whole(A::Delete, T::OtpSeed)),
        with(
            "post",
            "/client-profiles/{id}/on-boarding",
            profile,
            json!({"validityHours": 1}),
            Opens::One(&[(A::Export, T::ClientProfile)]),
        ),
        plain("get", "/appliances/status", Opens::One(&[(A::CheckStatus, T::Appliance), (A::View, T::Appliance)])),
        with("post", "/appliances/{id}/export", gateway, json!({}), Opens::One(&[(A::Export, T::Appliance)])),
        with("post", "/appliances/{id}/suspend", gateway, json!({}), Opens::One(&[(A::Edit, T::Appliance)])),
        with("post", "/appliances/{id}/resume", gateway, json!({}), Opens::One(&[(A::Edit, T::Appliance)])),
        with("post", "/appliances/{id}/retire", gateway, json!({}), Opens::One(&[(A::Delete, T::Appliance)])),
        plain("get", "/sites/status", Opens::One(&[(A::CheckStatus, T::Site), (A::View, T::Site)])),
        plain("get", "/collective/status", Opens::One(&[(A::CheckStatus, T::Appliance), (A::View, T::Appliance)])),
        plain("post", "/collective/rotate-keys", whole(A::Edit, T::Appliance)),
        plain("post", "/collective/end-former-keys", whole(A::Edit, T::Appliance)),
        with("post", "/collective/transfer", "", json!({"node": 9_999}), whole(A::Edit, T::Appliance)),
        with("post", "/explain", "", question, whole(A::View, T::SessionInfo)),
        plain("post", "/identity-providers/test", Opens::One(&[(A::Test, T::IdentityProvider)])),
        with(
            "post",
            "/identity-providers/{id}/attributes",
            provider,
            json!({"username": "plain"}),
            Opens::One(&[(A::GetUserAttributes, T::IdentityProvider)]),
        ),
        plain("post", "/mfa-providers/test", Opens::One(&[(A::Test, T::MfaProvider)])),
        plain("post", "/simulate", whole(A::View, T::SessionInfo)),
        plain("get", "/lint", Opens::One(&SEES_OBJECTS)),
        plain("post", "/lint", Opens::One(&SEES_OBJECTS)),
        with(
            "post",
            "/conditions/test",
            "",
            json!({"expression": "true"}),
            Opens::One(&[(A::Test, T::Condition), (A::Test, T::Policy), (A::Test, T::CriteriaScript)]),
        ),
    ];
    for form in ["url", "barcode", "email", "page"] {
        let path = format!("/client-profiles/{{id}}/{form}");
        all.push(with("get", &path, profile, json!({}), Opens::One(&[(A::Export, T::ClientProfile)])));
    }
    all
}

/// The five operations on a kind of objects.
fn of_objects(collection: &'static str, id: &str, body: &Value, another: Value) -> Vec<Operation> {
    macro_rules! opens {
        ($($collection:literal $target:ident,)*) => {
            match collection {
                $($collection => [
                    Opens::One(&[(A::View, T::$target)]), Opens::One(&[(A::Create, T::$target)]),
                    Opens::One(&[(A::View, T::$target)]), Opens::One(&[(A::Edit, T::$target)]),
                    Opens::One(&[(A::Delete, T::$target)]),
                ],)*
                other => panic!("{other} has no target"),
            }
        };
    }
    let opens = opens! {
        "sites" Site, "appliances" Appliance, "entitlements" Entitlement, "conditions" Condition,
        "criteria-scripts" CriteriaScript, "policies" Policy, "identity-providers" IdentityProvider,
        "mfa-providers" MfaProvider, "local-users" LocalUser, "ip-pools" IpPool, "client-profiles" ClientProfile,
        "administrative-roles" AdministrativeRole,
    };
    let (all, one) = (format!("/{collection}"), format!("/{collection}/{{id}}"));
    let calls = [
        ("get", &all, json!({})),
        ("post", &all, another),
        ("get", &one, json!({})),
        ("put", &one, body.clone()),
        ("delete", &one, json!({})),
    ];
    let operation = |((method, path, body), opens): ((&'static str, &String, Value), Opens)| Operation {
        method,
        path: path.clone(),
        subject: id.to_owned(),
        body,
        opens,
    };
    calls.into_iter().zip(opens).map(operation).collect()
}

/// The same under another name, without what may be there once only.
fn another(collection: &str, body: &Value) -> Value {
    let mut other = body.clone();
    other["name"] = "another".into();
    match collection {
        "ip-pools" => other["ranges"] = json!([{"cidr": "100.99.0.0/16"}]),
        // A role hands on nothing that its maker does not hold.
        "administrative-roles" => other["privileges"] = json!([privilege(A::Create, T::AdministrativeRole)]),
        _ => {}
    }
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_wants_exactly_the_privilege_that_it_names() {
    let lab = Lab::start().await;
    let scene = Scene::start(&lab).await;
    let root = &scene.root;
    root.create("local-users", json!({"name": "plain", "password": "a plain password"})).await;
    let mut made: Vec<(&'static str, String, Value)> = Vec::new();
    let radius =
        json!({"name": "radius", "type": "Radius", "hostnames": ["192.0.2.9"], "sharedSecret": "between us two"});
    made.push(("identity-providers", root.create("identity-providers", radius.clone()).await, radius));
    for at in 0..samples(|_| Value::Null).len() {
        let known = made.clone();
        let refer = |collection: &str| {
            known.iter().find(|(one, ..)| *one == collection).map_or(Value::Null, |(_, id, _)| id.as_str().into())
        };
        let (collection, mut body, _) = samples(refer).swap_remove(at);
        if collection == "administrative-roles" {
            body["privileges"] = json!([privilege(A::Edit, T::AdministrativeRole)]);
        }
        made.push((collection, root.create(collection, body.clone()).await, body));
    }
    let of = |collection: &str| &made.iter().find(|(one, ..)| *one == collection).expect("made").1;
    let mut operations = special(of("client-profiles"), of("identity-providers"), of("appliances"));
    // What depends on others goes first: the last operation on each is its deletion.
    for (collection, id, body) in made.iter().rev() {
        operations.extend(of_objects(collection, id, body, another(collection, body)));
    }
    let described = Admin::stranger(&lab, 0).get("/openapi.json").await.ok();
    for (path, item) in described["paths"].as_object().expect("paths") {
        for method in ["get", "post", "put", "delete"].into_iter().filter(|method| item[*method].is_object()) {
            let judged = operations.iter().any(|one| one.method == method && one.path == *path);
            assert!(judged || OPEN.contains(&(method, path.as_str())), "nobody judges {method} {path}");
        }
    }
    for operation in &operations {
        scene.judge(operation).await;
        scene.open(operation).await;
    }
}
