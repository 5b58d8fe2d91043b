//! Servers for the protected side: real ones (nginx, iperf3, dnsmasq, slapd) and an echo server that counts.

pub mod dnsmasq;
pub mod iperf;
pub mod nginx;
pub mod slapd;
pub(crate) mod udp_echo;

pub use self::{dnsmasq::NameServer, iperf::IperfServer, nginx::Nginx, slapd::Slapd, udp_echo::UdpEcho};
