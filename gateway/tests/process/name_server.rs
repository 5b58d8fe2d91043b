//! A real name server (dnsmasq) in the namespace of the test, whose zone can change.

use std::net::{IpAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringwall_protocol::object::site::{DnsResolver, NameResolution};

use crate::until;

const PLACE: &str = "127.0.0.53";

pub(crate) struct NameServer {
    child: Child,
    home: tempfile::TempDir,
}

impl NameServer {
    /// Starts it with lines of `address name`; what begins with `*.` is every name below a domain.
    pub(crate) async fn start(zone: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("dnsmasq");
        command.args(["--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--local-ttl=1"]);
        command.args(["--port=53", "--bind-interfaces", "--user=root", "--pid-file=", "--local=/#/"]);
        command
            .arg(format!("--listen-address={PLACE}"))
            .arg(format!("--addn-hosts={}", home.path().join("zone").display()));
        for (address, name) in zone.iter().filter(|(_, name)| name.starts_with("*.")) {
            command.arg(format!("--address=/{}/{address}", &name[2..]));
        }
        command.arg("--cname=alias.corp.example,web.example");
        write(&home, zone);
        let child = command.stderr(Stdio::null()).spawn().expect("dnsmasq is installed");
        let server = Self { child, home };
        until("the name server listens", || TcpStream::connect((PLACE, 53)).is_ok()).await;
        server
    }

    /// From now on these addresses.
    pub(crate) fn change(&self, zone: &[(&str, &str)]) {
        write(&self.home, zone);
        kill(self.id(), Signal::SIGHUP).expect("it runs");
    }

    pub(crate) fn stop(&mut self) {
        kill(self.id(), Signal::SIGKILL).expect("it runs");
        self.child.wait().expect("it is ours");
    }

    /// The Site's settings that lead here.
    pub(crate) fn settings() -> NameResolution {
        let servers: Vec<IpAddr> = vec![PLACE.parse().expect("an address")];
        let resolver = DnsResolver {
            name: "site".to_owned(),
            update_interval: 5,
            query_aaaa: false,
            servers,
            match_domains: vec![],
        };
        NameResolution { dns_resolvers: vec![resolver] }
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        // Stopped already, or nobody asks any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(home: &tempfile::TempDir, zone: &[(&str, &str)]) {
    let single = zone.iter().filter(|(_, name)| !name.starts_with("*."));
    let text: String = single.map(|(address, name)| format!("{address} {name}\n")).collect();
    std::fs::write(home.path().join("zone"), text).expect("written");
}
