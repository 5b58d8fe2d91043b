//! The daemon's loop: waits for one input, hands it to the phase or to whoever owns what it is about, never waits for a
//! network or a disk of its own.

use std::time::Duration;

use ringwall_protocol::wire::client::StepUpAnswer;
use ringwall_startup::StopSignals;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use zeroize::Zeroizing;

use super::UpOptions;
use super::active_session::{ActiveSession, NewTokens};
use super::phase::{Phase, SignedOut};
use super::session::Session;
use super::shared::{Senders, Shared};
use super::status::status;
use super::tasks::{FactorRequest, StepUpReply, TaskResult, sign_out};
use super::user_prompts::{AnswerRoute, refused, send_reply};
use super::watchers::StatusFeed;
use crate::clock;
use crate::controller::CallError;
use crate::device_claims::COLLECT_INTERVAL;
use crate::failure::{Exit, Failure};
use crate::local::{Answer, Call, Event, Request};
use crate::site_link::LinkReport;
use crate::tunnel::TunnelEvent;

/// Without anything to renew the engine still looks at the time this often: a machine may have slept.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The one task that owns the daemon's state.
pub(super) struct Engine {
    shared: Shared,
    inputs: Inputs,
    status: StatusFeed,
}

/// Where inputs come in, except the results of tasks.
struct Inputs {
    calls: mpsc::Receiver<Call>,
    reports: mpsc::UnboundedReceiver<LinkReport>,
    factors: mpsc::Receiver<FactorRequest>,
    tunnel: mpsc::UnboundedReceiver<TunnelEvent>,
    kernel: mpsc::Receiver<()>,
    look: Interval,
    /// When [`Input::Time`] comes at the latest.
    wake: Instant,
    signals: StopSignals,
}

/// One thing that happened.
enum Input {
    Call(Call),
    Report(LinkReport),
    Factor(FactorRequest),
    Tunnel(TunnelEvent),
    /// Somebody changed rules, routes, the link or its addresses.
    KernelChanged,
    /// The system is to be compared with what the tunnel needs.
    CompareDue,
    Task(TaskResult),
    TaskPanicked,
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
        let (reports, report_inbox) = mpsc::unbounded_channel();
        let (factors, factor_inbox) = mpsc::channel(4);
        let (tunnel, tunnel_inbox) = mpsc::unbounded_channel();
        let (kernel, kernel_inbox) = mpsc::channel(1);
        let shared = Shared::new(options, events, Senders { reports, factors, tunnel, kernel })?;
        let unusual = |error| Failure::new(Exit::Unexpected, anyhow::Error::new(error), "try again");
        let mut look = interval(COLLECT_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let inputs = Inputs {
            calls,
            reports: report_inbox,
            factors: factor_inbox,
            tunnel: tunnel_inbox,
            kernel: kernel_inbox,
            look,
            wake: Instant::now() + LONGEST_WAIT,
            signals: StopSignals::take().map_err(unusual)?,
        };
        Ok(Self { shared, inputs, status: StatusFeed::default() })
    }

