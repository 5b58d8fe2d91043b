//! The order of a sign-in as the Client sees it (`docs/token-flow.md` "Sign-in", steps 3 to 12): credentials, perhaps another
//! factor, certificate, entitlements. The shell posts what a step says and feeds the answer back.

use ringwall_protocol::id::TransactionId;
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::wire::client::{Challenge, EntitlementsAnswer, MfaWanted, SignInAnswer, SignedIn};
use ringwall_protocol::wire::error::{ErrorBody, ErrorCode};

/// Answers that a Controller takes in one transaction; a page is opened once.
const TRIES: u8 = 3;

/// What the shell does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// `POST …/sign-in` with the credentials.
    PostCredentials,
    /// Ask the user for another factor, then call [`SignInFlow::factor`].
    AskFactor {
        /// What is asked for.
        kind: InteractionKind,
        /// What the user reads.
        message: String,
        /// Names the transaction, so that an answer finds its question.
        transaction: TransactionId,
        /// What the answer is made of.
        challenge: Challenge,
        /// True if the former answer was wrong.
        again: bool,
    },
    /// `POST …/sign-in/mfa` for this transaction with the factor.
    PostFactor(TransactionId),
    /// `POST …/certificate` with the claims token of [`SignInFlow::signed_in`].
    PostCertificate,
    /// `POST …/entitlements`.
    PostEntitlements,
    /// Everything is there.
    Finished(Finished),
    /// It has ended without success; what it says is for the user.
    Refused(ErrorBody),
}

/// The result of a sign-in.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Claims token, cookie, Controllers.
    pub(crate) signed_in: SignedIn,
    /// Certificate chain, DER in base64url, leaf first.
    pub(crate) chain: Vec<String>,
    /// Entitlement tokens.
    pub(crate) entitlements: EntitlementsAnswer,
}

#[derive(Debug)]
enum Stage {
    Credentials,
    Factor(MfaWanted, u8),
    Certificate(SignedIn),
    Entitlements(SignedIn, Vec<String>),
    Over,
}

/// One sign-in.
#[derive(Debug)]
pub(crate) struct SignInFlow(Stage);

impl SignInFlow {
    /// A sign-in and its first step.
    #[must_use]
    pub(crate) const fn begin() -> (Self, Step) {
        (Self(Stage::Credentials), Step::PostCredentials)
    }

    /// The answer to [`Step::PostCredentials`] or [`Step::PostFactor`].
    pub(crate) fn answered(&mut self, answer: Result<SignInAnswer, ErrorBody>) -> Step {
        match (answer, &self.0) {
            (Ok(SignInAnswer::SignedIn(signed_in)), Stage::Credentials | Stage::Factor(..)) => {
                self.0 = Stage::Certificate(signed_in);
                Step::PostCertificate
            }
            (Ok(SignInAnswer::MfaWanted(wanted)), Stage::Credentials | Stage::Factor(..)) => {
                self.0 = Stage::Factor(wanted.clone(), 1);
                ask(&wanted, false)
            }
            (Err(error), Stage::Factor(wanted, tries))
                if error.code == ErrorCode::MfaRefused && *tries < TRIES && !wanted.challenge.is_page() =>
            {
                let (wanted, tries) = (wanted.clone(), tries + 1);
                let step = ask(&wanted, true);
                self.0 = Stage::Factor(wanted, tries);
                step
            }
            (Err(error), _) => self.refuse(error),
            (Ok(_), _) => self.refuse(out_of_turn()),
        }
    }

    /// The user gave the factor.
    pub(crate) fn factor(&mut self) -> Step {
        match &self.0 {
            Stage::Factor(wanted, _) => Step::PostFactor(wanted.transaction),
            _ => self.refuse(out_of_turn()),
        }
    }

    /// The answer to [`Step::PostCertificate`]: a chain.
    pub(crate) fn certified(&mut self, answer: Result<Vec<String>, ErrorBody>) -> Step {
        match (answer, std::mem::replace(&mut self.0, Stage::Over)) {
            (Ok(chain), Stage::Certificate(signed_in)) => {
                self.0 = Stage::Entitlements(signed_in, chain);
                Step::PostEntitlements
            }
            (Err(error), _) => Step::Refused(error),
            (Ok(_), _) => Step::Refused(out_of_turn()),
        }
    }

    /// The answer to [`Step::PostEntitlements`].
    pub(crate) fn entitled(&mut self, answer: Result<EntitlementsAnswer, ErrorBody>) -> Step {
        match (answer, std::mem::replace(&mut self.0, Stage::Over)) {
            (Ok(entitlements), Stage::Entitlements(signed_in, chain)) => {
                Step::Finished(Finished { signed_in, chain, entitlements })
            }
            (Err(error), _) => Step::Refused(error),
            (Ok(_), _) => Step::Refused(out_of_turn()),
        }
    }

    /// What the sign-in itself gave, from [`Step::PostCertificate`] on.
    #[must_use]
    pub(crate) const fn signed_in(&self) -> Option<&SignedIn> {
        match &self.0 {
            Stage::Certificate(signed_in) | Stage::Entitlements(signed_in, _) => Some(signed_in),
            _ => None,
        }
    }

