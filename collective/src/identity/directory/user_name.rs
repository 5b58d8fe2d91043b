//! Names of users at foreign providers. Such a provider takes `alice`, `ALICE` and a look-alike for one user; blocklist
//! and lock-out compare exactly. So a name has one form here, and one that could be taken for another is refused before
//! anybody is asked.

use ringwall_protocol::id::{ProviderId, UserId};
use ringwall_protocol::name::{UserDn, UserName};
use ringwall_raft::State;

/// The one form of a name at a provider that disregards case: lower case. `None` for what a directory could take for
/// another name than it reads: control and format characters, white space but single blanks inside, and letters
/// outside ASCII that compatibility forms or case rules fold onto others.
#[must_use]
pub(crate) fn canonical(claimed: &str) -> Option<UserName> {
    let folded: String = claimed.chars().flat_map(char::to_lowercase).collect();
    let edges = claimed.starts_with(' ') || claimed.ends_with(' ') || claimed.contains("  ");
    if edges || !folded.chars().all(is_plain) || !one_script(&folded) {
        return None;
    }
    UserName::parse(folded).ok()
}

/// A user's DN in the only form in which the provider's users have it.
#[must_use]
pub(crate) fn spelled(state: &State, user: UserDn) -> UserDn {
    let provider = state.identity_provider_named(user.provider.as_str());
    let folded =
        provider.filter(|provider| provider.kind().disregards_case()).and_then(|_| canonical(user.user.as_str()));
    match folded {
        Some(name) => UserDn { user: name, provider: user.provider },
        None => user,
    }
}

/// The id of a foreign provider's user: made from provider and name, so that every Controller has the same without
/// asking. A user who is renamed there is another one here.
#[must_use]
pub(crate) fn user_id_of(provider: ProviderId, name: &UserName) -> UserId {
    let mut hash = blake3::Hasher::new_derive_key("ringwall 2026 user id of a foreign identity provider v1");
    hash.update(provider.uuid().as_bytes());
    hash.update(name.as_str().as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    UserId::from_random(id)
}

/// Printable ASCII, and the letters of Latin, Greek and Cyrillic that stand for themselves. Full-width forms,
/// ligatures, mathematical letters, invisible and combining characters are none; nor are letters whose capital is that of
/// other letters: `ß` (`SS`), `ı` (`I`), `ς` (`Σ`), `ΰ`.
const fn is_plain(c: char) -> bool {
    matches!(c,
        ' '..='~'
        | 'à'..='ö' | 'ø'..='į' | 'ĵ'..='ľ' | 'ł'..='ň' | 'ŋ'..='ž'
        | 'ά'..='ί' | 'α'..='ρ' | 'σ'..='ώ'
        | 'а'..='џ')
}

/// Letters of one script only: `аlice` with a Cyrillic `а` is nobody's name.
fn one_script(name: &str) -> bool {
    let script = |c: char| match c {
        'a'..='z' | 'à'..='ž' => Some(0),
        'ά'..='ώ' => Some(1),
        'а'..='џ' => Some(2),
        _ => None,
    };
    let mut scripts = name.chars().filter_map(script);
    let first = scripts.next();
    scripts.all(|other| Some(other) == first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_has_one_form_whatever_its_case() {
        for claimed in ["alice", "Alice", "ALICE"] {
            assert_eq!(canonical(claimed).expect(claimed).as_str(), "alice");
        }
        for claimed in ["o'brien, pat=x\\y", "müller", "иван", "alice@corp.example", "CORP\\alice", "a b"] {
            assert!(canonical(claimed).is_some(), "{claimed}");
        }
    }

    #[test]
    fn what_could_be_taken_for_another_name_is_no_name() {
        for claimed in [
            "",
            " alice",
            "alice ",
            "a  b",
            "ali\0ce",
            "ali\nce",
            "alice\u{200b}",
            "\u{202e}ecila",
            "аlice",
            "ａlice",
            "ﬁnn",
            "alice\u{301}",
            "𝐚lice",
            "ſam",
            "straße",
            "ısmail",
            "νίκος",
            "ΰ",
            "\u{212a}elvin\u{1F600}",
            "a\u{a0}b",
        ] {
            assert_eq!(canonical(claimed), None, "{claimed:?}");
        }
        assert_eq!(canonical(&"a".repeat(257)), None);
    }

    #[test]
    fn ids_differ_by_provider_and_name() {
        let provider = |n| ProviderId::from_random([n; 16]);
        let name = |text: &str| UserName::parse(text).expect("a name");
        assert_eq!(user_id_of(provider(1), &name("a")), user_id_of(provider(1), &name("a")));
        assert_ne!(user_id_of(provider(1), &name("a")), user_id_of(provider(1), &name("b")));
        assert_ne!(user_id_of(provider(1), &name("a")), user_id_of(provider(2), &name("a")));
    }

    proptest! {
        #[test]
        fn the_form_of_a_form_is_itself(claimed in ".{0,40}") {
            if let Some(name) = canonical(&claimed) {
                prop_assert_eq!(canonical(name.as_str()), Some(name));
            }
        }
    }
}
