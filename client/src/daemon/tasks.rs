//! Work that runs beside the engine, and its results.

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::id::{PromptId, TransactionId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::wire::client::{Challenge, MfaAnswer, SignOutRequest, StepUpAnswer, StepUpRequest};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::phase::RenewalOutcome;
use crate::browser::{self, BrowserError, Loopback, Page};
use crate::controller::{CallError, Controllers, Plane};
use crate::device_claims::Inspector;
use crate::failure::{Exit, Failure};
use crate::local::Answer;
use crate::sign_in::AskFactor;
use crate::store::StoredSession;

/// The result of a task that has ended.
pub(super) enum TaskResult {
    /// A sign-in.
    SignedIn(Result<Box<StoredSession>, Failure>),
    /// A renewal; what it received before it failed is used.
    Renewed(RenewalOutcome),
    /// A Controller's reply to an answer to a condition's prompt.
    SteppedUp(StepUpReply),
    /// A browser page of a step-up; no result if its prompt was closed before.
    PageReturned {
        prompt: PromptId,
        transaction: TransactionId,
        result: Option<Result<Zeroizing<String>, BrowserError>>,
    },
    /// Claims about this device.
    ClaimsCollected(UntrustedClaims, Inspector),
    /// A sign-out; the daemon stops whatever its result is.
    SignedOut { reply: oneshot::Sender<Answer>, result: Result<(), CallError> },
}

/// A Controller's reply to an answer of the user, and who waits for it.
pub(super) struct StepUpReply {
    pub(super) prompt: PromptId,
    pub(super) reply: oneshot::Sender<Answer>,
    pub(super) result: Result<StepUpAnswer, CallError>,
    /// The loopback listener that a browser can return to.
    pub(super) listener: Option<Loopback>,
}

/// A sign-in needs a further factor from the user.
pub(super) struct FactorRequest {
    pub(super) transaction: TransactionId,
    pub(super) kind: InteractionKind,
    pub(super) message: String,
    pub(super) challenge: Challenge,
    pub(super) page: Option<String>,
    pub(super) again: bool,
    pub(super) reply: oneshot::Sender<Zeroizing<String>>,
}

/// Asks the user through the daemon's prompts.
pub(super) struct PromptFactors {
    pub(super) prompts: tokio::sync::mpsc::Sender<FactorRequest>,
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
            tracing::info!(message, "the user is prompted on another device");
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
        let request = FactorRequest { transaction, kind, message, challenge, page: url, again, reply };
        let stopping = || Failure::message(Exit::Unexpected, "the daemon is stopping", "ringwall up");
        self.prompts.send(request).await.map_err(|_| stopping())?;
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

/// `POST …/sign-out`. The body of the response is ignored.
pub(super) async fn sign_out(controllers: Controllers, claims_token: String) -> Result<(), CallError> {
    let request = SignOutRequest { claims_token };
    controllers.post::<_, serde::de::IgnoredAny>(Plane::Client, "/client/v1/sign-out", &request).await.map(|_| ())
}
