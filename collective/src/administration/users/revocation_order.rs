//! Orders to revoke, as the admin API writes them: whose tokens, which kinds, how fast (T28, T29, S32). Pure.

use std::collections::BTreeSet;

use ringwall_protocol::id::SiteId;
use ringwall_protocol::name::DnScope;
use ringwall_protocol::revocation::{RevocationScope, TokenKind};
use ringwall_protocol::wire::admin::{FieldError, RevokeRequest};
use ringwall_raft::State;
use ringwall_raft::state::revocation::{RENEW_NOW, Revoke};

use crate::revocation::pace::{Pace, live_sessions};

/// Most devices that one request names one by one: each is a log entry.
const MAX_SPECIFIC: usize = 1_000;
/// Longest delay, in minutes: a day.
const MAX_DELAY: u32 = 24 * 60;
/// Longest reason, in bytes.
const MAX_REASON: usize = 1_024;

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
    pub(super) fn read(request: &RevokeRequest, state: &State) -> Result<Self, Vec<FieldError>> {
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
    use serde_json::{Value, json};

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
