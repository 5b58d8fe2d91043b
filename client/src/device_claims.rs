//! What this device says of itself: a fixed set of facts, and those that the identity provider asks for.
//!
//! Nothing that a server sends is executed, and no file's content leaves the device: an on-demand claim is one of six
//! questions that this program answers itself (S37), in a process without privileges (T81). Built-in claims cannot be overridden by on-demand ones. All of it is
//! untrusted where it arrives.

use std::net::IpAddr;
use std::time::Duration;

use ringwall_protocol::claims::{ClaimMap, UntrustedClaims};
use ringwall_protocol::object::identity_provider::OnDemandClaim;
use serde_json::{Value, json};

mod inspection;
mod inspector;
mod schedule;
mod system;

pub(crate) use inspection::serve;
pub(crate) use inspector::{Inspector, SUBCOMMAND};
pub(crate) use schedule::Schedule;

/// They are sent at least this often (absent after 15 min).
pub(crate) const SEND_INTERVAL: Duration = Duration::from_mins(5);
/// They are looked at this often, so that a change is sent within 10 s.
pub(crate) const COLLECT_INTERVAL: Duration = Duration::from_secs(8);
/// A claim that differs at every look and is therefore no change.
const VOLATILE: &str = "uptimeSeconds";

/// What this program says of the device without being asked. `own` are the tunnel's addresses, which are left out.
#[must_use]
pub(crate) fn collect(own: &[IpAddr]) -> UntrustedClaims {
    UntrustedClaims(ClaimMap(built_in(own).into_iter().collect()))
}

/// The same with the answers to what is wanted. Blocking: waits for the process that reads files.
#[must_use]
pub(crate) fn collect_with(wanted: &[OnDemandClaim], own: &[IpAddr], inspector: &mut Inspector) -> UntrustedClaims {
    let questions = wanted.iter().filter(|claim| inspection::concerns_us(&claim.platform)).cloned();
    let mut claims = inspector.ask(questions.collect());
    claims.0.extend(built_in(own));
    UntrustedClaims(claims)
}

/// Whether something changed that somebody should hear of.
#[must_use]
pub(crate) fn differs(before: &UntrustedClaims, after: &UntrustedClaims) -> bool {
    let steady = |claims: &UntrustedClaims| -> ClaimMap {
        claims
            .0
            .0
            .iter()
            .filter(|(name, _)| *name != VOLATILE)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    steady(before) != steady(after)
}

fn built_in(own: &[IpAddr]) -> Vec<(String, Value)> {
    let os = system::os_release();
    let name = |name: &str, value: Value| (name.to_owned(), value);
    vec![
        name(
            "os",
            json!({
                "type": "linux",
                "id": os.id,
                "name": os.name,
                "version": os.version,
                "kernel": system::kernel_release(),
                "architecture": std::env::consts::ARCH,
            }),
        ),
        name("hostname", system::hostname().into()),
        name("addresses", system::addresses(own).iter().map(ToString::to_string).collect::<Vec<_>>().into()),
        name(VOLATILE, system::uptime().into()),
        name("clientVersion", env!("CARGO_PKG_VERSION").into()),
        // Nothing on Linux answers this for all disks; a condition must not take silence for yes.
        name("diskEncryption", "unknown".into()),
    ]
}

#[cfg(test)]
mod tests;
