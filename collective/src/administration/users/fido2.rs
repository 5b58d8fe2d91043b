//! Security keys of users: listed, taken away, and permitted by a code that is shown once. Keys themselves are registered
//! by their users, at a sign-in.

use std::time::Duration;

use ringwall_protocol::id::UserId;
use ringwall_protocol::name::UserDn;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::wire::admin::{Fido2Code, Fido2Device, Fido2Permit, List, MAX_REGISTRATION_HOURS};
use ringwall_raft::state::security_key::{
    Permission, PermitSecurityKey, RegistrationCode, RemoveSecurityKeys, SecurityKey, SecurityKeys,
};
use ringwall_trust::secret::{SecretKey, SystemRandom};
use serde_json::Value;

use crate::administration::access::authority::Administrator;
use crate::administration::access::granting::check_credential;
use crate::administration::denial::Denial;
use crate::administration::objects::listing::{Habits, Wanted};
use crate::administration::repeat::Repeat;
use crate::administration::users::Users;
use crate::audit::event as trail;
use crate::identity::directory::{canonical, user_id_of};

/// How keys are searched and sorted.
const HABITS: Habits = Habits { searched: &["distinguishedName"], order_by: "distinguishedName" };

impl Users {
    /// Security keys, and users who may register one.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn list_security_keys(&self, who: &Administrator, wanted: &Wanted) -> Result<List<Value>, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::OtpSeed, None)?;
        let rows = who.state.security_keys().flat_map(|(_, known)| rows(known));
        Ok(wanted.of(rows.filter_map(|row| serde_json::to_value(row).ok()).collect(), HABITS))
    }

    /// Lets a user register a security key; a former code is invalid.
    ///
    /// # Errors
    /// `Forbidden`, also where the user holds more than the caller; `NotFound`; `Invalid` for a time that is too long.
    pub(crate) async fn permit_security_key(
        &self,
        who: &Administrator,
        permit: &Fido2Permit,
        repeat: &Repeat,
    ) -> Result<Fido2Code, Denial> {
        let dn = &permit.user_distinguished_name;
        who.authority.require(PrivilegeType::Create, PrivilegeTarget::OtpSeed, None)?;
        if !(1..=MAX_REGISTRATION_HOURS).contains(&permit.validity_hours) {
            return Err(Denial::field("validityHours", format!("lies between 1 and {MAX_REGISTRATION_HOURS}")));
        }
        let user = self.may_touch(who, dn)?;
        let code = SecretKey::generate(&SystemRandom);
        let expires = who.now.plus(Duration::from_secs(u64::from(permit.validity_hours) * 3_600));
        let permission = Permission { code: RegistrationCode::new(code.digest()), not_after: expires };
        let outcome = repeat.propose(&self.replica, PermitSecurityKey { user, dn: dn.clone(), permission }).await?;
        let (id, name) = (user.to_string(), dn.to_string());
        trail::changed(who, "fido2_registration_permitted", "fido2-devices", &id, &name, outcome.index);
        Ok(Fido2Code { user_distinguished_name: dn.clone(), code: code.expose_text().to_string(), expires })
    }

    /// Takes all security keys of a user away.
    ///
    /// # Errors
    /// `Forbidden`, also where the user holds more than the caller; `NotFound`.
    pub(crate) async fn remove_security_keys(
        &self,
        who: &Administrator,
        dn: &UserDn,
        repeat: &Repeat,
    ) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Delete, PrivilegeTarget::OtpSeed, None)?;
        let user = self.may_touch(who, dn)?;
        if who.state.security_keys_of(user).is_none() {
            return Err(Denial::NotFound(format!("{dn} has no security key")));
        }
        let outcome = repeat.propose(&self.replica, RemoveSecurityKeys { user }).await?;
        let (id, name) = (user.to_string(), dn.to_string());
        trail::changed(who, "fido2_device_deleted", "fido2-devices", &id, &name, outcome.index);
        Ok(())
    }

    /// The user's id, if the caller may decide about what proves him.
    fn may_touch(&self, who: &Administrator, dn: &UserDn) -> Result<UserId, Denial> {
        let missing = || Denial::NotFound(format!("there is no user {dn}"));
        let provider = who.state.identity_provider_named(dn.provider.as_str()).ok_or_else(missing)?;
        if provider.kind() == IdentityProviderKind::LocalDatabase {
            let user = who.state.local_user_named(dn.user.as_str()).ok_or_else(missing)?;
            check_credential(&who.authority, &who.state, user, who.now)?;
            return Ok(user.base.id);
        }
        // What a foreign user holds is known when he signs in only. Who may change the provider could become him anyway.
        if provider.admin_provider {
            let scope = Some((provider.base.id.uuid(), &provider.base.tags));
            who.authority.require(PrivilegeType::Edit, PrivilegeTarget::IdentityProvider, scope)?;
        }
        foreign(provider, dn).ok_or_else(missing)
    }
}

/// The id of a foreign user; the name is written in the form that its provider's names have here.
fn foreign(provider: &IdentityProvider, dn: &UserDn) -> Option<UserId> {
    let exact = provider.kind() == IdentityProviderKind::Oidc || canonical(dn.user.as_str()).as_ref() == Some(&dn.user);
    exact.then(|| user_id_of(provider.base.id, &dn.user))
}

fn rows(known: &SecurityKeys) -> Vec<Fido2Device> {
    let permitted = known.permission.as_ref().map(|one| one.not_after.to_string());
    let row = |key: Option<&SecurityKey>| Fido2Device {
        distinguished_name: known.dn.clone(),
        username: known.dn.user.as_str().to_owned(),
        provider_name: known.dn.provider.as_str().to_owned(),
        device_id: key.map(|key| key.id.clone()).unwrap_or_default(),
        device_name: key.map(|key| key.name.clone()).unwrap_or_default(),
        registered: key.map(|key| key.registered_at.to_string()),
        may_register_until: permitted.clone(),
    };
    if known.keys.is_empty() { vec![row(None)] } else { known.keys.iter().map(|key| row(Some(key))).collect() }
}
