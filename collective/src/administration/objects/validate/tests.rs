//! What is wrong with an object is named field by field.

use ringwall_protocol::object::ObjectKind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::administration::fixture::Fixture;
use crate::administration::objects::decode::Body;

const NEW: Uuid = Uuid::from_u128(0x9000_0000_0000_4000_8000_0000_0000_0001);

fn object(kind: ObjectKind, body: Value) -> Object {
    let Ok(mut body) = Body::new(body) else { panic!("no object") };
    drop(body.take_password());
    body.into_object(kind, NEW).unwrap_or_else(|errors| panic!("unreadable: {errors:?}"))
}

/// Fields that are refused, in order.
fn faults(state: &State, kind: ObjectKind, body: Value) -> Vec<String> {
    validate(&object(kind, body), None, state).into_errors().into_iter().map(|error| error.field).collect()
}

fn id_of(state: &State, kind: ObjectKind, name: &str) -> String {
    state.objects().named(kind, name).expect("a default object").object.id().to_string()
}

#[test]
fn what_a_founded_collective_begins_with_is_valid() {
    let state = Fixture::founded().state;
    for stored in state.objects().iter() {
        let errors = validate(&stored.object, Some(&stored.object), &state).into_errors();
        assert!(errors.is_empty(), "{} {:?}: {errors:?}", stored.object.kind(), stored.object.name());
    }
}

#[test]
fn all_wrong_fields_are_told_at_once() {
    let state = Fixture::founded().state;
    let body = json!({"name": " ", "tags": ["", "good"], "leaseSeconds": 3, "graceSeconds": 2, "witnesses": 3,
        "vpn": {"dtls": {"enabled": true}}, "networkSubnets": ["10.0.0.0/8", "10.1.2.3/8"], "fallbackSite": NEW,
        "nameResolution": {"dnsResolvers": [{"name": "", "updateInterval": 1, "matchDomains": ["a b"]}]}});
    let resolver = "nameResolution.dnsResolvers[0]";
    let expected = [
        "name".to_owned(),
        "tags[0]".to_owned(),
        "leaseSeconds".to_owned(),
        "graceSeconds".to_owned(),
        "witnesses".to_owned(),
        "fallbackSite".to_owned(),
        "vpn.dtls.enabled".to_owned(),
        "networkSubnets[1]".to_owned(),
        format!("{resolver}.name"),
        format!("{resolver}.updateInterval"),
        format!("{resolver}.matchDomains[0]"),
    ];
    assert_eq!(faults(&state, ObjectKind::Site, body), expected);
}

#[test]
fn entitlements_name_the_action_and_the_field_that_is_wrong() {
    let state = Fixture::founded().state;
    let site = id_of(&state, ObjectKind::Site, "default site");
    let with =
        |actions: Value, logic: &str| json!({"name": "e", "site": site, "conditionLogic": logic, "actions": actions});
    let good = json!([{"subtype": "tcp_up", "action": "allow", "hosts": ["10.0.0.1"], "ports": ["80"]}]);
    assert_eq!(faults(&state, ObjectKind::Entitlement, with(good.clone(), "and")), [""; 0]);
    assert_eq!(faults(&state, ObjectKind::Entitlement, with(good, "or")), ["conditions"]);
    assert_eq!(faults(&state, ObjectKind::Entitlement, with(json!([]), "and")), ["actions"]);
    let bad = json!([
        {"subtype": "http_up", "action": "allow", "hosts": ["10.0.0.1"]},
        {"subtype": "tcp_up", "action": "allow", "hosts": ["aws://tag:web"]},
        {"subtype": "udp_up", "action": "allow", "hosts": ["10.0.0.1"], "ports": ["99999"]},
    ]);
    let expected = ["actions[0].subtype", "actions[1].hosts", "actions[2].ports"];
    assert_eq!(faults(&state, ObjectKind::Entitlement, with(bad, "and")), expected);
    let named = json!([
        {"subtype": "tcp_up", "action": "allow", "hosts": ["dns://web.example", "*.corp.example"], "ports": ["80"]},
        {"subtype": "tcp_up", "action": "block", "hosts": ["dns://web.example"]},
        {"action": "exclude", "hosts": ["web.example"]},
    ]);
    assert_eq!(faults(&state, ObjectKind::Entitlement, with(named, "and")), ["actions[1].hosts", "actions[2].hosts"]);
    let doubtful = json!([{"subtype": "tcp_up", "action": "allow", "hosts": ["10.20.0.5/24", "10.0.0.1", "10.20.0.1-10", "10.20.0.x"]}]);
    let expected = ["actions[0].hosts[0]", "actions[0].hosts[2]", "actions[0].hosts[3]"];
    assert_eq!(faults(&state, ObjectKind::Entitlement, with(doubtful, "and")), expected);
    let many = |count: usize| {
        let hosts: Vec<String> = (0..count).map(|n| format!("h{n}.example")).collect();
        json!([{"subtype": "tcp_up", "action": "allow", "hosts": hosts, "ports": ["80"]}])
    };
    assert_eq!(faults(&state, ObjectKind::Entitlement, with(many(256), "and")), [""; 0]);
    assert_eq!(faults(&state, ObjectKind::Entitlement, with(many(257), "and")), ["actions"]);
    let nowhere = json!({"name": "e", "site": NEW, "conditions": [NEW],
        "actions": [{"subtype": "tcp_up", "action": "allow", "hosts": ["10.0.0.1"]}]});
    assert_eq!(faults(&state, ObjectKind::Entitlement, nowhere), ["site", "conditions[0]"]);
}

