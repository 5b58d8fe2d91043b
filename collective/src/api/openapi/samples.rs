//! One sample of everything that the admin API takes or gives; tests hold them against the types.

use ringwall_protocol::object::ObjectKind;
use serde_json::{Value, json};

const ID: &str = "4c07bc67-57ea-42dd-b702-c2d6c45419fc";
const TIME: &str = "2026-11-22T12:00:00.000Z";
const DEVICE_DN: &str = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local";
const USER_DN: &str = "CN=alice,OU=local";

/// Name of a kind's schema.
pub(super) const fn name(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Site => "Site",
        ObjectKind::Appliance => "Appliance",
        ObjectKind::Entitlement => "Entitlement",
        ObjectKind::Condition => "Condition",
        ObjectKind::CriteriaScript => "CriteriaScript",
        ObjectKind::Policy => "Policy",
        ObjectKind::IdentityProvider => "IdentityProvider",
        ObjectKind::MfaProvider => "MfaProvider",
        ObjectKind::LocalUser => "LocalUser",
        ObjectKind::IpPool => "IpPool",
        ObjectKind::ClientProfile => "ClientProfile",
        ObjectKind::AdministrativeRole => "AdministrativeRole",
    }
}

/// A sample object, with every field that can be set.
pub(super) fn object(kind: ObjectKind) -> Value {
    let mut sample = own_fields(kind);
    if let Some(fields) = sample.as_object_mut() {
        let base =
            json!({"id": ID, "name": "example", "notes": "", "tags": ["production"], "created": TIME, "updated": TIME});
        fields.extend(base.as_object().cloned().unwrap_or_default());
    }
    sample
}

fn own_fields(kind: ObjectKind) -> Value {
    match kind {
        ObjectKind::Site => json!({
            "description": "", "networkSubnets": ["10.0.0.0/16"], "entitlementBasedRouting": false, "fallbackSite": ID,
            "vpn": {"snat": true, "dtls": {"enabled": false}},
            "nameResolution": {"dnsResolvers": [{"name": "dns", "updateInterval": 60, "queryAAAA": true,
                "servers": ["10.0.0.53"], "matchDomains": ["corp.example"]}]},
            "ipPoolMappings": [{"from": ID, "to": ID}], "leaseSeconds": 15, "graceSeconds": 60, "witnesses": 1,
        }),
        ObjectKind::Appliance => json!({
            "hostname": "gw1.example", "site": ID, "controller": {"enabled": false},
            "gateway": {"enabled": true, "vpn": {"weight": 100}},
            "clientInterface": {"addresses": ["gw1.example:443"], "overrideSpaMode": "TCP"},
            "peerInterface": {"addresses": ["c1.example:444"], "overrideSpaMode": "TCP"}, "activated": false, "state": "inactive",
        }),
        ObjectKind::Entitlement => json!({
            "disabled": false, "site": ID, "conditionLogic": "and", "conditions": [ID],
            "actions": [{"subtype": "tcp_up", "action": "allow", "hosts": ["10.0.0.0/24", "dns://web.corp.example", "*.corp.example"], "ports": ["80", "8000-8080"], "types": []}],
            "appShortcuts": [{"name": "Web", "url": "https://web.corp.example", "description": ""}],
        }),
        ObjectKind::Condition => json!({
            "expression": "hasMfa(\"payroll\", 30)", "repeatSchedules": ["15m", "13:32"], "remedyLogic": "and",
            "remedyMethods": [{"type": "OtpAuthentication", "message": "A one-time password, please.", "claimSuffix": "payroll", "providerId": ID, "blocking": false}],
        }),
        ObjectKind::CriteriaScript => json!({ "expression": "\"admins\" in user.groups" }),
        ObjectKind::Policy => json!({
            "disabled": false, "expression": "user.team == \"research\"", "type": "Mixed", "entitlements": [ID],
            "entitlementLinks": ["web"], "overrideSite": ID, "overrideSiteClaim": "claims.user.office",
            "dnsSettings": [{"domain": "corp.example", "servers": ["10.0.0.53"]}], "administrativeRoles": [ID],
            "stopMessage": "Not today.",
        }),
        ObjectKind::IdentityProvider => json!({
            "type": "LocalDatabase", "ipPoolV4": ID, "ipPoolV6": ID, "deviceLimitPerUser": 100,
            "onBoarding2FA": {"mfaProviderId": ID, "message": "", "claimSuffix": "onBoarding", "alwaysRequired": false},
            "adminProvider": true, "userLockoutThreshold": 5, "userLockoutDurationMinutes": 1, "minPasswordLength": 8,
            "claimMappings": [{"attributeName": "mail", "claimName": "email", "list": false}],
            "onDemandClaimMappings": [{"command": "fileExists", "claimName": "agent", "parameters": {"name": null, "path": "/etc/agent"}, "platform": "desktop.linux.all"}],
            "claimScripts": [{"claimName": "senior", "expression": "\"staff\" in user.groups"}], "deviceTakeover": "refuse",
        }),
        ObjectKind::MfaProvider => json!({ "type": "DefaultTimeBased" }),
        ObjectKind::LocalUser => json!({
            "firstName": "", "lastName": "", "email": "", "phone": "", "disabled": false, "labels": {"team": "research"},
            "password": "write only",
        }),
        ObjectKind::IpPool => json!({
            "ipVersion6": false, "ranges": [{"cidr": "10.99.0.0/16"}], "excludedRanges": [{"first": "10.99.0.1", "last": "10.99.0.9"}],
            "leaseTimeDays": 30,
        }),
        ObjectKind::ClientProfile => json!({
            "spaKeyName": "", "identityProvider": ID, "hostname": "sdp.example:443",
            "furtherHostnames": ["sdp2.example:443"], "enrolment": true, "keyGeneration": 0, "formerKeyHours": 720,
        }),
        ObjectKind::AdministrativeRole => json!({
            "privileges": [{"type": "View", "target": "Site", "scope": {"all": false, "ids": [ID], "tags": ["eu"]}, "defaultTags": []}],
        }),
    }
}

