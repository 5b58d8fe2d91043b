//! Throughput by iperf3, the tool that others use too.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::lab::{Lab, command::Program};

/// Time for connecting and reporting on top of the measured time.
const OVERHEAD: Duration = Duration::from_secs(20);

/// A measurement to make.
#[derive(Debug, Clone)]
pub struct IperfRun {
    server: IpAddr,
    port: u16,
    seconds: u32,
    down: bool,
}

/// What iperf3 measured.
#[derive(Debug, Clone, PartialEq)]
pub struct IperfReport {
    /// What the receiving end got, in bits a second, averaged over the whole run.
    pub bits_per_second: f64,
    /// TCP segments sent again.
    pub retransmits: u64,
    /// UDP packets that arrived.
    pub(crate) packets: u64,
    /// UDP packets that did not.
    pub(crate) lost_packets: u64,
    /// Measured seconds.
    pub seconds: f64,
}

impl IperfRun {
    /// One TCP stream to a server for 5 s.
    #[must_use]
    pub fn to(server: IpAddr, port: u16) -> Self {
        Self { server, port, seconds: 5, down: false }
    }

    /// Measures this long.
    #[must_use]
    pub fn seconds(mut self, seconds: u32) -> Self {
        self.seconds = seconds;
        self
    }

    /// From the server to the client.
    #[must_use]
    pub fn down(mut self) -> Self {
        self.down = true;
        self
    }

    /// Measures from a host of the lab.
    pub fn run(&self, lab: &Lab, from: &str) -> Result<IperfReport> {
        let program = Program::system(&format!("iperf3-{from}"), "iperf3").args(self.arguments());
        let timeout = Duration::from_secs(u64::from(self.seconds)) + OVERHEAD;
        let finished = lab.run(from, &program, timeout)?;
        // iperf3 reports its failures in the same JSON, on standard output.
        parse(&finished.stdout).with_context(|| format!("{} said: {}", finished.line, finished.stderr))
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = ["--json", "--connect-timeout", "5000", "--client"].map(str::to_owned).into();
        arguments.push(self.server.to_string());
        arguments.extend(["--port".to_owned(), self.port.to_string()]);
        arguments.extend(["--time".to_owned(), self.seconds.to_string()]);
        arguments.extend(["--parallel".to_owned(), "1".to_owned()]);
        if self.down {
            arguments.push("--reverse".to_owned());
        }
        arguments
    }
}

#[derive(Deserialize)]
struct Output {
    error: Option<String>,
    end: Option<End>,
}

#[derive(Deserialize)]
struct End {
    sum_sent: Option<Sum>,
    sum_received: Option<Sum>,
    sum: Option<Sum>,
}

#[derive(Deserialize, Default)]
struct Sum {
    bits_per_second: f64,
    seconds: f64,
    #[serde(default)]
    retransmits: u64,
    #[serde(default)]
    packets: u64,
    #[serde(default)]
    lost_packets: u64,
}

fn parse(json: &str) -> Result<IperfReport> {
    let output: Output = serde_json::from_str(json).context("iperf3 prints JSON")?;
    if let Some(error) = output.error {
        anyhow::bail!("iperf3: {error}");
    }
    let end = output.end.context("iperf3 gives a result")?;
    let retransmits = end.sum_sent.map_or(0, |sent| sent.retransmits);
    let got = end.sum_received.or(end.sum).context("iperf3 gives the receiver's sum")?;
    let udp = got.packets > 0;
    let loss = if udp { got.lost_packets as f64 / got.packets as f64 } else { 0.0 };
    Ok(IperfReport {
        bits_per_second: got.bits_per_second * (1.0 - loss),
        retransmits,
        packets: got.packets - got.lost_packets,
        lost_packets: got.lost_packets,
        seconds: got.seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_receiver_got_counts() {
        let report = parse(
            r#"{"end":{"sum_sent":{"seconds":5.0,"bits_per_second":9e9,"retransmits":3},
                       "sum_received":{"seconds":5.0,"bits_per_second":8e9}}}"#,
        )
        .unwrap();
        assert_eq!((report.bits_per_second, report.retransmits), (8e9, 3));
    }

    #[test]
    fn a_failure_is_named() {
        let error = parse(r#"{"start":{},"intervals":[],"end":{},"error":"unable to connect"}"#).unwrap_err();
        assert!(error.to_string().contains("unable to connect"));
    }
}
