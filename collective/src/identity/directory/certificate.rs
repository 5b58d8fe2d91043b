//! Certificates as identity providers (S17, `LdapCertificate` and our own `Certificate`): a user's certificate, whose key
//! signed this sign-in on this connection, names him; a directory may have to know him too.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::ProviderSettings;
use ringwall_protocol::object::identity_provider::certificate::UsernameFrom;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{Credential, MAX_USER_CHAIN, certificate_statement};
use ringwall_raft::State;
use ringwall_trust::user_certificate::{Presentation, UserAuthorities, UserCertificate};
use serde_json::Value;

use super::mapping::map_foreign;
use super::{Attempt, Claimed, KnownUser, LdapDirectory, LookUp, Proof, canonical, user_id_of};
use crate::refusal::Refusal;

/// Whose name a certificate claims: only its verification tells.
pub(super) const fn claimed(credential: &Credential) -> Claimed {
    match credential {
        Credential::Certificate { .. } => Claimed::Later,
        _ => Claimed::Nobody,
    }
}

/// Whom a certificate proves.
pub(super) async fn prove(
    ldap: &LdapDirectory,
    state: &State,
    provider: &IdentityProvider,
    attempt: &Attempt<'_>,
) -> Result<Proof, Refusal> {
    let Some((certificate, leaf, from)) = verified(provider, attempt, ldap.now()) else { return Ok(Proof::Nobody) };
    let Some(named) = named(&certificate, from) else {
        tracing::info!(
            provider = provider.base.name,
            "a certificate does not have exactly one name of the wanted kind"
        );
        return Ok(Proof::Nobody);
    };
    let user = match &provider.settings {
        ProviderSettings::LdapCertificate(settings) => {
            let binary = settings.certificate_attribute.as_deref().map(|attribute| (attribute, leaf.as_slice()));
            let by = (settings.certificate_user_attribute.as_str(), named);
            ldap.find_by(state, provider, by, binary).await?
        }
        _ => canonical(named).map(|name| known(provider, name, &certificate)),
    };
    let until = Some(certificate.not_after);
    Ok(user.map_or(Proof::Nobody, |user| Proof::User(Box::new(KnownUser { until, ..user }))))
}

/// What is known of a user of certificates without his certificate.
pub(super) async fn look_up(
    ldap: &LdapDirectory,
    state: &State,
    provider: &IdentityProvider,
    name: &UserName,
) -> Result<LookUp, Refusal> {
    match &provider.settings {
        ProviderSettings::LdapCertificate(_) => ldap.find(state, provider, name).await,
        // The sign-in ends with the certificate.
        _ => Ok(LookUp::Unreadable),
    }
}

/// The certificate, its DER, and where its name stands, if it is good and its key signed this sign-in.
fn verified(
    provider: &IdentityProvider,
    attempt: &Attempt<'_>,
    now: UnixMillis,
) -> Option<(UserCertificate, Vec<u8>, UsernameFrom)> {
    let Credential::Certificate { chain, scheme, signature } = attempt.credential else { return None };
    let (authorities, lists, from) = match &provider.settings {
        ProviderSettings::Certificate(one) => (&one.ca_certificates, &one.revocation_lists, one.username_from),
        ProviderSettings::LdapCertificate(one) => (&one.ca_certificates, &one.revocation_lists, one.username_from),
        _ => return None,
    };
    let exporter = attempt.exporter?;
    let decode = |text: &String| BASE64URL_NOPAD.decode(text.as_bytes()).ok();
    let chain: Vec<Vec<u8>> = chain.iter().take(MAX_USER_CHAIN + 1).map(decode).collect::<Option<_>>()?;
    let signature = decode(signature)?;
    let authorities = UserAuthorities::parse(authorities, lists)
        .inspect_err(|error| tracing::error!(provider = provider.base.name, %error, "a provider's authorities"))
        .ok()?;
    let statement = certificate_statement(&provider.base.name, attempt.device, &attempt.key, exporter);
    let presented = Presentation { chain: &chain, statement: &statement, scheme: *scheme, signature: &signature };
    let certificate = authorities
        .prove(presented, now)
        .inspect_err(|error| tracing::info!(provider = provider.base.name, %error, "a certificate proves nobody"))
        .ok()?;
    let leaf = chain.into_iter().next()?;
    Some((certificate, leaf, from))
}

/// The one name of the wanted kind: with several, it would be the bearer's choice who he is.
fn named(certificate: &UserCertificate, from: UsernameFrom) -> Option<&str> {
    let names = match from {
        UsernameFrom::UserPrincipalName => &certificate.principal_names,
        UsernameFrom::Email => &certificate.emails,
        UsernameFrom::CommonName => &certificate.common_names,
    };
    match names.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn known(provider: &IdentityProvider, name: UserName, certificate: &UserCertificate) -> KnownUser {
    let attributes = BTreeMap::from([
        ("userPrincipalName".to_owned(), certificate.principal_names.clone()),
        ("email".to_owned(), certificate.emails.clone()),
        ("commonName".to_owned(), certificate.common_names.clone()),
    ]);
    let fixed = BTreeMap::from([
        ("username".to_owned(), Value::from(name.as_str())),
        ("identityProvider".to_owned(), Value::from(provider.base.name.as_str())),
    ]);
    KnownUser {
        id: user_id_of(provider.base.id, &name),
        claims: map_foreign(&attributes, &provider.claim_mappings, fixed),
        name,
        notices: Vec::new(),
        until: None,
    }
}
