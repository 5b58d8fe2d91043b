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

use super::super::shared::Shared;
use super::ActiveSession;
use crate::advice;
use crate::clock;
use crate::core::blocked::blocked;
use crate::core::renewal::Renewal;
use crate::dns::Plan;
use crate::held_token::HeldToken;
use crate::routes::plan::SiteRoutes;
use crate::site_link::{Admission, DnsQuerier, LinkCommand, LinkEvent, LinkReport, SiteCredentials, SiteLink};
use crate::status::{SiteState, SiteStatus, SiteTraffic};

/// One Site.
pub(in super::super) struct Site {
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
    pub(in super::super) const fn carries(&self) -> bool {
        matches!(self.state, SiteState::Connected | SiteState::Reconnecting)
    }

    /// A session is there to take messages.
    pub(in super::super) const fn listens(&self) -> bool {
        matches!(self.state, SiteState::Connected | SiteState::Attaching)
    }

    /// Its routes for the kernel. A Site that is only out of reach for a moment keeps its routes: packets wait in their
    /// senders, not in the LAN.
    pub(in super::super) fn kernel_routes(&self, sign_in_required: bool) -> SiteRoutes {
        let over = self.state == SiteState::Ended || (sign_in_required && !self.carries());
        let admitted = self.admission.as_ref().map(|admission| &admission.routes);
        SiteRoutes { routes: admitted.unwrap_or(&self.token.routes).clone(), open: !over }
    }

    pub(in super::super) fn mtu(&self) -> Option<u16> {
        self.admission.as_ref().map(|admission| admission.mtu)
    }

    pub(in super::super) fn token(&self) -> &EntitlementToken {
        &self.token
    }

    pub(in super::super) fn querier(&self) -> DnsQuerier {
        self.link.querier()
    }

    pub(in super::super) fn order(&self, order: LinkCommand) {
        self.link.order(order);
    }

    /// Takes another state; returns false if it is in this state already.
    fn enter(&mut self, state: SiteState, now: UnixMillis) -> bool {
        if self.state == state {
            return false;
        }
        self.since = now;
        self.connections += u32::from(state == SiteState::Connected && !self.carries());
        self.state = state;
        true
    }

    fn renew(&mut self, credentials: SiteCredentials) {
        if credentials.entitlement.prefix() != self.token.prefix()
            && let Some(admission) = &mut self.admission
        {
            admission.routes = credentials.entitlement.routes.clone();
        }
        self.token = Arc::clone(&credentials.entitlement);
        self.link.renew(credentials);
    }

    pub(in super::super) async fn stop(self) {
        self.link.stop().await;
    }

    /// Whether names of this Site, or domains of its settings, are asked elsewhere than before.
    fn has_names(&self, id: SiteId) -> bool {
        !Plan::of("", [(id, self.token())]).is_empty()
    }

