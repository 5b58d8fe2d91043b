//! Renewal of claims: a new claims token from one that is still valid. Everything that a sign-in checks is checked
//! again in the present state, and the user's attributes are read anew (T4): a user who left, or lost a group, keeps nothing of it beyond one token.

use std::collections::BTreeMap;
use std::time::Duration;

use ringwall_protocol::claims::{ClaimMap, StepUp};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::client::{ClaimsAnswer, RenewRequest};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::address::AllocateAddresses;
use ringwall_raft::state::device::TouchDevices;
use ringwall_raft::{Reply, State};
use ringwall_trust::token::Verified;

use super::mint::{Bearer, KnownClaims, Validity, claims_life, claims_token, head};
use super::{Issuing, check};
use crate::identity::directory::{Directory, LookUp};
use crate::issuing::{CertifiedClient, DeviceRequest};
use crate::refusal::Refusal;

/// What of a claims token is new.
#[derive(Debug, Clone)]
pub(crate) struct ReMint {
    pub(crate) user: ClaimMap,
    pub(crate) step_ups: BTreeMap<String, StepUp>,
    /// A shorter lifetime than usual.
    pub(crate) life: Option<Duration>,
}

impl Issuing {
    /// A new claims token.
    ///
    /// # Errors
    /// Token errors; `tokenRevoked` if the user is gone or disabled; `mfaRequired` where every sign-in needs a factor
    /// and the former one has reached its end.
    pub(crate) async fn renew(
        &self,
        caller: &CertifiedClient,
        request: &RenewRequest,
        now: UnixMillis,
    ) -> Result<ClaimsAnswer, Refusal> {
        let state = self.replica.current().await?;
        let claims = check::bound_claims_token(&state, &request.claims_token, &caller.leaf, now)?;
        self.count_request(&claims.head, DeviceRequest::Renew, now)?;
        request.device_claims.0.check().map_err(|error| Refusal::invalid(format!("deviceClaims: {error}")))?;
        self.device_claims.hear((claims.head.user_id, claims.head.device_id), &request.device_claims, now);
        let provider = check::provider_of(&state, &claims.head)?;
        let (user, life) = self.claims_now(&state, caller, provider, &claims).await?;
        let step_ups = claims.step_ups.clone();
        let claims_token = self.mint_again(&claims, ReMint { user, step_ups, life }).await?;
        Ok(ClaimsAnswer { claims_token })
    }

    /// What the provider says of the user now. One that can only be asked with the user's credential keeps its word until
    /// the sign-in ends; one that does not answer is believed for a quarter of an hour, and no token is valid longer.
    async fn claims_now(
        &self,
        state: &State,
        caller: &CertifiedClient,
        provider: &IdentityProvider,
        claims: &ClaimsToken,
    ) -> Result<(ClaimMap, Option<Duration>), Refusal> {
        let found = match self.providers.directories.look_up(state, provider, &claims.head.sub.user.user).await {
            Err(refusal) if refusal.code == ErrorCode::ProviderUnavailable => {
                let left = self.providers.outages.failed(provider.base.id, self.replica.now()).ok_or(refusal)?;
                self.audit
                    .event("renewed_without_provider", Some(&claims.head.sub), caller.address)
                    .with("grace_seconds", left.as_secs())
                    .emit();
                return Ok((claims.user.clone(), Some(left)));
            }
            other => other?,
        };
        self.providers.outages.answered(provider.base.id);
        Ok((decide(claims, found)?, None))
    }

    /// Mints a successor of a token that was valid a moment ago, from a state in which it still is.
    pub(crate) async fn mint_again(&self, former: &Verified<ClaimsToken>, new: ReMint) -> Result<String, Refusal> {
        let (user, device) = (former.head.user_id, former.head.device_id);
        let allocate = AllocateAddresses { user_id: user, provider_id: former.head.provider_id, device_id: device };
        let seen = TouchDevices { devices: vec![(user, device)] };
        let reply = self.replica.change(ringwall_raft::Command::Group(vec![allocate.into(), seen.into()])).await?;
        let Reply::Group(parts) = reply else { return Err(Refusal::internal()) };
        let Some(Reply::Addresses(addresses)) = parts.into_iter().next() else { return Err(Refusal::internal()) };
        let state = self.replica.current().await?;
        check::stands(&state, &**former)?;
        check::still_known(&state, &former.head)?;
        let collective = check::collective(&state)?;
        let validity = Validity {
            idx: state.index(),
            now: self.replica.now(),
            life: new.life.map_or(claims_life(collective), |life| life.min(claims_life(collective))),
            not_after: former.sign_in_until,
        };
        let head = head(collective, &Bearer::of(&former.head), collective.id.uuid(), validity);
        let known = KnownClaims {
            sign_in_idx: former.sign_in_idx,
            auth_time: former.auth_time,
            sign_in_until: former.sign_in_until,
            user: new.user,
            step_ups: new.step_ups,
            addresses,
        };
        let token = claims_token(head, known);
        self.signers.sign(&state, &token)
    }
}

/// What a renewed token says of the user, by what his provider says of him now. Pure.
///
/// # Errors
/// `tokenRevoked` for a user who is gone, disabled, or another one.
fn decide(claims: &ClaimsToken, found: LookUp) -> Result<ClaimMap, Refusal> {
    match found {
        LookUp::Known(user) if user.id == claims.head.user_id && user.name == claims.head.sub.user.user => {
            Ok(user.claims)
        }
        LookUp::Unreadable => Ok(claims.user.clone()),
        LookUp::Known(_) | LookUp::Gone => Err(Refusal::new(ErrorCode::TokenRevoked, "the user is gone or disabled")),
    }
}
