//! What a rule set says about one flow, exactly as the kernel would.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::compile::ResolvedNames;
use super::{Direction, Named, Protocol, RuleSet, Run, Verdict};

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
    /// The verdict of the first run that has the flow; `None`: dropped because nothing allows it. Names stand for
    /// nothing here.
    #[must_use]
    pub fn verdict(&self, flow: &Flow) -> Option<Verdict> {
        self.verdict_knowing(flow, &ResolvedNames::default())
    }

    /// The same with what names stand for.
    #[must_use]
    pub(crate) fn verdict_knowing(&self, flow: &Flow, names: &ResolvedNames) -> Option<Verdict> {
        let chain = self.chain(flow.direction, flow.remote.is_ipv6());
        chain.iter().find(|run| run.has(flow, names)).map(|run| run.verdict)
    }

    /// How wide the element is that has the flow: addresses, then ports. Smaller decides first.
    #[must_use]
    pub(crate) fn narrowest(&self, flow: &Flow) -> Option<(u128, u16)> {
        let elements = self.chain(flow.direction, flow.remote.is_ipv6()).iter().flat_map(|run| &run.elements);
        let has = |element: &&super::Element| {
            element.protocol == flow.protocol
                && (element.first..=element.last).contains(&flow.remote)
                && element.ports().contains(&flow.port)
        };
        elements.filter(has).map(|element| (element.width(), element.last_port - element.first_port)).min()
    }

    /// Whether the flow passes.
    #[must_use]
    pub fn passes(&self, flow: &Flow) -> bool {
        matches!(self.verdict(flow), Some(Verdict::Allow | Verdict::Alert))
    }
}

impl Run {
    fn has(&self, flow: &Flow, names: &ResolvedNames) -> bool {
        let covers = |element: &super::Element| {
            element.protocol == flow.protocol
                && (element.first..=element.last).contains(&flow.remote)
                && element.ports().contains(&flow.port)
        };
        let stands_for = |named: &Named| {
            named.protocol == flow.protocol
                && named.ports().contains(&flow.port)
                && names.0.get(&named.host).is_some_and(|known| known.contains(&flow.remote))
        };
        self.elements.iter().any(covers) || self.named.iter().any(stands_for)
    }
}
