//! The Collective's global settings.

use ringwall_protocol::form::HOST_AND_PORT;
use ringwall_protocol::object::GlobalSettings;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::settings::{
    BEARER_IDLE_MINUTES, CONFIGURED_TIME, DualControl, MAX_BEARER_SOURCES, MESSAGE_OF_THE_DAY, SPA_WINDOW_SECONDS,
};
use ringwall_protocol::wire::admin::FieldError;
use ringwall_raft::state::approval::ProtectedOrder;
use ringwall_raft::state::collective::ChangeSettings;
use serde_json::{Map, Value};

use crate::administration::access::authority::Administrator;
use crate::administration::access::lasting;
use crate::administration::approvals::carry_out;
use crate::administration::denial::Denial;
use crate::administration::members::Members;
use crate::administration::objects::decode::{find_unknown, locate, without_nulls};
use crate::administration::repeat::Repeat;
use crate::audit::event as trail;
use crate::issuing::check;

/// Fields of the vendor's settings whose default is what Ringwall does anyway.
pub(crate) const FOREIGN_DEFAULTS: &[(&str, &str)] = &[("auditLogPersistenceMode", "Default")];

impl Members {
    /// The settings.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn read_settings(&self, who: &Administrator) -> Result<GlobalSettings, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::GlobalSetting, None)?;
        Ok(who.state.settings().clone())
    }

    /// Replaces the settings as a whole; what is absent has its default.
    ///
    /// # Errors
    /// `Invalid` field by field, `Forbidden`, `Conflict` if they changed meanwhile; `ApprovalWanted` for the end of dual
    /// control.
    pub(crate) async fn replace_settings(
        &self,
        who: &Administrator,
        body: Value,
        repeat: &Repeat,
    ) -> Result<GlobalSettings, Denial> {
        who.authority.require(PrivilegeType::Edit, PrivilegeTarget::GlobalSetting, None)?;
        self.write_settings(who, read_whole(body)?, repeat).await
    }

    /// Puts every setting back to its default, but the Controllers' address and whether ports are dark.
    ///
    /// # Errors
    /// As for [`Members::replace_settings`].
    pub(crate) async fn reset_settings(&self, who: &Administrator, repeat: &Repeat) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Edit, PrivilegeTarget::GlobalSetting, None)?;
        let GlobalSettings { profile_hostname, spa_mode, .. } = who.state.settings().clone();
        let settings = GlobalSettings { profile_hostname, spa_mode, ..GlobalSettings::default() };
        self.write_settings(who, settings, repeat).await.map(drop)
    }

    async fn write_settings(
        &self,
        who: &Administrator,
        settings: GlobalSettings,
        repeat: &Repeat,
    ) -> Result<GlobalSettings, Denial> {
        if *who.state.settings() == settings {
            return Ok(settings);
        }
        let expected_version = Some(check::collective(&who.state)?.settings_version);
        let change = ChangeSettings { settings: settings.clone(), expected_version };
        let outcome = match (who.state.settings().dual_control, settings.dual_control) {
            (DualControl::Required, DualControl::Off) => {
                carry_out(&self.replica, who, ProtectedOrder::EndDualControl(change.into()), repeat).await?
            }
            (DualControl::Off, DualControl::Required) => {
                lasting::check_two(who)?;
                repeat.propose(&self.replica, change).await?
            }
            _ => repeat.propose(&self.replica, change).await?,
        };
        trail::changed(who, "entity_updated", "global-settings", "global-settings", "global settings", outcome.index);
        Ok(settings)
    }
}

/// Settings as a request brings them: what is absent has its default.
///
/// # Errors
/// `Invalid` field by field.
pub(in crate::administration) fn read_whole(body: Value) -> Result<GlobalSettings, Denial> {
    let settings = read(body).map_err(Denial::Invalid)?;
    Denial::unless_empty(validate(&settings)).map(|()| settings)
}

fn read(body: Value) -> Result<GlobalSettings, Vec<FieldError>> {
    let Value::Object(mut fields) = body else {
        return Err(vec![FieldError { field: String::new(), message: "expected an object".to_owned() }]);
    };
    without_nulls(&mut fields);
    drop_foreign_defaults(&mut fields);
    let sent = Value::Object(fields);
    let decode = |value: &Value| serde_json::from_value::<GlobalSettings>(value.clone());
    let settings = decode(&sent).map_err(|_| vec![locate(&sent, &|value| decode(value).map(drop))])?;
    let mut unknown = Vec::new();
    find_unknown(&sent, &serde_json::to_value(&settings).unwrap_or_default(), "", &mut unknown);
    if unknown.is_empty() { Ok(settings) } else { Err(unknown) }
}

fn drop_foreign_defaults(fields: &mut Map<String, Value>) {
    for (name, default) in FOREIGN_DEFAULTS {
        if fields.get(*name).and_then(Value::as_str) == Some(default) {
            fields.remove(*name);
        }
    }
}

fn validate(settings: &GlobalSettings) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, message: String| errors.push(FieldError { field: field.to_owned(), message });
    for (field, minutes) in [
        ("claimsTokenExpiration", settings.claims_token_expiration),
        ("entitlementTokenExpiration", settings.entitlement_token_expiration),
        ("administrationTokenExpiration", settings.administration_token_expiration),
        ("vpnCertificateExpiration", settings.vpn_certificate_expiration),
        ("maxSignInMinutes", settings.max_sign_in_minutes),
        ("registeredDeviceExpirationDays", settings.registered_device_expiration_days),
    ] {
        if !CONFIGURED_TIME.contains(&minutes) {
            wrong(field, format!("lies between 1 and {}", CONFIGURED_TIME.end()));
        }
    }
    if !SPA_WINDOW_SECONDS.contains(&settings.spa_time_window_seconds) {
        wrong("spaTimeWindowSeconds", "lies between 30 and 3600".to_owned());
    }
    if !BEARER_IDLE_MINUTES.contains(&settings.bearer_idle_minutes) {
        wrong("bearerIdleMinutes", "lies between 5 and 60".to_owned());
    }
    if settings.bearer_sources.len() > MAX_BEARER_SOURCES {
        wrong("bearerSources", format!("has at most {MAX_BEARER_SOURCES} networks"));
    }
    for (field, text, form) in [
        ("profileHostname", &settings.profile_hostname, HOST_AND_PORT),
        ("messageOfTheDay", &settings.message_of_the_day, MESSAGE_OF_THE_DAY),
    ] {
        if !form.fits(text) {
            wrong(field, form.rule.to_owned());
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_read_strictly_and_checked_field_by_field() {
        let good = json!({"profileHostname": "sdp.example:443", "claimsTokenExpiration": 60, "auditLogPersistenceMode": "Default"});
        assert!(validate(&read(good).expect("readable")).is_empty());
        let field = |body: Value| read(body).expect_err("refused")[0].field.clone();
        assert_eq!(field(json!({"claimsTokenExpiration": "soon"})), "claimsTokenExpiration");
        assert_eq!(field(json!({"backupApiEnabled": true})), "backupApiEnabled");
        assert_eq!(field(json!({"spaMode": "MAYBE"})), "spaMode");
        let bad = json!({"profileHostname": "x", "claimsTokenExpiration": 0, "spaTimeWindowSeconds": 5});
        let fields: Vec<_> = validate(&read(bad).expect("readable")).into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["claimsTokenExpiration", "spaTimeWindowSeconds", "profileHostname"]);
    }
}
