//! The primary group of a user of Active Directory: the group does not name its member, the user has `primaryGroupID`, the
//! last part of the group's security identifier (MS-DTYP §2.4.2.2, MS-ADTS §3.1.1.1.4.5). Pure.

use ldap3::SearchEntry;

/// The user's own identifier, as bytes.
pub(super) const OBJECT_SID: &str = "objectSid";
/// The last part of the identifier of his primary group.
pub(super) const PRIMARY_GROUP: &str = "primaryGroupID";
/// Revision, number of parts, and an authority of 6 bytes stand before the parts.
const HEADER: usize = 8;
/// Bytes of a part.
const PART: usize = 4;
/// Most parts.
const MAX_PARTS: usize = 15;

/// A user's primary group cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untold;

/// `objectSid` of an entry's primary group; nothing where entries have none.
///
/// # Errors
/// [`Untold`] for an entry that has a primary group, and no identifier from which that of the group is made.
pub(super) fn primary_group(entry: &SearchEntry) -> Result<Option<Vec<u8>>, Untold> {
    let Some(values) = texts(entry, PRIMARY_GROUP) else { return Ok(None) };
    let relative: u32 = values.first().and_then(|text| text.parse().ok()).ok_or(Untold)?;
    let mut sid = own(entry).filter(|sid| is_sid(sid)).ok_or(Untold)?;
    let last = sid.len() - PART;
    sid[last..].copy_from_slice(&relative.to_le_bytes());
    Ok(Some(sid))
}

/// Bytes as they stand in a filter (RFC 4515 §3).
pub(super) fn in_filter(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

fn is_sid(bytes: &[u8]) -> bool {
    let parts = bytes.get(1).copied().map(usize::from).unwrap_or_default();
    bytes.first() == Some(&1) && (1..=MAX_PARTS).contains(&parts) && bytes.len() == HEADER + parts * PART
}

/// The identifier of an entry. One whose bytes happen to be UTF-8 is a text to the library.
fn own(entry: &SearchEntry) -> Option<Vec<u8>> {
    let named = |known: &str| known.eq_ignore_ascii_case(OBJECT_SID);
    let binary = entry.bin_attrs.iter().find(|(known, _)| named(known)).and_then(|(_, values)| values.first());
    binary.cloned().or_else(|| texts(entry, OBJECT_SID)?.first().map(|text| text.clone().into_bytes()))
}

fn texts<'a>(entry: &'a SearchEntry, name: &str) -> Option<&'a Vec<String>> {
    entry.attrs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, values)| values)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// S-1-5-21-1-2-3-`relative`.
    fn sid(relative: u32) -> Vec<u8> {
        let parts = [21, 1, 2, 3, relative].into_iter().flat_map(u32::to_le_bytes);
        [1, 5, 0, 0, 0, 0, 0, 5].into_iter().chain(parts).collect()
    }

    fn user(primary: &str, own: Option<Vec<u8>>) -> SearchEntry {
        let attrs = HashMap::from([("primarygroupid".to_owned(), vec![primary.to_owned()])]);
        let bin_attrs = own.map(|own| ("objectSid".to_owned(), vec![own])).into_iter().collect();
        SearchEntry { dn: "cn=alice".to_owned(), attrs, bin_attrs }
    }

    #[test]
    fn the_primary_group_has_the_identifier_of_the_user_with_another_end() {
        assert_eq!(primary_group(&user("513", Some(sid(0xffff)))), Ok(Some(sid(513))));
        let none = SearchEntry { dn: "cn=alice".to_owned(), attrs: HashMap::new(), bin_attrs: HashMap::new() };
        assert_eq!(primary_group(&none), Ok(None), "other directories have no such thing");
    }

    #[test]
    fn an_identifier_that_is_utf_8_is_one_all_the_same() {
        let mut entry = user("513", None);
        entry.attrs.insert("objectSid".to_owned(), vec![String::from_utf8(sid(1104)).expect("bytes below 128")]);
        assert_eq!(primary_group(&entry), Ok(Some(sid(513))));
    }

    #[test]
    fn a_primary_group_that_cannot_be_told_is_an_error() {
        let short = sid(1)[..20].to_vec();
        let none = vec![1, 0, 0, 0, 0, 0, 0, 5];
        for entry in [user("513", None), user("513", Some(short)), user("513", Some(none)), user("x", Some(sid(1)))] {
            assert_eq!(primary_group(&entry), Err(Untold), "{entry:?}");
        }
    }

    #[test]
    fn bytes_are_escaped_one_by_one() {
        assert_eq!(in_filter(&[0, 0x2a, 0xff]), r"\00\2a\ff");
    }
}
