//! An administrator's program: TLS with the root pinned, one request a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use ringwall_protocol::id::{DeviceId, LogIndex};
use ringwall_protocol::name::SessionDn;
use ringwall_trust::dpop::{ProofKey, ProofOf};
use ringwall_trust::identity::Fingerprint;
use ringwall_trust::secret::SystemRandom;
use ringwall_trust::tls::{Alpn, ControllerTrust, Tls};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::Lab;

/// What every version-aware tool sends.
pub(crate) const ACCEPT: &str = "application/vnd.appgate.peer-v24+json";

/// A program with or without a session.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) at: SocketAddr,
    pub(crate) token: Option<String>,
    /// The key that it proves, if it does.
    pub(crate) key: Option<Arc<ProofKey>>,
    pub(crate) accept: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) device: DeviceId,
    pub(crate) root: Fingerprint,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "refused: {self:?}");
        self.body
    }

    /// Fields that are refused, in order: against the schema (422), or contradicting what else there is (409).
    pub(crate) fn fields(&self) -> Vec<&str> {
        assert!(matches!(self.status, 409 | 422), "{self:?}");
        let errors = self.body["errors"].as_array().expect("errors");
        errors.iter().filter_map(|error| error["field"].as_str()).collect()
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Admin {
    /// A stranger's program.
    pub(crate) fn stranger(lab: &Lab, node: usize) -> Self {
        Self {
            at: lab.process(node).bound.admin,
            token: None,
            key: None,
            accept: Some(ACCEPT.to_owned()),
            headers: Vec::new(),
            device: DeviceId::new(uuid::Uuid::new_v4()),
            root: lab.root,
        }
    }

    /// A stranger's program that proves a key of its own.
    pub(crate) fn with_key(lab: &Lab, node: usize) -> Self {
        let key = Some(Arc::new(ProofKey::generate().expect("a key")));
        Self { key, ..Self::stranger(lab, node) }
    }

    /// The break-glass administrator's program, signed in.
    pub(crate) async fn break_glass(lab: &Lab) -> Self {
        let mut admin = Self::with_key(lab, 0);
        let answer = admin.break_glass_sign_in(&lab.break_glass).await.ok();
        admin.token = Some(answer["token"].as_str().expect("a token").to_owned());
        admin
    }

    pub(crate) async fn break_glass_sign_in(&self, code: &str) -> Reply {
        let body = json!({"providerName": "break-glass", "password": code, "deviceId": self.device});
        self.post("/authentication", &body).await
    }

    /// The founding administrator's program, signed in.
    pub(crate) async fn root(lab: &Lab) -> Self {
        Self::signed_in(lab, "root", "a long password").await
    }

    /// Somebody's program, signed in.
    pub(crate) async fn signed_in(lab: &Lab, user: &str, password: &str) -> Self {
        let mut admin = Self::stranger(lab, 0);
        let answer = admin.sign_in(user, password).await.ok();
        admin.token = Some(answer["token"].as_str().expect("a token").to_owned());
        admin
    }

    pub(crate) async fn sign_in(&self, user: &str, password: &str) -> Reply {
        // Whoever signs in has no token yet: a proof that names one would be refused.
        Self { token: None, ..self.clone() }.post("/login", &self.login(user, password)).await
    }

    /// Body of a login.
    pub(crate) fn login(&self, user: &str, password: &str) -> Value {
        json!({"providerName": "local", "username": user, "password": password, "deviceId": self.device})
    }

    pub(crate) fn with_header(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, &body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.call("PUT", path, &body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, "").await
    }

    /// Creates an object and answers its id.
    pub(crate) async fn create(&self, collection: &str, body: Value) -> String {
        let object = self.post(&format!("/{collection}"), &body).await.ok();
        object["id"].as_str().expect("an id").to_owned()
    }

    /// Blocks a user.
    pub(crate) async fn block(&self, user: &str) {
        self.post("/blacklist", &json!({ "userDistinguishedName": user, "reason": "test" })).await.ok();
    }

    /// Lets a user sign in again.
    pub(crate) async fn unblock(&self, user: &str) {
        self.delete(&format!("/blacklist/{user}")).await.ok();
    }

    /// Revokes a user's tokens; returns the index of the revocation.
    pub(crate) async fn revoke(&self, user: &str, mode: &str) -> LogIndex {
        let order = json!({ "distinguishedNameFilter": user, "mode": mode, "revocationReason": "test" });
        let answer = self.post("/on-boarded-devices/revoke-tokens", &order).await.ok();
        serde_json::from_value(answer["indexes"][0].clone()).expect("an index")
    }

    /// Removes a device's registration.
    pub(crate) async fn remove_device(&self, dn: &SessionDn) {
        self.delete(&format!("/on-boarded-devices/{dn}")).await.ok();
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        let trust = ControllerTrust { roots: vec![self.root], members: None };
        let config = Tls::new().controller_client(trust, None);
        let stream = TcpStream::connect(self.at).await.expect("reachable");
        let connector = TlsConnector::from(config);
        let connecting = connector.with_alpn(vec![Alpn::Http.entry()]).connect(ServerName::from(self.at.ip()), stream);
        let mut stream = connecting.await.expect("TLS");
        let mut head = format!("{method} /admin{path} HTTP/1.1\r\nhost: controller\r\nconnection: close\r\n");
        let accept = self.accept.iter().map(|accept| ("accept".to_owned(), accept.clone()));
        let json = [("content-type".to_owned(), "application/json".to_owned())];
        let scheme = if self.key.is_some() { "DPoP" } else { "Bearer" };
        let token = self.token.iter().map(|token| ("authorization".to_owned(), format!("{scheme} {token}")));
        let proof = self.key.iter().map(|key| ("dpop".to_owned(), self.proof(key, method, path)));
        for (name, value) in accept.chain(json).chain(token).chain(proof).chain(self.headers.clone()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(body.as_bytes()).await.expect("sent");
        // TLS takes the bytes before the socket does: without a flush the last record may never leave.
        stream.flush().await.expect("sent");
        let mut answer = Vec::new();
        // A server may end without TLS's good-bye; the head tells whether everything came.
        let _ = stream.read_to_end(&mut answer).await;
        parse(&String::from_utf8_lossy(&answer))
    }
}

impl Admin {
    /// A proof for one request.
    pub(crate) fn proof(&self, key: &ProofKey, method: &str, path: &str) -> String {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let url = format!("https://controller/admin{path}");
        let of = ProofOf { method, url: &url, token: self.token.as_deref() };
        key.prove(of, ringwall_collective::now(), &SystemRandom).expect("signed")
    }
}

fn parse(answer: &str) -> Reply {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).expect("JSON") };
    Reply { status, headers: head.to_owned(), body }
}
