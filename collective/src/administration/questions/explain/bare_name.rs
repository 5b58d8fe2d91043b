//! Whose name a bare name is: a local user's, else that of the one user whom another provider knows by it.

use futures_util::future::join_all;
use ringwall_protocol::name::{ProviderName, UserDn, UserName};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_raft::State;

use crate::administration::denial::Denial;
use crate::administration::questions::Questions;
use crate::identity::directory::{Directory, LookUp, checked_at};

/// Most directories that are asked for one name, all at once; each has a deadline of its own.
const MAX_ASKED: usize = 8;

impl Questions {
    /// The user of a name. Users who have a registered device are known without asking; directories are asked.
    ///
    /// # Errors
    /// `NotFound`, with the form that names a user of another provider; `Conflict` for a name that several users have.
    pub(super) async fn user_of_name(&self, state: &State, name: &UserName) -> Result<UserDn, Denial> {
        if let Some(local) = local_user(state, name) {
            return Ok(local);
        }
        let candidates: Vec<(&IdentityProvider, UserDn)> =
            state.identity_providers().filter_map(|provider| Some((provider, dn_at(provider, name)?))).collect();
        let (registered, others): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|(_, dn)| state.devices().any(|device| device.dn.user == *dn));
        let asked = others.into_iter().filter(|(provider, _)| provider.kind() == IdentityProviderKind::Ldap);
        let asked: Vec<_> = asked.take(MAX_ASKED).collect();
        let mut questions = Vec::with_capacity(asked.len());
        for (provider, dn) in &asked {
            questions.push(self.providers.directories.look_up(state, provider, &dn.user));
        }
        let told = join_all(questions).await;
        let known = asked.into_iter().zip(&told).filter(|(_, told)| matches!(told, Ok(LookUp::Known(_))));
        let mut found: Vec<UserDn> =
            registered.into_iter().chain(known.map(|(one, _)| one)).map(|(_, dn)| dn).collect();
        let silent = told.iter().any(Result::is_err);
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(one), false) => Err(several(name, found.into_iter().chain([one]))),
            (None, _) => Err(nobody(state, name, silent)),
        }
    }
}

fn local_user(state: &State, name: &UserName) -> Option<UserDn> {
    let user = state.local_user_named(name.as_str())?;
    let provider = ProviderName::parse(state.local_provider()?.base.name.clone()).ok()?;
    Some(UserDn { user: UserName::parse(user.base.name.clone()).ok()?, provider })
}

/// The user of this name at a provider, in the form that the provider's names have.
fn dn_at(provider: &IdentityProvider, name: &UserName) -> Option<UserDn> {
    let user = if provider.kind().disregards_case() { checked_at(provider, name.as_str()).ok()? } else { name.clone() };
    Some(UserDn { user, provider: ProviderName::parse(provider.base.name.clone()).ok()? })
}

fn several(name: &UserName, users: impl Iterator<Item = UserDn>) -> Denial {
    let users: Vec<String> = users.map(|user| user.to_string()).collect();
    Denial::Conflict(format!("several users have the name {:?}; name one of {}", name.as_str(), users.join("; ")))
}

/// Nobody has the name, as far as is known. Where there are other providers, how their users are named.
fn nobody(state: &State, name: &UserName, silent: bool) -> Denial {
    let text = format!("there is no user {:?}", name.as_str());
    let others = state.identity_providers().filter(|provider| provider.kind() != IdentityProviderKind::LocalDatabase);
    let others: Vec<&str> = others.map(|provider| provider.base.name.as_str()).collect();
    if others.is_empty() {
        return Denial::NotFound(text);
    }
    let why = if silent { "a directory did not answer" } else { "no directory knows the name" };
    let providers = others.join(", ");
    Denial::NotFound(format!(
        "{text}: {why}; name the provider too, as CN=<name>,OU=<provider> (providers: {providers})"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::administration::fixture::Fixture;

    fn directory(name: &str) -> IdentityProvider {
        serde_json::from_value(json!({"id": uuid::Uuid::from_bytes([9; 16]), "name": name, "type": "Ldap",
            "hostnames": ["ldap.example"], "port": 636, "adminDistinguishedName": "cn=a", "signInDomains": ["CORP"]}))
        .expect("a provider")
    }

    #[test]
    fn whoever_asks_for_an_unknown_name_learns_how_users_of_other_providers_are_named() {
        let mut fixture = Fixture::founded();
        let name = UserName::parse("lena").expect("a name");
        let told = |state: &State, silent| match nobody(state, &name, silent) {
            Denial::NotFound(message) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(&fixture.state, false), "there is no user \"lena\"");
        fixture.put(directory("corp"));
        let hint = "name the provider too, as CN=<name>,OU=<provider> (providers: corp)";
        assert_eq!(
            told(&fixture.state, false),
            format!("there is no user \"lena\": no directory knows the name; {hint}")
        );
        assert!(told(&fixture.state, true).contains("a directory did not answer"));
    }

    #[test]
    fn a_name_is_looked_up_in_the_form_that_its_provider_has() {
        let name = UserName::parse("CORP\\Lena").expect("a name");
        assert_eq!(dn_at(&directory("corp"), &name).map(|dn| dn.to_string()).as_deref(), Some("CN=lena,OU=corp"));
    }
}
