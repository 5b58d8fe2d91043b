//! Why the Client drops packets.

use ringwall_tunnel::packet::Refusal;

ringwall_tunnel::drop_reasons! {
    /// No IP packet, lengths that disagree, or a header that no tunnel carries.
    Malformed => "malformed";
    /// No Site has a route to the destination.
    NoRoute => "no route";
    /// The Site has no tunnel at the moment.
    NoTunnel => "no tunnel";
    /// The Site's tunnel is slower than what is sent to it.
    QueueFull => "queue full";
    /// Sent from an address that is not the tunnel's.
    ForeignSource => "foreign source";
    /// Came for an address that is not the tunnel's.
    ForeignDestination => "foreign destination";
    /// Came from an address that does not belong to the Site.
    OutsideSite => "outside site";
    /// The kernel did not take the packet.
    Device => "device";
}

impl From<Refusal> for DropReason {
    fn from(_: Refusal) -> Self {
        Self::Malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_status_are_these_eight() {
        let labels: Vec<_> = DropReason::ALL.iter().map(|reason| reason.label()).collect();
        let expected = [
            "malformed",
            "no route",
            "no tunnel",
            "queue full",
            "foreign source",
            "foreign destination",
            "outside site",
            "device",
        ];
        assert_eq!(labels, expected);
    }
}
