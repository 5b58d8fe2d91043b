//! Whether an account may be used, by its entry: Active Directory's flags and dates, shadow accounts (RFC 2307), password
//! policies (draft-behera-ldap-password-policy §5.3.3), 389 Directory Server and eDirectory. Servers let some of these
//! bind: `shadowExpire` is a matter of whoever reads it. Pure.

use std::time::Duration;

use ldap3::SearchEntry;
use ringwall_protocol::time::UnixMillis;

use super::expiry::{DAY, FILETIME_EPOCH};

/// Attributes that are read for this; some are operational, and only told when they are asked for by name.
pub(super) const ATTRIBUTES: [&str; 7] =
    [CONTROL, COMPUTED_CONTROL, EXPIRES, SHADOW_EXPIRE, NS_LOCK, LOGIN_DISABLED, LOCKED_TIME];
const CONTROL: &str = "userAccountControl";
const COMPUTED_CONTROL: &str = "msDS-User-Account-Control-Computed";
const EXPIRES: &str = "accountExpires";
const SHADOW_EXPIRE: &str = "shadowExpire";
const NS_LOCK: &str = "nsAccountLock";
const LOGIN_DISABLED: &str = "loginDisabled";
const LOCKED_TIME: &str = "pwdAccountLockedTime";
/// Flags of `userAccountControl` (MS-ADTS §2.2.16): ADS_UF_ACCOUNT_DISABLE, ADS_UF_LOCKOUT.
const DISABLED: i64 = 0x2;
const LOCKED: i64 = 0x10;
/// The date that means "until an administrator helps".
const FOR_EVER: &str = "000001010000";

