//! What a verified ID token says of its user: the name, and attributes for the mappings. Pure.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::OidcSettings;
use serde_json::{Map, Value, json};

use crate::identity::directory::mapping::map_foreign;
use crate::identity::directory::{KnownUser, canonical, user_id_of};

/// Most values of one attribute that are read: groups of large directories.
const MAX_VALUES: usize = 1_000;
/// Longest value, in bytes.
const MAX_VALUE: usize = 1_024;

/// The claims of a token whose signature was verified.
pub(super) fn payload(token: &str) -> Option<Map<String, Value>> {
    let body = token.split('.').nth(1)?;
    let bytes = BASE64URL_NOPAD.decode(body.as_bytes()).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The user of these claims; `None` if the claim that names users is missing, or not fit to be a name.
pub(super) fn user(
    provider: &IdentityProvider,
    settings: &OidcSettings,
    claims: &Map<String, Value>,
) -> Option<KnownUser> {
    let name = name(settings, claims)?;
    let attributes: BTreeMap<String, Vec<String>> =
        claims.iter().map(|(name, value)| (name.clone(), texts(value))).collect();
    let fixed = BTreeMap::from([
        ("username".to_owned(), json!(name.as_str())),
        ("identityProvider".to_owned(), json!(provider.base.name)),
    ]);
    Some(KnownUser {
        id: user_id_of(provider.base.id, &name),
        claims: map_foreign(&attributes, &provider.claim_mappings, fixed),
        name,
        notices: Vec::new(),
        until: None,
    })
}

/// `sub` stands as it is: it is compared exactly (OpenID Connect Core §2). Whatever else names users has one form.
fn name(settings: &OidcSettings, claims: &Map<String, Value>) -> Option<UserName> {
    let text = claims.get(&settings.username_claim)?.as_str()?;
    match settings.username_claim.as_str() {
        "sub" => {
            let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
            plain.then(|| UserName::parse(text.to_owned()).ok())?
        }
        // An address that nobody verified is whatever the user says.
        "email" if claims.get("email_verified") != Some(&Value::Bool(true)) => None,
        _ => canonical(text),
    }
}

/// A claim's values as texts; objects have none.
fn texts(value: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let values: Vec<String> = match value {
        Value::Array(items) => items.iter().take(MAX_VALUES).filter_map(text).collect(),
        other => text(other).into_iter().collect(),
    };
    values.into_iter().filter(|text| text.len() <= MAX_VALUE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(username_claim: &str) -> (IdentityProvider, OidcSettings) {
        let provider: IdentityProvider = serde_json::from_value(json!({
            "id": "0190a000-0000-7000-8000-000000000001", "name": "sso", "type": "Oidc",
            "issuer": "https://sso.example", "audience": "ringwall", "usernameClaim": username_claim,
            "claimMappings": [
                {"attributeName": "groups", "claimName": "groups", "list": true},
                {"attributeName": "sub", "claimName": "username"},
            ],
        }))
        .expect("a provider");
        let ringwall_protocol::object::identity_provider::ProviderSettings::Oidc(settings) = provider.settings.clone()
        else {
            panic!("an OpenID provider")
        };
        (provider, *settings)
    }

    fn read(username_claim: &str, claims: Value) -> Option<KnownUser> {
        let (provider, settings) = provider(username_claim);
        user(&provider, &settings, claims.as_object().expect("claims"))
    }

    #[test]
    fn only_mapped_claims_arrive_and_none_says_who_somebody_is() {
        let claims = json!({"sub": "A-1", "groups": ["dev", 7, {"x": 1}], "admin": true});
        let user = read("sub", claims).expect("a user");
        assert_eq!(user.name.as_str(), "A-1", "sub is compared exactly");
        let claims = serde_json::to_value(&user.claims).expect("JSON");
        assert_eq!(claims, json!({"username": "A-1", "identityProvider": "sso", "groups": ["dev", "7"]}));
    }

    #[test]
    fn an_address_that_nobody_verified_names_nobody() {
        assert!(read("email", json!({"sub": "1", "email": "root@corp.example"})).is_none());
        assert!(read("email", json!({"sub": "1", "email": "root@corp.example", "email_verified": "true"})).is_none());
        let user = read("email", json!({"sub": "1", "email": "Root@corp.example", "email_verified": true}));
        assert_eq!(user.expect("a user").name.as_str(), "root@corp.example");
        assert!(read("preferred_username", json!({"sub": "1"})).is_none());
        assert!(read("sub", json!({"sub": "a b"})).is_none());
    }
}
