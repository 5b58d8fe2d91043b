//! What clients tried and were not allowed: read from NFLOG, parsed, handed on.
//!
//! The kernel logs a flow once a second and within a budget per session; this thread only reads. It never blocks on
//! who listens: a full channel loses the report, which is counted. Logged bytes come from clients; whatever they
//! hold, nothing here panics.

mod flow;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::nflog::{
    ConfigCmd, ConfigFlags, ConfigMode, ConfigNla, PacketNla, Timeout, ULogMessage, config_request,
};
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use ringwall_kernel::nft::{Answers, ErrorAnswer, LOGGED_BYTES, log_prefix};
use ringwall_protocol::rules::Direction;
use rustix::net::sockopt::{set_socket_recv_buffer_size_force, set_socket_timeout};
use tokio::sync::mpsc;

pub use flow::{AlertedFlow, BlockedFlow, LoggedPort};

/// Bytes of one read: more than the kernel puts into one message.
const READ: usize = 1 << 17;
/// Bytes that wait in the socket for this thread.
const WAITING: usize = 4 << 20;
/// How long a log message waits for company.
const GATHER: Duration = Duration::from_millis(10);
/// Packets of one log message at most.
const TOGETHER: u32 = 32;
/// How often the thread looks whether it is to stop.
const LOOK_UP: Duration = Duration::from_millis(200);

/// Starts a thread that reads one NFLOG group. `stop` ends it within 200 ms.
pub(super) fn start<F: Send + 'static>(
    group: u16,
    name: &'static str,
    parse: fn(&[u8], Direction) -> Option<F>,
    into: mpsc::Sender<F>,
    stop: Arc<AtomicBool>,
) -> io::Result<std::thread::JoinHandle<()>> {
    let socket = listen(group)?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let mut buffer = vec![0; READ];
        while !stop.load(Ordering::Relaxed) {
            match socket.recv(&mut &mut buffer[..], 0) {
                Ok(length) => hand_on(&buffer[..length.min(READ)], parse, &into),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    // ENOBUFS: the kernel lost messages of ours; it says so once.
                    _ => metrics::counter!("ringwall_firewall_log_errors_total").increment(1),
                },
            }
        }
    })
}

fn listen(group: u16) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    set_socket_recv_buffer_size_force(socket.as_fd(), WAITING)?;
    set_socket_timeout(socket.as_fd(), rustix::net::sockopt::Timeout::Recv, Some(LOOK_UP))?;
    let settings = vec![
        ConfigCmd::Bind.into(),
        ConfigMode::new_packet(LOGGED_BYTES).into(),
        ConfigFlags::SEQ.into(),
        Timeout::from(GATHER).into(),
        ConfigNla::QThresh(TOGETHER),
        ConfigNla::NlBufSiz(1 << 16),
    ];
    let message = config_request(NetfilterProtoFamily::Unspec, group, settings);
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
    let mut answer = vec![0; READ];
    let length = socket.recv(&mut &mut answer[..], 0)?;
    let refused = Answers(&answer[..length.min(READ)]).filter_map(ErrorAnswer::read).find(|answer| answer.errno != 0);
    match refused {
        Some(refused) => Err(io::Error::from_raw_os_error(refused.errno)),
        None => Ok(socket),
    }
}

fn hand_on<F>(datagram: &[u8], parse: fn(&[u8], Direction) -> Option<F>, into: &mpsc::Sender<F>) {
    for message in Answers(datagram) {
        let Some(flow) = logged(message).and_then(|(packet, direction)| parse(&packet, direction)) else { continue };
        match into.try_send(flow) {
            Ok(()) => metrics::counter!("ringwall_firewall_logged_flows_total").increment(1),
            Err(_) => metrics::counter!("ringwall_firewall_logged_flows_dropped_total").increment(1),
        }
    }
}

/// The logged bytes of a packet, IP header first, and who began its flow.
fn logged(message: &[u8]) -> Option<(Vec<u8>, Direction)> {
    let parsed = NetlinkMessage::<NetfilterMessage>::deserialize(message).ok()?;
    let NetlinkPayload::InnerMessage(NetfilterMessage {
        inner: NetfilterMessageInner::ULog(ULogMessage::Packet(attributes)),
        ..
    }) = parsed.payload
    else {
        return None;
    };
    let (mut packet, mut direction) = (None, Direction::Up);
    for attribute in attributes {
        match attribute {
            PacketNla::Payload(bytes) => packet = Some(bytes),
            PacketNla::Prefix(word) if word.as_bytes() == log_prefix(Direction::Down).as_bytes() => {
                direction = Direction::Down;
            }
            _ => {}
        }
    }
    packet.map(|packet| (packet, direction))
}
