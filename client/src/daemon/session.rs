//! A sign-in in memory: tokens that were checked, the certificate, and the Controllers that take them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::id::SiteId;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken};
use ringwall_trust::identity::{Leaf, PrivateKey};
use ringwall_trust::tls::Presented;

use crate::controller::Controllers;
use crate::core::renewal::Validity;
use crate::failure::{Exit, Failure};
use crate::held_token::{HeldToken, Holder};
use crate::sign_in::presented;
use crate::site_link::SiteCredentials;
use crate::store::{StoredSession, StoredSite};

/// Certificates begin this long before they are issued, for clocks that are behind. It is not part of the
/// life that renewals are reckoned from: a short-lived one would be half gone at its birth.
const BACKDATED: Duration = Duration::from_mins(5);

/// Everything that a sign-in gave, and its renewals.
pub(super) struct Session {
    pub(super) holder: Holder,
    pub(super) claims: Arc<HeldToken<ClaimsToken>>,
    pub(super) sites: BTreeMap<SiteId, Arc<HeldToken<EntitlementToken>>>,
    pub(super) certificate: Validity,
    /// Counts certificates over all sign-ins of this process.
    pub(super) serial: u64,
    pub(super) controllers: Controllers,
    pub(super) stored: StoredSession,
    own: Arc<Presented>,
}

impl Session {
    /// Reads what is on disk.
    pub(super) fn open(
        stored: StoredSession,
        holder: Holder,
        key: &PrivateKey,
        controllers: Controllers,
        serial: u64,
    ) -> Result<Self, Failure> {
        let claims = HeldToken::take(stored.claims_token.expose(), holder).map_err(unusable)?;
        let own = presented(&stored.chain, key)?;
        let certificate = certificate_validity(&own)?;
        let mut this = Self {
            holder,
            claims: Arc::new(claims),
            sites: BTreeMap::new(),
            certificate,
            serial,
            controllers: controllers.known(stored.controllers.clone()).with_certificate(Arc::clone(&own)),
            stored,
            own,
        };
        this.sites = this.take_sites(&this.stored.sites)?;
        Ok(this)
    }

    /// Whether it is worth trying: neither token, certificate nor sign-in has run out.
    pub(super) fn usable(&self, now: UnixMillis) -> bool {
        let ends =
            [self.claims.validity().until, self.certificate.until, UnixMillis::from_seconds(self.claims.sign_in_until)];
        ends.iter().all(|end| now < *end)
    }

    /// The addresses of this device inside tunnels.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let v4 = self.claims.tun_ipv4.map(IpAddr::V4);
        v4.into_iter().chain(self.claims.tun_ipv6.map(IpAddr::V6)).collect()
    }

    /// What a Site's link holds its session with.
    pub(super) fn credentials(&self, site: SiteId) -> Option<SiteCredentials> {
        Some(SiteCredentials {
            claims: Arc::clone(&self.claims),
            entitlement: Arc::clone(self.sites.get(&site)?),
            own: Arc::clone(&self.own),
            certificate_serial: self.serial,
        })
    }

    /// Takes a newer claims token; one of an older state is refused (T36).
    pub(super) fn renew_claims(&mut self, token: &str) -> Result<(), Failure> {
        let claims = HeldToken::<ClaimsToken>::take(token, self.holder).map_err(unusable)?;
        if claims.head.idx < self.claims.head.idx || claims.head.sid != self.claims.head.sid {
            return Err(misbehaves("the Controller gave an older claims token than the one in use"));
        }
        self.claims = Arc::new(claims);
        self.stored.claims_token = token.to_owned().into();
        Ok(())
    }

    /// Takes a new certificate for the same key.
    pub(super) fn renew_certificate(&mut self, chain: Vec<String>, key: &PrivateKey) -> Result<(), Failure> {
        let own = presented(&chain, key)?;
        self.certificate = certificate_validity(&own)?;
        self.controllers = self.controllers.clone().with_certificate(Arc::clone(&own));
        self.own = own;
        self.serial += 1;
        self.stored.chain = chain;
        Ok(())
    }

    /// Takes the entitlement tokens of all Sites.
    pub(super) fn renew_sites(&mut self, sites: Vec<StoredSite>, why_none: Option<String>) -> Result<(), Failure> {
        self.sites = self.take_sites(&sites)?;
        self.stored.sites = sites;
        self.stored.no_entitlements = why_none;
        Ok(())
    }

    fn take_sites(&self, sites: &[StoredSite]) -> Result<BTreeMap<SiteId, Arc<HeldToken<EntitlementToken>>>, Failure> {
        let take = |site: &StoredSite| {
            let token = HeldToken::<EntitlementToken>::take(site.token.expose(), self.holder).map_err(unusable)?;
            if token.head.aud != site.site_id.uuid() {
                return Err(misbehaves("the Controller gave an entitlement token for another Site"));
            }
            Ok((site.site_id, Arc::new(token)))
        };
        sites.iter().map(take).collect()
    }
}

fn certificate_validity(own: &Presented) -> Result<Validity, Failure> {
    let chain = own.chain();
    let leaf = chain.first().ok_or_else(|| misbehaves("the certificate chain is empty"))?;
    let leaf = Leaf::parse(leaf).map_err(unusable)?;
    Ok(Validity { from: leaf.not_before.plus(BACKDATED).min(leaf.not_after), until: leaf.not_after })
}

fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(Exit::NotSignedIn, error, "sign in again: ringwall sign-in")
        .while_doing("cannot use the Controller's reply")
}

fn misbehaves(what: &str) -> Failure {
    Failure::message(Exit::Refused, what, "ask an administrator: this Controller misbehaves")
}
