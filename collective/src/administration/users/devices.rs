//! Registered devices, and the tokens that they hold: list, revoke, have evaluated anew, remove.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ringwall_protocol::device::DeviceRegistration;
use ringwall_protocol::id::SiteId;
use ringwall_protocol::name::{DnScope, SessionDn};
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::revocation::{RevocationScope, TokenKind};
use ringwall_protocol::wire::admin::{
    FieldError, GatewayEnforcement, List, OnBoardedDevice, RevokeAnswer, RevokeRequest,
};
use ringwall_raft::State;
use ringwall_raft::state::device::{RemoveDevice, RevokeDeviceSpaKey};
use ringwall_raft::state::revocation::{RENEW_NOW, Reevaluate, Revoke};
use serde_json::Value;

use crate::administration::access::authority::Administrator;
use crate::administration::denial::Denial;
use crate::administration::objects::listing::{Habits, Wanted};
use crate::administration::repeat::Repeat;
use crate::administration::users::Users;
use crate::audit::event as trail;
use crate::audit::event::Event;
use crate::revocation::enforcement::EnforcementOutcome;
use crate::revocation::pace::{Pace, live_sessions};

/// Most devices that one request names one by one: each is a log entry.
const MAX_SPECIFIC: usize = 1_000;
/// Longest delay, in minutes: a day.
const MAX_DELAY: u32 = 24 * 60;
/// Longest reason, in bytes.
const MAX_REASON: usize = 1_024;
/// How long beyond the longest lease `wait=enforced` waits: by then every Gateway enforces or is closed.
const BEYOND_LEASE: Duration = Duration::from_secs(2);

/// How devices are searched and sorted.
const HABITS: Habits =
    Habits { searched: &["distinguishedName", "username", "hostname", "providerName"], order_by: "distinguishedName" };

/// A revocation order, read and checked.
#[derive(Debug, Clone, PartialEq)]
struct Order {
    scopes: Vec<DnScope>,
    kinds: BTreeSet<TokenKind>,
    site: Option<SiteId>,
    pace: Pace,
    reason: String,
    wait: bool,
}