#[test]
fn interactions_want_what_the_api_says_and_a_provider_of_their_kind() {
    let state = Fixture::founded().state;
    let otp = id_of(&state, ObjectKind::MfaProvider, "one-time passwords");
    let local = id_of(&state, ObjectKind::IdentityProvider, "local");
    let with = |method: Value| json!({"name": "c", "expression": "true", "remedyMethods": [method]});
    let of = |method: Value| faults(&state, ObjectKind::Condition, with(method));
    assert_eq!(
        of(json!({"type": "OtpAuthentication", "message": "m", "claimSuffix": "s", "providerId": otp})),
        [""; 0]
    );
    assert_eq!(
        of(json!({"type": "PasswordAuthentication", "message": "m", "claimSuffix": "s", "providerId": local})),
        [""; 0]
    );
    assert_eq!(of(json!({"type": "DisplayMessage", "message": "m", "blocking": true})), [""; 0]);
    assert_eq!(
        of(json!({"type": "OtpAuthentication", "message": "m", "claimSuffix": "s", "providerId": local})),
        ["remedyMethods[0].providerId"]
    );
    assert_eq!(
        of(json!({"type": "Reason", "message": ""})),
        ["remedyMethods[0].message", "remedyMethods[0].claimSuffix"]
    );
    assert_eq!(
        of(json!({"type": "DisplayMessage", "message": "m", "claimSuffix": "s"})),
        ["remedyMethods[0].claimSuffix"]
    );
    assert_eq!(
        of(json!({"type": "Reason", "message": "m", "claimSuffix": "s", "blocking": true})),
        ["remedyMethods[0].blocking"]
    );
}

#[test]
fn expressions_and_schedules_are_compiled_before_they_are_saved() {
    let mut fixture = Fixture::founded();
    let condition = json!({"name": "c", "expression": "user.", "repeatSchedules": ["5m", "24:00", "2h"]});
    let expected = ["expression", "repeatSchedules[1]", "repeatSchedules[2]"];
    assert_eq!(faults(&fixture.state, ObjectKind::Condition, condition), expected);
    let policy = json!({"name": "p", "expression": "admins()"});
    assert_eq!(faults(&fixture.state, ObjectKind::Policy, policy.clone()), ["expression"]);
    fixture
        .put(object(ObjectKind::CriteriaScript, json!({"name": "admins", "expression": "user.username == \"root\""})));
    assert_eq!(faults(&fixture.state, ObjectKind::Policy, policy), [""; 0]);
    for name in ["has-hyphen", "hasMfa", "size", "2x"] {
        let script = json!({"name": name, "expression": "true"});
        assert_eq!(faults(&fixture.state, ObjectKind::CriteriaScript, script), ["name"], "{name}");
    }
}