/// Why an account may not be used; for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Closed {
    /// Switched off by an administrator.
    #[error("the account is disabled ({0})")]
    Disabled(&'static str),
    /// Too many wrong passwords, or locked by an administrator.
    #[error("the account is locked ({0})")]
    Locked(&'static str),
    /// Its time is over.
    #[error("the account has expired ({0})")]
    Expired(&'static str),
    /// Nobody can tell: the value is none of its attribute.
    #[error("the value of {0} cannot be read")]
    Unreadable(&'static str),
}

/// Whether a bind of the user follows. The server alone knows when a lock for wrong passwords ends, and forgets it only
/// when the user binds again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bind {
    /// It will judge locks.
    Follows,
    /// A renewal: nothing else judges them.
    None,
}

/// Why the account of an entry may not be used at `now`; `None` if it may.
pub(super) fn closed(entry: &SearchEntry, bind: Bind, now: UnixMillis) -> Option<Closed> {
    judge(entry, bind, now).err()
}

fn judge(entry: &SearchEntry, bind: Bind, now: UnixMillis) -> Result<(), Closed> {
    if has_flag(entry, CONTROL, DISABLED)? {
        return Err(Closed::Disabled(CONTROL));
    }
    for name in [NS_LOCK, LOGIN_DISABLED] {
        if text(entry, name)?.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Err(Closed::Disabled(name));
        }
    }
    let seconds = i64::try_from(Duration::from_millis(now.0).as_secs()).unwrap_or(i64::MAX);
    // Zero and the largest number mean: never.
    if number(entry, EXPIRES)?.is_some_and(|end| end > 0 && end < i64::MAX && unix_seconds(end) <= seconds) {
        return Err(Closed::Expired(EXPIRES));
    }
    // -1 means never. On its day an account has expired, as shadow(5) and pam_unix have it.
    let today = seconds / DAY.cast_signed();
    if number(entry, SHADOW_EXPIRE)?.is_some_and(|day| (0..=today).contains(&day)) {
        return Err(Closed::Expired(SHADOW_EXPIRE));
    }
    locked(entry, bind)
}

fn locked(entry: &SearchEntry, bind: Bind) -> Result<(), Closed> {
    let since = text(entry, LOCKED_TIME)?;
    if since.is_some_and(|since| bind == Bind::None || since.starts_with(FOR_EVER)) {
        return Err(Closed::Locked(LOCKED_TIME));
    }
    for name in [CONTROL, COMPUTED_CONTROL] {
        if bind == Bind::None && has_flag(entry, name, LOCKED)? {
            return Err(Closed::Locked(name));
        }
    }
    Ok(())
}

/// A FILETIME in seconds since 1970.
const fn unix_seconds(filetime: i64) -> i64 {
    filetime / 10_000_000 - FILETIME_EPOCH.cast_signed()
}

fn has_flag(entry: &SearchEntry, name: &'static str, flag: i64) -> Result<bool, Closed> {
    Ok(number(entry, name)?.is_some_and(|flags| flags & flag != 0))
}

fn number(entry: &SearchEntry, name: &'static str) -> Result<Option<i64>, Closed> {
    text(entry, name)?.map(|text| text.parse().map_err(|_| Closed::Unreadable(name))).transpose()
}

/// The first value of an attribute.
fn text<'a>(entry: &'a SearchEntry, name: &'static str) -> Result<Option<&'a str>, Closed> {
    if entry.bin_attrs.keys().any(|known| known.eq_ignore_ascii_case(name)) {
        return Err(Closed::Unreadable(name));
    }
    let found = entry.attrs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    Ok(found.and_then(|(_, values)| values.first()).map(String::as_str))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// 1 June 2026, 08:00 UTC: day 20605.
    const NOW: UnixMillis = UnixMillis(1_780_300_800_000);

    fn entry(name: &str, value: &str) -> SearchEntry {
        let attrs = HashMap::from([(name.to_owned(), vec![value.to_owned()])]);
        SearchEntry { dn: "uid=alice,dc=x".to_owned(), attrs, bin_attrs: HashMap::new() }
    }

    fn with_bind(name: &str, value: &str) -> Option<Closed> {
        closed(&entry(name, value), Bind::Follows, NOW)
    }

    #[test]
    fn accounts_that_are_switched_off_are_closed() {
        assert_eq!(with_bind("userAccountControl", "514"), Some(Closed::Disabled("userAccountControl")));
        assert_eq!(with_bind("userAccountControl", "512"), None);
        assert_eq!(with_bind("nsaccountlock", "TRUE"), Some(Closed::Disabled("nsAccountLock")));
        assert_eq!(with_bind("loginDisabled", "TRUE"), Some(Closed::Disabled("loginDisabled")));
        assert_eq!(with_bind("loginDisabled", "FALSE"), None);
    }

    #[test]
    fn accounts_whose_time_is_over_are_closed() {
        let days = NOW.0 / 1000 / DAY;
        for (day, open) in [("1", false), ("0", false), ("-1", true), ("99999", true)] {
            assert_eq!(with_bind("shadowExpire", day).is_none(), open, "{day}");
        }
        assert_eq!(with_bind("shadowExpire", &days.to_string()), Some(Closed::Expired("shadowExpire")));
        assert_eq!(with_bind("shadowExpire", &(days + 1).to_string()), None);
        let filetime = |seconds: u64| ((seconds + FILETIME_EPOCH) * 10_000_000).to_string();
        assert_eq!(with_bind("accountExpires", &filetime(NOW.0 / 1000)), Some(Closed::Expired("accountExpires")));
        assert_eq!(with_bind("accountExpires", &filetime(NOW.0 / 1000 + 1)), None);
        for never in ["0", "9223372036854775807"] {
            assert_eq!(with_bind("accountExpires", never), None, "{never}");
        }
    }

    #[test]
    fn locks_are_judged_by_the_bind_and_at_renewals_by_the_entry() {
        for (name, value) in [
            ("pwdAccountLockedTime", "20260601070000Z"),
            ("userAccountControl", "528"),
            ("msDS-User-Account-Control-Computed", "16"),
        ] {
            assert_eq!(with_bind(name, value), None, "{name}");
            let alone = closed(&entry(name, value), Bind::None, NOW);
            assert!(matches!(alone, Some(Closed::Locked(_))), "{name}: {alone:?}");
        }
        let for_ever = with_bind("pwdAccountLockedTime", "000001010000Z");
        assert_eq!(for_ever, Some(Closed::Locked("pwdAccountLockedTime")));
    }

    #[test]
    fn what_cannot_be_read_closes_an_account() {
        assert_eq!(with_bind("accountExpires", "soon"), Some(Closed::Unreadable("accountExpires")));
        let mut binary = entry("cn", "x");
        binary.bin_attrs.insert("loginDisabled".to_owned(), vec![vec![0xff]]);
        assert_eq!(closed(&binary, Bind::Follows, NOW), Some(Closed::Unreadable("loginDisabled")));
    }
}
