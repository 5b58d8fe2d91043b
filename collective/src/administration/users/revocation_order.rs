//! Orders to revoke, as the admin API writes them: whose tokens, which kinds, how fast (T28, T29, S32). Pure.

use std::collections::BTreeSet;

use ringwall_protocol::id::SiteId;
use ringwall_protocol::name::DnScope;
use ringwall_protocol::revocation::{RevocationScope, TokenKind};
use ringwall_protocol::wire::admin::{MAX_DELAY_MINUTES, MAX_SPECIFIC, REASON, RevokeRequest};
use ringwall_raft::State;
use ringwall_raft::state::revocation::{RENEW_NOW, Revoke};

use crate::administration::denial::Denial;
use crate::administration::faults::Faults;
use crate::revocation::pace::{Pace, live_sessions};

/// A revocation order, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub(super) scopes: Vec<DnScope>,
    pub(super) kinds: BTreeSet<TokenKind>,
    pub(super) site: Option<SiteId>,
    pub(super) pace: Pace,
    pub(super) reason: String,
    pub(super) wait: bool,
}

impl Order {
    /// The log entries that it makes, in `state`: one for each scope.
    pub(super) fn revocations(&self, state: &State) -> Vec<Revoke> {
        let revoke = |scope: &DnScope| {
            let scope = RevocationScope::Dn(scope.clone());
            let mode = self.pace.mode(live_sessions(state, &scope));
            Revoke { scope, kinds: self.kinds.clone(), site: self.site, mode, reason: self.reason.clone() }
        };
        self.scopes.iter().map(revoke).collect()
    }

    /// Reads a request.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub(super) fn read(request: &RevokeRequest, state: &State) -> Result<Self, Denial> {
        let mut faults = Faults::default();
        let scopes = scopes(request, &mut faults);
        let kinds = match request.token_type.as_deref().map(parse_kind) {
            None => TokenKind::ALL.into(),
            Some(Some(kind)) => [kind].into(),
            Some(None) => {
                faults.add("tokenType", "expected Claims, AdminClaims, Entitlement or Administration");
                BTreeSet::new()
            }
        };
        if let Some(site) = request.site_id.filter(|site| state.site(*site).is_none()) {
            faults.contradict("siteId", format!("there is no Site {site}"));
        }
        if request.delay_minutes > MAX_DELAY_MINUTES {
            faults.add("delayMinutes", format!("is at most {MAX_DELAY_MINUTES}"));
        }
        let rate = request.devices_per_second > 0.0 && request.devices_per_second <= 10_000.0;
        faults.unless(rate, "devicesPerSecond", "lies above 0 and at most 10000");
        let reason = request.revocation_reason.clone().unwrap_or_default();
        faults.unless_fits(&reason, REASON, "revocationReason");
        let pace = pace(request);
        faults.unless(pace.is_some(), "mode", "expected renewNow, renewWindow or cut");
        let wait = matches!(request.wait.as_deref(), Some("enforced"));
        let known = matches!(request.wait.as_deref(), None | Some("" | "enforced"));
        faults.unless(known, "wait", "expected enforced");
        faults.judge()?;
        let pace = pace.ok_or_else(|| Denial::field("mode", "expected renewNow, renewWindow or cut"))?;
        Ok(Self { scopes, kinds, site: request.site_id, pace, reason, wait })
    }
}

/// Whom a request concerns: a filter, or devices one by one.
fn scopes(request: &RevokeRequest, faults: &mut Faults) -> Vec<DnScope> {
    let specific = &request.specific_distinguished_names;
    if specific.len() > MAX_SPECIFIC {
        faults.add("specificDistinguishedNames", format!("are at most {MAX_SPECIFIC}"));
    }
    let filter = parse_filter(&request.distinguished_name_filter);
    match filter {
        Ok(scope) if specific.is_empty() => return vec![scope],
        Err(message) => faults.add("distinguishedNameFilter", message),
        Ok(_) => {
            let message = "is empty where specificDistinguishedNames are given";
            faults.contradict_unless(request.distinguished_name_filter.is_empty(), "distinguishedNameFilter", message);
        }
    }
    let unique: BTreeSet<_> = specific.iter().cloned().collect();
    unique.into_iter().map(DnScope::Device).collect()
}

fn pace(request: &RevokeRequest) -> Option<Pace> {
    let renew = |delay_seconds| Pace::Renew { delay_seconds, devices_per_second: request.devices_per_second };
    let delay = request.delay_minutes.min(MAX_DELAY_MINUTES) * 60;
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
pub(super) fn parse_filter(text: &str) -> Result<DnScope, String> {
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

#[cfg(test)]
mod tests {
    use ringwall_protocol::wire::admin::FieldError;
    use serde_json::{Value, json};

    use super::*;
    use crate::administration::fixture::Fixture;

    fn read(body: Value) -> Result<Order, Vec<FieldError>> {
        let request: RevokeRequest = serde_json::from_value(body).expect("a request");
        Order::read(&request, &Fixture::founded().state).map_err(|denial| match denial {
            Denial::Invalid(errors) | Denial::Contradiction(errors) => errors,
            other => panic!("{other}"),
        })
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
