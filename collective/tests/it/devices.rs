//! Registered devices: how many there may be, when another factor is wanted, and what a cookie is worth.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::wire::error::ErrorCode;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::client::Client;
use crate::harness::{Lab, PASSWORD};
use crate::mfa::{answer_factor, code, enrol, want_factor};

/// Everything that is logged, as text.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Begins to capture what this process logs. Tests that share a process share what is captured.
    pub(crate) fn begin() -> Self {
        static CAPTURED: LazyLock<Captured> = LazyLock::new(|| {
            let captured = Captured::default();
            let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(captured.clone());
            subscriber.try_init().expect("nothing else subscribes in these tests");
            captured
        });
        CAPTURED.clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic while logging")).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic while logging").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Sets the number of devices that a user may have.
async fn limit_devices(lab: &Lab, limit: u32) {
    let state = lab.some_controller().replica.state();
    let mut provider = serde_json::to_value(state.local_provider().expect("a provider")).expect("JSON");
    provider["deviceLimitPerUser"] = json!(limit);
    lab.put::<IdentityProvider>(provider).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_first_sign_ins_over_three_controllers_register_exactly_five_devices() {
    let mut lab = Lab::start().await;
    let user = lab.user("alice").await;
    lab.join().await;
    lab.join().await;
    limit_devices(&lab, 5).await;
    let clients: Vec<Client> = (0..64).map(|_| Client::new("alice", lab.root)).collect();
    let sign_ins = clients.iter().enumerate().map(async |(nth, client)| {
        let at = lab.client_address(nth % 3);
        // A full queue of password work, or a request that a busy machine read too late (408), is no answer about
        // devices: nothing was begun, and whoever hears it asks again.
        loop {
            let answer = client.try_sign_in(at, PASSWORD).await;
            if answer.status == 200 || (answer.status != 408 && answer.code() != ErrorCode::Busy) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    });
    let answers = futures_util::future::join_all(sign_ins).await;
    let let_in = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status != 200).map(crate::client::Answer::code);
    assert!(refused.clone().all(|code| code == ErrorCode::DeviceLimit), "{:?}", refused.collect::<Vec<_>>());
    assert_eq!(let_in, 5);
    for at in 0..3 {
        let state = lab.controller(at).replica.current().await.expect("a quorum");
        assert_eq!(state.devices_of(user).count(), 5, "controller {at}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_was_lowered_leaves_registered_devices_and_lets_no_new_one_in() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let mut devices = [(); 2].map(|()| Client::new("alice", lab.root));
    for device in &mut devices {
        device.sign_in(at).await;
    }
    limit_devices(&lab, 0).await;
    for device in &mut devices {
        device.sign_in(at).await;
    }
    let third = Client::new("alice", lab.root);
    assert_eq!(third.try_sign_in(at, PASSWORD).await.code(), ErrorCode::DeviceLimit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_factor_wanted_always_is_asked_at_each_sign_in_of_a_registered_device_too() {
    let lab = Lab::start().await;
    let user = lab.user("alice").await;
    let seed = enrol(&lab, user).await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    assert_eq!(alice.try_sign_in(at, PASSWORD).await.status, 200, "never, as nothing is configured");
    let answer = alice.try_sign_in(at, PASSWORD).await;
    alice.cookie = answer.body["deviceCookie"].as_str().map(str::to_owned).or(alice.cookie);
    want_factor(&lab, false).await;
    let answer = alice.try_sign_in(at, PASSWORD).await;
    assert_eq!(answer.status, 200, "once: the device is registered already");
    alice.keep(&answer.body);
    want_factor(&lab, true).await;
    let wanted = alice.try_sign_in(at, PASSWORD).await;
    assert_eq!(wanted.status, 202, "always");
    let answer = answer_factor(&lab, 0, &alice, &wanted.body, &code(&seed)).await.ok();
    alice.keep(&answer);
    assert_eq!(alice.try_sign_in(at, PASSWORD).await.status, 202, "and again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_cookie_counts_once_more_and_its_later_use_is_refused_and_audited() {
    let log = Captured::begin();
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    let first = alice.cookie.clone();
    // The answer with the second cookie is lost: the first one is shown again.
    let lost = alice.try_sign_in(at, PASSWORD).await.ok();
    let answer = alice.try_sign_in(at, PASSWORD).await;
    assert_eq!(answer.status, 200, "a lost answer is forgiven");
    alice.keep(&answer.body);
    // Whoever kept the first cookie, or picked up the lost one, comes too late.
    for cookie in [first, lost["deviceCookie"].as_str().map(str::to_owned)] {
        let current = std::mem::replace(&mut alice.cookie, cookie);
        assert_eq!(alice.try_sign_in(at, PASSWORD).await.code(), ErrorCode::DeviceConflict);
        alice.cookie = current;
    }
    assert!(log.text().contains("device_conflict"), "the audit knows");
    alice.sign_in(at).await;
}
