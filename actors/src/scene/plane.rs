//! Fakes of the ports: a kernel, workers and a keeper of names that do what they are told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use ringwall_protocol::entitlement::Host;
use ringwall_protocol::id::{LogIndex, SessionId};
use ringwall_protocol::name::UserDn;
use ringwall_protocol::wire::error::ErrorCode;
use tokio::sync::oneshot;

use crate::ports::{
    AttachToken, Install, InstallError, LeaseRenewal, NameKeeper, Reply, RuleEnforcer, TunnelGrant, TunnelPlane,
};

/// What a fake port was asked, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    Install(SessionId, u64),
    Remove(SessionId, LogIndex),
    Progress(LogIndex),
    Renew(LogIndex),
    EndLease,
    Open(SessionId),
    Expect(SessionId),
    Cut(SessionId, ErrorCode),
    Names(SessionId, BTreeSet<Host>),
    ForgetNames(SessionId),
}

/// A kernel and workers that do what they are told at once, and remember it. The kernel keeps the promises of the real
/// one that matter here: no renewal before progress, no install after a removal.
#[derive(Debug, Default)]
pub(crate) struct FakePlane {
    pub(crate) asked: Mutex<Vec<Asked>>,
    state: Mutex<FakeKernel>,
}

#[derive(Debug, Default)]
struct FakeKernel {
    progress: LogIndex,
    installed: BTreeMap<SessionId, u64>,
    removed: Vec<SessionId>,
    panic_on: Option<u64>,
    installs: u64,
}

impl FakePlane {
    /// The install with this number (from 1) panics in the thread of its caller.
    pub(crate) fn panic_on_install(&self, number: u64) {
        self.state.lock().expect("no panic").panic_on = Some(number);
    }

    pub(crate) fn installed(&self, session: SessionId) -> bool {
        self.state.lock().expect("no panic").installed.contains_key(&session)
    }

    pub(crate) fn count(&self, matches: impl Fn(&Asked) -> bool) -> usize {
        self.asked.lock().expect("no panic").iter().filter(|asked| matches(asked)).count()
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().expect("no panic").push(asked);
    }
}

fn answered<T>(value: T) -> Reply<T> {
    let (answer, reply) = oneshot::channel();
    let _ = answer.send(value);
    reply
}

impl RuleEnforcer for FakePlane {
    fn install(&self, install: Install) -> Reply<Result<(), InstallError>> {
        let mut state = self.state.lock().expect("no panic");
        state.installs += 1;
        if state.panic_on == Some(state.installs) {
            drop(state);
            panic!("the install that was to fail");
        }
        if state.removed.contains(&install.session) {
            return answered(Err(InstallError::Ended));
        }
        state.installed.insert(install.session, install.generation);
        drop(state);
        self.note(Asked::Install(install.session, install.generation));
        answered(Ok(()))
    }

    fn remove(&self, session: SessionId, cut_at: LogIndex) -> Reply<()> {
        let mut state = self.state.lock().expect("no panic");
        state.installed.remove(&session);
        state.removed.push(session);
        drop(state);
        self.note(Asked::Remove(session, cut_at));
        answered(())
    }

    fn progress(&self, index: LogIndex) {
        let mut state = self.state.lock().expect("no panic");
        state.progress = state.progress.max(index);
        drop(state);
        self.note(Asked::Progress(index));
    }

    fn renew_lease(&self, renewal: LeaseRenewal) -> Reply<bool> {
        let granted = self.state.lock().expect("no panic").progress >= renewal.read_index;
        self.note(Asked::Renew(renewal.read_index));
        answered(granted)
    }

    fn end_lease(&self) {
        self.note(Asked::EndLease);
    }
}

impl TunnelPlane for FakePlane {
    fn open(&self, grant: TunnelGrant) {
        self.note(Asked::Open(grant.session));
    }

    fn expect(&self, session: SessionId, _: AttachToken) {
        self.note(Asked::Expect(session));
    }

    fn cut(&self, session: SessionId, code: ErrorCode) -> Reply<()> {
        self.note(Asked::Cut(session, code));
        answered(())
    }
}

impl NameKeeper for FakePlane {
    fn want(&self, session: SessionId, _: &UserDn, hosts: BTreeSet<Host>) {
        self.note(Asked::Names(session, hosts));
    }

    fn forget(&self, session: SessionId) {
        self.note(Asked::ForgetNames(session));
    }
}
