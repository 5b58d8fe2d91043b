//! Mode UDP-TCP on a Controller, attacked with real packets from another network namespace. Needs root.

mod outside;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ringwall_collective::profile_key;
use ringwall_collective::{Advertise, Config};
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::object::{ClientProfile, ObjectKind};
use ringwall_protocol::spa::{KNOCK_LEN, Service};
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::state::collective::ChangeSettings;
use ringwall_raft::state::object::{DeleteObject, Expected};
use ringwall_trust::secret::{SecretKey, SystemRandom};
use ringwall_trust::spa::{Destination, KnockRequest, PeerRole, SpaKey};
use ringwall_trust::tls::{Alpn, Tls};
use serde_json::json;

use crate::client::Client;
use crate::harness::{self, Lab, PASSWORD, until};
use outside::{Heard, INSIDE, INSIDE6, Outside, in_the_dark};

/// A Collective of one Controller at the address that strangers reach; a second one would get other ports.
fn configure(data_dir: PathBuf) -> Config {
    configure_at(IpAddr::from(INSIDE), data_dir)
}

/// The same at its IPv6 address.
fn configure6(data_dir: PathBuf) -> Config {
    configure_at(IpAddr::from(INSIDE6), data_dir)
}

fn configure_at(ip: IpAddr, data_dir: PathBuf) -> Config {
    let first = data_dir.ends_with("c1");
    let at = |port: u16| SocketAddr::from((ip, if first { port } else { port + 1_000 }));
    let (client, peer, admin) = (at(443), at(444), at(8_443));
    let text = |address: SocketAddr| vec![address.to_string()];
    Config {
        listen_client: client,
        listen_peer: peer,
        listen_admin: admin,
        advertise: Advertise { client: text(client), admin: text(admin), peer: text(peer) },
        // Orders of the tests come from this host.
        admin_sources: vec![ip.into()],
        ..harness::config(data_dir)
    }
}

struct Dark {
    lab: Lab,
    outside: Outside,
    key: SecretKey,
    at: SocketAddr,
}

impl Dark {
    async fn start(outside: Outside) -> Self {
        Self::start_with(outside, configure).await
    }

    async fn start_with(outside: Outside, configure: fn(PathBuf) -> Config) -> Self {
        let dark = Self::asked_for(outside, configure).await;
        until("the guard stands", async || !dark.outside.opens(dark.at)).await;
        dark
    }

    /// Mode UDP-TCP is wanted; whether it can be kept is not looked at.
    async fn asked_for(outside: Outside, configure: fn(PathBuf) -> Config) -> Self {
        let lab = Lab::start_with(configure).await;
        lab.user("alice").await;
        let state = lab.controller(0).replica.state();
        let profile = state.client_profiles().next().expect("the default profile");
        let key = profile_key(&state, &lab.controller(0).vault, profile).expect("a key");
        let at = lab.client_address(0);
        let dark = Self { lab, outside, key, at };
        dark.want(SpaMode::UdpTcp).await;
        dark
    }

    async fn want(&self, mode: SpaMode) {
        let controller = self.lab.controller(0);
        let mut settings = controller.replica.state().settings().clone();
        settings.spa_mode = mode;
        controller.replica.change(ChangeSettings { settings, expected_version: None }).await.expect("changed");
    }

    fn profile(&self) -> ClientProfile {
        self.lab.controller(0).replica.state().client_profiles().next().expect("a profile").clone()
    }

    fn profile_named(&self, name: &str) -> ClientProfile {
        let state = self.lab.controller(0).replica.state();
        state.client_profiles().find(|profile| profile.base.name == name).expect("a profile").clone()
    }

    fn key_of(&self, profile: &ClientProfile) -> SecretKey {
        let controller = self.lab.controller(0);
        profile_key(&controller.replica.state(), &controller.vault, profile).expect("a key")
    }

    fn knock(&self, at: SocketAddr, now: UnixMillis, connections: u8) -> [u8; KNOCK_LEN] {
        self.knock_with(&self.key, at, now, connections)
    }

    fn knock_with(&self, key: &SecretKey, at: SocketAddr, now: UnixMillis, connections: u8) -> [u8; KNOCK_LEN] {
        let request = KnockRequest { service: Service::Client, destination: Destination::of(at), now };
        request.packet(&SpaKey::new(key), connections, &SystemRandom)
    }

