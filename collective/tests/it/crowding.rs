//! Connections that wait and bodies that do not come: whoever is served is served as quickly as before (T51, T52).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_trust::tls::{Alpn, ControllerTrust, Tls};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::admin::caller::Admin;
use crate::client::Client;
use crate::harness::{Lab, PASSWORD};

/// Requests that are timed.
const TIMES: usize = 9;
/// What a machine that others keep busy adds to a median.
const NOISE: Duration = Duration::from_millis(150);

/// A connection from an address of its own.
async fn from(source: [u8; 4], at: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    socket.connect(at).await
}

/// A connection with alice's certificate on which nothing is said.
async fn identified(lab: &Lab, alice: &Client, at: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let trust = ControllerTrust { roots: vec![lab.root], members: None };
    let config = Tls::new().controller_client(trust, alice.certificate.as_ref());
    let stream = TcpStream::connect(at).await?;
    let connector = TlsConnector::from(config);
    connector.with_alpn(vec![Alpn::Client.entry()]).connect(ServerName::from(at.ip()), stream).await
}

async fn median<F: Future<Output = ()>>(once: impl Fn() -> F) -> Duration {
    let mut times = vec![];
    for _ in 0..TIMES {
        let begun = Instant::now();
        once().await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times[TIMES / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_connections_leave_sign_in_and_admin_api_undisturbed() {
    // As far as this machine allows: four thousand connections have two ends here.
    let _as_far_as_it_goes = ringwall_kernel::descriptors::raise_limit();
    let lab = Lab::start().await;
    for user in ["alice", "bob"] {
        lab.user(user).await;
    }
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    let (trusted, root) = (lab.root, Admin::root(&lab).await);
    let sign_in = async || {
        // A new device each time: a known one would have to show its latest cookie.
        Client::new("bob", trusted).sign_in_request(at, PASSWORD).await.expect("an answer").ok();
    };
    let administer = async || {
        root.get("/collective/status").await.ok();
    };
    let quiet = (median(sign_in).await, median(administer).await);

    let (lab, alice) = (Arc::new(lab), Arc::new(alice));
    let mut held: Vec<TcpStream> = vec![];
    let mut known: Vec<TlsStream<TcpStream>> = vec![];
    for number in 0..2_000_u16 {
        let [high, low] = number.to_be_bytes();
        // Many of one source, and many sources: both ways of being many.
        let source = if number % 2 == 0 { [127, 9, 9, 9] } else { [127, 2, high, low] };
        held.extend(from(source, at).await.ok());
        held.extend(from(source, lab.process(0).bound.admin).await.ok());
    }
    for _ in 0..200 {
        known.extend(identified(&lab, &alice, at).await.ok());
    }
    assert!(held.len() >= 3_900, "{} connections of strangers", held.len());
    let crowded = (median(sign_in).await, median(administer).await);
    eprintln!(
        "medians of sign-in and admin API: {quiet:?}; beside {} idle connections {crowded:?}",
        held.len() + known.len()
    );
    for (what, quiet, crowded) in [("sign-in", quiet.0, crowded.0), ("admin API", quiet.1, crowded.1)] {
        assert!(crowded <= 2 * quiet + NOISE, "{what}: {crowded:?} beside idle connections, {quiet:?} without");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_identity_has_thirty_two_connections_open_and_no_more() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    // A refused one is closed as soon as the handshake is done; one without a request only after 5 s.
    let stays = async || match identified(&lab, &alice, at).await {
        Ok(mut stream) => timeout(Duration::from_secs(3), stream.read(&mut [0])).await.is_err(),
        Err(_) => false,
    };
    let open = futures_util::future::join_all((0..48).map(|_| stays())).await;
    assert_eq!(open.iter().filter(|stays| **stays).count(), 32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_refused_in_time() {
    let lab = Lab::start().await;
    let at = lab.client_address(0);
    let trust = || ControllerTrust { roots: vec![lab.root], members: None };
    let ask = async |head: &str, drip: Option<&[u8]>| {
        let config = Tls::new().controller_client(trust(), None);
        let connector = TlsConnector::from(config);
        let stream = TcpStream::connect(at).await.expect("connected");
        let stream = connector
            .with_alpn(vec![Alpn::SignIn.entry()])
            .connect(ServerName::from(at.ip()), stream)
            .await
            .expect("a handshake");
        let (mut reading, mut writing) = tokio::io::split(stream);
        writing.write_all(head.as_bytes()).await.expect("written");
        writing.flush().await.expect("written");
        let dripping = async {
            while let Some(bytes) = drip {
                tokio::time::sleep(Duration::from_millis(500)).await;
                if writing.write_all(bytes).await.is_err() || writing.flush().await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let mut answer = [0; 12];
        let begun = Instant::now();
        tokio::select! {
            read = timeout(Duration::from_secs(30), reading.read_exact(&mut answer)) => {
                read.expect("an answer in time").expect("an answer");
            }
            () = dripping => unreachable!("it never ends"),
        }
        (String::from_utf8_lossy(&answer).into_owned(), begun.elapsed())
    };
    let head = "POST /client/v1/sign-in HTTP/1.1\r\nhost: c\r\ncontent-type: application/json\r\n";
    let (sized, chunked) =
        (format!("{head}content-length: 1000\r\n\r\n{{"), format!("{head}transfer-encoding: chunked\r\n\r\n"));
    let (silent, slow, endless) =
        tokio::join!(ask(&sized, None), ask(&sized, Some(b" ")), ask(&chunked, Some(b"1\r\n \r\n")),);
    for (what, (answer, after), most) in
        [("silence", silent, 10), ("a byte at a time", slow, 20), ("no end", endless, 20)]
    {
        assert!(answer.starts_with("HTTP/1.1 4"), "{what}: {answer}");
        assert!(after < Duration::from_secs(most), "{what}: after {after:?}");
    }
}
