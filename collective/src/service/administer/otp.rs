//! Seeds of one-time passwords: made by an administrator and shown once, listed without their secret, taken away.

use ringwall_protocol::name::UserDn;
use ringwall_protocol::object::LocalUser;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::wire::admin::{List, OtpSeed};
use ringwall_raft::State;
use ringwall_raft::state::totp::{PutTotpSeed, RemoveTotpSeed};
use ringwall_trust::secret::SystemRandom;
use ringwall_trust::totp::Seed;
use serde_json::{Value, json};

use super::authority::Administrator;
use super::denial::Denial;
use super::granting::check_credential;
use super::listing::{Habits, Wanted};
use super::present::user_dn;
use super::repeat::Repeat;
use super::sign_in::issuer;
use super::trail;
use crate::clock;
use crate::controller::Controller;
use crate::vault::Purpose;

/// How seeds are searched and sorted.
const HABITS: Habits = Habits { searched: &["userDistinguishedName"], order_by: "userDistinguishedName" };

impl Controller {
    /// Users with a seed.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn list_seeds(&self, who: &Administrator, wanted: &Wanted) -> Result<List<Value>, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::OtpSeed, None)?;
        let seeds = who.state.totp_seeds().filter_map(|(user, seed)| {
            let dn = user_dn(&who.state, user)?;
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
    pub async fn make_seed(&self, who: &Administrator, user: &UserDn, repeat: &Repeat) -> Result<OtpSeed, Denial> {
        who.authority.require(PrivilegeType::Create, PrivilegeTarget::OtpSeed, None)?;
        let local = local_user(&who.state, user)?;
        check_credential(&who.authority, &who.state, local, clock::now())?;
        let seed = Seed::generate(&SystemRandom);
        let sealed = self.vault.seal(Purpose::TotpSeed(local.base.id), seed.expose());
        let outcome = self.order(repeat, PutTotpSeed { user: local.base.id, seed: sealed, confirmed: true }).await?;
        trail::changed(
            who,
            "otp_seed_created",
            "otp/seeds",
            &local.base.id.to_string(),
            &user.to_string(),
            outcome.index,
        );
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
    pub async fn remove_seed(&self, who: &Administrator, user: &UserDn, repeat: &Repeat) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Delete, PrivilegeTarget::OtpSeed, None)?;
        let local = local_user(&who.state, user)?;
        check_credential(&who.authority, &who.state, local, clock::now())?;
        if who.state.totp_seed(local.base.id).is_none() {
            return Err(Denial::NotFound(format!("{user} has no seed")));
        }
        let outcome = self.order(repeat, RemoveTotpSeed { user: local.base.id }).await?;
        trail::changed(
            who,
            "otp_seed_deleted",
            "otp/seeds",
            &local.base.id.to_string(),
            &user.to_string(),
            outcome.index,
        );
        Ok(())
    }
}

fn local_user<'a>(state: &'a State, user: &UserDn) -> Result<&'a LocalUser, Denial> {
    let local = state.local_provider().is_some_and(|provider| provider.base.name == user.provider.as_str());
    let found = state.local_user_named(user.user.as_str()).filter(|_| local);
    found.ok_or_else(|| Denial::NotFound(format!("there is no local user {user}")))
}