#[test]
fn a_policy_holds_only_what_its_type_says() {
    let state = Fixture::founded().state;
    let role = id_of(&state, ObjectKind::AdministrativeRole, "system administration");
    let site = id_of(&state, ObjectKind::Site, "default site");
    let full = |kind: &str| {
        json!({"name": "p", "expression": "true", "type": kind, "entitlementLinks": ["web"], "overrideSite": site,
            "dnsSettings": [{"domain": "Default", "servers": ["10.0.0.53"]}], "administrativeRoles": [role], "stopMessage": "no"})
    };
    for (kind, refused) in [
        ("Mixed", &["stopMessage"][..]),
        ("Access", &["dnsSettings", "administrativeRoles", "stopMessage"]),
        ("Dns", &["entitlementLinks", "overrideSite", "administrativeRoles", "stopMessage"]),
        ("Admin", &["entitlementLinks", "overrideSite", "dnsSettings", "stopMessage"]),
        ("Stop", &["entitlementLinks", "overrideSite", "dnsSettings", "administrativeRoles"]),
    ] {
        assert_eq!(faults(&state, ObjectKind::Policy, full(kind)), refused, "{kind}");
    }
}

#[test]
fn pools_do_not_overlap_and_stay_in_their_family() {
    let state = Fixture::founded().state;
    let pool = |ranges: Value| json!({"name": "p", "ranges": ranges, "leaseTimeDays": 8});
    assert_eq!(faults(&state, ObjectKind::IpPool, pool(json!([{"cidr": "100.64.0.0/16"}]))), [""; 0]);
    let bad = json!([{"cidr": "100.64.0.0/16"}, {"first": "100.64.0.9", "last": "100.64.1.0"}, {"cidr": "fd00::/64"},
        {"first": "10.0.0.9", "last": "10.0.0.1"}, {"cidr": "10.99.1.0/24"}]);
    let expected = ["ranges[2]", "ranges[3]", "ranges[1]", "ranges[4]"];
    assert_eq!(faults(&state, ObjectKind::IpPool, pool(bad)), expected);
    let short = json!({"name": "p", "ranges": [], "leaseTimeDays": 7});
    assert_eq!(faults(&state, ObjectKind::IpPool, short), ["leaseTimeDays", "ranges"]);
}

#[test]
fn providers_users_roles_and_appliances_are_checked_too() {
    let state = Fixture::founded().state;
    let provider = json!({"name": "second", "type": "LocalDatabase", "userLockoutThreshold": 0, "deviceTakeover": "replaceWithMfa",
        "onDemandClaimMappings": [{"command": "runScript", "claimName": "x", "platform": "amiga"}]});
    let on_demand = "onDemandClaimMappings[0]";
    let expected = [
        "type".to_owned(),
        "userLockoutThreshold".to_owned(),
        "deviceTakeover".to_owned(),
        format!("{on_demand}.platform"),
        format!("{on_demand}.command"),
    ];
    assert_eq!(faults(&state, ObjectKind::IdentityProvider, provider), expected);
    assert!(faults(&state, ObjectKind::MfaProvider, json!({"name": "x", "type": "Fido2"})).is_empty());
    let sso = |issuer: &str, audience: &str| {
        json!({"name": "sso", "type": "Oidc", "issuer": issuer, "audience": audience, "usernameClaim": "",
            "trustedCertificates": ["no certificate"]})
    };
    assert_eq!(
        faults(&state, ObjectKind::IdentityProvider, sso("http://sso.example", " ")),
        ["issuer", "audience", "usernameClaim", "trustedCertificates"]
    );
    for issuer in ["https://", "https://me@sso.example", "https://sso.example/?x=1", "https://sso.example/#x", "sso"] {
        assert!(
            faults(&state, ObjectKind::IdentityProvider, sso(issuer, "id")).contains(&"issuer".to_owned()),
            "{issuer}"
        );
    }
    assert_eq!(
        faults(&state, ObjectKind::LocalUser, json!({"name": "u", "email": "nobody", "labels": {"a b": "c"}})),
        ["email", "labels.a b"]
    );
    let role = json!({"name": "r", "privileges": [
        {"type": "Revoke", "target": "Site", "scope": {"all": false}, "defaultTags": ["x"]}]});
    assert_eq!(
        faults(&state, ObjectKind::AdministrativeRole, role),
        ["privileges[0].scope", "privileges[0].defaultTags", "privileges[0].type"]
    );
    let appliance = json!({"name": "a", "controller": {"enabled": true}, "gateway": {"enabled": true, "vpn": {"weight": 20_000}},
        "clientInterface": {"addresses": ["nowhere"]}});
    let expected = ["gateway.enabled", "site", "gateway.vpn.weight", "clientInterface.addresses[0]"];
    assert_eq!(faults(&state, ObjectKind::Appliance, appliance), expected);
    let short = check_password("seven77", state.local_provider()).expect("too short");
    assert_eq!(short.field, "password");
    assert!(check_password("a wall with 1 door", state.local_provider()).is_none());
}

