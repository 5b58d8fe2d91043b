//! Security keys (FIDO2, WebAuthn level 3) as another factor.
//!
//! The relying party is `localhost`: the page on which the key is touched belongs to the Client on the user's machine
//! (`docs/decisions/0006`). Keys verify their user (PIN, fingerprint), so that a found one signs nobody in. A user registers
//! a key at a sign-in with a code that an administrator gave: a password alone never registers one. Keys' counters move on
//! in the replicated state, so that no answer counts twice anywhere, and a copied key is noticed.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::object::MfaProvider;
use ringwall_protocol::wire::client::{Challenge, InputType};
use ringwall_raft::State;
use ringwall_raft::state::security_key::{AddSecurityKey, RegistrationCode, SecurityKey as Kept, UseSecurityKey};
use ringwall_trust::secret::SecretKey;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::{
    Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, Url,
    Webauthn, WebauthnBuilder, WebauthnError,
};
use zeroize::Zeroizing;

use super::{Disturbs, Factor, FactorUser, Given, Verdict, refused};
use crate::identity::directory::Further;
use crate::refusal::Refusal;
use crate::replica::vault::{Purpose, Vault};

/// The relying party: the name under which a Client's page stands on the user's own machine.
const RELYING_PARTY: &str = "localhost";
/// Its origin; the port is the Client's of the moment.
const ORIGIN: &str = "http://localhost";

/// What is asked, and must be known again when the answer comes. Sealed with the transaction, never sent out.
#[derive(Serialize, Deserialize)]
enum Asked {
    /// For the code that lets the user register a key.
    Code,
    /// For a new key.
    Create { state: Box<PasskeyRegistration>, code: RegistrationCode },
    /// For the touch of a known key.
    Get { state: Box<PasskeyAuthentication> },
}

/// Security keys.
pub(crate) struct Fido2Factor {
    vault: Arc<Vault>,
    verifier: Webauthn,
}

impl Fido2Factor {
    /// Keys whose records `vault` opens.
    #[must_use]
    pub(crate) fn new(vault: Arc<Vault>) -> Self {
        Self { vault, verifier: verifier().expect("a constant relying party and origin") }
    }

    /// The user's registered keys, opened.
    fn keys(&self, state: &State, bearer: FactorUser<'_>) -> Result<Vec<Passkey>, Refusal> {
        let kept = state.security_keys_of(bearer.user).map(|known| known.keys.as_slice()).unwrap_or_default();
        kept.iter().map(|key| self.open(bearer, key)).collect()
    }

    fn open(&self, bearer: FactorUser<'_>, key: &Kept) -> Result<Passkey, Refusal> {
        let bytes = self.vault.open(Purpose::SecurityKey(bearer.user), key.record.as_str())?;
        serde_json::from_slice(&bytes).map_err(|error| {
            tracing::error!(%error, "a stored security key is damaged");
            Refusal::internal()
        })
    }

    fn seal(&self, bearer: FactorUser<'_>, key: &Passkey) -> Result<ringwall_raft::state::secret::Sealed, Refusal> {
        let bytes = Zeroizing::new(serde_json::to_vec(key).map_err(|_| Refusal::internal())?);
        Ok(self.vault.seal(Purpose::SecurityKey(bearer.user), &bytes))
    }

    /// The code was typed: if it is right, a key is asked for.
    fn code_given(&self, state: &State, bearer: FactorUser<'_>, given: Given<'_>) -> Result<Verdict, Refusal> {
        let code = given.answer.trim().parse::<SecretKey>().map(|code| RegistrationCode::new(code.digest()));
        let permission = state.security_keys_of(bearer.user).and_then(|known| known.permission.as_ref());
        let (Ok(code), Some(permission)) = (code, permission) else { return Ok(Verdict::Wrong) };
        if permission.code != code || permission.not_after <= given.now {
            return Ok(Verdict::Wrong);
        }
        let known = self.keys(state, bearer)?.iter().map(|key| key.cred_id().clone()).collect();
        let name = bearer.dn.user.as_str();
        let begun = self.verifier.start_passkey_registration(bearer.user.uuid(), name, name, Some(known));
        let (options, registration) = begun.map_err(|error| unasked(&error))?;
        let asked = Asked::Create { state: Box::new(registration), code };
        further(true, &options.public_key, &asked).map(Verdict::Further)
    }

