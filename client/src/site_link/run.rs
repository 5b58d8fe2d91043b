//! A link from its start to its end: look for a Gateway, stay with it, decide what comes after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::id::{ApplianceId, SessionId, SiteId};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_trust::spa::Unanswered;
use tokio::sync::{mpsc, watch};

use super::attempt::{Attempt, AttemptError, Connected};
use super::race::{Finish, race};
use super::{LinkCommand, LinkContext, LinkEvent, LinkReport, SiteCredentials};
use crate::advice;
use crate::clock;
use crate::controller::chain;
use crate::core::back_off;
use crate::core::link_end::{LinkEnd, Next, after};
use crate::core::site_choice::SiteChoice;
use crate::status::SiteState;
use crate::tunnel::TunnelEvent;

/// The daemon has told the link to end, or is gone.
#[derive(Debug)]
pub(super) struct Stopped;

pub(super) struct Link {
    pub(super) context: Arc<LinkContext>,
    pub(super) held: watch::Receiver<SiteCredentials>,
    pub(super) device_claims: watch::Receiver<Arc<UntrustedClaims>>,
    pub(super) inbox: mpsc::UnboundedReceiver<LinkCommand>,
    pub(super) site: SiteId,
    /// Which Gateway has, or had, our session.
    pub(super) session: Option<(ApplianceId, SessionId)>,
    /// Packets pass.
    pub(super) tunnel_up: bool,
    reports: mpsc::UnboundedSender<LinkReport>,
    choice: SiteChoice,
    /// How often in a row tokens were not accepted.
    token_refusals: u32,
    /// How often in a row every Gateway was silent.
    silent_rounds: u32,
}

/// After so many rounds in which every Gateway was silent, other tokens are asked for once: a Gateway does not say that it
/// refuses a knock, but the Controllers say whether the session still exists.
const SILENT_ROUNDS: u32 = 2;

/// What is to be done before the next attempt.
enum Pause {
    None,
    /// Until there are other tokens.
    Tokens(ErrorCode),
    /// Until this time, or other tokens.
    Until(Instant),
    /// Until there are other tokens, which only the user can bring about.
    Stop(ErrorCode),
}

impl Link {
    pub(super) fn new(
        context: Arc<LinkContext>,
        held: watch::Receiver<SiteCredentials>,
        device_claims: watch::Receiver<Arc<UntrustedClaims>>,
        inbox: mpsc::UnboundedReceiver<LinkCommand>,
        reports: mpsc::UnboundedSender<LinkReport>,
    ) -> Self {
        let site = SiteId::new(held.borrow().entitlement.head.aud);
        let choice = SiteChoice::new(context.device);
        Self {
            context,
            held,
            device_claims,
            inbox,
            site,
            session: None,
            tunnel_up: false,
            reports,
            choice,
            token_refusals: 0,
            silent_rounds: 0,
        }
    }

    pub(super) async fn run(mut self) {
        // The only way out of the loop is to be told.
        let _stopped: Result<(), Stopped> = self.serve().await;
    }

    async fn serve(&mut self) -> Result<(), Stopped> {
        loop {
            let connected = self.connect().await?;
            self.token_refusals = 0;
            let gateway = connected.gateway.id;
            let since = Instant::now();
            let end = self.live(connected).await?;
            self.choice.served(gateway, since.elapsed());
            let pause = self.after_end(&end, gateway);
            self.pause(pause).await?;
        }
    }

    /// Until a Gateway has admitted us.
    async fn connect(&mut self) -> Result<Box<Connected>, Stopped> {
        loop {
            let attempts = self.attempts();
            if attempts.is_empty() {
                let offers = self.held.borrow().entitlement.gateways.clone();
                let next = self.choice.next_try(&offers, self.current(), Instant::now());
                self.report(LinkEvent::State(SiteState::Waiting));
                let next = next.unwrap_or_else(|| self.no_gateway());
                self.pause(Pause::Until(next)).await?;
                continue;
            }
            let resuming = self.tunnel_up;
            self.report(LinkEvent::State(if resuming { SiteState::Reconnecting } else { SiteState::Connecting }));
            let finish = tokio::select! {
                finish = race(attempts) => finish,
                stopped = stopped(&mut self.inbox, &mut self.tunnel_up) => return Err(stopped),
            };
            self.count_silence(&finish);
            let mut pause = Pause::None;
            for (gateway, name, error) in finish.failed {
                pause = self.failed(gateway, &name, error, pause);
            }
            if let Some(connected) = finish.connected {
                return Ok(connected);
            }
            self.pause(pause).await?;
        }
    }

    /// Asks for other tokens where nobody says that these are refused.
    fn count_silence(&mut self, finish: &Finish) {
        let is_silent = finish.connected.is_none() && finish.failed.iter().all(|(_, _, error)| error.is_silence());
        self.silent_rounds = if is_silent { self.silent_rounds.saturating_add(1) } else { 0 };
        if self.silent_rounds == SILENT_ROUNDS {
            self.report(LinkEvent::TokensNeeded(ErrorCode::TokenRevoked));
        }
    }

