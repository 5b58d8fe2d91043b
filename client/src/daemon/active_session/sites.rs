//! The Sites of a session: a link to each, and what is known of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringwall_protocol::authorize::EntitlementState;
use ringwall_protocol::entitlement::AppShortcut;
use ringwall_protocol::id::SiteId;
use ringwall_protocol::revocation::TokenKind;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{EntitlementToken, GrantedEntitlement, Routes};
use ringwall_protocol::wire::error::ErrorCode;

use super::engine::Engine;
use crate::advice;
use crate::clock;
use crate::core::blocked::blocked;
use crate::held_token::HeldToken;
use crate::local::Event;
use crate::routes::plan::SiteRoutes;
use crate::site_link::{Admission, Asker, Credentials, LinkNews, LinkOrder, LinkReport, SiteLink};
use crate::status::{SiteState, SiteStatus, SiteTraffic};

/// One Site.
pub(super) struct Site {
    link: SiteLink,
    token: Arc<HeldToken<EntitlementToken>>,
    state: SiteState,
    since: UnixMillis,
    admission: Option<Admission>,
    entitlements: Vec<EntitlementState>,
    /// How often packets began to pass.
    connections: u32,
}

impl Site {
    fn new(link: SiteLink, token: Arc<HeldToken<EntitlementToken>>, now: UnixMillis) -> Self {
        let state = SiteState::Connecting;
        Self { link, token, state, since: now, admission: None, entitlements: vec![], connections: 0 }
    }

    /// Packets pass.
    pub(super) const fn carries(&self) -> bool {
        matches!(self.state, SiteState::Connected | SiteState::Reconnecting)
    }

    /// A session is there to take messages.
    pub(super) const fn listens(&self) -> bool {
        matches!(self.state, SiteState::Connected | SiteState::Attaching)
    }

    /// A Site that is only out of reach for a moment keeps its routes: packets wait in their senders, not in the LAN.
    pub(super) fn kernel_routes(&self, must_sign_in: bool) -> SiteRoutes {
        let over = self.state == SiteState::Ended || (must_sign_in && !self.carries());
        let admitted = self.admission.as_ref().map(|admission| &admission.routes);
        SiteRoutes { routes: admitted.unwrap_or(&self.token.routes).clone(), open: !over }
    }

    pub(super) fn mtu(&self) -> Option<u16> {
        self.admission.as_ref().map(|admission| admission.mtu)
    }

    pub(super) fn token(&self) -> &EntitlementToken {
        &self.token
    }

    pub(super) fn asker(&self) -> Asker {
        self.link.asker()
    }

    pub(super) fn order(&self, order: LinkOrder) {
        self.link.order(order);
    }

    fn renew(&mut self, credentials: Credentials) {
        if credentials.entitlement.prefix() != self.token.prefix()
            && let Some(admission) = &mut self.admission
        {
            admission.routes = credentials.entitlement.routes.clone();
        }
        self.token = Arc::clone(&credentials.entitlement);
        self.link.renew(credentials);
    }

    pub(super) async fn stop(self) {
        self.link.stop().await;
    }

    pub(super) fn status(&self, id: SiteId, dns_applied: bool) -> SiteStatus {
        let routes = self.kernel_routes(false).routes;
        let Routes { include, exclude } = routes;
        let admission = self.admission.as_ref();
        SiteStatus {
            id,
            name: self.token.site_name.clone(),
            state: self.state,
            gateway: admission.map(|admission| admission.gateway.clone()),
            gateway_address: admission.map(|admission| admission.address.to_string()),
            session: admission.map(|admission| admission.session),
            since: self.since,
            reconnects: self.connections.saturating_sub(1),
            expires: self.token.life().until,
            routes: include
                .iter()
                .map(ToString::to_string)
                .chain(exclude.iter().map(|prefix| format!("!{prefix}")))
                .collect(),
            dns: self.token.dns.clone(),
            dns_applied: dns_applied && !self.token.dns.is_empty(),
            entitlements: self.entitlements.clone(),
            shortcuts: self.shortcuts(),
            traffic: SiteTraffic::default(),
            blocked: blocked(&self.token, &self.entitlements),
        }
    }

    /// Links of what is open.
    fn shortcuts(&self) -> Vec<AppShortcut> {
        let open =
            |granted: &&GrantedEntitlement| self.entitlements.iter().any(|state| state.open && state.id == granted.id);
        self.token.entitlements.iter().filter(open).flat_map(|granted| granted.app_shortcuts.clone()).collect()
    }
}

