//! Questions about providers: does one answer, and what does it know of a user. They are asked with what is saved or with
//! what is about to be.

use std::collections::BTreeMap;

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::identity_provider::{FactorSettings, ProviderSettings};
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::{Object, ObjectKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::decode::{Body, Secrets};
use super::provider_hosts::forbidden_hosts;
use super::provider_secrets;
use super::validate::validate;
use crate::administration::access::authority::{Administrator, target_of};
use crate::administration::denial::Denial;
use crate::administration::objects::{self, Objects};
use crate::identity::directory::{Directory, LookUp, checked_at, secrets};

/// Answer to a test.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Tested {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Of whom attributes are wanted.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttributesRequest {
    username: String,
}

/// What a provider knows of a user.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserAttributes {
    raw_attributes: BTreeMap<String, Vec<String>>,
    mapped_attributes: ClaimMap,
}

impl Objects {
    /// Whether a provider as it is described can be asked. Nothing is saved.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` for what could not be saved either.
    pub(crate) async fn test_provider(
        &self,
        who: &Administrator,
        kind: ObjectKind,
        body: Value,
    ) -> Result<Tested, Denial> {
        who.authority.require_some(PrivilegeType::Test, target_of(kind))?;
        let mut body = Body::new(body).map_err(Denial::Invalid)?;
        let id = body.id().map_err(Denial::Invalid)?;
        let given = body.take_secrets();
        let object = body.into_object(kind, id.unwrap_or_else(Uuid::new_v4)).map_err(Denial::Invalid)?;
        let stored = id.and_then(|id| who.state.object(kind, id)).map(|stored| &stored.object);
        if let Some(stored) = stored {
            who.authority.require(PrivilegeType::Test, target_of(kind), Some((stored.id(), stored.tags())))?;
        }
        let mut faults = validate(&object, stored, &who.state);
        faults.contradictions(forbidden_hosts(&self.providers.outbound, &object));
        faults.contradictions(provider_secrets::errors(&object, stored, &given, &who.state));
        faults.judge()?;
        let outcome = self.try_provider(who, &object, &given).await;
        Ok(Tested { success: outcome.is_ok(), error: outcome.err() })
    }

    async fn try_provider(&self, who: &Administrator, object: &Object, given: &Secrets) -> Result<(), String> {
        let secret = |field: &'static str| -> Result<Zeroizing<String>, String> {
            if let Some(secret) = given.get(field) {
                return Ok(secret.clone());
            }
            let kept = secrets::read(&self.vault, &who.state, object.id(), field);
            kept.ok().flatten().ok_or_else(|| format!("{field} is not set"))
        };
        match object {
            Object::IdentityProvider(provider) => match &provider.settings {
                ProviderSettings::Ldap(settings) => {
                    let outcome = self.providers.directories.ldap().test(settings, secret("adminPassword")?).await;
                    outcome.map_err(|trouble| trouble.to_string())
                }
                ProviderSettings::LdapCertificate(settings) => {
                    let outcome =
                        self.providers.directories.ldap().test(&settings.ldap, secret("adminPassword")?).await;
                    outcome.map_err(|trouble| trouble.to_string())
                }
                ProviderSettings::Radius(settings) => {
                    let outcome = self.providers.directories.radius().test(settings, &secret("sharedSecret")?).await;
                    outcome.map_err(|trouble| trouble.to_string())
                }
                ProviderSettings::Oidc(settings) => {
                    let outcome = self.providers.directories.oidc.test(settings).await;
                    outcome.map_err(|trouble| trouble.to_string())
                }
                _ => Ok(()),
            },
            Object::MfaProvider(provider) => match &provider.settings {
                FactorSettings::Radius(settings) => {
                    let outcome = self.providers.factors.radius().test(settings, &secret("sharedSecret")?).await;
                    outcome.map_err(|trouble| trouble.to_string())
                }
                FactorSettings::DefaultTimeBased | FactorSettings::Fido2 => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// What a provider knows of a user, and which claims that makes.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` where the provider does not say, with the reason.
    pub(crate) async fn user_attributes(
        &self,
        who: &Administrator,
        provider: Uuid,
        request: &AttributesRequest,
    ) -> Result<UserAttributes, Denial> {
        let (action, target) = (PrivilegeType::GetUserAttributes, PrivilegeTarget::IdentityProvider);
        who.authority.require_some(action, target)?;
        let missing = || objects::not_found(ObjectKind::IdentityProvider, provider);
        let id = ringwall_protocol::id::ProviderId::new(provider);
        let provider = who.state.identity_provider(id).ok_or_else(missing)?;
        who.authority.require(action, target, Some((id.uuid(), &provider.base.tags)))?;
        let nobody = || Denial::NotFound("the provider knows no such user".to_owned());
        let (raw_attributes, user) = match &provider.settings {
            ProviderSettings::Ldap(_) | ProviderSettings::LdapCertificate(_) => {
                let name = checked_at(provider, &request.username);
                let name = name.map_err(|fault| Denial::contradiction("username", fault.to_string()))?;
                let asked = self.providers.directories.ldap().attributes(&who.state, provider, &name).await;
                asked.map_err(|trouble| Denial::Conflict(trouble.to_string()))?.ok_or_else(nobody)?
            }
            ProviderSettings::LocalDatabase => {
                let name = UserName::parse(request.username.as_str()).map_err(|_| nobody())?;
                match self.providers.directories.look_up(&who.state, provider, &name).await? {
                    LookUp::Known(user) => (texts(&user.claims), *user),
                    LookUp::Gone | LookUp::Unreadable => return Err(nobody()),
                }
            }
            _ => return Err(Denial::Conflict("this provider tells nothing of a user but at his sign-in".to_owned())),
        };
        Ok(UserAttributes { raw_attributes, mapped_attributes: user.claims })
    }
}

/// Claims as lists of text, as directories have them.
fn texts(claims: &ClaimMap) -> BTreeMap<String, Vec<String>> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let list = |value: &Value| match value {
        Value::Array(values) => values.iter().map(text).collect(),
        single => vec![text(single)],
    };
    claims.0.iter().map(|(name, value)| (name.clone(), list(value))).collect()
}