    /// A new key came.
    fn created(
        &self,
        bearer: FactorUser<'_>,
        registration: &PasskeyRegistration,
        code: RegistrationCode,
        given: Given<'_>,
    ) -> Result<Verdict, Refusal> {
        let Some(answer) = parsed::<RegisterPublicKeyCredential>(given.answer) else { return Ok(Verdict::Wrong) };
        let key = match self.verifier.finish_passkey_registration(&answer, registration) {
            Ok(key) => key,
            Err(error) => return Ok(wrong("a new security key is refused", &error)),
        };
        let kept = Kept {
            id: BASE64URL_NOPAD.encode(key.cred_id()),
            name: format!("key of {}", given.now),
            record: self.seal(bearer, &key)?,
            counter: 0,
            registered_at: given.now,
            used_at: None,
        };
        Ok(Verdict::Right { spend: vec![AddSecurityKey { user: bearer.user, key: kept, code }.into()] })
    }

    /// A known key was touched.
    fn touched(
        &self,
        state: &State,
        bearer: FactorUser<'_>,
        authentication: &PasskeyAuthentication,
        given: Given<'_>,
    ) -> Result<Verdict, Refusal> {
        let Some(answer) = parsed::<PublicKeyCredential>(given.answer) else { return Ok(Verdict::Wrong) };
        let result = match self.verifier.finish_passkey_authentication(&answer, authentication) {
            Ok(result) => result,
            Err(error) => return Ok(wrong("an answer of a security key is refused", &error)),
        };
        let id = BASE64URL_NOPAD.encode(result.cred_id());
        let kept = state.security_keys_of(bearer.user).and_then(|known| known.keys.iter().find(|key| key.id == id));
        // Taken away since it was asked for.
        let Some(kept) = kept else { return Ok(Verdict::Wrong) };
        let mut key = self.open(bearer, kept)?;
        key.update_credential(&result);
        let record = self.seal(bearer, &key)?;
        let spend = UseSecurityKey { user: bearer.user, key: id, counter: result.counter(), record };
        Ok(Verdict::Right { spend: vec![spend.into()] })
    }
}

impl std::fmt::Debug for Fido2Factor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fido2Factor")
    }
}

impl Factor for Fido2Factor {
    fn asks_first(&self, _: &MfaProvider) -> bool {
        true
    }

    fn disturbs(&self, _: &MfaProvider) -> Disturbs {
        Disturbs::Never
    }

    async fn begin(&self, state: &State, _: &MfaProvider, bearer: FactorUser<'_>) -> Result<Further, Refusal> {
        let keys = self.keys(state, bearer)?;
        let permitted = state.security_keys_of(bearer.user).is_some_and(|known| known.permission.is_some());
        // An open permission comes first: who was given a code wants to register, perhaps because a key was lost.
        if keys.is_empty() || permitted {
            let challenge = Challenge::Text { input: InputType::Masked };
            let message = "Code from your administrator, to register a security key".to_owned();
            return Ok(Further { challenge, message, kept: bytes(&Asked::Code)? });
        }
        let begun = self.verifier.start_passkey_authentication(&keys);
        let (options, authentication) = begun.map_err(|error| unasked(&error))?;
        further(false, &options.public_key, &Asked::Get { state: Box::new(authentication) })
    }

    async fn verify(
        &self,
        state: &State,
        _: &MfaProvider,
        bearer: FactorUser<'_>,
        given: Given<'_>,
    ) -> Result<Verdict, Refusal> {
        match serde_json::from_slice(given.kept).map_err(|_| refused())? {
            Asked::Code => self.code_given(state, bearer, given),
            Asked::Create { state: registration, code } => self.created(bearer, &registration, code, given),
            Asked::Get { state: authentication } => self.touched(state, bearer, &authentication, given),
        }
    }
}

fn verifier() -> Result<Webauthn, WebauthnError> {
    let origin = Url::parse(ORIGIN).map_err(|_| WebauthnError::Configuration)?;
    WebauthnBuilder::new(RELYING_PARTY, &origin)?.rp_name("Ringwall").allow_any_port(true).build()
}

fn further(create: bool, options: &impl Serialize, asked: &Asked) -> Result<Further, Refusal> {
    let options = serde_json::to_string(options).map_err(|_| Refusal::internal())?;
    Ok(Further { challenge: Challenge::WebAuthn { create, options }, message: String::new(), kept: bytes(asked)? })
}

fn bytes(asked: &Asked) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    serde_json::to_vec(asked).map(Zeroizing::new).map_err(|error| {
        tracing::error!(%error, "a security key's challenge has no encoding");
        Refusal::internal()
    })
}

fn parsed<T: DeserializeOwned>(answer: &str) -> Option<T> {
    serde_json::from_str(answer).ok()
}

fn wrong(what: &'static str, error: &WebauthnError) -> Verdict {
    tracing::warn!(%error, "{what}");
    Verdict::Wrong
}

fn unasked(error: &WebauthnError) -> Refusal {
    tracing::error!(%error, "a security key cannot be asked for");
    Refusal::internal()
}
