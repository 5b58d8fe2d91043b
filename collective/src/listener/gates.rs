//! The gates of a Controller and the TLS configurations behind them; which one a connection gets follows from its ALPN.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipnet::IpNet;
use ringwall_protocol::spa::Service;
use ringwall_protocol::wire::client::SIGN_IN_EXPORTER;
use ringwall_trust::identity::Leaf;
use ringwall_trust::spa::{KeyOwner, Receiver, SourceLimiter, SourcePermit};
use ringwall_trust::tls::{
    Admitted, Alpn, CurrentMembers, Gate, GateError, Membership, PeerRoles, Presented, SpaPolicy, Tls, peer_leaf, reset,
};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::connection::{Channel, Connection, Secured};
use super::dark::{Dark, Wanted};
use super::pre_auth_limiter::{PreAuthBounds, PreAuthLimiter};
use crate::clock;

/// Open connections of one source at the client API.
const CONNECTIONS_PER_SOURCE: usize = 32;
/// Room at the client and admin ports for connections that have not proved anything yet. Many users may share a source,
/// and a source is bounded by [`CONNECTIONS_PER_SOURCE`] already.
const CLIENT_ROOM: PreAuthBounds =
    PreAuthBounds { unknown: 1_024, reserved: 1_024, burst: 1_024, period: Duration::from_secs(1) };
/// The same at the peer port: five a second of a strange source, more at once for a Site that begins (T17).
pub const PEER_ROOM: PreAuthBounds =
    PreAuthBounds { unknown: 256, reserved: 512, burst: 125, period: Duration::from_secs(25) };
/// Open connections of one source at the peer port: a NAT may hide a whole Site of Gateways.
const PEER_CONNECTIONS_PER_SOURCE: usize = 256;

/// A proved connection on the peer port.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The connection.
    pub(crate) stream: TlsStream<TcpStream>,
    /// Raft, feed or join.
    pub(crate) protocol: Alpn,
    /// Who; absent for those who join.
    pub(crate) leaf: Option<Leaf>,
    /// The other end's address.
    pub(crate) address: SocketAddr,
    /// Kept as long as the connection.
    pub(crate) permit: SourcePermit,
}

/// All gates. Cheap to share; policies change while connections come.
#[derive(Debug)]
pub(crate) struct Gates {
    dark: Arc<Dark>,
    client: Gate,
    admin: Gate,
    peer: Gate,
    admin_sources: Vec<IpNet>,
    client_sources: Arc<SourceLimiter>,
    peer_sources: Arc<SourceLimiter>,
    client_pre_auth: PreAuthLimiter,
    peer_pre_auth: PreAuthLimiter,
    sign_in_tls: Arc<ServerConfig>,
    client_tls: Arc<ServerConfig>,
    admin_tls: Arc<ServerConfig>,
    raft_tls: Arc<ServerConfig>,
    feed_tls: Arc<ServerConfig>,
    join_tls: Arc<ServerConfig>,
}

impl Gates {
    /// Gates that show `own`, trust `members` and judge knocks by `receiver`; connections are counted by `dark`. Until it
    /// is known what is wanted, only peers are let in: they bring that knowledge, and prove themselves by membership.
    #[must_use]
    pub(crate) fn new(
        own: &Arc<Presented>,
        members: &Arc<CurrentMembers>,
        receiver: &Arc<Mutex<Receiver>>,
        dark: &Arc<Dark>,
        admin_sources: Vec<IpNet>,
    ) -> Self {
        let tls = Tls::new();
        let membership = || Arc::clone(members) as Arc<dyn Membership>;
        let gate =
            |service, served: &[Alpn], policy| Gate::new(service, served, policy, Arc::clone(receiver), clock::now);
        Self {
            dark: Arc::clone(dark),
            client: gate(Service::Client, &[Alpn::Client, Alpn::SignIn], SpaPolicy::Closed),
            admin: gate(Service::Admin, &[Alpn::Http], SpaPolicy::Closed),
            peer: gate(Service::Peer, &[Alpn::Raft, Alpn::Feed, Alpn::Join], SpaPolicy::Open),
            admin_sources,
            client_sources: SourceLimiter::new(CONNECTIONS_PER_SOURCE),
            peer_sources: SourceLimiter::new(PEER_CONNECTIONS_PER_SOURCE),
            client_pre_auth: PreAuthLimiter::new(CLIENT_ROOM),
            peer_pre_auth: PreAuthLimiter::new(PEER_ROOM),
            sign_in_tls: tls.sign_in_server(own),
            client_tls: tls.client_api_server(own, membership()),
            admin_tls: tls.admin_server(own),
            raft_tls: tls.peer_server(own, membership(), PeerRoles::CONTROLLERS, Alpn::Raft),
            feed_tls: tls.peer_server(own, membership(), PeerRoles::GATEWAYS, Alpn::Feed),
            join_tls: tls.join_server(own),
        }
    }

    /// What is wanted of connections from now on.
    pub(crate) fn set_policy(&self, wanted: Wanted) {
        self.client.set_policy(wanted.clients);
        self.admin.set_policy(wanted.clients);
        self.peer.set_policy(wanted.peers);
    }

