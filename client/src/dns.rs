//! Split DNS: names of the Sites' entitlements are asked of the Sites' Gateways, domains of DNS policies of their servers,
//! everything else of whom it was asked before.
//!
//! A stub on the loopback divides the questions. systemd-resolved, where it runs, sends it only those that matter; else
//! `/etc/resolv.conf` names it while it runs. DHCP and network managers write that file anew: every few seconds it is looked
//! at, taken over again, and what it said is where other questions go. Without anything to divide nothing of the system is
//! touched.

mod active;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod plan;
mod port_holder;
mod resolv_conf;
mod resolved;
mod stub;
mod upstream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ringwall_protocol::id::SiteId;

pub(crate) use error::DnsError;
pub(crate) use plan::Plan;

use active::{Active, Looked};
use port_holder::{Bound, PortHolder, is_held, port_holder};
use resolv_conf::ResolvConf;

use crate::site_link::DnsQuerier;

/// Name of the Client's processes.
const PROGRAM: &str = "ringwall";
/// The system's file, where nothing else is said.
pub(crate) const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Between two looks at the system's file, and between two tries to listen.
const LOOK: Duration = Duration::from_secs(2);
/// Another program that writes the file again and again is met at distances that double up to `LOOK` × 2³.
const MOST_DOUBLINGS: u32 = 3;
/// So many times in a row are a fight.
const FIGHT: u32 = 3;

/// What this system does about names while the Client runs.
#[derive(Debug)]
pub(crate) struct SplitDns {
    device: String,
    /// `None`: the user wants the system's resolver left alone.
    file: Option<PathBuf>,
    plan: Plan,
    sites: BTreeMap<SiteId, DnsQuerier>,
    active: Option<Active>,
    next_look: Instant,
    /// How often in a row the file had to be taken over again.
    retaken: u32,
}

impl SplitDns {
    /// Nothing is divided yet. What a Client that was killed left behind is put back.
    #[must_use]
    pub(crate) fn new(device: String, file: Option<PathBuf>, now: Instant) -> Self {
        if let Some(file) = &file {
            recover(file);
        }
        let (plan, sites, active) = (Plan::default(), BTreeMap::new(), None);
        Self { device, file, plan, sites, active, next_look: now + LOOK, retaken: 0 }
    }

    /// Divides by this plan, through these Sites.
    ///
    /// # Errors
    /// [`DnsError`]; then names are asked for as before. [`Self::look`] tries again.
    pub(crate) async fn apply(&mut self, plan: Plan, sites: BTreeMap<SiteId, DnsQuerier>) -> Result<(), DnsError> {
        if plan.is_empty() {
            self.revert().await;
            return Ok(());
        }
        (self.plan, self.sites) = (plan, sites);
        match &mut self.active {
            Some(active) => active.follow(&self.plan, &self.sites).await,
            None => self.begin().await,
        }
    }

    async fn begin(&mut self) -> Result<(), DnsError> {
        let file = self.file.clone().ok_or(DnsError::LeftAlone)?;
        self.active = Some(Active::begin(&self.device, file, &self.plan, &self.sites).await?);
        Ok(())
    }

    /// When [`Self::look`] is due; `None` if there is nothing to look at.
    #[must_use]
    pub(crate) fn next_look(&self) -> Option<Instant> {
        (self.file.is_some() && !self.plan.is_empty()).then_some(self.next_look)
    }

    /// Looks at the system's file, and tries again what failed.
    ///
    /// # Errors
    /// [`DnsError`]; the next look tries again.
    pub(crate) async fn look(&mut self, now: Instant) -> Result<(), DnsError> {
        self.next_look = now + LOOK;
        let Some(active) = &mut self.active else { return self.begin().await };
        let Looked { learnt, retaken } = active.look()?;
        if learnt {
            active.follow(&self.plan, &self.sites).await?;
        }
        if !retaken {
            self.retaken = 0;
            return Ok(());
        }
        tracing::warn!("another program had written the system's resolver file; it was taken over again");
        self.retaken = self.retaken.saturating_add(1);
        self.next_look = now + LOOK * (1 << self.retaken.saturating_sub(1).min(MOST_DOUBLINGS));
        match &self.file {
            Some(file) if self.retaken >= FIGHT => Err(DnsError::Contested(file.clone())),
            _ => Ok(()),
        }
    }

    /// Takes everything back.
    pub(crate) async fn revert(&mut self) {
        (self.plan, self.sites) = (Plan::default(), BTreeMap::new());
        if let Some(active) = self.active.take() {
            active.revert().await;
        }
    }
}

impl Drop for SplitDns {
    /// However the daemon ends, the user's file is in its place.
    fn drop(&mut self) {
        if let Some(active) = &self.active {
            active.restore_file();
        }
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

/// Whom this process may not look into is taken for a Client: nobody else listens at this address.
fn is_answered_by_a_client(stub: std::net::IpAddr) -> bool {
    let is_client = |holder: PortHolder| holder.name == PROGRAM;
    is_held(stub, stub::PORT) && port_holder(stub, stub::PORT, Bound::Here).is_none_or(is_client)
}
