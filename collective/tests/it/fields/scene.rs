//! A Collective with an object of every kind and type.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_protocol::id::{SiteId, UserId};
use ringwall_protocol::wire::join::JoinRole;
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use super::look::Look;
use super::{merged, schema};
use crate::admin::Admin;
use crate::gateway::Gateway;
use crate::harness::{Lab, PASSWORD, until};
use crate::servers::authority::Authority;
use crate::servers::freeradius::SECRET;
use crate::servers::slapd::{SERVICE_PASSWORD, Slapd};

/// The Collective, and who looks at it.
pub(super) struct Scene {
    pub(super) lab: Lab,
    pub(super) root: Admin,
    pub(super) gateway: Gateway,
    pub(super) alice: UserId,
    pub(super) slapd: Slapd,
    /// A RADIUS server that never answers.
    pub(super) silent: UdpSocket,
    /// Path of each object, and what is sent with every replacement: secrets, which are never read back.
    pub(super) objects: BTreeMap<&'static str, (String, Value)>,
}

impl Scene {
    pub(super) async fn start() -> Self {
        let (lab, slapd) = (Lab::start().await, Slapd::start(0).await);
        // Changes of the local provider end the sessions of its users, and not this one.
        let root = Admin::break_glass(&lab).await;
        root.post("/otp/seeds", &json!({"userDistinguishedName": "CN=root,OU=local"})).await.ok();
        let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let site = root.create("sites", site("office")).await;
        let seed = lab.seed("gw1", JoinRole::Gateway, Some(SiteId::new(site.parse().expect("an id")))).await;
        let (gateway, id) = (Gateway::join(&seed).await, seed.appliance_id);
        let nobody = UserId::new(uuid::Uuid::nil());
        let mut scene = Self { lab, root, gateway, alice: nobody, slapd, silent, objects: BTreeMap::new() };
        scene.know("site", "sites", &site, json!({}));
        scene.know("gateway", "appliances", &id.to_string(), json!({}));
        scene.objects.insert("settings", ("/global-settings".to_owned(), json!({})));
        scene.make_identities().await;
        scene.make_access().await;
        // A Gateway that has been heard of may carry sessions.
        scene.look(Look::Feed).await;
        until("the Gateway is offered", async || {
            let sites = scene.look(Look::Tokens).await["sites"].clone();
            sites[0]["token"]["gateways"].as_array().is_some_and(|gateways| !gateways.is_empty())
        })
        .await;
        scene
    }

    /// The id of an object.
    pub(super) fn id(&self, object: &str) -> &str {
        self.objects[object].0.rsplit('/').next().expect("a path")
    }

    /// The fields of all objects as they are shown; those of a type beyond what all of its kind have stand under it.
    pub(super) async fn shown(&self) -> BTreeSet<String> {
        let described = Admin::stranger(&self.lab, 0).get("/openapi.json").await.ok();
        let described = schema::described(&described);
        let mut fields = BTreeSet::new();
        for (name, (path, _)) in &self.objects {
            let object = self.root.get(path).await.ok();
            let kind = kind_of(path);
            let own = schema::fields_of(&object, kind);
            let secrets = object["secretsSet"].as_array().into_iter().flatten();
            let secrets = secrets.filter_map(Value::as_str).map(|secret| format!("{kind}.{secret}"));
            for field in own.into_iter().chain(secrets).filter(|field| !described.contains(field)) {
                let kind_and_type = object["type"].as_str().filter(|_| kind.ends_with("Provider"));
                let typed = kind_and_type.map(|word| field.replacen(kind, &format!("{kind}:{word}"), 1));
                fields.insert(typed.unwrap_or_else(|| panic!("{field} of {name} is shown and not described")));
            }
        }
        fields
    }

    /// A patch with `{"$id": "name"}` replaced by the id of that object.
    pub(super) fn named(&self, patch: &Value) -> Value {
        match patch {
            Value::Object(map) => match map.get("$id").and_then(Value::as_str) {
                Some(name) => self.id(name).into(),
                None => map.iter().map(|(name, value)| (name.clone(), self.named(value))).collect(),
            },
            Value::Array(items) => items.iter().map(|item| self.named(item)).collect(),
            other => other.clone(),
        }
    }

