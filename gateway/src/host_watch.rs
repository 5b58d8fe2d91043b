//! Watches what the firewall stands on: its own events, the kernel's rules and the host's settings, every 60 s.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use ringwall_actors::feed::actor::Feed;
use ringwall_actors::feed::message::Resubscribe;
use ringwall_actors::ports::TunnelPlane;
use ringwall_protocol::wire::error::ErrorCode;
use tokio::sync::mpsc;

use crate::firewall::{Enforcer, FirewallEvent, HostSettings, Severity};

/// How often rules and settings are compared with what they should be.
const LOOK: Duration = Duration::from_secs(60);

/// Acts on the firewall's events until it is gone.
pub async fn follow_events(mut events: mpsc::Receiver<FirewallEvent>, feed: Addr<Feed>, tunnel: Arc<dyn TunnelPlane>) {
    while let Some(event) = events.recv().await {
        match event {
            FirewallEvent::Suspended => {
                tracing::warn!("the machine was suspended: the lease ended, the feed begins anew");
                // A feed that is gone is noticed by whoever watches the process.
                let _ = feed.send(Resubscribe).await;
            }
            FirewallEvent::LeaseLapsed => {
                metrics::counter!("ringwall_lease_lapses_total").increment(1);
                tracing::warn!("the lease ran out: nothing passes until a controller confirms");
            }
            FirewallEvent::RemovalRefused(session) => {
                tracing::error!(%session, "the kernel refuses to take a session's rules out; its tunnel is cut");
                drop(tunnel.cut(session, ErrorCode::InstallFailed));
            }
            FirewallEvent::ForeignChange(differences) => {
                metrics::counter!("ringwall_firewall_foreign_changes_total").increment(1);
                tracing::error!(?differences, "somebody else changed the firewall's rules");
            }
        }
    }
}

/// Compares rules and settings for ever; returns what is unsafe if it cannot be mended.
pub async fn watch(enforcer: Enforcer, settings: HostSettings) -> String {
    loop {
        tokio::time::sleep(LOOK).await;
        match enforcer.audit().await {
            Ok(Ok(audit)) => {
                metrics::gauge!("ringwall_firewall_addresses").set(audit.addresses as f64);
                metrics::gauge!("ringwall_firewall_slots").set(audit.slots as f64);
                if !audit.differences.is_empty() {
                    tracing::error!(differences = ?audit.differences, "the kernel's rules are not what they should be");
                }
            }
            Ok(Err(error)) => tracing::error!(error, "the kernel's rules could not be read"),
            Err(_) => return "the firewall's thread has stopped".to_owned(),
        }
        if let Some(unsafe_setting) = mend(&settings) {
            return unsafe_setting;
        }
    }
}

/// Sets what is wrong; answers what is unsafe and stays so.
#[must_use]
pub fn mend(settings: &HostSettings) -> Option<String> {
    let wrong = settings.verify();
    if wrong.is_empty() {
        return None;
    }
    // What cannot be set shows up as still wrong.
    drop(settings.apply());
    let mut answer = None;
    for setting in settings.verify() {
        match setting.severity {
            Severity::Capacity => tracing::warn!(%setting, "a host setting is too small"),
            Severity::Unsafe => {
                tracing::error!(%setting, "a host setting is unsafe");
                answer = Some(format!("a host setting is unsafe and cannot be mended: {setting}"));
            }
        }
    }
    answer
}
