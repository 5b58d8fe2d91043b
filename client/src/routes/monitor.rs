//! Hears from the kernel when rules, routes, links or addresses change, whoever changes them (rtnetlink(7), multicast groups).
//!
//! It says only *that* something changed which a tunnel may need: the kernel does not tell everything (routes of a link that
//! goes down vanish in silence), and when its queue for us overflows (`ENOBUFS`) nobody knows what was lost. Whoever is told
//! compares everything.

use std::future::poll_fn;
use std::io;

use bytes::BytesMut;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use ringwall_kernel::nft::Answers;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, SocketAddr, TokioSocket};
use rustix::io::Errno;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::TABLE;

/// What can take something away that a tunnel needs.
const GROUPS: [MulticastGroup; 8] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    // A device that is allowed IPv6 again.
    MulticastGroup::Ipv6Ifinfo,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];
/// Bytes of one read; the kernel never makes a larger datagram (`NLMSG_GOODSIZE` is less).
const READ: usize = 64 * 1024;

/// A running monitor; ends when it is dropped.
pub(crate) struct Monitor(JoinHandle<()>);

impl Monitor {
    /// Says at `changed` from now on that something changed, in the network namespace of the calling thread. A channel that is
    /// full holds a notification already.
    ///
    /// # Errors
    /// The kernel gives no socket.
    pub(crate) fn start(device_index: u32, changed: mpsc::Sender<()>) -> io::Result<Self> {
        let socket = subscribed()?;
        Ok(Self(tokio::spawn(listen(socket, device_index, changed))))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn subscribed() -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
    let groups = GROUPS.iter().fold(0_u32, |all, group| all | (1_u32 << (*group as u32 - 1)));
    socket.socket_mut().bind(&SocketAddr::new(0, groups))?;
    Ok(socket)
}

async fn listen(socket: TokioSocket, device_index: u32, changed: mpsc::Sender<()>) {
    let mut datagram = BytesMut::with_capacity(READ);
    loop {
        datagram.clear();
        datagram.reserve(READ);
        let received = poll_fn(|context| socket.poll_recv_from(context, &mut datagram)).await;
        let concerns_us = match received {
            // Other processes can send to this socket too.
            Ok(sender) if sender.port_number() != 0 => false,
            Ok(_) => Answers(&datagram).any(|message| concerns(message, device_index)),
            Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {
                tracing::debug!("netlink notifications were lost");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "cannot hear of changed routes; they are compared every 30 s");
                return;
            }
        };
        if concerns_us && matches!(changed.try_send(()), Err(mpsc::error::TrySendError::Closed(()))) {
            return;
        }
    }
}

/// Whether a message is about anything that a tunnel on this device needs. One that cannot be read may be.
fn concerns(message: &[u8], device_index: u32) -> bool {
    let Ok(NetlinkMessage { payload, .. }) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) else {
        return true;
    };
    let NetlinkPayload::InnerMessage(message) = payload else { return false };
    match message {
        RouteNetlinkMessage::NewRule(_) | RouteNetlinkMessage::DelRule(_) => true,
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => is_of_our_table(&route),
        RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => link.header.index == device_index,
        RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address) => {
            address.header.index == device_index
        }
        _ => false,
    }
}

fn is_of_our_table(route: &RouteMessage) -> bool {
    route.attributes.contains(&RouteAttribute::Table(TABLE))
}
