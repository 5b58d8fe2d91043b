//! RADIUS as another factor (S23): a code as the password, the answer to a challenge, or a question that the server asks
//! the user elsewhere.

use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::object::MfaProvider;
use ringwall_protocol::object::identity_provider::FactorSettings;
use ringwall_protocol::object::identity_provider::factor::{RadiusFactorSettings, RadiusMode};
use ringwall_protocol::wire::client::Challenge;
use ringwall_raft::State;
use zeroize::Zeroizing;

use super::{Disturbs, Factor, FactorUser, Given, Verdict, refused};
use crate::identity::directory::radius::exchange::{Servers, Trouble, ask};
use crate::identity::directory::radius::packet::{Asked, Decision, Response};
use crate::identity::directory::radius::{Kept, further};
use crate::identity::directory::{Further, secrets};
use crate::identity::outbound::Outbound;
use crate::refusal::Refusal;
use crate::replica::vault::Vault;

/// RADIUS servers that verify another factor.
pub(crate) struct RadiusFactor {
    vault: Arc<Vault>,
    outbound: Outbound,
}

impl RadiusFactor {
    /// Servers whose secrets `vault` opens, and that are where `outbound` permits.
    #[must_use]
    pub(crate) const fn new(vault: Arc<Vault>, outbound: Outbound) -> Self {
        Self { vault, outbound }
    }

    /// Whether a server answers, with a secret that need not be saved yet.
    ///
    /// # Errors
    /// Why not, for operators.
    pub(crate) async fn test(&self, settings: &RadiusFactorSettings, secret: &str) -> Result<(), Trouble> {
        let name = format!("ringwall-test-{}", uuid::Uuid::new_v4().simple());
        let asked =
            Asked { name: &name, password: "no password", state: None, protocol: settings.authentication_protocol };
        ask(&self.servers(settings, &settings.hostnames), &asked, secret.as_bytes()).await.map(|_| ())
    }

    fn servers<'a>(&'a self, settings: &RadiusFactorSettings, hosts: &'a [String]) -> Servers<'a> {
        let timeout = Duration::from_secs(u64::from(settings.timeout));
        Servers { hosts, port: settings.port, timeout, outbound: &self.outbound }
    }

    /// One question about the bearer; `password` or, without one, the secret that begins a challenge.
    async fn exchange(
        &self,
        state: &State,
        provider: &MfaProvider,
        bearer: FactorUser<'_>,
        (password, kept): (Option<&str>, Option<&Kept>),
    ) -> Result<(String, Response), Refusal> {
        let refuse = |trouble: Trouble| trouble.refuse(&provider.base.name);
        let settings = settings(provider)?;
        let secret = |field| -> Result<Zeroizing<String>, Refusal> {
            let found = secrets::read(&self.vault, state, provider.base.id.uuid(), field)?;
            found.ok_or_else(|| refuse(Trouble::NoSecret))
        };
        let shared = secret("sharedSecret")?;
        let beginning = if password.is_none() { Some(secret("challengeSharedSecret")?) } else { None };
        let password = password.or(beginning.as_ref().map(|secret| secret.as_str())).ok_or_else(refused)?;
        let asked = Asked {
            name: bearer.dn.user.as_str(),
            password,
            state: kept.map(Kept::state),
            protocol: settings.authentication_protocol,
        };
        let only = kept.map(|kept| [kept.host().to_owned()]);
        let hosts = only.as_ref().map_or(settings.hostnames.as_slice(), <[String; 1]>::as_slice);
        if hosts.iter().any(|host| !settings.hostnames.contains(host)) {
            return Err(refused());
        }
        match ask(&self.servers(settings, hosts), &asked, shared.as_bytes()).await {
            Err(Trouble::TooLong(_)) => Err(refused()),
            other => other.map_err(refuse),
        }
    }
}

impl std::fmt::Debug for RadiusFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RadiusFactor").field("outbound", &self.outbound).finish_non_exhaustive()
    }
}

impl Factor for RadiusFactor {
    fn asks_first(&self, provider: &MfaProvider) -> bool {
        settings(provider).is_ok_and(|settings| settings.mode != RadiusMode::OneFactor)
    }

    fn disturbs(&self, provider: &MfaProvider) -> Disturbs {
        match settings(provider).map(|settings| settings.mode) {
            Ok(RadiusMode::Challenge) => Disturbs::WhenAsked,
            Ok(RadiusMode::Push) => Disturbs::WhenAnswered,
            Ok(RadiusMode::OneFactor) | Err(_) => Disturbs::Never,
        }
    }

    async fn begin(&self, state: &State, provider: &MfaProvider, bearer: FactorUser<'_>) -> Result<Further, Refusal> {
        let settings = settings(provider)?;
        let nothing = || Zeroizing::new(Vec::new());
        match settings.mode {
            RadiusMode::OneFactor => {
                let challenge = Challenge::Text { input: settings.input_type };
                Ok(Further { challenge, message: String::new(), kept: nothing() })
            }
            RadiusMode::Push => {
                let message = "Confirm the sign-in on your other device.".to_owned();
                Ok(Further { challenge: Challenge::Push {}, message, kept: nothing() })
            }
            RadiusMode::Challenge => {
                let (host, response) = self.exchange(state, provider, bearer, (None, None)).await?;
                match response.decision {
                    Decision::Challenge => further(host, &response, settings.input_type).ok_or_else(refused),
                    Decision::Reject => Err(refused()),
                    // The same secret for everybody proves nobody.
                    Decision::Accept => {
                        let provider = &provider.base.name;
                        tracing::warn!(
                            provider,
                            "the RADIUS server accepts a user without asking; nobody is let in by it"
                        );
                        Err(refused())
                    }
                }
            }
        }
    }

    async fn verify(
        &self,
        state: &State,
        provider: &MfaProvider,
        bearer: FactorUser<'_>,
        given: Given<'_>,
    ) -> Result<Verdict, Refusal> {
        let settings = settings(provider)?;
        let asked = match settings.mode {
            RadiusMode::Push => (None, None),
            RadiusMode::OneFactor | RadiusMode::Challenge if given.answer.is_empty() => return Ok(Verdict::Wrong),
            RadiusMode::OneFactor if given.kept.is_empty() => (Some(given.answer), None),
            RadiusMode::OneFactor | RadiusMode::Challenge => match serde_json::from_slice::<Kept>(given.kept) {
                Ok(kept) => (Some(given.answer), Some(kept)),
                Err(_) => return Ok(Verdict::Wrong),
            },
        };
        let (host, response) = self.exchange(state, provider, bearer, (asked.0, asked.1.as_ref())).await?;
        Ok(match (response.decision, settings.mode) {
            (Decision::Accept, _) => Verdict::Right { spend: Vec::new() },
            (Decision::Challenge, RadiusMode::OneFactor | RadiusMode::Challenge) => {
                further(host, &response, settings.input_type).map_or(Verdict::Wrong, Verdict::Further)
            }
            (Decision::Reject | Decision::Challenge, _) => Verdict::Wrong,
        })
    }
}

fn settings(provider: &MfaProvider) -> Result<&RadiusFactorSettings, Refusal> {
    match &provider.settings {
        FactorSettings::Radius(settings) => Ok(settings),
        _ => Err(refused()),
    }
}
