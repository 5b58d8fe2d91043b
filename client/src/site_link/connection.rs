//! A session that a Gateway has admitted: its messages, its tunnel, and whether anybody is still there.

use std::time::{Duration, Instant};

use ringwall_protocol::token::Routes;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{FromClient, FromGateway, Welcome};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::attempt::Connected;
use super::pending_queries::PendingQueries;
use super::run::{Link, Stopped};
use super::tunnel_dial::{TunnelDial, TunnelDialError};
use super::websocket::{Received, SocketError};
use super::{Admission, LinkCommand, LinkEvent, SiteCredentials};
use crate::advice;
use crate::controller::chain;
use crate::core::link_end::{LinkEnd, reattach_after};
use crate::status::SiteState;
use crate::tunnel::{LossReason, TunnelEvent};

/// A Gateway that does not answer for this long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(3);
/// The same once the tunnel has been silent for as long: the Gateway had its time.
const DEAD_AFTER_SILENCE: Duration = Duration::from_secs(1);
/// While an answer is waited for, it is asked for again this often.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// A Gateway that cannot judge tokens yet is shown them again after this.
const PRESENT_INTERVAL: Duration = Duration::from_secs(5);
/// Idle times that a Gateway may choose, in seconds.
const KEEP_ALIVE: std::ops::RangeInclusive<u16> = 1..=60;

/// One connection to one Gateway.
struct Live {
    connected: Box<Connected>,
    routes: Routes,
    dials: JoinSet<Result<(), TunnelDialError>>,
    questions: PendingQueries,
    /// Tunnels that failed in a row.
    failures: u32,
    /// When to ask for another attach token.
    reattach_at: Option<Instant>,
    /// When to present the tokens once more.
    present_at: Option<Instant>,
    keep_alive: Duration,
    /// Since when an answer is waited for, and when it was last asked for.
    unanswered: Option<(Instant, Instant)>,
    /// How long an answer may take.
    patience: Duration,
}

/// Either the connection has ended, or everything.
enum Over {
    Connection(LinkEnd),
    Link(Stopped),
}

impl From<SocketError> for Over {
    fn from(error: SocketError) -> Self {
        tracing::debug!(cause = %chain(&error), "websocket");
        Self::Connection(match error {
            SocketError::Unknown(_) | SocketError::Binary => LinkEnd::Untrustworthy,
            SocketError::Broken(_) | SocketError::Closed | SocketError::Stuck => LinkEnd::WebsocketLost,
        })
    }
}

impl Link {
    /// Until the connection to this Gateway ends.
    pub(super) async fn live(&mut self, connected: Box<Connected>) -> Result<LinkEnd, Stopped> {
        let mut live = self.begin(connected);
        let over = loop {
            if let Err(over) = self.turn(&mut live).await {
                break over;
            }
        };
        match over {
            Over::Connection(end) => Ok(end),
            Over::Link(stopped) => {
                live.connected.socket.goodbye().await;
                Err(stopped)
            }
        }
    }

    fn begin(&mut self, connected: Box<Connected>) -> Live {
        let welcome = &connected.welcome;
        let session = (connected.gateway.id, welcome.session_id);
        let goes_on = welcome.resumed && self.tunnel_up && self.session == Some(session);
        self.session = Some(session);
        self.report(LinkEvent::Welcomed(Box::new(Admission {
            gateway: connected.gateway.name.clone(),
            address: connected.address,
            session: welcome.session_id,
            resumed: welcome.resumed,
            mtu: welcome.mtu,
            routes: welcome.routes.clone(),
        })));
        self.report(LinkEvent::Entitlements(welcome.entitlements.clone()));
        let idle = welcome.keep_alive_seconds.clamp(*KEEP_ALIVE.start(), *KEEP_ALIVE.end());
        let (routes, token) = (welcome.routes.clone(), welcome.attach_token.clone());
        let mut live = Live {
            connected,
            routes,
            dials: JoinSet::new(),
            questions: PendingQueries::default(),
            failures: 0,
            reattach_at: None,
            present_at: None,
            keep_alive: Duration::from_secs(idle.into()),
            unanswered: None,
            patience: DEAD_AFTER,
        };
        if goes_on {
            self.attached();
        } else {
            self.tunnel_up = false;
            self.report(LinkEvent::State(SiteState::Attaching));
            self.open_tunnel(&mut live, token);
        }
        live
    }

