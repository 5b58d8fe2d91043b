//! What names stand for: asked of the Site's name servers, judged, and handed to the enforcer before anybody is told.
//!
//! Promises: a name stands only for addresses that a protected host of the Site may have (T79); a session reaches what it was told before
//! it is told; it is told nothing outside of its own entitlements' names; when name servers fail the last answer holds
//! for a bounded time, and then nothing passes. Which names a session has is its token's business, what passes the
//! kernel's. Questions come on the session's websocket, so nothing on this Gateway listens inside a tunnel.

mod forwarder;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod guard;
mod in_order;
mod table;
mod upstream;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ringwall_actors::ports::NameKeeper;
use ringwall_actors::registry::Directory;
use ringwall_actors::session::NameRefused;
use ringwall_protocol::entitlement::Host;
use ringwall_protocol::feed::{FeedView, NameRefusal, RefusedName};
use ringwall_protocol::id::SessionId;
use ringwall_protocol::name::UserDn;
use ringwall_protocol::object::site::NameResolution;
use ringwall_protocol::rules::compile::ResolvedNames;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::firewall::Enforcer;

pub(crate) use guard::places;

use guard::AnswerGuard;
use table::{Change, NameTable, Outcome, Subject};
use upstream::Upstreams;

/// Questions of our own that may be open at name servers at a time.
const AT_ONCE: usize = 64;

/// The names of a Gateway. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Names(Arc<Shared>);

struct Shared {
    table: Mutex<NameTable>,
    upstreams: RwLock<(NameResolution, Arc<Upstreams>)>,
    guard: RwLock<AnswerGuard>,
    enforcer: Enforcer,
    /// Sessions that hear of refused answers.
    directory: Arc<Directory>,
    /// Something is to be asked sooner than was thought.
    changed: Arc<Notify>,
    /// Where name servers are asked, whoever wants to know.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Names {
    /// Begins to ask the Site's name servers, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// If the thread cannot be had.
    pub(crate) fn start(enforcer: Enforcer, directory: Arc<Directory>, view: &FeedView) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("rw-names")
            .enable_all()
            .build()?;
        let settings = &view.site.name_resolution;
        let upstreams = Arc::new(Upstreams::new(settings));
        let mut guard = AnswerGuard::default();
        guard.follow(view);
        let this = Self(Arc::new(Shared {
            table: Mutex::default(),
            upstreams: RwLock::new((settings.clone(), upstreams)),
            guard: RwLock::new(guard),
            enforcer,
            directory,
            changed: Arc::default(),
            runtime: Some(runtime),
        }));
        let (weak, changed) = (Arc::downgrade(&this.0), Arc::clone(&this.0.changed));
        this.runtime().spawn(async move {
            let mut asking = JoinSet::new();
            // Until nobody has names any more.
            while let Some(next) = weak.upgrade().map(|shared| shared.ask_what_is_due(&mut asking)) {
                tokio::select! {
                    Some(_) = asking.join_next() => {}
                    () = changed.notified() => {}
                    () = until(next) => {}
                }
            }
        });
        Ok(this)
    }

    /// Takes over what the Collective says now: the Site's name servers and networks, and where appliances are.
    pub(crate) fn follow(&self, view: &FeedView) {
        let settings = &view.site.name_resolution;
        let mut current = self.0.upstreams.write().unwrap_or_else(PoisonError::into_inner);
        if current.0 != *settings {
            tracing::info!(resolvers = settings.dns_resolvers.len(), "the site's name servers changed");
            *current = (settings.clone(), Arc::new(Upstreams::new(settings)));
        }
        drop(current);
        self.0.change_guard(|guard| guard.follow(view));
    }

    /// Takes over the addresses of this host, and of appliances that the Collective lists by name.
    pub(crate) fn found(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.0.change_guard(|guard| guard.found(addresses));
    }

    /// The hosts of a session's entitlements that an address stands for.
    #[must_use]
    pub(crate) fn known_as(&self, session: SessionId, address: IpAddr) -> ResolvedNames {
        let hosts = self.0.table().known_as(session, address, Instant::now());
        ResolvedNames(hosts.into_iter().map(|host| (host, vec![address])).collect())
    }

    fn runtime(&self) -> &tokio::runtime::Runtime {
        self.0.runtime.as_ref().expect("there until it is dropped")
    }
}

impl NameKeeper for Names {
    fn want(&self, session: SessionId, user: &UserDn, hosts: BTreeSet<Host>) {
        let changes = self.0.table().want(session, user, hosts, Instant::now());
        self.0.enforce(changes);
        self.0.changed.notify_one();
    }

