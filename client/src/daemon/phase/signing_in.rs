//! Sign-ins of the daemon: at the start, when somebody else signed in beside it, and again if it was told to.

use std::sync::Arc;

use ringwall_protocol::id::PromptId;
use ringwall_protocol::interaction::InteractionKind;

use super::calls::{Done, FactorWanted, PromptFactors};
use super::engine::Engine;
use super::session::Session;
use crate::clock;
use crate::controller::Controllers;
use crate::core::prompts::{Asker, Question};
use crate::core::renewal::RenewalPlan;
use crate::failure::{Exit, Failure};
use crate::local::Event;
use crate::sign_in::SignIn;
use crate::status::ClientState;
use crate::store::StoredSession;

impl Engine {
    /// Goes on with the sign-in on disk, or begins a new one.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        let stored = if self.options.fresh { None } else { self.store.session()? };
        if let Some(stored) = stored {
            match self.open(stored) {
                Ok(session) if session.usable(clock::now()) => return self.enter(session).await,
                Ok(_) => tracing::info!("the last sign-in has run out"),
                Err(failure) => tracing::warn!(cause = %failure, "the last sign-in cannot be used"),
            }
        }
        if self.options.credentials.is_none() {
            return Err(Failure::told(
                Exit::NotSignedIn,
                "nobody is signed in, and no credentials were given",
                "ringwall sign-in, or: ringwall up --username … --password-file …",
            ));
        }
        self.start_sign_in()
    }

    /// Starts a sign-in with the credentials of the command line.
    fn start_sign_in(&mut self) -> Result<(), Failure> {
        let Some(credentials) = self.options.credentials.clone() else { return Ok(()) };
        let device = self.store.device(&ringwall_trust::secret::SystemRandom)?;
        let controllers = self.controllers();
        let (store, key) = (self.store.clone(), Arc::clone(&self.key));
        let provider = self.options.stored.profile.identity_provider.as_str().to_owned();
        let claims = self.device_claims.borrow().as_ref().clone();
        let factors = PromptFactors { prompts: self.factors.clone(), no_browser: self.options.no_browser };
        self.signing_in = true;
        self.tasks.spawn(async move {
            let sign_in = SignIn { controllers: &controllers, store: &store, key: &key, provider: &provider, claims };
            Done::SignedIn(sign_in.run(device, &credentials, &factors).await.map(Box::new))
        });
        Ok(())
    }

    /// A sign-in has ended.
    pub(super) async fn signed_in(&mut self, result: Result<Box<StoredSession>, Failure>) -> Result<(), Failure> {
        self.signing_in = false;
        self.close_sign_in_prompts();
        let entered = match result {
            Ok(stored) => match self.open(*stored) {
                Ok(session) => self.enter(session).await,
                Err(failure) => Err(failure),
            },
            Err(failure) => Err(failure),
        };
        match entered {
            // The first sign-in decides whether there is a daemon at all.
            Err(failure) if self.session.is_none() => Err(failure),
            Err(failure) => {
                // Never again with the same credentials by itself: it could lock the user out.
                self.sign_in_refused = true;
                self.note_failure("sign-in", &failure);
                self.want_sign_in(format!("{:#}", failure.cause));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Somebody signed in beside the daemon: its tokens are on disk.
    pub(super) async fn reload(&mut self) -> Result<(), Failure> {
        let nothing = || Failure::told(Exit::NotSignedIn, "there is no sign-in on disk", "ringwall sign-in");
        let stored = self.store.session()?.ok_or_else(nothing)?;
        let session = self.open(stored)?;
        self.sign_in_refused = false;
        self.enter(session).await
    }

    /// Only a sign-in helps: by itself if it was told to and never refused, otherwise by the user.
    pub(super) fn want_sign_in(&mut self, cause: String) {
        tracing::warn!(cause, "a new sign-in is needed");
        self.note("sign-in", cause.clone(), "ringwall sign-in");
        self.sign_in_wanted = Some(cause);
        let by_itself = self.options.reconnect && !self.sign_in_refused && !self.signing_in;
        if by_itself && let Err(failure) = self.start_sign_in() {
            self.note_failure("sign-in", &failure);
        }
    }

    /// A sign-in wants a further factor: a question like any other.
    pub(super) fn ask_factor(&mut self, wanted: FactorWanted) {
        let prompt_id = PromptId::new(wanted.transaction.uuid());
        let question = Question {
            prompt_id,
            kind: wanted.kind,
            message: sign_in_message(&wanted.message, wanted.kind),
            challenge: wanted.challenge,
            page: wanted.page,
            entitlement: None,
            condition: None,
            site: None,
            destination: None,
            blocking: true,
            again: wanted.again,
            opened_at: clock::now(),
        };
        if self.prompts.ask(Asker::SignIn(wanted.transaction), question.clone()).is_ok() {
            self.pending_factors.insert(wanted.transaction, wanted.reply);
            self.tell(Event::Prompt { prompt: question });
        }
    }

    fn close_sign_in_prompts(&mut self) {
        for id in self.prompts.sign_in_over() {
            self.tell(Event::PromptClosed { prompt_id: id });
        }
        self.pending_factors.clear();
    }

    fn open(&mut self, stored: StoredSession) -> Result<Session, Failure> {
        self.serial += 1;
        let serial = self.serial << 32; // renewals of one sign-in count below it
        Session::open(stored, self.holder, &self.key, self.controllers(), serial)
    }

    /// Makes a session the daemon's: device, routes, links.
    async fn enter(&mut self, session: Session) -> Result<(), Failure> {
        tracing::info!(dn = %session.claims.head.sub, sites = session.sites.len(), "signed in");
        self.plan = RenewalPlan::new(&session.claims.head.sub.to_string());
        self.plan.hold_claims(session.claims.life());
        self.plan.hold_certificate(session.certificate);
        self.plan.hold_entitlements(session.sites.values().map(|token| token.life()));
        self.prepare_network(session.addresses()).await?;
        for notice in session.stored.notices.clone() {
            self.note("password", notice, "see the identity provider");
        }
        self.session = Some(session);
        self.sign_in_wanted = None;
        self.troubles.mended("sign-in");
        self.troubles.mended("renewal");
        self.look_at_device();
        self.settle_sites().await;
        Ok(())
    }

    /// The Controllers as they are known before a session is there.
    fn controllers(&self) -> Controllers {
        let known = match self.store.session() {
            Ok(Some(stored)) if !self.options.forget_controllers => stored.controllers,
            _ => vec![],
        };
        let device = self.store.device(&ringwall_trust::secret::SystemRandom).ok();
        let key = device.and_then(|device| device.spa_key).and_then(|key| key.expose().parse().ok());
        Controllers::of(Arc::new(self.options.stored.profile.clone())).known(known).with_device_key(key)
    }

    /// How the Client as a whole stands.
    pub(super) fn state(&self) -> ClientState {
        if self.stopping {
            return ClientState::Stopping;
        }
        if self.signing_in {
            return ClientState::SigningIn;
        }
        let Some(session) = self.session.as_ref().filter(|_| self.sign_in_wanted.is_none()) else {
            return ClientState::SignInRequired;
        };
        if session.sites.is_empty() {
            return ClientState::NoEntitlements;
        }
        if self.sites.values().all(super::sites::Site::carries) {
            ClientState::Connected
        } else {
            ClientState::Connecting
        }
    }
}

fn sign_in_message(message: &str, kind: InteractionKind) -> String {
    match (message, kind) {
        ("", InteractionKind::OtpAuthentication) => "One-time password".to_owned(),
        ("", _) => "Password".to_owned(),
        (message, _) => message.chars().filter(|c| !c.is_control()).collect(),
    }
}