#[test]
fn attributes_that_name_no_members_and_domains_that_nothing_reads_are_refused() {
    let state = Fixture::founded().state;
    let wrong = |more: &[(&str, Value)]| {
        let mut corp = json!({"name": "corp", "type": "Ldap", "hostnames": ["ldap.example"], "port": 389, "allowPlain": true,
            "adminDistinguishedName": "cn=reader,dc=corp"});
        more.iter().for_each(|(field, value)| corp[*field] = value.clone());
        faults(&state, ObjectKind::IdentityProvider, corp)
    };
    assert_eq!(wrong(&[("memberAttribute", json!("memberUid")), ("signInDomains", json!(["CORP"]))]), [""; 0]);
    for attribute in ["memberOf", "primarygroupid", "gidNumber"] {
        assert_eq!(wrong(&[("memberAttribute", json!(attribute))]), ["memberAttribute"], "{attribute}");
    }
    let by_name = [("memberAttribute", json!("memberUid")), ("nestedGroups", json!("matchingRule"))];
    assert_eq!(wrong(&by_name), ["nestedGroups"]);
    assert_eq!(wrong(&[("signInDomains", json!(["corp.example", "@corp"]))]), ["signInDomains[1]"]);
    let many: Vec<String> = (0..17).map(|number| format!("d{number}")).collect();
    assert_eq!(wrong(&[("signInDomains", json!(many))]), ["signInDomains"]);
    let named = [("usernameAttribute", json!("userPrincipalName")), ("signInDomains", json!(["corp.example"]))];
    assert_eq!(wrong(&named), ["signInDomains"]);
}

#[test]
fn names_in_distinguished_names_and_kinds_of_providers_never_change() {
    let state = Fixture::founded().state;
    let local = &state.objects().named(ObjectKind::IdentityProvider, "local").expect("there").object;
    let mut renamed = local.clone();
    if let Object::IdentityProvider(provider) = &mut renamed {
        provider.base.name = "other".to_owned();
    }
    let fields: Vec<_> =
        validate(&renamed, Some(local), &state).into_errors().into_iter().map(|error| error.field).collect();
    assert_eq!(fields, ["name"]);
}

#[test]
fn a_saml_provider_is_refused_with_the_way_that_is_open() {
    let state = Fixture::founded().state;
    // As the vendor's tools send it: the type is what is wrong, not each of its fields.
    let saml = json!({"name": "sso", "type": "Saml", "issuer": "https://idp.example", "audience": "https://sp.example",
        "redirectUrl": "https://idp.example/sso", "providerCertificate": "-----BEGIN CERTIFICATE-----", "forceAuthn": true});
    let Ok(body) = Body::new(saml) else { panic!("no object") };
    let errors = body.into_object(ObjectKind::IdentityProvider, NEW).expect_err("refused");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].field == "type" && errors[0].message.contains("Connect the provider as Oidc"), "{errors:?}");
    // And where an object comes another way.
    let stored: ringwall_protocol::object::IdentityProvider =
        serde_json::from_value(json!({"id": NEW, "name": "sso", "type": "Saml"})).expect("an object");
    let errors = validate(&stored.into(), None, &state).into_errors();
    assert!(errors.iter().any(|error| error.field == "type" && error.message.contains("Oidc")), "{errors:?}");
}

#[test]
fn apps_that_entitlements_publish_are_links_and_no_scripts() {
    let state = Fixture::founded().state;
    let site = id_of(&state, ObjectKind::Site, "default site");
    let with = |name: &str, url: &str| {
        let actions = json!([{"subtype": "tcp_up", "action": "allow", "hosts": ["10.0.0.1"], "ports": ["80"]}]);
        let shortcuts = json!([{"name": name, "url": url}]);
        json!({"name": "e", "site": site, "actions": actions, "appShortcuts": shortcuts})
    };
    for url in ["https://web.corp.example/", "rdp://10.0.0.1", "mailto:desk@corp.example"] {
        assert_eq!(faults(&state, ObjectKind::Entitlement, with("Web", url)), [""; 0], "{url}");
    }
    let (long, url) = ("x".repeat(2_048), "appShortcuts[0].url");
    let long = format!("https://{long}");
    for bad in [
        "",
        "web.corp.example",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "https://a b",
        "https://a\n",
        &long,
    ] {
        assert_eq!(faults(&state, ObjectKind::Entitlement, with("Web", bad)), [url], "{bad:?}");
    }
    assert_eq!(faults(&state, ObjectKind::Entitlement, with(" ", "https://a")), ["appShortcuts[0].name"]);
}

