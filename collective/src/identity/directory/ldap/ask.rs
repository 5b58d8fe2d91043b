//! One conversation with a directory: the Controller's account finds the user, a second connection proves him, groups
//! and attributes are read. Everything that a name or a group brings into a filter is escaped (RFC 4515).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{Ldap, LdapResult, Scope, SearchEntry, SearchOptions, ldap_escape};
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::identity_provider::LdapSettings;
use ringwall_protocol::object::identity_provider::ldap::NestedGroups;
use zeroize::Zeroizing;

use super::connection::{bind_service, bind_user, open};
use super::expiry::{self, Policy};
use super::trouble::{Trouble, short};
use crate::identity::directory::user_name::canonical;
use crate::identity::outbound::Outbound;

/// All of one question, whatever the servers do.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long one search may take.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Entries of one page.
const PAGE: i32 = 250;
/// Most groups of a user; more is a mistake of the filter, and leaving some out could let a Stop policy miss.
pub(super) const MAX_GROUPS: usize = 1_000;
/// Deepest nesting of groups that is followed.
const MAX_NESTING: usize = 16;
/// Groups that are asked for in one search.
const AT_ONCE: usize = 16;
/// Most values of one attribute, and longest value, that are kept.
const MAX_VALUES: usize = 1_000;
const MAX_VALUE: usize = 4 * 1024;
/// Attributes that tell that an account is not in use.
const STATE: [&str; 3] = ["userAccountControl", "nsAccountLock", "pwdAccountLockedTime"];

/// What is asked.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) outbound: Outbound,
    pub(super) settings: LdapSettings,
    pub(super) secret: Zeroizing<String>,
    pub(super) wanted: Wanted,
    /// Attributes besides those that are always read.
    pub(super) attributes: Vec<String>,
}

/// What is wanted of the directory.
#[derive(Clone)]
pub(super) enum Wanted {
    /// The user with this name, proved by this password.
    Prove(UserName, Zeroizing<String>),
    /// The user with this name, unproved.
    Find(UserName),
    /// The user whose attribute has this value, unproved.
    FindBy { attribute: String, value: String },
    /// The work of a proof, for nobody.
    Nobody(Zeroizing<String>),
    /// Whether the directory can be asked at all.
    Test,
}

/// A user as the directory has him.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) name: UserName,
    pub(super) attributes: BTreeMap<String, Vec<String>>,
    /// Values that are no text.
    pub(super) binary: BTreeMap<String, Vec<Vec<u8>>>,
    pub(super) groups: Vec<Group>,
    pub(super) policy: Policy,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) dn: String,
    pub(super) name: String,
}

/// Asks the servers in turn. The conversation is a task of its own: an answer that the library cannot bear ends it, and
/// nothing else.
pub(super) async fn ask(question: Question) -> Result<Option<Entry>, Trouble> {
    let asking = tokio::spawn(async move { tokio::time::timeout(DEADLINE, in_turn(&question)).await });
    asking.await.map_err(|_| Trouble::Unreadable)?.map_err(|_| Trouble::Timeout)?
}

async fn in_turn(question: &Question) -> Result<Option<Entry>, Trouble> {
    let mut last = Trouble::NoPassword;
    for host in &question.settings.hostnames {
        match converse(question, host).await {
            Err(trouble) if trouble.is_of_this_server() => {
                tracing::info!(host, cause = %trouble, "the next LDAP server is tried");
                last = trouble;
            }
            outcome => return outcome,
        }
    }
    Err(last)
}

async fn converse(question: &Question, host: &str) -> Result<Option<Entry>, Trouble> {
    let settings = &question.settings;
    let mut service = open(&question.outbound, settings, host).await?;
    bind_service(&mut service, settings, &question.secret).await?;
    let outcome = with_service(question, host, &mut service).await;
    drop(service.unbind().await);
    outcome
}

