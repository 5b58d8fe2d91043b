//! A Gateway in miniature: a namespace, a TUN toward clients, another toward protected hosts, the firewall between.
//!
//! A packet that is written into a TUN has gone its whole way through the kernel when `write` returns (one test holds
//! the kernel to this), so "nothing arrived" needs no waiting.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_actors::ports::{Install, InstallError, LeaseRenewal, RuleEnforcer, SessionAddresses};
use ringwall_gateway::firewall::{Enforcer, Firewall, FirewallConfig};
use ringwall_protocol::id::{LogIndex, SessionId};
use ringwall_protocol::name::UserDn;
use ringwall_protocol::rules::{Element, Protocol, RuleSet, Run, Verdict};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::packets::Seen;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// Runs a test in a network namespace of its own.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name(std::thread::current().name().unwrap_or("test").to_owned());
    let body = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("these tests need root");
        run("ip", &["link", "set", "lo", "up"]);
        test();
    };
    if let Err(panic) = thread.spawn(body).expect("a thread").join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a program in the namespace of this thread and returns what it prints.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the program is installed");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {err}");
    out.into_owned()
}

pub(crate) struct Lab {
    pub(crate) tun: SyncDevice,
    pub(crate) lan: SyncDevice,
    pub(crate) firewall: Firewall,
    pub(crate) enforcer: Enforcer,
}

/// Pools 10.9.0.0/16 and fd09::/64, protected 10.20.0.0/16 and fd20::/64. The Gateway is 10.9.255.254 and 10.20.0.1.
pub(crate) fn config() -> FirewallConfig {
    let pools4 = vec!["10.9.0.0/16".parse().expect("a network")];
    let pools6 = vec!["fd09::/64".parse().expect("a network")];
    let mut config = FirewallConfig::new("rw0".parse().expect("a name"), pools4, pools6);
    config.slots_ahead = 4;
    config
}

pub(crate) fn interface(name: &str, addresses: [&str; 2]) -> SyncDevice {
    let device = DeviceBuilder::new().name(name).mtu(1_400).build_sync().expect("a TUN device");
    device.set_nonblocking(true).expect("a descriptor of our own");
    for address in addresses {
        let mut arguments = vec!["address", "add", address, "dev", name];
        if address.contains(':') {
            arguments.push("nodad");
        }
        run("ip", &arguments);
    }
    run("ip", &["link", "set", name, "up"]);
    // Without a queue the kernel's own chatter cannot make a packet wait for another processor.
    run("tc", &["qdisc", "replace", "dev", name, "root", "noqueue"]);
    device
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: FirewallConfig) -> Self {
        let tun = interface("rw0", ["10.9.255.254/16", "fd09::ffff:1/64"]);
        let lan = interface("lan0", ["10.20.0.1/16", "fd20::1/64"]);
        let firewall = Firewall::start(config).expect("root and a kernel of 6.9 or later");
        firewall.enable_forwarding().expect("root");
        let enforcer = firewall.enforcer();
        Self { tun, lan, firewall, enforcer }
    }

    pub(crate) fn hold_lease(&self, lease: Duration) {
        assert!(self.renew(lease), "nothing speaks against a lease");
    }

    pub(crate) fn renew(&self, lease: Duration) -> bool {
        let renewal = LeaseRenewal { read_index: LogIndex(0), sent_at: Instant::now(), lease };
        self.enforcer.renew_lease(renewal).blocking_recv().expect("the enforcer lives")
    }

    /// Session `n` at its own addresses with these rules, for an hour.
    pub(crate) fn admit(&self, n: u16, rules: &RuleSet) -> Result<(), InstallError> {
        self.install(install(n, 1, rules))
    }

    pub(crate) fn install(&self, install: Install) -> Result<(), InstallError> {
        self.enforcer.install(install).blocking_recv().expect("the enforcer lives")
    }

    pub(crate) fn cut(&self, n: u16) {
        self.enforcer.remove(session(n), LogIndex(0)).blocking_recv().expect("the enforcer lives");
    }

    pub(crate) fn client_sends(&self, packet: &[u8]) {
        self.tun.send(packet).expect("the TUN is up");
    }

    pub(crate) fn server_sends(&self, packet: &[u8]) {
        self.lan.send(packet).expect("the interface is up");
    }

    /// What has arrived at the protected side since the last call.
    pub(crate) fn at_server(&self) -> Vec<Seen> {
        arrived(&self.lan)
    }

    /// Waits for a packet at the protected side that follows from a descriptor being closed: a program that another test of this
    /// process is just starting has copies of all descriptors until it is executed, and so the kernel may close it later.
    pub(crate) fn server_hears(&self, what: &str, wanted: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.at_server().iter().any(&wanted) {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::yield_now();
        }
    }

    /// What has arrived for clients since the last call.
    pub(crate) fn at_client(&self) -> Vec<Seen> {
        arrived(&self.tun)
    }

    /// Sends from a client and says whether it came through.
    pub(crate) fn client_reaches(&self, packet: &[u8]) -> bool {
        self.at_server();
        self.client_sends(packet);
        !self.at_server().is_empty()
    }

    /// Sends from the protected side and says whether it came through.
    pub(crate) fn server_reaches(&self, packet: &[u8]) -> bool {
        self.at_client();
        self.server_sends(packet);
        !self.at_client().is_empty()
    }
}

