//! The break-glass administrator (T62): a code that `init` printed once, kept sealed, signs in where nobody else can. It needs
//! no provider, no policy and no second factor, cannot be blocked or locked out, holds everything for an hour, and is seen by
//! everybody: in the audit, the log, the metrics, the status, and the message that administrators read at sign-in.

use std::net::IpAddr;
use std::time::Duration;

use ringwall_protocol::id::{ProviderId, Thumbprint, UserId};
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn, UserName};
use ringwall_protocol::object::identity_provider::BREAK_GLASS;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::admin::{BreakGlassCode as Shown, LoginAnswer, LoginRequest};
use ringwall_raft::state::admin_session::{AdminSession, OpenAdminSession};
use ringwall_raft::state::approval::ProtectedOrder;
use ringwall_raft::state::break_glass::{BreakGlassHash, UseBreakGlass};
use ringwall_raft::{Command, Reply, State};
use ringwall_trust::secret::Random;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::authority::{Administrator, Authority};
use super::session::{new_id, not_signed_in};
use super::sign_in::{admin_user, answer, event};
use crate::administration::access::Access;
use crate::administration::approvals;
use crate::administration::denial::Denial;
use crate::administration::repeat::Repeat;
use crate::refusal::Refusal;
use crate::setup::founding::one_time_password;

/// A session that the code opened ends after this: time to mend what kept administrators out.
const LIFE: Duration = Duration::from_secs(3_600);
/// Administrators read of a use at sign-in for this long.
const TOLD_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A break-glass code: 120 random bits in groups that can be typed. No `Debug`.
#[derive(Clone)]
pub struct BreakGlassCode(Zeroizing<String>);

impl BreakGlassCode {
    /// A new one.
    #[must_use]
    pub(crate) fn generate(random: &dyn Random) -> Self {
        Self(one_time_password(random))
    }

    /// The text, for the operator's terminal.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// As the state knows it.
    #[must_use]
    pub(crate) fn hash(&self) -> BreakGlassHash {
        hash(&self.0)
    }
}

/// Groups and case are for people.
fn hash(text: &str) -> BreakGlassHash {
    let plain: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect());
    BreakGlassHash::new(blake3::derive_key("ringwall break-glass code", plain.as_bytes()))
}

impl Access {
    /// Signs the break-glass administrator in. The session is bound to the key that the caller proves.
    ///
    /// # Errors
    /// `signInRefused` for a wrong code; `proofInvalid` without a proof of a key; `noQuorum`.
    pub(super) async fn break_glass_sign_in(
        &self,
        (key, from): (Option<Thumbprint>, IpAddr),
        request: LoginRequest,
        now: UnixMillis,
    ) -> Result<LoginAnswer, Denial> {
        let key = key.ok_or_else(|| {
            not_signed_in(
                "proofInvalid",
                "the break-glass administrator signs in with a proof of a key only; use ringctl",
            )
        })?;
        let code = Zeroizing::new(request.password);
        let state = self.replica.current().await?;
        let dn = SessionDn { device: request.device_id, user: user() };
        let session = AdminSession {
            id: new_id(),
            user_id: UserId::new(Uuid::nil()),
            provider_id: ProviderId::new(Uuid::nil()),
            dn: dn.clone(),
            claims: None,
            key: Some(key),
            source: from,
            started_idx: state.index(),
            created_at: UnixMillis(0),
            last_used_at: UnixMillis(0),
            expires_at: now.plus(LIFE),
        };
        let open = Command::Group(vec![
            UseBreakGlass { hash: hash(&code), source: from.to_canonical() }.into(),
            OpenAdminSession { session: session.clone() }.into(),
        ]);
        let known = state.break_glass().is_some_and(|glass| glass.hash == hash(&code));
        let accepted = known && !matches!(self.replica.propose(open).await?.reply, Reply::Refused(_));
        if !accepted {
            event("break_glass_refused", &state, &dn, from).emit();
            tracing::warn!(%from, "a wrong break-glass code was given");
            return Err(Refusal::sign_in().into());
        }
        event("break_glass_used", &state, &dn, from).emit();
        tracing::warn!(%from, "THE BREAK-GLASS ADMINISTRATOR SIGNED IN; renew the code when it is no longer needed");
        metrics::counter!("ringwall_break_glass_uses_total").increment(1);
        let state = self.replica.current().await?;
        let (token, expires) = self.admin_token(&state, &session, now)?;
        Ok(answer(&state, admin_user(&session, &Authority::everything(), false), (token, expires), now))
    }

    /// Makes a new code in place of the former one; the answer is the only place where it is shown.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not hold everything; `ApprovalWanted` under dual control.
    pub(crate) async fn renew_break_glass(&self, who: &Administrator, repeat: &Repeat) -> Result<Shown, Denial> {
        let order = ProtectedOrder::RenewBreakGlass;
        let carried_out = approvals::carry_out_with_code(&self.replica, who, order, repeat).await?;
        let code = carried_out.code.ok_or_else(Refusal::internal)?;
        Ok(Shown { code: code.expose().to_owned() })
    }
}

/// The user that the code stands for.
fn user() -> UserDn {
    UserDn {
        user: UserName::parse(BREAK_GLASS).expect("a constant name"),
        provider: ProviderName::parse(BREAK_GLASS).expect("a constant name"),
    }
}

/// What administrators are told at sign-in of a use a short time ago.
pub(super) fn notice(state: &State, now: UnixMillis) -> Option<String> {
    let (at, from) = state.break_glass()?.used?;
    let recent = now < at.plus(TOLD_FOR);
    recent.then(|| format!("The break-glass administrator signed in at {at} from {from}."))
}

#[cfg(test)]
mod tests {
    use ringwall_trust::secret::SystemRandom;

    use super::*;

    #[test]
    fn a_code_is_known_however_it_is_typed_and_differs_from_every_other() {
        let (one, other) = (BreakGlassCode::generate(&SystemRandom), BreakGlassCode::generate(&SystemRandom));
        assert_eq!(hash(&one.expose().to_uppercase().replace('-', " ")), one.hash());
        assert_ne!(one.hash(), other.hash());
    }
}