impl Engine {
    /// A link for every Site that there is a token for, and none for others.
    pub(super) async fn settle_sites(&mut self) {
        let (Some(session), Some(network)) = (&self.session, &self.network) else { return };
        let wanted: BTreeMap<SiteId, Credentials> =
            session.sites.keys().filter_map(|site| Some((*site, session.credentials(*site)?))).collect();
        let gone: Vec<SiteId> = self.sites.keys().filter(|site| !wanted.contains_key(site)).copied().collect();
        for (id, credentials) in wanted {
            match self.sites.get_mut(&id) {
                Some(site) => site.renew(credentials),
                None => {
                    let token = Arc::clone(&credentials.entitlement);
                    let surroundings = Arc::clone(&network.surroundings);
                    let claims = self.device_claims.subscribe();
                    let link = SiteLink::start(surroundings, credentials, claims, self.reports.clone());
                    self.sites.insert(id, Site::new(link, token, clock::now()));
                }
            }
        }
        for id in gone {
            self.leave(id).await;
        }
        self.settle_network().await;
    }

    /// There is no token for this Site any more.
    async fn leave(&mut self, id: SiteId) {
        let Some(site) = self.sites.remove(&id) else { return };
        self.troubles.mended(&site.token.site_name);
        site.stop().await;
        if let Some(network) = &self.network {
            // A pump that has stopped has forgotten the Site as well.
            let _stopped = network.surroundings.tunnel.remove_site(id);
        }
        self.close_prompts_of(id);
    }

    /// A link tells something.
    pub(super) async fn link_report(&mut self, report: LinkReport) {
        let LinkReport { site: id, what } = report;
        let Some(site) = self.sites.get_mut(&id) else { return };
        let name = site.token.site_name.clone();
        match what {
            LinkNews::State(state) => {
                if site.state != state {
                    tracing::info!(site = name, ?state, "site");
                    site.since = clock::now();
                    site.connections += u32::from(state == SiteState::Connected && !site.carries());
                    site.state = state;
                    self.settle_network().await;
                }
            }
            LinkNews::Welcomed(admission) => {
                tracing::info!(site = name, gateway = admission.gateway, session = %admission.session,
                    resumed = admission.resumed, "admitted");
                let fresh = !admission.resumed;
                site.admission = Some(*admission);
                if fresh {
                    self.close_prompts_of(id);
                }
                self.settle_network().await;
            }
            LinkNews::Entitlements(entitlements) => site.entitlements = entitlements,
            LinkNews::Prompt(prompt) => {
                let result = self.prompts.asked_by_gateway(&prompt, &site.token, clock::now());
                self.prompted(&name, prompt.prompt_id, result);
            }
            LinkNews::PromptClosed(prompt) => {
                if self.prompts.closed(prompt) {
                    self.tell(Event::PromptClosed { prompt_id: prompt });
                }
            }
            LinkNews::TokensExpiring { kinds, reason } => {
                tracing::info!(site = name, ?kinds, ?reason, "tokens end soon");
                self.want_tokens(id, &kinds);
            }
            LinkNews::TokensNeeded(code) => {
                site.entitlements.clear();
                self.tokens_needed(id, code);
            }
            LinkNews::Refused(code, message) => self.refused(id, &name, code, &message),
            LinkNews::Stopped(code) => {
                self.note(&name, format!("the session is over ({code:?})"), advice::next_step(code));
                self.settle_network().await;
            }
            LinkNews::Trouble { cause, next_step } => self.note(&name, cause, next_step),
            LinkNews::Mended => self.troubles.mended(&name),
        }
    }

    fn tokens_needed(&mut self, site: SiteId, code: ErrorCode) {
        tracing::info!(%site, ?code, "the Gateway wants other tokens");
        self.want_tokens(site, &[TokenKind::Claims, TokenKind::Entitlement]);
    }

    /// A Gateway would not take a token or a reason.
    fn refused(&mut self, id: SiteId, name: &str, code: ErrorCode, message: &str) {
        use ErrorCode as C;
        self.note(name, format!("the Gateway refused ({code:?}): {message}"), advice::next_step(code));
        if matches!(code, C::TokenExpired | C::TokenRevoked | C::TokenMismatch | C::TokenInvalid | C::NotEntitled) {
            // A Controller had just given it: newer ones, but not at once.
            self.want_tokens(id, &[TokenKind::Claims, TokenKind::Entitlement]);
            self.plan.failed(clock::now(), clock::chance());
            return;
        }
        for prompt in self.prompts.reasons_refused(id) {
            self.tell(Event::Prompt { prompt });
        }
    }
}
