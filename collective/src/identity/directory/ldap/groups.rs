//! The groups of a user, and the groups of those: groups that name him by his DN, POSIX groups that name him by `memberUid` or
//! `gidNumber` (RFC 2307 §2.2), and Active Directory's primary group. All of them, or none and the reason: a Stop policy may
//! name the one that is left out. Everything that an entry brings into a filter is escaped (RFC 4515).

use std::collections::BTreeMap;

use ldap3::{Ldap, Scope, SearchEntry, ldap_escape};
use ringwall_protocol::object::identity_provider::LdapSettings;
use ringwall_protocol::object::identity_provider::ldap::{ANY_GROUP, NestedGroups};

use super::search::search;
use super::sid::{self, OBJECT_SID, PRIMARY_GROUP};
use super::trouble::{Trouble, short};

/// Attributes of a user that are read for this.
pub(super) const ATTRIBUTES: [&str; 4] = [LOGIN_NAME, POSIX_GROUP, PRIMARY_GROUP, OBJECT_SID];
const LOGIN_NAME: &str = "uid";
const POSIX_GROUP: &str = "gidNumber";
const MEMBER_NAME: &str = "memberUid";
/// Most groups of a user; more is a mistake of the filter, and leaving some out could let a Stop policy miss.
const MAX_GROUPS: usize = 1_000;
/// Most values of `uid` that are asked for: a user has one.
const MAX_LOGIN_NAMES: usize = 16;
/// Deepest nesting of groups that is followed.
const MAX_NESTING: usize = 16;
/// Groups that are asked for in one search.
const AT_ONCE: usize = 16;
/// Active Directory's rule for members of members (MS-ADTS §3.1.1.3.4.4.3).
const IN_CHAIN: &str = ":1.2.840.113556.1.4.1941:";
/// Beginnings of parts of Active Directory that a search from the domain's root is always referred to, and that hold no
/// groups: its configuration and its DNS zones.
const WITHOUT_GROUPS: [&str; 4] = ["cn=configuration,", "cn=schema,", "dc=domaindnszones,", "dc=forestdnszones,"];

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) dn: String,
    pub(super) name: String,
}

/// All groups of a user, in the order of their DNs.
///
/// # Errors
/// [`Trouble::TooManyGroups`], [`Trouble::Incomplete`]; whatever else keeps the server from answering.
pub(super) async fn groups(
    service: &mut Ldap,
    settings: &LdapSettings,
    base: &str,
    user: &SearchEntry,
) -> Result<Vec<Group>, Trouble> {
    let base = below(settings, base);
    let mut groups = Groups { service, settings, base, known: BTreeMap::new() };
    let mut roots = match by_own_entry(settings, user)? {
        Some(filter) => {
            let found = groups.matching(&filter).await?;
            groups.keep(found)?
        }
        None => Vec::new(),
    };
    if !names_users(settings) {
        roots.push(user.dn.clone());
        groups.collect(roots, &user.dn).await?;
    }
    Ok(groups.known.into_values().collect())
}

/// Whether there is a group at all.
///
/// # Errors
/// [`Trouble::NoGroups`]; whatever keeps the server from answering.
pub(super) async fn exist(service: &mut Ldap, settings: &LdapSettings, base: &str) -> Result<(), Trouble> {
    let filter = format!("(|{}{})", settings.membership_filter, posix(settings, ""));
    let found = search(service, below(settings, base), Scope::Subtree, &filter, &["1.1".to_owned()], 1).await?;
    if found.entries.is_empty() { Err(Trouble::NoGroups) } else { Ok(()) }
}

/// Where groups are searched.
fn below<'a>(settings: &'a LdapSettings, base: &'a str) -> &'a str {
    if settings.membership_base_dn.is_empty() { base } else { &settings.membership_base_dn }
}

/// What a POSIX group matches, besides `members`. A user's entry has a `gidNumber` too: the class tells what is a group,
/// whatever the filter says.
fn posix(settings: &LdapSettings, members: &str) -> String {
    let filter = if settings.membership_filter == ANY_GROUP { "" } else { &settings.membership_filter };
    format!("(&{filter}(objectClass=posixGroup){members})")
}

/// Whether the attribute of a group holds names of users and not DNs: then no group is in another one.
fn names_users(settings: &LdapSettings) -> bool {
    settings.member_attribute.eq_ignore_ascii_case(MEMBER_NAME)
}

/// A search for groups that goes on.
struct Groups<'a> {
    service: &'a mut Ldap,
    settings: &'a LdapSettings,
    base: &'a str,
    /// By DN in lower case.
    known: BTreeMap<String, Group>,
}

