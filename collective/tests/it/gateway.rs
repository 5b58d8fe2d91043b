//! A Gateway as a Controller sees it: joins, subscribes, acknowledges. It has no kernel; it tells what the test says.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use ringwall_actors::support::packed;
use ringwall_collective::frame;
use ringwall_collective::now;
use ringwall_protocol::feed::{FeedPosition, FeedView, FromController, FromGateway};
use ringwall_protocol::id::{ApplianceId, CommandId, LogIndex};
use ringwall_protocol::wire::join::{JoinReply, JoinRequest, JoinRole, MAX_JOIN_MESSAGE, Seed};
use ringwall_trust::identity::{KeyKind, PrivateKey};
use ringwall_trust::secret::SecretKey;
use ringwall_trust::spa::{Approach, dial_peer};
use ringwall_trust::tls::{Alpn, CurrentMembers, ExpectedController, Members, Membership, Presented, Tls};
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use uuid::Uuid;

/// A Gateway that has joined.
pub(crate) struct Gateway {
    pub(crate) id: ApplianceId,
    pub(crate) own: Arc<Presented>,
    members: Arc<CurrentMembers>,
    /// With which it knocks on peer ports.
    pub(crate) knock: Option<SecretKey>,
}

/// Its feed at one Controller.
pub(crate) struct Feed {
    stream: TlsStream<TcpStream>,
    /// Everything up to here was heard.
    pub(crate) heard: LogIndex,
}

pub(crate) fn join_request(seed: &Seed, key: &PrivateKey) -> JoinRequest {
    JoinRequest {
        join_token: seed.join_token.clone(),
        appliance_id: seed.appliance_id,
        role: JoinRole::Gateway,
        csr: BASE64URL_NOPAD.encode(&key.request().expect("a request")),
        software_version: "test".to_owned(),
        command_id: CommandId::new(Uuid::new_v4()),
        controller: None,
    }
}

pub(crate) async fn ask(seed: &Seed, request: &JoinRequest) -> JoinReply {
    try_ask(seed, request).await.expect("an answer")
}

/// The same, where there may be no answer.
pub(crate) async fn try_ask(seed: &Seed, request: &JoinRequest) -> std::io::Result<JoinReply> {
    let controller = &seed.controllers[0];
    let tls = Tls::new().join_client(controller.spki_sha256.clone());
    let knock = seed.spa_key.as_ref().map(|text| Approach::peer(text.parse().expect("a key")));
    let mut stream = dial_peer(&controller.addresses[0], Alpn::Join, &tls, knock.as_ref(), now).await?;
    frame::write(&mut stream, request).await?;
    frame::read(&mut stream, MAX_JOIN_MESSAGE).await
}

impl Gateway {
    pub(crate) async fn join(seed: &Seed) -> Self {
        let key = PrivateKey::generate(KeyKind::P256).expect("a key");
        let JoinReply::Admitted(answer) = ask(seed, &join_request(seed, &key)).await else { panic!("refused") };
        let decode = |text: &String| CertificateDer::from(BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64url"));
        let chain: Vec<_> = answer.certificate_chain.iter().map(decode).collect();
        let root = chain.last().expect("a root").clone();
        let members = Members::from_records(answer.collective_id, &[root], &answer.controllers, []).expect("members");
        let own = Presented::new(chain, &key).expect("our certificate");
        let knock = answer.peer_spa_key.map(|text| text.parse().expect("a key"));
        Self { id: seed.appliance_id, own, members: CurrentMembers::new(members), knock }
    }

    /// The same with another certificate.
    pub(crate) fn renewed(&self, chain: &[String], key: &PrivateKey) -> Self {
        let decode = |text: &String| CertificateDer::from(BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64url"));
        let own = Presented::new(chain.iter().map(decode).collect(), key).expect("our certificate");
        Self { id: self.id, own, members: Arc::clone(&self.members), knock: self.knock.clone() }
    }

    /// Opens a feed at a Controller's peer listener.
    pub(crate) async fn feed(&self, at: &str, position: Option<FeedPosition>) -> Feed {
        let stream = self.try_dial(at, Alpn::Feed).await.expect("connected");
        let mut feed = Feed { stream, heard: LogIndex(0) };
        feed.say(&FromGateway::Subscribe { versions: vec![1], gateway: self.id, position, witness: false }).await;
        feed
    }

    /// A connection to a peer port, if one is to be had.
    pub(crate) async fn try_dial(&self, at: &str, protocol: Alpn) -> std::io::Result<TlsStream<TcpStream>> {
        let membership = Arc::clone(&self.members) as Arc<dyn Membership>;
        let tls = Tls::new().peer_client(membership, ExpectedController::Any, &self.own);
        dial_peer(at, protocol, &tls, self.knock.clone().map(Approach::peer).as_ref(), now).await
    }
}

impl Feed {
    pub(crate) async fn say(&mut self, message: &FromGateway) {
        self.stream.write_all(&packed::frame(message).expect("a frame")).await.expect("sent");
        self.stream.flush().await.expect("sent");
    }

    pub(crate) async fn next(&mut self) -> Option<FromController> {
        let frame = packed::read_frame(&mut self.stream).await.ok().flatten()?;
        if let FromController::Change { index, .. } | FromController::Bookmark { index, .. } = &frame {
            self.heard = self.heard.max(*index);
        }
        Some(frame)
    }

    /// The full state that a new subscriber gets.
    pub(crate) async fn view(&mut self) -> FeedView {
        let mut bytes = Vec::new();
        loop {
            match self.next().await.expect("the full state") {
                FromController::Full { part, parts, bytes: more, position } => {
                    bytes.extend(more);
                    self.heard = position.index;
                    if part + 1 == parts {
                        return packed::unpack(&bytes).expect("a view");
                    }
                }
                other => panic!("expected the full state, got {other:?}"),
            }
        }
    }

    /// Reads until `wanted` answers.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(FromController) -> Option<T>) -> T {
        loop {
            let frame = self.next().await.expect("the feed goes on");
            if let Some(found) = wanted(frame) {
                return found;
            }
        }
    }
}
