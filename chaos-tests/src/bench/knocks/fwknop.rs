//! The peer: fwknop's server under the same flood, in a namespace of its own. What it judged is what its kernel handed
//! over; what it took is its own processor time. Its complaints go nowhere, as cheap as they can be.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::lab::{
    Lab,
    command::Program,
    namespace::Namespace,
    process::Process,
    topology::{Host, Topology},
    wait,
};

/// The peer's name in the summary.
pub(super) const NAME: &str = "fwknop";
const SERVER: &str = "fwknopd";
const HOST: &str = "knocked";
/// The port by default.
const PORT: u16 = 62_201;
const START: Duration = Duration::from_secs(10);
/// A packet with a message and an HMAC-SHA256 has so many base64 characters.
const PACKET: usize = 224;
/// `USER_HZ`, in which the kernel counts processes' time.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server.
pub(super) struct Fwknop {
    lab: Lab,
    server: Process,
}

impl Fwknop {
    /// Starts it; `None` if it is not installed.
    pub(super) fn start() -> Result<Option<Self>> {
        let found = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).chain(["/usr/sbin".into()]).any(|directory| directory.join(SERVER).exists())
        });
        if !found {
            return Ok(None);
        }
        let lab = Lab::start(
            Topology::new().network("wan", "10.77.1.0/24", "fd77:1::/64").host(Host::new(HOST).on("wan", 11)),
        )?;
        let directory = lab.directory();
        let files = [
            ("access.conf", "SOURCE ANY\nKEY a-key-of-the-bench\nHMAC_KEY another-key-of-the-bench\n".to_owned()),
            ("fwknopd.conf", format!("ENABLE_UDP_SERVER Y;\nUDPSERV_PORT {PORT};\n")),
        ];
        for (name, text) in files {
            let path = directory.join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        }
        // Foreground, without changes to a firewall.
        let command = format!(
            "exec {SERVER} -f -U -t -a access.conf -c fwknopd.conf -r {0} -p {0}/fwknopd.pid -d {0}/digest.cache >/dev/null 2>&1",
            directory.display()
        );
        let program = Program::system(SERVER, "sh").args(["-c", &command]).directory(directory);
        let program = program.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let server = lab.spawn(HOST, program)?;
        let namespace = lab.host(HOST).clone();
        wait::until_ok("fwknop to listen", START, || {
            let listening = namespace.output("ss", &["-H", "-lun", &format!("sport = :{PORT}")])?;
            ensure!(!listening.trim().is_empty(), "nothing listens");
            Ok(())
        })?;
        Ok(Some(Self { lab, server }))
    }

    /// Wrong knocks judged per second of its processor time.
    pub(super) fn flood(&self, span: Duration) -> Result<f64> {
        let namespace = self.lab.host(HOST);
        let (judged, spent) = (received(namespace)?, self.processor_time()?);
        namespace.enter(|| send_junk(span))??;
        let rate = (received(namespace)? - judged) / (self.processor_time()? - spent);
        ensure!(rate.is_finite() && rate > 0.0, "{NAME} judged nothing");
        Ok(rate)
    }

    /// User and system time, in seconds.
    fn processor_time(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.server.id().number()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("a time in stat");
        Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
    }
}

/// Datagrams that programs of a namespace have read.
fn received(namespace: &Namespace) -> Result<f64> {
    let text = namespace.output("cat", &["/proc/net/snmp"])?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = lines.next().zip(lines.next()).context("counters of UDP")?;
    let at = names.split(' ').position(|name| name == "InDatagrams").context("InDatagrams")?;
    Ok(values.split(' ').nth(at).context("a value")?.parse()?)
}

/// What has the shape of one of its knocks: base64 of the right length, with a number in it.
fn send_junk(span: Duration) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))?;
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut packet: Vec<u8> = (0..PACKET).map(|at| letters[at * 7 % letters.len()]).collect();
    let end = Instant::now() + span;
    for number in 0u64.. {
        if number.is_multiple_of(64) && Instant::now() >= end {
            break;
        }
        packet[..12].copy_from_slice(format!("{number:012}").as_bytes());
        // What does not fit is dropped, as for anybody.
        let _ = socket.send(&packet);
    }
    Ok(())
}
