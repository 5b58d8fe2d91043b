//! The one task that owns the daemon's state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::id::{PromptId, SiteId, TransactionId};
use ringwall_trust::identity::PrivateKey;
use ringwall_trust::secret::SystemRandom;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use zeroize::Zeroizing;

use super::UpOptions;
use super::answering::{say, told};
use super::calls::{Done, FactorWanted, sign_out};
use super::network::Network;
use super::session::Session;
use super::sites::Site;
use crate::clock;
use crate::core::prompts::Prompts;
use crate::core::renewal::RenewalPlan;
use crate::device_claims::{self, FileHashes, LOOK_EVERY, Schedule};
use crate::failure::{Exit, Failure};
use crate::held_token::Holder;
use crate::local::{Answer, Call, Event, Request};
use crate::site_link::{LinkOrder, LinkReport};
use crate::status::{Status, Troubles};
use crate::store::ProfileStore;
use crate::tunnel::TunnelEvent;

/// Without anything to renew the engine still looks at the time this often: a machine may have slept.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Everything that the daemon knows.
pub(super) struct Engine {
    pub(super) options: UpOptions,
    pub(super) store: ProfileStore,
    pub(super) key: Arc<PrivateKey>,
    pub(super) holder: Holder,
    pub(super) session: Option<Session>,
    pub(super) serial: u64,
    pub(super) plan: RenewalPlan,
    pub(super) network: Option<Network>,
    pub(super) sites: BTreeMap<SiteId, Site>,
    pub(super) prompts: Prompts,
    pub(super) pending_factors: BTreeMap<TransactionId, oneshot::Sender<Zeroizing<String>>>,
    /// Pages that are waited for; whoever takes one out ends the wait.
    pub(super) pages: BTreeMap<PromptId, oneshot::Sender<()>>,
    pub(super) troubles: Troubles,
    pub(super) tasks: JoinSet<Done>,
    pub(super) device_claims: watch::Sender<Arc<UntrustedClaims>>,
    pub(super) reports: mpsc::UnboundedSender<LinkReport>,
    pub(super) factors: mpsc::Sender<FactorWanted>,
    pub(super) tunnel_events: mpsc::UnboundedSender<TunnelEvent>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) last_told: Option<Status>,
    pub(super) signing_in: bool,
    pub(super) renewing: bool,
    /// Why only a new sign-in helps.
    pub(super) sign_in_wanted: Option<String>,
    /// The credentials at hand were refused.
    pub(super) sign_in_refused: bool,
    pub(super) stopping: bool,
    hashes: Option<FileHashes>,
    claims_schedule: Schedule,
    down_replies: Vec<oneshot::Sender<Answer>>,
    inboxes: Option<Inboxes>,
}

/// Where things come in.
struct Inboxes {
    calls: mpsc::Receiver<Call>,
    reports: mpsc::UnboundedReceiver<LinkReport>,
    factors: mpsc::Receiver<FactorWanted>,
    tunnel: mpsc::UnboundedReceiver<TunnelEvent>,
    look: Interval,
    interrupt: Signal,
    terminate: Signal,
}

/// What happened.
enum Input {
    Call(Call),
    Report(LinkReport),
    Factor(FactorWanted),
    Tunnel(TunnelEvent),
    Done(Done),
    Look,
    Stop,
    Time,
}