impl Users {
    /// Registered devices.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn list_devices(&self, who: &Administrator, wanted: &Wanted) -> Result<List<Value>, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::RegisteredDevice, None)?;
        let devices = who.state.devices().map(|device| serde_json::to_value(shown(device)).unwrap_or_default());
        Ok(wanted.of(devices.collect(), HABITS))
    }

    /// One registered device.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub(crate) fn read_device(&self, who: &Administrator, dn: &SessionDn) -> Result<OnBoardedDevice, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::RegisteredDevice, None)?;
        registration(&who.state, dn).map(shown)
    }

    /// Removes a registration and cuts what it had.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub(crate) async fn forget_device(
        &self,
        who: &Administrator,
        dn: &SessionDn,
        repeat: &Repeat,
    ) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Delete, PrivilegeTarget::RegisteredDevice, None)?;
        let device = registration(&who.state, dn)?;
        let remove = RemoveDevice {
            user_id: device.user_id,
            device_id: device.device_id,
            reason: format!("removed by {}", who.dn.user),
        };
        let outcome = repeat.propose(&self.replica, remove).await?;
        trail::changed(who, "device_removed", "on-boarded-devices", &dn.to_string(), &dn.to_string(), outcome.index);
        Ok(())
    }

    /// Takes a device's own SPA key away; its registration, tokens and sessions stay (T21).
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub(crate) async fn revoke_device_spa_key(
        &self,
        who: &Administrator,
        dn: &SessionDn,
        repeat: &Repeat,
    ) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice, None)?;
        let device = registration(&who.state, dn)?;
        let revoke = RevokeDeviceSpaKey { user_id: device.user_id, device_id: device.device_id };
        let outcome = repeat.propose(&self.replica, revoke).await?;
        let dn = dn.to_string();
        trail::changed(who, "device_spa_key_revoked", "on-boarded-devices", &dn, &dn, outcome.index);
        Ok(())
    }

    /// Has live sessions evaluated anew; answers whose.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid` if the DN is none.
    pub(crate) async fn reevaluate_sessions(
        &self,
        who: &Administrator,
        filter: &str,
        repeat: &Repeat,
    ) -> Result<Vec<SessionDn>, Denial> {
        who.authority.require(PrivilegeType::Reevaluate, PrivilegeTarget::RegisteredDevice, None)?;
        let scope = parse_filter(filter).map_err(|message| Denial::field("distinguished-name", message))?;
        let outcome = repeat.propose(&self.replica, Reevaluate { scope: scope.clone() }).await?;
        Event::by(who, "sessions_reevaluated").with("distinguished_name_filter", filter).at(outcome.index).emit();
        let live: BTreeSet<&SessionDn> =
            who.state.bindings().map(|one| &one.dn).filter(|dn| scope.matches(dn)).collect();
        Ok(live.into_iter().cloned().collect())
    }

    /// Revokes tokens as a request says.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid` field by field.
    pub(crate) async fn revoke_tokens(
        &self,
        who: &Administrator,
        request: &RevokeRequest,
        repeat: &Repeat,
    ) -> Result<RevokeAnswer, Denial> {
        let since = Instant::now();
        who.authority.require(PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice, None)?;
        let order = Order::read(request, &who.state).map_err(Denial::Invalid)?;
        let mut indexes = Vec::with_capacity(order.scopes.len());
        for (nth, scope) in order.scopes.iter().enumerate() {
            let scope = RevocationScope::Dn(scope.clone());
            let mode = order.pace.mode(live_sessions(&who.state, &scope));
            let revoke =
                Revoke { scope, kinds: order.kinds.clone(), site: order.site, mode, reason: order.reason.clone() };
            let outcome = repeat.nth(nth).propose(&self.replica, revoke).await?;
            let index = outcome.reply.revocation().ok_or_else(crate::refusal::Refusal::internal)?;
            indexes.push(index);
        }
        Event::by(who, "revocation_added")
            .with("distinguished_name_filter", request.distinguished_name_filter.as_str())
            .with("reason", order.reason.as_str())
            .with("indexes", indexes.iter().map(|index| index.0).collect::<Vec<_>>())
            .emit();
        let last = indexes.iter().max().copied();
        let enforced = match last.filter(|_| order.wait) {
            Some(index) => self.enforcement_of(&who.state, index, order.site, since).await,
            None => Vec::new(),
        };
        let concerned = who.state.devices().filter(|device| order.scopes.iter().any(|scope| scope.matches(&device.dn)));
        let data = concerned.map(shown).collect();
        Ok(RevokeAnswer { data, indexes, kinds: order.kinds.into_iter().collect(), enforced })
    }

    async fn enforcement_of(
        &self,
        state: &State,
        index: ringwall_protocol::id::LogIndex,
        site: Option<SiteId>,
        since: Instant,
    ) -> Vec<GatewayEnforcement> {
        let lease = |site: SiteId| {
            let seconds = state.site(site).map_or(0, |site| site.lease_seconds.max(site.grace_seconds.unwrap_or(0)));
            Duration::from_secs(u64::from(seconds.min(60)))
        };
        let concerned = state.gateways().filter(|gateway| site.is_none_or(|only| gateway.site == only));
        let longest = concerned.map(|gateway| lease(gateway.site)).max().unwrap_or_default();
        let found = self.revocation.wait_enforced(index, site, since, since + longest + BEYOND_LEASE).await;
        let told = found.into_iter().map(|one| {
            let (enforced_after_ms, lease_ends) = match one.outcome {
                EnforcementOutcome::Enforced(after) => (Some(after.as_secs_f64() * 1_000.0), None),
                EnforcementOutcome::Pending => (None, Some(self.replica.now().plus(lease(one.site)))),
                EnforcementOutcome::Unreachable { lease_ends } => (None, lease_ends),
            };
            let lease_ends = lease_ends.map(|ends| ends.to_string());
            GatewayEnforcement { gateway: one.gateway, name: one.name, enforced_after_ms, lease_ends }
        });
        told.collect()
    }
}

