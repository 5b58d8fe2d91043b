//! Which policy makes a token too large: for the operator who must make it smaller (T30).

use std::collections::BTreeMap;

use ringwall_protocol::assign::Assignment;
use ringwall_protocol::id::PolicyId;
use ringwall_protocol::token::EntitlementToken;

/// A policy's share of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share {
    /// The policy's name.
    pub(super) policy: String,
    /// Entitlements that it gives.
    pub(super) entitlements: usize,
    /// Bytes of them.
    pub(super) bytes: usize,
}

/// The policy whose entitlements take most of the token; what several policies give counts for each of them.
pub(super) fn largest_share(token: &EntitlementToken, assignment: &Assignment) -> Option<Share> {
    let mut shares: BTreeMap<PolicyId, (usize, usize)> = BTreeMap::new();
    for granted in &token.entitlements {
        let bytes = serde_json::to_vec(granted).map_or(0, |bytes| bytes.len());
        let givers = assignment.entitlements.iter().filter(|((id, _), _)| *id == granted.id);
        for policy in givers.flat_map(|(_, policies)| policies) {
            let share = shares.entry(*policy).or_default();
            *share = (share.0 + 1, share.1 + bytes);
        }
    }
    let (policy, (entitlements, bytes)) = shares.into_iter().max_by_key(|(_, (_, bytes))| *bytes)?;
    let finding = assignment.findings.iter().find(|finding| finding.id == policy)?;
    Some(Share { policy: finding.name.clone(), entitlements, bytes })
}
