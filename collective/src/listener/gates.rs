//! The gates of a Controller and the TLS configurations behind them; which one a connection gets follows from its ALPN.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipnet::IpNet;
use ringwall_protocol::spa::Service;
use ringwall_protocol::wire::client::SIGN_IN_EXPORTER;
use ringwall_trust::identity::Leaf;
use ringwall_trust::spa::{
    ConnectionBounds, ConnectionHolder, ConnectionLimiter, ConnectionPermit, KeyOwner, Receiver, Seat, SeatBounds,
    SeatPlan, Seats,
};
use ringwall_trust::tls::{
    Admitted, Alpn, CurrentMembers, Gate, GateError, Membership, PeerRoles, Presented, Purchases, SpaPolicy, Tls,
    peer_leaf,
};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::connection::{Channel, Connection, Secured};
use super::dark::{Dark, Wanted};
use super::handshake_throttle::HandshakeThrottle;
use crate::clock;

/// Seats at the client port for connections that are not served yet. Many users may share a source.
const CLIENT_SEATS: SeatPlan = SeatPlan {
    unproved: SeatBounds { each: 256, total: 1_024 },
    known: SeatBounds { each: 256, total: 1_024 },
    knocked: SeatBounds { each: 16, total: 1_024 },
    identified: SeatBounds { each: 16, total: 1_024 },
};
/// The same at the admin port.
const ADMIN_SEATS: SeatPlan = SeatPlan {
    unproved: SeatBounds { each: 128, total: 256 },
    known: SeatBounds { each: 128, total: 256 },
    knocked: SeatBounds { each: 32, total: 256 },
    identified: SeatBounds { each: 32, total: 256 },
};
/// The same at the peer port.
pub const PEER_SEATS: SeatPlan = SeatPlan {
    unproved: SeatBounds { each: 128, total: 256 },
    known: SeatBounds { each: 256, total: 512 },
    knocked: SeatBounds { each: 64, total: 512 },
    identified: SeatBounds { each: 64, total: 512 },
};
/// Open connections to the client API.
const CLIENT_CONNECTIONS: ConnectionBounds = ConnectionBounds { each: 32, unproved: 2_048, proved: 8_192 };
/// Open connections to the admin API: consoles and scripts behind one address.
const ADMIN_CONNECTIONS: ConnectionBounds = ConnectionBounds { each: 256, unproved: 1_024, proved: 1_024 };
/// Open connections of peers; a NAT may hide a whole Site of Gateways.
const PEER_CONNECTIONS: ConnectionBounds = ConnectionBounds { each: 256, unproved: 256, proved: 4_096 };
/// Handshakes of an unknown source at the ports for Clients and administrators.
const CLIENT_HANDSHAKES: (u32, Duration) = (1_024, Duration::from_secs(1));
/// The same at the peer port: five a second, more at once for a Site that begins (T17).
const PEER_HANDSHAKES: (u32, Duration) = (125, Duration::from_secs(25));

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
    pub(crate) permit: ConnectionPermit,
}

/// One port: who may come, and how many at a time.
#[derive(Debug)]
struct Port {
    gate: Gate,
    seats: Arc<Seats>,
    throttle: HandshakeThrottle,
    connections: Arc<ConnectionLimiter>,
}

/// All gates. Cheap to share; policies change while connections come.
#[derive(Debug)]
pub(crate) struct Gates {
    client: Port,
    admin: Port,
    peer: Port,
    admin_sources: Vec<IpNet>,
    sign_in_tls: Arc<ServerConfig>,
    client_tls: Arc<ServerConfig>,
    admin_tls: Arc<ServerConfig>,
    raft_tls: Arc<ServerConfig>,
    feed_tls: Arc<ServerConfig>,
    join_tls: Arc<ServerConfig>,
}

impl Gates {
    /// Gates that show `own`, trust `members` and judge knocks by `receiver`; what knocks bought is in `dark`. Until it is
    /// known what is wanted, only peers are let in: they bring that knowledge, and prove themselves by membership.
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
        let gate = |service, served: &[Alpn], policy| {
            let gate = Gate::new(service, served, policy, Arc::clone(receiver), clock::now);
            gate.with_purchases(Arc::clone(dark) as Arc<dyn Purchases>)
        };
        let port = |gate, seats, (burst, period), connections| Port {
            gate,
            seats: Seats::new(seats),
            throttle: HandshakeThrottle::new(burst, period),
            connections: ConnectionLimiter::new(connections),
        };
        let client = gate(Service::Client, &[Alpn::Client, Alpn::SignIn], SpaPolicy::Closed);
        let admin = gate(Service::Admin, &[Alpn::Http], SpaPolicy::Closed);
        let peer = gate(Service::Peer, &[Alpn::Raft, Alpn::Feed, Alpn::Join], SpaPolicy::Open);
        Self {
            client: port(client, CLIENT_SEATS, CLIENT_HANDSHAKES, CLIENT_CONNECTIONS),
            admin: port(admin, ADMIN_SEATS, CLIENT_HANDSHAKES, ADMIN_CONNECTIONS),
            peer: port(peer, PEER_SEATS, PEER_HANDSHAKES, PEER_CONNECTIONS),
            admin_sources,
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
        self.client.gate.set_policy(wanted.clients);
        self.admin.gate.set_policy(wanted.clients);
        self.peer.gate.set_policy(wanted.peers);
    }

