//! One conversation with a directory: the Controller's account finds the user, a second connection proves him, groups
//! and attributes are read. Everything that a name brings into a filter is escaped (RFC 4515).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ldap3::{Ldap, LdapResult, Scope, SearchEntry, ldap_escape};
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::identity_provider::LdapSettings;
use ringwall_protocol::time::UnixMillis;
use zeroize::Zeroizing;

use super::account::{self, Bind};
use super::connection::{bind_service, bind_user, open};
use super::expiry::{self, Policy};
use super::groups::{self, Group};
use super::search::{complete, search, texts};
use super::trouble::{Trouble, short};
use crate::identity::directory::user_name::{canonical, spellings};
use crate::identity::outbound::Outbound;

/// All of one question, whatever the servers do.
const DEADLINE: Duration = Duration::from_secs(10);
/// Attributes that hold a name with its domain.
const WITH_DOMAIN: [&str; 2] = ["userPrincipalName", "mail"];

/// What is asked.
#[derive(Clone)]
pub(super) struct Question {
    /// The provider's name, for the log.
    pub(super) provider: String,
    pub(super) outbound: Outbound,
    pub(super) settings: LdapSettings,
    pub(super) secret: Zeroizing<String>,
    pub(super) wanted: Wanted,
    /// Attributes that claims are made of: they are told whole.
    pub(super) claimed: Vec<String>,
    /// Others that are wanted.
    pub(super) attributes: Vec<String>,
    /// When it is asked.
    pub(super) now: UnixMillis,
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
            groups::exist(service, settings, &base).await?;
            return Ok(None);
        }
        Wanted::Nobody(password) => {
            let filter = user_filter(settings, &settings.username_attribute, ["\u{1f}nobody".to_owned()]);
            search(service, &base, Scope::Subtree, &filter, &["1.1".to_owned()], 2).await?;
            prove_nobody(question, host, password).await?;
            return Ok(None);
        }
        Wanted::Prove(name, _) | Wanted::Find(name) => {
            (Some(name), find(question, service, &base, &settings.username_attribute, spellings(name)).await?)
        }
        Wanted::FindBy { attribute, value } => {
            (None, find(question, service, &base, attribute, [value.clone()]).await?)
        }
    };
    let password = match &question.wanted {
        Wanted::Prove(_, password) => Some(password),
        _ => None,
    };
    let Some((name, entry)) = usable(question, found, name) else {
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
    told(question, service, &base, (name, entry), policy).await.map(Some)
}

/// All that the directory tells of a user.
async fn told(
    question: &Question,
    service: &mut Ldap,
    base: &str,
    (name, mut entry): (UserName, SearchEntry),
    policy: Policy,
) -> Result<Entry, Trouble> {
    let groups = groups::groups(service, &question.settings, base, &entry).await?;
    complete(service, &mut entry, &question.claimed).await?;
    Ok(Entry {
        name,
        attributes: texts(entry.attrs, &question.claimed)?,
        binary: entry.bin_attrs.into_iter().collect(),
        groups,
        policy,
    })
}

/// The entry that was found, if it is the user's and his account is in use. Whoever signs in hears the same of both; the
/// reason is for operators.
fn usable(
    question: &Question,
    found: Option<SearchEntry>,
    wanted: Option<&UserName>,
) -> Option<(UserName, SearchEntry)> {
    let provider = question.provider.as_str();
    let Some((name, entry)) = found.and_then(|found| named(found, wanted, &question.settings)) else {
        if let Some(wanted) = wanted {
            let cause = unknown(wanted.as_str(), &question.settings);
            tracing::info!(provider, user = %wanted, %cause, "the directory has no such user");
        }
        return None;
    };
    let bind = if matches!(question.wanted, Wanted::Prove(..)) { Bind::Follows } else { Bind::None };
    match account::closed(&entry, bind, question.now) {
        Some(cause) => {
            tracing::info!(provider, user = %name, %cause, "the user's account cannot be used");
            None
        }
        None => Some((name, entry)),
    }
}

