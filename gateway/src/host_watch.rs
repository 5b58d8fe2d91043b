//! Watches what the firewall stands on: its own events, the kernel's rules and the host's settings, every 60 s.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use ringwall_actors::feed::Feed;
use ringwall_actors::feed::Resubscribe;
use ringwall_actors::ports::TunnelPlane;
use ringwall_protocol::wire::error::ErrorCode;
use tokio::sync::mpsc;

use crate::firewall::{Enforcer, FirewallEvent, HostSettings, Severity, WrongSetting};

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

/// Compares rules and settings for ever; returns what is unsafe if it cannot be mended. `told` is what was said of the
/// settings before.
pub(crate) async fn watch(enforcer: Enforcer, settings: HostSettings, mut told: Shortages) -> String {
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
        if let Some(unsafe_setting) = apply_settings(&settings, &mut told) {
            return unsafe_setting;
        }
    }
}

/// Settings that give less room than wanted, as they were logged last: each is said once, until it changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shortages(Vec<WrongSetting>);

impl Shortages {
    /// Those of now; returns what has to be said of them: what is new, and what is no more.
    fn become_those(&mut self, now: Vec<WrongSetting>) -> (Vec<WrongSetting>, Vec<WrongSetting>) {
        let without = |all: &[WrongSetting], known: &[WrongSetting]| -> Vec<WrongSetting> {
            all.iter().filter(|one| !known.contains(one)).cloned().collect()
        };
        let new = without(&now, &self.0);
        let mut over = without(&self.0, &now);
        over.retain(|one| !now.iter().any(|other| other.name == one.name));
        self.0 = now;
        (new, over)
    }
}

/// Sets what is wrong; answers what is unsafe and stays so.
#[must_use]
pub(crate) fn apply_settings(settings: &HostSettings, told: &mut Shortages) -> Option<String> {
    // What cannot be set shows up as still wrong.
    if !settings.verify().is_empty() {
        drop(settings.apply());
    }
    let (short, unsafe_ones): (Vec<_>, Vec<_>) =
        settings.verify().into_iter().partition(|setting| setting.severity == Severity::Capacity);
    let (new, over) = told.become_those(short);
    for setting in new {
        tracing::warn!(%setting, "host setting below the required minimum");
    }
    for setting in over {
        tracing::info!(setting = setting.name, "host setting has the required minimum again");
    }
    let mut answer = None;
    for setting in unsafe_ones {
        tracing::error!(%setting, "unsafe host setting");
        answer = Some(format!("unsafe host setting and cannot be mended: {setting}"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_said_once_until_it_changes() {
        let short = |found: &str| WrongSetting {
            name: "net.netfilter.nf_conntrack_max".to_owned(),
            wanted: "at least 1048576".to_owned(),
            found: found.to_owned(),
            severity: Severity::Capacity,
        };
        let mut told = Shortages::default();
        assert_eq!(told.become_those(vec![short("262144")]), (vec![short("262144")], vec![]));
        assert_eq!(told.become_those(vec![short("262144")]), (vec![], vec![]));
        assert_eq!(told.become_those(vec![short("65536")]), (vec![short("65536")], vec![]));
        assert_eq!(told.become_those(vec![]), (vec![], vec![short("65536")]));
        assert_eq!(told.become_those(vec![short("65536")]), (vec![short("65536")], vec![]));
    }
}
