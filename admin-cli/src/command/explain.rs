//! `explain`: why a user reaches a host, or does not.

use anyhow::Result;
use ringwall_protocol::explain::{ExplainedEntitlement, Explanation};
use ringwall_protocol::wire::admin::ExplainRequest;

use super::Desk;
use crate::cli::Explain;
use crate::exit_code::Negative;
use crate::output::{Format, Rows, say};

/// Prints the tree of decisions; fails with [`Negative`] if the flow would be blocked.
pub(super) async fn explain(desk: &Desk, order: Explain) -> Result<()> {
    let request = ExplainRequest {
        user: order.user.clone(),
        destination: order.destination.clone(),
        protocol: order.protocol,
        device_claims: Default::default(),
    };
    let explanation: Explanation = desk.api.post("/explain", &request).await?;
    if desk.output == Format::Table {
        say(&tree(&order.user, &order.destination, &explanation))?;
    } else {
        desk.output.print(&explanation, |_| Rows::default())?;
    }
    if explanation.allowed { Ok(()) } else { Err(Negative.into()) }
}

fn tree(user: &str, destination: &str, explanation: &Explanation) -> String {
    let answer = if explanation.allowed { "yes" } else { "no" };
    let mut text = format!("{user} → {destination}: {answer}, {}\n\npolicies", explanation.because);
    for policy in &explanation.policies {
        let error = policy.error.as_ref().map_or_else(String::new, |error| format!(" ({error})"));
        text.push_str(&format!("\n  {} {} [{:?}]{error}", mark(policy.matched), policy.name, policy.kind));
    }
    text.push_str("\nentitlements that name it");
    if explanation.entitlements.is_empty() {
        text.push_str("\n  none");
    }
    explanation.entitlements.iter().for_each(|entitlement| text.push_str(&entitlement_lines(entitlement)));
    text
}

fn entitlement_lines(entitlement: &ExplainedEntitlement) -> String {
    let head = format!("{} at {}: {:?}", entitlement.name, entitlement.site_name, entitlement.verdict).to_lowercase();
    let mut text = format!("\n  {} {head}", mark(entitlement.open));
    for condition in &entitlement.conditions {
        let error = condition.error.as_ref().map_or_else(String::new, |error| format!(" ({error})"));
        text.push_str(&format!(
            "\n      {} {}: {}{error}",
            mark(condition.holds),
            condition.name,
            condition.expression
        ));
    }
    text
}

const fn mark(yes: bool) -> &'static str {
    if yes { "✓" } else { "✗" }
}
