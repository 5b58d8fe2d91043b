//! A DNS server on the loopback, UDP and TCP (RFC 1035 §4.2): every question goes on the way that the plan says, as it
//! came. Nothing is kept, nothing is guessed: a question whose way is closed is a failure, and goes no other way.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use ringwall_protocol::wire::session::MAX_DNS_MESSAGE;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::plan::{Plan, QueryTarget};
use super::upstream::{NameServer, Path, answers, ask_each, read_framed, write_framed};
use crate::site_link::DnsQuerier;

/// Where the stub listens: the first of these whose port 53 is free.
pub(super) const STUB_ADDRESSES: [Ipv4Addr; 4] = [
    Ipv4Addr::new(127, 0, 0, 157),
    Ipv4Addr::new(127, 0, 0, 158),
    Ipv4Addr::new(127, 0, 0, 159),
    Ipv4Addr::new(127, 0, 0, 160),
];
/// The port of DNS.
pub(super) const PORT: u16 = 53;
/// A Site's Gateway, which asks two servers in turn, has this long; below what resolvers wait for us.
const SITE_TIME: Duration = Duration::from_millis(4_500);
/// A TCP connection without a question for this long is closed.
const IDLE: Duration = Duration::from_secs(10);
/// Questions that may be open at a time, and TCP connections.
const OPEN: usize = 256;
const CONNECTIONS: usize = 32;
/// What a UDP answer may have if the question does not say more (RFC 1035 §4.2.1).
const PLAIN_UDP: usize = 512;

/// What questions are answered from.
#[derive(Debug, Clone, Default)]
pub(super) struct QueryTargets {
    pub(super) plan: Plan,
    pub(super) sites: std::collections::BTreeMap<ringwall_protocol::id::SiteId, DnsQuerier>,
    /// The system's own name servers.
    pub(super) former: Vec<NameServer>,
}

/// A running stub; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Stub {
    pub(super) address: IpAddr,
    targets: watch::Sender<Arc<QueryTargets>>,
    tasks: [JoinHandle<()>; 2],
}

impl Stub {
    /// Begins to listen.
    pub(super) async fn start(targets: QueryTargets) -> io::Result<Self> {
        let (udp, tcp, address) = bind().await?;
        let (targets, known) = watch::channel(Arc::new(targets));
        let open = Arc::new(Semaphore::new(OPEN));
        let datagrams = tokio::spawn(serve_udp(Arc::new(udp), known.clone(), Arc::clone(&open)));
        let streams = tokio::spawn(serve_tcp(tcp, known, open));
        Ok(Self { address, targets, tasks: [datagrams, streams] })
    }

    /// From now on these ways.
    pub(super) fn follow(&self, targets: QueryTargets) {
        self.targets.send_replace(Arc::new(targets));
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn bind() -> io::Result<(UdpSocket, TcpListener, IpAddr)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for place in STUB_ADDRESSES {
        let at = SocketAddr::from((place, PORT));
        match (UdpSocket::bind(at).await, TcpListener::bind(at).await) {
            (Ok(udp), Ok(tcp)) => return Ok((udp, tcp, place.into())),
            (Err(error), _) | (_, Err(error)) => last = error,
        }
    }
    Err(last)
}

async fn serve_udp(socket: Arc<UdpSocket>, targets: watch::Receiver<Arc<QueryTargets>>, open: Arc<Semaphore>) {
    let mut buffer = vec![0; MAX_DNS_MESSAGE];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        // Too many at once: the resolver asks again.
        let Ok(seat) = Arc::clone(&open).try_acquire_owned() else { continue };
        let (question, targets, socket) =
            (buffer[..length].to_vec(), Arc::clone(&targets.borrow()), Arc::clone(&socket));
        tokio::spawn(async move {
            if let Some(answer) = answer(&question, &targets, Over::Udp).await {
                let _gone = socket.send_to(&answer, from).await;
            }
            drop(seat);
        });
    }
}