impl Groups<'_> {
    /// Keeps the groups that have one of `roots`, or one of their groups, as a member.
    async fn collect(&mut self, roots: Vec<String>, user: &str) -> Result<(), Trouble> {
        match self.settings.nested_groups {
            NestedGroups::Direct => {
                let found = self.containing(&[user.to_owned()], "").await?;
                self.keep(found).map(drop)
            }
            NestedGroups::Recursive => self.follow(roots).await,
            NestedGroups::MatchingRule => {
                let direct = self.containing(&roots, "").await?;
                let nested = self.containing(&roots, IN_CHAIN).await?;
                if direct.keys().all(|group| nested.contains_key(group)) {
                    return self.keep(nested).map(drop);
                }
                // To a server that does not have the rule nothing matches it, without an error (RFC 4511 §4.5.1.7.7).
                tracing::info!(
                    "the LDAP server does not evaluate the matching rule of nested groups; they are followed"
                );
                let next = self.keep(direct)?;
                self.follow(next).await
            }
        }
    }

    /// Group by group.
    async fn follow(&mut self, mut members: Vec<String>) -> Result<(), Trouble> {
        for _ in 0..MAX_NESTING {
            let found = self.containing(&members, "").await?;
            members = self.keep(found)?;
            if members.is_empty() {
                return Ok(());
            }
        }
        // Deeper than anybody nests: what lies below could be what a policy forbids.
        Err(Trouble::TooManyGroups(MAX_GROUPS))
    }

    /// The groups that have one of these members, under a matching rule.
    async fn containing(&mut self, members: &[String], rule: &str) -> Result<BTreeMap<String, Group>, Trouble> {
        let mut found = BTreeMap::new();
        for some in members.chunks(AT_ONCE) {
            let attribute = &self.settings.member_attribute;
            let any: String =
                some.iter().map(|dn| format!("({attribute}{rule}={})", ldap_escape(dn.as_str()))).collect();
            let filter = format!("(&{}(|{any}))", self.settings.membership_filter);
            found.extend(self.matching(&filter).await?);
            bounded(&found)?;
        }
        Ok(found)
    }

    /// The groups that match a filter, all of them.
    async fn matching(&mut self, filter: &str) -> Result<BTreeMap<String, Group>, Trouble> {
        let attributes = ["cn".to_owned()];
        let found = search(self.service, self.base, Scope::Subtree, filter, &attributes, MAX_GROUPS + 1).await;
        let found = found.map_err(ended_early)?;
        if let Some(elsewhere) = found.references.iter().find(|uri| may_hold_groups(uri)) {
            let advice = "let membershipBaseDn lie on one server, or ask a global catalog";
            return Err(incomplete(format!("a part of them is at {}; {advice}", short(elsewhere))));
        }
        let found: BTreeMap<_, _> =
            found.entries.into_iter().map(group).map(|one| (one.dn.to_lowercase(), one)).collect();
        bounded(&found)?;
        Ok(found)
    }

    /// Adds groups; the DNs of those that are new.
    fn keep(&mut self, found: BTreeMap<String, Group>) -> Result<Vec<String>, Trouble> {
        let mut new = Vec::new();
        for (key, group) in found {
            let dn = group.dn.clone();
            if self.known.insert(key, group).is_none() {
                new.push(dn);
            }
        }
        bounded(&self.known)?;
        Ok(new)
    }
}

fn group(entry: SearchEntry) -> Group {
    let cn = entry.attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case("cn"));
    let name = cn.and_then(|(_, names)| names.first()).cloned().unwrap_or_default();
    Group { dn: entry.dn, name }
}

fn bounded(groups: &BTreeMap<String, Group>) -> Result<(), Trouble> {
    if groups.len() > MAX_GROUPS { Err(Trouble::TooManyGroups(MAX_GROUPS)) } else { Ok(()) }
}

/// What groups match that a user's own entry names; nothing if it names none.
fn by_own_entry(settings: &LdapSettings, user: &SearchEntry) -> Result<Option<String>, Trouble> {
    let mut any = String::new();
    let untold = |_: sid::Untold| {
        let advice = "let adminDistinguishedName read objectSid";
        incomplete(format!("the user has {PRIMARY_GROUP} without a readable {OBJECT_SID}; {advice}"))
    };
    if let Some(group) = sid::primary_group(user).map_err(untold)? {
        any += &format!("(&{}({OBJECT_SID}={}))", settings.membership_filter, sid::in_filter(&group));
    }
    let mut names = values(user, LOGIN_NAME)?;
    if names.is_empty() {
        names = values(user, &settings.username_attribute)?;
    }
    if names.len() > MAX_LOGIN_NAMES {
        return Err(incomplete(format!("the user has more than {MAX_LOGIN_NAMES} names in {LOGIN_NAME}")));
    }
    let mut members: String = names.iter().map(|name| format!("({MEMBER_NAME}={})", ldap_escape(*name))).collect();
    if let Some(number) = values(user, POSIX_GROUP)?.first() {
        members += &format!("({POSIX_GROUP}={})", ldap_escape(*number));
    }
    if !members.is_empty() {
        any += &posix(settings, &format!("(|{members})"));
    }
    Ok((!any.is_empty()).then(|| format!("(|{any})")))
}

