//! Secrets that providers are saved with: which are wanted, and when one that is known does not suffice.
//!
//! A secret is given to the servers that the object names. Whoever changes where it goes must bring it again: otherwise
//! the right to edit a provider would be the right to read its secret.

use ringwall_protocol::object::Object;
use ringwall_protocol::object::identity_provider::factor::RadiusMode;
use ringwall_protocol::object::identity_provider::ldap::LdapSettings;
use ringwall_protocol::object::identity_provider::{FactorSettings, ProviderSettings};
use ringwall_protocol::wire::admin::FieldError;
use ringwall_raft::state::admin_session::EndAdminSessionsOf;
use ringwall_raft::state::object::DeleteObject;
use ringwall_raft::{Command, State};
use serde_json::{Value, json};
use uuid::Uuid;

use super::decode::Secrets;
use crate::administration::objects::Objects;
use crate::identity::directory::secrets;
use crate::refusal::Refusal;

/// What is wrong with the secrets that came with `after`.
#[must_use]
pub(in crate::administration) fn errors(
    after: &Object,
    before: Option<&Object>,
    given: &Secrets,
    state: &State,
) -> Vec<FieldError> {
    let known = fields_of(after);
    let error = |field: &str, message: &str| FieldError { field: field.to_owned(), message: message.to_owned() };
    let mut errors: Vec<FieldError> =
        given.keys().filter(|field| !known.contains(field)).map(|field| error(field, "is not known here")).collect();
    let moved = before.is_some_and(|before| destination(before) != destination(after));
    for field in known.iter().filter(|field| !given.contains_key(*field)) {
        if secrets::is_set(state, after.id(), field) {
            if moved {
                errors.push(error(field, "is wanted again: it would go to other servers, or there in another way"));
            }
        } else if wanted(after, field) {
            errors.push(error(field, "is missing"));
        }
    }
    errors
}

/// The removal of a provider and of everything that it kept secret.
pub(in crate::administration) fn with_removal(delete: DeleteObject) -> Command {
    let provider = delete.id;
    let mut parts: Vec<Command> = vec![delete.into()];
    parts.extend(secrets::FIELDS.iter().map(|field| secrets::remove(provider, field).into()));
    Command::Group(parts)
}

impl Objects {
    /// The order, with secrets in the same entry. Sessions that the former secrets opened end in it (T57).
    pub(in crate::administration) fn with_secrets(&self, order: Command, provider: Uuid, given: &Secrets) -> Command {
        if given.is_empty() {
            return order;
        }
        let mut parts = match order {
            Command::Group(parts) => parts,
            single => vec![single],
        };
        parts.extend(
            given.iter().map(|(field, secret)| Command::from(secrets::put(&self.vault, provider, field, secret))),
        );
        parts.push(EndAdminSessionsOf { provider }.into());
        Command::Group(parts)
    }

    /// Those of the secrets that are not known already.
    pub(in crate::administration) fn new_secrets(
        &self,
        state: &State,
        provider: Uuid,
        given: Secrets,
    ) -> Result<Secrets, Refusal> {
        let mut new = Secrets::new();
        for (field, secret) in given {
            if secrets::read(&self.vault, state, provider, field)?.is_none_or(|known| known != secret) {
                new.insert(field, secret);
            }
        }
        Ok(new)
    }
}

/// The secrets that an object's kind has.
fn fields_of(object: &Object) -> &'static [&'static str] {
    match object {
        Object::IdentityProvider(provider) => provider.kind().secrets(),
        Object::MfaProvider(provider) => provider.kind().secrets(),
        _ => &[],
    }
}

/// Whether a secret must be there.
fn wanted(object: &Object, field: &str) -> bool {
    match (object, field) {
        // Public clients have none: PKCE stands in for it.
        (_, "clientSecret") => false,
        (Object::MfaProvider(provider), "challengeSharedSecret") => {
            matches!(&provider.settings, FactorSettings::Radius(radius) if radius.mode != RadiusMode::OneFactor)
        }
        _ => true,
    }
}

/// Everything that decides where a secret goes, and how it is protected on its way.
fn destination(object: &Object) -> Value {
    let ldap = |ldap: &LdapSettings| {
        json!([
            ldap.hostnames,
            ldap.port,
            ldap.ssl_enabled,
            ldap.start_tls,
            ldap.allow_plain,
            ldap.trusted_certificates,
            ldap.admin_distinguished_name
        ])
    };
    match object {
        Object::IdentityProvider(provider) => match &provider.settings {
            ProviderSettings::Ldap(settings) => ldap(settings),
            ProviderSettings::LdapCertificate(settings) => ldap(&settings.ldap),
            ProviderSettings::Radius(settings) => {
                json!([settings.hostnames, settings.port, settings.authentication_protocol])
            }
            ProviderSettings::Oidc(settings) => json!([settings.issuer, settings.trusted_certificates]),
            ProviderSettings::LocalDatabase | ProviderSettings::Certificate(_) | ProviderSettings::Saml => Value::Null,
        },
        Object::MfaProvider(provider) => match &provider.settings {
            FactorSettings::Radius(settings) => {
                json!([settings.hostnames, settings.port, settings.authentication_protocol])
            }
            FactorSettings::DefaultTimeBased | FactorSettings::Fido2 => Value::Null,
        },
        _ => Value::Null,
    }
}
