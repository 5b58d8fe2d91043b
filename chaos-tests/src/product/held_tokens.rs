//! The tokens that a user's Client holds, as its state directory has them: what they say and when they end.
//!
//! Contents are read without a check of signatures: the lab looks at what the product made.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken, GatewayOffer};
use serde::{Deserialize, de::DeserializeOwned};

/// A claims token and the entitlement tokens that were fetched with it.
#[derive(Debug)]
pub struct HeldTokens {
    /// Who the user is.
    pub claims: ClaimsToken,
    /// One for each Site.
    pub sites: Vec<EntitlementToken>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredSession {
    claims_token: String,
    sites: Vec<StoredSite>,
}

#[derive(Deserialize)]
struct StoredSite {
    token: String,
}

impl HeldTokens {
    /// Reads a state directory with one profile that is signed in.
    pub(super) fn read(state: &Path) -> Result<Self> {
        let profiles = fs::read_dir(state.join("profiles")).context("list the Client's profiles")?;
        let profiles: Vec<_> = profiles.collect::<Result<_, _>>()?;
        ensure!(profiles.len() == 1, "the Client has {} profiles, expected one", profiles.len());
        let file = profiles[0].path().join("session.json");
        let bytes = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        let stored: StoredSession = serde_json::from_slice(&bytes).context("unexpected form of a stored session")?;
        let sites = stored.sites.iter().map(|site| content(&site.token)).collect::<Result<_>>()?;
        Ok(Self { claims: content(&stored.claims_token)?, sites })
    }

    /// The entitlement token of a Site.
    pub fn site(&self, name: &str) -> Result<&EntitlementToken> {
        self.sites.iter().find(|token| token.site_name == name).with_context(|| format!("no token for {name}"))
    }

    /// What the token of a Site says about one of its Gateways.
    pub fn gateway(&self, site: &str, name: &str) -> Result<&GatewayOffer> {
        let offers = &self.site(site)?.gateways;
        offers.iter().find(|offer| offer.name == name).with_context(|| format!("{name} is not offered"))
    }

    /// When the first of these tokens ends, in seconds since 1970.
    #[must_use]
    pub fn first_end(&self) -> u64 {
        self.sites.iter().map(|token| token.head.exp).fold(self.claims.head.exp, u64::min)
    }

    /// When the last of them ends, in seconds since 1970.
    #[must_use]
    pub fn last_end(&self) -> u64 {
        self.sites.iter().map(|token| token.head.exp).fold(self.claims.head.exp, u64::max)
    }
}

/// The moment of this program's monotonic clock at which the wall clock shows `seconds` since 1970.
#[must_use]
pub fn instant_of(seconds: u64) -> Instant {
    let (now, wall) = (Instant::now(), SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    let at = Duration::from_secs(seconds);
    if at >= wall { now + (at - wall) } else { now.checked_sub(wall - at).unwrap_or(now) }
}

/// The second part of a token.
fn content<T: DeserializeOwned>(token: &str) -> Result<T> {
    let body = token.split('.').nth(1).context("a token has three parts")?;
    serde_json::from_slice(&BASE64URL_NOPAD.decode(body.as_bytes())?).context("unexpected content of a token")
}
