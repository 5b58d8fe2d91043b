//! LDAP and Active Directory (S17): a directory finds and proves users, and says what is known of them.
//!
//! | module | is |
//! | --- | --- |
//! | `connection`, `guard` | a connection that bounds what the server may send, and for how long |
//! | `ask` | one conversation: find, prove, tell |
//! | `search`, `ranged` | searches by pages, and values in several answers: all, or an error |
//! | `groups`, `sid` | the groups of a user |
//! | `account` | whether an account may be used; pure |
//! | `expiry` | when a password ends; pure |
//! | `trouble` | why there was no answer |

mod account;
mod ask;
mod connection;
mod expiry;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod groups;
mod guard;
mod ranged;
mod search;
mod sid;
mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;

use ringwall_protocol::name::UserName;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::{LdapSettings, ProviderSettings};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::Credential;
use ringwall_raft::State;
use serde_json::Value;
use zeroize::Zeroizing;

use self::ask::{Entry, Question, Wanted};
use super::mapping::map_foreign;
use super::{Attempt, Claimed, Directory, KnownUser, LookUp, Proof, checked_at, secrets, user_id_of};
use crate::identity::hashing::Lane;
use crate::identity::outbound::Outbound;
use crate::refusal::Refusal;
use crate::replica::vault::Vault;

pub(crate) use self::trouble::Trouble;

/// Claims that every user of a directory has, and the attributes that they are made of.
pub(crate) const CLAIMS: [(&str, &str); 2] = [("groups", GROUPS), ("groupDns", GROUP_DNS)];
/// What the groups are called in mappings; an entry's own attributes of these names are not read.
const GROUPS: &str = "groups";
const GROUP_DNS: &str = "memberOf";

/// Directories that speak LDAP.
pub(crate) struct LdapDirectory {
    vault: Arc<Vault>,
    outbound: Outbound,
    clock: fn() -> UnixMillis,
}

impl LdapDirectory {
    /// Directories whose secrets `vault` opens, and that are where `outbound` permits.
    #[must_use]
    pub(crate) const fn new(vault: Arc<Vault>, outbound: Outbound, clock: fn() -> UnixMillis) -> Self {
        Self { vault, outbound, clock }
    }

    /// Whether a directory can be asked, with a secret that need not be saved yet.
    ///
    /// # Errors
    /// Why not, for operators.
    pub(crate) async fn test(&self, settings: &LdapSettings, secret: Zeroizing<String>) -> Result<(), Trouble> {
        let question = Question {
            outbound: self.outbound.clone(),
            provider: String::new(),
            settings: settings.clone(),
            secret,
            wanted: Wanted::Test,
            claimed: Vec::new(),
            attributes: Vec::new(),
            now: self.now(),
        };
        ask::ask(question).await.map(|_| ())
    }

    /// Every attribute that the directory has of a user, and the groups, for operators.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn attributes(
        &self,
        state: &State,
        provider: &IdentityProvider,
        name: &UserName,
    ) -> Result<Option<(BTreeMap<String, Vec<String>>, KnownUser)>, Trouble> {
        let (settings, secret) = self.settings(state, provider)?;
        let question = self.question((provider, settings), secret, Wanted::Find(name.clone()), vec!["*".to_owned()]);
        let found = ask::ask(question).await?;
        Ok(found.map(|entry| (attributes(&entry), known(provider, settings, entry, self.now()))))
    }

    /// A user by name, unproved.
    pub(super) async fn find(
        &self,
        state: &State,
        provider: &IdentityProvider,
        name: &UserName,
    ) -> Result<LookUp, Refusal> {
        let found = self.user(state, provider, Wanted::Find(name.clone())).await?;
        Ok(found.map_or(LookUp::Gone, |user| LookUp::Known(Box::new(user))))
    }

    /// The user whose attribute has a value, and whether one of another attribute's values is `binary`.
    pub(super) async fn find_by(
        &self,
        state: &State,
        provider: &IdentityProvider,
        (attribute, value): (&str, &str),
        binary: Option<(&str, &[u8])>,
    ) -> Result<Option<KnownUser>, Refusal> {
        let refuse = |trouble: Trouble| trouble.refuse(&provider.base.name);
        let (settings, secret) = self.settings(state, provider).map_err(refuse)?;
        let wanted = Wanted::FindBy { attribute: attribute.to_owned(), value: value.to_owned() };
        let attributes = binary.map(|(name, _)| name.to_owned()).into_iter().collect();
        let question = self.question((provider, settings), secret, wanted, attributes);
        let found = ask::ask(question).await.map_err(refuse)?;
        let same = |entry: &Entry| {
            binary.is_none_or(|(name, wanted)| {
                let named = |known: &str| known.split(';').next().is_some_and(|known| known.eq_ignore_ascii_case(name));
                entry
                    .binary
                    .iter()
                    .filter(|(known, _)| named(known))
                    .any(|(_, all)| all.iter().any(|one| one == wanted))
            })
        };
        Ok(found.filter(same).map(|entry| known(provider, settings, entry, self.now())))
    }

    fn settings<'a>(
        &self,
        state: &State,
        provider: &'a IdentityProvider,
    ) -> Result<(&'a LdapSettings, Zeroizing<String>), Trouble> {
        let settings = match &provider.settings {
            ProviderSettings::Ldap(settings) => &**settings,
            ProviderSettings::LdapCertificate(settings) => &settings.ldap,
            _ => return Err(Trouble::NoPassword),
        };
        let secret = secrets::read(&self.vault, state, provider.base.id.uuid(), "adminPassword");
        let secret = secret.ok().flatten().ok_or(Trouble::NoPassword)?;
        Ok((settings, secret))
    }

    /// The time, for what is judged of an answer.
    pub(super) fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    /// A question for a provider; `attributes` are wanted besides those that its claims are made of.
    fn question(
        &self,
        (provider, settings): (&IdentityProvider, &LdapSettings),
        secret: Zeroizing<String>,
        wanted: Wanted,
        attributes: Vec<String>,
    ) -> Question {
        Question {
            outbound: self.outbound.clone(),
            provider: provider.base.name.clone(),
            settings: settings.clone(),
            secret,
            wanted,
            claimed: claimed_attributes(provider),
            attributes,
            now: self.now(),
        }
    }

    async fn user(
        &self,
        state: &State,
        provider: &IdentityProvider,
        wanted: Wanted,
    ) -> Result<Option<KnownUser>, Refusal> {
        let refuse = |trouble: Trouble| trouble.refuse(&provider.base.name);
        let (settings, secret) = self.settings(state, provider).map_err(refuse)?;
        let question = self.question((provider, settings), secret, wanted, Vec::new());
        let found = ask::ask(question).await.map_err(refuse)?;
        Ok(found.map(|entry| known(provider, settings, entry, self.now())))
    }
}