async fn serve_tcp(listener: TcpListener, targets: watch::Receiver<Arc<QueryTargets>>, open: Arc<Semaphore>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (targets, open) = (targets.clone(), Arc::clone(&open));
        tokio::spawn(async move {
            // The other end went, or wrote what is no question.
            let _over = serve_connection(stream, &targets, &open).await;
            drop(place);
        });
    }
}

async fn serve_connection(
    mut stream: TcpStream,
    targets: &watch::Receiver<Arc<QueryTargets>>,
    open: &Semaphore,
) -> io::Result<()> {
    loop {
        let question = timeout(IDLE, read_framed(&mut stream)).await??;
        let Ok(_seat) = open.acquire().await else { return Ok(()) };
        let now = Arc::clone(&targets.borrow());
        let Some(answer) = answer(&question, &now, Over::Tcp).await else { return Ok(()) };
        timeout(IDLE, write_framed(&mut stream, &answer)).await??;
    }
}

/// How a question came, and so how its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Udp,
    Tcp,
}

/// The answer; `None` for what is no question.
pub(super) async fn answer(question: &[u8], targets: &QueryTargets, over: Over) -> Option<Vec<u8>> {
    let message = Message::from_vec(question).ok()?;
    let [query] = message.queries.as_slice() else { return refuse(&message, ResponseCode::FormErr) };
    let name = query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let answered = match targets.plan.target_of(&name) {
        QueryTarget::Site(site) => match targets.sites.get(&site) {
            Some(asker) => timeout(SITE_TIME, asker.ask(question.to_vec())).await.ok().flatten(),
            None => None,
        },
        QueryTarget::Servers(servers) => {
            let servers: Vec<NameServer> = servers.into_iter().map(NameServer::from).collect();
            ask_each(&servers, question, over, Path::Routed).await
        }
        QueryTarget::SystemResolvers => ask_each(&targets.former, question, over, Path::Beside).await,
    };
    let Some(answered) = answered.filter(|answer| answers(answer, question)) else {
        tracing::debug!(name, "no answer to a DNS query");
        return refuse(&message, ResponseCode::ServFail);
    };
    if over == Over::Udp && answered.len() > room(&message) { truncated(&answered) } else { Some(answered) }
}

fn refuse(to: &Message, code: ResponseCode) -> Option<Vec<u8>> {
    let mut answer = Message::error_msg(to.metadata.id, to.metadata.op_code, code);
    answer.metadata.recursion_desired = to.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_queries(to.queries.iter().take(1).cloned());
    answer.to_vec().ok()
}

/// Bytes that a UDP answer may have.
pub(super) fn room(question: &Message) -> usize {
    question.edns.as_ref().map_or(PLAIN_UDP, |edns| usize::from(edns.max_payload()).max(PLAIN_UDP))
}

/// "Ask again over TCP."
pub(super) fn truncated(answer: &[u8]) -> Option<Vec<u8>> {
    Message::from_vec(answer).ok()?.truncate().to_vec().ok()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Query;
    use hickory_proto::rr::{Name, RecordType};

    use super::*;

    fn question(name: &str) -> Vec<u8> {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).expect("a name"), RecordType::A));
        message.to_vec().expect("small")
    }

    #[tokio::test]
    async fn a_question_whose_way_is_closed_fails_and_goes_no_other_way() {
        let former = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let asked = question("www.corp.example.");
        let answered = answer(&asked, &QueryTargets::default(), Over::Udp).await.expect("an answer");
        let read = Message::from_vec(&answered).expect("a message");
        assert_eq!(read.metadata.response_code, ResponseCode::ServFail);
        assert_eq!(answered[..2], asked[..2]);
        let mut buffer = [0; 16];
        assert!(former.try_recv(&mut buffer).is_err());
    }

    #[tokio::test]
    async fn junk_is_not_answered() {
        for junk in [&b""[..], b"x", &[0xff; 7]] {
            assert_eq!(answer(junk, &QueryTargets::default(), Over::Udp).await, None);
        }
    }
}
