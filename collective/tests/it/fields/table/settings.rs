//! Settings of the whole Collective.

use serde_json::json;

use super::{Entry, refused, seen, tested};
use crate::fields::look::Look::{Feed, Link, Login, Tokens};

const AT: &str = "settings";

pub(in crate::fields) fn entries() -> Vec<Entry> {
    vec![
        seen("GlobalSettings.claimsTokenExpiration", AT, Tokens, json!({"claimsTokenExpiration": 60})),
        seen("GlobalSettings.entitlementTokenExpiration", AT, Tokens, json!({"entitlementTokenExpiration": 60})),
        seen("GlobalSettings.administrationTokenExpiration", AT, Login, json!({"administrationTokenExpiration": 60})),
        seen("GlobalSettings.vpnCertificateExpiration", AT, Tokens, json!({"vpnCertificateExpiration": 600})),
        seen("GlobalSettings.maxSignInMinutes", AT, Tokens, json!({"maxSignInMinutes": 600})),
        seen("GlobalSettings.spaTimeWindowSeconds", AT, Feed, json!({"spaTimeWindowSeconds": 60})),
        seen("GlobalSettings.spaMode", AT, Feed, json!({"spaMode": "TCP"})),
        seen("GlobalSettings.profileHostname", AT, Link, json!({"profileHostname": "sdp.example:443"})),
        tested("GlobalSettings.registeredDeviceExpirationDays", "devices_not_seen_for_long_become_chores"),
        tested("GlobalSettings.applyChanges", "changes_reach_sessions_as_the_settings_say"),
        tested("GlobalSettings.dualControl", "admission_and_removal_of_controllers_wait_for_a_second_administrator"),
        tested("GlobalSettings.bearerIdleMinutes", "a_bearer_tokens_session_is_idle_as_soon_as_the_settings_say"),
        tested("GlobalSettings.bearerSources[]", "bearer_tokens_are_given_and_accepted_where_the_settings_permit_only"),
        seen("GlobalSettings.messageOfTheDay", AT, Login, json!({"messageOfTheDay": "Good morning."})),
        refused("GlobalSettings.messageOfTheDay", AT, "messageOfTheDay", json!({"messageOfTheDay": "x".repeat(5_000)})),
    ]
}
