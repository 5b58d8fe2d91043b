//! The Collective itself: its identity, its incarnation, its settings and the features that all members understand.

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{CollectiveId, Incarnation, LogIndex};
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::object::GlobalSettings;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::settings::{BEARER_IDLE_MINUTES, MAX_BEARER_SOURCES};
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// Longest root certificate, as base64url text: a P-384 certificate has under 1 KiB.
const MAX_CERTIFICATE: usize = 8 * 1024;
/// Window of a knock in seconds (T22).
const SPA_WINDOW: std::ops::RangeInclusive<u32> = 30..=3_600;

/// Who the Collective is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Collective {
    /// For ever.
    pub id: CollectiveId,
    /// For people.
    pub name: String,
    /// Its present incarnation.
    pub incarnation: Incarnation,
    /// Root certificate, DER, base64url.
    pub root_certificate: String,
    /// What every member understands; raised when the last one was updated.
    pub(crate) feature_level: u32,
    /// Global settings.
    pub settings: GlobalSettings,
    /// When the settings last changed.
    pub settings_version: LogIndex,
}

/// The first command of a Collective: its identity, its first Controller, and whatever else it begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Founding {
    /// Chosen at random.
    pub id: CollectiveId,
    /// For people.
    pub name: String,
    /// Its first incarnation.
    pub incarnation: Incarnation,
    /// Root certificate, DER, base64url.
    pub root_certificate: String,
    /// Settings to begin with.
    pub settings: GlobalSettings,
    /// The first Controller, as it is to be recorded. Its appliance object comes in `then`.
    pub controller: ControllerRecord,
    /// The public key with which secrets are wrapped for the first Controller, X25519, base64url.
    pub wrap_key: String,
    /// Default objects, first key, first administrator, secrets: applied in this order, in the same entry.
    pub then: Vec<Command>,
}

/// Replaces the global settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeSettings {
    /// All of them.
    pub settings: GlobalSettings,
    /// Refused if they changed since.
    #[serde(default)]
    pub expected_version: Option<LogIndex>,
}

/// A new incarnation, after a restore or a forced recovery: nothing minted before is valid (T19).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginIncarnation {
    /// Its epoch must be higher than the present one's.
    pub(crate) incarnation: Incarnation,
}

/// All members understand more now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaiseFeatureLevel {
    /// Never lower than before.
    pub(crate) level: u32,
}

impl Founding {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if step.state.collective.is_some() {
            return Err(Rejection::AlreadyFounded);
        }
        if self.root_certificate.is_empty() || self.root_certificate.len() > MAX_CERTIFICATE {
            return Err(Rejection::invalid("rootCertificate", format!("has 1 to {MAX_CERTIFICATE} characters")));
        }
        check_settings(&self.settings)?;
        step.state.collective = Some(
            Collective {
                id: self.id,
                name: self.name.clone(),
                incarnation: self.incarnation,
                root_certificate: self.root_certificate.clone(),
                feature_level: 1,
                settings: self.settings.clone(),
                settings_version: step.index,
            }
            .into(),
        );
        let controller = ControllerRecord { state: ApplianceState::Active, ..self.controller.clone() };
        step.state.controllers.insert(controller.node, controller.clone());
        step.note_wrap_key(controller.node, &self.wrap_key)?;
        step.tell_all(FeedEvent::ControllerChanged { controller });
        Command::Group(self.then.clone()).apply(step)?;
        Ok(Reply::Done)
    }
}

impl ChangeSettings {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        check_settings(&self.settings)?;
        let version = step.index;
        let collective = step.state.collective_mut()?;
        if let Some(expected) = self.expected_version
            && expected != collective.settings_version
        {
            return Err(Rejection::Stale { expected, actual: collective.settings_version });
        }
        let before = std::mem::replace(&mut collective.settings, self.settings.clone());
        collective.settings_version = version;
        if (before.spa_mode, before.spa_time_window_seconds)
            != (self.settings.spa_mode, self.settings.spa_time_window_seconds)
        {
            step.tell_spa_of_all();
        }
        Ok(Reply::Changed { version, revocation: None })
    }
}

impl BeginIncarnation {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let collective = step.state.collective_mut()?;
        if self.incarnation.epoch <= collective.incarnation.epoch {
            return Err(Rejection::invalid("epoch", format!("must be above {}", collective.incarnation.epoch)));
        }
        collective.incarnation = self.incarnation;
        Ok(Reply::Done)
    }
}

impl RaiseFeatureLevel {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let collective = step.state.collective_mut()?;
        if self.level < collective.feature_level {
            return Err(Rejection::invalid("level", format!("is below {}", collective.feature_level)));
        }
        collective.feature_level = self.level;
        Ok(Reply::Done)
    }
}

fn check_settings(settings: &GlobalSettings) -> Result<(), Rejection> {
    for (field, minutes) in [
        ("claimsTokenExpiration", settings.claims_token_expiration),
        ("entitlementTokenExpiration", settings.entitlement_token_expiration),
        ("administrationTokenExpiration", settings.administration_token_expiration),
        ("vpnCertificateExpiration", settings.vpn_certificate_expiration),
        ("maxSignInMinutes", settings.max_sign_in_minutes),
        ("registeredDeviceExpirationDays", settings.registered_device_expiration_days),
    ] {
        if minutes == 0 {
            return Err(Rejection::invalid(field, "must be at least 1"));
        }
    }
    if !SPA_WINDOW.contains(&settings.spa_time_window_seconds) {
        return Err(Rejection::invalid("spaTimeWindowSeconds", "lies between 30 and 3600"));
    }
    if !BEARER_IDLE_MINUTES.contains(&settings.bearer_idle_minutes) {
        return Err(Rejection::invalid("bearerIdleMinutes", "lies between 5 and 60"));
    }
    if settings.bearer_sources.len() > MAX_BEARER_SOURCES {
        return Err(Rejection::invalid("bearerSources", format!("are at most {MAX_BEARER_SOURCES}")));
    }
    Ok(())
}