    /// The sign-in and its certificate chain, at [`Step::PostEntitlements`].
    #[must_use]
    pub(crate) fn certificate(&self) -> Option<(&SignedIn, &[String])> {
        match &self.0 {
            Stage::Entitlements(signed_in, chain) => Some((signed_in, chain)),
            _ => None,
        }
    }

    fn refuse(&mut self, error: ErrorBody) -> Step {
        self.0 = Stage::Over;
        Step::Refused(error)
    }
}

fn ask(wanted: &MfaWanted, again: bool) -> Step {
    let MfaWanted { transaction, kind, message, challenge } = wanted.clone();
    Step::AskFactor { kind, message, transaction, challenge, again }
}

fn out_of_turn() -> ErrorBody {
    ErrorBody::new(ErrorCode::ProtocolError, "the Controller's response does not match the sign-in step")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_in() -> SignedIn {
        SignedIn {
            claims_token: "claims".into(),
            device_cookie: "cookie".into(),
            device_spa_key: None,
            controllers: vec![],
            on_demand_claims: vec![],
            notices: vec![],
        }
    }

    fn wanted() -> MfaWanted {
        MfaWanted {
            transaction: TransactionId::from_random([1; 16]),
            kind: InteractionKind::OtpAuthentication,
            message: "code".into(),
            challenge: Challenge::default(),
        }
    }

    fn entitlements() -> EntitlementsAnswer {
        EntitlementsAnswer { sites: vec![], reason: None, message: None }
    }

    fn error(code: ErrorCode) -> ErrorBody {
        ErrorBody::new(code, "no")
    }

    #[test]
    fn password_alone_goes_straight_to_certificate_and_entitlements() {
        let (mut flow, first) = SignInFlow::begin();
        assert!(matches!(first, Step::PostCredentials));
        assert!(matches!(flow.answered(Ok(SignInAnswer::SignedIn(signed_in()))), Step::PostCertificate));
        assert_eq!(flow.signed_in().map(|s| s.claims_token.as_str()), Some("claims"));
        assert!(matches!(flow.certified(Ok(vec!["leaf".into()])), Step::PostEntitlements));
        let Step::Finished(done) = flow.entitled(Ok(entitlements())) else { panic!("finished") };
        assert_eq!((done.chain, done.signed_in.device_cookie), (vec!["leaf".to_owned()], "cookie".to_owned()));
    }

    #[test]
    fn a_wrong_factor_is_asked_for_again_in_the_same_transaction() {
        let (mut flow, _) = SignInFlow::begin();
        assert!(matches!(flow.answered(Ok(SignInAnswer::MfaWanted(wanted()))), Step::AskFactor { again: false, .. }));
        assert!(matches!(flow.factor(), Step::PostFactor(id) if id == wanted().transaction));
        let again = flow.answered(Err(error(ErrorCode::MfaRefused)));
        assert!(
            matches!(again, Step::AskFactor { again: true, transaction, .. } if transaction == wanted().transaction)
        );
        assert!(matches!(flow.factor(), Step::PostFactor(_)));
        assert!(matches!(flow.answered(Ok(SignInAnswer::SignedIn(signed_in()))), Step::PostCertificate));
    }

    #[test]
    fn nobody_is_asked_for_what_no_controller_takes() {
        let (mut flow, _) = SignInFlow::begin();
        flow.answered(Ok(SignInAnswer::MfaWanted(wanted())));
        let refused = || Err(error(ErrorCode::MfaRefused));
        assert!(matches!(flow.answered(refused()), Step::AskFactor { again: true, .. }));
        assert!(matches!(flow.answered(refused()), Step::AskFactor { again: true, .. }));
        assert!(matches!(flow.answered(refused()), Step::Refused(_)), "three answers are all");
        let (mut flow, _) = SignInFlow::begin();
        let challenge = Challenge::WebAuthn { create: false, options: "{}".to_owned() };
        flow.answered(Ok(SignInAnswer::MfaWanted(MfaWanted { challenge, ..wanted() })));
        assert!(matches!(flow.answered(refused()), Step::Refused(_)), "a page is opened once");
    }

    #[test]
    fn a_refusal_ends_the_sign_in_wherever_it_comes() {
        let (mut flow, _) = SignInFlow::begin();
        let refused = flow.answered(Err(error(ErrorCode::SignInRefused)));
        assert!(matches!(refused, Step::Refused(body) if body.code == ErrorCode::SignInRefused));
        assert!(matches!(flow.factor(), Step::Refused(_)));
        assert!(matches!(flow.entitled(Ok(entitlements())), Step::Refused(_)));

        let (mut flow, _) = SignInFlow::begin();
        flow.answered(Ok(SignInAnswer::SignedIn(signed_in())));
        assert!(matches!(flow.certified(Err(error(ErrorCode::NoQuorum))), Step::Refused(_)));
    }

    #[test]
    fn answers_out_of_turn_are_refused() {
        let (mut flow, _) = SignInFlow::begin();
        assert!(matches!(flow.certified(Ok(vec![])), Step::Refused(_)));
        assert!(matches!(flow.answered(Ok(SignInAnswer::SignedIn(signed_in()))), Step::Refused(_)));
    }
}
