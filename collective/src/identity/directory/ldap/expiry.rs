//! When a password ends, as directories tell it: the password policy control of a bind (draft-behera-ldap-password-policy
//! §6.2), Active Directory's computed attribute, shadow accounts (RFC 2307). Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use ringwall_protocol::object::identity_provider::ldap::PasswordWarning;
use ringwall_protocol::time::UnixMillis;

/// OID of the password policy control, request and response.
pub(super) const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";
/// Attributes that are read for this.
pub(super) const ATTRIBUTES: [&str; 3] = ["msDS-UserPasswordExpiryTimeComputed", "shadowLastChange", "shadowMax"];
/// Seconds of a day.
pub(super) const DAY: u64 = 24 * 3600;
/// From 1601 to 1970, in seconds: FILETIME counts from 1601.
pub(super) const FILETIME_EPOCH: u64 = 11_644_473_600;

/// What the control of a bind says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// Seconds until the password ends, told when it is near.
    pub(super) seconds_left: Option<u64>,
    /// Sign-ins that an expired password has left.
    pub(super) graces_left: Option<u64>,
    /// Why the bind failed, or what must be done first: 0 expired, 1 locked, 2 to be changed, …
    pub(super) error: Option<u8>,
}

/// Reads `PasswordPolicyResponseValue ::= SEQUENCE { warning [0] CHOICE { timeBeforeExpiration [0] INTEGER,
/// graceAuthNsRemaining [1] INTEGER } OPTIONAL, error [1] ENUMERATED OPTIONAL }`. What cannot be read says nothing.
pub(super) fn policy(value: &[u8]) -> Policy {
    let mut policy = Policy::default();
    let Some((0x30, mut rest, _)) = element(value) else { return policy };
    while let Some((tag, content, after)) = element(rest) {
        match tag {
            0xa0 => match element(content) {
                Some((0x80, number, _)) => policy.seconds_left = integer(number),
                Some((0x81, number, _)) => policy.graces_left = integer(number),
                _ => {}
            },
            0x81 => policy.error = content.first().copied().filter(|_| content.len() == 1),
            _ => {}
        }
        rest = after;
    }
    policy
}

/// Tag, content and what follows of a short element (all of this control are).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, length, rest @ ..] = bytes else { return None };
    (*length < 0x80 && usize::from(*length) <= rest.len()).then(|| {
        let (content, after) = rest.split_at(usize::from(*length));
        (*tag, content, after)
    })
}