    fn forget(&self, session: SessionId) {
        let changes = self.0.table().forget(session, Instant::now());
        self.0.enforce(changes);
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, NameTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upstreams(&self) -> Arc<Upstreams> {
        Arc::clone(&self.upstreams.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// Begins questions whose time has come; answers when the next one's will.
    fn ask_what_is_due(self: Arc<Self>, asking: &mut JoinSet<()>) -> Option<Instant> {
        let room = AT_ONCE.saturating_sub(asking.len());
        let mut table = self.table();
        for subject in table.due(Instant::now(), room) {
            asking.spawn(Arc::clone(&self).ask(subject));
        }
        metrics::gauge!("ringwall_names").set(table.len() as f64);
        metrics::counter!("ringwall_names_turned_away_total").absolute(table.turned_away());
        // Without room, the next answer is what is waited for.
        if asking.len() < AT_ONCE { table.next() } else { None }
    }

    async fn ask(self: Arc<Self>, subject: Subject) {
        let (outcome, every) = self.upstreams().addresses(subject.name()).await;
        let outcome = self.judge(&subject, outcome);
        let kind = match &outcome {
            Outcome::Found(..) => "found",
            Outcome::Absent => "absent",
            Outcome::Failed => "failed",
        };
        metrics::counter!("ringwall_name_answers_total", "outcome" => kind).increment(1);
        if outcome == Outcome::Failed {
            tracing::warn!(
                name = subject.name(),
                "name resolution failed: no name server responded; keeping the last answer"
            );
        }
        let change = self.table().answered(&subject, outcome, every, Instant::now());
        self.enforce(change);
    }

    /// Leaves out what no name may stand for; whoever wants the name hears of it, when that is new.
    fn judge(&self, subject: &Subject, outcome: Outcome) -> Outcome {
        let Outcome::Found(addresses, ttl) = outcome else { return outcome };
        let (allowed, refused) = self.sort_out(&addresses);
        let to_tell = self.table().refused(subject, refused);
        if let Some((address, reason)) = refused.filter(|_| !to_tell.is_empty()) {
            let name = subject.name();
            tracing::warn!(name, %address, reason = reason.as_str(), "name server returned a forbidden address; ignored");
            for session in to_tell {
                self.tell_refused(session, name, (address, reason));
            }
        }
        Outcome::Found(allowed, ttl)
    }

    /// The addresses that a name may stand for, and one that it may not.
    fn sort_out(&self, addresses: &[IpAddr]) -> (Vec<IpAddr>, Option<(IpAddr, NameRefusal)>) {
        let guard = self.guard.read().unwrap_or_else(PoisonError::into_inner);
        let mut refused = None;
        let allowed = addresses.iter().copied().filter(|address| match guard.judge(*address) {
            Ok(()) => true,
            Err(reason) => {
                metrics::counter!("ringwall_name_addresses_refused_total", "reason" => reason.as_str()).increment(1);
                refused = Some((*address, reason));
                false
            }
        });
        (allowed.collect(), refused)
    }

    /// A session that is busy hears of the next one.
    fn tell_refused(&self, session: SessionId, name: &str, (address, reason): (IpAddr, NameRefusal)) {
        if let Some(actor) = self.directory.session(session) {
            let refused = RefusedName { name: name.to_owned(), address, reason };
            // A full mailbox: explanations lack this answer, nothing else does.
            let _ = actor.try_send(NameRefused(refused));
        }
    }

    /// Changes what names may stand for. Addresses of entitlements' names that may be reached no longer are taken away;
    /// what sessions asked for runs out in the time that they were told.
    fn change_guard(&self, change: impl FnOnce(&mut AnswerGuard)) {
        let mut guard = self.guard.write().unwrap_or_else(PoisonError::into_inner);
        let before = guard.clone();
        change(&mut guard);
        if *guard == before {
            return;
        }
        let changes = self.table().judge_again(|address| guard.judge(address).is_ok(), Instant::now());
        drop(guard);
        self.enforce(changes);
    }

    fn enforce(&self, changes: impl IntoIterator<Item = Change>) {
        for Change { subject, addresses } in changes {
            match subject {
                Subject::Everybody(name) => self.enforcer.resolved(Host::Name(name), addresses),
                Subject::Session(session, name) => {
                    let hosts = self.table().covering(session, &name);
                    for host in hosts.into_iter().filter(|host| matches!(host, Host::Domain(_))) {
                        // Told already; a refusal only lets the address run out earlier.
                        drop(self.enforcer.told(session, host, addresses.clone()));
                    }
                }
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn until(deadline: Option<Instant>) {
    /// Longer than any wait: what changes earlier is told.
    const LONG: Duration = Duration::from_hours(1);
    tokio::time::sleep_until(deadline.unwrap_or_else(|| Instant::now() + LONG).into()).await;
}