    pub(in super::super) fn status(&self, id: SiteId, dns_applied: bool) -> SiteStatus {
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
            expires: self.token.validity().until,
            routes: include
                .iter()
                .map(ToString::to_string)
                .chain(exclude.iter().map(|prefix| format!("!{prefix}")))
                .collect(),
            dns: self.token.dns.clone(),
            dns_applied: dns_applied && self.has_names(id),
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

impl ActiveSession {
    /// Starts a link for every Site that there is a token for, renews those that run, ends all others.
    pub(super) async fn update_sites(&mut self, shared: &mut Shared) {
        let Self { session, network, sites, .. } = self;
        let wanted: BTreeMap<SiteId, SiteCredentials> =
            session.sites.keys().filter_map(|site| Some((*site, session.credentials(*site)?))).collect();
        let gone: Vec<SiteId> = sites.keys().filter(|site| !wanted.contains_key(site)).copied().collect();
        for (id, credentials) in wanted {
            match sites.get_mut(&id) {
                Some(site) => site.renew(credentials),
                None => {
                    let token = Arc::clone(&credentials.entitlement);
                    let (context, claims) = (Arc::clone(&network.context), shared.device.subscribe());
                    let link = SiteLink::start(context, credentials, claims, shared.senders.reports.clone());
                    sites.insert(id, Site::new(link, token, clock::now()));
                }
            }
        }
        for id in gone {
            self.remove_site(shared, id).await;
        }
        self.apply_network(shared).await;
    }

    /// Ends the link of a Site that there is no token for any more.
    async fn remove_site(&mut self, shared: &mut Shared, id: SiteId) {
        let Some(site) = self.sites.remove(&id) else { return };
        shared.troubles.resolve(&site.token.site_name);
        site.stop().await;
        // A tunnel worker that has stopped has removed the Site as well.
        let _stopped = self.network.context.tunnel.remove_site(id);
        shared.prompts.close_of_site(id);
    }

    async fn apply_network(&mut self, shared: &mut Shared) {
        let Shared { account, troubles, .. } = shared;
        self.network.apply(&account.profile, &self.sites, self.sign_in_required, troubles).await;
    }

    /// Takes a link's report into account.
    pub(in super::super) async fn link_report(&mut self, shared: &mut Shared, report: LinkReport) {
        let LinkReport { site: id, what } = report;
        let Some(site) = self.sites.get_mut(&id) else { return };
        let name = site.token.site_name.clone();
        match what {
            LinkEvent::State(state) => {
                if site.enter(state, clock::now()) {
                    tracing::info!(site = name, ?state, "site");
                    self.apply_network(shared).await;
                }
            }
            LinkEvent::Welcomed(admission) => {
                tracing::info!(site = name, gateway = admission.gateway, session = %admission.session,
                    resumed = admission.resumed, "admitted");
                let fresh = !admission.resumed;
                site.admission = Some(*admission);
                if fresh {
                    shared.prompts.close_of_site(id);
                }
                self.apply_network(shared).await;
            }
            LinkEvent::Entitlements(entitlements) => site.entitlements = entitlements,
            LinkEvent::Prompt(prompt) => shared.prompts.open_for_gateway(&prompt, &site.token, clock::now()),
            LinkEvent::PromptClosed(prompt) => shared.prompts.closed_by_gateway(prompt),
            LinkEvent::TokensExpiring { kinds, reason } => {
                tracing::info!(site = name, ?kinds, ?reason, "tokens expire soon");
                self.request_tokens(id, &kinds);
            }
            LinkEvent::TokensNeeded(code) => {
                site.entitlements.clear();
                tracing::info!(site = name, ?code, "the Gateway needs other tokens");
                self.request_tokens(id, &[TokenKind::Claims, TokenKind::Entitlement]);
            }
            LinkEvent::Refused(code, message) => self.refused(shared, id, &name, code, &message),
            LinkEvent::Stopped(code) => {
                let cause = format!("the session has ended ({code:?})");
                shared.troubles.note(&name, cause, advice::next_step(code));
                self.apply_network(shared).await;
            }
            LinkEvent::Trouble { cause, next_step } => shared.troubles.note(&name, cause, next_step),
            LinkEvent::Recovered => shared.troubles.resolve(&name),
        }
    }

    /// A Gateway did not accept a token or a reason.
    fn refused(&mut self, shared: &mut Shared, id: SiteId, name: &str, code: ErrorCode, message: &str) {
        use ErrorCode as C;
        let cause = format!("the Gateway refused ({code:?}): {message}");
        shared.troubles.note(name, cause, advice::next_step(code));
        if matches!(code, C::TokenExpired | C::TokenRevoked | C::TokenMismatch | C::TokenInvalid | C::NotEntitled) {
            // A Controller had just issued it: newer ones, but not at once.
            self.request_tokens(id, &[TokenKind::Claims, TokenKind::Entitlement]);
            self.renewal_failed(clock::now());
            return;
        }
        shared.prompts.reopen_reasons(id);
    }

    /// Requests a renewal out of turn, because a Gateway needs other tokens.
    fn request_tokens(&mut self, site: SiteId, kinds: &[TokenKind]) {
        tracing::info!(%site, ?kinds, "renewal requested");
        let what = Renewal {
            claims: kinds.contains(&TokenKind::Claims),
            certificate: false,
            entitlements: kinds.contains(&TokenKind::Entitlement),
        };
        self.plan.want(what, clock::now());
    }
}
