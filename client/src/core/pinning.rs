//! Whether a profile link may be taken up: a replacement never changes whom the Client believes without being told to
//! (T21).

use ringwall_trust::identity::Fingerprint;

use crate::profile::Profile;

/// What became of an offered profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Adoption {
    /// There was none for its host and provider.
    Added(Profile),
    /// It takes the place of the stored one.
    Replaced(Profile),
    /// It says what the stored one says.
    Unchanged,
}

/// The offered profile believes in a root that the stored one does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the link names another certificate authority: {} instead of {}", list(.offered), list(.stored))]
pub(crate) struct PinChange {
    /// Roots of the stored profile.
    pub(crate) stored: Vec<Fingerprint>,
    /// Roots of the offered one.
    pub(crate) offered: Vec<Fingerprint>,
}

/// Decides about `offered`, given what is stored for the same host and provider.
///
/// Both its root and its announced next root must be believed already; otherwise a first link could announce a root to
/// which a second one silently switches. A stored next root survives a link that does not mention it.
///
/// # Errors
/// [`PinChange`], unless `replace_ca`.
pub(crate) fn adopt(stored: Option<&Profile>, offered: Profile, replace_ca: bool) -> Result<Adoption, PinChange> {
    let Some(stored) = stored else { return Ok(Adoption::Added(offered)) };
    let believed = stored.pins();
    if !replace_ca && !offered.pins().iter().all(|pin| believed.contains(pin)) {
        return Err(PinChange { stored: believed, offered: offered.pins() });
    }
    let mut adopted = offered;
    if adopted.ca == stored.ca && adopted.next_ca.is_none() {
        adopted.next_ca = stored.next_ca;
    }
    Ok(if adopted == *stored { Adoption::Unchanged } else { Adoption::Replaced(adopted) })
}

fn list(pins: &[Fingerprint]) -> String {
    pins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(ca: u8, next: Option<u8>) -> Profile {
        Profile {
            name: "work".into(),
            host: "c.example".parse().expect("a host"),
            identity_provider: ringwall_protocol::name::ProviderName::parse("local").expect("a name"),
            ca: Fingerprint([ca; 32]),
            next_ca: next.map(|byte| Fingerprint([byte; 32])),
            controllers: vec![],
            spa: None,
        }
    }

    #[test]
    fn forged_link_does_not_replace_a_pin() {
        let stored = profile(1, None);
        let refused = adopt(Some(&stored), profile(9, None), false).expect_err("another root");
        assert_eq!((refused.stored, refused.offered), (stored.pins(), vec![Fingerprint([9; 32])]));
        assert_eq!(adopt(Some(&stored), profile(9, None), true), Ok(Adoption::Replaced(profile(9, None))));
    }

    #[test]
    fn forged_link_does_not_announce_a_root_to_switch_to_later() {
        assert!(adopt(Some(&profile(1, None)), profile(1, Some(9)), false).is_err());
        assert!(adopt(Some(&profile(1, Some(2))), profile(2, Some(9)), false).is_err());
    }

    #[test]
    fn the_announced_root_may_follow_silently() {
        assert_eq!(
            adopt(Some(&profile(1, Some(2))), profile(2, None), false),
            Ok(Adoption::Replaced(profile(2, None)))
        );
    }

    #[test]
    fn an_announced_root_survives_a_link_without_it() {
        assert_eq!(adopt(Some(&profile(1, Some(2))), profile(1, None), false), Ok(Adoption::Unchanged));
    }

    #[test]
    fn the_first_profile_of_a_host_and_provider_is_added() {
        assert_eq!(adopt(None, profile(1, None), false), Ok(Adoption::Added(profile(1, None))));
    }
}