    fn attempts(&mut self) -> Vec<Attempt> {
        let credentials = self.held.borrow_and_update().clone();
        let device_claims = self.device_claims.borrow_and_update().clone();
        let offers = &credentials.entitlement.gateways;
        let candidates = self.choice.candidates(offers, self.current(), Instant::now());
        let session_at = |gateway| self.session.filter(|(at, _)| *at == gateway).map(|(_, session)| session);
        let attempt = |gateway: &ringwall_protocol::token::GatewayOffer| Attempt {
            context: Arc::clone(&self.context),
            credentials: credentials.clone(),
            device_claims: Arc::clone(&device_claims),
            gateway: gateway.clone(),
            resume: session_at(gateway.id),
        };
        candidates.into_iter().map(attempt).collect()
    }

    fn current(&self) -> Option<ApplianceId> {
        self.session.map(|(gateway, _)| gateway)
    }

    fn no_gateway(&self) -> Instant {
        self.trouble("the Site has no active Gateway".into(), "ask an administrator to start or activate a Gateway");
        // The next tokens may name another one.
        Instant::now() + Duration::from_hours(1)
    }

    /// An attempt failed: remember it, and find out whether anything else makes sense before other tokens are there.
    fn failed(&mut self, gateway: ApplianceId, name: &str, error: AttemptError, pause: Pause) -> Pause {
        let next_step = match &error {
            AttemptError::Refused(code, _) => advice::next_step(*code),
            AttemptError::Untrustworthy(_) => {
                "tell an administrator: this Gateway is misconfigured or not to be trusted"
            }
            AttemptError::Sequence(_) => "make room in the state directory, and check its permissions",
            AttemptError::TooLate => return pause,
            AttemptError::Dial(_, dial) if dial.is_by_another_server() => advice::ANOTHER_SERVER,
            AttemptError::Dial(_, dial) if matches!(dial.unanswered(), Some(Unanswered::PacketRefused(_))) => {
                advice::UDP_BLOCKED
            }
            _ => "nothing: the Client tries again, at another Gateway if there is one",
        };
        self.trouble(format!("Gateway {name}: {}", chain(&error)), next_step);
        match error {
            AttemptError::Refused(code, _) => match self.after_end(&LinkEnd::Ended(code), gateway) {
                Pause::None => pause,
                other => other,
            },
            AttemptError::Sequence(_) => Pause::Until(Instant::now() + Duration::from_secs(5)),
            _ => {
                self.choice.failed(gateway, Instant::now(), clock::chance());
                pause
            }
        }
    }

    fn after_end(&mut self, end: &LinkEnd, gateway: ApplianceId) -> Pause {
        let code = match end {
            LinkEnd::Ended(code) => *code,
            _ => ErrorCode::Internal,
        };
        let next = after(end);
        if !matches!(next, Next::Resume) {
            self.session = None;
        }
        match next {
            Next::Resume => Pause::None,
            Next::OtherGateway => {
                self.choice.failed(gateway, Instant::now(), clock::chance());
                Pause::None
            }
            Next::RenewTokens => Pause::Tokens(code),
            Next::Wait(time) => Pause::Until(Instant::now() + time),
            Next::Stop => Pause::Stop(code),
        }
    }

    async fn pause(&mut self, pause: Pause) -> Result<(), Stopped> {
        let until = match pause {
            Pause::None => return Ok(()),
            Pause::Until(until) => Some(until),
            Pause::Tokens(code) => {
                self.report(LinkEvent::State(SiteState::Renewing));
                self.token_refusals += 1;
                if self.token_refusals > 1 {
                    // Fresh tokens were refused as well: do not ask for more of them without a break.
                    let wait = back_off::between_calls(self.token_refusals - 1, clock::chance());
                    self.rest(Instant::now() + wait).await?;
                }
                self.report(LinkEvent::TokensNeeded(code));
                None
            }
            Pause::Stop(code) => {
                self.report(LinkEvent::State(SiteState::Ended));
                self.report(LinkEvent::Stopped(code));
                None
            }
        };
        let limit = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = limit => Ok(()),
            changed = self.held.changed() => {
                self.choice.clear_exclusions(Instant::now());
                changed.map_err(|_| Stopped)
            }
            stopped = stopped(&mut self.inbox, &mut self.tunnel_up) => Err(stopped),
        }
    }

    async fn rest(&mut self, until: Instant) -> Result<(), Stopped> {
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => Ok(()),
            stopped = stopped(&mut self.inbox, &mut self.tunnel_up) => Err(stopped),
        }
    }

    pub(super) fn report(&self, what: LinkEvent) {
        // Without a daemon the orders end as well.
        let _gone = self.reports.send(LinkReport { site: self.site, what });
    }

    pub(super) fn trouble(&self, cause: String, next_step: &'static str) {
        self.report(LinkEvent::Trouble { cause, next_step });
    }
}

/// Until the link is told to end; meanwhile the tunnel may go.
async fn stopped(inbox: &mut mpsc::UnboundedReceiver<LinkCommand>, tunnel_up: &mut bool) -> Stopped {
    loop {
        match inbox.recv().await {
            None | Some(LinkCommand::Stop) => return Stopped,
            Some(LinkCommand::Tunnel(TunnelEvent::SiteLost { .. } | TunnelEvent::Stopped)) => *tunnel_up = false,
            Some(
                LinkCommand::Tunnel(TunnelEvent::SiteAttached { .. })
                | LinkCommand::Reason { .. }
                | LinkCommand::Query(_),
            ) => {}
        }
    }
}
