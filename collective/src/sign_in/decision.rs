//! What follows once a user is authenticated: the registration of his device, another factor first, or a refusal (T15).
//! Pure: from one state, what is known of the sign-in, and the time.

use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::{DeviceTakeover, SignInMfa};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::State;

use super::AuthenticatedUser;
use super::devices::{Cookie, Standing, standing};
use crate::refusal::Refusal;

/// What follows for an authenticated user.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// The device is registered, and the token minted.
    Complete,
    /// Another factor is awaited first.
    FactorWanted(SignInMfa),
    /// No, and why: his password was right, so he may know.
    Refused(Refusal),
}

/// A decision, and what is to be written down of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decided {
    /// What follows.
    pub(super) decision: Decision,
    /// Kind of the event, where somebody else may have the device's id, key or cookie.
    pub(super) audited: Option<&'static str>,
}

/// Decides before anybody is asked for another factor.
pub(super) fn decide(state: &State, it: &AuthenticatedUser, now: UnixMillis) -> Decided {
    let Some(known) = state.device(it.user.id, it.begun.dn.device) else {
        let decision = beyond_limit(state, it).map_or_else(|| factor(&it.begun.provider, false), Decision::Refused);
        return Decided { decision, audited: None };
    };
    let presented = it.begun.cookie.as_ref().map(Cookie::hash);
    match standing(known, &it.begun.dn, presented.as_deref(), it.begun.jkt, now) {
        Standing::Registered => Decided { decision: factor(&it.begun.provider, true), audited: None },
        Standing::Doubtful { audited } => {
            let decision = match takeover_possible(&it.begun.provider) {
                true => factor(&it.begun.provider, false),
                false => Decision::Refused(device_conflict()),
            };
            Decided { decision, audited: Some(audited) }
        }
    }
}

/// The factor that this sign-in needs: always, or only where the device is not the registered one.
fn factor(provider: &IdentityProvider, registered: bool) -> Decision {
    match &provider.on_boarding_2fa {
        Some(wanted) if wanted.always_required || !registered => Decision::FactorWanted(wanted.clone()),
        _ => Decision::Complete,
    }
}

fn beyond_limit(state: &State, it: &AuthenticatedUser) -> Option<Refusal> {
    let limit = it.begun.provider.device_limit_per_user;
    let has = state.devices_of(it.user.id).filter(|one| one.provider_id == it.begun.provider.base.id).count();
    (has >= limit as usize).then(|| {
        let why = format!("the user has {has} registered devices, at most {limit} are allowed");
        Refusal::new(ErrorCode::DeviceLimit, why)
    })
}

/// A device may take a registration over only with another factor.
fn takeover_possible(provider: &IdentityProvider) -> bool {
    provider.device_takeover == DeviceTakeover::ReplaceWithMfa && provider.on_boarding_2fa.is_some()
}

