//! RADIUS as an identity provider (S17): a server says whether name and password belong together, and may ask for more.
//! It is asked with the user's password only; nothing is kept of that.

pub(crate) mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod packet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::name::UserName;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::{ProviderSettings, RadiusSettings};
use ringwall_protocol::wire::client::{Challenge, Credential, InputType};
use ringwall_raft::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use self::exchange::{Servers, Trouble, ask};
use self::packet::{Asked, Decision, Response, attribute};
use super::mapping::map_foreign;
use super::{Attempt, Claimed, Directory, Further, KnownUser, LookUp, Proof, canonical, secrets, user_id_of};
use crate::identity::hashing::Lane;
use crate::identity::outbound::Outbound;
use crate::refusal::Refusal;
use crate::replica::vault::Vault;

/// RADIUS servers.
pub(crate) struct RadiusDirectory {
    vault: Arc<Vault>,
    outbound: Outbound,
}

/// What is kept of a challenge: a state is good at the server that gave it only.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    host: String,
    state: Vec<u8>,
}

impl RadiusDirectory {
    /// Servers whose secrets `vault` opens, and that are where `outbound` permits.
    #[must_use]
    pub(crate) const fn new(vault: Arc<Vault>, outbound: Outbound) -> Self {
        Self { vault, outbound }
    }

    /// Whether a server answers, with a secret that need not be saved yet: with a rejection, as nobody is asked for.
    ///
    /// # Errors
    /// Why not, for operators.
    pub(crate) async fn test(&self, settings: &RadiusSettings, secret: &str) -> Result<(), Trouble> {
        let name = format!("ringwall-test-{}", uuid::Uuid::new_v4().simple());
        let asked =
            Asked { name: &name, password: "no password", state: None, protocol: settings.authentication_protocol };
        ask(&self.servers(settings, &settings.hostnames), &asked, secret.as_bytes()).await.map(|_| ())
    }

    fn servers<'a>(&'a self, settings: &RadiusSettings, hosts: &'a [String]) -> Servers<'a> {
        let timeout = Duration::from_secs(u64::from(settings.timeout));
        Servers { hosts, port: settings.port, timeout, outbound: &self.outbound }
    }

    async fn exchange(
        &self,
        state: &State,
        provider: &IdentityProvider,
        (name, password): (&str, &str),
        kept: Option<&Kept>,
    ) -> Result<(String, Response), Refusal> {
        let refuse = |trouble: Trouble| trouble.refuse(&provider.base.name);
        let ProviderSettings::Radius(settings) = &provider.settings else { return Err(Refusal::sign_in()) };
        let secret = secrets::read(&self.vault, state, provider.base.id.uuid(), "sharedSecret")?;
        let secret = secret.ok_or_else(|| refuse(Trouble::NoSecret))?;
        let asked = Asked {
            name,
            password,
            state: kept.map(|kept| kept.state.as_slice()),
            protocol: settings.authentication_protocol,
        };
        let only = kept.map(|kept| [kept.host.clone()]);
        let hosts = only.as_ref().map_or(settings.hostnames.as_slice(), <[String; 1]>::as_slice);
        if hosts.iter().any(|host| !settings.hostnames.contains(host)) {
            return Err(Refusal::sign_in());
        }
        match ask(&self.servers(settings, hosts), &asked, secret.as_bytes()).await {
            // A name or password that RADIUS cannot carry is nobody's.
            Err(Trouble::TooLong(_)) => Err(Refusal::sign_in()),
            other => other.map_err(refuse),
        }
    }
}

impl std::fmt::Debug for RadiusDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RadiusDirectory").field("outbound", &self.outbound).finish_non_exhaustive()
    }
}

impl Directory for RadiusDirectory {
    fn claimed(&self, _: &IdentityProvider, credential: &Credential) -> Claimed {
        let Credential::Password { username, password } = credential else { return Claimed::Nobody };
        let sendable = (1..=packet::MAX_PASSWORD).contains(&password.len());
        canonical(username).filter(|_| sendable).map_or(Claimed::Nobody, Claimed::Name)
    }

