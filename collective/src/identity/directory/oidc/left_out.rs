//! Claims that a provider leaves out of a token because they are too long, with a pointer in their place. Pure.
//!
//! Aggregated and distributed claims (OpenID Connect Core §5.6.2) stand in `_claim_names` and `_claim_sources`; Entra ID also
//! writes `hasgroups`, or the name of a source as the value of `groups`. Nothing is fetched from there: the address would be
//! asked with a right that the sign-in does not bring, and its answer is another party's word. What matters is that such a
//! claim is never taken for an empty one.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Where claims of other sources are named.
const NAMES: &str = "_claim_names";
/// What the sources are.
const SOURCES: &str = "_claim_sources";
/// Entra ID's word for groups that did not fit.
const HAS_GROUPS: &str = "hasgroups";
/// The claim that it speaks of.
const GROUPS: &str = "groups";

/// The claims that are left out, in lower case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    names: BTreeSet<String>,
    /// Which ones cannot be told: any claim may be one of them.
    unreadable: bool,
}

impl LeftOut {
    /// What a token, or the user info, leaves out.
    pub(super) fn of(claims: &Map<String, Value>) -> Self {
        let mut left_out = Self::default();
        match claims.get(NAMES) {
            Some(Value::Object(names)) => left_out.names.extend(names.keys().map(|name| name.to_ascii_lowercase())),
            None | Some(Value::Null) => {}
            Some(_) => left_out.unreadable = true,
        }
        if claims.get(HAS_GROUPS).is_some_and(super::claims::is_true) {
            left_out.names.insert(GROUPS.to_owned());
        }
        if let Some(Value::Object(sources)) = claims.get(SOURCES) {
            left_out.names.extend(claims.iter().filter_map(|(name, value)| pointer(name, value, sources)));
        }
        left_out
    }

    /// What either of two left out.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        self.unreadable |= other.unreadable;
        self
    }

    /// Whether a claim may be one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.unreadable || self.names.contains(&name.to_ascii_lowercase())
    }
}

/// The claim for which this one stands: `"groups": "src1"` or `"groups:src1": …`, where `src1` is a source.
fn pointer(name: &str, value: &Value, sources: &Map<String, Value>) -> Option<String> {
    let by_value = value.as_str().filter(|source| sources.contains_key(*source)).map(|_| name);
    let by_name = name.split_once(':').filter(|(_, source)| sources.contains_key(*source)).map(|(claim, _)| claim);
    by_value.or(by_name).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn left_out(claims: &Value) -> LeftOut {
        LeftOut::of(claims.as_object().expect("claims"))
    }

    #[test]
    fn every_form_of_a_pointer_is_one() {
        let sources = json!({"src1": {"endpoint": "https://graph.example/me/getMemberObjects"}});
        for claims in [
            json!({"_claim_names": {"groups": "src1"}, "_claim_sources": sources}),
            json!({"_claim_names": {"Groups": "src1"}}),
            json!({"hasgroups": true}),
            json!({"hasgroups": "true"}),
            json!({"groups": "src1", "_claim_sources": sources}),
            json!({"groups:src1": "https://graph.example", "_claim_sources": sources}),
            json!({"_claim_names": "groups"}),
        ] {
            assert!(left_out(&claims).has("groups"), "{claims}");
            assert!(left_out(&claims).has("GROUPS"), "{claims}");
        }
    }

    #[test]
    fn a_token_that_points_to_nothing_leaves_nothing_out() {
        for claims in [
            json!({}),
            json!({"groups": ["dev"], "hasgroups": false, "_claim_names": null}),
            json!({"groups": "src1"}),
            json!({"_claim_names": {"address": "src1"}}),
        ] {
            assert!(!left_out(&claims).has("groups"), "{claims}");
        }
    }

    #[test]
    fn what_the_user_info_leaves_out_counts_as_well() {
        let both = left_out(&json!({"hasgroups": true})).and(left_out(&json!({"_claim_names": {"roles": "s"}})));
        assert!(both.has("groups") && both.has("roles") && !both.has("email"));
    }
}