impl Order {
    fn read(request: &RevokeRequest, state: &State) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: String| errors.push(FieldError { field: field.to_owned(), message });
        let scopes = scopes(request).map_err(|error| vec![error])?;
        let kinds = match &request.token_type {
            None => TokenKind::ALL.into(),
            Some(name) => match parse_kind(name) {
                Some(kind) => [kind].into(),
                None => {
                    wrong("tokenType", "expected Claims, AdminClaims, Entitlement or Administration".to_owned());
                    BTreeSet::new()
                }
            },
        };
        if let Some(site) = request.site_id.filter(|site| state.site(*site).is_none()) {
            wrong("siteId", format!("there is no Site {site}"));
        }
        if request.delay_minutes > MAX_DELAY {
            wrong("delayMinutes", format!("is at most {MAX_DELAY}"));
        }
        if !(request.devices_per_second > 0.0 && request.devices_per_second <= 10_000.0) {
            wrong("devicesPerSecond", "lies above 0 and at most 10000".to_owned());
        }
        let reason = request.revocation_reason.clone().unwrap_or_default();
        if reason.len() > MAX_REASON {
            wrong("revocationReason", format!("has at most {MAX_REASON} bytes"));
        }
        let pace = pace(request);
        if pace.is_none() {
            wrong("mode", "expected renewNow, renewWindow or cut".to_owned());
        }
        let wait = match request.wait.as_deref() {
            None | Some("") => false,
            Some("enforced") => true,
            Some(_) => {
                wrong("wait", "expected enforced".to_owned());
                false
            }
        };
        match pace {
            Some(pace) if errors.is_empty() => Ok(Self { scopes, kinds, site: request.site_id, pace, reason, wait }),
            _ => Err(errors),
        }
    }
}

/// Whom a request concerns: a filter, or devices one by one.
fn scopes(request: &RevokeRequest) -> Result<Vec<DnScope>, FieldError> {
    let wrong = |field: &str, message: String| FieldError { field: field.to_owned(), message };
    let specific = &request.specific_distinguished_names;
    if specific.is_empty() {
        let scope = parse_filter(&request.distinguished_name_filter);
        return scope.map(|scope| vec![scope]).map_err(|message| wrong("distinguishedNameFilter", message));
    }
    if !request.distinguished_name_filter.is_empty() {
        return Err(wrong("distinguishedNameFilter", "is empty where specificDistinguishedNames are given".to_owned()));
    }
    if specific.len() > MAX_SPECIFIC {
        return Err(wrong("specificDistinguishedNames", format!("are at most {MAX_SPECIFIC}")));
    }
    let unique: BTreeSet<_> = specific.iter().cloned().collect();
    Ok(unique.into_iter().map(DnScope::Device).collect())
}

fn pace(request: &RevokeRequest) -> Option<Pace> {
    let renew = |delay_seconds| Pace::Renew { delay_seconds, devices_per_second: request.devices_per_second };
    let delay = request.delay_minutes.min(MAX_DELAY) * 60;
    match request.mode.as_deref() {
        None | Some("") => Some(renew(delay)),
        Some("cut") => Some(Pace::Cut),
        Some("renewNow") => Some(renew(0)),
        // A window without delay still gives each slice the time that renewNow gives.
        Some("renewWindow") => Some(renew(delay.max(RENEW_NOW.as_secs() as u32))),
        Some(_) => None,
    }
}

fn parse_kind(name: &str) -> Option<TokenKind> {
    TokenKind::ALL.into_iter().find(|kind| format!("{kind:?}").eq_ignore_ascii_case(name))
}

