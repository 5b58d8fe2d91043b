//! A sign-in in use: its tokens, when to renew them, the device in the kernel, and a link to every Site.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringwall_protocol::id::SiteId;
use ringwall_protocol::object::identity_provider::OnDemandClaim;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::EntitlementsAnswer;

use super::session::Session;
use super::shared::Shared;
use crate::clock;
use crate::core::renewal::{Renewal, RenewalPlan};
use crate::failure::Failure;
use crate::sign_in::{stored_sites, why_none};
use crate::site_link::LinkCommand;
use crate::tunnel::TunnelEvent;

mod network;
mod sites;

pub(super) use network::Network;
pub(super) use sites::Site;

/// What the status calls the place where the tokens are kept.
const STATE_DIRECTORY: &str = "state directory";
/// What to do, and what is lost without it.
const MAKE_ROOM: &str = "make room in the state directory, and check its permissions; a Client that ends before has only \
                         the former tokens, and needs a new sign-in once they have expired";

/// New tokens and certificates from a Controller.
#[derive(Default)]
pub(super) struct NewTokens {
    /// A claims token, as a JWT.
    pub(super) claims: Option<String>,
    /// A certificate chain, DER in base64url, leaf first.
    pub(super) chain: Option<Vec<String>>,
    /// The entitlement tokens of all Sites.
    pub(super) entitlements: Option<EntitlementsAnswer>,
}

impl NewTokens {
    const fn is_empty(&self) -> bool {
        self.claims.is_none() && self.chain.is_none() && self.entitlements.is_none()
    }
}

/// Everything that exists only while somebody is signed in.
pub(super) struct ActiveSession {
    session: Session,
    plan: RenewalPlan,
    network: Network,
    sites: BTreeMap<SiteId, Site>,
    /// The tokens in use are those on disk.
    saved: bool,
    /// Only a new sign-in can keep it: Sites that carry no packets lose their routes.
    sign_in_required: bool,
}

impl ActiveSession {
    /// Makes the device and starts the links.
    ///
    /// # Errors
    /// The kernel refuses the device, its addresses or its routes.
    pub(super) async fn start(shared: &mut Shared, session: Session) -> Result<Self, Failure> {
        let network = Network::start(shared, session.addresses()).await?;
        let plan = plan_of(&session);
        let mut this = Self { session, plan, network, sites: BTreeMap::new(), saved: true, sign_in_required: false };
        this.begin(shared).await;
        Ok(this)
    }

    /// Goes on with another sign-in on the same device.
    ///
    /// # Errors
    /// The kernel refuses the new addresses; the former sign-in stays in use.
    pub(super) async fn replace(&mut self, shared: &mut Shared, session: Session) -> Result<(), Failure> {
        self.network.set_addresses(session.addresses()).await?;
        self.plan = plan_of(&session);
        self.session = session;
        // A sign-in is on disk before it is used.
        self.saved = true;
        shared.troubles.resolve(STATE_DIRECTORY);
        self.sign_in_required = false;
        self.begin(shared).await;
        Ok(())
    }

    async fn begin(&mut self, shared: &mut Shared) {
        tracing::info!(dn = %self.session.claims.head.sub, sites = self.session.sites.len(), "signed in");
        for notice in self.session.stored.notices.clone() {
            shared.troubles.note("password", notice, "see the identity provider");
        }
        shared.troubles.resolve("sign-in");
        shared.troubles.resolve("renewal");
        self.collect_claims(shared);
        self.update_sites(shared).await;
    }

    /// Starts a collection of device claims.
    pub(super) fn collect_claims(&self, shared: &mut Shared) {
        shared.device.collect(&mut shared.tasks, self.on_demand_claims(), self.network.addresses.clone());
    }

    fn on_demand_claims(&self) -> Vec<OnDemandClaim> {
        self.session.stored.on_demand_claims.clone()
    }