#[test]
fn fields_that_nothing_reads_are_refused_by_name_unless_they_ask_for_nothing() {
    let state = Fixture::founded().state;
    let site = id_of(&state, ObjectKind::Site, "default site");
    let pools: Vec<String> = state.ip_pools().map(|pool| pool.base.id.to_string()).collect();
    let on_demand = |parameters: Value, command: &str| {
        json!({"name": "corp", "type": "Radius", "hostnames": ["radius.example"], "onDemandClaimMappings": [
            {"command": command, "claimName": "x", "platform": "all", "parameters": parameters}]})
    };
    let appliance = |more: Value| {
        let mut appliance = json!({"name": "c2", "controller": {"enabled": true}});
        appliance.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        appliance
    };
    let refused = [
        (ObjectKind::Site, "witnesses", json!({"name": "s", "witnesses": 2})),
        (ObjectKind::Site, "fallbackSite", json!({"name": "s", "fallbackSite": site})),
        (ObjectKind::Site, "vpn.dtls.enabled", json!({"name": "s", "vpn": {"dtls": {"enabled": true}}})),
        (
            ObjectKind::Site,
            "ipPoolMappings",
            json!({"name": "s", "ipPoolMappings": [{"from": pools[0], "to": pools[1]}]}),
        ),
        (ObjectKind::Policy, "type", json!({"name": "p", "expression": "true", "type": "Device"})),
        (ObjectKind::Appliance, "gateway.vpn.weight", appliance(json!({"gateway": {"vpn": {"weight": 7}}}))),
        (ObjectKind::Appliance, "site", appliance(json!({"site": site}))),
        (
            ObjectKind::IdentityProvider,
            "trustedCertificates",
            json!({"name": "corp", "type": "Ldap", "hostnames": ["ldap.example"], "port": 389, "allowPlain": true,
                "adminDistinguishedName": "cn=reader,dc=corp", "trustedCertificates": ["no PEM"]}),
        ),
        (
            ObjectKind::MfaProvider,
            "inputType",
            json!({"name": "push", "type": "Radius", "hostnames": ["radius.example"], "mode": "Push", "inputType": "Text"}),
        ),
        (
            ObjectKind::Appliance,
            "peerInterface.overrideSpaMode",
            appliance(json!({"peerInterface": {"overrideSpaMode": "TCP"}})),
        ),
        (
            ObjectKind::IdentityProvider,
            "minPasswordLength",
            json!({"name": "corp", "type": "Radius", "hostnames": ["radius.example"], "minPasswordLength": 8}),
        ),
        (
            ObjectKind::IdentityProvider,
            "onDemandClaimMappings[0].parameters.name",
            on_demand(json!({"path": "/etc/agent", "name": "agent"}), "fileExists"),
        ),
        (
            ObjectKind::IdentityProvider,
            "onDemandClaimMappings[0].command",
            on_demand(json!({"path": "/etc/agent"}), "fileCreated"),
        ),
    ];
    for (kind, field, body) in refused {
        let errors = validate(&object(kind, body), None, &state).into_errors();
        let error = errors.iter().find(|error| error.field == field).unwrap_or_else(|| panic!("{field}: {errors:?}"));
        assert!(!error.message.is_empty(), "{field}");
    }
    let neutral = json!({"name": "s", "witnesses": 1, "fallbackSite": null, "vpn": {"dtls": {"enabled": false}},
        "ipPoolMappings": []});
    assert_eq!(faults(&state, ObjectKind::Site, neutral), [""; 0]);
    let neutral = appliance(json!({"gateway": {"enabled": false, "vpn": {"weight": 100}}}));
    assert_eq!(faults(&state, ObjectKind::Appliance, neutral), [""; 0]);
}