pub(crate) fn arrived(device: &SyncDevice) -> Vec<Seen> {
    let mut buffer = [0; 2_048];
    let mut seen = vec![];
    while let Ok(length) = device.recv(&mut buffer) {
        seen.extend(Seen::parse(&buffer[..length]).filter(|packet| !packet.is_chatter()));
    }
    seen
}

pub(crate) fn session(n: u16) -> SessionId {
    let mut bits = [0; 16];
    bits[..2].copy_from_slice(&n.to_be_bytes());
    SessionId::from_random(bits)
}

/// IPv4 address of session `n`.
pub(crate) fn client(n: u16) -> IpAddr {
    let [a, b] = n.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 9, a, b))
}

/// IPv6 address of session `n`.
pub(crate) fn client6(n: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, n))
}

pub(crate) fn server(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([10, 20, 0, 5]), port)
}

pub(crate) fn server6(port: u16) -> SocketAddr {
    SocketAddr::new("fd20::5".parse().expect("an address"), port)
}

pub(crate) fn addresses(n: u16) -> SessionAddresses {
    let (IpAddr::V4(v4), IpAddr::V6(v6)) = (client(n), client6(n)) else { unreachable!("by construction") };
    SessionAddresses { v4: Some(v4), v6: Some(v6) }
}

/// Four sessions are one user's.
fn user_of(n: u16) -> UserDn {
    format!("CN=user{},OU=local", n / 4).parse().expect("a DN")
}

pub(crate) fn install(n: u16, generation: u64, rules: &RuleSet) -> Install {
    Install {
        session: session(n),
        generation,
        checked_at: LogIndex(1),
        user: user_of(n),
        addresses: addresses(n),
        rules: Arc::new(rules.clone()),
        expires_in: HOUR,
    }
}

pub(crate) fn element(first: &str, last: &str, protocol: Protocol, ports: std::ops::RangeInclusive<u16>) -> Element {
    let [first, last] = [first, last].map(|text| text.parse().expect("an address"));
    Element { first, last, protocol, first_port: *ports.start(), last_port: *ports.end() }
}

pub(crate) fn run_of(verdict: Verdict, elements: Vec<Element>) -> Run {
    Run { verdict, elements, named: vec![] }
}

/// One host and one port, TCP and UDP over IPv4.
pub(crate) fn allow_port(port: u16) -> RuleSet {
    let elements =
        [Protocol::Tcp, Protocol::Udp].map(|protocol| element("10.20.0.5", "10.20.0.5", protocol, port..=port));
    RuleSet { up4: vec![run_of(Verdict::Allow, elements.into())], ..RuleSet::default() }
}

/// Everything toward the protected networks, nothing back.
pub(crate) fn allow_everything() -> RuleSet {
    let all = |first: &str, last: &str, icmp: Protocol| {
        let protocols = [Protocol::Tcp, Protocol::Udp, icmp, Protocol::Gre];
        vec![run_of(Verdict::Allow, protocols.map(|protocol| element(first, last, protocol, 0..=65_535)).into())]
    };
    RuleSet {
        up4: all("10.20.0.0", "10.20.255.255", Protocol::Icmp),
        up6: all("fd20::", "fd20::ffff:ffff:ffff:ffff", Protocol::Icmpv6),
        ..RuleSet::default()
    }
}
