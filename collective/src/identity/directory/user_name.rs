//! Names of users at foreign providers. Such a provider takes `alice`, `ALICE` and a look-alike for one user; blocklist
//! and lock-out compare exactly. So a name has one form here, and one that could be taken for another is refused before
//! anybody is asked.

use std::collections::BTreeSet;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use ringwall_protocol::id::{ProviderId, UserId};
use ringwall_protocol::name::{UserDn, UserName};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::ProviderSettings;
use ringwall_raft::State;

/// Longest text that is looked at as a name, in bytes: 256 characters, each decomposed into several of up to 4 bytes.
const MAX_TYPED: usize = 4 * 1024;
/// The apostrophe that telephones and word processors write for `'`.
const TYPOGRAPHIC_APOSTROPHE: char = '\u{2019}';

/// Why a text is nobody's name at a foreign provider; for operators. It does not repeat the text: people type passwords
/// into the wrong field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameFault {
    /// Nothing, or too much.
    #[error("the name is empty or has more than 256 characters")]
    Length,
    /// Blanks that people do not see.
    #[error("the name begins or ends with a blank, or has two blanks in a row")]
    Blanks,
    /// A character that no name may have.
    #[error("the name has a character that names may not have: U+{0:04X}")]
    Character(u32),
    /// Letters that look alike.
    #[error("the name has letters of more than one script")]
    Scripts,
}

/// The one form of a name at a provider that disregards case: composed (NFC), lower case, with the apostrophe of ASCII.
///
/// # Errors
/// [`NameFault`] for what a directory could take for another name than it reads: control and format characters, white
/// space but single blanks inside, and letters outside ASCII that compatibility forms or case rules fold onto others.
pub(crate) fn checked(claimed: &str) -> Result<UserName, NameFault> {
    if claimed.len() > MAX_TYPED {
        return Err(NameFault::Length);
    }
    if claimed.starts_with(' ') || claimed.ends_with(' ') || claimed.contains("  ") {
        return Err(NameFault::Blanks);
    }
    let folded = folded(claimed);
    if let Some(other) = folded.chars().find(|c| !is_plain(*c)) {
        return Err(NameFault::Character(u32::from(other)));
    }
    if !one_script(&folded) {
        return Err(NameFault::Scripts);
    }
    UserName::parse(folded).map_err(|_| NameFault::Length)
}

/// The same for callers that need no reason.
#[must_use]
pub(crate) fn canonical(claimed: &str) -> Option<UserName> {
    checked(claimed).ok()
}

/// The one form of a name as a user of this provider types it: without a domain that the provider lists.
///
/// # Errors
/// As [`checked`].
pub(crate) fn checked_at(provider: &IdentityProvider, claimed: &str) -> Result<UserName, NameFault> {
    match &provider.settings {
        ProviderSettings::Ldap(settings) => checked(without_domain(claimed, &settings.sign_in_domains)),
        _ => checked(claimed),
    }
}

/// A name without one of `domains` before or after it: `CORP\alice` and `alice@corp.example` are `alice`.
fn without_domain<'a>(claimed: &'a str, domains: &[String]) -> &'a str {
    let listed = |domain: &str| domains.iter().any(|one| one.eq_ignore_ascii_case(domain));
    match (claimed.split_once('\\'), claimed.rsplit_once('@')) {
        (Some((domain, name)), _) if listed(domain) => name,
        (_, Some((name, domain))) if listed(domain) => name,
        _ => claimed,
    }
}

/// How a directory may have written a name: some compare composed and decomposed letters, and the two apostrophes, as
/// different ones. At most four texts.
#[must_use]
pub(crate) fn spellings(name: &UserName) -> BTreeSet<String> {
    let typographic = name.as_str().replace('\'', TYPOGRAPHIC_APOSTROPHE.encode_utf8(&mut [0; 4]));
    let decompose = |text: &str| DecomposingNormalizerBorrowed::new_nfd().normalize(text).into_owned();
    let decomposed = [decompose(name.as_str()), decompose(&typographic)];
    decomposed.into_iter().chain([name.as_str().to_owned(), typographic]).collect()
}

/// The same text with its letters composed, or decomposed, or with the other apostrophe: what looks like it and is not it.
#[must_use]
pub(crate) fn written_otherwise(text: &str) -> BTreeSet<String> {
    if text.len() > MAX_TYPED {
        return BTreeSet::new();
    }
    let other = |c| match c {
        '\'' => TYPOGRAPHIC_APOSTROPHE,
        TYPOGRAPHIC_APOSTROPHE => '\'',
        c => c,
    };
    let apostrophes = [text.to_owned(), text.chars().map(other).collect()];
    let composed = apostrophes.iter().map(|one| ComposingNormalizerBorrowed::new_nfc().normalize(one).into_owned());
    let decomposed = apostrophes.iter().map(|one| DecomposingNormalizerBorrowed::new_nfd().normalize(one).into_owned());
    composed.chain(decomposed).filter(|one| one != text).collect()
}

/// Composed, lower case, one apostrophe. Composed again at the end: lower case is not closed under it.
fn folded(claimed: &str) -> String {
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    let apostrophe = |c| if c == TYPOGRAPHIC_APOSTROPHE { '\'' } else { c };
    let lower: String = nfc.normalize(claimed).chars().map(apostrophe).flat_map(char::to_lowercase).collect();
    nfc.normalize(&lower).into_owned()
}