impl Engine {
    pub(super) fn new(
        options: UpOptions,
        calls: mpsc::Receiver<Call>,
        events: broadcast::Sender<Event>,
    ) -> Result<Self, Failure> {
        let store = options.state.store(&options.stored.slot);
        let device = store.device(&SystemRandom)?;
        let key = Arc::new(store.key(options.key_kind)?);
        let holder = Holder { device: device.device_id, key: key.thumbprint() };
        let mut hashes = FileHashes::default();
        let claims = Arc::new(device_claims::collect(&[], &[], &mut hashes));
        let (reports, report_inbox) = mpsc::unbounded_channel();
        let (factors, factor_inbox) = mpsc::channel(4);
        let (tunnel_events, tunnel_inbox) = mpsc::unbounded_channel();
        let unusual = |error| Failure::new(Exit::Unexpected, anyhow::Error::new(error), "try again");
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let inboxes = Inboxes {
            calls,
            reports: report_inbox,
            factors: factor_inbox,
            tunnel: tunnel_inbox,
            look,
            interrupt: signal(SignalKind::interrupt()).map_err(unusual)?,
            terminate: signal(SignalKind::terminate()).map_err(unusual)?,
        };
        Ok(Self {
            options,
            store,
            key,
            holder,
            session: None,
            serial: 0,
            plan: RenewalPlan::new(""),
            network: None,
            sites: BTreeMap::new(),
            prompts: Prompts::default(),
            pending_factors: BTreeMap::new(),
            pages: BTreeMap::new(),
            troubles: Troubles::default(),
            tasks: JoinSet::new(),
            device_claims: watch::Sender::new(Arc::clone(&claims)),
            reports,
            factors,
            tunnel_events,
            events,
            last_told: None,
            signing_in: false,
            renewing: false,
            sign_in_wanted: None,
            sign_in_refused: false,
            stopping: false,
            hashes: Some(hashes),
            claims_schedule: Schedule::new(claims, Instant::now().into_std()),
            down_replies: vec![],
            inboxes: Some(inboxes),
        })
    }