async fn with_service(question: &Question, host: &str, service: &mut Ldap) -> Result<Option<Entry>, Trouble> {
    let settings = &question.settings;
    let base = base(service, settings).await?;
    let (name, found) = match &question.wanted {
        Wanted::Test => {
            search(service, &base, Scope::Base, "(objectClass=*)", &["1.1".to_owned()], 2).await?;
            return Ok(None);
        }
        Wanted::Nobody(password) => {
            let filter = user_filter(settings, &settings.username_attribute, "\u{1f}nobody");
            search(service, &base, Scope::Subtree, &filter, &["1.1".to_owned()], 2).await?;
            prove_nobody(question, host, password).await?;
            return Ok(None);
        }
        Wanted::Prove(name, _) | Wanted::Find(name) => {
            (Some(name), find(question, service, &base, &settings.username_attribute, name.as_str()).await?)
        }
        Wanted::FindBy { attribute, value } => (None, find(question, service, &base, attribute, value).await?),
    };
    let known = found.and_then(|found| named(found, name, settings));
    let password = match &question.wanted {
        Wanted::Prove(_, password) => Some(password),
        _ => None,
    };
    let Some((name, entry)) = known.filter(|(_, entry)| !is_unused(entry)) else {
        if let Some(password) = password {
            prove_nobody(question, host, password).await?;
        }
        return Ok(None);
    };
    let mut policy = Policy::default();
    if let Some(password) = password {
        match prove(question, host, &entry.dn, password).await? {
            Some(told) => policy = told,
            None => return Ok(None),
        }
    }
    let groups = groups(service, settings, &base, &entry.dn).await?;
    Ok(Some(Entry {
        name,
        attributes: texts(entry.attrs),
        binary: entry.bin_attrs.into_iter().collect(),
        groups,
        policy,
    }))
}

/// Where users are searched.
async fn base(service: &mut Ldap, settings: &LdapSettings) -> Result<String, Trouble> {
    if !settings.base_dn.is_empty() {
        return Ok(settings.base_dn.clone());
    }
    let wanted = ["defaultNamingContext".to_owned(), "namingContexts".to_owned()];
    let root = search(service, "", Scope::Base, "(objectClass=*)", &wanted, 2).await?;
    let root = root.into_iter().next().ok_or(Trouble::NoBase)?;
    let values = |name: &str| root.attrs.get(name).cloned().unwrap_or_default();
    match (values(&wanted[0]).as_slice(), values(&wanted[1]).as_slice()) {
        ([one], _) | ([], [one]) if !one.is_empty() => Ok(one.clone()),
        _ => Err(Trouble::NoBase),
    }
}

/// The one entry with this value.
async fn find(
    question: &Question,
    service: &mut Ldap,
    base: &str,
    attribute: &str,
    value: &str,
) -> Result<Option<SearchEntry>, Trouble> {
    let settings = &question.settings;
    let mut attributes: BTreeSet<String> = question.attributes.iter().cloned().collect();
    attributes.insert(settings.username_attribute.clone());
    attributes.extend(expiry::ATTRIBUTES.iter().chain(&STATE).map(|name| (*name).to_owned()));
    let attributes: Vec<String> = attributes.into_iter().collect();
    let filter = user_filter(settings, attribute, value);
    let mut found = search(service, base, Scope::Subtree, &filter, &attributes, 2).await?;
    match (found.pop(), found.is_empty()) {
        (Some(entry), true) => Ok(Some(entry)),
        (Some(_), false) => Err(Trouble::Ambiguous),
        (None, _) => Ok(None),
    }
}

fn user_filter(settings: &LdapSettings, attribute: &str, value: &str) -> String {
    format!("(&{}({attribute}={}))", settings.user_filter, ldap_escape(value))
}

/// The entry with its name, if that is the one that was asked for: servers take more than one text for a name.
fn named(entry: SearchEntry, wanted: Option<&UserName>, settings: &LdapSettings) -> Option<(UserName, SearchEntry)> {
    let (_, values) = entry.attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(&settings.username_attribute))?;
    let mut names = values.iter().filter_map(|value| canonical(value));
    let name = match wanted {
        Some(wanted) => names.find(|name| name == wanted)?,
        None => names.next().filter(|_| values.len() == 1)?,
    };
    (!entry.dn.is_empty()).then_some((name, entry))
}