fn integer(bytes: &[u8]) -> Option<u64> {
    let positive = (1..=5).contains(&bytes.len()) && bytes[0] < 0x80;
    positive.then(|| bytes.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}

/// What the user is told, if the password ends within the threshold.
pub(super) fn notice(
    warning: &PasswordWarning,
    policy: Policy,
    attributes: &BTreeMap<String, Vec<String>>,
    now: UnixMillis,
) -> Option<String> {
    if !warning.enabled {
        return None;
    }
    let text = if warning.message.is_empty() { "Your password is about to expire." } else { &warning.message };
    if let Some(left) = policy.graces_left {
        return Some(format!("{text} (It has expired; sign-ins left with it: {left}.)"));
    }
    let left = policy.seconds_left.or_else(|| by_attributes(attributes, now))?;
    let threshold = u64::from(warning.threshold_days) * DAY;
    let days = match left / DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    (left <= threshold).then(|| format!("{text} (Time left: {days}.)"))
}

/// Seconds until the password ends, by the entry's attributes.
fn by_attributes(attributes: &BTreeMap<String, Vec<String>>, now: UnixMillis) -> Option<u64> {
    let number = |name: &str| {
        let (_, values) = attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        values.first()?.parse::<i64>().ok()
    };
    let end = match number(ATTRIBUTES[0]) {
        // Zero and the largest number mean: never.
        Some(filetime) if filetime > 0 && filetime < i64::MAX => {
            u64::try_from(filetime).ok()?.checked_div(10_000_000)?.checked_sub(FILETIME_EPOCH)?
        }
        Some(_) => return None,
        None => {
            let (changed, most) = (number(ATTRIBUTES[1])?, number(ATTRIBUTES[2])?);
            let days = u64::try_from(changed).ok()?.checked_add(u64::try_from(most).ok()?)?;
            // 99999 days are the customary "never".
            (most < 99_999).then(|| days.checked_mul(DAY)).flatten()?
        }
    };
    let now = Duration::from_millis(now.0).as_secs();
    Some(end.saturating_sub(now))
}

/// Why a bind failed, in words for an operator: Active Directory hides it in the text (`data 532`).
pub(super) fn why(policy: Policy, text: &str) -> &'static str {
    let by_control = policy.error.map(|error| match error {
        0 => "the password has expired",
        1 => "the account is locked",
        2 => "the password must be changed first",
        _ => "a rule of the password policy",
    });
    let codes = [
        ("data 52e", "the password is wrong"),
        ("data 525", "there is no such user"),
        ("data 530", "not at this time of day"),
        ("data 531", "not from this machine"),
        ("data 532", "the password has expired"),
        ("data 533", "the account is disabled"),
        ("data 701", "the account has expired"),
        ("data 773", "the password must be changed first"),
        ("data 775", "the account is locked"),
    ];
    let by_text = codes.iter().find(|(code, _)| text.contains(code)).map(|(_, why)| *why);
    by_control.or(by_text).unwrap_or("the credentials are not accepted")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_780_300_800_000);

    fn warning(days: u32) -> PasswordWarning {
        PasswordWarning { enabled: true, threshold_days: days, message: "Change it.".to_owned() }
    }

    fn attributes(pairs: &[(&str, String)]) -> BTreeMap<String, Vec<String>> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), vec![value.clone()])).collect()
    }

    #[test]
    fn the_control_of_a_bind_is_read() {
        assert_eq!(policy(&[0x30, 6, 0xa0, 4, 0x80, 2, 0x0e, 0x10]).seconds_left, Some(3600));
        assert_eq!(policy(&[0x30, 5, 0xa0, 3, 0x81, 1, 2]).graces_left, Some(2));
        assert_eq!(policy(&[0x30, 3, 0x81, 1, 2]).error, Some(2));
        assert_eq!(policy(&[0x30, 0]), Policy::default());
    }

    #[test]
    fn users_are_warned_within_the_threshold_and_not_before() {
        let left = |seconds| Policy { seconds_left: Some(seconds), ..Policy::default() };
        let none = BTreeMap::new();
        assert_eq!(notice(&warning(5), left(3 * DAY), &none, NOW).as_deref(), Some("Change it. (Time left: 3 days.)"));
        assert_eq!(notice(&warning(5), left(6 * DAY), &none, NOW), None);
        assert_eq!(notice(&PasswordWarning::default(), left(1), &none, NOW), None);
        let today = NOW.0 / 1000 / DAY;
        let shadow = |changed: u64, most: &str| {
            attributes(&[("shadowLastChange", changed.to_string()), ("shadowMax", most.to_owned())])
        };
        assert!(notice(&warning(5), Policy::default(), &shadow(today - 28, "30"), NOW).is_some());
        assert!(notice(&warning(5), Policy::default(), &shadow(today - 1, "30"), NOW).is_none());
        assert!(notice(&warning(5), Policy::default(), &shadow(today - 1, "99999"), NOW).is_none());
        let filetime = (NOW.0 / 1000 + 2 * DAY + FILETIME_EPOCH) * 10_000_000;
        let directory = attributes(&[("msds-userpasswordexpirytimecomputed", filetime.to_string())]);
        assert!(notice(&warning(5), Policy::default(), &directory, NOW).is_some());
        let never = attributes(&[("msDS-UserPasswordExpiryTimeComputed", i64::MAX.to_string())]);
        assert!(notice(&warning(5), Policy::default(), &never, NOW).is_none());
    }

    proptest! {
        #[test]
        fn no_control_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(policy(&bytes).seconds_left.is_none_or(|left| left < 1 << 39));
        }
    }
}
