//! What an unauthenticated peer sees of a listener: nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringwall_protocol::id::NodeId;
use ringwall_protocol::spa::Service;
use ringwall_protocol::time::UnixMillis;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::super::*;
use super::sockets;
use crate::fixtures::TestCollective;
use crate::secret::{SecretKey, SystemRandom};
use crate::spa::{Destination, KeyOwner, KnockError, KnockRequest, PeerRole, Receiver, SpaKey, SpaWindow};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn here() -> Destination {
    Destination::of("192.0.2.1:443".parse::<SocketAddr>().expect("an address"))
}

fn owner() -> KeyOwner {
    KeyOwner::Profile("staff".into())
}

fn gate(policy: SpaPolicy) -> Gate {
    let mut receiver = Receiver::new(SpaWindow::DEFAULT, Some([here()].into()), NOW.minus(Duration::from_mins(10)));
    receiver.add(owner(), SpaKey::new(&SecretKey::new([5; 32])));
    let receiver = Arc::new(Mutex::new(receiver));
    Gate::new(Service::Client, &[Alpn::SignIn, Alpn::Client], policy, receiver, || NOW)
}

fn proof() -> Vec<u8> {
    let request = KnockRequest { service: Service::Client, destination: here(), now: NOW };
    request.alpn_entry(&SpaKey::new(&SecretKey::new([5; 32])), &SystemRandom)
}

/// The bytes of a ClientHello with these ALPN entries.
fn hello(entries: Vec<Vec<u8>>) -> Vec<u8> {
    let name = ServerName::try_from("ringwall.invalid").expect("a name");
    let config = Tls::new().join_client(Vec::new());
    let mut client = rustls::ClientConnection::new_with_alpn(config, name, entries).expect("a connection");
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).expect("written to memory");
    }
    bytes
}

/// What the gate says of these bytes, after checking that the sender saw a reset and not one byte.
async fn silently_refused(gate: &Gate, bytes: &[u8]) -> GateError {
    let (accepted, mut dialled) = sockets().await;
    dialled.write_all(bytes).await.expect("written");
    let refused = gate.admit(accepted).await.expect_err("refused");
    let (seen, end) = to_the_end(&mut dialled).await;
    assert_eq!(seen, 0, "{refused:?}");
    assert_eq!(end, Err(io::ErrorKind::ConnectionReset), "{refused:?}");
    refused
}

/// How many bytes come, and how it ends.
async fn to_the_end(stream: &mut TcpStream) -> (usize, Result<(), io::ErrorKind>) {
    let mut bytes = Vec::new();
    let end = timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await.expect("an end");
    (bytes.len(), end.map(drop).map_err(|error| error.kind()))
}