    /// Puts new tokens into use: in the plan, at the Gateways, on disk. A disk that refuses them ends nothing.
    ///
    /// # Errors
    /// A Controller sent what does not belong to this session.
    pub(super) async fn use_tokens(&mut self, shared: &mut Shared, tokens: NewTokens) -> Result<(), Failure> {
        if tokens.is_empty() {
            return Ok(());
        }
        let NewTokens { claims, chain, entitlements } = tokens;
        let Self { session, plan, .. } = self;
        if let Some(token) = claims {
            session.renew_claims(&token)?;
            plan.hold_claims(session.claims.validity());
        }
        if let Some(chain) = chain {
            session.renew_certificate(chain, &shared.account.key)?;
            plan.hold_certificate(session.certificate);
        }
        if let Some(answer) = entitlements {
            let why_none = why_none(&answer);
            session.renew_sites(stored_sites(answer), why_none)?;
            plan.hold_entitlements(session.sites.values().map(|token| token.validity()));
        }
        self.update_sites(shared).await;
        self.save(shared);
        Ok(())
    }

    /// Tries again to keep what could not be kept.
    pub(super) fn save_again(&mut self, shared: &mut Shared) {
        if !self.saved {
            self.save(shared);
        }
    }

    /// Keeps the tokens for the next start.
    fn save(&mut self, shared: &mut Shared) {
        let kept = shared.account.store.keep_session(&self.session.stored);
        self.saved = kept.is_ok();
        match kept {
            Ok(()) => shared.troubles.resolve(STATE_DIRECTORY),
            Err(error) => {
                let cause = format!("cannot save the new tokens, which are in use: {:#}", anyhow::Error::new(error));
                shared.troubles.note(STATE_DIRECTORY, cause, MAKE_ROOM);
            }
        }
    }

    /// What is due for renewal; empty before it is time.
    pub(super) fn due(&self, now: UnixMillis) -> Renewal {
        self.plan.due(now)
    }

    /// The next time at which [`Self::due`] changes by itself.
    pub(super) fn next_deadline(&self) -> Option<UnixMillis> {
        self.plan.next_deadline()
    }

    pub(super) fn renewal_began(&mut self, now: UnixMillis) {
        self.plan.begin(now);
    }

    pub(super) fn renewal_succeeded(&mut self, now: UnixMillis) {
        self.plan.succeeded(now);
    }

    /// Returns the time to wait before the next renewal.
    pub(super) fn renewal_failed(&mut self, now: UnixMillis) -> Duration {
        self.plan.failed(now, clock::chance())
    }

    /// Says that only a new sign-in can keep the session.
    pub(super) const fn require_sign_in(&mut self) {
        self.sign_in_required = true;
    }

    /// Hands a tunnel's event to the link of its Site.
    pub(super) fn tunnel_event(&self, id: SiteId, event: TunnelEvent) {
        if let Some(site) = self.sites.get(&id) {
            site.order(LinkCommand::Tunnel(event));
        }
    }

    /// When the system is to be compared with what the tunnel needs.
    pub(super) fn next_comparison(&self) -> Instant {
        self.network.next_comparison()
    }

    /// The kernel told of a change.
    pub(super) fn kernel_changed(&mut self, now: Instant) {
        self.network.kernel_changed(now);
    }

    /// Puts back into the system what is missing at `now`.
    pub(super) async fn compare(&mut self, shared: &mut Shared, now: Instant) {
        self.network.compare(now, &mut shared.troubles).await;
    }

    pub(super) const fn session(&self) -> &Session {
        &self.session
    }

    pub(super) const fn network(&self) -> &Network {
        &self.network
    }

    pub(super) const fn sites(&self) -> &BTreeMap<SiteId, Site> {
        &self.sites
    }

    /// True if packets pass at every Site.
    pub(super) fn all_sites_carry(&self) -> bool {
        self.sites.values().all(Site::carries)
    }

    /// Ends every link, then removes the device and what goes with it.
    pub(super) async fn stop(self) {
        futures_util::future::join_all(self.sites.into_values().map(Site::stop)).await;
        self.network.remove().await;
    }
}

fn plan_of(session: &Session) -> RenewalPlan {
    let mut plan = RenewalPlan::new(&session.claims.head.sub.to_string());
    plan.hold_claims(session.claims.validity());
    plan.hold_certificate(session.certificate);
    plan.hold_entitlements(session.sites.values().map(|token| token.validity()));
    plan
}
