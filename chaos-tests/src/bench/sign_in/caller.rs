//! A user with a certificate and a device, as the wire sees them: TLS 1.3 with the Collective's root pinned, one HTTP/1.1
//! exchange a connection.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64URL_NOPAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, OtherNameValue, SanType, SigningKey,
};
use ringwall_protocol::{
    id::DeviceId,
    wire::client::{SIGN_IN_EXPORTER, certificate_statement},
};
use ringwall_trust::{
    identity::{Fingerprint, KeyKind, PrivateKey},
    tls::{Alpn, ControllerTrust, Presented, Tls},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::pki_types::{CertificateDer, ServerName},
};

/// The identity provider's name.
pub(super) const PROVIDER: &str = "cards";
/// RFC 8446 §4.2.3: ecdsa_secp256r1_sha256.
const ECDSA_P256: u16 = 0x0403;
/// Microsoft's object identifier of a principal's name.
const PRINCIPAL: [u64; 10] = [1, 3, 6, 1, 4, 1, 311, 20, 2, 3];

/// Who issues users' certificates.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A user on one device.
pub(super) struct Caller {
    device: DeviceId,
    key: PrivateKey,
    card: (Vec<u8>, KeyPair),
    source: IpAddr,
    at: SocketAddr,
    root: Fingerprint,
    cookie: Option<String>,
    claims: Option<String>,
    certificate: Option<Arc<Presented>>,
}

impl Authority {
    pub(super) fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "users");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its certificate.
    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str) -> Result<(Vec<u8>, KeyPair)> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let principal = OtherNameValue::Utf8String(format!("{name}@bench.example"));
        params.subject_alt_names = vec![SanType::OtherName((PRINCIPAL.to_vec(), principal))];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.0)?.der().to_vec(), key))
    }
}

impl Caller {
    /// The caller with this number, who calls from `source`.
    pub(super) fn new(
        authority: &Authority,
        number: usize,
        source: IpAddr,
        (at, root): (SocketAddr, Fingerprint),
    ) -> Result<Self> {
        let mut device = [7; 16];
        device[0] = u8::try_from(number)?;
        let card = authority.issue(&format!("caller{number}"))?;
        let (device, key) = (DeviceId::from_random(device), PrivateKey::generate(KeyKind::P256)?);
        Ok(Self { device, key, card, source, at, root, cookie: None, claims: None, certificate: None })
    }

    /// A connection, the proof of the user, a new claims token.
    pub(super) async fn sign_in(&mut self) -> Result<()> {
        let stream = self.connect(Alpn::SignIn).await?;
        let exporter = stream.get_ref().1.export_keying_material([0; 32], SIGN_IN_EXPORTER, None)?;
        let statement = certificate_statement(PROVIDER, self.device, &self.key.thumbprint(), &exporter);
        let signature = self.card.1.sign(&statement)?;
        let body = json!({
            "deviceId": self.device,
            "identityProvider": PROVIDER,
            "credential": { "kind": "certificate", "chain": [BASE64URL_NOPAD.encode(&self.card.0)],
                "scheme": ECDSA_P256, "signature": BASE64URL_NOPAD.encode(&signature) },
            "deviceCookie": self.cookie,
            "keyThumbprint": self.key.thumbprint(),
            "deviceClaims": { "hostname": "bench" },
        });
        let answer = exchange(stream, "/client/v1/sign-in", &body).await?;
        self.cookie = Some(text(&answer, "deviceCookie")?);
        self.claims = Some(text(&answer, "claimsToken")?);
        Ok(())
    }

    /// The device's certificate for the claims token.
    pub(super) async fn fetch_certificate(&mut self) -> Result<()> {
        let body = json!({ "claimsToken": self.claims, "csr": BASE64URL_NOPAD.encode(&self.key.request()?) });
        let answer = exchange(self.connect(Alpn::SignIn).await?, "/client/v1/certificate", &body).await?;
        let chain = answer["chain"].as_array().context("a chain")?.iter().map(|der| {
            let der = BASE64URL_NOPAD.decode(der.as_str().context("text")?.as_bytes())?;
            Ok(CertificateDer::from(der))
        });
        self.certificate = Some(Presented::new(chain.collect::<Result<_>>()?, &self.key)?);
        Ok(())
    }

    /// The entitlement tokens, over a connection with the certificate.
    pub(super) async fn fetch_entitlements(&self) -> Result<()> {
        let body = json!({ "claimsToken": self.claims, "deviceClaims": {} });
        let answer = exchange(self.connect(Alpn::Client).await?, "/client/v1/entitlements", &body).await?;
        ensure!(answer["sites"].as_array().is_some_and(|sites| sites.len() == 1), "no token for the Site: {answer}");
        Ok(())
    }

    async fn connect(&self, protocol: Alpn) -> Result<TlsStream<tokio::net::TcpStream>> {
        let own = if protocol == Alpn::Client { self.certificate.as_ref() } else { None };
        let trust = ControllerTrust { roots: vec![self.root], members: None };
        let connector = TlsConnector::from(Tls::new().controller_client(trust, own));
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.source, 0).into())?;
        let stream = socket.connect(self.at).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(self.at.ip());
        Ok(connector.with_alpn(vec![protocol.entry()]).connect(name, stream).await?)
    }
}

async fn exchange(mut stream: TlsStream<tokio::net::TcpStream>, path: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: controller\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    // TLS takes the bytes before the socket does: without a flush the last record may never leave.
    stream.flush().await?;
    let mut answer = Vec::new();
    // A server may end without TLS's good-bye; whether everything came shows below.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("no answer to {path}"))?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{path} was refused: {body}");
    Ok(serde_json::from_str(body)?)
}

fn text(answer: &Value, name: &str) -> Result<String> {
    answer[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {answer}"))
}