    /// Runs until the daemon has stopped, and everything is taken down again.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let mut phase = SignedOut.begin(&mut self.shared).await;
        loop {
            phase = phase.renew_if_due(&mut self.shared, clock::now());
            if let Phase::Stopping(stopping) = phase {
                return stopping.finish(&mut self.shared).await;
            }
            self.status.update(&self.shared.watchers, || status(&self.shared, &phase));
            let input = self.next(&phase).await;
            phase = Box::pin(self.handle(phase, input)).await;
        }
    }

    async fn next(&mut self, phase: &Phase) -> Input {
        let deadline = phase.next_deadline().map(|at| Instant::now() + clock::now().until(at).min(LONGEST_WAIT));
        let compare = phase.active().map(|active| Instant::from_std(active.next_comparison()));
        let inputs = &mut self.inputs;
        let wake = deadline.map_or(inputs.wake, |deadline| deadline.min(inputs.wake));
        tokio::select! {
            Some(call) = inputs.calls.recv() => Input::Call(call),
            Some(report) = inputs.reports.recv() => Input::Report(report),
            Some(request) = inputs.factors.recv() => Input::Factor(request),
            Some(event) = inputs.tunnel.recv() => Input::Tunnel(event),
            Some(()) = inputs.kernel.recv() => Input::KernelChanged,
            () = sleep_until(compare.unwrap_or_else(Instant::now)), if compare.is_some() => Input::CompareDue,
            // The panic hook logs a panic.
            Some(ended) = self.shared.tasks.join_next() => ended.map_or(Input::TaskPanicked, Input::Task),
            _ = inputs.look.tick() => Input::Look,
            () = inputs.signals.told() => Input::Stop,
            () = sleep_until(wake) => Input::Time,
        }
    }

    async fn handle(&mut self, mut phase: Phase, input: Input) -> Phase {
        let shared = &mut self.shared;
        match input {
            Input::Call(call) => return self.call(phase, call).await,
            Input::Report(report) => {
                if let Some(active) = phase.active_mut() {
                    active.link_report(shared, report).await;
                }
            }
            Input::Factor(request) => shared.prompts.open_for_sign_in(request, clock::now()),
            Input::Tunnel(TunnelEvent::Stopped) => return phase.stop(Err(device_gone()), None),
            Input::Tunnel(event @ (TunnelEvent::SiteAttached { site } | TunnelEvent::SiteLost { site, .. })) => {
                if let Some(active) = phase.active() {
                    active.tunnel_event(site, event);
                }
            }
            Input::KernelChanged => {
                if let Some(active) = phase.active_mut() {
                    active.kernel_changed(Instant::now().into_std());
                }
            }
            Input::CompareDue => {
                if let Some(active) = phase.active_mut() {
                    active.compare(shared, Instant::now().into_std()).await;
                }
            }
            Input::Task(result) => return self.task_ended(phase, result).await,
            Input::TaskPanicked => return phase.task_panicked(),
            Input::Look => {
                match phase.active() {
                    Some(active) => active.collect_claims(shared),
                    None => shared.device.collect(&mut shared.tasks, vec![], vec![]),
                }
                shared.prompts.expire(clock::now());
            }
            Input::Stop => return phase.stop(Ok(()), None),
            Input::Time => {
                self.inputs.wake = Instant::now() + LONGEST_WAIT;
                if let Some(active) = phase.active_mut() {
                    active.save_again(shared);
                }
            }
        }
        phase
    }

    /// A request at the local socket.
    async fn call(&mut self, phase: Phase, call: Call) -> Phase {
        let Call { request, reply } = call;
        let shared = &mut self.shared;
        match request {
            Request::Status {} => send_reply(reply, Answer::Status { status: Box::new(status(shared, &phase)) }),
            Request::Prompts {} => send_reply(reply, Answer::Prompts { prompts: shared.prompts.list() }),
            Request::Answer { prompt_id, text } => {
                let Shared { prompts, device, tasks, .. } = shared;
                let route = AnswerRoute { active: phase.active(), device, tasks };
                prompts.answer(prompt_id, Zeroizing::new(text), reply, route);
            }
            Request::Reload {} => return self.reload(phase, reply).await,
            Request::Down {} => return phase.stop(Ok(()), Some(reply)),
            Request::SignOut {} => match phase.active().map(ActiveSession::session) {
                Some(session) => {
                    let call = sign_out(session.controllers.clone(), session.claims.expose().to_owned());
                    shared.tasks.spawn(async move { TaskResult::SignedOut { reply, result: call.await } });
                }
                None => send_reply(reply, refused("nobody is signed in".into(), "ringwall sign-in")),
            },
            // The local socket replies to it by itself.
            Request::Watch {} => send_reply(reply, Answer::Done {}),
        }
        phase
    }

    /// Somebody signed in beside the daemon: its tokens are on disk.
    async fn reload(&mut self, phase: Phase, reply: oneshot::Sender<Answer>) -> Phase {
        let (phase, result) = match self.stored_session() {
            Ok(session) => phase.reloaded(&mut self.shared, session).await,
            Err(failure) => (phase, Err(failure)),
        };
        let answer = match result {
            Ok(()) => Answer::Done {},
            Err(failure) => refused(format!("{:#}", failure.cause), &failure.next_step),
        };
        send_reply(reply, answer);
        phase
    }

    fn stored_session(&mut self) -> Result<Session, Failure> {
        let account = &mut self.shared.account;
        let nothing = || Failure::message(Exit::NotSignedIn, "there is no sign-in on disk", "ringwall sign-in");
        let stored = account.store.session()?.ok_or_else(nothing)?;
        account.open(stored)
    }

    async fn task_ended(&mut self, phase: Phase, result: TaskResult) -> Phase {
        let shared = &mut self.shared;
        match result {
            TaskResult::SignedIn(result) => return phase.signed_in(shared, result).await,
            TaskResult::Renewed(outcome) => return phase.renewed(shared, outcome).await,
            TaskResult::SteppedUp(ended) => return self.stepped_up(phase, ended).await,
            TaskResult::PageReturned { prompt, transaction, result } => {
                let Shared { prompts, device, tasks, troubles, .. } = shared;
                let route = AnswerRoute { active: phase.active(), device, tasks };
                prompts.page_returned(prompt, transaction, result, troubles, route);
            }
            TaskResult::ClaimsCollected(claims, hashes) => {
                shared.device.collected(claims, hashes, Instant::now().into_std());
            }
            TaskResult::SignedOut { reply, result } => return self.signed_out(phase, reply, result),
        }
        phase
    }

    /// A Controller has replied to an answer of the user.
    async fn stepped_up(&mut self, mut phase: Phase, ended: StepUpReply) -> Phase {
        let StepUpReply { prompt, reply, result, listener } = ended;
        let shared = &mut self.shared;
        match result {
            Ok(StepUpAnswer::Claims(answer)) => {
                let tokens = NewTokens { claims: Some(answer.claims_token), ..NewTokens::default() };
                let used = match phase.active_mut() {
                    Some(active) => active.use_tokens(shared, tokens).await,
                    None => Ok(()),
                };
                shared.prompts.step_up_accepted(prompt, reply, used);
            }
            Ok(StepUpAnswer::Wanted(wanted)) => {
                let Shared { prompts, device, tasks, .. } = shared;
                let route = AnswerRoute { active: phase.active(), device, tasks };
                prompts.step_up_continued(prompt, reply, wanted, listener, route).await;
            }
            Err(error) => {
                if let Some(cause) = shared.prompts.step_up_refused(prompt, reply, &error, &mut shared.troubles) {
                    return phase.require_sign_in(shared, cause);
                }
            }
        }
        phase
    }

    /// The daemon has signed out, and stops whatever came of it.
    fn signed_out(&self, phase: Phase, reply: oneshot::Sender<Answer>, result: Result<(), CallError>) -> Phase {
        if let Err(error) = self.shared.account.store.forget_session() {
            return phase.stop(Err(error.into()), None);
        }
        match result {
            Ok(()) => phase.stop(Ok(()), Some(reply)),
            Err(error) => {
                let cause = format!("the tokens are deleted here, but no Controller has revoked them: {error}");
                send_reply(reply, refused(cause, "they expire by themselves; an administrator can revoke them now"));
                phase.stop(Ok(()), None)
            }
        }
    }
}

fn device_gone() -> Failure {
    Failure::message(Exit::Unexpected, "the tunnel device was removed", "find out who removed it, then: ringwall up")
}
