//! A Controller that answers the client API from a few facts. What it checks it checks as the real one does: ALPN,
//! client certificate, binding of tokens to the key.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ringwall_protocol::id::{SignInId, TransactionId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::client::{
    CertificateAnswer, CertificateRequest, ClaimsAnswer, ControllerAddress, Credential, EntitlementsAnswer,
    EntitlementsRequest, MfaAnswer, MfaWanted, RenewRequest, SignInAnswer, SignInRequest, SignedIn, SiteToken,
    StepUpAnswer, StepUpRequest,
};
use ringwall_protocol::wire::error::{ErrorBody, ErrorCode};
use ringwall_trust::ca::SessionSubject;
use ringwall_trust::identity::VerifiedRequest;
use ringwall_trust::secret::{SecretKey, SystemRandom};
use ringwall_trust::spa::{KeyOwner, Receiver, SpaKey, SpaWindow};
use ringwall_trust::tls::{Alpn, CurrentMembers, Tls, peer_leaf, read_hello};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{TcpListener, TcpStream};

use crate::world::{Facts, OTP, PASSWORD, SPA_KEY};

pub(crate) struct FakeController {
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FakeController {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeController {
    pub(crate) async fn start(facts: Arc<Facts>, members: Arc<CurrentMembers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let knocks = tokio::net::UdpSocket::bind(address).await.expect("bound");
        let receiver = Arc::new(Mutex::new(receiver()));
        let task = tokio::spawn(async move {
            let mut packet = [0; 256];
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (stream, _) = accepted.expect("accepted");
                        let (facts, members) = (Arc::clone(&facts), Arc::clone(&members));
                        tokio::spawn(serve(stream, facts, members, address, Arc::clone(&receiver)));
                    }
                    received = knocks.recv_from(&mut packet) => {
                        let (length, from) = received.expect("received");
                        let now = ringwall_client::clock::now();
                        let knock = receiver.lock().expect("no panic").packet(&packet[..length], from.ip(), now);
                        facts.change(|changing| changing.knocks.0 += u32::from(knock.is_ok()));
                    }
                }
            }
        });
        Self { address, task }
    }

    /// From now on nobody answers.
    pub(crate) fn stop(&self) {
        self.task.abort();
    }
}

type Refusal = (StatusCode, ErrorBody);

/// Knows the key of the world's profile.
fn receiver() -> Receiver {
    let started = ringwall_client::clock::now().minus(Duration::from_secs(60));
    let mut receiver = Receiver::new(SpaWindow::DEFAULT, None, started);
    receiver.add(KeyOwner::Profile("test".into()), SpaKey::new(&SecretKey::new(SPA_KEY)));
    receiver
}

