//! A token of this device is taken, any other is not. Also makes token bodies for the tests of other files.

use std::collections::BTreeMap;

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::id::{CollectiveId, IncarnationId, LogIndex, ProviderId, SignInId, TokenId, UserId};
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn, UserName};
use ringwall_protocol::token::{ClaimsToken, Confirmation, EntitlementToken, Routes, TokenHead};

use super::*;

pub(crate) const KEY: Thumbprint = Thumbprint([3; 32]);

pub(crate) fn device() -> DeviceId {
    DeviceId::from_random([5; 16])
}

fn head(audience: u8) -> TokenHead {
    let user = UserDn {
        user: UserName::parse("alice").expect("a name"),
        provider: ProviderName::parse("local").expect("a name"),
    };
    TokenHead {
        iss: CollectiveId::from_random([1; 16]),
        sub: SessionDn { device: device(), user },
        sid: SignInId::from_random([2; 16]),
        jti: TokenId::from_random([3; 16]),
        iat: 1_000,
        nbf: 1_000,
        exp: 4_600,
        aud: uuid::Builder::from_random_bytes([audience; 16]).into_uuid(),
        idx: LogIndex(10),
        epoch: 1,
        inc: IncarnationId::from_random([4; 16]),
        cnf: Confirmation { jkt: KEY },
        user_id: UserId::from_random([6; 16]),
        provider_id: ProviderId::from_random([7; 16]),
        device_id: device(),
    }
}

/// An entitlement token for the Site whose id is made of this byte.
pub(crate) fn entitlement_token(site: u8) -> EntitlementToken {
    EntitlementToken {
        head: head(site),
        claims_idx: LogIndex(10),
        policy_idx: LogIndex(9),
        site_name: "office".into(),
        gateways: vec![],
        entitlements: vec![],
        conditions: BTreeMap::new(),
        routes: Routes::default(),
        dns: vec![],
        lease_seconds: 15,
    }
}

/// A claims token.
pub(crate) fn claims_token() -> ClaimsToken {
    ClaimsToken {
        head: head(1),
        sign_in_idx: LogIndex(10),
        auth_time: 1_000,
        sign_in_until: 87_400,
        user: ClaimMap::default(),
        system: ClaimMap::default(),
        tun_ipv4: Some("10.9.0.2".parse().expect("an address")),
        tun_ipv6: None,
        step_ups: BTreeMap::new(),
    }
}

/// The token as text, with a signature that nobody looks at.
pub(crate) fn encode<T: TokenBody>(body: &T) -> String {
    let base64 = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let header = format!(r#"{{"alg":"EdDSA","typ":"{}","kid":"k"}}"#, T::TYP);
    let body = serde_json::to_string(body).expect("serialises");
    format!("{}.{}.{}", base64(&header), base64(&body), base64("signature"))
}

fn holder() -> Holder {
    Holder { device: device(), key: KEY }
}

#[test]
fn a_token_of_this_device_is_taken_and_says_what_it_says() {
    let text = encode(&entitlement_token(7));
    let held = HeldToken::<EntitlementToken>::take(&text, holder()).expect("taken");
    assert_eq!((held.site_name.as_str(), held.expose()), ("office", text.as_str()));
    assert_eq!((held.validity().from.seconds(), held.validity().until.seconds()), (1_000, 4_600));
    assert!(!format!("{held:?}").contains(&text[..10]));
}

#[test]
fn tokens_for_other_keys_and_devices_are_refused() {
    let text = encode(&claims_token());
    let other_key = Holder { key: Thumbprint([4; 32]), ..holder() };
    let other_device = Holder { device: DeviceId::from_random([6; 16]), ..holder() };
    let take = |holder| HeldToken::<ClaimsToken>::take(&text, holder).map(|_| ());
    assert_eq!(take(other_key), Err(TokenProblem::ForeignKey));
    assert_eq!(take(other_device), Err(TokenProblem::ForeignDevice));
    assert_eq!(take(holder()), Ok(()));
}

#[test]
fn other_kinds_and_damaged_texts_are_refused() {
    let claims = encode(&claims_token());
    let take = |text: &str| HeldToken::<EntitlementToken>::take(text, holder()).map(|_| ()).expect_err("refused");
    assert_eq!(take(&claims), TokenProblem::Form("rw-entitlement+jwt"));
    assert_eq!(take("a.b"), TokenProblem::Form("rw-entitlement+jwt"));
    let cut = encode(&entitlement_token(7)).replacen('.', ".e30", 1);
    assert!(matches!(take(&cut), TokenProblem::Body(_) | TokenProblem::Form(_)));
    assert!(matches!(take(&"x".repeat(EntitlementToken::MAX_LEN + 1)), TokenProblem::TooLarge { .. }));
}