    /// Whether a packet opens the port; what it bought is spent then.
    fn opened_by(&self, packet: &[u8]) -> bool {
        self.opened_with(&self.key, self.at, packet)
    }

    /// The same with a fresh knock of another key.
    fn opened_by_knock_of(&self, key: &SecretKey) -> bool {
        self.opened_with(key, self.at, &self.knock_with(key, self.at, now(), 1))
    }

    fn opened_with(&self, key: &SecretKey, at: SocketAddr, packet: &[u8]) -> bool {
        self.outside.send(packet, at);
        let opened = self.outside.opens(at);
        while opened && self.is_served(key, at) {}
        opened
    }

    /// Whether a connection with a proof in its ClientHello is answered.
    fn is_served(&self, key: &SecretKey, at: SocketAddr) -> bool {
        let request = KnockRequest { service: Service::Client, destination: Destination::of(at), now: now() };
        let proof = request.alpn_entry(&SpaKey::new(key), &SystemRandom);
        self.outside.is_answered(at, client_hello(vec![proof, Alpn::SignIn.entry()]))
    }

    /// Sends a packet that must open the port, and waits until it did: a busy Controller judges late. What it bought is
    /// spent then.
    async fn until_opened_by(&self, packet: &[u8]) {
        self.outside.send(packet, self.at);
        until("the knock opens", async || self.outside.opens(self.at)).await;
        while self.is_served(&self.key, self.at) {}
    }

    /// Waits until the Controller takes fresh knocks: none that is older than its process and a margin.
    async fn until_knocks_are_taken(&self) {
        until("a fresh knock opens", async || self.opened_by(&self.knock(self.at, now(), 1))).await;
        // On a busy machine a knock that was given up too early may still be judged.
        until("what was bought is spent", async || {
            while self.is_served(&self.key, self.at) {}
            !self.outside.opens(self.at)
        })
        .await;
    }

    /// Knocks and makes a proved connection so many times; how long each took that came through within 3 s.
    fn connects(&self, times: usize) -> Vec<Duration> {
        let once = |_| {
            let begun = Instant::now();
            // As a Client does: again if nothing answers.
            (0..3).find_map(|_| {
                self.outside.send(&self.knock(self.at, now(), 1), self.at);
                std::thread::sleep(Duration::from_millis(15));
                self.is_served(&self.key, self.at).then(|| begun.elapsed())
            })
        };
        (0..times).filter_map(once).collect()
    }

    /// That a scan finds what is there where nothing hides it.
    async fn until_it_shows_without_the_guard(&self, ip: IpAddr) {
        self.want(SpaMode::Tcp).await;
        until("without the guard the ports show", async || {
            let found = self.outside.answering(ip, vec![1, 443, 444, 8_443]);
            ["tcp 1:", "udp 1:", "tcp 443: open", "tcp 444: open", "tcp 8443: open"]
                .iter()
                .all(|expected| found.iter().any(|one| one.starts_with(expected)))
        })
        .await;
    }
}

/// The bytes of a ClientHello with these ALPN entries.
fn client_hello(entries: Vec<Vec<u8>>) -> Vec<u8> {
    let name = rustls::pki_types::ServerName::try_from("ringwall.invalid").expect("a name");
    let config = Tls::new().join_client(Vec::new());
    let mut client = rustls::ClientConnection::new_with_alpn(config, name, entries).expect("a connection");
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).expect("written to memory");
    }
    bytes
}

fn now() -> UnixMillis {
    ringwall_collective::now()
}

#[test]
fn a_scan_finds_nothing_before_and_after_somebody_elses_knock() {
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        let ip = IpAddr::from(INSIDE);
        let ports: Vec<u16> = (1..=1_024).chain([1_443, 5_355, 8_443, 9_100, 33_434, 65_535]).collect();
        dark.until_knocks_are_taken().await;
        assert_eq!(dark.outside.answering(ip, ports.clone()), Vec::<String>::new());
        // Somebody else's: the same cable, another address.
        let other = IpAddr::from([10, 55, 0, 101]);
        dark.outside.run(|| {
            let added = std::process::Command::new("ip").args("addr add 10.55.0.101/24 dev far".split(' ')).status();
            assert!(added.expect("ip is installed").success());
        });
        let (knock, at) = (dark.knock(dark.at, now(), 2), dark.at);
        dark.outside.run(move || {
            let socket = std::net::UdpSocket::bind((other, 0)).expect("a socket");
            socket.send_to(&knock, at).expect("sent");
        });
        assert_eq!(dark.outside.answering(ip, ports.clone()), Vec::<String>::new());
        dark.until_it_shows_without_the_guard(ip).await;
    });
}

