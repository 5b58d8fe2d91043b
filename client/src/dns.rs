//! Split DNS: names of the Sites' entitlements are asked of the Sites' Gateways, domains of DNS policies of their servers,
//! everything else of whom it was asked before.
//!
//! A stub on the loopback divides the questions. systemd-resolved, where it runs, sends it only those that matter; else
//! `/etc/resolv.conf` names it while it runs. Without anything to divide nothing of the system is touched.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod plan;
mod port_holder;
mod resolv_conf;
mod resolved;
mod stub;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ringwall_protocol::id::SiteId;

pub(crate) use plan::Plan;

use port_holder::{Bound, port_holder};
use resolv_conf::{ResolvConf, SystemResolvers};

use crate::site_link::DnsQuerier;
use resolved::Resolved;
use stub::{QueryTargets, Stub};

/// Name of the Client's processes.
const PROGRAM: &str = "ringwall";
/// The system's file, where nothing else is said.
pub(crate) const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What this system does about names while the Client runs.
#[derive(Debug)]
pub(crate) struct SplitDns {
    device: String,
    /// `None`: the user wants the system's resolver left alone.
    file: Option<PathBuf>,
    plan: Plan,
    active: Option<Active>,
}

#[derive(Debug)]
struct Active {
    stub: Stub,
    entry: StubEntry,
    former: SystemResolvers,
}

/// How questions get to the stub.
#[derive(Debug)]
enum StubEntry {
    Resolved(Resolved),
    File(ResolvConf),
}

/// Why names are not divided.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DnsError {
    /// The user wants it so.
    #[error("split DNS is disabled: --no-dns was given")]
    LeftAlone,
    /// The stub cannot listen.
    #[error("cannot start the DNS stub on the loopback: {0}")]
    Stub(std::io::Error),
    /// The system's file cannot be read or changed.
    #[error("cannot change {file}: {error}")]
    File {
        /// Path of the file.
        file: PathBuf,
        /// Cause.
        error: std::io::Error,
    },
    /// systemd-resolved refused.
    #[error("{0}")]
    Resolved(String),
}

impl SplitDns {
    /// Nothing is divided yet. What a Client that was killed left behind is put back.
    #[must_use]
    pub(crate) fn new(device: String, file: Option<PathBuf>) -> Self {
        if let Some(file) = &file {
            recover(file);
        }
        Self { device, file, plan: Plan::default(), active: None }
    }

    /// Divides by this plan, through these Sites.
    ///
    /// # Errors
    /// [`DnsError`]; then names are asked for as before.
    pub(crate) async fn apply(&mut self, plan: Plan, sites: BTreeMap<SiteId, DnsQuerier>) -> Result<(), DnsError> {
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
        active.stub.follow(QueryTargets { plan: plan.clone(), sites, former: active.former.servers.clone() });
        if plan != self.plan
            && let StubEntry::Resolved(resolved) = &active.entry
        {
            resolved.set(active.stub.address, &plan.matched()).await.map_err(DnsError::Resolved)?;
        }
        self.plan = plan;
        Ok(())
    }

    /// Takes everything back.
    pub(crate) async fn revert(&mut self) {
        self.plan = Plan::default();
        let Some(active) = self.active.take() else { return };
        match &active.entry {
            StubEntry::Resolved(resolved) => {
                if let Err(error) = resolved.revert().await {
                    // The device goes, and its settings with it.
                    tracing::debug!(cause = error, "resolver");
                }
            }
            StubEntry::File(file) => match file.restore() {
                Ok(true) => {}
                Ok(false) => tracing::info!("another program changed the resolver file; it is left as it is"),
                Err(error) => tracing::error!(%error, "cannot restore the system's resolver file"),
            },
        }
    }
}

impl Drop for SplitDns {
    /// However the daemon ends, the user's file is in its place.
    fn drop(&mut self) {
        if let Some(Active { entry: StubEntry::File(file), .. }) = &self.active
            && let Err(error) = file.restore()
        {
            tracing::error!(%error, "cannot restore the system's resolver file");
        }
    }
}

impl Active {
    async fn begin(
        device: &str,
        file: PathBuf,
        plan: Plan,
        sites: BTreeMap<SiteId, DnsQuerier>,
    ) -> Result<Self, DnsError> {
        let conf = ResolvConf::new(file.clone());
        let wrong = |error| DnsError::File { file: file.clone(), error };
        let resolved = Resolved::found(device, &file);
        let former = match &resolved {
            // Asked back, the daemon would come to us again.
            Some(_) => ResolvConf::new(resolved::SERVERS.into()).former().unwrap_or_default(),
            None => conf.former().map_err(wrong)?,
        };
        let matched = plan.matched();
        let targets = QueryTargets { plan, sites, former: former.servers.clone() };
        let stub = Stub::start(targets).await.map_err(DnsError::Stub)?;
        let entry = if let Some(resolved) = resolved {
            resolved.set(stub.address, &matched).await.map_err(DnsError::Resolved)?;
            StubEntry::Resolved(resolved)
        } else {
            conf.put_stub(stub.address, &former).map_err(wrong)?;
            StubEntry::File(conf)
        };
        Ok(Self { stub, entry, former })
    }
}

/// Puts the user's file back if a Client that was killed left its own behind. Returns whether it did: not while a Client runs
/// whose stub the file names.
pub(crate) fn recover(file: &std::path::Path) -> bool {
    let conf = ResolvConf::new(file.to_owned());
    if matches!(conf.stub(), Ok(Some(stub)) if is_answered_by_a_client(stub)) {
        return false;
    }
    let restored = conf.restore();
    match &restored {
        Ok(true) => {
            tracing::warn!(file = %file.display(), "restored the system's resolver file, which an earlier Client had replaced")
        }
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "cannot check the system's resolver file")
        }
    }
    restored.unwrap_or(false)
}

fn is_answered_by_a_client(stub: std::net::IpAddr) -> bool {
    port_holder(stub, stub::PORT, Bound::Here).is_some_and(|holder| holder.name == PROGRAM)
}
