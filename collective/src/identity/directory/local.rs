//! Users kept in the Collective: names and attributes in the replicated state, passwords as Argon2id hashes.

use std::collections::BTreeMap;

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::id::UserId;
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::{IdentityProvider, LocalUser};
use ringwall_protocol::wire::client::Credential;
use ringwall_raft::State;
use ringwall_trust::password;
use serde_json::Value;
use zeroize::Zeroizing;

use super::mapping::map_claims;
use super::user_name::written_otherwise;
use super::{Attempt, Claimed, Directory, KnownUser, LookUp, Proof};
use crate::identity::hashing::{HashingPool, Lane};
use crate::refusal::Refusal;

/// The local provider.
#[derive(Debug)]
pub(crate) struct LocalDirectory {
    hashing: HashingPool,
}

impl LocalDirectory {
    /// A provider whose hashes are computed in `hashing`.
    #[must_use]
    pub(crate) const fn new(hashing: HashingPool) -> Self {
        Self { hashing }
    }

    async fn check(&self, lane: Lane, password: &str, phc: Option<String>) -> Result<bool, Refusal> {
        let password = Zeroizing::new(password.to_owned());
        self.hashing
            .run(lane, move || match phc {
                Some(phc) => password::verify(&password, &phc),
                None => password::verify_for_nobody(&password),
            })
            .await
    }
}

impl Directory for LocalDirectory {
    fn claimed(&self, _: &IdentityProvider, credential: &Credential) -> Claimed {
        let Credential::Password { username, .. } = credential else { return Claimed::Nobody };
        UserName::parse(username.clone()).map_or(Claimed::Nobody, Claimed::Name)
    }

    async fn prove(&self, state: &State, provider: &IdentityProvider, attempt: &Attempt<'_>) -> Result<Proof, Refusal> {
        let Credential::Password { username, password } = attempt.credential else { return Ok(Proof::Nobody) };
        let user = state.local_user_named(username).filter(|user| !user.disabled);
        report_other_form(state, provider, username);
        let phc =
            user.and_then(|user| state.local_password(user.base.id)).map(|password| password.hash.as_str().to_owned());
        let right = self.check(attempt.lane, password, phc).await?;
        let proved = user.filter(|_| right).and_then(|user| known(user, provider));
        Ok(proved.map_or(Proof::Nobody, |user| Proof::User(Box::new(user))))
    }

    fn id_of(&self, state: &State, _: &IdentityProvider, name: &UserName) -> Option<UserId> {
        state.local_user_named(name.as_str()).map(|user| user.base.id)
    }

    async fn prove_nobody(
        &self,
        _: &State,
        _: Option<&IdentityProvider>,
        credential: &Credential,
        lane: Lane,
    ) -> Result<(), Refusal> {
        let Credential::Password { password, .. } = credential else { return Ok(()) };
        self.check(lane, password, None).await.map(|_| ())
    }

    async fn look_up(&self, state: &State, provider: &IdentityProvider, name: &UserName) -> Result<LookUp, Refusal> {
        let user = state.local_user_named(name.as_str()).filter(|user| !user.disabled);
        let known = user.and_then(|user| known(user, provider));
        Ok(known.map_or(LookUp::Gone, |user| LookUp::Known(Box::new(user))))
    }
}

/// Tells operators of a typed name that is a user's but for its Unicode form: local names are compared exactly.
fn report_other_form(state: &State, provider: &IdentityProvider, typed: &str) {
    if state.local_user_named(typed).is_some() {
        return;
    }
    let user = written_otherwise(typed).into_iter().find(|form| state.local_user_named(form).is_some());
    if let Some(user) = user {
        let cause = "it was typed in another Unicode form, or with the other apostrophe";
        tracing::info!(provider = provider.base.name, user = %user, cause, "a name is like that of a local user");
    }
}

fn known(user: &LocalUser, provider: &IdentityProvider) -> Option<KnownUser> {
    let name = UserName::parse(user.base.name.clone()).ok()?;
    let claims = claims_of_local_user(user, provider);
    Some(KnownUser { id: user.base.id, name, claims, notices: Vec::new(), until: None })
}

/// The claims that a local user has.
#[must_use]
pub(crate) fn claims_of_local_user(user: &LocalUser, provider: &IdentityProvider) -> ClaimMap {
    map_claims(attributes(user, provider), &provider.claim_mappings)
}

/// Everything that is known of a user. A label never hides an attribute of the same name.
fn attributes(user: &LocalUser, provider: &IdentityProvider) -> BTreeMap<String, Value> {
    let mut attributes: BTreeMap<String, Value> =
        user.labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let labels: serde_json::Map<String, Value> =
        user.labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let tags: Vec<Value> = user.base.tags.iter().map(|tag| Value::from(tag.as_str())).collect();
    for (name, value) in [
        ("username", Value::from(user.base.name.as_str())),
        ("firstName", user.first_name.as_str().into()),
        ("lastName", user.last_name.as_str().into()),
        ("email", user.email.as_str().into()),
        ("phone", user.phone.as_str().into()),
        ("identityProvider", provider.base.name.as_str().into()),
        ("labels", labels.into()),
        ("tags", tags.into()),
    ] {
        attributes.insert(name.to_owned(), value);
    }
    attributes
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::object::EntityBase;

    use super::*;

    #[test]
    fn labels_are_claims_but_hide_no_attribute() {
        let user = LocalUser {
            base: EntityBase::new(UserId::from_random([1; 16]), "alice"),
            first_name: "Alice".to_owned(),
            last_name: String::new(),
            email: String::new(),
            phone: String::new(),
            disabled: false,
            labels: [("department", "rnd"), ("username", "root")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        };
        let provider: IdentityProvider = serde_json::from_value(serde_json::json!({
            "id": "0190a000-0000-7000-8000-000000000001", "name": "local", "type": "LocalDatabase",
            "claimMappings": [{"attributeName": "department", "claimName": "groups", "list": true}]
        }))
        .expect("a provider");
        let known = known(&user, &provider).expect("a valid name");
        assert_eq!(known.claims.claim("username"), Some(&Value::from("alice")));
        assert_eq!(known.claims.claim("department"), Some(&Value::from("rnd")));
        assert_eq!(known.claims.claim("labels").map(|labels| &labels["department"]), Some(&Value::from("rnd")));
        assert_eq!(known.claims.claim("groups"), Some(&serde_json::json!(["rnd"])));
        assert_eq!(known.claims.claim("identityProvider"), Some(&Value::from("local")));
    }
}