/// Why nobody was found, and what to do if the name is somebody's; for operators.
fn unknown(name: &str, settings: &LdapSettings) -> String {
    let attribute = &settings.username_attribute;
    let with_domain = WITH_DOMAIN.iter().any(|known| known.eq_ignore_ascii_case(attribute));
    if let Some((domain, _)) = name.split_once('\\') {
        return format!("the name has the form DOMAIN\\user; to accept it, list {domain} in signInDomains");
    }
    match name.rsplit_once('@') {
        Some((_, domain)) if !with_domain => format!(
            "the name has the form user@domain, and usernameAttribute is {attribute}; to accept it, list {domain} in \
             signInDomains, or set usernameAttribute to userPrincipalName"
        ),
        None if with_domain => format!("the name has no domain, and usernameAttribute is {attribute}"),
        _ => format!("no entry below baseDn that matches userFilter has exactly this name as its {attribute}"),
    }
}

/// Where users are searched.
async fn base(service: &mut Ldap, settings: &LdapSettings) -> Result<String, Trouble> {
    if !settings.base_dn.is_empty() {
        return Ok(settings.base_dn.clone());
    }
    let wanted = ["defaultNamingContext".to_owned(), "namingContexts".to_owned()];
    let root = search(service, "", Scope::Base, "(objectClass=*)", &wanted, 2).await?;
    let root = root.entries.into_iter().next().ok_or(Trouble::NoBase)?;
    let values = |name: &str| root.attrs.get(name).cloned().unwrap_or_default();
    match (values(&wanted[0]).as_slice(), values(&wanted[1]).as_slice()) {
        ([one], _) | ([], [one]) if !one.is_empty() => Ok(one.clone()),
        _ => Err(Trouble::NoBase),
    }
}

/// The one entry with one of these values.
async fn find(
    question: &Question,
    service: &mut Ldap,
    base: &str,
    attribute: &str,
    values: impl IntoIterator<Item = String>,
) -> Result<Option<SearchEntry>, Trouble> {
    let settings = &question.settings;
    let always = expiry::ATTRIBUTES.iter().chain(&account::ATTRIBUTES).chain(&groups::ATTRIBUTES);
    let mut attributes: BTreeSet<String> = always.map(|name| (*name).to_owned()).collect();
    attributes.extend(question.attributes.iter().chain(&question.claimed).cloned());
    attributes.insert(settings.username_attribute.clone());
    let attributes: Vec<String> = attributes.into_iter().collect();
    let filter = user_filter(settings, attribute, values);
    let mut found = search(service, base, Scope::Subtree, &filter, &attributes, 2).await?.entries;
    match (found.pop(), found.is_empty()) {
        (Some(entry), true) => Ok(Some(entry)),
        (Some(_), false) => Err(Trouble::Ambiguous),
        (None, _) => Ok(None),
    }
}

fn user_filter(settings: &LdapSettings, attribute: &str, values: impl IntoIterator<Item = String>) -> String {
    let any: Vec<String> =
        values.into_iter().map(|value| format!("({attribute}={})", ldap_escape(value.as_str()))).collect();
    match any.as_slice() {
        [one] => format!("(&{}{one})", settings.user_filter),
        _ => format!("(&{}(|{}))", settings.user_filter, any.concat()),
    }
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
        let filter = user_filter(&settings(), "uid", ["*)(uid=admin))(|(uid=\0\\".to_owned()]);
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
    fn operators_learn_how_a_name_with_a_domain_is_accepted() {
        let with = |attribute: &str| LdapSettings { username_attribute: attribute.to_owned(), ..settings() };
        assert!(unknown("corp\\alice", &settings()).contains("list corp in signInDomains"));
        assert!(unknown("alice@corp.example", &settings()).contains("list corp.example in signInDomains"));
        assert!(unknown("alice@corp.example", &with("UserPrincipalName")).contains("exactly this name"));
        assert!(unknown("alice", &with("mail")).contains("has no domain"));
        assert!(unknown("alice", &settings()).contains("exactly this name as its uid"));
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