#[test]
fn a_scan_over_ipv6_finds_nothing_before_and_after_somebody_elses_knock() {
    in_the_dark(async |outside| {
        let dark = Dark::start_with(outside, configure6).await;
        let ip = IpAddr::from(INSIDE6);
        let ports: Vec<u16> = (1..=1_024).chain([1_443, 5_355, 8_443, 9_100, 33_434, 65_535]).collect();
        assert_eq!(dark.outside.answering(ip, ports.clone()), Vec::<String>::new());
        dark.until_knocks_are_taken().await;
        let other = IpAddr::from([0xfd00, 0x55, 0, 0, 0, 0, 0, 0x101]);
        dark.outside.run(|| {
            let arguments = "addr add fd00:55::101/64 dev far nodad preferred_lft 0".split(' ');
            let added = std::process::Command::new("ip").args(arguments).status();
            assert!(added.expect("ip is installed").success());
        });
        let (knock, at) = (dark.knock(dark.at, now(), 2), dark.at);
        let heard = dark.outside.run(move || {
            let socket = std::net::UdpSocket::bind((other, 0)).expect("a socket");
            socket.send_to(&knock, at)
        });
        assert!(heard.is_ok(), "{heard:?}");
        assert_eq!(dark.outside.answering(ip, ports), Vec::<String>::new());
        // At the other family's address of the same machine nobody is to be found either.
        assert_eq!(dark.outside.answering(IpAddr::from(INSIDE), vec![1, 443, 444, 8_443]), Vec::<String>::new());
        dark.until_it_shows_without_the_guard(ip).await;
    });
}

#[test]
fn a_mode_that_is_left_and_wanted_again_at_once_stands_at_once() {
    // A guard that could not be had is tried again after ten seconds: it must not be its own sockets that are in the way.
    const AT_ONCE: Duration = Duration::from_secs(5);
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        for round in 0..8 {
            dark.want(SpaMode::Open).await;
            dark.want(SpaMode::UdpTcp).await;
            let wanted = Instant::now();
            until("the guard stands", async || !dark.outside.opens(dark.at)).await;
            assert!(wanted.elapsed() < AT_ONCE, "round {round}: {:?}", wanted.elapsed());
        }
        assert!(dark.opened_by_knock_of(&dark.key), "and knocks are heard");
    });
}

#[test]
fn knock_works_at_one_place_once() {
    in_the_dark(async |outside| {
        let mut dark = Dark::start(outside).await;
        dark.until_knocks_are_taken().await;
        dark.lab.join_with(configure).await;
        let knock = dark.knock(dark.at, now(), 1);
        dark.until_opened_by(&knock).await;
        assert!(!dark.outside.opens(dark.at), "one connection was bought");
        assert!(!dark.opened_by(&knock), "replayed");
        let second = dark.lab.client_address(1);
        assert_ne!(second, dark.at);
        // The other Controller holds the same key.
        until("the other controller takes knocks", async || {
            dark.opened_with(&dark.key, second, &dark.knock(second, now(), 1))
        })
        .await;
        let captured = dark.knock(dark.at, now(), 1);
        dark.outside.send(&captured, second);
        assert!(!dark.outside.opens(second), "a captured knock is for one place");
        // It was not used up elsewhere.
        dark.until_opened_by(&captured).await;
    });
}

#[test]
fn an_altered_knock_opens_nothing() {
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        dark.until_knocks_are_taken().await;
        let knock = dark.knock(dark.at, now(), 1);
        // First byte, hint, nonce, sealed part, tag: one bit in each; and the known end behind another beginning.
        for (byte, bit) in [(0, 0), (1, 3), (8, 7), (9, 0), (20, 1), (21, 2), (60, 4), (111, 5), (112, 6), (127, 0)] {
            let mut altered = knock;
            altered[byte] ^= 1 << bit;
            dark.outside.send(&altered, dark.at);
        }
        let mut other_beginning = dark.knock(dark.at, now(), 1);
        other_beginning[21..].copy_from_slice(&knock[21..]);
        dark.outside.send(&other_beginning, dark.at);
        assert!(!dark.outside.opens(dark.at));
        // The original is unused.
        dark.until_opened_by(&knock).await;
    });
}

