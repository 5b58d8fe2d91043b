//! Seeds of one-time passwords: made by an administrator and shown once, listed without their secret, taken away.

use ringwall_protocol::id::UserId;
use ringwall_protocol::name::UserDn;
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::wire::admin::{List, OtpSeed};
use ringwall_raft::state::totp::{PutTotpSeed, RemoveTotpSeed};
use ringwall_trust::secret::SystemRandom;
use ringwall_trust::totp::Seed;
use serde_json::{Value, json};

use crate::administration::access::authority::Administrator;
use crate::administration::access::granting::check_credential;
use crate::administration::access::sign_in::issuer;
use crate::administration::denial::Denial;
use crate::administration::objects::listing::{Habits, Wanted};
use crate::administration::objects::present::user_dn;
use crate::administration::repeat::Repeat;
use crate::administration::users::Users;
use crate::audit::event as trail;
use crate::identity::directory::{spelled, user_id_of};
use crate::replica::vault::Purpose;

/// How seeds are searched and sorted.
const HABITS: Habits = Habits { searched: &["userDistinguishedName"], order_by: "userDistinguishedName" };

impl Users {
    /// Users with a seed.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn list_seeds(&self, who: &Administrator, wanted: &Wanted) -> Result<List<Value>, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::OtpSeed, None)?;
        let seeds = who.state.totp_seeds().filter_map(|(user, seed)| {
            // Users of other providers are known by their devices.
            let of_device = || who.state.devices_of(user).next().map(|device| device.dn.user.clone());
            let dn = user_dn(&who.state, user).or_else(of_device)?;
            Some(json!({
                "userDistinguishedName": dn,
                "username": dn.user,
                "providerName": dn.provider,
                "verified": seed.confirmed,
            }))
        });
        Ok(wanted.of(seeds.collect(), HABITS))
    }

    /// Gives a user a new seed in place of the former one; the answer is the only place where it is shown.
    ///
    /// # Errors
    /// `Forbidden`, also where the user holds more than the caller; `NotFound`.
    pub(crate) async fn make_seed(
        &self,
        who: &Administrator,
        user: &UserDn,
        repeat: &Repeat,
    ) -> Result<OtpSeed, Denial> {
        who.authority.require(PrivilegeType::Create, PrivilegeTarget::OtpSeed, None)?;
        let user = &spelled(&who.state, user.clone());
        let bearer = bearer(who, user)?;
        let seed = Seed::generate(&SystemRandom);
        let sealed = self.vault.seal(Purpose::TotpSeed(bearer), seed.expose());
        let outcome =
            repeat.propose(&self.replica, PutTotpSeed { user: bearer, seed: sealed, confirmed: true }).await?;
        trail::changed(who, "otp_seed_created", "otp/seeds", &bearer.to_string(), &user.to_string(), outcome.index);
        Ok(OtpSeed {
            user_distinguished_name: user.clone(),
            secret: Some(seed.expose_base32().to_string()),
            otp_auth_url: Some(seed.expose_url(&issuer(&who.state), user.user.as_str()).to_string()),
        })
    }

    /// Takes a user's seed away.
    ///
    /// # Errors
    /// `Forbidden`, also where the user holds more than the caller; `NotFound`.
    pub(crate) async fn remove_seed(&self, who: &Administrator, user: &UserDn, repeat: &Repeat) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Delete, PrivilegeTarget::OtpSeed, None)?;
        let user = &spelled(&who.state, user.clone());
        let bearer = bearer(who, user)?;
        if who.state.totp_seed(bearer).is_none() {
            return Err(Denial::NotFound(format!("{user} has no seed")));
        }
        let outcome = repeat.propose(&self.replica, RemoveTotpSeed { user: bearer }).await?;
        trail::changed(who, "otp_seed_deleted", "otp/seeds", &bearer.to_string(), &user.to_string(), outcome.index);
        Ok(())
    }
}

/// Whose seed it is. What proves a user is for whoever holds no less than that user; what a user of another provider may
/// hold cannot be known without him, so that it is all where the provider has administrators.
fn bearer(who: &Administrator, user: &UserDn) -> Result<UserId, Denial> {
    let nobody = || Denial::NotFound(format!("there is no user {user}"));
    let provider = who.state.identity_provider_named(user.provider.as_str()).ok_or_else(nobody)?;
    if provider.kind() != IdentityProviderKind::LocalDatabase {
        if provider.admin_provider {
            who.authority.require(PrivilegeType::All, PrivilegeTarget::All, None)?;
        }
        return Ok(user_id_of(provider.base.id, &user.user));
    }
    let local = who.state.local_user_named(user.user.as_str()).ok_or_else(nobody)?;
    check_credential(&who.authority, &who.state, local, who.now)?;
    Ok(local.base.id)
}
