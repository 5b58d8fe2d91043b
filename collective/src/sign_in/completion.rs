//! The end of a sign-in: the device is registered, addresses are allocated, and the claims token is minted, in the state
//! that contains the registration (T4).

use ringwall_protocol::id::SignInId;
use ringwall_protocol::wire::client::SignedIn;
use uuid::Uuid;

use super::devices::{self, Cookie, Registered, Registering};
use super::{AuthenticatedUser, SignIn};
use crate::issuing::check;
use crate::issuing::mint::{Bearer, KnownClaims, Validity, claims_life, claims_token, head, minutes};
use crate::refusal::Refusal;

impl SignIn {
    /// Registers the device, allocates addresses, mints the claims token.
    pub(super) async fn complete_sign_in(
        &self,
        authenticated: AuthenticatedUser,
        mfa_given: bool,
    ) -> Result<SignedIn, Refusal> {
        let (new_cookie, cookie_text) = Cookie::fresh();
        let registering = Registering { authenticated: &authenticated, new_cookie: &new_cookie, mfa_given };
        let Registered { addresses, spa_key, matched } = self.register(registering).await?;
        // The registration is part of this state, and so is every revocation that was committed before it.
        let state = self.replica.current().await?;
        if state.blocked(&authenticated.begun.dn.user).is_some() {
            return Err(Refusal::sign_in());
        }
        let collective = check::collective(&state)?;
        let now = self.replica.now();
        let bearer = Bearer {
            dn: authenticated.begun.dn.clone(),
            sid: SignInId::new(Uuid::new_v4()),
            user: authenticated.user.id,
            provider: authenticated.begun.provider.base.id,
            device: authenticated.begun.dn.device,
            jkt: authenticated.begun.jkt,
        };
        let sign_in_life = minutes(collective.settings.max_sign_in_minutes, u32::MAX / 60);
        let sign_in_until = authenticated.begun.started_at.plus(sign_in_life);
        let sign_in_until = authenticated.user.until.map_or(sign_in_until, |end| end.min(sign_in_until)).seconds();
        let validity = Validity {
            idx: authenticated.begun.started_idx,
            now,
            life: claims_life(collective),
            not_after: sign_in_until,
        };
        let known = KnownClaims {
            sign_in_idx: authenticated.begun.started_idx,
            auth_time: authenticated.begun.started_at.seconds(),
            sign_in_until,
            user: authenticated.user.claims,
            step_ups: authenticated.step_ups,
            addresses,
        };
        let token = claims_token(head(collective, &bearer, collective.id.uuid(), validity), known);
        check::stands(&state, &token)?;
        let text = self.signers.sign(&state, &token)?;
        if !matched {
            self.audit.event("device_registered", Some(&authenticated.begun.dn), authenticated.begun.from).emit();
        }
        self.audit
            .event("authentication_succeeded", Some(&authenticated.begun.dn), authenticated.begun.from)
            .at(authenticated.begun.started_idx)
            .with("claims_token_id", token.head.jti.to_string())
            .emit();
        metrics::counter!("ringwall_sign_ins_total").increment(1);
        Ok(SignedIn {
            claims_token: text,
            device_cookie: cookie_text,
            device_spa_key: spa_key,
            controllers: devices::controllers(&state),
            on_demand_claims: authenticated.begun.provider.on_demand_claim_mappings,
            notices: authenticated.user.notices,
        })
    }
}