    pub(super) fn path(&self, name: &str) -> &str {
        &self.objects[name].0
    }

    fn know(&mut self, name: &'static str, collection: &str, id: &str, secrets: Value) {
        self.objects.insert(name, (format!("/{collection}/{id}"), secrets));
    }

    async fn make(&mut self, name: &'static str, collection: &str, body: Value, secrets: Value) {
        let body = merged(&self.named(&body), &secrets);
        let id = self.root.create(collection, body).await;
        self.know(name, collection, &id, secrets);
    }

    async fn make_identities(&mut self) {
        let (none, port) = (json!({}), self.silent.local_addr().expect("bound").port());
        let listed = self.root.get("/identity-providers?query=local").await.ok();
        self.know("provider", "identity-providers", listed["data"][0]["id"].as_str().expect("an id"), none.clone());
        self.make("pool", "ip-pools", json!({"name": "tunnels", "ranges": [{"cidr": "100.64.0.0/16"}]}), none.clone())
            .await;
        let six = json!({"name": "tunnels six", "ipVersion6": true, "ranges": [{"cidr": "fd64::/112"}]});
        self.make("pool6", "ip-pools", six, none.clone()).await;
        self.make("codes", "mfa-providers", json!({"name": "codes", "type": "DefaultTimeBased"}), none.clone()).await;
        self.make("keys", "mfa-providers", json!({"name": "keys", "type": "Fido2"}), none.clone()).await;
        let factor = json!({"name": "radius factor", "type": "Radius", "hostnames": ["127.0.0.1"], "port": port, "timeout": 1,
            "authenticationProtocol": "PAP", "mode": "OneFactor", "inputType": "Numeric"});
        self.make("factor", "mfa-providers", factor, json!({"sharedSecret": SECRET, "challengeSharedSecret": "begin"}))
            .await;
        let (path, _) = self.objects["provider"].clone();
        let local = self.root.get(&path).await.ok();
        let pools = json!({"ipPoolV4": self.id("pool"), "ipPoolV6": self.id("pool6"), "deviceLimitPerUser": 10_000});
        self.root.put(&path, &merged(&local, &pools)).await.ok();
        let password = json!({"password": PASSWORD});
        let alice = json!({"name": "alice", "firstName": "Alice", "labels": {"team": "research"}});
        self.make("alice", "local-users", alice, password.clone()).await;
        self.alice = UserId::new(self.id("alice").parse().expect("an id"));
        self.make("clerk", "local-users", json!({"name": "clerk"}), password).await;
        let ldap = self.slapd.provider("corp");
        let reader = json!({"adminPassword": SERVICE_PASSWORD});
        self.make("ldap", "identity-providers", ldap.clone(), reader.clone()).await;
        let authority = Authority::new("users");
        let cards = json!({"name": "cards", "type": "Certificate", "caCertificates": [authority.pem()],
            "revocationLists": [authority.revocations(&[666])]});
        self.make("cards", "identity-providers", cards, none.clone()).await;
        let both = json!({"name": "both", "type": "LdapCertificate", "caCertificates": [authority.pem()],
            "revocationLists": [authority.revocations(&[666])], "certificateAttribute": "userCertificate"});
        self.make("both", "identity-providers", merged(&ldap, &both), reader).await;
        let radius = json!({"name": "radius", "type": "Radius", "hostnames": ["127.0.0.1"], "port": port, "timeout": 1,
            "authenticationProtocol": "PAP"});
        self.make("radius", "identity-providers", radius, json!({"sharedSecret": SECRET})).await;
        let sso = json!({"name": "sso", "type": "Oidc", "issuer": "https://sso.example", "audience": "ringwall",
            "trustedCertificates": [authority.pem()]});
        self.make("sso", "identity-providers", sso, json!({"clientSecret": "a secret"})).await;
    }