    /// The other end, with the connection counted against what its source bought.
    fn arrived(&self, stream: &TcpStream) -> io::Result<SocketAddr> {
        let peer = stream.peer_addr()?;
        self.dark.came(peer.ip(), stream.local_addr()?.port());
        Ok(peer)
    }

    /// A connection to the client API.
    ///
    /// # Errors
    /// If it did not prove what it must; it is closed then.
    pub(crate) async fn client(&self, stream: TcpStream) -> io::Result<Secured> {
        let peer = self.arrived(&stream)?;
        let Some(permit) = self.client_sources.enter(peer.ip()) else { return turned_away(stream) };
        let Some(coming) = self.client_pre_auth.begin(peer.ip(), clock::now()) else { return turned_away(stream) };
        let admitted = self.client.admit(stream).await.map_err(|error| silent(peer, &error))?;
        let knock = owner(&admitted);
        let config = match admitted.protocol {
            Alpn::SignIn => &self.sign_in_tls,
            _ => &self.client_tls,
        };
        let signing_in = admitted.protocol == Alpn::SignIn;
        let stream = handshake(admitted, config).await?;
        let channel = match leaf(&stream)? {
            None if signing_in => Channel::SignIn { exporter: exporter(&stream)? },
            Some(leaf) if !signing_in => Channel::Client(Arc::new(leaf)),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        // A key to knock with, or a session's certificate.
        if knock.is_some() || !signing_in {
            self.client_pre_auth.proved(coming, clock::now());
        }
        Ok(Secured::new(stream, Connection { peer, channel, knock }, permit))
    }

    /// A connection to the admin API.
    ///
    /// # Errors
    /// As [`Gates::client`].
    pub(crate) async fn admin(&self, stream: TcpStream) -> io::Result<Secured> {
        let peer = self.arrived(&stream)?;
        let Some(permit) = self.client_sources.enter(peer.ip()) else { return turned_away(stream) };
        let Some(_coming) = self.client_pre_auth.begin(peer.ip(), clock::now()) else { return turned_away(stream) };
        let address = peer.ip().to_canonical();
        let allowed = self.admin_sources.iter().any(|network| network.contains(&address));
        let admitted =
            if allowed { self.admin.admit_without_knock(stream).await } else { self.admin.admit(stream).await };
        let admitted = admitted.map_err(|error| silent(peer, &error))?;
        let knock = owner(&admitted);
        let stream = handshake(admitted, &self.admin_tls).await?;
        Ok(Secured::new(stream, Connection { peer, channel: Channel::Admin, knock }, permit))
    }

    /// A connection to the peer port.
    ///
    /// # Errors
    /// As [`Gates::client`].
    pub(crate) async fn peer(&self, stream: TcpStream) -> io::Result<Peer> {
        let address = self.arrived(&stream)?;
        let Some(permit) = self.peer_sources.enter(address.ip()) else { return turned_away(stream) };
        let Some(coming) = self.peer_pre_auth.begin(address.ip(), clock::now()) else { return turned_away(stream) };
        let admitted = self.peer.admit(stream).await.map_err(|error| silent(address, &error))?;
        let protocol = admitted.protocol;
        let config = match protocol {
            Alpn::Raft => &self.raft_tls,
            Alpn::Feed => &self.feed_tls,
            _ => &self.join_tls,
        };
        let knock = owner(&admitted);
        let stream = handshake(admitted, config).await?;
        let leaf = leaf(&stream)?;
        if knock.is_some() || leaf.is_some() {
            self.peer_pre_auth.proved(coming, clock::now());
        }
        Ok(Peer { stream, protocol, leaf, address, permit })
    }
}

fn owner(admitted: &Admitted) -> Option<KeyOwner> {
    admitted.knock.as_ref().map(|knock| knock.owner.clone())
}

async fn handshake(admitted: Admitted, config: &Arc<ServerConfig>) -> io::Result<TlsStream<TcpStream>> {
    admitted.hello.handshake(Arc::clone(config)).await.map_err(|error| {
        tracing::debug!(%error, "handshake failed");
        io::Error::other(error)
    })
}

/// What a sign-in on this connection is bound to, where it is proved by a certificate.
fn exporter(stream: &TlsStream<TcpStream>) -> io::Result<[u8; 32]> {
    let connection = stream.get_ref().1;
    connection.export_keying_material([0; 32], SIGN_IN_EXPORTER, None).map_err(io::Error::other)
}

fn leaf(stream: &TlsStream<TcpStream>) -> io::Result<Option<Leaf>> {
    peer_leaf(stream.get_ref().1).map_err(io::Error::other)
}

fn silent(peer: SocketAddr, error: &GateError) -> io::Error {
    metrics::counter!("ringwall_connections_refused_total", "why" => "gate").increment(1);
    tracing::debug!(%peer, %error, "connection refused without an answer");
    io::ErrorKind::ConnectionRefused.into()
}

fn turned_away<T>(stream: TcpStream) -> io::Result<T> {
    metrics::counter!("ringwall_connections_refused_total", "why" => "crowd").increment(1);
    reset(stream);
    Err(io::ErrorKind::ConnectionRefused.into())
}
