//! The stub while it runs: how questions get to it, and whom the system asked before.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use ringwall_protocol::id::SiteId;

use super::DnsError;
use super::plan::Plan;
use super::port_holder::{Bound, port_holder};
use super::resolv_conf::{ResolvConf, SystemResolvers};
use super::resolved::{self, Resolved};
use super::stub::{PORT, QueryTargets, STUB_ADDRESSES, Stub};
use crate::site_link::DnsQuerier;

#[derive(Debug)]
pub(super) struct Active {
    stub: Stub,
    entry: StubEntry,
    former: SystemResolvers,
    /// Domains that systemd-resolved was told.
    matched: BTreeSet<String>,
}

/// How questions get to the stub.
#[derive(Debug)]
enum StubEntry {
    Resolved(Resolved),
    File(ResolvConf),
}

/// What a look at the system's file showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looked {
    /// Other name servers or search lists than before.
    pub(super) learnt: bool,
    /// Somebody had written another file; ours is in its place again.
    pub(super) retaken: bool,
}

impl Active {
    pub(super) async fn begin(
        device: &str,
        file: PathBuf,
        plan: &Plan,
        sites: &BTreeMap<SiteId, DnsQuerier>,
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
        let targets = QueryTargets { plan: plan.clone(), sites: sites.clone(), former: former.servers.clone() };
        let stub = match Stub::start(targets).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(taken().await),
            started => started.map_err(DnsError::Stub)?,
        };
        let entry = if let Some(resolved) = resolved {
            resolved.set(stub.address, &matched).await.map_err(DnsError::Resolved)?;
            StubEntry::Resolved(resolved)
        } else {
            conf.put_stub(stub.address, &former).map_err(wrong)?;
            StubEntry::File(conf)
        };
        Ok(Self { stub, entry, former, matched })
    }

    /// Divides by another plan.
    pub(super) async fn follow(&mut self, plan: &Plan, sites: &BTreeMap<SiteId, DnsQuerier>) -> Result<(), DnsError> {
        let former = self.former.servers.clone();
        self.stub.follow(QueryTargets { plan: plan.clone(), sites: sites.clone(), former });
        let matched = plan.matched();
        if let StubEntry::Resolved(resolved) = &self.entry
            && matched != self.matched
        {
            resolved.set(self.stub.address, &matched).await.map_err(DnsError::Resolved)?;
            self.matched = matched;
        }
        Ok(())
    }

    /// Learns the name servers that the network gives now, and takes the file over again if somebody wrote another one.
    pub(super) fn look(&mut self) -> Result<Looked, DnsError> {
        let StubEntry::File(conf) = &self.entry else {
            let former = ResolvConf::new(resolved::SERVERS.into()).former().unwrap_or_default();
            return Ok(Looked { learnt: self.learn(former), retaken: false });
        };
        let conf = conf.clone();
        let wrong = |error| DnsError::File { file: conf.path().to_owned(), error };
        let former = conf.former().map_err(wrong)?;
        // A file that names the stub leads questions to us, whoever wrote it.
        let names_stub = former.servers.iter().any(|server| server.address == self.stub.address);
        let retaken = !names_stub && !conf.is_ours().map_err(wrong)?;
        let learnt = !names_stub && self.learn(former);
        if retaken || learnt {
            conf.put_stub(self.stub.address, &self.former).map_err(wrong)?;
        }
        Ok(Looked { learnt, retaken })
    }

    /// A file without servers is half written, or means the stub's own place.
    fn learn(&mut self, former: SystemResolvers) -> bool {
        let learnt = !former.servers.is_empty() && former != self.former;
        if learnt {
            tracing::info!(servers = ?former.servers, "the system's name servers changed");
            self.former = former;
        }
        learnt
    }

    /// Takes everything back.
    pub(super) async fn revert(&self) {
        match &self.entry {
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

    /// Puts the user's file back, if that is how questions came.
    pub(super) fn restore_file(&self) {
        if let StubEntry::File(file) = &self.entry
            && let Err(error) = file.restore()
        {
            tracing::error!(%error, "cannot restore the system's resolver file");
        }
    }
}

/// Who has the port; looking for it reads what all processes have open.
async fn taken() -> DnsError {
    let find = || port_holder(STUB_ADDRESSES[0].into(), PORT, Bound::Anywhere);
    DnsError::Taken(tokio::task::spawn_blocking(find).await.ok().flatten())
}