async fn serve(
    stream: TcpStream,
    facts: Arc<Facts>,
    members: Arc<CurrentMembers>,
    address: SocketAddr,
    receiver: Arc<Mutex<Receiver>>,
) {
    let Ok(hello) = read_hello(stream).await else { return };
    if facts.change(|changing| changing.spa) {
        let now = ringwall_client::clock::now();
        let from = hello.stream().peer_addr().expect("connected").ip();
        let proof = receiver.lock().expect("no panic").alpn_entry(&hello.entries()[0], from, now);
        if proof.is_err() {
            return hello.refuse();
        }
        facts.change(|changing| changing.knocks.1 += 1);
    }
    let own = facts.controller.presented();
    let config = match hello.choose(&[Alpn::SignIn, Alpn::Client]) {
        Some(Alpn::SignIn) => Tls::new().sign_in_server(&own),
        Some(_) => Tls::new().client_api_server(&own, members),
        None => return hello.refuse(),
    };
    let Ok(stream) = hello.handshake(config).await else { return };
    let client = peer_leaf(stream.get_ref().1).expect("a leaf").map(|leaf| leaf.thumbprint);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let facts = Arc::clone(&facts);
        async move {
            let path = request.uri().path().to_owned();
            facts.change(|changing| changing.calls.push(path.clone()));
            let body = request.into_body().collect().await?.to_bytes();
            let bound = client.is_none() || client == facts.change(|changing| changing.who.map(|(_, key, _)| key));
            let (status, body) = if bound {
                answer(&facts, &path, client.is_some(), &body, address)
                    .unwrap_or_else(|(status, body)| (status, json(&body)))
            } else {
                (StatusCode::FORBIDDEN, json(&ErrorBody::new(ErrorCode::TokenMismatch, "another key")))
            };
            let response = Response::builder().status(status).body(Full::new(Bytes::from(body)));
            Ok::<_, hyper::Error>(response.expect("a response"))
        }
    });
    // A client that leaves is no failure.
    let _left = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn answer(
    facts: &Facts,
    path: &str,
    with_certificate: bool,
    body: &[u8],
    address: SocketAddr,
) -> Result<(StatusCode, Vec<u8>), Refusal> {
    match (path, with_certificate) {
        ("/client/v1/sign-in", false) => sign_in(facts, &read(body), address),
        ("/client/v1/sign-in/mfa", false) => {
            let answer: MfaAnswer = read(body);
            if answer.answer != OTP {
                return Err(refused(StatusCode::UNAUTHORIZED, ErrorCode::MfaRefused));
            }
            ok(&SignInAnswer::SignedIn(signed_in(facts, address)))
        }
        ("/client/v1/certificate", false) | ("/client/v1/certificate/renew", true) => certificate(facts, &read(body)),
        ("/client/v1/entitlements", true) => {
            let request: EntitlementsRequest = read(body);
            check(facts, &request.claims_token)?;
            let token = |site: &crate::world::SiteFacts| SiteToken {
                site_id: site.id,
                site_name: site.name.to_owned(),
                token: facts.entitlement_token(site),
            };
            ok(&EntitlementsAnswer { sites: facts.sites.iter().map(token).collect(), reason: None, message: None })
        }
        ("/client/v1/renew", true) => {
            let request: RenewRequest = read(body);
            check(facts, &request.claims_token)?;
            ok(&ClaimsAnswer { claims_token: facts.claims_token() })
        }
        ("/client/v1/step-up", true) => {
            let request: StepUpRequest = read(body);
            check(facts, &request.claims_token)?;
            assert!(request.device_claims.is_some(), "policies may ask for what the device says");
            let otp = request.condition_id == crate::world::condition(InteractionKind::OtpAuthentication);
            if otp && facts.change(|changing| changing.asks_first) {
                assert_eq!(request.answer, "", "nothing is typed before it is asked for");
                return Ok((StatusCode::ACCEPTED, json(&StepUpAnswer::Wanted(code_wanted()))));
            }
            let right = if request.condition_id == crate::world::condition(InteractionKind::OtpAuthentication) {
                OTP
            } else {
                PASSWORD
            };
            if request.answer != right {
                return Err(refused(StatusCode::UNAUTHORIZED, ErrorCode::MfaRefused));
            }
            ok(&ClaimsAnswer { claims_token: facts.claims_token() })
        }
        ("/client/v1/step-up/mfa", true) => {
            let request: MfaAnswer = read(body);
            check(facts, request.claims_token.as_deref().expect("what the proof is added to"))?;
            assert!(request.device_claims.is_some() && request.transaction == code_wanted().transaction);
            if request.answer != OTP {
                return Err(refused(StatusCode::UNAUTHORIZED, ErrorCode::MfaRefused));
            }
            ok(&ClaimsAnswer { claims_token: facts.claims_token() })
        }
        ("/client/v1/sign-out", true) => Ok((StatusCode::NO_CONTENT, vec![])),
        _ => Err(refused(StatusCode::NOT_FOUND, ErrorCode::NotFound)),
    }
}

