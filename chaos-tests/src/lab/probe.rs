//! Measuring instruments: each runs inside a namespace and reports what really happened to packets.
//!
//! All run on threads of this program, so that the times of several instruments are on one clock and can be compared.
//! None decides whether a result is good: that is the test's part.

pub(crate) mod capture;
pub(crate) mod connect;
pub(crate) mod counter;
pub(crate) mod download;
pub(crate) mod echo;
pub(crate) mod http;
pub mod iperf;
pub(crate) mod port_scan;
pub(crate) mod syn_flood;
pub(crate) mod waiting;

pub use self::{
    capture::{Capture, Seen},
    connect::{ConnectFailure, tcp_connects},
    counter::PacketCounter,
    download::Download,
    echo::EchoProbe,
    http::{HttpReply, Url, http_get},
    iperf::{IperfReport, IperfRun},
    port_scan::{Flags, Scanned, scan_ports},
    syn_flood::{SynFlood, SynsSent},
    waiting::WaitingRequest,
};