    /// One thing that happens.
    async fn turn(&mut self, live: &mut Live) -> Result<(), Over> {
        let deadline = live.deadline();
        tokio::select! {
            heard = live.connected.socket.receive() => {
                (live.unanswered, live.patience) = (None, DEAD_AFTER);
                match heard? {
                    Received::Message(message) => self.message(live, message),
                    Received::Answer(answer) => {
                        live.questions.answered(&answer);
                        Ok(())
                    }
                    Received::Alive => Ok(()),
                }
            }
            order = self.inbox.recv() => self.order(live, order.unwrap_or(LinkCommand::Stop)).await,
            changed = self.held.changed() => {
                changed.map_err(|_| Over::Link(Stopped))?;
                self.present(live).await
            }
            changed = self.device_claims.changed() => {
                changed.map_err(|_| Over::Link(Stopped))?;
                let claims = self.device_claims.borrow_and_update().as_ref().clone();
                Ok(live.connected.socket.say(&FromClient::DeviceClaims { claims }).await?)
            }
            Some(dialled) = live.dials.join_next() => match dialled {
                Ok(Err(error)) => self.tunnel_failed(live, &chain(&error)),
                Err(defect) => self.tunnel_failed(live, &defect.to_string()),
                // The tunnel worker goes on, and tells.
                Ok(Ok(())) => Ok(()),
            },
            () = sleep_until(deadline.into()) => self.time_passed(live).await,
        }
    }

    fn message(&mut self, live: &mut Live, message: FromGateway) -> Result<(), Over> {
        match message {
            FromGateway::Attach { token } => {
                if !self.tunnel_up {
                    self.open_tunnel(live, token);
                }
            }
            FromGateway::Interaction(prompt) => self.report(LinkEvent::Prompt(prompt)),
            FromGateway::InteractionClosed { prompt_id } => self.report(LinkEvent::PromptClosed(prompt_id)),
            FromGateway::TokensExpiring { kinds, reason, .. } => {
                self.report(LinkEvent::TokensExpiring { kinds, reason });
            }
            FromGateway::Entitlements { entitlements } => self.report(LinkEvent::Entitlements(entitlements)),
            FromGateway::Refused { code, message } => {
                if code.retryable() {
                    live.present_at = Some(Instant::now() + PRESENT_INTERVAL);
                }
                self.report(LinkEvent::Refused(code, message));
            }
            FromGateway::End { code, message } => {
                let gateway = &live.connected.gateway.name;
                self.trouble(
                    format!("Gateway {gateway} ended the session ({}): {message}", name(code)),
                    advice::next_step(code),
                );
                return Err(Over::Connection(LinkEnd::Ended(code)));
            }
            FromGateway::Welcome(Welcome { .. }) => return Err(Over::Connection(LinkEnd::Untrustworthy)),
        }
        Ok(())
    }

    async fn order(&mut self, live: &mut Live, order: LinkCommand) -> Result<(), Over> {
        match order {
            LinkCommand::Stop => Err(Over::Link(Stopped)),
            LinkCommand::Reason { prompt, text } => {
                let reason = FromClient::Reason { prompt_id: prompt, text };
                Ok(live.connected.socket.say(&reason).await?)
            }
            LinkCommand::Query(question) => match live.questions.asked(question, Instant::now()) {
                Some(message) => Ok(live.connected.socket.ask(message).await?),
                None => Ok(()),
            },
            LinkCommand::Tunnel(TunnelEvent::SiteAttached { .. }) => {
                live.failures = 0;
                live.reattach_at = None;
                self.attached();
                Ok(())
            }
            LinkCommand::Tunnel(TunnelEvent::SiteLost { reason, .. }) => {
                self.tunnel_up = false;
                if reason == LossReason::Silent {
                    live.patience = DEAD_AFTER_SILENCE;
                    live.probe(Instant::now()).await?;
                }
                self.tunnel_failed(live, &format!("{reason:?}"))
            }
            LinkCommand::Tunnel(TunnelEvent::Stopped) => {
                self.tunnel_up = false;
                Ok(())
            }
        }
    }

    fn attached(&mut self) {
        self.tunnel_up = true;
        self.report(LinkEvent::State(SiteState::Connected));
        self.report(LinkEvent::Recovered);
    }

