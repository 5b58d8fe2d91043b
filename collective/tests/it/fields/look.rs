//! What can be seen of a Collective from outside, without what differs each time: tokens, answers, feeds, links.

mod providers;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::token::{ClaimsToken, TokenHead};
use serde_json::{Value, json};

use super::scene::Scene;
use crate::admin::Admin;
use crate::client::{Client, site_tokens};
use crate::harness::PASSWORD;
use crate::mfa::{answer_factor, code, enrol};

/// Something that is looked at before and after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// What a new device of a user is told and given: claims, entitlement tokens, certificate.
    Tokens,
    /// The answer to a first sign-in, and whether the device is asked for a factor again.
    SignIn,
    /// What a Gateway hears of the Collective and its Site.
    Feed,
    /// The link of the profile.
    Link,
    /// The answer to an administrator's sign-in.
    Login,
    /// What an administrator of one role sees, and what becomes of an object that he makes.
    Clerk,
    /// The seed with which an appliance joins that has not joined yet.
    Seed,
    /// Whether a user with a short password can be made.
    ShortPassword,
    /// What lists show that are filtered by the value `sought for`.
    Listed,
    /// A sign-in of users of a directory.
    Directory,
    /// What a RADIUS server is asked, and for how long.
    Radius,
    /// How a RADIUS factor asks the user.
    RadiusFactor,
}

impl Scene {
    pub(super) async fn look(&self, look: Look) -> Value {
        match look {
            Look::Tokens => self.tokens().await,
            Look::SignIn => self.first_sign_in().await,
            Look::Feed => self.feed().await,
            Look::Link => self.link().await,
            Look::Login => self.login().await,
            Look::Clerk => self.clerk().await,
            Look::Seed => self.seed().await,
            Look::ShortPassword => self.short_password().await,
            Look::Listed => self.listed().await,
            Look::Directory => self.directory().await,
            Look::Radius => self.radius().await,
            Look::RadiusFactor => self.radius_factor().await,
        }
    }

    async fn tokens(&self) -> Value {
        let at = self.lab.client_address(0);
        let mut alice = Client::new("alice", self.lab.root);
        let answer = alice.try_sign_in(at, PASSWORD).await;
        if answer.status != 200 {
            return json!({"status": answer.status, "body": answer.body["code"]});
        }
        alice.keep(&answer.body);
        let certified = alice.try_certificate(at).await.ok();
        alice.keep_certificate(&certified);
        let claims = alice.claims_content();
        let entitled = alice.entitlements(at).await;
        let tokens = if entitled.status == 200 { site_tokens(&entitled.body) } else { Vec::new() };
        let sites: Vec<Value> = tokens
            .into_iter()
            .map(|token| {
                let life = life(&token.head);
                let mut token = serde_json::to_value(&token).expect("JSON");
                forget_head(&mut token);
                json!({"life": life, "token": token})
            })
            .collect();
        json!({
            "life": life(&claims.head), "signIn": claims.sign_in_until - claims.auth_time,
            "user": claims.user, "network": network(&claims), "certificate": certificate_life(&certified),
            "reason": entitled.body["reason"], "message": entitled.body["message"], "sites": sites,
        })
    }

    async fn first_sign_in(&self) -> Value {
        let at = self.lab.client_address(0);
        let seed = enrol(&self.lab, self.alice).await;
        let mut alice = Client::new("alice", self.lab.root);
        let first = alice.try_sign_in(at, PASSWORD).await;
        let asked = json!({"status": first.status, "kind": first.body["kind"], "message": first.body["message"],
            "challenge": first.body["challenge"]["type"]});
        let done = match first.status {
            202 => answer_factor(&self.lab, 0, &alice, &first.body, &code(&seed)).await,
            _ => first,
        };
        if done.status != 200 {
            return json!({"asked": asked, "then": done.status});
        }
        alice.keep(&done.body);
        let steps: Vec<String> = alice.claims_content().step_ups.keys().cloned().collect();
        let again = alice.try_sign_in(at, PASSWORD).await.status;
        json!({"asked": asked, "steps": steps, "again": again, "onDemand": done.body["onDemandClaims"]})
    }

    async fn feed(&self) -> Value {
        let peer = self.lab.process(0).bound.peer.to_string();
        let mut feed = self.gateway.feed(&peer, None).await;
        let view = feed.view().await;
        json!({"site": view.site, "mode": view.spa_mode, "window": view.spa_window_seconds})
    }

    async fn link(&self) -> Value {
        let path = format!("/client-profiles/{}/url", self.id("profile"));
        let url = self.root.get(&path).await.ok()["url"].as_str().expect("a link").to_owned();
        let (host, body) = url.rsplit_once('/').expect("a body");
        let body: Value =
            serde_json::from_slice(&BASE64URL_NOPAD.decode(body.as_bytes()).expect("base64url")).expect("JSON");
        json!({"host": host, "body": body})
    }

