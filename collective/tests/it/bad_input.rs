//! What is no request at the client API: it gets a refusal or nothing, within bounds of size and time, and others are served
//! as before.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringwall_trust::identity::Fingerprint;
use ringwall_trust::tls::{Alpn, ControllerTrust, Tls};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::Client;
use crate::harness::Lab;

/// Deeper than the decoder goes.
const DEEP: usize = 10_000;
/// A head must be there within 5 s; the rest is for a machine that others keep busy.
const HEAD_TIME: Duration = Duration::from_secs(15);

async fn connect(at: SocketAddr, root: Fingerprint) -> TlsStream<TcpStream> {
    let config = Tls::new().controller_client(ControllerTrust { roots: vec![root], members: None }, None);
    let stream = TcpStream::connect(at).await.expect("connected");
    let connector = TlsConnector::from(config);
    let connecting = connector.with_alpn(vec![Alpn::SignIn.entry()]).connect(ServerName::from(at.ip()), stream);
    connecting.await.expect("a handshake")
}

/// Says something and hears what comes back until the other end has enough.
async fn told(at: SocketAddr, root: Fingerprint, said: &[u8]) -> String {
    let mut stream = connect(at, root).await;
    // Whoever has heard enough does not wait for the rest.
    let _ = stream.write_all(said).await;
    let _ = stream.flush().await;
    let mut heard = Vec::new();
    let _ = timeout(HEAD_TIME, stream.read_to_end(&mut heard)).await.expect("the connection ends");
    String::from_utf8_lossy(&heard).into_owned()
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    let head = "POST /client/v1/sign-in HTTP/1.1\r\nhost: c\r\nconnection: close\r\ncontent-type: application/json\r\n";
    format!("{head}{headers}\r\n{body}").into_bytes()
}

fn sized(body: &str) -> Vec<u8> {
    post(&format!("content-length: {}\r\n", body.len()), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_gets_no_more_than_a_refusal() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let both = "content-length: 3\r\ntransfer-encoding: chunked\r\n";
    let cases = [
        ("deep JSON", sized(&format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP)))),
        ("JSON that is deep below a field", sized(&format!("{{\"deviceClaims\":{}", "{\"a\":".repeat(DEEP)))),
        ("JSON that is cut", sized("{\"deviceId\":")),
        ("JSON of another kind", sized("[1, 2, 3]")),
        ("no text", sized("\u{0}\u{1}\u{2}")),
        ("two lengths", post("content-length: 3\r\ncontent-length: 4\r\n", "{}  ")),
        ("a length and chunks", post(both, "0\r\n\r\n")),
        ("a length that is none", post("content-length: -1\r\n", "{}")),
        ("chunks without a size", post("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n")),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()),
        ("another version", b"GET / HTTP/9.9\r\nhost: c\r\n\r\n".to_vec()),
        ("an endless head", format!("GET / HTTP/1.1\r\nhost: c\r\nx: {}", "y".repeat(1 << 20)).into_bytes()),
        ("many fields", format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(10_000)).into_bytes()),
    ];
    for (what, said) in cases {
        let heard = told(at, lab.root, &said).await;
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 4"), "{what}: {heard}");
        assert!(!heard.to_lowercase().contains("server:"), "{what}: {heard}");
    }
    Client::new("alice", lab.root).sign_in(at).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_come_ends_its_connection() {
    let lab = Lab::start().await;
    let at = lab.client_address(0);
    let stream = connect(at, lab.root).await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    writing.write_all(b"POST /client/v1/sign-in HTTP/1.1\r\nhost: c\r\nx-slow: ").await.expect("written");
    writing.flush().await.expect("written");
    let dripping = async {
        let mut beat = tokio::time::interval(Duration::from_millis(500));
        loop {
            beat.tick().await;
            if writing.write_all(b"y").await.is_err() || writing.flush().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let begun = Instant::now();
    let mut heard = Vec::new();
    tokio::select! {
        // A reset ends it as well as a good-bye does.
        ended = timeout(HEAD_TIME, reading.read_to_end(&mut heard)) => drop(ended.expect("the connection ends")),
        () = dripping => unreachable!("it never ends"),
    }
    assert!(begun.elapsed() >= Duration::from_secs(4), "it had its time: {:?}", begun.elapsed());
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 408"), "{heard}");
}
