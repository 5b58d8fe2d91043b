//! What a verified ID token and the user info say of a user: the name, and attributes for the mappings. Pure.
//!
//! Only claims that name the user or that a mapping reads are read. One of those is read completely or the user is refused: a
//! Stop policy could be about what is left out.

use std::collections::BTreeMap;

use ringwall_protocol::name::UserName;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::OidcSettings;
use serde_json::{Map, Value, json};

use super::left_out::LeftOut;
use crate::identity::directory::mapping::map_foreign;
use crate::identity::directory::{KnownUser, canonical, user_id_of};

/// Most values of one claim: groups of large directories.
const MAX_VALUES: usize = 1_000;
/// Longest value of a claim, in bytes.
const MAX_VALUE: usize = 1_024;

/// What a provider proved of a user.
#[derive(Debug)]
pub(super) struct ProviderClaims {
    /// Claims of the ID token, and those of the user info that it does not have.
    pub(super) claims: Map<String, Value>,
    /// Claims that either of them only points to.
    pub(super) left_out: LeftOut,
}

/// Why there is no user.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum NoUser {
    /// The claim that names users is missing, or not fit to be a name.
    #[error("the ID token does not name a user as usernameClaim says")]
    Name,
    /// The user is proved, but a claim that a mapping reads is not there completely.
    #[error("{why}")]
    Incomplete {
        /// Who it is.
        name: UserName,
        /// What is missing.
        why: Incomplete,
    },
}

/// Why a claim that a mapping reads cannot be read completely.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// There is a pointer in its place.
    #[error(
        "the provider leaves out the claim {0} and only points to it (_claim_names or hasgroups); have it send fewer values, \
         such as only groups that are assigned to this application"
    )]
    LeftOut(String),
    /// More values than are read.
    #[error("the claim {0} has {1} values, of which at most {MAX_VALUES} are read; have the provider send fewer")]
    TooMany(String, usize),
    /// A value that is longer than is read.
    #[error("a value of the claim {0} has {1} bytes, of which at most {MAX_VALUE} are read")]
    TooLong(String, usize),
}

/// The user whom this is about.
///
/// # Errors
/// [`NoUser`].
pub(super) fn user(
    provider: &IdentityProvider,
    settings: &OidcSettings,
    proved: &ProviderClaims,
) -> Result<KnownUser, NoUser> {
    let name = name(settings, &proved.claims).ok_or(NoUser::Name)?;
    let attributes = match attributes(provider, proved) {
        Ok(attributes) => attributes,
        Err(why) => return Err(NoUser::Incomplete { name, why }),
    };
    let fixed = BTreeMap::from([
        ("username".to_owned(), json!(name.as_str())),
        ("identityProvider".to_owned(), json!(provider.base.name)),
    ]);
    Ok(KnownUser {
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
        "email" if !claims.get("email_verified").is_some_and(is_true) => None,
        _ => canonical(text),
    }
}

/// Some providers write a truth as a text.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// The claims that mappings read, as texts.
fn attributes(
    provider: &IdentityProvider,
    proved: &ProviderClaims,
) -> Result<BTreeMap<String, Vec<String>>, Incomplete> {
    for mapping in &provider.claim_mappings {
        if proved.left_out.has(&mapping.attribute_name) {
            return Err(Incomplete::LeftOut(mapping.attribute_name.clone()));
        }
    }
    let is_read =
        |name: &str| provider.claim_mappings.iter().any(|mapping| mapping.attribute_name.eq_ignore_ascii_case(name));
    let read = proved.claims.iter().filter(|(name, _)| is_read(name.as_str()));
    read.map(|(name, value)| texts(name, value).map(|texts| (name.clone(), texts))).collect()
}

/// A claim's values as texts; objects have none.
fn texts(name: &str, value: &Value) -> Result<Vec<String>, Incomplete> {
    let values = match value {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    if values.len() > MAX_VALUES {
        return Err(Incomplete::TooMany(name.to_owned(), values.len()));
    }
    let texts: Vec<String> = values.iter().filter_map(text).collect();
    match texts.iter().find(|text| text.len() > MAX_VALUE) {
        Some(text) => Err(Incomplete::TooLong(name.to_owned(), text.len())),
        None => Ok(texts),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
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

    fn read(username_claim: &str, claims: Value) -> Result<KnownUser, NoUser> {
        let (provider, settings) = provider(username_claim);
        let Value::Object(claims) = claims else { panic!("claims") };
        let left_out = LeftOut::of(&claims);
        user(&provider, &settings, &ProviderClaims { claims, left_out })
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
        let email = |verified: Value| json!({"sub": "1", "email": "Root@corp.example", "email_verified": verified});
        for verified in [Value::Null, json!(false), json!("false"), json!(1), json!("yes")] {
            assert_eq!(read("email", email(verified)), Err(NoUser::Name));
        }
        for verified in [json!(true), json!("true")] {
            let user = read("email", email(verified));
            assert_eq!(user.expect("a user").name.as_str(), "root@corp.example");
        }
        assert_eq!(read("preferred_username", json!({"sub": "1"})), Err(NoUser::Name));
        assert_eq!(read("sub", json!({"sub": "a b"})), Err(NoUser::Name));
    }

    #[test]
    fn groups_that_are_left_out_or_do_not_fit_are_never_fewer_groups() {
        let names = |count: usize| (0..count).map(|number| format!("g{number}")).collect::<Vec<_>>();
        let full = read("sub", json!({"sub": "1", "groups": names(MAX_VALUES)})).expect("as many as are read");
        let claims = serde_json::to_value(&full.claims).expect("JSON");
        assert_eq!(claims["groups"].as_array().map(Vec::len), Some(MAX_VALUES));
        let refused = |claims: Value| match read("sub", claims) {
            Err(NoUser::Incomplete { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        let many = refused(json!({"sub": "1", "groups": names(MAX_VALUES + 1)}));
        assert_eq!(many, Incomplete::TooMany("groups".to_owned(), MAX_VALUES + 1));
        let long = refused(json!({"sub": "1", "groups": ["dev", "x".repeat(MAX_VALUE + 1)]}));
        assert_eq!(long, Incomplete::TooLong("groups".to_owned(), MAX_VALUE + 1));
        let pointer = json!({"sub": "1", "groups": ["dev"], "_claim_names": {"groups": "src1"}});
        assert_eq!(refused(pointer), Incomplete::LeftOut("groups".to_owned()));
        assert_eq!(refused(json!({"sub": "1", "hasgroups": true})), Incomplete::LeftOut("groups".to_owned()));
    }

    #[test]
    fn a_claim_that_no_mapping_reads_may_be_anything() {
        let odd = json!({"sub": "1", "picture": "x".repeat(MAX_VALUE + 1), "updated_at": "2024-05-01T09:30:00.000Z",
            "roles": vec!["r"; MAX_VALUES + 1], "_claim_names": {"address": "src1"}});
        assert!(read("sub", odd).is_ok());
    }
}
