//! Work that runs beside the engine, and how its results come back.

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::id::{PromptId, TransactionId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::wire::client::{Challenge, MfaAnswer, SignOutRequest, StepUpAnswer, StepUpRequest};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::renewing::Fruits;
use crate::browser::{self, BrowserError, Loopback, Page};
use crate::controller::{CallError, Controllers, Plane};
use crate::device_claims::FileHashes;
use crate::failure::{Exit, Failure};
use crate::local::Answer;
use crate::sign_in::AskFactor;
use crate::store::StoredSession;

/// What has come to its end.
pub(super) enum Done {
    /// A sign-in.
    SignedIn(Result<Box<StoredSession>, Failure>),
    /// A renewal; what it got before it failed counts.
    Renewed(Fruits),
    /// An answer to a question of a condition.
    SteppedUp {
        prompt: PromptId,
        reply: oneshot::Sender<Answer>,
        result: Result<StepUpAnswer, CallError>,
        /// Where a browser can come back to.
        place: Option<Loopback>,
    },
    /// A page of a step-up; without a result its question was over before.
    Paged { prompt: PromptId, transaction: TransactionId, result: Option<Result<Zeroizing<String>, BrowserError>> },
    /// A look at this device.
    Looked(UntrustedClaims, FileHashes),
    /// A sign-out; the engine goes down whatever came of it.
    SignedOut { reply: oneshot::Sender<Answer>, result: Result<(), CallError> },
}

/// A sign-in wants a further factor from the user.
pub(super) struct FactorWanted {
    pub(super) transaction: TransactionId,
    pub(super) kind: InteractionKind,
    pub(super) message: String,
    pub(super) challenge: Challenge,
    pub(super) page: Option<String>,
    pub(super) again: bool,
    pub(super) reply: oneshot::Sender<Zeroizing<String>>,
}

/// Asks through the daemon's prompts.
pub(super) struct PromptFactors {
    pub(super) prompts: tokio::sync::mpsc::Sender<FactorWanted>,
    pub(super) no_browser: bool,
}

impl AskFactor for PromptFactors {
    async fn ask_factor(
        &self,
        transaction: TransactionId,
        kind: InteractionKind,
        message: &str,
        challenge: &Challenge,
        again: bool,
    ) -> Result<Zeroizing<String>, Failure> {
        if matches!(challenge, Challenge::Push {}) {
            tracing::info!(message, "the user is asked elsewhere");
            return Ok(Zeroizing::new(String::new()));
        }
        let (reply, answer) = oneshot::channel();
        let (message, challenge) = (message.to_owned(), challenge.clone());
        let unusable = |error: BrowserError| Failure::new(Exit::Refused, error, "ringwall sign-in");
        let page = Page::of(&challenge, None).await.map_err(unusable)?;
        let url = page.as_ref().map(Page::url);
        if let Some(url) = url.as_ref().filter(|_| !self.no_browser) {
            browser::open(url);
        }
        let wanted = FactorWanted { transaction, kind, message, challenge, page: url, again, reply };
        let stopping = || Failure::told(Exit::Unexpected, "the daemon is going down", "ringwall up");
        self.prompts.send(wanted).await.map_err(|_| stopping())?;
        match page {
            // The prompt stays open until the sign-in is over, but nobody has to answer it.
            Some(page) => page.answer().await.map_err(unusable),
            None => answer.await.map_err(|_| stopping()),
        }
    }
}

/// `POST …/step-up`.
pub(super) async fn step_up(controllers: Controllers, request: StepUpRequest) -> Result<StepUpAnswer, CallError> {
    controllers.post(Plane::Client, "/client/v1/step-up", &request).await
}

/// `POST …/step-up/mfa`.
pub(super) async fn step_up_factor(controllers: Controllers, answer: MfaAnswer) -> Result<StepUpAnswer, CallError> {
    controllers.post(Plane::Client, "/client/v1/step-up/mfa", &answer).await
}

/// `POST …/sign-out`. What it answers does not matter, only that it does.
pub(super) async fn sign_out(controllers: Controllers, claims_token: String) -> Result<(), CallError> {
    let request = SignOutRequest { claims_token };
    controllers.post::<_, serde::de::IgnoredAny>(Plane::Client, "/client/v1/sign-out", &request).await.map(|_| ())
}