#[test]
fn a_knock_from_a_clock_that_is_off_opens_nothing_beyond_the_window() {
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        dark.until_knocks_are_taken().await;
        let off = Duration::from_secs(400);
        for time in [now().minus(off), now().plus(off)] {
            dark.outside.send(&dark.knock(dark.at, time, 1), dark.at);
        }
        assert!(!dark.outside.opens(dark.at));
        // Within the window.
        dark.until_opened_by(&dark.knock(dark.at, now().plus(Duration::from_secs(200)), 1)).await;
    });
}

#[test]
fn a_used_knock_stays_used_over_a_restart() {
    in_the_dark(async |outside| {
        let mut dark = Dark::start(outside).await;
        dark.until_knocks_are_taken().await;
        let ahead = dark.knock(dark.at, now().plus(Duration::from_secs(120)), 1);
        let present = dark.knock(dark.at, now(), 1);
        dark.until_opened_by(&ahead).await;
        dark.until_opened_by(&present).await;
        dark.lab.stop(0).await;
        assert!(!dark.outside.opens(dark.at), "a dead process looks like a live one");
        dark.lab.restart(0).await;
        dark.until_knocks_are_taken().await;
        for used in [ahead, present] {
            dark.outside.send(&used, dark.at);
        }
        assert!(!dark.outside.opens(dark.at));
    });
}

#[test]
fn junk_leaves_no_conntrack_entry() {
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        dark.until_knocks_are_taken().await;
        let tracked = || -> usize {
            let count = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").expect("a count");
            count.trim().parse().expect("a number")
        };
        let before = tracked();
        for port in [443, 444, 8_443] {
            let at = SocketAddr::from((INSIDE, port));
            for _ in 0..100 {
                dark.outside.send(&[0xFF; KNOCK_LEN], at);
                dark.outside.send(&[0; 100], at);
            }
            assert!(!dark.outside.opens(at));
        }
        assert!(tracked() <= before, "{} entries, {before} before", tracked());
    });
}

#[test]
fn a_knock_buys_as_many_connections_as_it_asks_for() {
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        dark.until_knocks_are_taken().await;
        for bought in [1, 2] {
            dark.outside.send(&dark.knock(dark.at, now(), bought), dark.at);
            until("the knock opens", async || dark.outside.opens(dark.at)).await;
            let admin = SocketAddr::from((INSIDE, 8_443));
            assert!(!dark.outside.opens(admin), "no other port");
            let served = (0..4).filter(|_| dark.is_served(&dark.key, dark.at)).count();
            assert_eq!(served, usize::from(bought));
            assert!(!dark.outside.opens(dark.at), "and the pinhole is closed");
        }
    });
}

/// What somebody with the same source address sees while a pinhole is open: that a TCP port accepts connections. Nothing
/// else, however often he comes, and he takes nothing away from whoever knocked (T47).
#[test]
fn a_neighbour_behind_the_same_address_sees_an_open_port_and_nothing_else() {
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        dark.until_knocks_are_taken().await;
        let started = Instant::now();
        dark.outside.send(&dark.knock(dark.at, now(), 1), dark.at);
        until("the knock opens", async || dark.outside.opens(dark.at)).await;
        let no_proof = client_hello(vec![Alpn::SignIn.entry()]);
        let wrong = {
            let request = KnockRequest { service: Service::Client, destination: Destination::of(dark.at), now: now() };
            let entry = request.alpn_entry(&SpaKey::new(&SecretKey::new([1; 32])), &SystemRandom);
            client_hello(vec![entry, Alpn::SignIn.entry()])
        };
        for bytes in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![], no_proof, wrong] {
            let heard = dark.outside.hears(dark.at, bytes.clone());
            assert_eq!(heard, Heard::OpenAndSilent, "{} bytes", bytes.len());
        }
        // More handshakes than there are seats for one source, held open.
        let held = dark.outside.hold(dark.at, 300);
        assert!(held >= 256, "{held} handshakes were completed");
        assert!(started.elapsed() < Duration::from_secs(9), "the pinhole is still open");
        assert!(dark.is_served(&dark.key, dark.at), "what was bought is still there");
        assert!(!dark.outside.opens(dark.at), "and the proved connection closed the pinhole");
        dark.outside.release();
    });
}