/// A user's DN in the only form in which the provider's users have it.
#[must_use]
pub(crate) fn spelled(state: &State, user: UserDn) -> UserDn {
    let provider = state.identity_provider_named(user.provider.as_str());
    let folded = provider
        .filter(|provider| provider.kind().disregards_case())
        .and_then(|provider| checked_at(provider, user.user.as_str()).ok());
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

/// Printable ASCII; the letters of Latin (with those of Vietnamese), Greek and Cyrillic that stand for themselves; and
/// unified Han ideographs, which have neither case nor compatibility forms. Full-width forms, ligatures, mathematical
/// letters, invisible characters and marks that compose with nothing are none; nor are letters whose capital is that of
/// other letters: `ß` (`SS`), `ı` (`I`), `ς` (`Σ`), `ΰ`. Kana and Hangul are none: `カ` and `力`, `ㅡ` and `一` look alike.
const fn is_plain(c: char) -> bool {
    matches!(c,
        ' '..='~'
        | 'à'..='ö' | 'ø'..='į' | 'ĵ'..='ľ' | 'ł'..='ň' | 'ŋ'..='ž'
        | 'ơ' | 'ư' | 'ạ'..='ỹ'
        | 'ά'..='ί' | 'α'..='ρ' | 'σ'..='ώ'
        | 'а'..='џ'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

/// Letters of one script only: `аlice` with a Cyrillic `а` is nobody's name.
fn one_script(name: &str) -> bool {
    let script = |c: char| match c {
        'a'..='z' | 'à'..='ž' | 'ơ' | 'ư' | 'ạ'..='ỹ' => Some(0),
        'ά'..='ώ' => Some(1),
        'а'..='џ' => Some(2),
        '\u{3400}'..='\u{9fff}' => Some(3),
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
            "x\u{301}alice",
            "alice\u{301}\u{301}",
            "𝐚lice",
            "ſam",
            "straße",
            "ısmail",
            "νίκος",
            "ΰ",
            "\u{212a}elvin\u{1F600}",
            "a\u{a0}b",
            "alice王",
            "カ",
            "İsmail",
        ] {
            assert_eq!(canonical(claimed), None, "{claimed:?}");
        }
        assert_eq!(canonical(&"a".repeat(257)), None);
    }

    #[test]
    fn names_are_composed_whatever_keyboard_wrote_them() {
        for (claimed, name) in [
            ("mu\u{308}ller", "müller"),
            ("NGUYE\u{302}\u{303}N", "nguyễn"),
            ("NGUYỄN", "nguyễn"),
            ("đo\u{31b}\u{323}c", "đợc"),
            ("王小明", "王小明"),
            ("O\u{2019}Brien", "o'brien"),
            ("и\u{306}ван", "йван"),
        ] {
            assert_eq!(checked(claimed).map(String::from).as_deref(), Ok(name), "{claimed:?}");
        }
    }

    #[test]
    fn operators_learn_why_a_text_is_no_name() {
        for (claimed, why) in [
            ("", NameFault::Length),
            (" alice", NameFault::Blanks),
            ("ali\nce", NameFault::Character(0x0a)),
            ("alice\u{200b}", NameFault::Character(0x200b)),
            ("аlice", NameFault::Scripts),
        ] {
            assert_eq!(checked(claimed), Err(why), "{claimed:?}");
        }
        assert_eq!(checked(&"a".repeat(257)), Err(NameFault::Length));
        assert_eq!(checked(&"e\u{301}".repeat(10_000)), Err(NameFault::Length));
        let told = NameFault::Character(0x200b).to_string();
        assert_eq!(told, "the name has a character that names may not have: U+200B");
    }

    #[test]
    fn a_listed_domain_is_no_part_of_the_name() {
        let domains = ["CORP".to_owned(), "corp.example".to_owned()];
        for claimed in ["alice", "corp\\alice", "CORP\\alice", "alice@Corp.Example", "corp.example\\alice"] {
            assert_eq!(without_domain(claimed, &domains), "alice", "{claimed}");
        }
        for claimed in ["other\\alice", "alice@other.example", "alice@corp.example.other", "xcorp\\alice"] {
            assert_eq!(without_domain(claimed, &domains), claimed);
        }
        assert_eq!(without_domain("CORP\\alice", &[]), "CORP\\alice", "nothing is removed unless it is listed");
    }

    #[test]
    fn a_name_is_looked_up_in_every_form_in_which_directories_have_it() {
        let name = |text: &str| checked(text).expect(text);
        assert_eq!(spellings(&name("alice")), ["alice".to_owned()].into());
        let irish = ["o'brien".to_owned(), "o\u{2019}brien".to_owned()];
        assert_eq!(spellings(&name("O'Brien")), irish.into());
        assert_eq!(spellings(&name("müller")), ["müller".to_owned(), "mu\u{308}ller".to_owned()].into());
        assert!(spellings(&name("d'été")).iter().all(|one| canonical(one) == Some(name("d'été"))));
    }

    #[test]
    fn what_looks_like_a_text_and_is_not_it_is_told() {
        assert_eq!(written_otherwise("alice"), BTreeSet::new());
        assert_eq!(written_otherwise("mu\u{308}ller"), ["müller".to_owned()].into());
        assert_eq!(written_otherwise("müller"), ["mu\u{308}ller".to_owned()].into());
        assert!(written_otherwise("o'brien").contains("o\u{2019}brien"));
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