    /// Until it is told to stop; takes everything down again.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let mut inboxes = self.inboxes.take().expect("an engine runs once");
        let result = self.serve(&mut inboxes).await;
        self.stopping = true;
        self.tell(Event::Stopping {});
        self.go_down().await;
        result
    }

    async fn serve(&mut self, inboxes: &mut Inboxes) -> Result<(), Failure> {
        self.begin().await?;
        while !self.stopping {
            self.renew_what_is_due();
            self.tell_status();
            let input = self.next(inboxes).await;
            self.handle(input).await?;
        }
        Ok(())
    }

    async fn next(&mut self, inboxes: &mut Inboxes) -> Input {
        let wait = self.plan.next_deadline().map_or(LONGEST_WAIT, |at| clock::now().until(at).min(LONGEST_WAIT));
        // While a renewal runs, its result is what is waited for.
        let wait = if self.renewing || self.sign_in_wanted.is_some() { LONGEST_WAIT } else { wait };
        tokio::select! {
            Some(call) = inboxes.calls.recv() => Input::Call(call),
            Some(report) = inboxes.reports.recv() => Input::Report(report),
            Some(wanted) = inboxes.factors.recv() => Input::Factor(wanted),
            Some(event) = inboxes.tunnel.recv() => Input::Tunnel(event),
            Some(done) = self.tasks.join_next() => match done {
                Ok(done) => Input::Done(done),
                // A defect: logged by the panic hook; what it was about is tried again in time.
                Err(_) => { self.renewing = false; Input::Time }
            },
            _ = inboxes.look.tick() => Input::Look,
            _ = inboxes.interrupt.recv() => Input::Stop,
            _ = inboxes.terminate.recv() => Input::Stop,
            () = sleep_until(Instant::now() + wait) => Input::Time,
        }
    }

    async fn handle(&mut self, input: Input) -> Result<(), Failure> {
        match input {
            Input::Call(call) => self.call(call).await,
            Input::Report(report) => self.link_report(report).await,
            Input::Factor(wanted) => self.ask_factor(wanted),
            Input::Tunnel(event) => return self.tunnel_event(event),
            Input::Done(done) => return self.done(done).await,
            Input::Look => {
                self.look_at_device();
                for id in self.prompts.expire(clock::now()) {
                    self.tell(Event::PromptClosed { prompt_id: id });
                }
            }
            Input::Stop => self.stopping = true,
            Input::Time => {}
        }
        Ok(())
    }

    async fn call(&mut self, call: Call) {
        let Call { request, reply } = call;
        match request {
            Request::Status {} => say(reply, Answer::Status { status: Box::new(self.status()) }),
            Request::Prompts {} => say(reply, Answer::Prompts { prompts: self.prompts.list() }),
            Request::Answer { prompt_id, text } => self.answer(prompt_id, Zeroizing::new(text), reply),
            Request::Reload {} => match self.reload().await {
                Ok(()) => say(reply, Answer::Done {}),
                Err(failure) => say(reply, told(format!("{:#}", failure.cause), &failure.next_step)),
            },
            Request::Down {} => {
                self.stopping = true;
                self.down_replies.push(reply);
            }
            Request::SignOut {} => match &self.session {
                Some(session) => {
                    let call = sign_out(session.controllers.clone(), session.claims.expose().to_owned());
                    self.tasks.spawn(async move { Done::SignedOut { reply, result: call.await } });
                }
                None => say(reply, told("nobody is signed in".into(), "ringwall sign-in")),
            },
            // The socket answers it itself.
            Request::Watch {} => say(reply, Answer::Done {}),
        }
    }

    async fn done(&mut self, done: Done) -> Result<(), Failure> {
        match done {
            Done::SignedIn(result) => return self.signed_in(result).await,
            Done::Renewed(fruits) => return self.renewed(fruits).await,
            Done::SteppedUp { prompt, reply, result, place } => self.stepped_up(prompt, reply, result, place).await,
            Done::Paged { prompt, transaction, result } => self.paged(prompt, transaction, result),
            Done::Looked(claims, hashes) => self.looked(claims, hashes),
            Done::SignedOut { reply, result } => {
                self.stopping = true;
                self.store.forget_session()?;
                match result {
                    Ok(()) => self.down_replies.push(reply),
                    Err(error) => {
                        let cause =
                            format!("the tokens are forgotten here, but no Controller has revoked them: {error}");
                        say(reply, told(cause, "they end by themselves; an administrator can revoke them now"));
                    }
                }
            }
        }
        Ok(())
    }

    fn tunnel_event(&mut self, event: TunnelEvent) -> Result<(), Failure> {
        match event {
            TunnelEvent::SiteAttached { site } | TunnelEvent::SiteLost { site, .. } => {
                if let Some(site) = self.sites.get(&site) {
                    site.order(LinkOrder::Tunnel(event));
                }
                Ok(())
            }
            TunnelEvent::Stopped => Err(Failure::told(
                Exit::Unexpected,
                "the tunnel device is gone",
                "find out who removed it, then: ringwall up",
            )),
        }
    }

    /// Looks at this device, beside the engine: it may mean hashing files.
    pub(super) fn look_at_device(&mut self) {
        let Some(mut hashes) = self.hashes.take() else { return };
        let wanted = self.session.as_ref().map(|session| session.stored.on_demand_claims.clone()).unwrap_or_default();
        let own = self.network.as_ref().map(|network| network.addresses.clone()).unwrap_or_default();
        self.tasks.spawn_blocking(move || {
            let claims = device_claims::collect(&wanted, &own, &mut hashes);
            Done::Looked(claims, hashes)
        });
    }

    fn looked(&mut self, claims: UntrustedClaims, hashes: FileHashes) {
        self.hashes = Some(hashes);
        if let Some(claims) = self.claims_schedule.looked(claims, Instant::now().into_std()) {
            self.device_claims.send_replace(claims);
        }
    }

    async fn go_down(&mut self) {
        let sites = std::mem::take(&mut self.sites);
        let goodbyes: Vec<_> = sites.into_values().map(Site::stop).collect();
        futures_util::future::join_all(goodbyes).await;
        self.tasks.abort_all();
        self.dismantle_network().await;
        for reply in self.down_replies.drain(..) {
            say(reply, Answer::Done {});
        }
        tracing::info!("down");
    }
}
