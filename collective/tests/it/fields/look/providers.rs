//! Providers at work: what a directory proves, and what a RADIUS server is asked.

use std::time::Instant;

use serde_json::{Value, json};

use crate::client::Client;
use crate::fields::scene::Scene;
use crate::harness::PASSWORD;
use crate::mfa::answer_factor;
use crate::servers::slapd;

impl Scene {
    /// Sign-ins of a user with groups, and of one whose password is about to expire.
    pub(super) async fn directory(&self) -> Value {
        let mut seen = Vec::new();
        for user in ["alice", "expiring"] {
            let mut client = Client::new(user, self.lab.root).at_provider("corp");
            let answer = client.try_sign_in(self.lab.client_address(0), slapd::PASSWORD).await;
            let claims = match answer.status {
                200 => {
                    client.keep(&answer.body);
                    serde_json::to_value(&client.claims_content().user).expect("JSON")
                }
                _ => answer.body["code"].clone(),
            };
            seen.push(json!([claims, answer.body["notices"]]));
        }
        Value::Array(seen)
    }

    /// A sign-in at a RADIUS server that does not answer: what it is asked, and how long it is waited for.
    pub(super) async fn radius(&self) -> Value {
        let begun = Instant::now();
        let client = Client::new("alice", self.lab.root).at_provider("radius");
        let answer = client.try_sign_in(self.lab.client_address(0), "a password").await;
        json!({"status": answer.status, "seconds": begun.elapsed().as_secs(), "asked": self.asked()})
    }

    /// The same for a factor of local users: a new one each time, for none may have many unfinished sign-ins.
    pub(super) async fn radius_factor(&self) -> Value {
        let user = format!("user-{}", uuid::Uuid::new_v4().simple());
        self.lab.user(&user).await;
        let client = Client::new(&user, self.lab.root);
        let answer = client.try_sign_in(self.lab.client_address(0), PASSWORD).await;
        let begun = Instant::now();
        let then = match answer.status {
            202 => Some(answer_factor(&self.lab, 0, &client, &answer.body, "123456").await.status),
            _ => None,
        };
        json!({"status": answer.status, "challenge": answer.body["challenge"], "then": then,
            "seconds": begun.elapsed().as_secs(), "asked": self.asked()})
    }

    /// The types of the attributes of what came to the silent server (RFC 2865 §5). Empties its queue.
    fn asked(&self) -> Option<Vec<u8>> {
        let mut packet = [0; 4096];
        let mut first = None;
        while let Ok(length) = self.silent.try_recv(&mut packet) {
            first.get_or_insert_with(|| attributes(&packet[20..length]));
        }
        first
    }
}

fn attributes(mut rest: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [kind, length, ..] = *rest {
        types.push(kind);
        rest = rest.get(usize::from(length).max(2)..).unwrap_or_default();
    }
    types
}