    fn tunnel_failed(&mut self, live: &mut Live, cause: &str) -> Result<(), Over> {
        self.report(LinkEvent::State(SiteState::Attaching));
        tracing::info!(gateway = live.connected.gateway.name, cause, failures = live.failures, "tunnel lost");
        let Some(wait) = reattach_after(live.failures) else {
            self.trouble(
                format!("Gateway {}: cannot establish the tunnel: {cause}", live.connected.gateway.name),
                "nothing: the Client tries another Gateway if there is one",
            );
            return Err(Over::Connection(LinkEnd::Dead));
        };
        live.failures += 1;
        live.reattach_at = Some(Instant::now() + wait);
        Ok(())
    }

    fn open_tunnel(&self, live: &mut Live, attach_token: String) {
        let line = TunnelDial {
            context: std::sync::Arc::clone(&self.context),
            credentials: live.connected.credentials.clone(),
            gateway: live.connected.gateway.clone(),
            address: live.connected.address,
            routes: live.routes.include.clone(),
            attach_token,
        };
        live.dials.spawn(line.open());
    }

    /// Shows the Gateway what is new. Claims go first: entitlements may have been made for them (T36).
    async fn present(&mut self, live: &mut Live) -> Result<(), Over> {
        let held = self.held.borrow_and_update().clone();
        let former = std::mem::replace(&mut live.connected.credentials, held.clone());
        if held.certificate_serial != former.certificate_serial {
            // A connection cannot change its certificate: resume with another one.
            self.tunnel_up = false;
            return Err(Over::Connection(LinkEnd::NewCertificate));
        }
        let socket = &mut live.connected.socket;
        if held.claims.prefix() != former.claims.prefix() {
            socket.say(&FromClient::ClaimsToken { token: held.claims.expose().to_owned() }).await?;
        }
        if held.entitlement.prefix() != former.entitlement.prefix() {
            socket.say(&FromClient::EntitlementToken { token: held.entitlement.expose().to_owned() }).await?;
            live.routes = held.entitlement.routes.clone();
            // A tunnel worker that has stopped says so by an event.
            let _stopped = self.context.tunnel.reroute_site(self.site, live.routes.include.clone(), false);
        }
        Ok(())
    }

    async fn time_passed(&mut self, live: &mut Live) -> Result<(), Over> {
        let now = Instant::now();
        if live.reattach_at.is_some_and(|at| now >= at) {
            live.reattach_at = None;
            live.connected.socket.say(&FromClient::AttachRequest {}).await?;
        }
        if live.present_at.is_some_and(|at| now >= at) {
            live.present_at = None;
            let SiteCredentials { claims, entitlement, .. } = live.connected.credentials.clone();
            let socket = &mut live.connected.socket;
            socket.say(&FromClient::ClaimsToken { token: claims.expose().to_owned() }).await?;
            socket.say(&FromClient::EntitlementToken { token: entitlement.expose().to_owned() }).await?;
        }
        match live.unanswered {
            Some((since, _)) if now >= since + live.patience => {
                self.trouble(
                    format!("Gateway {} does not respond", live.connected.gateway.name),
                    "nothing: the Client tries another Gateway if there is one",
                );
                Err(Over::Connection(LinkEnd::Dead))
            }
            Some((_, asked)) if now >= asked + PROBE_INTERVAL => live.probe(now).await,
            None if now >= live.connected.socket.last_received() + live.keep_alive => live.probe(now).await,
            _ => Ok(()),
        }
    }
}

impl Live {
    fn deadline(&self) -> Instant {
        let life = match self.unanswered {
            Some((since, asked)) => (since + self.patience).min(asked + PROBE_INTERVAL),
            None => self.connected.socket.last_received() + self.keep_alive,
        };
        [self.reattach_at, self.present_at].into_iter().flatten().fold(life, Instant::min)
    }

    async fn probe(&mut self, now: Instant) -> Result<(), Over> {
        let since = self.unanswered.map_or(now, |(since, _)| since);
        self.unanswered = Some((since, now));
        Ok(self.connected.socket.ping().await?)
    }
}

fn name(code: ErrorCode) -> String {
    serde_json::to_string(&code).expect("a code serialises").trim_matches('"').to_owned()
}