    async fn prove(&self, state: &State, provider: &IdentityProvider, attempt: &Attempt<'_>) -> Result<Proof, Refusal> {
        let Credential::Password { password, .. } = attempt.credential else { return Ok(Proof::Nobody) };
        let Claimed::Name(name) = self.claimed(provider, attempt.credential) else { return Ok(Proof::Nobody) };
        let answered = self.exchange(state, provider, (name.as_str(), password), None).await?;
        Ok(judge(provider, name, answered))
    }

    async fn go_on(
        &self,
        state: &State,
        provider: &IdentityProvider,
        name: &UserName,
        kept: &[u8],
        answer: &str,
    ) -> Result<Proof, Refusal> {
        let Ok(kept) = serde_json::from_slice::<Kept>(kept) else { return Ok(Proof::Nobody) };
        if answer.is_empty() {
            return Ok(Proof::Nobody);
        }
        let answered = self.exchange(state, provider, (name.as_str(), answer), Some(&kept)).await?;
        Ok(judge(provider, name.clone(), answered))
    }

    async fn prove_nobody(
        &self,
        state: &State,
        provider: Option<&IdentityProvider>,
        credential: &Credential,
        _: Lane,
    ) -> Result<(), Refusal> {
        let (Some(provider), Credential::Password { .. }) = (provider, credential) else { return Ok(()) };
        // Neither the name nor the password: a server that counts failures would count them against the user.
        let name = format!("nobody-{}", uuid::Uuid::new_v4().simple());
        self.exchange(state, provider, (&name, "no password"), None).await.map(|_| ())
    }

    async fn look_up(&self, _: &State, _: &IdentityProvider, _: &UserName) -> Result<LookUp, Refusal> {
        Ok(LookUp::Unreadable)
    }
}

fn judge(provider: &IdentityProvider, name: UserName, (host, response): (String, Response)) -> Proof {
    match response.decision {
        Decision::Accept => Proof::User(Box::new(known(provider, name, &response))),
        Decision::Reject => Proof::Nobody,
        Decision::Challenge => further(host, &response, InputType::Masked).map_or(Proof::Nobody, Proof::Further),
    }
}

/// What a server's challenge asks the user; nothing if it has no state to answer to.
#[must_use]
pub(crate) fn further(host: String, response: &Response, input: InputType) -> Option<Further> {
    let state = response.values(attribute::STATE).next()?.to_vec();
    // Prompt 1: what is typed may be seen (RFC 2869 §5.10).
    let shown = response.values(attribute::PROMPT).next().is_some_and(|value| value == [0, 0, 0, 1]);
    let input = if shown { InputType::Text } else { input };
    let kept = Zeroizing::new(serde_json::to_vec(&Kept { host, state }).ok()?);
    Some(Further { challenge: Challenge::Text { input }, message: response.message(), kept })
}

impl Kept {
    /// Which server gave the state.
    #[must_use]
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The state.
    #[must_use]
    pub(crate) fn state(&self) -> &[u8] {
        &self.state
    }
}

/// Attributes that mappings can use, by the names of RFC 2865.
const MAPPED: [(&str, u8); 3] =
    [("Filter-Id", attribute::FILTER_ID), ("Class", attribute::CLASS), ("Reply-Message", attribute::REPLY_MESSAGE)];

/// Attributes of an answer as text; what is no text is left out.
pub(super) fn attributes(response: &Response) -> BTreeMap<String, Vec<String>> {
    MAPPED
        .iter()
        .map(|(name, kind)| {
            let values = response.values(*kind).filter_map(|value| std::str::from_utf8(value).ok());
            ((*name).to_owned(), values.map(str::to_owned).collect())
        })
        .collect()
}

fn known(provider: &IdentityProvider, name: UserName, response: &Response) -> KnownUser {
    let fixed = BTreeMap::from([
        ("username".to_owned(), Value::from(name.as_str())),
        ("identityProvider".to_owned(), Value::from(provider.base.name.as_str())),
    ]);
    KnownUser {
        id: user_id_of(provider.base.id, &name),
        claims: map_foreign(&attributes(response), &provider.claim_mappings, fixed),
        name,
        notices: Vec::new(),
        until: None,
    }
}