#[tokio::test]
async fn junk_gets_no_byte_and_a_reset() {
    let cut = {
        let mut bytes = hello(vec![Alpn::SignIn.entry()]);
        bytes[5] = 9; // not a ClientHello
        bytes
    };
    for policy in [SpaPolicy::Open, SpaPolicy::Tcp] {
        let gate = gate(policy);
        for junk in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[21, 3, 1, 0, 2, 2, 80], &[0; 600], &cut, b"SSH-2.0-x\r\n"] {
            let refused = silently_refused(&gate, junk).await;
            assert!(matches!(refused, GateError::Hello(HelloError::Junk(_))), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_hello_without_a_good_knock_gets_no_byte_and_a_reset() {
    let gate = gate(SpaPolicy::Tcp);
    let mut altered = proof();
    // Another letter of base64url: a byte outside of it would be refused for its shape.
    altered[60] = if altered[60] == b'A' { b'B' } else { b'A' };
    for (entries, expected) in [
        (vec![Alpn::SignIn.entry()], KnockError::Shape),
        (vec![], KnockError::Shape),
        (vec![Alpn::SignIn.entry(), proof()], KnockError::Shape),
        (vec![altered, Alpn::SignIn.entry()], KnockError::Forged),
    ] {
        let refused = silently_refused(&gate, &hello(entries)).await;
        assert!(matches!(refused, GateError::Knock(error) if error == expected), "{refused:?}");
    }
    let refused = silently_refused(&gate, &hello(vec![proof(), b"h2".to_vec()])).await;
    assert!(matches!(refused, GateError::Protocol), "{refused:?}");
}

#[tokio::test]
async fn a_captured_hello_works_once() {
    let gate = gate(SpaPolicy::Tcp);
    let captured = hello(vec![proof(), Alpn::Client.entry(), Alpn::SignIn.entry()]);
    let (accepted, mut dialled) = sockets().await;
    dialled.write_all(&captured).await.expect("written");
    let admitted = gate.admit(accepted).await.expect("the first time");
    assert_eq!(admitted.protocol, Alpn::SignIn, "the server's order");
    assert_eq!(admitted.knock.expect("a knock").owner, owner());
    assert_eq!(admitted.hello.server_name().as_deref(), Some("ringwall.invalid"));
    let refused = silently_refused(&gate, &captured).await;
    assert!(matches!(refused, GateError::Knock(KnockError::Replayed)), "{refused:?}");
}

#[tokio::test]
async fn a_knock_for_another_service_does_not_open_this_listener() {
    let mut receiver = Receiver::new(SpaWindow::DEFAULT, None, NOW.minus(Duration::from_mins(10)));
    receiver.add(owner(), SpaKey::new(&SecretKey::new([5; 32])));
    let receiver = Arc::new(Mutex::new(receiver));
    let admin = Gate::new(Service::Admin, &[Alpn::Http], SpaPolicy::Tcp, receiver, || NOW);
    let refused = silently_refused(&admin, &hello(vec![proof(), Alpn::Http.entry()])).await;
    assert!(matches!(refused, GateError::Knock(KnockError::Service)), "{refused:?}");
    let (accepted, mut dialled) = sockets().await;
    dialled.write_all(&hello(vec![Alpn::Http.entry()])).await.expect("written");
    assert!(admin.admit_without_knock(accepted).await.expect("an allowed source").knock.is_none());
}

#[tokio::test]
async fn the_key_of_a_seed_does_not_reach_raft() {
    let mut receiver = Receiver::new(SpaWindow::DEFAULT, None, NOW.minus(Duration::from_mins(10)));
    receiver.add(KeyOwner::Peer(PeerRole::Join), SpaKey::new(&SecretKey::new([5; 32])));
    let receiver = Arc::new(Mutex::new(receiver));
    let served = [Alpn::Raft, Alpn::Feed, Alpn::Join];
    let peers = Gate::new(Service::Peer, &served, SpaPolicy::Tcp, receiver, || NOW);
    let knock = || {
        KnockRequest { service: Service::Peer, destination: here(), now: NOW }
            .alpn_entry(&SpaKey::new(&SecretKey::new([5; 32])), &SystemRandom)
    };
    for protocol in [Alpn::Raft, Alpn::Feed] {
        let refused = silently_refused(&peers, &hello(vec![knock(), protocol.entry()])).await;
        assert!(matches!(refused, GateError::Protocol), "{refused:?}");
    }
    let (accepted, mut dialled) = sockets().await;
    dialled.write_all(&hello(vec![knock(), Alpn::Join.entry()])).await.expect("written");
    assert_eq!(peers.admit(accepted).await.expect("admitted").protocol, Alpn::Join);
}

#[tokio::test]
async fn silence_and_endless_hellos_are_cut_off() {
    let gate = gate(SpaPolicy::Open);
    let refused = silently_refused(&gate, &[22, 3, 1]).await;
    assert!(matches!(refused, GateError::Hello(HelloError::TimedOut)), "{refused:?}");
    // Records of one ClientHello that claims 60,000 bytes: the gate gives up before it is whole.
    let mut endless = Vec::new();
    for first in (0..6).map(|record| record == 0) {
        endless.extend([22, 3, 1, 0x10, 0]);
        let mut fragment = vec![0; 4096];
        if first {
            fragment[..4].copy_from_slice(&[1, 0, 0xEA, 0x60]);
        }
        endless.extend(fragment);
    }
    let refused = silently_refused(&gate, &endless).await;
    assert!(matches!(refused, GateError::Hello(HelloError::TooLong)), "{refused:?}");
}

#[tokio::test]
async fn a_knock_opens_a_whole_handshake() {
    let mut collective = TestCollective::new();
    let controller = collective.controller(NodeId(1));
    let tls = Tls::new();
    let (gate, server) = (gate(SpaPolicy::Open), tls.sign_in_server(&controller.presented()));
    gate.set_policy(SpaPolicy::Tcp);
    let (accepted, dialled) = sockets().await;
    let connector = TlsConnector::from(tls.controller_client(collective.controller_trust(), None));
    let name = ServerName::try_from("ringwall.invalid").expect("a name");
    let dialling = connector.with_alpn(vec![proof(), Alpn::SignIn.entry()]).connect(name, dialled);
    let serving = async { gate.admit(accepted).await.expect("admitted").hello.handshake(server).await };
    let (served, dialled) = tokio::join!(serving, dialling);
    let (mut served, mut dialled) = (served.expect("a session"), dialled.expect("a session"));
    assert_eq!(dialled.get_ref().1.alpn_protocol(), Some(Alpn::SignIn.name().as_bytes()));
    served.write_all(b"hello").await.expect("written");
    served.flush().await.expect("flushed");
    let mut greeting = [0; 5];
    dialled.read_exact(&mut greeting).await.expect("read");
    assert_eq!(&greeting, b"hello");
}
