//! Name servers that a question is passed on to, as it came.
//!
//! The system's own are asked beside the tunnel, as they were before there was one: a Site whose networks or default route
//! cover them would swallow every question else. Servers of DNS policies are asked wherever the routes lead. A server that
//! refuses, or fails by itself, is followed by the next one; what the last of them said counts if none did better.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use ringwall_protocol::wire::session::MAX_DNS_MESSAGE;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::stub::{Over, PORT};
use crate::dial::mark;

/// One server has this long for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Longest name of an interface (`IFNAMSIZ` without its end).
const MAX_INTERFACE: usize = 15;
/// Response codes with which a server says that it, and not the name, is the matter (RFC 1035 §4.1.1): format error, server
/// failure, not implemented, refused.
const UNUSABLE: [u8; 4] = [1, 2, 4, 5];

/// A name server of `resolv.conf` or of a DNS policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameServer {
    pub(crate) address: IpAddr,
    /// Interface of a link-local address, by name or number (RFC 4007 §11); its number may change while the Client runs.
    zone: Option<String>,
}

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// Where the routes lead, the tunnel included.
    Routed,
    /// Beside the tunnel.
    Beside,
}

impl From<IpAddr> for NameServer {
    fn from(address: IpAddr) -> Self {
        Self { address, zone: None }
    }
}

impl NameServer {
    /// An address, or one of IPv6 with `%` and its zone; `None` for anything else.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let Some((address, zone)) = text.split_once('%') else { return text.parse::<IpAddr>().ok().map(Self::from) };
        let address: std::net::Ipv6Addr = address.parse().ok()?;
        let plain = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b'%';
        let good = (1..=MAX_INTERFACE).contains(&zone.len()) && zone.bytes().all(plain);
        good.then(|| Self { address: address.into(), zone: Some(zone.to_owned()) })
    }

    /// Where it is now.
    fn place(&self, socket: &Socket) -> io::Result<SocketAddr> {
        match (self.address, &self.zone) {
            (IpAddr::V6(address), Some(zone)) => {
                let index = match zone.parse() {
                    Ok(index) => index,
                    Err(_) => rustix::net::netdevice::name_to_index(socket, zone)?,
                };
                Ok(SocketAddrV6::new(address, PORT, 0, index).into())
            }
            (address, _) => Ok(SocketAddr::new(address, PORT)),
        }
    }

    fn socket(&self, kind: Type, protocol: Protocol, path: Path) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(SocketAddr::new(self.address, PORT)), kind, Some(protocol))?;
        if path == Path::Beside {
            mark(&socket)?;
        }
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// From a port of its own, connected: others cannot answer in the server's place without guessing port and id.
    async fn ask_udp(&self, question: &[u8], path: Path) -> io::Result<Vec<u8>> {
        let socket = self.socket(Type::DGRAM, Protocol::UDP, path)?;
        let place = self.place(&socket)?;
        let socket = UdpSocket::from_std(socket.into())?;
        socket.connect(place).await?;
        socket.send(question).await?;
        let mut buffer = vec![0; MAX_DNS_MESSAGE];
        loop {
            let length = socket.recv(&mut buffer).await?;
            if answers(&buffer[..length], question) {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    }

    async fn ask_tcp(&self, question: &[u8], path: Path) -> io::Result<Vec<u8>> {
        let socket = self.socket(Type::STREAM, Protocol::TCP, path)?;
        let place = self.place(&socket)?;
        let mut stream = TcpSocket::from_std_stream(socket.into()).connect(place).await?;
        write_framed(&mut stream, question).await?;
        read_framed(&mut stream).await
    }
}

/// Asks one after the other until one of them has an answer.
pub(super) async fn ask_each(servers: &[NameServer], question: &[u8], over: Over, path: Path) -> Option<Vec<u8>> {
    let mut unusable = None;
    for server in servers {
        let asked = async {
            match over {
                Over::Udp => server.ask_udp(question, path).await,
                Over::Tcp => server.ask_tcp(question, path).await,
            }
        };
        match timeout(ANSWER_TIME, asked).await {
            Ok(Ok(answer)) if is_usable(&answer) => return Some(answer),
            Ok(Ok(answer)) => {
                tracing::debug!(?server, "name server refuses or fails");
                unusable = Some(answer);
            }
            Ok(Err(error)) => tracing::debug!(?server, %error, "name server failed"),
            Err(_) => tracing::debug!(?server, "name server timed out"),
        }
    }
    unusable
}

/// Whether these bytes answer that question: its id, marked as an answer.
pub(super) fn answers(answer: &[u8], question: &[u8]) -> bool {
    const RESPONSE: u8 = 0x80;
    answer.len() >= 12 && answer[..2] == question[..2] && answer[2] & RESPONSE != 0
}

/// Whether the server answers for the name.
fn is_usable(answer: &[u8]) -> bool {
    const RESPONSE_CODE: u8 = 0x0f;
    answer.get(3).is_some_and(|flags| !UNUSABLE.contains(&(flags & RESPONSE_CODE)))
}

/// A message on a TCP connection (RFC 1035 §4.2.2).
pub(super) async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > MAX_DNS_MESSAGE {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

pub(super) async fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(message);
    stream.write_all(&framed).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_belongs_to_an_address_of_ipv6() {
        let scoped = NameServer::parse("fe80::1%wan").expect("a scoped address");
        assert_eq!((scoped.address, scoped.zone.as_deref()), ("fe80::1".parse().expect("an address"), Some("wan")));
        assert_eq!(NameServer::parse("192.0.2.1"), Some(IpAddr::from([192, 0, 2, 1]).into()));
        for bad in ["", "wan", "192.0.2.1%wan", "fe80::1%", "fe80::1%a/b", "fe80::1%a%b", "fe80::1%sixteen-letters-"] {
            assert_eq!(NameServer::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_zone_is_found_by_name_and_by_number() {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("a socket");
        for zone in ["lo", "1"] {
            let server = NameServer::parse(&format!("fe80::1%{zone}")).expect("a scoped address");
            let place = server.place(&socket).expect("the loopback interface is there");
            assert!(matches!(place, SocketAddr::V6(v6) if v6.scope_id() == 1 && v6.port() == PORT), "{place}");
        }
        assert!(NameServer::parse("fe80::1%none").expect("an address").place(&socket).is_err());
    }

    #[test]
    fn what_a_server_says_of_itself_is_no_answer_for_the_name() {
        let answer = |code: u8| [0, 1, 0x81, 0x80 | code, 0, 0, 0, 0, 0, 0, 0, 0];
        for code in [0, 3] {
            assert!(is_usable(&answer(code)), "{code}");
        }
        for code in [1, 2, 4, 5] {
            assert!(!is_usable(&answer(code)), "{code}");
        }
    }

    #[test]
    fn an_answer_has_the_questions_id_and_says_that_it_is_one() {
        let asked = [7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let mut good = asked;
        good[2] |= 0x80;
        assert!(answers(&good, &asked));
        assert!(!answers(&asked, &asked), "a question is no answer");
        good[0] ^= 1;
        assert!(!answers(&good, &asked), "another question's");
        assert!(!answers(b"", &asked));
    }
}