    /// A connection to the client API.
    ///
    /// # Errors
    /// If it did not prove what it must, or has no room; it is closed then.
    pub(crate) async fn client(&self, stream: TcpStream) -> io::Result<Secured> {
        let config = |protocol| match protocol {
            Alpn::SignIn => &self.sign_in_tls,
            _ => &self.client_tls,
        };
        let arrived = self.client.arrive(stream, false, config).await?;
        let signing_in = arrived.protocol == Alpn::SignIn;
        let channel = match arrived.leaf {
            None if signing_in => Channel::SignIn { exporter: exporter(&arrived.stream)? },
            Some(leaf) if !signing_in => Channel::Client(Arc::new(leaf)),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let connection = Connection { peer: arrived.address, channel, knock: arrived.knock };
        Ok(Secured::new(arrived.stream, connection, arrived.permit))
    }

    /// A connection to the admin API.
    ///
    /// # Errors
    /// As [`Gates::client`].
    pub(crate) async fn admin(&self, stream: TcpStream) -> io::Result<Secured> {
        let address = stream.peer_addr()?.ip().to_canonical();
        let allowed = self.admin_sources.iter().any(|network| network.contains(&address));
        let arrived = self.admin.arrive(stream, allowed, |_| &self.admin_tls).await?;
        let connection = Connection { peer: arrived.address, channel: Channel::Admin, knock: arrived.knock };
        Ok(Secured::new(arrived.stream, connection, arrived.permit))
    }

    /// A connection to the peer port.
    ///
    /// # Errors
    /// As [`Gates::client`].
    pub(crate) async fn peer(&self, stream: TcpStream) -> io::Result<Peer> {
        let config = |protocol| match protocol {
            Alpn::Raft => &self.raft_tls,
            Alpn::Feed => &self.feed_tls,
            _ => &self.join_tls,
        };
        let Arrived { stream, protocol, leaf, address, permit, .. } = self.peer.arrive(stream, false, config).await?;
        Ok(Peer { stream, protocol, leaf, address, permit })
    }
}

/// A connection whose handshake is complete.
struct Arrived {
    stream: TlsStream<TcpStream>,
    protocol: Alpn,
    knock: Option<KeyOwner>,
    leaf: Option<Leaf>,
    address: SocketAddr,
    permit: ConnectionPermit,
}

impl Port {
    /// From the first byte to the end of the handshake, on a seat that another connection may need (T51).
    async fn arrive<'a>(
        &self,
        stream: TcpStream,
        without_knock: bool,
        config: impl Fn(Alpn) -> &'a Arc<ServerConfig>,
    ) -> io::Result<Arrived> {
        let address = stream.peer_addr()?;
        // Dropped before it proved anything, it is reset instead of closed.
        let _gone_already = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        let seat = self.seats.enter(address.ip(), clock::now());
        let taken = seat.taken();
        tokio::select! {
            arrived = self.prove(stream, address, seat, without_knock, config) => arrived,
            () = taken.wait() => {
                refused("seat");
                Err(io::ErrorKind::ConnectionRefused.into())
            }
        }
    }

    async fn prove<'a>(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        mut seat: Seat,
        without_knock: bool,
        config: impl Fn(Alpn) -> &'a Arc<ServerConfig>,
    ) -> io::Result<Arrived> {
        let admitted = match without_knock {
            true => self.gate.admit_without_knock(stream).await,
            false => self.gate.admit(stream).await,
        };
        let admitted = admitted.map_err(|error| silent(address, &error))?;
        let _gone_already = socket2::SockRef::from(admitted.hello.stream()).set_linger(None);
        let (protocol, knock) = (admitted.protocol, owner(&admitted));
        match &knock {
            Some(owner) => seat.knocked(owner),
            None if self.seats.knows(address.ip(), clock::now()) => {}
            None if self.throttle.take(address.ip(), clock::now()) => {}
            None => {
                refused("handshakes");
                admitted.hello.refuse();
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
        }
        let stream = handshake(admitted, config(protocol)).await?;
        let leaf = leaf(&stream)?;
        if knock.is_some() || leaf.is_some() {
            seat.remember_source(clock::now());
        }
        let holder = match (&leaf, &knock) {
            (Some(leaf), _) => ConnectionHolder::Identity(leaf.thumbprint.0),
            (None, Some(owner)) => ConnectionHolder::Key(owner.clone(), seat.source()),
            (None, None) if self.seats.knows(address.ip(), clock::now()) => ConnectionHolder::Known(seat.source()),
            (None, None) => ConnectionHolder::Source(seat.source()),
        };
        let Some(permit) = self.connections.enter(holder) else {
            refused("connections");
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        Ok(Arrived { stream, protocol, knock, leaf, address, permit })
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
    refused("gate");
    tracing::debug!(%peer, %error, "connection refused without an answer");
    io::ErrorKind::ConnectionRefused.into()
}

fn refused(why: &'static str) {
    metrics::counter!("ringwall_connections_refused_total", "why" => why).increment(1);
}