/// The values of an attribute by which groups are found.
fn values<'a>(user: &'a SearchEntry, name: &str) -> Result<Vec<&'a str>, Trouble> {
    if user.bin_attrs.keys().any(|known| known.eq_ignore_ascii_case(name)) {
        return Err(incomplete(format!("a value of {name} is no text")));
    }
    let found = user.attrs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    Ok(found.map(|(_, values)| values.iter().map(String::as_str).collect()).unwrap_or_default())
}

/// Whether another server's part of the directory may have groups of a user (RFC 4516 §2: `ldap://host:port/dn?…`).
fn may_hold_groups(uri: &str) -> bool {
    let dn = uri.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, dn)| dn);
    let dn = dn.to_ascii_lowercase();
    !WITHOUT_GROUPS.iter().any(|part| dn.starts_with(part))
}

/// A search that the server ended is no list of groups, however many came.
fn ended_early(trouble: Trouble) -> Trouble {
    let (code, why) = match &trouble {
        Trouble::Refused { code: code @ 3, .. } => (*code, "the server's time limit was exceeded"),
        Trouble::Refused { code: code @ 4, .. } => (*code, "the server's size limit was exceeded"),
        Trouble::Refused { code: code @ 10, .. } => (*code, "the server refers to another one for all of them"),
        Trouble::Refused { code: code @ 11, .. } => (*code, "an administrative limit of the server was exceeded"),
        _ => return trouble,
    };
    let advice = if code == 10 { "correct membershipBaseDn" } else { "raise it for adminDistinguishedName" };
    incomplete(format!("{why} (result code {code}); {advice}"))
}

fn incomplete(cause: String) -> Trouble {
    Trouble::Incomplete { what: "the groups of a user".to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn settings() -> LdapSettings {
        serde_json::from_value(serde_json::json!({
            "hostnames": ["ldap"], "port": 636, "adminDistinguishedName": "cn=a", "usernameAttribute": "mail",
            "membershipFilter": "(ou=x)"
        }))
        .expect("settings")
    }

    fn user(pairs: &[(&str, &[&str])]) -> SearchEntry {
        let owned = |values: &&[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let attrs = pairs.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect();
        SearchEntry { dn: "uid=alice,dc=x".to_owned(), attrs, bin_attrs: HashMap::new() }
    }

    fn asked(pairs: &[(&str, &[&str])]) -> Option<String> {
        by_own_entry(&settings(), &user(pairs)).expect("a filter")
    }

    #[test]
    fn posix_groups_are_asked_for_by_name_and_number() {
        let all = asked(&[("uid", &["al*", "alice"]), ("gidnumber", &["6001"]), ("mail", &["a@x"])]);
        let wanted = r"(|(&(ou=x)(objectClass=posixGroup)(|(memberUid=al\2a)(memberUid=alice)(gidNumber=6001))))";
        assert_eq!(all.as_deref(), Some(wanted), "within the filter that the operator set");
        let without_uid = asked(&[("Mail", &["a@x"])]);
        assert_eq!(without_uid.as_deref(), Some("(|(&(ou=x)(objectClass=posixGroup)(|(memberUid=a@x))))"));
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn posix_groups_count_where_no_filter_was_set() {
        let settings = LdapSettings { membership_filter: ANY_GROUP.to_owned(), ..settings() };
        let any = by_own_entry(&settings, &user(&[("uid", &["alice"])])).expect("a filter");
        assert_eq!(any.as_deref(), Some("(|(&(objectClass=posixGroup)(|(memberUid=alice))))"));
    }

    #[test]
    fn what_a_users_entry_does_not_tell_whole_is_no_list_of_groups() {
        let many: Vec<String> = (0..17).map(|number| format!("n{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let mut binary = user(&[]);
        binary.bin_attrs.insert("UID".to_owned(), vec![vec![0xff]]);
        for entry in [user(&[("primaryGroupID", &["513"])]), user(&[("uid", &many)]), binary] {
            let refused = by_own_entry(&settings(), &entry);
            assert!(matches!(refused, Err(Trouble::Incomplete { .. })), "{entry:?}: {refused:?}");
        }
    }

    #[test]
    fn a_search_that_the_server_ended_is_no_list_of_groups() {
        for code in [3, 4, 10, 11] {
            let ended = ended_early(Trouble::Refused { what: "a search", code, text: String::new() });
            assert!(matches!(ended, Trouble::Incomplete { .. }), "{code}: {ended}");
        }
        let other = ended_early(Trouble::Refused { what: "a search", code: 32, text: String::new() });
        assert!(matches!(other, Trouble::Refused { code: 32, .. }), "{other}");
    }

    #[test]
    fn parts_on_other_servers_count_unless_they_hold_no_groups() {
        for part in ["DC=DomainDnsZones,DC=corp,DC=example", "CN=Configuration,DC=corp,DC=example"] {
            assert!(!may_hold_groups(&format!("ldap://corp.example/{part}")), "{part}");
        }
        for uri in ["ldap://child.corp.example/DC=child,DC=corp,DC=example", "ldap://corp.example", "ldap:///", "x"] {
            assert!(may_hold_groups(uri), "{uri}");
        }
    }
}