    async fn make_access(&mut self) {
        let none = json!({});
        let make = [
            ("other site", "sites", site("laboratory")),
            (
                "spare",
                "appliances",
                json!({"name": "gw2", "site": {"$id": "site"}, "gateway": {"enabled": true},
                "clientInterface": {"addresses": ["gw2.example:443"]}}),
            ),
            (
                "controller",
                "appliances",
                json!({"name": "c2", "controller": {"enabled": true},
                "peerInterface": {"addresses": ["192.0.2.9:444"]}}),
            ),
            (
                "condition",
                "conditions",
                json!({"name": "a code", "expression": "hasMfa(\"why\", 5)", "repeatSchedules": ["15m"],
                "remedyMethods": [
                    {"type": "OtpAuthentication", "message": "A code, please.", "claimSuffix": "why", "providerId": {"$id": "codes"}},
                    {"type": "DisplayMessage", "message": "Look here.", "blocking": true}]}),
            ),
            ("other condition", "conditions", json!({"name": "always", "expression": "true"})),
            (
                "entitlement",
                "entitlements",
                json!({"name": "web", "site": {"$id": "site"}, "conditions": [{"$id": "condition"}],
                "tags": ["web"],
                "actions": [{"subtype": "tcp_up", "action": "allow", "hosts": ["10.20.0.10"], "ports": ["80"]},
                    {"subtype": "icmp_up", "action": "allow", "hosts": ["10.20.0.10"], "types": ["8"]}],
                "appShortcuts": [{"name": "Web", "url": "https://web.corp.example/", "description": "The web"}]}),
            ),
            (
                "more",
                "entitlements",
                json!({"name": "more", "site": {"$id": "site"}, "tags": ["more"],
                "actions": [{"subtype": "tcp_up", "action": "allow", "hosts": ["10.20.0.11"], "ports": ["81"]}]}),
            ),
            ("script", "criteria-scripts", json!({"name": "friends", "expression": "user.username == \"alice\""})),
            ("idle script", "criteria-scripts", json!({"name": "idle", "expression": "true"})),
            (
                "policy",
                "policies",
                json!({"name": "friends", "type": "Mixed", "expression": "friends()",
                "entitlements": [{"$id": "entitlement"}],
                "dnsSettings": [{"domain": "corp.example", "servers": ["10.20.0.53"]}]}),
            ),
            (
                "stop",
                "policies",
                json!({"name": "stop", "type": "Stop", "disabled": true, "expression": "user.username == \"alice\"",
                "stopMessage": "Not today."}),
            ),
            (
                "role",
                "administrative-roles",
                json!({"name": "clerk", "privileges": [{"type": "All", "target": "Condition",
                "scope": {"all": true}}, {"type": "Create", "target": "Condition", "defaultTags": ["made"]}]}),
            ),
            (
                "other role",
                "administrative-roles",
                json!({"name": "reader", "privileges": [{"type": "View", "target": "Site"}]}),
            ),
            (
                "clerks",
                "policies",
                json!({"name": "clerks", "type": "Admin", "expression": "user.username == \"clerk\"",
                "administrativeRoles": [{"$id": "role"}]}),
            ),
            ("profile", "client-profiles", json!({"name": "staff", "identityProvider": {"$id": "provider"}})),
        ];
        for (name, collection, body) in make {
            self.make(name, collection, body, none.clone()).await;
        }
    }
}

fn site(name: &str) -> Value {
    json!({"name": name, "networkSubnets": ["10.20.0.0/16"], "nameResolution": {"dnsResolvers": [
        {"name": "names", "servers": ["10.20.0.53"], "matchDomains": ["corp.example"], "updateInterval": 60}]}})
}

/// The kind of the object at a path.
pub(super) fn kind_of(path: &str) -> &'static str {
    match path.trim_start_matches('/').split('/').next().expect("a collection") {
        "sites" => "Site",
        "appliances" => "Appliance",
        "entitlements" => "Entitlement",
        "conditions" => "Condition",
        "criteria-scripts" => "CriteriaScript",
        "policies" => "Policy",
        "identity-providers" => "IdentityProvider",
        "mfa-providers" => "MfaProvider",
        "local-users" => "LocalUser",
        "ip-pools" => "IpPool",
        "client-profiles" => "ClientProfile",
        "administrative-roles" => "AdministrativeRole",
        "global-settings" => "GlobalSettings",
        other => panic!("{other} is no collection"),
    }
}
