//! Why a Gateway drops packets in a tunnel worker. What the kernel's rules drop is counted elsewhere.

use ringwall_tunnel::packet::Refusal;

ringwall_tunnel::drop_reasons! {
    /// Neither IPv4 nor IPv6.
    Version => "version";
    /// A length field disagrees with the bytes.
    Length => "length";
    /// IPv4 options.
    Options => "options";
    /// Forbidden IPv6 extension headers.
    Extension => "extension";
    /// Offload announced where there can be none.
    Offload => "offload";
    /// The source address is not the session's.
    ForeignSource => "foreign_source";
    /// More fragments than a session may send.
    Fragments => "fragments";
    /// The session has been cut.
    Cut => "cut";
    /// No session has the destination address.
    NoSession => "no_session";
    /// The session has no tunnel at the moment.
    NoTunnel => "no_tunnel";
    /// The session's peer is slower than what is sent to it.
    QueueFull => "queue_full";
    /// The packet's owner among the workers is busy.
    WorkerBusy => "worker_busy";
    /// The kernel did not take the packet.
    Device => "device";
}

impl From<Refusal> for DropReason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Version => Self::Version,
            Refusal::Length => Self::Length,
            Refusal::Options => Self::Options,
            Refusal::Extension => Self::Extension,
            Refusal::Offload => Self::Offload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_metric_are_these_thirteen() {
        let labels: Vec<_> = DropReason::ALL.iter().map(|reason| reason.label()).collect();
        let expected = [
            "version",
            "length",
            "options",
            "extension",
            "offload",
            "foreign_source",
            "fragments",
            "cut",
            "no_session",
            "no_tunnel",
            "queue_full",
            "worker_busy",
            "device",
        ];
        assert_eq!(labels, expected);
    }
}