/// Whether the account is switched off, as far as its entry tells.
fn is_unused(entry: &SearchEntry) -> bool {
    let value = |name: &str| {
        let (_, values) = entry.attrs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        values.first().map(String::as_str)
    };
    let disabled = value(STATE[0]).is_some_and(|flags| flags.parse::<i64>().is_ok_and(|flags| flags & 2 != 0));
    let locked = value(STATE[1]).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    // This date is the draft's word for "until an administrator helps".
    let closed = value(STATE[2]).is_some_and(|text| text.starts_with("000001010000"));
    disabled || locked || closed
}

/// Proves a user by a bind of his own on a second connection: the first one keeps the Controller's rights. What the
/// password policy says if he did, nothing if he did not.
async fn prove(
    question: &Question,
    host: &str,
    dn: &str,
    password: &Zeroizing<String>,
) -> Result<Option<Policy>, Trouble> {
    let mut user = open(&question.outbound, &question.settings, host).await?;
    let bound = bind_user(&mut user, dn, password).await?;
    drop(user.unbind().await);
    bound.map_or(Ok(None), |result| judge(&result))
}

/// Result codes that say something of the credential (RFC 4511 §4.1.9): inappropriate, invalid, no such object,
/// insufficient rights, unwilling (locked accounts of some servers), constraint, invalid DN.
const NO: [u32; 7] = [48, 49, 32, 50, 53, 19, 34];

fn judge(result: &LdapResult) -> Result<Option<Policy>, Trouble> {
    let value = result.ctrls.iter().find(|control| control.1.ctype == expiry::PASSWORD_POLICY);
    let policy = value.and_then(|control| control.1.val.as_deref()).map(expiry::policy).unwrap_or_default();
    match result.rc {
        // A password that must be changed first opens nothing else.
        0 if policy.error.is_none() => Ok(Some(policy)),
        0 => {
            tracing::info!(cause = expiry::why(policy, ""), "a password is right but does not suffice");
            Ok(None)
        }
        code if NO.contains(&code) => {
            tracing::info!(cause = expiry::why(policy, &result.text), code, "the directory refuses a user");
            Ok(None)
        }
        code => Err(Trouble::Refused { what: "a bind", code, text: short(&result.text) }),
    }
}

/// The work of [`prove`], for nobody.
async fn prove_nobody(question: &Question, host: &str, password: &Zeroizing<String>) -> Result<(), Trouble> {
    let mut user = open(&question.outbound, &question.settings, host).await?;
    let dn = format!("cn=nobody-{},{}", uuid::Uuid::new_v4().simple(), question.settings.base_dn);
    let bound = bind_user(&mut user, dn.trim_end_matches(','), password).await;
    drop(user.unbind().await);
    bound.map(|_| ())
}

/// The groups of a user, and the groups of those.
async fn groups(service: &mut Ldap, settings: &LdapSettings, base: &str, dn: &str) -> Result<Vec<Group>, Trouble> {
    let base = if settings.membership_base_dn.is_empty() { base } else { &settings.membership_base_dn };
    let rule = match settings.nested_groups {
        NestedGroups::MatchingRule => ":1.2.840.113556.1.4.1941:",
        NestedGroups::Recursive | NestedGroups::Direct => "",
    };
    let mut known: BTreeMap<String, Group> = BTreeMap::new();
    let mut frontier = vec![dn.to_owned()];
    for _ in 0..MAX_NESTING {
        let mut next = Vec::new();
        for some in frontier.chunks(AT_ONCE) {
            let members: String = some
                .iter()
                .map(|dn| format!("({}{rule}={})", settings.member_attribute, ldap_escape(dn.as_str())))
                .collect();
            let filter = format!("(&{}(|{members}))", settings.membership_filter);
            for entry in search(service, base, Scope::Subtree, &filter, &["cn".to_owned()], MAX_GROUPS + 1).await? {
                let name = entry.attrs.get("cn").and_then(|names| names.first()).cloned().unwrap_or_default();
                let group = Group { dn: entry.dn.clone(), name };
                if known.insert(entry.dn.to_lowercase(), group).is_none() {
                    next.push(entry.dn);
                }
                if known.len() > MAX_GROUPS {
                    return Err(Trouble::TooManyGroups(MAX_GROUPS));
                }
            }
        }
        if next.is_empty() || settings.nested_groups != NestedGroups::Recursive {
            return Ok(known.into_values().collect());
        }
        frontier = next;
    }
    // Deeper than anybody nests: what lies below could be what a policy forbids.
    Err(Trouble::TooManyGroups(MAX_GROUPS))
}

