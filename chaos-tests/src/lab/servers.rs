//! Servers for the protected side: real ones (nginx, iperf3) and an echo server that counts.

pub mod iperf;
pub mod nginx;
pub mod udp_echo;

pub use self::{iperf::IperfServer, nginx::Nginx, udp_echo::UdpEcho};
