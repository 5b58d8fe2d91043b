//! Guessers behind the same address as others: how registered devices and administrators fare beside them. Real Controllers,
//! real passwords, real time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringwall_protocol::wire::error::ErrorCode;
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::client::Client;
use crate::harness::{Lab, PASSWORD};

/// Guessers at the client API, and as many at the admin API.
const GUESSERS: usize = 8;
/// Sign-ins that are measured.
const TRIES: usize = 15;

/// Guessers that go on until they are told to stop.
struct Guessers {
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Guessers {
    async fn start(lab: &Lab) -> Self {
        let (stop, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        let at = lab.client_address(0);
        for number in 0..GUESSERS {
            let client = Client::new(&format!("user{number}"), lab.root);
            let (over, counted) = (Arc::clone(&stop), Arc::clone(&refused));
            tasks.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    if client.sign_in_request(at, "guess").await.is_ok() {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            let admin = Admin::with_key(lab, 0);
            let (over, counted) = (Arc::clone(&stop), Arc::clone(&refused));
            tasks.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    drop(admin.sign_in("root", "guess").await);
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let guessers = Self { stop, refused, tasks };
        crate::harness::until("the guessers have used up what an address has", async || guessers.count() >= 40).await;
        guessers
    }

    fn count(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }
}

#[expect(clippy::print_stderr, reason = "a measurement is for people")]
fn show(measured: &str) {
    eprintln!("{measured}");
}

/// How many of several sign-ins succeeded, and the median time of all.
async fn measured(sign_in: impl AsyncFn() -> bool) -> (usize, Duration) {
    let (mut right, mut times) = (0, Vec::new());
    for _ in 0..TRIES {
        let begun = Instant::now();
        right += usize::from(sign_in().await);
        times.push(begun.elapsed());
    }
    times.sort();
    (right, times[TRIES / 2])
}

async fn devices(client: &tokio::sync::Mutex<Client>, at: SocketAddr) -> (usize, Duration) {
    measured(async || {
        let mut client = client.lock().await;
        let answer = client.try_sign_in(at, PASSWORD).await;
        if answer.status == 200 {
            client.keep(&answer.body);
        }
        answer.status == 200
    })
    .await
}

async fn administrators(admin: &Admin) -> (usize, Duration) {
    measured(async || admin.sign_in("root", "a long password").await.status == 200).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessers_behind_the_same_address_keep_neither_devices_nor_administrators_out() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    for number in 0..GUESSERS {
        lab.user(&format!("user{number}")).await;
    }
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    let alice = tokio::sync::Mutex::new(alice);
    let root = Admin::with_key(&lab, 0);
    root.sign_in("root", "a long password").await.ok();
    let (device, admin) = (devices(&alice, at).await, administrators(&root).await);

    let guessers = Guessers::start(&lab).await;
    // The attack works: whoever proves nothing is refused, whatever he knows.
    let nobody = Client::new("alice", lab.root);
    assert_eq!(nobody.try_sign_in(at, PASSWORD).await.code(), ErrorCode::Busy, "an unknown device at this address");
    assert_eq!(Admin::stranger(&lab, 0).sign_in("root", "a long password").await.status, 429, "an unknown machine");
    let (attacked_device, attacked_admin) = (devices(&alice, at).await, administrators(&root).await);
    let guesses = guessers.count();
    guessers.end().await;

    show(&format!("a registered device: {device:?}, beside {guesses} guesses {attacked_device:?}"));
    show(&format!("an administrator's machine: {admin:?}, beside guesses {attacked_admin:?}"));
    for (without, with) in [(device, attacked_device), (admin, attacked_admin)] {
        assert_eq!((without.0, with.0), (TRIES, TRIES), "every sign-in succeeds");
        assert!(with.1 <= without.1 * 2 + Duration::from_millis(100), "median {without:?} became {with:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_guess_do_not_count_at_the_admin_api() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    for number in 0..12 {
        drop(Client::new(&format!("user{number}"), lab.root).try_sign_in(at, "guess").await);
    }
    assert_eq!(Client::new("alice", lab.root).try_sign_in(at, PASSWORD).await.code(), ErrorCode::Busy);
    Admin::stranger(&lab, 0).sign_in("root", "a long password").await.ok();
}