/// All entries that match, page by page; `most` of them at most, of which the caller judges the last.
async fn search(
    ldap: &mut Ldap,
    base: &str,
    scope: Scope,
    filter: &str,
    attributes: &[String],
    most: usize,
) -> Result<Vec<SearchEntry>, Trouble> {
    let limit = i32::try_from(SEARCH_TIMEOUT.as_secs()).unwrap_or(i32::MAX);
    ldap.with_search_options(SearchOptions::new().timelimit(limit)).with_timeout(SEARCH_TIMEOUT);
    let mut adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = vec![Box::new(EntriesOnly::new())];
    if scope == Scope::Subtree {
        adapters.push(Box::new(PagedResults::new(PAGE)));
    }
    let mut stream = ldap.streaming_search_with(adapters, base, scope, filter, attributes.to_vec()).await?;
    let mut found = Vec::new();
    while let Some(entry) = stream.next().await? {
        found.push(SearchEntry::construct(entry));
        if found.len() >= most {
            // The connection ends with the question: what else the server sends is not waited for.
            return Ok(found);
        }
    }
    let result = stream.finish().await;
    match result.rc {
        0 => Ok(found),
        // No such object: below a base that does not exist there is nobody, but it is a mistake of the configuration.
        code => Err(Trouble::Refused { what: "a search", code, text: short(&result.text) }),
    }
}

/// Attributes as text, bounded.
fn texts(attributes: std::collections::HashMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    let fits = |value: &String| value.len() <= MAX_VALUE;
    attributes
        .into_iter()
        .map(|(name, values)| (name, values.into_iter().filter(fits).take(MAX_VALUES).collect()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn settings() -> LdapSettings {
        serde_json::from_value(serde_json::json!({
            "hostnames": ["ldap"], "port": 636, "adminDistinguishedName": "cn=a", "usernameAttribute": "uid"
        }))
        .expect("settings")
    }

    fn entry(pairs: &[(&str, &str)]) -> SearchEntry {
        let attrs: HashMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), vec![(*v).to_owned()])).collect();
        SearchEntry { dn: "uid=alice,dc=x".to_owned(), attrs, bin_attrs: HashMap::new() }
    }

    #[test]
    fn nothing_in_a_name_changes_the_filter() {
        let filter = user_filter(&settings(), "uid", "*)(uid=admin))(|(uid=\0\\");
        assert_eq!(filter, r"(&(objectClass=person)(uid=\2a\29\28uid=admin\29\29\28|\28uid=\00\5c))");
    }

    #[test]
    fn the_entry_must_have_the_name_that_was_asked_for() {
        let wanted = UserName::parse("alice").expect("a name");
        assert!(named(entry(&[("UID", "Alice")]), Some(&wanted), &settings()).is_some());
        assert!(named(entry(&[("uid", "alíce")]), Some(&wanted), &settings()).is_none());
        assert!(named(entry(&[("cn", "alice")]), Some(&wanted), &settings()).is_none());
    }

    #[test]
    fn accounts_that_are_switched_off_are_nobody() {
        assert!(is_unused(&entry(&[("userAccountControl", "514")])));
        assert!(!is_unused(&entry(&[("userAccountControl", "512")])));
        assert!(is_unused(&entry(&[("nsaccountlock", "TRUE")])));
        assert!(is_unused(&entry(&[("pwdAccountLockedTime", "000001010000Z")])));
    }

    #[test]
    fn only_a_clean_success_is_a_proof() {
        let result = |rc| LdapResult { rc, matched: String::new(), text: String::new(), refs: vec![], ctrls: vec![] };
        assert!(matches!(judge(&result(0)), Ok(Some(_))));
        for code in [49, 53, 32] {
            assert!(matches!(judge(&result(code)), Ok(None)), "{code}");
        }
        for code in [1, 10, 14, 51, 52, 80] {
            assert!(judge(&result(code)).is_err(), "{code}");
        }
    }
}