impl std::fmt::Debug for LdapDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LdapDirectory").field("outbound", &self.outbound).finish_non_exhaustive()
    }
}

impl Directory for LdapDirectory {
    fn claimed(&self, provider: &IdentityProvider, credential: &Credential) -> Claimed {
        let Credential::Password { username, password } = credential else { return Claimed::Nobody };
        // A bind without a password is no proof but succeeds (RFC 4513 §5.1.2).
        if password.is_empty() {
            return Claimed::Nobody;
        }
        checked_at(provider, username).map_or(Claimed::Nobody, Claimed::Name)
    }

    async fn prove(&self, state: &State, provider: &IdentityProvider, attempt: &Attempt<'_>) -> Result<Proof, Refusal> {
        let Credential::Password { password, .. } = attempt.credential else { return Ok(Proof::Nobody) };
        let Claimed::Name(name) = self.claimed(provider, attempt.credential) else { return Ok(Proof::Nobody) };
        let wanted = Wanted::Prove(name, Zeroizing::new(password.clone()));
        let proved = self.user(state, provider, wanted).await?;
        Ok(proved.map_or(Proof::Nobody, |user| Proof::User(Box::new(user))))
    }

    async fn prove_nobody(
        &self,
        state: &State,
        provider: Option<&IdentityProvider>,
        credential: &Credential,
        _: Lane,
    ) -> Result<(), Refusal> {
        let (Some(provider), Credential::Password { .. }) = (provider, credential) else { return Ok(()) };
        // The same searches and binds as for a right user, but the password itself does not leave the Controller.
        self.user(state, provider, Wanted::Nobody(Zeroizing::new("no password".to_owned()))).await.map(|_| ())
    }

    async fn look_up(&self, state: &State, provider: &IdentityProvider, name: &UserName) -> Result<LookUp, Refusal> {
        self.find(state, provider, name).await
    }
}

/// Attributes of an entry that the mappings read.
fn claimed_attributes(provider: &IdentityProvider) -> Vec<String> {
    let names = provider.claim_mappings.iter().map(|mapping| &mapping.attribute_name);
    let own = |name: &&String| ![GROUPS, GROUP_DNS].iter().any(|one| one.eq_ignore_ascii_case(name));
    names.filter(own).cloned().collect()
}

/// The entry's attributes, with its groups under names that mappings can use.
fn attributes(entry: &Entry) -> BTreeMap<String, Vec<String>> {
    let mut attributes = entry.attributes.clone();
    // What is found in groups is more than an entry says of itself, and the same at every server.
    attributes.retain(|name, _| !name.eq_ignore_ascii_case(GROUP_DNS));
    attributes.insert(GROUP_DNS.to_owned(), entry.groups.iter().map(|group| group.dn.clone()).collect());
    attributes.insert(GROUPS.to_owned(), entry.groups.iter().map(|group| group.name.clone()).collect());
    attributes
}

fn known(provider: &IdentityProvider, settings: &LdapSettings, entry: Entry, now: UnixMillis) -> KnownUser {
    let attributes = attributes(&entry);
    let list = |name: &str| Value::from(attributes.get(name).cloned().unwrap_or_default());
    let fixed = BTreeMap::from([
        ("username".to_owned(), Value::from(entry.name.as_str())),
        ("identityProvider".to_owned(), Value::from(provider.base.name.as_str())),
    ]);
    let mut claims = map_foreign(&attributes, &provider.claim_mappings, fixed);
    for (claim, attribute) in CLAIMS {
        claims.0.entry(claim.to_owned()).or_insert_with(|| list(attribute));
    }
    let notice = expiry::notice(&settings.password_warning, entry.policy, &entry.attributes, now);
    KnownUser {
        id: user_id_of(provider.base.id, &entry.name),
        name: entry.name,
        claims,
        notices: notice.into_iter().collect(),
        until: None,
    }
}
