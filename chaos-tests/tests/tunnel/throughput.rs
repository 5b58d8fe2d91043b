//! What the tunnel carries beside what the kernel forwards without it, by iperf3 with one TCP stream.
//!
//! A measurement, not a promise: run it alone, on an idle machine, with
//! `cargo test -p ringwall-chaos-tests --test tunnel -- --ignored --nocapture`.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use ringwall_chaos_tests::lab::Lab;
use ringwall_chaos_tests::lab::command::Program;
use ringwall_chaos_tests::lab::probe::iperf::{IperfReport, IperfRun};

use crate::two_ends::{LAN, TwoEnds, ip};

const PORT: u16 = 5_201;
/// What the tunnel is built for: half of what the kernel forwards on the same cores.
const GOAL: f64 = 0.5;

fn measure(lab: &Lab, server: IpAddr, down: bool) -> Result<IperfReport> {
    let run = IperfRun::to(server, PORT).seconds(5);
    if down { run.down().run(lab, "client") } else { run.run(lab, "client") }
}

/// Seconds of both cores that this process, and with it both ends of the tunnel, has used so far.
fn processor_seconds() -> Result<f64> {
    /// Clock ticks a second, the same on every Linux (`USER_HZ`).
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the program's name, which may hold anything: fields 14 and 15 of proc(5).
    let fields = stat.rsplit_once(')').context("the name ends with a parenthesis")?.1;
    let ticks: Vec<f64> = fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS)
}

fn say(text: &str) {
    // The figures are for whoever runs this with `--nocapture`; if standard error is gone, nobody does.
    let _nobody_reads = writeln!(std::io::stderr(), "{text}");
}

#[test]
#[ignore = "takes a minute and wants the machine for itself"]
fn tunnel_carries_half_of_what_the_kernel_forwards() -> Result<()> {
    let ends = TwoEnds::start(1)?;
    let lab = &ends.lab;
    let mut iperf = lab.spawn("server", Program::system("iperf3", "iperf3").args(["--server"]))?;
    iperf.wait_listening(PORT, Duration::from_secs(5))?;
    let server = ip(LAN[0]);
    let mut tunnel = Vec::new();
    for down in [false, true] {
        let before = processor_seconds()?;
        let report = measure(lab, server, down)?;
        let used = (processor_seconds()? - before) * 8e9 / (report.bits_per_second * report.seconds);
        let (rate, again) = (report.bits_per_second / 1e9, report.retransmits);
        say(&format!(
            "tunnel, down {down}: {rate:.2} Gbit/s, {again} sent again, {used:.2} ns of both ends' cores a byte"
        ));
        tunnel.push(report.bits_per_second);
    }
    say(&format!("drops: {:?}", ends.drops()));
    let pings = lab.host("client").output("ping", &["-c", "200", "-i", "0.002", "-q", LAN[0]])?;
    say(pings.lines().last().unwrap_or_default());
    // Around the tunnel: the Gateway forwards between the two networks by itself.
    lab.host("client").ip_batch("route replace 10.99.0.0/24 via 10.88.0.1\n")?;
    for (down, through) in [false, true].into_iter().zip(tunnel) {
        let report = measure(lab, server, down)?;
        let ratio = through / report.bits_per_second;
        say(&format!(
            "kernel, down {down}: {:.2} Gbit/s; the tunnel carries {ratio:.2} of it",
            report.bits_per_second / 1e9
        ));
        assert!(ratio >= GOAL, "the tunnel carries {ratio:.2} of what the kernel forwards, wanted {GOAL}");
    }
    Ok(())
}
