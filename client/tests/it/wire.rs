//! The network around a machine: a neighbour on a link, to which everything goes that is not led into a tunnel, and which
//! counts what comes to it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

/// What is waited for happens within this time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where packets go that nobody protects.
const ELSEWHERE: &str = "198.51.100.1:7";
/// The link of this machine.
pub(crate) const LINK: &str = "lan0";
/// Counts what is for networks of Sites, and what is for [`ELSEWHERE`].
const CAPTURE: &str = "add table inet capture; \
    add counter inet capture clear; add counter inet capture elsewhere; \
    add chain inet capture come { type filter hook prerouting priority -400; }; \
    add rule inet capture come ip daddr { 10.1.0.0/16, 10.2.0.0/16 } counter name clear; \
    add rule inet capture come ip6 daddr { fd01::/64, fd02::/64 } counter name clear; \
    add rule inet capture come ip daddr 198.51.100.1 counter name elsewhere";

/// Runs `ip`, and gives what it prints.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A program of the neighbour; ends when it is dropped.
pub(crate) struct Neighbours(Child);

impl Drop for Neighbours {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// The neighbour, in a network namespace of its own.
pub(crate) struct Wire(Child);

impl Wire {
    /// Makes the link and the default routes, in a namespace that has none.
    pub(crate) async fn start() -> Self {
        let neighbour = Command::new("unshare").args(["--net", "--", "sleep", "600"]).spawn().expect("started");
        let this = Self(neighbour);
        let own = std::fs::read_link("/proc/self/ns/net").expect("readable");
        let separate = async {
            while std::fs::read_link(format!("/proc/{}/ns/net", this.0.id())).is_ok_and(|its| its == own) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, separate).await.expect("the neighbour has its own namespace");
        ip(&format!("link add {LINK} type veth peer name lan1 netns {}", this.0.id()));
        for command in
            ["address add 192.0.2.1/24 dev lan0", "address add fd77::1/64 dev lan0 nodad", "link set lan0 up"]
        {
            ip(command);
        }
        for command in
            ["address add 192.0.2.2/24 dev lan1", "address add fd77::2/64 dev lan1 nodad", "link set lan1 up"]
        {
            this.there("ip", &command.split(' ').collect::<Vec<_>>());
        }
        ip("route add default via 192.0.2.2");
        ip("-6 route add default via fd77::2");
        this.there("nft", &[CAPTURE]);
        this
    }

    /// A name server at the neighbour, at this address of it: every name is at 192.0.2.9.
    pub(crate) fn name_server(&self, address: &str) -> Neighbours {
        let flags: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
        self.there("ip", &[&["address", "add", address, "dev", "lan1"][..], flags].concat());
        let mut command = Command::new("nsenter");
        // Within `nsenter` there is no other process between, so that it is this one that is ended.
        command.args(["-t", &self.0.id().to_string(), "-n", "dnsmasq", "--keep-in-foreground", "--no-resolv"]);
        command.args(["--no-hosts", "--conf-file=/dev/null", "--pid-file", "--port=53", "--interface=lan1"]);
        command.args(["--bind-interfaces", "--user=root", "--address=/#/192.0.2.9"]);
        Neighbours(command.spawn().expect("dnsmasq is installed"))
    }

    /// Packets for networks of Sites that came in clear.
    pub(crate) fn in_clear(&self) -> u64 {
        self.count("clear")
    }

    /// Waits until whatever left this machine before is counted: packets of a link stay in their order.
    pub(crate) async fn caught_up(&self) {
        let before = self.count("elsewhere");
        let socket = UdpSocket::bind("0.0.0.0:0").await.expect("bound");
        let wait = async {
            while self.count("elsewhere") == before {
                socket.send_to(b"marker", ELSEWHERE).await.expect("nobody protects it");
            }
        };
        timeout(PATIENCE, wait).await.expect("packets reach the neighbour");
    }

    /// Shows that a packet for this address is seen if nothing keeps it: else no count proves anything.
    pub(crate) async fn must_see(&self, address: &str) {
        let before = self.in_clear();
        let any = if address.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(any).await.expect("bound");
        let wait = async {
            while self.in_clear() == before {
                // The link may need a moment.
                let _unreachable = socket.send_to(b"in clear", address).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("the neighbour sees packets in clear");
    }

    fn count(&self, counter: &str) -> u64 {
        let listed = self.there("nft", &["list", "counter", "inet", "capture", counter]);
        let number = listed.split("packets ").nth(1).and_then(|rest| rest.split(' ').next());
        number.and_then(|number| number.parse().ok()).expect("a counter")
    }

    fn there(&self, program: &str, arguments: &[&str]) -> String {
        let pid = self.0.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid, "-n", program]).args(arguments).stderr(Stdio::inherit());
        let output = command.output().expect("util-linux is installed");
        assert!(output.status.success(), "{program} {arguments:?} failed at the neighbour");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}