/// What a device hears that is not the registered one.
pub(super) fn device_conflict() -> Refusal {
    Refusal::new(
        ErrorCode::DeviceConflict,
        "this device is registered with another key or cookie; an administrator can remove the registration",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use ringwall_protocol::claims::ClaimMap;
    use ringwall_protocol::id::{DeviceId, MfaProviderId, Thumbprint, UserId};
    use ringwall_protocol::name::UserName;
    use ringwall_raft::state::device::RegisterDevice;

    use super::*;
    use crate::administration::fixture::{Fixture, NOW, local_user};
    use crate::identity::directory::KnownUser;
    use crate::sign_in::Begun;
    use crate::sign_in::attempter::Attempter;

    const DEVICE: DeviceId = DeviceId::from_random([1; 16]);
    const USER: UserId = UserId::from_random([2; 16]);

    fn wanted(always_required: bool) -> SignInMfa {
        SignInMfa {
            mfa_provider_id: MfaProviderId::from_random([3; 16]),
            message: String::new(),
            claim_suffix: "once".to_owned(),
            always_required,
        }
    }

    /// Alice, authenticated at the local provider, with the key and cookie of her registration if she has one.
    fn alice(fixture: &Fixture) -> AuthenticatedUser {
        AuthenticatedUser {
            begun: Begun {
                provider: fixture.state.local_provider().expect("a provider").clone(),
                dn: format!("CN={},CN=alice,OU=local", DEVICE.simple()).parse().expect("a DN"),
                jkt: Thumbprint([4; 32]),
                cookie: Some(Cookie::hashed("present".to_owned())),
                hostname: String::new(),
                from: [192, 0, 2, 1].into(),
                attempter: Attempter::Source([192, 0, 2, 1].into()),
                started_idx: fixture.state.index(),
                started_at: NOW,
            },
            user: KnownUser {
                id: USER,
                name: UserName::parse("alice").expect("a name"),
                claims: ClaimMap::default(),
                notices: Vec::new(),
                until: None,
            },
            step_ups: BTreeMap::new(),
        }
    }

    /// The same, on a device that is registered.
    fn registered() -> (Fixture, AuthenticatedUser) {
        let mut fixture = Fixture::founded();
        fixture.put(local_user(USER, "alice"));
        let it = alice(&fixture);
        fixture.apply(RegisterDevice {
            user_id: USER,
            provider_id: it.begun.provider.base.id,
            dn: it.begun.dn.clone(),
            key: it.begun.jkt,
            presented_cookie: None,
            new_cookie: "present".to_owned(),
            hostname: String::new(),
            mfa_given: false,
            spa_key: None,
        });
        (fixture, it)
    }

    fn decision(fixture: &Fixture, it: &AuthenticatedUser) -> Decision {
        let decided = decide(&fixture.state, it, NOW.plus(Duration::from_secs(3_600)));
        assert_eq!(decided.audited, None);
        decided.decision
    }

    #[test]
    fn another_factor_is_wanted_of_new_devices_or_always() {
        let fixture = Fixture::founded();
        let (known, mut old) = registered();
        let mut new = alice(&fixture);
        assert_eq!([decision(&fixture, &new), decision(&known, &old)], [Decision::Complete, Decision::Complete]);
        for it in [&mut new, &mut old] {
            it.begun.provider.on_boarding_2fa = Some(wanted(false));
        }
        assert_eq!(decision(&fixture, &new), Decision::FactorWanted(wanted(false)));
        assert_eq!(decision(&known, &old), Decision::Complete);
        old.begun.provider.on_boarding_2fa = Some(wanted(true));
        assert_eq!(decision(&known, &old), Decision::FactorWanted(wanted(true)));
    }

    #[test]
    fn a_new_device_beyond_the_limit_is_refused_and_a_registered_one_is_not() {
        let (fixture, mut it) = registered();
        it.begun.provider.device_limit_per_user = 1;
        assert_eq!(decision(&fixture, &it), Decision::Complete);
        it.begun.dn.device = DeviceId::from_random([5; 16]);
        let Decision::Refused(refusal) = decision(&fixture, &it) else { panic!("permitted") };
        assert_eq!(refusal.code, ErrorCode::DeviceLimit);
    }

    #[test]
    fn a_doubtful_device_is_audited_and_takes_over_only_with_another_factor() {
        let (fixture, mut it) = registered();
        it.begun.jkt = Thumbprint([6; 32]);
        let decide = |it: &AuthenticatedUser| decide(&fixture.state, it, NOW);
        let audited = Some("device_conflict");
        let refused = Decided { decision: Decision::Refused(device_conflict()), audited };
        assert_eq!(decide(&it), refused);
        it.begun.provider.device_takeover = DeviceTakeover::ReplaceWithMfa;
        assert_eq!(decide(&it), refused, "no factor could be asked for");
        it.begun.provider.on_boarding_2fa = Some(wanted(false));
        assert_eq!(decide(&it), Decided { decision: Decision::FactorWanted(wanted(false)), audited });
    }
}
