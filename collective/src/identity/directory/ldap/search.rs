//! Searches: page by page (RFC 2696), bounded in time and number, and told from those that the server ends early. Referrals
//! are never followed: they would carry the Controller's password to whatever server an entry names.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ldap3::adapters::EntriesOnly;
use ldap3::controls::{ControlType, PagedResults};
use ldap3::{Ldap, LdapResult, Scope, SearchEntry, SearchOptions};

use super::ranged::{Gap, MAX_VALUES, Ranged};
use super::trouble::{Trouble, short};

/// How long one search may take.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Entries of one page.
const PAGE: i32 = 250;
/// Longest value of an attribute that is kept, in bytes.
const MAX_VALUE: usize = 4 * 1024;

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<SearchEntry>,
    /// URIs of other servers that have parts of the subtree (RFC 4511 §4.5.3).
    pub(super) references: Vec<String>,
}

/// All entries that match, page by page; `most` of them at most, of which the caller judges the last.
///
/// # Errors
/// Any result but success: entries that came before it are not all.
pub(super) async fn search(
    ldap: &mut Ldap,
    base: &str,
    scope: Scope,
    filter: &str,
    attributes: &[String],
    most: usize,
) -> Result<Found, Trouble> {
    let limit = i32::try_from(SEARCH_TIMEOUT.as_secs()).unwrap_or(i32::MAX);
    let mut found = Found::default();
    let mut cookie = Vec::new();
    loop {
        ldap.with_search_options(SearchOptions::new().timelimit(limit)).with_timeout(SEARCH_TIMEOUT);
        if scope == Scope::Subtree {
            ldap.with_controls(PagedResults { size: PAGE, cookie });
        }
        let mut page = ldap.streaming_search_with(EntriesOnly::new(), base, scope, filter, attributes.to_vec()).await?;
        while let Some(entry) = page.next().await? {
            found.entries.push(SearchEntry::construct(entry));
            if found.entries.len() >= most {
                // The connection ends with the question: what else the server sends is not waited for.
                return Ok(found);
            }
        }
        let result = page.finish().await;
        if result.rc != 0 {
            // No such object: below a base that does not exist there is nobody, but it is a mistake of the configuration.
            return Err(Trouble::Refused { what: "a search", code: result.rc, text: short(&result.text) });
        }
        cookie = next_page(&result);
        found.references.extend(result.refs);
        if cookie.is_empty() {
            return Ok(found);
        }
    }
}

/// What the next page is asked for with; empty after the last one.
fn next_page(result: &LdapResult) -> Vec<u8> {
    let paged = result.ctrls.iter().find(|control| matches!(control.0, Some(ControlType::PagedResults)));
    paged.map(|control| control.1.parse::<PagedResults>().cookie).unwrap_or_default()
}

/// Reads the values of `names` that the server told a part of only.
///
/// # Errors
/// [`Trouble::Incomplete`] where it does not tell the rest.
pub(super) async fn complete(ldap: &mut Ldap, entry: &mut SearchEntry, names: &[String]) -> Result<(), Trouble> {
    for name in names {
        let Some(mut ranged) = Ranged::begun(name, &entry.attrs) else { continue };
        let gap = |gap: Gap| Trouble::Incomplete { what: name.clone(), cause: gap.to_string() };
        ranged.take(&entry.attrs).map_err(gap)?;
        while let Some(wanted) = ranged.wanted() {
            let answer = search(ldap, &entry.dn, Scope::Base, "(objectClass=*)", &[wanted], 2).await?;
            ranged.take(&answer.entries.into_iter().next().unwrap_or_else(nothing).attrs).map_err(gap)?;
        }
        let (name, values) = ranged.into_values();
        entry.attrs.retain(|known, _| !known.eq_ignore_ascii_case(&name));
        entry.attrs.insert(name, values);
    }
    Ok(())
}

fn nothing() -> SearchEntry {
    SearchEntry { dn: String::new(), attrs: HashMap::new(), bin_attrs: HashMap::new() }
}

/// Attributes as text, bounded. Those that claims are made of are whole, others only shown.
///
/// # Errors
/// [`Trouble::Incomplete`] for an attribute among `claimed` with more values than a claim may have, or longer ones: what is
/// left out could be what a policy forbids.
pub(super) fn texts(
    attributes: HashMap<String, Vec<String>>,
    claimed: &[String],
) -> Result<BTreeMap<String, Vec<String>>, Trouble> {
    let fits = |value: &String| value.len() <= MAX_VALUE;
    let mut bounded = BTreeMap::new();
    for (name, values) in attributes {
        let whole = values.len() <= MAX_VALUES && values.iter().all(fits);
        if !whole && claimed.iter().any(|one| one.eq_ignore_ascii_case(&name)) {
            let cause = format!("it has more than {MAX_VALUES} values, or one of more than {MAX_VALUE} bytes");
            return Err(Trouble::Incomplete { what: name, cause });
        }
        bounded.insert(name, values.into_iter().filter(fits).take(MAX_VALUES).collect());
    }
    Ok(bounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_become_claims_are_whole_or_refused() {
        let many: Vec<String> = (0..1_001).map(|number| number.to_string()).collect();
        let long = vec!["short".to_owned(), "x".repeat(4_097)];
        for values in [many, long] {
            let attributes = HashMap::from([("Mail".to_owned(), values)]);
            let refused = texts(attributes.clone(), &["mail".to_owned()]);
            assert!(matches!(refused, Err(Trouble::Incomplete { what, .. }) if what == "Mail"));
            assert!(texts(attributes, &["sn".to_owned()]).is_ok_and(|shown| shown["Mail"].len() <= 1_000));
        }
    }
}
