//! Client — wan — Gateway — lan — server, with the tunnel's two ends running in this process.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ringwall_actors::ports::{AttachToken, SessionAddresses, TunnelGrant, TunnelPlane};
use ringwall_chaos_tests::lab::Lab;
use ringwall_chaos_tests::lab::topology::{Host, Topology};
use ringwall_client::tunnel::{ClientTunnel, SiteTunnel, TunnelConfig, TunnelEvent};
use ringwall_gateway::tunnel::{AcceptedTunnel, DropReason, TunnelConfig as GatewayConfig, Workers};
use ringwall_protocol::id::{SessionId, SiteId, Thumbprint};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_trust::spa::{SeatBounds, SeatPlan, Seats};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

/// The server's addresses behind the Gateway.
pub(crate) const LAN: [&str; 2] = ["10.99.0.2", "fd99::2"];
pub(crate) const SITE: SiteId = SiteId::from_random([5; 16]);
pub(crate) const OTHER_SITE: SiteId = SiteId::from_random([7; 16]);
const SESSION: SessionId = SessionId::from_random([6; 16]);
const KEY: Thumbprint = Thumbprint([1; 32]);
const NAME: &str = "gateway.test";
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The lab with an attached tunnel. Fields drop in order: the ends before their namespaces.
pub(crate) struct TwoEnds {
    pub(crate) client: ClientTunnel,
    pub(crate) gateway: Workers,
    events: Arc<Mutex<Vec<TunnelEvent>>>,
    server_tls: Arc<ServerConfig>,
    client_tls: Arc<ClientConfig>,
    pub(crate) lab: Lab,
}

/// The lab alone.
pub(crate) fn plan() -> Topology {
    Topology::new()
        .network("wan", "10.88.0.0/24", "fd88::/64")
        .network("lan", "10.99.0.0/24", "fd99::/64")
        .host(Host::new("client").on("wan", 2))
        .host(Host::new("gateway").on("wan", 1).on("lan", 1).forwarding())
        .host(Host::new("other").on("wan", 3).on("lan", 3).forwarding())
        .host(Host::new("server").on("lan", 2).route("0.0.0.0/0", "10.99.0.1").route("::/0", "fd99::1"))
}

impl TwoEnds {
    /// Lays out the lab and attaches a tunnel.
    pub(crate) fn start(workers: usize) -> Result<Self> {
        let lab = Lab::start(plan())?;
        let gateway = gateway(&lab, "gateway", workers)?;
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let told = move |event| sink.lock().expect("no test panics with it").push(event);
        let config = TunnelConfig { device: "rwclient0".into(), ..TunnelConfig::default() };
        let client = lab.host("client").enter(|| ClientTunnel::start(&config, Arc::new(told)))??;
        lab.host("client").ip_batch(
            "addr add 10.77.0.2/32 dev rwclient0\naddr add fd77::2/128 dev rwclient0 nodad\n\
             route add 10.99.0.0/24 dev rwclient0 src 10.77.0.2\nroute add 10.98.0.0/24 dev rwclient0 src 10.77.0.2\n\
             route add fd99::/64 dev rwclient0 src fd77::2\n",
        )?;
        let (server_tls, client_tls) = configurations()?;
        let ends = Self { client, gateway, events, server_tls, client_tls, lab };
        ends.attach(1)?;
        Ok(ends)
    }

    /// Attaches a new tunnel for the session, in place of a former one; returns once it stands.
    pub(crate) fn attach(&self, token: u8) -> Result<()> {
        self.join(&self.gateway, "10.88.0.1", SITE, &["10.99.0.0/24", "fd99::/64"], token)
    }

    /// Attaches a tunnel to a second Gateway, whose Site has these networks.
    pub(crate) fn second_site(&self, routes: &[&str]) -> Result<Workers> {
        let other = gateway(&self.lab, "other", 1)?;
        self.join(&other, "10.88.0.3", OTHER_SITE, routes, 1)?;
        Ok(other)
    }

