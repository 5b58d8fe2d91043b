//! The Gateway's own binary as a child process, with a data directory as after joining, and the protected side as a TUN
//! device that the test reads.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringwall_gateway::data_dir::{DataDir, Identity};
use ringwall_protocol::id::NodeId;
use ringwall_protocol::object::appliance::ApplianceState;
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::collective::Collective;
use crate::{PATIENCE, until};

pub(crate) const CLIENT_PORT: u16 = 4430;
const HEALTH_PORT: u16 = 9443;
/// Its log, beside its data.
const LOG: &str = "gateway.log";
/// The Gateway's address on the protected side: what translated flows come from.
pub(crate) const PROTECTED_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 1);

pub(crate) struct Gateway {
    child: Child,
    protected: SyncDevice,
    data: tempfile::TempDir,
}

/// A datagram that came out on the protected side.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) source: IpAddr,
    pub(crate) port: u16,
}

/// Runs a program in the namespace of this thread.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("the program is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
}

/// What the kernel of this thread's namespace holds of the Gateway.
pub(crate) fn rules() -> String {
    let output = Command::new("nft").args(["list", "table", "inet", "ringwall"]).output().expect("nft is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

impl Gateway {
    /// Starts the process and waits until it admits sessions.
    pub(crate) async fn start(collective: &Collective) -> Self {
        Self::start_with(collective, |_, _| {}).await
    }

    /// The same; its log is kept for [`Self::log`].
    pub(crate) async fn start_logged(collective: &Collective) -> Self {
        Self::start_with(collective, |command, data| {
            command.stderr(File::create(data.join(LOG)).expect("made"));
        })
        .await
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join(LOG)).expect("it was started with a log")
    }

    async fn start_with(collective: &Collective, adapt: impl FnOnce(&mut Command, &Path)) -> Self {
        let protected = DeviceBuilder::new().name("lan0").mtu(1_400).build_sync().expect("a TUN device");
        protected.set_nonblocking(true).expect("a descriptor of our own");
        run("ip", &["address", "add", "10.20.0.1/16", "dev", "lan0"]);
        run("ip", &["link", "set", "lan0", "up"]);
        let data = tempfile::tempdir().expect("a directory");
        joined(&data, collective);
        let config = data.path().join("gateway.toml");
        std::fs::write(&config, configuration(&data)).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringwall-gateway"));
        command.arg("run").arg("--config").arg(&config);
        adapt(&mut command, data.path());
        let gateway = Self { child: command.spawn().expect("the binary runs"), protected, data };
        until("the gateway admits sessions", || TcpStream::connect(("127.0.0.1", CLIENT_PORT)).is_ok()).await;
        gateway
    }

    /// The next datagram on the protected side.
    pub(crate) async fn protected_side_hears(&self) -> Option<Seen> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = self.next() {
                return Some(seen);
            }
            if Instant::now() >= deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Whether no datagram has come out on the protected side since the last look.
    pub(crate) fn protected_side_is_silent(&self) -> bool {
        self.next().is_none()
    }

    /// Whether it would admit sessions.
    pub(crate) fn is_healthy(&self) -> bool {
        self.health().is_some()
    }

    /// What it says of itself while it would admit sessions.
    pub(crate) fn health(&self) -> Option<serde_json::Value> {
        let mut answer = String::new();
        let asked = TcpStream::connect(("127.0.0.1", HEALTH_PORT)).and_then(|mut stream| {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")?;
            stream.read_to_string(&mut answer)
        });
        asked.ok().filter(|_| answer.starts_with("HTTP/1.1 200"))?;
        answer.split("\r\n\r\n").nth(1).and_then(|body| serde_json::from_str(body).ok())
    }

    /// Whom the list of Controllers on its disk holds, and which of them were removed.
    pub(crate) fn controllers_on_disk(&self) -> Vec<(NodeId, bool)> {
        let members = DataDir::open(self.data.path()).and_then(|data| data.members()).expect("readable");
        members.iter().map(|record| (record.node, record.state == ApplianceState::Removed)).collect()
    }

    pub(crate) fn terminate(&self) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("it runs");
    }

    /// Waits for its end and checks that it was a good one.
    pub(crate) async fn stopped(&mut self) {
        let mut status = None;
        until("the gateway stops", || {
            status = self.child.try_wait().expect("it is ours");
            status.is_some()
        })
        .await;
        assert!(status.is_some_and(|status| status.success()));
        let forwarding = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").expect("readable");
        assert_eq!(forwarding.trim(), "0");
    }

    fn next(&self) -> Option<Seen> {
        let mut bytes = [0; 2_048];
        while let Ok(length) = self.protected.recv(&mut bytes) {
            let Ok(packet) = SlicedPacket::from_ip(&bytes[..length]) else { continue };
            if let (Some(NetSlice::Ipv4(v4)), Some(TransportSlice::Udp(udp))) = (packet.net, packet.transport) {
                return Some(Seen { source: v4.header().source_addr().into(), port: udp.destination_port() });
            }
        }
        None
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It has ended already, or it ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data directory as joining leaves it.
fn joined(directory: &tempfile::TempDir, collective: &Collective) {
    let view = collective.view();
    let data = DataDir::open(directory.path()).expect("made");
    let own = &collective.gateway.own;
    own.key.save(&directory.path().join("gateway.key")).expect("saved");
    data.keep_chain(&own.chain).expect("kept");
    data.keep_members(&view.controllers.values().cloned().collect::<Vec<_>>()).expect("kept");
    let (root, life) = (view.root_certificate, view.position.incarnation);
    data.keep_identity(&Identity::new(view.collective, collective.gateway.id, root, None, life)).expect("kept");
}

fn configuration(data: &tempfile::TempDir) -> String {
    format!(
        "data_dir = \"{}\"\n[listen]\nclient = \"127.0.0.1:{CLIENT_PORT}\"\nhealth = \"127.0.0.1:{HEALTH_PORT}\"\n\
         [network]\nprotected = [\"lan0\"]\n[workers]\ntunnel = 1\nsessions = 1\nlisteners = 1\n",
        data.path().display()
    )
}
