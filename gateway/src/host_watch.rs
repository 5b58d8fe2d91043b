//! Watches what the firewall stands on: its own events, the kernel's rules and the host's settings, every 60 s.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use ringwall_actors::feed::Feed;
use ringwall_actors::feed::Resubscribe;
use ringwall_actors::ports::TunnelPlane;
use ringwall_protocol::wire::error::ErrorCode;
use tokio::sync::mpsc;

use crate::firewall::{Enforcer, FirewallEvent, HostSettings, Severity};

/// How often rules and settings are compared with what they should be.
const LOOK: Duration = Duration::from_secs(60);

/// Acts on the firewall's events until it is gone.
pub(crate) async fn follow_events(
    mut events: mpsc::Receiver<FirewallEvent>,
    feed: Addr<Feed>,
    tunnel: Arc<dyn TunnelPlane>,
) {
    while let Some(event) = events.recv().await {
        match event {
            FirewallEvent::Suspended => {
                tracing::warn!("the machine was suspended: lease ended, resubscribing to the feed");
                // A feed that is gone is noticed by whoever watches the process.
                let _ = feed.send(Resubscribe).await;
            }
            FirewallEvent::LeaseLapsed => {
                metrics::counter!("ringwall_lease_lapses_total").increment(1);
                tracing::warn!("lease expired: no packet passes until a controller confirms");
            }
            FirewallEvent::RemovalRefused(session) => {
                tracing::error!(%session, "cannot remove session rules from the kernel; closing its tunnel");
                drop(tunnel.cut(session, ErrorCode::InstallFailed));
            }
            FirewallEvent::ForeignChange(differences) => {
                metrics::counter!("ringwall_firewall_foreign_changes_total").increment(1);
                tracing::error!(?differences, "firewall rules were changed by another process");
            }
        }
    }
}

/// Compares rules and settings for ever; returns what is unsafe if it cannot be mended.
pub(crate) async fn watch(enforcer: Enforcer, settings: HostSettings) -> String {
    loop {
        tokio::time::sleep(LOOK).await;
        match enforcer.audit().await {
            Ok(Ok(audit)) => {
                metrics::gauge!("ringwall_firewall_addresses").set(audit.addresses as f64);
                metrics::gauge!("ringwall_firewall_slots").set(audit.slots as f64);
                if !audit.differences.is_empty() {
                    tracing::error!(differences = ?audit.differences, "read-back found differences in the kernel rules");
                }
            }
            Ok(Err(error)) => tracing::error!(error, "cannot read back the kernel rules"),
            Err(_) => return "the firewall's thread has stopped".to_owned(),
        }
        if let Some(unsafe_setting) = apply_settings(&settings) {
            return unsafe_setting;
        }
    }
}

/// Sets what is wrong; answers what is unsafe and stays so.
#[must_use]
pub(crate) fn apply_settings(settings: &HostSettings) -> Option<String> {
    let wrong = settings.verify();
    if wrong.is_empty() {
        return None;
    }
    // What cannot be set shows up as still wrong.
    drop(settings.apply());
    let mut answer = None;
    for setting in settings.verify() {
        match setting.severity {
            Severity::Capacity => tracing::warn!(%setting, "host setting below the required minimum"),
            Severity::Unsafe => {
                tracing::error!(%setting, "unsafe host setting");
                answer = Some(format!("unsafe host setting and cannot be mended: {setting}"));
            }
        }
    }
    answer
}