    fn join(&self, gateway: &Workers, at: &str, site: SiteId, routes: &[&str], token: u8) -> Result<()> {
        let before = self.attachments();
        gateway.expect(SESSION, AttachToken([token; 32]));
        let host = if site == SITE { "gateway" } else { "other" };
        let listener = self.lab.host(host).enter(|| TcpListener::bind((at, 0)))??;
        let at = listener.local_addr()?;
        let outside = self.lab.host("client").enter(|| TcpStream::connect_timeout(&at, PATIENCE))??;
        let (inside, peer) = listener.accept()?;
        let mut client = ClientConnection::new(Arc::clone(&self.client_tls), ServerName::try_from(NAME)?)?;
        let mut server = ServerConnection::new(Arc::clone(&self.server_tls))?;
        std::thread::scope(|scope| -> Result<()> {
            let other = scope.spawn(|| server.complete_io(&mut &inside));
            while client.is_handshaking() {
                client.complete_io(&mut &outside)?;
            }
            other.join().expect("a handshake does not panic")?;
            Ok(())
        })?;
        let bounds = SeatBounds { each: 8, total: 8 };
        let plan = SeatPlan { unproved: bounds, known: bounds, knocked: bounds, identified: bounds };
        let seat = Seats::new(plan).enter(peer.ip(), UnixMillis(1));
        gateway.attach(AcceptedTunnel { stream: inside, connection: server, peer, key: KEY, seat });
        self.client.add_site(SiteTunnel {
            site,
            stream: outside,
            connection: client,
            attach_token: [token; 32],
            addresses: vec![ip("10.77.0.2"), ip("fd77::2")],
            routes: routes.iter().map(|route| route.parse()).collect::<Result<_, _>>()?,
            primary: true,
        })?;
        self.until(|| self.attachments() > before)
    }

    /// Cuts the session at the Gateway.
    pub(crate) fn cut(&self) -> Result<()> {
        self.gateway.cut(SESSION, ErrorCode::Revoked).blocking_recv().context("the workers run")
    }

    pub(crate) fn gateway_dropped(&self, reason: DropReason) -> u64 {
        self.gateway.counters().iter().map(|counters| counters.dropped(reason)).sum()
    }

    /// Every reason for which either end dropped something, with its number.
    pub(crate) fn drops(&self) -> Vec<(&'static str, u64)> {
        let client = ringwall_client::tunnel::DropReason::ALL;
        let ours = client.iter().map(|reason| (reason.label(), self.client.counters().dropped(*reason)));
        let theirs = DropReason::ALL.iter().map(|reason| (reason.label(), self.gateway_dropped(*reason)));
        ours.chain(theirs).filter(|(_, count)| *count != 0).collect()
    }

    pub(crate) fn events(&self) -> Vec<TunnelEvent> {
        self.events.lock().expect("no test panics with it").clone()
    }

    /// Waits for an event of the Client's end.
    pub(crate) fn event(&self, wanted: impl Fn(&TunnelEvent) -> bool) -> Result<()> {
        self.until(|| self.events().iter().any(&wanted))
    }

    /// Waits for a condition that comes true by other threads' work.
    pub(crate) fn until(&self, mut condition: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            ensure!(Instant::now() < deadline, "never came true; events {:?}, drops {:?}", self.events(), self.drops());
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn attachments(&self) -> usize {
        let attached = |event: &&TunnelEvent| matches!(event, TunnelEvent::SiteAttached { .. });
        self.events().iter().filter(attached).count()
    }
}

/// Workers on a host of the lab that know the session.
fn gateway(lab: &Lab, host: &str, workers: usize) -> Result<Workers> {
    let workers = NonZeroUsize::new(workers).context("at least one worker")?;
    let config = GatewayConfig { device: "rwgate0".into(), workers, ..GatewayConfig::default() };
    let gateway = lab.host(host).enter(|| Workers::start(&config, Arc::new(drop)))??;
    lab.host(host).ip_batch("addr add 10.77.0.1/16 dev rwgate0\naddr add fd77::1/64 dev rwgate0 nodad\n")?;
    let addresses = SessionAddresses { v4: Some([10, 77, 0, 2].into()), v6: Some("fd77::2".parse()?) };
    gateway.open(TunnelGrant { session: SESSION, addresses, key: KEY });
    Ok(gateway)
}

/// Both sides' TLS, as the product has it: TLS 1.3, AES-128-GCM; with a certificate made for the test.
fn configurations() -> Result<(Arc<ServerConfig>, Arc<ClientConfig>)> {
    let certified = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone())?;
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites = vec![rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let provider = Arc::new(provider);
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((Arc::new(server), Arc::new(client)))
}

/// One send that the kernel cuts into datagrams of `segment` bytes (`UDP_SEGMENT`).
pub(crate) fn send_segmented(socket: &UdpSocket, to: SocketAddr, payload: &[u8], segment: usize) -> Result<()> {
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
    use std::os::fd::AsRawFd;
    let size = u16::try_from(segment)?;
    let parts = [IoSlice::new(payload)];
    let control = [ControlMessage::UdpGsoSegments(&size)];
    sendmsg(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), Some(&SockaddrStorage::from(to)))?;
    Ok(())
}
