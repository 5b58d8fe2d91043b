//! Bodies and messages in JSON: whatever is read is written in a form that is read as the same.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::claims::{Reason, UntrustedClaims};
use crate::object::{GlobalSettings, Object};
use crate::time::UnixMillis;
use crate::token::{AdminToken, ClaimsToken, EntitlementToken};
use crate::wire::admin::{
    AdminError, ExplainRequest, ExportRequest, Fido2Permit, LoginAnswer, LoginRequest, OnBoardingRequest, RevokeRequest,
};
use crate::wire::apply::{ApplyAnswer, ApplyRequest};
use crate::wire::client::{
    BeginSignIn, BrowserAnswer, CertificateAnswer, CertificateRequest, EntitlementsAnswer, EntitlementsRequest,
    MfaAnswer, RenewRequest, SignInAnswer, SignInRequest, SignInWay, SignOutRequest, StepUpAnswer, StepUpRequest,
};
use crate::wire::error::ErrorBody;
use crate::wire::join::{JoinReply, JoinRequest, Seed};
use crate::wire::session::{FromClient, FromGateway};
use crate::wire::what_if::{Draft, LintAnswer, Simulation};

/// The client API of Controllers: what they read, what Clients read, and the bodies of tokens, which Clients read unproved.
#[must_use]
pub fn client_api(bytes: &[u8]) -> bool {
    let asked = [
        again::<BeginSignIn>,
        again::<SignInRequest>,
        again::<MfaAnswer>,
        again::<CertificateRequest>,
        again::<EntitlementsRequest>,
        again::<RenewRequest>,
        again::<StepUpRequest>,
        again::<SignOutRequest>,
        again::<BrowserAnswer>,
    ];
    let answered = [
        again::<SignInWay>,
        again::<SignInAnswer>,
        again::<CertificateAnswer>,
        again::<EntitlementsAnswer>,
        again::<StepUpAnswer>,
        again::<ErrorBody>,
        again::<ClaimsToken>,
        again::<EntitlementToken>,
        again::<AdminToken>,
    ];
    if let Ok(claims) = serde_json::from_slice::<UntrustedClaims>(bytes) {
        // A bound that is kept is kept by what is written, too.
        let _bounded = claims.0.check();
    }
    asked.into_iter().chain(answered).filter(|read| read(bytes)).count() > 0
}

/// Messages on a session's websocket, both ways.
#[must_use]
pub fn session_messages(bytes: &[u8]) -> bool {
    if let Ok(FromClient::Reason { text, .. }) = serde_json::from_slice(bytes)
        && let Ok(reason) = Reason::parse(&text, UnixMillis(0))
    {
        assert!((1..=crate::claims::MAX_REASON).contains(&reason.text.len()), "{reason:?}");
        assert!(!reason.text.chars().any(char::is_control), "{reason:?}");
    }
    let client = again::<FromClient>(bytes);
    again::<FromGateway>(bytes) || client
}

/// Seed files and the exchange by which appliances join.
#[must_use]
pub fn join(bytes: &[u8]) -> bool {
    [again::<Seed>, again::<JoinRequest>, again::<JoinReply>].into_iter().filter(|read| read(bytes)).count() > 0
}

/// Bodies of the admin API: objects, settings, orders and answers.
#[must_use]
pub fn admin_api(bytes: &[u8]) -> bool {
    let kinds = [
        again::<Object>,
        again::<GlobalSettings>,
        again::<LoginRequest>,
        again::<LoginAnswer>,
        again::<AdminError>,
        again::<RevokeRequest>,
        again::<ExplainRequest>,
        again::<ExportRequest>,
        again::<Fido2Permit>,
        again::<OnBoardingRequest>,
        again::<Draft>,
        again::<Simulation>,
        again::<LintAnswer>,
        again::<ApplyRequest>,
        again::<ApplyAnswer>,
    ];
    kinds.into_iter().filter(|read| read(bytes)).count() > 0
}

/// Whether the bytes are a `T`; if so, what a `T` writes is read as the same `T`.
fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    let Ok(read) = serde_json::from_slice::<T>(bytes) else { return false };
    let kind = std::any::type_name::<T>();
    let written = serde_json::to_vec(&read).unwrap_or_else(|error| panic!("{kind} cannot be written: {error}"));
    let second: T = serde_json::from_slice(&written)
        .unwrap_or_else(|error| panic!("{kind} is not read again ({error}): {}", String::from_utf8_lossy(&written)));
    let value = |of: &T| serde_json::to_value(of).expect("was written before");
    assert!(same(&value(&read), &value(&second)), "{kind} changed: {}", String::from_utf8_lossy(&written));
    true
}

/// Equality but for the last digit of a fraction: reading the text of a number may be one unit off.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|there| same(value, there)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap_or_default(), other.as_f64().unwrap_or_default());
            (one - other).abs() <= one.abs() * 1e-15
        }
        _ => one == other,
    }
}