#[test]
fn a_pinhole_that_nobody_uses_ends_after_ten_seconds() {
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        dark.until_knocks_are_taken().await;
        dark.outside.send(&dark.knock(dark.at, now(), 1), dark.at);
        until("the knock opens", async || dark.outside.opens(dark.at)).await;
        let opened = Instant::now();
        while dark.outside.opens(dark.at) {
            assert!(opened.elapsed() < Duration::from_secs(11), "it does not end");
        }
        assert!(!dark.is_served(&dark.key, dark.at));
    });
}

/// Thousands of SYNs a second with the Client's own address, before it knocks and while it connects, for each port that
/// has to be found: Clients', peers' (T47).
#[test]
fn syns_with_the_address_of_a_client_do_not_keep_it_out() {
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        dark.until_knocks_are_taken().await;
        let quiet = dark.connects(20);
        assert_eq!(quiet.len(), 20, "without a flood");
        let flood = dark.outside.flood(dark.at);
        let flooded = dark.connects(20);
        let sent = flood.stop();
        assert!(sent >= 2_000, "{sent} SYNs were sent");
        assert_eq!(flooded.len(), 20, "with {sent} SYNs");
        let (quiet, flooded) = (median(quiet), median(flooded));
        // What a loaded machine adds to a few milliseconds is not the flood's doing.
        let bound = (2 * quiet).max(Duration::from_millis(100));
        assert!(flooded <= bound, "median {flooded:?} with the flood, {quiet:?} without");
        let tracked = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").expect("a count");
        assert!(tracked.trim().parse::<usize>().expect("a number") < 1_000, "{tracked} entries");
    });
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn removing_a_profile_locks_its_key_out_at_once_and_for_ever() {
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        dark.until_knocks_are_taken().await;
        let profile = dark.profile();
        dark.outside.send(&dark.knock(dark.at, now(), 2), dark.at);
        until("the knock opens", async || dark.outside.opens(dark.at)).await;
        assert!(dark.is_served(&dark.key, dark.at), "one of two");
        let gone =
            DeleteObject { kind: ObjectKind::ClientProfile, id: profile.base.id.uuid(), expected: Expected::Anything };
        dark.lab.controller(0).replica.change(gone).await.expect("deleted");
        until("what was bought is void", async || !dark.outside.opens(dark.at)).await;
        assert!(!dark.opened_by(&dark.knock(dark.at, now(), 1)), "the key is junk");

        let mut other = serde_json::to_value(&profile).expect("JSON");
        other["id"] = json!(uuid::Uuid::new_v4());
        other["name"] = json!("other");
        other["spaKeyName"] = json!("another key");
        let other = dark.lab.put::<ClientProfile>(other).await;
        assert!(!dark.opened_by(&dark.knock(dark.at, now(), 1)), "another name is another key");
        let state = dark.lab.controller(0).replica.state();
        let key = profile_key(&state, &dark.lab.controller(0).vault, &other).expect("a key");
        until("the other key opens", async || dark.opened_by_knock_of(&key)).await;

        // The same name, and the generation that was removed: it gets one that nobody had.
        dark.lab.put::<ClientProfile>(serde_json::to_value(&profile).expect("JSON")).await;
        let again = dark.profile_named(&profile.base.name);
        assert!(again.key_generation > profile.key_generation, "{again:?}");
        let key = dark.key_of(&again);
        until("its own key opens", async || dark.opened_by_knock_of(&key)).await;
        assert!(!dark.opened_by(&dark.knock(dark.at, now(), 1)), "the key that was removed stays junk");
    });
}