fn sign_in(facts: &Facts, request: &SignInRequest, address: SocketAddr) -> Result<(StatusCode, Vec<u8>), Refusal> {
    let Credential::Password { username, password } = &request.credential else { panic!("a password was expected") };
    facts.change(|changing| changing.cookies.push(request.device_cookie.clone()));
    if username != "alice" || password != PASSWORD || request.identity_provider != "local" {
        return Err(refused(StatusCode::UNAUTHORIZED, ErrorCode::SignInRefused));
    }
    let sid = SignInId::new(uuid::Uuid::new_v4());
    let factor = facts.change(|changing| {
        changing.who = Some((request.device_id, request.key_thumbprint, sid));
        changing.factor
    });
    if factor {
        let wanted = MfaWanted {
            transaction: TransactionId::from_random([8; 16]),
            kind: InteractionKind::OtpAuthentication,
            message: "Type the code".to_owned(),
            challenge: Default::default(),
        };
        return Ok((StatusCode::ACCEPTED, json(&SignInAnswer::MfaWanted(wanted))));
    }
    ok(&SignInAnswer::SignedIn(signed_in(facts, address)))
}

fn signed_in(facts: &Facts, address: SocketAddr) -> SignedIn {
    SignedIn {
        claims_token: facts.claims_token(),
        device_cookie: format!("cookie {}", facts.change(|changing| changing.idx)),
        device_spa_key: None,
        controllers: vec![ControllerAddress {
            addresses: vec![address.to_string()],
            spki_sha256: vec![facts.controller.own.thumbprint()],
        }],
        on_demand_claims: vec![],
        notices: facts.change(|changing| changing.notices.clone()),
    }
}

/// What a step-up wants that asks first.
fn code_wanted() -> MfaWanted {
    MfaWanted {
        transaction: TransactionId::from_random([9; 16]),
        kind: InteractionKind::OtpAuthentication,
        message: "Type the code that was sent to you".to_owned(),
        challenge: Default::default(),
    }
}

fn certificate(facts: &Facts, request: &CertificateRequest) -> Result<(StatusCode, Vec<u8>), Refusal> {
    let claims = check(facts, &request.claims_token)?;
    let csr = data_encoding::BASE64URL_NOPAD.decode(request.csr.as_bytes()).expect("base64url");
    let csr = VerifiedRequest::verify(&csr).expect("a request that is signed by its key");
    let issuer = &facts.collective.issuers_of(facts.controller.node).0;
    let dn: SessionDn = claims.head.sub.clone();
    let who = SessionSubject { dn, user: claims.head.user_id, provider: claims.head.provider_id };
    let now = ringwall_client::clock::now();
    let life = Duration::from_secs(facts.change(|changing| changing.certificate_life));
    let leaf = issuer.issue_session(&csr, claims.head.cnf.jkt, &who, life, now, &SystemRandom);
    let encode = |der: &[u8]| data_encoding::BASE64URL_NOPAD.encode(der);
    ok(&CertificateAnswer { chain: vec![encode(&leaf.expect("issued")), encode(issuer.certificate())] })
}

/// The token is this Controller's, and not revoked.
fn check(facts: &Facts, token: &str) -> Result<ClaimsToken, Refusal> {
    let body = token.split('.').nth(1).expect("a JWT");
    let body = data_encoding::BASE64URL_NOPAD.decode(body.as_bytes()).expect("base64url");
    let claims: ClaimsToken = serde_json::from_slice(&body).expect("a claims token");
    let void = facts.change(|changing| claims.head.idx.0 < changing.revoked_below);
    if void { Err(refused(StatusCode::UNAUTHORIZED, ErrorCode::TokenRevoked)) } else { Ok(claims) }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).expect("the body that this call has")
}

fn ok<T: Serialize>(body: &T) -> Result<(StatusCode, Vec<u8>), Refusal> {
    Ok((StatusCode::OK, json(body)))
}

fn json<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).expect("serialises")
}

fn refused(status: StatusCode, code: ErrorCode) -> Refusal {
    (status, ErrorBody::new(code, "refused by the test"))
}
