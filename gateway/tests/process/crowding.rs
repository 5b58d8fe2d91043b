//! Idle connections before `hello`: of strangers, and of one user's certificate (T51).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringwall_protocol::wire::session::{FromClient, FromGateway};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::Websocket;
use crate::collective::{Collective, SignedIn, gateway_address};
use crate::gateway::Gateway;
use crate::inside;

/// `hello`s that are timed.
const TIMES: usize = 9;
/// What a machine that others keep busy adds to a median.
const NOISE: Duration = Duration::from_millis(150);

async fn stranger(number: u16) -> std::io::Result<TcpStream> {
    let [high, low] = number.to_be_bytes();
    let source = if number.is_multiple_of(2) { [127, 9, 9, 9] } else { [127, 2, high, low] };
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    socket.connect(gateway_address()).await
}

/// From the dial to the welcome.
async fn hello(collective: &Collective, who: &SignedIn) -> Duration {
    let begun = Instant::now();
    let mut websocket = Websocket::connect(collective, who).await;
    websocket.say(&FromClient::Hello(collective.hello(who, 1))).await;
    assert!(matches!(websocket.hear().await, FromGateway::Welcome(_)));
    begun.elapsed()
}

/// Of devices that come for the first time: one that came again and again would be held off.
async fn median(collective: &mut Collective) -> Duration {
    let mut times = vec![];
    for _ in 0..TIMES {
        let who = collective.sign_in("alice");
        times.push(hello(collective, &who).await);
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn idle_connections_of_one_identity_and_of_strangers_leave_hello_undisturbed() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let _gateway = Gateway::start(&collective).await;
        let mallory = collective.sign_in("mallory");
        let quiet = median(&mut collective).await;
        let mut strangers = vec![];
        for number in 0..2_000 {
            strangers.extend(stranger(number).await.ok());
        }
        assert!(strangers.len() >= 1_900, "{} connections of strangers", strangers.len());
        let mut idle = vec![];
        for _ in 0..300 {
            // Some are closed while they shake hands: the oldest give way.
            idle.extend(Websocket::try_connect(&collective, &mallory).await);
        }
        assert!(!idle.is_empty());
        // Of those that say nothing, a few of the youngest are left.
        let mut left = 0;
        for websocket in &mut idle {
            left += usize::from(!websocket.is_ended_now().await);
        }
        assert!(left <= 8, "{left} idle connections of one certificate");
        let crowded = median(&mut collective).await;
        eprintln!(
            "hello until welcome: {quiet:?}; beside {} idle connections {crowded:?}",
            strangers.len() + idle.len()
        );
        assert!(crowded <= 2 * quiet + NOISE, "{crowded:?} beside idle connections, {quiet:?} without");
        drop(strangers);
    });
}