/// A suffix of a DN (`CN=<user>,OU=<provider>`), or the vendor's prefix form of it (`OU=<provider>,CN=<user>`).
fn parse_filter(text: &str) -> Result<DnScope, String> {
    let text = text.trim();
    let as_suffix = text.parse::<DnScope>();
    match as_suffix {
        Ok(scope) => Ok(scope),
        Err(error) => reversed(text).parse().map_err(|_| error.to_string()),
    }
}

/// The components of a DN in the opposite order; escaped commas stay where they are.
fn reversed(text: &str) -> String {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        match c {
            ',' if !escaped => parts.push(String::new()),
            _ => parts.last_mut().expect("never empty").push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    parts.reverse();
    parts.join(",")
}

fn registration<'a>(state: &'a State, dn: &SessionDn) -> Result<&'a DeviceRegistration, Denial> {
    let found = state.devices().find(|device| device.dn == *dn);
    found.ok_or_else(|| Denial::NotFound(format!("there is no registered device {dn}")))
}

fn shown(device: &DeviceRegistration) -> OnBoardedDevice {
    OnBoardedDevice {
        distinguished_name: device.dn.clone(),
        device_id: device.device_id,
        username: device.dn.user.user.to_string(),
        provider_name: device.dn.user.provider.to_string(),
        device_type: "Client".to_owned(),
        hostname: device.hostname.clone(),
        on_boarded_at: device.on_boarded_at,
        last_seen_at: device.last_seen_at,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::administration::fixture::Fixture;

    fn read(body: Value) -> Result<Order, Vec<FieldError>> {
        let request: RevokeRequest = serde_json::from_value(body).expect("a request");
        Order::read(&request, &Fixture::founded().state)
    }

    #[test]
    fn filters_are_read_as_suffix_and_in_the_vendors_order() {
        let scope = |text: &str| parse_filter(text).expect(text);
        assert_eq!(scope(""), DnScope::Everyone);
        assert_eq!(scope("OU=local,CN=alice"), scope("CN=alice,OU=local"));
        let device = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local";
        assert_eq!(scope("OU=local,CN=alice,CN=4c07bc6757ea42ddb702c2d6c45419fc"), scope(device));
        assert_eq!(scope(r"OU=local,CN=a\,b"), scope(r"CN=a\,b,OU=local"));
        assert!(parse_filter("DC=x").is_err());
        assert!(parse_filter("CN=alice").is_err(), "a user without a provider could be anybody's");
    }

    #[test]
    fn an_order_without_mode_is_what_the_vendors_tools_mean() {
        let order = read(json!({"distinguishedNameFilter": "OU=local"})).expect("valid");
        assert_eq!(order.pace, Pace::Renew { delay_seconds: 300, devices_per_second: 2.0 });
        assert_eq!(order.kinds, TokenKind::ALL.into());
        let order =
            read(json!({"distinguishedNameFilter": "", "delayMinutes": 0, "tokenType": "adminclaims"})).expect("valid");
        assert_eq!(order.pace, Pace::Renew { delay_seconds: 0, devices_per_second: 2.0 });
        assert_eq!(order.kinds, [TokenKind::AdminClaims].into());
        let order = read(json!({"distinguishedNameFilter": "", "mode": "cut", "wait": "enforced"})).expect("valid");
        assert_eq!((order.pace, order.wait), (Pace::Cut, true));
    }

    #[test]
    fn every_wrong_field_of_an_order_is_named() {
        let errors = read(json!({"distinguishedNameFilter": "", "tokenType": "x", "mode": "soon", "wait": "long",
            "delayMinutes": 100_000, "devicesPerSecond": 0.0, "siteId": "0190a000-0000-7000-8000-000000000009"}));
        let fields: Vec<_> = errors.expect_err("refused").into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["tokenType", "siteId", "delayMinutes", "devicesPerSecond", "mode", "wait"]);
        let both = json!({"distinguishedNameFilter": "OU=local",
            "specificDistinguishedNames": ["CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local"]});
        assert_eq!(read(both).expect_err("refused")[0].field, "distinguishedNameFilter");
    }
}
