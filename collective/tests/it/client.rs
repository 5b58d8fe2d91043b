//! A Client as the wire sees it: TLS with the root pinned, HTTP/1.1 by hand.

use std::net::SocketAddr;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::{DeviceId, Thumbprint};
use ringwall_protocol::spa::Service;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_trust::identity::{Fingerprint, KeyKind, PrivateKey};
use ringwall_trust::secret::{SecretKey, SystemRandom};
use ringwall_trust::spa::{Destination, KnockRequest, SpaKey};
use ringwall_trust::tls::{Alpn, ControllerTrust, Presented, Tls};
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::PASSWORD;

/// A Client on one device.
pub(crate) struct Client {
    pub(crate) user: String,
    /// Name of the identity provider.
    pub(crate) provider: String,
    pub(crate) device: DeviceId,
    pub(crate) key: PrivateKey,
    pub(crate) cookie: Option<String>,
    pub(crate) claims: Option<String>,
    pub(crate) certificate: Option<Arc<Presented>>,
    /// The user's certificate, in place of a password.
    pub(crate) user_certificate: Option<crate::certificate::Card>,
    /// Key with which every connection knocks.
    pub(crate) knock: Option<SecretKey>,
    root: Fingerprint,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> ErrorCode {
        serde_json::from_value(self.body["code"].clone()).unwrap_or_else(|_| panic!("no refusal: {self:?}"))
    }

    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "refused: {self:?}");
        self.body
    }
}

impl Client {
    pub(crate) fn new(user: &str, root: Fingerprint) -> Self {
        Self {
            user: user.to_owned(),
            provider: "local".to_owned(),
            device: DeviceId::new(uuid::Uuid::new_v4()),
            key: PrivateKey::generate(KeyKind::P256).expect("a key"),
            cookie: None,
            claims: None,
            certificate: None,
            user_certificate: None,
            knock: None,
            root,
        }
    }

    /// The same at another provider.
    pub(crate) fn at_provider(self, provider: &str) -> Self {
        Self { provider: provider.to_owned(), ..self }
    }

    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.key.thumbprint()
    }

    /// The first request of a sign-in.
    pub(crate) async fn try_sign_in(&self, at: SocketAddr, password: &str) -> Answer {
        self.sign_in_request(at, password).await.expect("an answer")
    }

    /// The same, where there may be no answer.
    pub(crate) async fn sign_in_request(&self, at: SocketAddr, password: &str) -> std::io::Result<Answer> {
        let body = json!({
            "deviceId": self.device,
            "identityProvider": self.provider,
            "credential": { "kind": "password", "username": self.user, "password": password },
            "deviceCookie": self.cookie,
            "keyThumbprint": self.thumbprint(),
            "deviceClaims": { "hostname": "test" },
        });
        self.post_with(at, Alpn::SignIn, "/client/v1/sign-in", &body, None).await
    }

    /// Takes over what a sign-in answered.
    pub(crate) fn keep(&mut self, answer: &Value) {
        self.cookie = Some(answer["deviceCookie"].as_str().expect("a cookie").to_owned());
        self.claims = Some(answer["claimsToken"].as_str().expect("a token").to_owned());
    }

    /// A whole sign-in with certificate.
    pub(crate) async fn sign_in(&mut self, at: SocketAddr) {
        let answer = self.try_sign_in(at, PASSWORD).await.ok();
        self.keep(&answer);
        let answer = self.try_certificate(at).await.ok();
        self.keep_certificate(&answer);
    }

    pub(crate) async fn try_certificate(&self, at: SocketAddr) -> Answer {
        let csr = BASE64URL_NOPAD.encode(&self.key.request().expect("a request"));
        let body = json!({ "claimsToken": self.claims, "csr": csr });
        self.post(at, Alpn::SignIn, "/client/v1/certificate", &body).await
    }

    pub(crate) fn keep_certificate(&mut self, answer: &Value) {
        let chain = answer["chain"].as_array().expect("a chain").iter().map(|der| {
            let der = BASE64URL_NOPAD.decode(der.as_str().expect("text").as_bytes()).expect("base64url");
            CertificateDer::from(der)
        });
        self.certificate = Some(Presented::new(chain.collect(), &self.key).expect("our certificate"));
    }

    pub(crate) async fn entitlements(&self, at: SocketAddr) -> Answer {
        let body = json!({ "claimsToken": self.claims, "deviceClaims": {} });
        self.post(at, Alpn::Client, "/client/v1/entitlements", &body).await
    }

    pub(crate) async fn renew(&self, at: SocketAddr) -> Answer {
        let body = json!({ "claimsToken": self.claims, "deviceClaims": {} });
        self.post(at, Alpn::Client, "/client/v1/renew", &body).await
    }

    /// The content of the claims token; nobody but its bearer may trust it unverified.
    pub(crate) fn claims_content(&self) -> ClaimsToken {
        content(self.claims.as_deref().expect("signed in"))
    }

    /// One request on a connection of its own.
    pub(crate) async fn post(&self, at: SocketAddr, alpn: Alpn, path: &str, body: &Value) -> Answer {
        let own = if alpn == Alpn::Client { self.certificate.as_ref() } else { None };
        self.post_with(at, alpn, path, body, own).await.expect("an answer")
    }

    pub(crate) async fn post_with(
        &self,
        at: SocketAddr,
        alpn: Alpn,
        path: &str,
        body: &Value,
        own: Option<&Arc<Presented>>,
    ) -> std::io::Result<Answer> {
        let trust = ControllerTrust { roots: vec![self.root], members: None };
        let config = Tls::new().controller_client(trust, own);
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(config);
        let mut entries = vec![alpn.entry()];
        if let Some(key) = &self.knock {
            let request = KnockRequest {
                service: Service::Client,
                destination: Destination::of(at),
                now: ringwall_collective::now(),
            };
            entries.insert(0, request.alpn_entry(&SpaKey::new(key), &SystemRandom));
        }
        let mut stream = connector.with_alpn(entries).connect(ServerName::from(at.ip()), stream).await?;
        let mut body = body.clone();
        if let Some(certificate) = &self.user_certificate
            && path == "/client/v1/sign-in"
        {
            let label = ringwall_protocol::wire::client::SIGN_IN_EXPORTER;
            let exporter = stream.get_ref().1.export_keying_material([0; 32], label, None).expect("an exporter");
            body["credential"] = certificate.credential(&self.provider, self.device, self.thumbprint(), &exporter);
        }
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: controller\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        // A server that refuses by the head alone does not wait for the body; its answer counts all the same.
        let _ = stream.write_all(body.as_bytes()).await;
        // TLS takes the bytes before the socket does: without a flush the last record may never leave.
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        // A server may end without TLS's good-bye; the length tells whether everything came.
        let _ = stream.read_to_end(&mut answer).await;
        parse(&answer)
    }
}

fn parse(answer: &[u8]) -> std::io::Result<Answer> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body)? };
    Ok(Answer { status, body })
}

/// The body of a token, unverified.
pub(crate) fn content<T: serde::de::DeserializeOwned>(token: &str) -> T {
    let body = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&BASE64URL_NOPAD.decode(body.as_bytes()).expect("base64url")).expect("a body")
}

/// The entitlement tokens of an answer.
pub(crate) fn site_tokens(answer: &Value) -> Vec<EntitlementToken> {
    let sites = answer["sites"].as_array().expect("sites");
    sites.iter().map(|site| content(site["token"].as_str().expect("a token"))).collect()
}
