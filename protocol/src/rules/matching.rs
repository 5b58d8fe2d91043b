//! What a rule set says about one flow, exactly as the kernel would.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Direction, Protocol, RuleSet, Verdict};

/// A flow between a Client and another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// Which side began it.
    pub direction: Direction,
    /// Protocol.
    pub protocol: Protocol,
    /// The other host.
    pub remote: IpAddr,
    /// Destination port, or `type × 256 + code`, or 0.
    pub port: u16,
}

impl RuleSet {
    /// The verdict of the first run that has the flow; `None`: dropped because nothing allows it.
    #[must_use]
    pub fn verdict(&self, flow: &Flow) -> Option<Verdict> {
        let covers = |element: &super::Element| {
            element.protocol == flow.protocol
                && (element.first..=element.last).contains(&flow.remote)
                && element.ports().contains(&flow.port)
        };
        self.chain(flow.direction, flow.remote.is_ipv6())
            .iter()
            .find(|run| run.elements.iter().any(covers))
            .map(|run| run.verdict)
    }

    /// Whether the flow passes.
    #[must_use]
    pub fn passes(&self, flow: &Flow) -> bool {
        matches!(self.verdict(flow), Some(Verdict::Allow | Verdict::Alert))
    }
}