    async fn login(&self) -> Value {
        let answer = Admin::stranger(&self.lab, 0).sign_in("clerk", PASSWORD).await;
        let expires = answer.body["expires"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let life = expires.map(|expires| (expires.as_second() - jiff::Timestamp::now().as_second() + 30) / 60);
        json!({"status": answer.status, "minutes": life, "messageOfTheDay": answer.body["messageOfTheDay"]})
    }

    async fn clerk(&self) -> Value {
        let mut clerk = Admin::stranger(&self.lab, 0);
        let answer = clerk.sign_in("clerk", PASSWORD).await;
        clerk.token = answer.body["token"].as_str().map(str::to_owned);
        let mut seen = Vec::new();
        for collection in ["sites", "conditions"] {
            let listed = clerk.get(&format!("/{collection}")).await;
            let names: Vec<Value> =
                listed.body["data"].as_array().into_iter().flatten().map(|one| one["name"].clone()).collect();
            seen.push(json!([listed.status, names]));
        }
        let made = clerk.post("/conditions", &json!({"name": "made by the clerk", "expression": "true"})).await;
        if let Some(id) = made.body["id"].as_str() {
            self.root.delete(&format!("/conditions/{id}")).await;
        }
        json!({"signIn": answer.status, "seen": seen, "made": made.status, "tags": made.body["tags"]})
    }

    async fn seed(&self) -> Value {
        let path = format!("/appliances/{}/export", self.id("spare"));
        let seed = self.root.post(&path, &json!({})).await;
        let part = |name: &str| seed.body[name].clone();
        json!({"status": seed.status, "role": part("role"), "name": part("name"), "site": part("siteId")})
    }

    async fn short_password(&self) -> Value {
        let body = json!({"name": format!("user-{}", uuid::Uuid::new_v4().simple()), "password": "9 letters"});
        let made = self.root.post("/local-users", &body).await;
        json!({"status": made.status})
    }

    async fn listed(&self) -> Value {
        let mut found = serde_json::Map::new();
        for (collection, parameters) in [
            ("sites", &["query", "notes", "description", "nameResolution"][..]),
            ("appliances", &["query", "notes", "hostname"]),
            ("entitlements", &["query", "notes"]),
            ("conditions", &["query", "notes"]),
            ("criteria-scripts", &["query", "notes"]),
            ("policies", &["query", "notes"]),
            ("identity-providers", &["query", "notes"]),
            ("mfa-providers", &["query", "notes"]),
            ("local-users", &["query", "notes"]),
            ("ip-pools", &["query", "notes"]),
            ("client-profiles", &["query", "notes"]),
            ("administrative-roles", &["query", "notes"]),
        ] {
            for parameter in parameters {
                let list = self.root.get(&format!("/{collection}?{parameter}=sought")).await.ok();
                let count = list["data"].as_array().expect("a list").len();
                found.insert(format!("{collection} {parameter}"), count.into());
            }
        }
        Value::Object(found)
    }
}

/// How long a token lives, in seconds.
fn life(head: &TokenHead) -> u64 {
    head.exp - head.iat
}

/// Leaves out what is another in each token.
fn forget_head(token: &mut Value) {
    let fields = token.as_object_mut().expect("an object");
    for name in ["sub", "sid", "jti", "iat", "nbf", "exp", "idx", "cnf", "deviceId", "claimsIdx", "policyIdx"] {
        fields.remove(name);
    }
}

/// Where a tunnel address comes from: its first half.
fn network(claims: &ClaimsToken) -> Value {
    let four = claims.tun_ipv4.map(|address| address.octets()[..2].to_vec());
    let six = claims.tun_ipv6.map(|address| address.segments()[..2].to_vec());
    json!([four, six])
}

/// Minutes between the two times in a certificate (RFC 5280 §4.1.2.5, UTCTime).
fn certificate_life(answer: &Value) -> Value {
    let leaf = answer["chain"][0].as_str().expect("a certificate");
    let der = BASE64URL_NOPAD.decode(leaf.as_bytes()).expect("base64url");
    let times: Vec<i64> = der
        .windows(15)
        .filter(|window| window[..2] == [0x17, 13] && window[14] == b'Z')
        .filter_map(|window| {
            let text = format!("20{}", std::str::from_utf8(&window[2..14]).ok()?);
            let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &text).ok()?;
            Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
        })
        .collect();
    assert_eq!(times.len(), 2, "a certificate has a beginning and an end");
    ((times[1] - times[0]) / 60).into()
}
