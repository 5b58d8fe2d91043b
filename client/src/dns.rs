//! Split DNS: names of the Sites' entitlements are asked of the Sites' Gateways, domains of DNS policies of their servers,
//! everything else of whom it was asked before.
//!
//! A stub on the loopback divides the questions. systemd-resolved, where it runs, sends it only those that matter; else
//! `/etc/resolv.conf` names it while it runs. Without anything to divide nothing of the system is touched.

mod plan;
mod resolv_conf;
mod resolved;
mod stub;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ringwall_protocol::id::SiteId;

pub use plan::{Plan, Way};
pub use resolv_conf::{Former, ResolvConf};

use crate::site_link::Asker;
use resolved::Resolved;
use stub::{Stub, Ways};

/// The system's file, where nothing else is said.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What this system does about names while the Client runs.
#[derive(Debug)]
pub struct SplitDns {
    device: String,
    /// `None`: the user wants the system's resolver left alone.
    file: Option<PathBuf>,
    plan: Plan,
    active: Option<Active>,
}

#[derive(Debug)]
struct Active {
    stub: Stub,
    way_in: WayIn,
    former: Former,
}

/// How questions get to the stub.
#[derive(Debug)]
enum WayIn {
    Resolved(Resolved),
    File(ResolvConf),
}

/// Why names are not divided.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The user wants it so.
    #[error("names of the sites are not asked for (--no-dns)")]
    LeftAlone,
    /// The stub cannot listen.
    #[error("no DNS stub can listen on the loopback: {0}")]
    Stub(std::io::Error),
    /// The system's file cannot be read or changed.
    #[error("{file} cannot be changed: {error}")]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// systemd-resolved refused.
    #[error("{0}")]
    Resolved(String),
}

impl SplitDns {
    /// Nothing is divided yet. What a Client that was killed left behind is put back.
    #[must_use]
    pub fn new(device: String, file: Option<PathBuf>) -> Self {
        if let Some(file) = &file {
            recover(file);
        }
        Self { device, file, plan: Plan::default(), active: None }
    }

    /// Divides by this plan, through these Sites.
    ///
    /// # Errors
    /// [`DnsError`]; then names are asked for as before.
    pub async fn apply(&mut self, plan: Plan, sites: BTreeMap<SiteId, Asker>) -> Result<(), DnsError> {
        if plan.is_empty() {
            self.revert().await;
            return Ok(());
        }
        let file = self.file.clone().ok_or(DnsError::LeftAlone)?;
        let Some(active) = &self.active else {
            let active = Active::begin(&self.device, file, plan.clone(), sites).await?;
            self.active = Some(active);
            self.plan = plan;
            return Ok(());
        };
        active.stub.follow(Ways { plan: plan.clone(), sites, former: active.former.servers.clone() });
        if plan != self.plan
            && let WayIn::Resolved(resolved) = &active.way_in
        {
            resolved.set(active.stub.address, &plan.matched()).await.map_err(DnsError::Resolved)?;
        }
        self.plan = plan;
        Ok(())
    }

    /// Takes everything back.
    pub async fn revert(&mut self) {
        self.plan = Plan::default();
        let Some(active) = self.active.take() else { return };
        match &active.way_in {
            WayIn::Resolved(resolved) => {
                if let Err(error) = resolved.revert().await {
                    // The device goes, and its settings with it.
                    tracing::debug!(cause = error, "resolver");
                }
            }
            WayIn::File(file) => match file.give_back() {
                Ok(true) => {}
                Ok(false) => tracing::info!("the system's resolver file was changed by somebody else, and stays so"),
                Err(error) => tracing::error!(%error, "the system's resolver file could not be put back"),
            },
        }
    }
}

impl Drop for SplitDns {
    /// However the daemon ends, the user's file is in its place.
    fn drop(&mut self) {
        if let Some(Active { way_in: WayIn::File(file), .. }) = &self.active
            && let Err(error) = file.give_back()
        {
            tracing::error!(%error, "the system's resolver file could not be put back");
        }
    }
}

impl Active {
    async fn begin(device: &str, file: PathBuf, plan: Plan, sites: BTreeMap<SiteId, Asker>) -> Result<Self, DnsError> {
        let conf = ResolvConf::new(file.clone());
        let wrong = |error| DnsError::File { file: file.clone(), error };
        let resolved = Resolved::found(device, &file);
        let former = match &resolved {
            // Asked back, the daemon would come to us again.
            Some(_) => ResolvConf::new(resolved::SERVERS.into()).former().unwrap_or_default(),
            None => conf.former().map_err(wrong)?,
        };
        let matched = plan.matched();
        let ways = Ways { plan, sites, former: former.servers.clone() };
        let stub = Stub::start(ways).await.map_err(DnsError::Stub)?;
        let way_in = if let Some(resolved) = resolved {
            resolved.set(stub.address, &matched).await.map_err(DnsError::Resolved)?;
            WayIn::Resolved(resolved)
        } else {
            conf.take_over(stub.address, &former).map_err(wrong)?;
            WayIn::File(conf)
        };
        Ok(Self { stub, way_in, former })
    }
}

/// Puts the user's file back if a Client that was killed left its own behind.
pub fn recover(file: &std::path::Path) {
    match ResolvConf::new(file.to_owned()).give_back() {
        Ok(true) => {
            tracing::warn!(file = %file.display(), "the system's resolver file is back, which a Client left changed")
        }
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "the system's resolver file cannot be looked after")
        }
    }
}
