//! MFA providers: who verifies another factor of a user whose first credential was right.
//!
//! A [`Factor`] knows nothing of sign-ins, step-ups or attempts: those count before it is asked. What it must remember
//! between question and answer is sealed into the replicated transaction, so that any Controller takes the answer.

pub(crate) mod fido2;
pub(crate) mod radius;
pub(crate) mod totp;

use std::future::Future;
use std::sync::Arc;

use fido2::Fido2Factor;
use radius::RadiusFactor;
use ringwall_protocol::id::UserId;
use ringwall_protocol::name::UserDn;
use ringwall_protocol::object::MfaProvider;
use ringwall_protocol::object::identity_provider::FactorSettings;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::{Command, State};
use totp::TotpFactor;

use super::directory::Further;
use super::outbound::Outbound;
use crate::refusal::Refusal;
use crate::replica::vault::Vault;

/// Whose factor it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FactorUser<'a> {
    /// The user.
    pub(crate) user: UserId,
    /// The user's name and provider.
    pub(crate) dn: &'a UserDn,
}

/// What an answer came to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is right. What it spends (a time step, a counter) is proposed in one entry with the end of its transaction: if
    /// that is refused, the answer was not right after all.
    Right {
        /// Commands.
        spend: Vec<Command>,
    },
    /// It is wrong.
    Wrong,
    /// Another answer is wanted.
    Further(Further),
}

/// What an MFA provider must be able to do.
pub(crate) trait Factor {
    /// Whether the user can only answer after [`Factor::begin`] has asked the provider.
    fn asks_first(&self, provider: &MfaProvider) -> bool;

    /// When the user is disturbed somewhere else (a push message, a text message).
    fn disturbs(&self, provider: &MfaProvider) -> Disturbs;

    /// What the user is asked.
    fn begin(
        &self,
        state: &State,
        provider: &MfaProvider,
        bearer: FactorUser<'_>,
    ) -> impl Future<Output = Result<Further, Refusal>> + Send;

    /// Judges an answer. `kept` is what [`Further::kept`] was, empty where nothing was asked first.
    fn verify(
        &self,
        state: &State,
        provider: &MfaProvider,
        bearer: FactorUser<'_>,
        given: Given<'_>,
    ) -> impl Future<Output = Result<Verdict, Refusal>> + Send;
}

/// When a factor disturbs its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disturbs {
    /// Never.
    Never,
    /// When [`Factor::begin`] asks.
    WhenAsked,
    /// When [`Factor::verify`] does.
    WhenAnswered,
}

/// An answer. No `Debug`: it is a secret.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    /// What [`Further::kept`] was.
    pub(crate) kept: &'a [u8],
    /// What came back.
    pub(crate) answer: &'a str,
    /// When.
    pub(crate) now: UnixMillis,
}

/// All MFA providers.
#[derive(Debug)]
pub(crate) struct Factors {
    totp: TotpFactor,
    radius: RadiusFactor,
    fido2: Fido2Factor,
}

impl Factors {
    /// Providers whose secrets `vault` opens, and that are where `outbound` permits.
    #[must_use]
    pub(crate) fn new(vault: Arc<Vault>, outbound: Outbound) -> Self {
        Self {
            totp: TotpFactor::new(Arc::clone(&vault)),
            radius: RadiusFactor::new(Arc::clone(&vault), outbound),
            fido2: Fido2Factor::new(vault),
        }
    }

    /// One-time passwords.
    #[must_use]
    pub(crate) const fn totp(&self) -> &TotpFactor {
        &self.totp
    }

    /// RADIUS servers.
    #[must_use]
    pub(crate) const fn radius(&self) -> &RadiusFactor {
        &self.radius
    }
}

impl Factor for Factors {
    fn asks_first(&self, provider: &MfaProvider) -> bool {
        match &provider.settings {
            FactorSettings::DefaultTimeBased => self.totp.asks_first(provider),
            FactorSettings::Radius(_) => self.radius.asks_first(provider),
            FactorSettings::Fido2 => self.fido2.asks_first(provider),
        }
    }

    fn disturbs(&self, provider: &MfaProvider) -> Disturbs {
        match &provider.settings {
            FactorSettings::DefaultTimeBased => self.totp.disturbs(provider),
            FactorSettings::Radius(_) => self.radius.disturbs(provider),
            FactorSettings::Fido2 => self.fido2.disturbs(provider),
        }
    }

    async fn begin(&self, state: &State, provider: &MfaProvider, bearer: FactorUser<'_>) -> Result<Further, Refusal> {
        match &provider.settings {
            FactorSettings::DefaultTimeBased => self.totp.begin(state, provider, bearer).await,
            FactorSettings::Radius(_) => self.radius.begin(state, provider, bearer).await,
            FactorSettings::Fido2 => self.fido2.begin(state, provider, bearer).await,
        }
    }

    async fn verify(
        &self,
        state: &State,
        provider: &MfaProvider,
        bearer: FactorUser<'_>,
        given: Given<'_>,
    ) -> Result<Verdict, Refusal> {
        match &provider.settings {
            FactorSettings::DefaultTimeBased => self.totp.verify(state, provider, bearer, given).await,
            FactorSettings::Radius(_) => self.radius.verify(state, provider, bearer, given).await,
            FactorSettings::Fido2 => self.fido2.verify(state, provider, bearer, given).await,
        }
    }
}

/// A code was wrong, used before, or nobody asked for it.
#[must_use]
pub(crate) fn refused() -> Refusal {
    Refusal::new(ErrorCode::MfaRefused, "the code was not accepted")
}
