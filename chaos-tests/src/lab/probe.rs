//! Measuring instruments: each runs inside a namespace and reports what really happened to packets.
//!
//! All run on threads of this program, so that the times of several instruments are on one clock and can be compared.
//! None decides whether a result is good: that is the test's part.

pub mod capture;
pub mod connect;
pub mod counter;
pub mod download;
pub mod echo;
pub mod http;
pub mod iperf;
pub mod port_scan;
pub mod waiting;

pub use self::{
    capture::{Capture, Seen},
    connect::{ConnectFailure, tcp_connects},
    counter::PacketCounter,
    download::{Download, DownloadReport},
    echo::{EchoProbe, EchoReport},
    http::{HttpReply, Url, http_get},
    iperf::{IperfReport, IperfRun},
    port_scan::{Flags, Scanned, scan_ports},
    waiting::WaitingRequest,
};
