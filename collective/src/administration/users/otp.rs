//! Seeds of one-time passwords: made by an administrator and shown once, listed without their secret, taken away; and codes
//! with which users enrol a seed of their own (T60).

use std::time::Duration;

use ringwall_protocol::id::UserId;
use ringwall_protocol::name::UserDn;
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::wire::admin::{List, MAX_REGISTRATION_HOURS, OtpCode, OtpHolder, OtpPermit, OtpSeed};
use ringwall_raft::state::security_key::{Permission, RegistrationCode};
use ringwall_raft::state::totp::{PermitTotp, PutTotpSeed, RemoveTotpSeed};
use ringwall_trust::secret::{SecretKey, SystemRandom};
use ringwall_trust::totp::Seed;
use serde_json::Value;

use crate::administration::access::authority::Administrator;
use crate::administration::access::granting::check_credential;
use crate::administration::access::lasting;
use crate::administration::access::sign_in::issuer;
use crate::administration::denial::Denial;
use crate::administration::objects::listing::{Habits, Wanted};
use crate::administration::repeat::Repeat;
use crate::administration::users::Users;
use crate::audit::event as trail;
use crate::identity::directory::{spelled, user_id_of};
use crate::replica::vault::Purpose;

/// How seeds are searched and sorted.
const HABITS: Habits = Habits { searched: &["userDistinguishedName"], order_by: "userDistinguishedName" };

impl Users {
    /// Users with a seed, or with a permission to enrol one.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn list_seeds(&self, who: &Administrator, wanted: &Wanted) -> Result<List<Value>, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::OtpSeed, None)?;
        let seeds = who.state.totp_records().map(|(_, record)| {
            let holder = OtpHolder {
                user_distinguished_name: record.dn.clone(),
                username: record.dn.user.to_string(),
                provider_name: record.dn.provider.to_string(),
                verified: record.seed.is_some(),
                may_enrol_until: record.enrolment.as_ref().map(|open| open.not_after.to_string()),
            };
            serde_json::to_value(holder).unwrap_or_default()
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
            repeat.propose(&self.replica, PutTotpSeed { user: bearer, dn: user.clone(), seed: sealed }).await?;
        trail::changed(who, "otp_seed_created", "otp/seeds", &bearer.to_string(), &user.to_string(), outcome.index);
        Ok(OtpSeed {
            user_distinguished_name: user.clone(),
            secret: Some(seed.expose_base32().to_string()),
            otp_auth_url: Some(seed.expose_url(&issuer(&who.state), user.user.as_str()).to_string()),
        })
    }

    /// Lets a user enrol a seed at the next sign-in with another factor; a former code is invalid. The answer is the
    /// only place where the code is shown.
    ///
    /// # Errors
    /// `Forbidden`, also where the user holds more than the caller; `NotFound`; `Invalid` for a time that is too long.
    pub(crate) async fn permit_seed(
        &self,
        who: &Administrator,
        permit: &OtpPermit,
        repeat: &Repeat,
    ) -> Result<OtpCode, Denial> {
        who.authority.require(PrivilegeType::Create, PrivilegeTarget::OtpSeed, None)?;
        if !(1..=MAX_REGISTRATION_HOURS).contains(&permit.validity_hours) {
            return Err(Denial::field("validityHours", format!("lies between 1 and {MAX_REGISTRATION_HOURS}")));
        }
        let dn = spelled(&who.state, permit.user_distinguished_name.clone());
        let user = bearer(who, &dn)?;
        let code = SecretKey::generate(&SystemRandom);
        let expires = who.now.plus(Duration::from_secs(u64::from(permit.validity_hours) * 3_600));
        let permission = Permission { code: RegistrationCode::new(code.digest()), not_after: expires };
        let order = PermitTotp { user, dn: dn.clone(), permission };
        let outcome = repeat.propose(&self.replica, order).await?;
        trail::changed(who, "otp_enrolment_permitted", "otp/seeds", &user.to_string(), &dn.to_string(), outcome.index);
        Ok(OtpCode { user_distinguished_name: dn, code: code.expose_text().to_string(), expires })
    }

    /// Takes a user's seed, and a permission to enrol one, away.
    ///
    /// # Errors
    /// `Forbidden`, also where the user holds more than the caller; `NotFound`.
    pub(crate) async fn remove_seed(&self, who: &Administrator, user: &UserDn, repeat: &Repeat) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Delete, PrivilegeTarget::OtpSeed, None)?;
        let user = &spelled(&who.state, user.clone());
        let bearer = bearer(who, user)?;
        if who.state.totp_record(bearer).is_none() {
            return Err(Denial::NotFound(format!("{user} has no seed")));
        }
        let order = RemoveTotpSeed { user: bearer };
        lasting::check(who, &order.clone().into())?;
        let outcome = repeat.propose(&self.replica, order).await?;
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
