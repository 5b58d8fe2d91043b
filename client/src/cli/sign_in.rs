//! `ringwall sign-in` and `ringwall sign-out`

use std::sync::Arc;

use clap::Args;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::client::SignInWay;
use ringwall_trust::identity::PrivateKey;
use ringwall_trust::secret::SystemRandom;

use super::credentials::{CredentialOptions, StdinFactors, browser_failure, show_page};
use super::daemon_answer::{done, local_failure};
use super::paste::answer_of;
use super::{KeyType, ProfileChoice, output};
use crate::browser::{Loopback, Page};
use crate::controller::{Controllers, Plane};
use crate::device_claims;
use crate::failure::{Exit, Failure};
use crate::held_token::HeldToken;
use crate::local::{Answer, LocalClient, LocalError, Request};
use crate::sign_in::{Credentials, SignIn, presented, way_of};
use crate::store::{Device, StateDirectory, StoredProfile};

#[derive(Args)]
#[command(after_help = "\
Examples:
  ringwall sign-in
  ringwall sign-in --no-browser        # prints the page of an identity provider that wants a browser
  ringwall sign-in --certificate alice.pem --key alice.key   # at a provider whose users have certificates
  ringwall sign-in --username alice --password-fd 3 3< password.txt
  printf '%s\\n' 123456 | ringwall sign-in --username alice --password-file p.txt   # a further factor on stdin")]
pub(super) struct SignInCommand {
    #[command(flatten)]
    pub(super) choice: ProfileChoice,
    #[command(flatten)]
    pub(super) credentials: CredentialOptions,
    /// Kind of this device's key, when it is created
    #[arg(long, value_enum, default_value_t)]
    pub(super) key_type: KeyType,
    /// Trust any Controller certified by the profile's root, not only those named at the last sign-in
    #[arg(long)]
    pub(super) forget_controllers: bool,
    /// Print the URLs of browser pages instead of opening them
    #[arg(long)]
    pub(super) no_browser: bool,
}

#[derive(Args)]
pub(super) struct SignOutCommand {
    #[command(flatten)]
    choice: ProfileChoice,
}

impl SignInCommand {
    pub(super) async fn run(self, state: &StateDirectory) -> Result<(), Failure> {
        let stored = state.choose(self.choice.profile.as_deref())?;
        super::resolver::put_back(state);
        let session = self.sign_in(state, &stored).await?;
        session.notices.iter().for_each(|notice| output::note(notice));
        match session.no_entitlements {
            Some(why) => output::note(&format!("Signed in, but nothing can be reached: {why}.")),
            None => output::note(&format!("Signed in; {} Site(s) can be reached.", session.sites.len())),
        }
        tell_daemon(state).await
    }

    /// Signs in and keeps what comes of it.
    pub(super) async fn sign_in(
        &self,
        state: &StateDirectory,
        stored: &StoredProfile,
    ) -> Result<crate::store::StoredSession, Failure> {
        let store = state.store(&stored.slot);
        let device = store.device(&SystemRandom)?;
        let key = store.key(self.key_type.into())?;
        let controllers = controllers(state, stored, self.forget_controllers)?;
        let provider = stored.profile.identity_provider.as_str();
        let credentials = self.prove(&controllers, &device, &key, provider).await?;
        let sign_in = SignIn {
            controllers: &controllers,
            store: &store,
            key: &key,
            provider,
            claims: device_claims::collect(&[]),
        };
        sign_in.run(device, &credentials, &StdinFactors { no_browser: self.no_browser }).await
    }
}

impl SignInCommand {
    /// What proves the user: as it was given, else as the provider wants it.
    async fn prove(
        &self,
        controllers: &Controllers,
        device: &Device,
        key: &PrivateKey,
        provider: &str,
    ) -> Result<Credentials, Failure> {
        if !self.credentials.is_enough() {
            let place = Loopback::bind().await.map_err(browser_failure)?;
            let way = way_of(controllers, device, key, provider, place.redirect_uri()).await?;
            match way {
                SignInWay::Browser { url, request } => {
                    let page = Page::elsewhere(place, &url).map_err(browser_failure)?;
                    show_page(&page, self.no_browser);
                    let answer = answer_of(page, self.no_browser).await?;
                    let answer = serde_json::from_str(&answer).expect("the page's own answer");
                    return Ok(Credentials::Browser { request, answer });
                }
                SignInWay::Certificate {} => return Err(wants_certificate(provider)),
                SignInWay::Password {} => {}
            }
        }
        self.credentials.read(device.username.as_deref())
    }
}

fn wants_certificate(provider: &str) -> Failure {
    let cause = format!("users of the identity provider {provider} sign in with a certificate");
    Failure::message(Exit::Usage, cause, "give --certificate and --key, files in PEM")
}

impl SignOutCommand {
    pub(super) async fn run(self, state: &StateDirectory) -> Result<(), Failure> {
        match LocalClient::connect(&state.socket_path()).await {
            Ok(mut daemon) => return done(daemon.ask(&Request::SignOut {}).await),
            // Controllers are found by name.
            Err(LocalError::NotRunning) => _ = super::resolver::put_back(state),
            Err(error) => return Err(local_failure(error)),
        }
        let stored = state.choose(self.choice.profile.as_deref())?;
        let store = state.store(&stored.slot);
        let nobody =
            || Failure::message(Exit::NotSignedIn, "nobody is signed in", "nothing: there is nothing to sign out");
        let session = store.session()?.ok_or_else(nobody)?;
        let key = store.key(KeyType::default().into())?;
        let own = presented(&session.chain, &key)?;
        let controllers = controllers(state, &stored, false)?.with_certificate(own);
        let request =
            ringwall_protocol::wire::client::SignOutRequest { claims_token: session.claims_token.expose().to_owned() };
        // Forgotten here whatever the Controllers say.
        store.forget_session()?;
        let answer = controllers.post::<_, serde::de::IgnoredAny>(Plane::Client, "/client/v1/sign-out", &request).await;
        answer.map_err(Failure::from).map_err(|failure| failure.while_doing("the tokens are deleted here only"))?;
        output::note("Signed out.");
        Ok(())
    }
}

/// The Controllers of a profile, as far as they are known.
fn controllers(state: &StateDirectory, stored: &StoredProfile, forget: bool) -> Result<Controllers, Failure> {
    let store = state.store(&stored.slot);
    let session = if forget { None } else { store.session()? };
    let issued = session.as_ref().and_then(|session| HeldToken::<ClaimsToken>::issued(session.claims_token.expose()));
    let known = session.map(|session| session.controllers).unwrap_or_default();
    let key = store.device(&SystemRandom)?.spa_key.and_then(|key| key.expose().parse().ok());
    Ok(Controllers::of(Arc::new(stored.profile.clone())).known(known).issued(issued).with_device_key(key))
}

/// A running daemon goes on with the new tokens.
async fn tell_daemon(state: &StateDirectory) -> Result<(), Failure> {
    let Ok(mut daemon) = LocalClient::connect(&state.socket_path()).await else { return Ok(()) };
    match daemon.ask(&Request::Reload {}).await {
        Ok(Answer::Done {}) => Ok(()),
        answer => {
            done(answer).map_err(|failure| failure.while_doing("the running daemon did not accept the new sign-in"))
        }
    }
}
