//! An iperf3 server on a host.

use std::time::Duration;

use anyhow::Result;

use crate::lab::{Lab, command::Program, process::Process};

/// The port that iperf3 uses by default.
pub const PORT: u16 = 5201;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(10);

/// A running iperf3 server; serves one measurement after the other.
#[derive(Debug)]
pub struct IperfServer {
    _process: Process,
}

impl IperfServer {
    /// Starts it on a port of a host, on all its addresses.
    pub fn start(lab: &Lab, host: &str, port: u16) -> Result<Self> {
        let program =
            Program::system(&format!("iperf3-{host}"), "iperf3").args(["--server", "--port", &port.to_string()]);
        let mut process = lab.spawn(host, program)?;
        process.wait_listening(port, START)?;
        Ok(Self { _process: process })
    }
}
