//! `explain`: why a user reaches a host, or does not.

use anyhow::Result;
use ringwall_protocol::explain::{ExplainedEntitlement, Explanation};
use ringwall_protocol::expression::Readings;
use ringwall_protocol::wire::admin::ExplainRequest;
use serde_json::Value;

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
    let mut text = format!("{user} → {destination}: {answer}, {}\n", explanation.because);
    for obstacle in &explanation.obstacles {
        text.push_str(&format!("\n! {}", obstacle.message));
    }
    text.push_str("\npolicies");
    for policy in &explanation.policies {
        let error = reason(policy.error.as_deref());
        let (mark, read) = (mark(policy.matched), read(&policy.read));
        text.push_str(&format!("\n  {mark} {} [{:?}]: {}{error}{read}", policy.name, policy.kind, policy.expression));
    }
    text.push_str("\nentitlements that name it");
    if explanation.entitlements.is_empty() {
        text.push_str("\n  none");
    }
    explanation.entitlements.iter().for_each(|entitlement| text.push_str(&entitlement_lines(entitlement)));
    if !explanation.missed.is_empty() {
        text.push_str("\nentitlements that would allow it and that the user does not have");
    }
    for missed in &explanation.missed {
        let givers = if missed.given_by.is_empty() { "no policy".to_owned() } else { missed.given_by.join(", ") };
        let state = if missed.disabled { "disabled" } else { "not given" };
        text.push_str(&format!("\n  ✗ {}: {state}; given by {givers}", missed.name));
    }
    text
}

fn entitlement_lines(entitlement: &ExplainedEntitlement) -> String {
    let head = format!("{} at {}: {}", entitlement.name, entitlement.site_name, entitlement.rule);
    let mut text = format!("\n  {} {head} (given by {})", mark(entitlement.open), entitlement.given_by.join(", "));
    for condition in &entitlement.conditions {
        let (error, read) = (reason(condition.error.as_deref()), read(&condition.read));
        let mark = mark(condition.holds);
        text.push_str(&format!("\n      {mark} {}: {}{error}{read}", condition.name, condition.expression));
    }
    text
}

fn reason(error: Option<&str>) -> String {
    error.map_or_else(String::new, |error| format!(" ({error})"))
}

/// The claims that decided: `[user.groups = ["dev"], device absent]`.
fn read(readings: &Readings) -> String {
    let one = |(path, value): (&String, &Value)| match value {
        Value::Null => format!("{path} absent"),
        value => format!("{path} = {value}"),
    };
    let all: Vec<_> = readings.iter().map(one).collect();
    if all.is_empty() { String::new() } else { format!(" [{}]", all.join(", ")) }
}

const fn mark(yes: bool) -> &'static str {
    if yes { "✓" } else { "✗" }
}