/// Samples of everything else that has a name.
pub(super) fn wire() -> Vec<(&'static str, Value)> {
    let device = json!({"distinguishedName": DEVICE_DN, "deviceId": ID, "username": "alice", "providerName": "local",
        "device_type": "Client", "hostname": "laptop", "onBoardedAt": TIME, "lastSeenAt": TIME});
    let at_site = json!({"sessionId": ID, "siteId": ID, "siteName": "office", "gatewayId": ID, "gatewayName": "gw1", "since": TIME,
        "clientAddress": "192.0.2.1:40000", "tunnelAddresses": ["10.99.0.7"], "entitlements": [{"id": ID, "name": "web", "open": true,
        "failedConditions": [ID]}], "rules": 3});
    let privilege = json!({"type": "View", "target": "Site", "scope": {"all": true, "ids": [ID], "tags": ["eu"]}, "defaultTags": ["eu"]});
    vec![
        (
            "Error",
            json!({"id": "validation", "message": "", "errors": [{"field": "name", "message": "is missing"}],
            "minSupportedVersion": 18, "maxSupportedVersion": 24}),
        ),
        (
            "List",
            json!({"data": [{}], "range": "0-10/54", "totalCount": 54, "orderBy": "name", "descending": false,
            "queries": ["web"], "filterBy": [{"name": "tags", "value": "eu"}]}),
        ),
        ("Version", json!({"peerVersion": 24, "lowestPeerVersionSupported": 18})),
        ("Login", json!({"providerName": "local", "username": "admin", "password": "write only", "deviceId": ID})),
        (
            "LoginAnswer",
            json!({"user": {"name": "admin", "needTwoFactorAuth": false, "canAccessAuditLogs": true,
            "privileges": [privilege]}, "token": "opaque", "expires": TIME, "messageOfTheDay": ""}),
        ),
        ("KnockKey", json!({"knockKey": "96 bytes, base64url"})),
        ("Otp", json!({"otp": "123456"})),
        ("Initialize", json!({"enrolmentCode": "base64url"})),
        (
            "FactorOffer",
            json!({"type": "Secret", "secret": "GEZDGNBVGY3TQOJQ", "otpAuthUrl": "otpauth://totp/…", "barcode": "PNG, base64"}),
        ),
        ("ProviderOffer", json!({"name": "local", "displayName": "local", "type": "Credentials"})),
        (
            "GlobalSettings",
            serde_json::to_value(ringwall_protocol::object::GlobalSettings::default()).unwrap_or_default(),
        ),
        ("OnBoardedDevice", device.clone()),
        (
            "RevokeRequest",
            json!({"distinguishedNameFilter": USER_DN, "specificDistinguishedNames": [DEVICE_DN], "siteId": ID,
            "tokenType": "Entitlement", "revocationReason": "", "delayMinutes": 5, "devicesPerSecond": 2.5, "mode": "cut",
            "wait": "enforced", "commandId": ID}),
        ),
        (
            "RevokeAnswer",
            json!({"data": [device], "indexes": [100], "kinds": ["Entitlement"], "enforced": [{"gateway": ID,
            "name": "gw1", "enforcedAfterMs": 3.5, "leaseEnds": TIME}]}),
        ),
        (
            "BlacklistEntry",
            json!({"userDistinguishedName": USER_DN, "username": "alice", "providerName": "local",
            "blacklistedAt": TIME, "reason": ""}),
        ),
        ("ActiveSession", json!({"distinguishedName": DEVICE_DN, "sites": [at_site]})),
        (
            "SessionInfo",
            json!({"distinguishedName": DEVICE_DN, "deviceClaims": {}, "reasons": {}, "policyNames": ["everybody"],
            "sites": [at_site]}),
        ),
        (
            "OtpSeed",
            json!({"userDistinguishedName": USER_DN, "secret": "GEZDGNBVGY3TQOJQ", "otpAuthUrl": "otpauth://totp/…"}),
        ),
        ("OtpPermit", json!({"userDistinguishedName": USER_DN, "validityHours": 24})),
        ("OtpCode", json!({"userDistinguishedName": USER_DN, "code": "base64url", "expires": TIME})),
        (
            "AdministratorSession",
            json!({"id": ID, "distinguishedName": DEVICE_DN, "keyBound": true, "source": "192.0.2.1", "created": TIME,
            "lastUsed": TIME, "expires": TIME, "roles": ["system administration"], "current": false}),
        ),
        (
            "WaitingController",
            json!({"id": ID, "name": "c2", "fingerprint": "64 hex digits", "source": "192.0.2.2", "asked": TIME,
            "peerAddresses": ["192.0.2.2:444"]}),
        ),
        (
            "WaitingOrder",
            json!({"id": ID, "summary": "remove the Controller \"c2\"", "askedBy": USER_DN, "asked": TIME, "expires": TIME,
                "details": {"revocationReason": "a key was lost"}}),
        ),
        ("ApprovedOrder", json!({"id": ID, "index": 1_742, "breakGlassCode": "abcdef-ghijkl-mnopqr-stuvwx"})),
        ("BreakGlassCode", json!({"code": "abcdef-ghijkl-mnopqr-stuvwx"})),
        ("AdmitRequest", json!({"fingerprint": "64 hex digits"})),
        (
            "Fido2Device",
            json!({"distinguishedName": USER_DN, "username": "alice", "providerName": "local", "deviceId": "base64url",
            "deviceName": "", "registered": TIME, "mayRegisterUntil": TIME}),
        ),
        ("Fido2Permit", json!({"userDistinguishedName": USER_DN, "validityHours": 24})),
        ("Fido2Code", json!({"userDistinguishedName": USER_DN, "code": "base64url", "expires": TIME})),
        ("ProfileUrl", json!({"url": "ringwall://sdp.example:443/…"})),
        ("ProfileBarcode", json!({"barcode": "base64", "format": "png"})),
        ("ProfileEmail", json!({"subject": "", "text": "", "html": ""})),
        ("ProfilePage", json!({"html": ""})),
        ("OnBoardingRequest", json!({"validityHours": 72})),
        (
            "OnBoarding",
            json!({"urls": ["https://192.0.2.1:8443/on-boarding/…"], "path": "/on-boarding/…", "expires": TIME}),
        ),
        ("ExportRequest", json!({"validityDays": 1})),
        (
            "ExplainRequest",
            json!({"user": "alice", "destination": "10.0.0.10:443", "protocol": "tcp", "deviceClaims": {}}),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::wire::admin as wire;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::administration::objects::decode::Body;
    use crate::administration::objects::present::plain;

    #[test]
    fn every_sample_object_is_read_and_holds_every_field() {
        for kind in ObjectKind::ALL {
            let Ok(mut body) = Body::new(object(*kind)) else { panic!("no object") };
            drop(body.take_password());
            let read = body.into_object(*kind, ID.parse().expect("an id"));
            let read = read.unwrap_or_else(|errors| panic!("{kind}: {errors:?}"));
            let (sample, shown) = (object(*kind), plain(&read));
            for field in shown.as_object().expect("fields").keys() {
                assert!(sample.get(field).is_some(), "{kind}.{field} is not in the sample");
            }
        }
    }

    #[test]
    fn samples_of_messages_fit_their_types() {
        fn fits<T: DeserializeOwned>(name: &str) {
            let sample = wire().into_iter().find(|(known, _)| *known == name).expect("a sample").1;
            if let Err(error) = serde_json::from_value::<T>(sample) {
                panic!("{name}: {error}");
            }
        }
        fits::<wire::AdminError>("Error");
        fits::<wire::List<Value>>("List");
        fits::<wire::VersionAnswer>("Version");
        fits::<wire::LoginRequest>("Login");
        fits::<wire::LoginAnswer>("LoginAnswer");
        fits::<wire::KnockKeyAnswer>("KnockKey");
        fits::<wire::ProviderOffer>("ProviderOffer");
        fits::<wire::OnBoardedDevice>("OnBoardedDevice");
        fits::<wire::RevokeRequest>("RevokeRequest");
        fits::<wire::RevokeAnswer>("RevokeAnswer");
        fits::<wire::BlacklistEntry>("BlacklistEntry");
        fits::<wire::ActiveSession>("ActiveSession");
        fits::<wire::SessionInfo>("SessionInfo");
        fits::<wire::OtpSeed>("OtpSeed");
        fits::<wire::OtpPermit>("OtpPermit");
        fits::<wire::OtpCode>("OtpCode");
        fits::<wire::AdministratorSession>("AdministratorSession");
        fits::<wire::WaitingController>("WaitingController");
        fits::<wire::WaitingOrder>("WaitingOrder");
        fits::<wire::ApprovedOrder>("ApprovedOrder");
        fits::<wire::BreakGlassCode>("BreakGlassCode");
        fits::<wire::AdmitRequest>("AdmitRequest");
        fits::<wire::Fido2Device>("Fido2Device");
        fits::<wire::Fido2Permit>("Fido2Permit");
        fits::<wire::Fido2Code>("Fido2Code");
        fits::<wire::ProfileUrl>("ProfileUrl");
        fits::<wire::ProfileBarcode>("ProfileBarcode");
        fits::<wire::ProfileEmail>("ProfileEmail");
        fits::<wire::ProfilePage>("ProfilePage");
        fits::<wire::OnBoardingRequest>("OnBoardingRequest");
        fits::<wire::OnBoarding>("OnBoarding");
        fits::<wire::ExportRequest>("ExportRequest");
        fits::<wire::ExplainRequest>("ExplainRequest");
    }
}
