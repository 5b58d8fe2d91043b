//! From a provider's attributes to user claims.

use std::collections::BTreeMap;

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::object::identity_provider::ClaimMapping;
use serde_json::Value;

/// Attributes keep their names, and get those of the mappings in addition.
pub(crate) fn map_claims(attributes: BTreeMap<String, Value>, mappings: &[ClaimMapping]) -> ClaimMap {
    let mut claims = attributes.clone();
    for mapping in mappings {
        let Some(value) = attributes.get(&mapping.attribute_name) else { continue };
        let value = match value {
            Value::Array(_) => value.clone(),
            single if mapping.list => Value::Array(vec![single.clone()]),
            single => single.clone(),
        };
        claims.insert(mapping.claim_name.clone(), value);
    }
    ClaimMap(claims)
}

/// Attributes of a foreign provider: every one has a list of values, and only what is mapped becomes a claim, the first
/// value of it unless the mapping says `list`. No mapping writes one of the `fixed` claims: who somebody is, and where
/// he signed in, is not the provider's word.
pub(crate) fn map_foreign(
    attributes: &BTreeMap<String, Vec<String>>,
    mappings: &[ClaimMapping],
    fixed: BTreeMap<String, Value>,
) -> ClaimMap {
    let mut claims = BTreeMap::new();
    for mapping in mappings {
        let named = |(name, _): &(&String, &Vec<String>)| name.eq_ignore_ascii_case(&mapping.attribute_name);
        let Some((_, values)) = attributes.iter().find(named) else { continue };
        let value = if mapping.list {
            Value::from(values.clone())
        } else {
            let Some(first) = values.first() else { continue };
            Value::from(first.as_str())
        };
        claims.insert(mapping.claim_name.clone(), value);
    }
    claims.extend(fixed);
    ClaimMap(claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn foreign_attributes_become_claims_only_where_they_are_mapped() {
        let attributes: BTreeMap<String, Vec<String>> =
            [("mail", vec!["a@x", "b@x"]), ("title", vec!["boss"]), ("cn", vec!["root"])]
                .map(|(name, values)| (name.to_owned(), values.into_iter().map(str::to_owned).collect()))
                .into();
        let mapping = |from: &str, to: &str, list| ClaimMapping {
            attribute_name: from.to_owned(),
            claim_name: to.to_owned(),
            list,
        };
        let mappings =
            [mapping("MAIL", "email", false), mapping("mail", "emails", true), mapping("cn", "username", false)];
        let claims = map_foreign(&attributes, &mappings, [("username".to_owned(), json!("alice"))].into());
        assert_eq!(
            serde_json::to_value(&claims).expect("JSON"),
            json!({"email": "a@x", "emails": ["a@x", "b@x"], "username": "alice"}),
            "nothing else, and no mapping says who somebody is"
        );
    }
}