#[test]
fn a_rotated_key_ends_at_once_or_after_its_time() {
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        dark.until_knocks_are_taken().await;
        let rotate = async |hours: u32| {
            let mut profile = serde_json::to_value(dark.profile()).expect("JSON");
            profile["keyGeneration"] = json!(dark.profile().key_generation + 1);
            profile["formerKeyHours"] = json!(hours);
            dark.lab.put::<ClientProfile>(profile).await;
            dark.key_of(&dark.profile())
        };
        let second = rotate(1).await;
        until("the new key opens", async || dark.opened_by_knock_of(&second)).await;
        until("the former one, too", async || dark.opened_by(&dark.knock(dark.at, now(), 1))).await;
        let third = rotate(0).await;
        until("the newest key opens", async || dark.opened_by_knock_of(&third)).await;
        assert!(!dark.opened_by_knock_of(&second), "the former one ended at once");
        assert!(!dark.opened_by(&dark.knock(dark.at, now(), 1)), "and so did the first");
        let (state, profile) = (dark.lab.controller(0).replica.state(), dark.profile());
        assert_eq!(state.former_generation(&profile, now()), None);
        let kept = ClientProfile { former_key_hours: 2, ..profile };
        let hours = |count: u64| now().plus(Duration::from_secs(count * 3_600 - 60));
        assert_eq!(state.former_generation(&kept, hours(2)), Some(1));
        assert_eq!(state.former_generation(&kept, hours(3)), None);
    });
}

#[test]
fn closed_enrolment_locks_newcomers_out_and_registered_devices_stay() {
    in_the_dark(async |outside| {
        let dark = Dark::start(outside).await;
        let mut alice = Client::new("alice", dark.lab.root);
        alice.knock = Some(dark.key.clone());
        // Over the loopback the proof in the ClientHello is enough.
        until("the profile's key opens", async || alice.sign_in_request(dark.at, "wrong").await.is_ok()).await;
        let answer = alice.sign_in_request(dark.at, PASSWORD).await.expect("an answer").ok();
        alice.keep(&answer);
        let own: SecretKey = answer["deviceSpaKey"].as_str().expect("a key of its own").parse().expect("a key");
        let mut profile = serde_json::to_value(dark.profile()).expect("JSON");
        profile["enrolment"] = json!(false);
        dark.lab.put::<ClientProfile>(profile).await;
        until("newcomers hear nothing", async || alice.sign_in_request(dark.at, PASSWORD).await.is_err()).await;
        assert!(!dark.opened_by(&dark.knock(dark.at, now(), 1)));
        until("the device's key opens", async || {
            dark.opened_with(&own, dark.at, &dark.knock_with(&own, dark.at, now(), 1))
        })
        .await;
        alice.knock = Some(own);
        let answer = alice.sign_in_request(dark.at, PASSWORD).await.expect("an answer").ok();
        alice.keep(&answer);
    });
}

#[test]
fn without_the_right_to_guard_clients_are_closed_out_and_the_peer_port_goes_on() {
    in_the_dark(async |outside| {
        // From here on nothing in this test may change rules of the kernel, as a service without the capability.
        drop_net_admin();
        let dark = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let dark = Dark::asked_for(outside, configure).await;
                let mut alice = Client::new("alice", dark.lab.root);
                alice.knock = Some(dark.key.clone());
                until("clients are closed out", async || alice.sign_in_request(dark.at, "wrong").await.is_err()).await;
                let controller = dark.lab.controller(0);
                let state = controller.replica.state();
                let role = ringwall_collective::peer_key(&state, &controller.vault, PeerRole::Join).expect("a key");
                let mut seed = dark.lab.seed("c2", ringwall_protocol::wire::join::JoinRole::Controller, None).await;
                seed.spa_key = Some(role.expose_text().to_string());
                let request = crate::gateway::join_request(&seed, &alice.key);
                // Refused because it brings too little, not for want of a knock: the port is served.
                until("the peer port answers", async || crate::gateway::try_ask(&seed, &request).await.is_ok()).await;
                dark.want(SpaMode::Tcp).await;
                until("mode TCP needs no such right", async || alice.sign_in_request(dark.at, "wrong").await.is_ok())
                    .await;
            });
        });
        dark.join().expect("the test holds");
    });
}

fn drop_net_admin() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let mut held = capabilities(None).expect("readable");
    held.effective.remove(CapabilitySet::NET_ADMIN);
    held.permitted.remove(CapabilitySet::NET_ADMIN);
    held.inheritable.remove(CapabilitySet::NET_ADMIN);
    set_capabilities(None, held).expect("giving up is allowed");
}
