//! References between objects: files write names where the API has ids.

use ringwall_protocol::object::ObjectKind;
use serde_json::Value;

/// Where an object refers to others: a path of fields (`*` goes into a list) and the kinds that may stand there.
const fn references(kind: ObjectKind) -> &'static [(&'static [&'static str], &'static [ObjectKind])] {
    use ObjectKind as K;
    match kind {
        K::Site => &[
            (&["fallbackSite"], &[K::Site]),
            (&["ipPoolMappings", "*", "from"], &[K::IpPool]),
            (&["ipPoolMappings", "*", "to"], &[K::IpPool]),
        ],
        K::Appliance => &[(&["site"], &[K::Site])],
        K::Entitlement => &[(&["site"], &[K::Site]), (&["conditions", "*"], &[K::Condition])],
        K::Condition => &[(&["remedyMethods", "*", "providerId"], &[K::MfaProvider, K::IdentityProvider])],
        K::Policy => &[
            (&["entitlements", "*"], &[K::Entitlement]),
            (&["overrideSite"], &[K::Site]),
            (&["administrativeRoles", "*"], &[K::AdministrativeRole]),
        ],
        K::IdentityProvider => &[
            (&["ipPoolV4"], &[K::IpPool]),
            (&["ipPoolV6"], &[K::IpPool]),
            (&["onBoarding2FA", "mfaProviderId"], &[K::MfaProvider]),
        ],
        K::ClientProfile => &[(&["identityProvider"], &[K::IdentityProvider])],
        K::CriteriaScript | K::MfaProvider | K::LocalUser | K::IpPool | K::AdministrativeRole => &[],
    }
}

/// Replaces names in references by ids. `find` gives the id of an object by kind and name.
///
/// # Errors
/// Every name that is unknown, with its field.
pub fn resolve(
    kind: ObjectKind,
    mut body: Value,
    find: impl Fn(ObjectKind, &str) -> Option<String>,
) -> Result<Value, Vec<String>> {
    let mut faults = Vec::new();
    for (path, kinds) in references(kind) {
        replace(&mut body, path, &mut |name| {
            if name.parse::<uuid::Uuid>().is_ok() {
                return None;
            }
            let id = kinds.iter().find_map(|kind| find(*kind, name));
            if id.is_none() {
                let kinds: Vec<_> = kinds.iter().map(ToString::to_string).collect();
                let field = path.join(".").replace(".*", "");
                faults.push(format!("{field}: there is no {} {name:?}", kinds.join(" or ")));
            }
            id
        });
    }
    if faults.is_empty() { Ok(body) } else { Err(faults) }
}

/// Replaces ids in references by names, where `find` gives one and it would be read as a name again.
pub(super) fn unresolve(kind: ObjectKind, body: &mut Value, find: impl Fn(ObjectKind, &str) -> Option<String>) {
    for (path, kinds) in references(kind) {
        replace(body, path, &mut |id| {
            let name = kinds.iter().find_map(|kind| find(*kind, id));
            name.filter(|name| name.parse::<uuid::Uuid>().is_err())
        });
    }
}

fn replace(value: &mut Value, path: &[&str], with: &mut impl FnMut(&str) -> Option<String>) {
    match (path, value) {
        ([], Value::String(text)) => {
            if let Some(other) = with(text) {
                *text = other;
            }
        }
        (["*", rest @ ..], Value::Array(items)) => items.iter_mut().for_each(|item| replace(item, rest, with)),
        ([field, rest @ ..], Value::Object(map)) => {
            if let Some(inner) = map.get_mut(*field) {
                replace(inner, rest, with);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "4c07bc67-57ea-42dd-b702-c2d6c45419fc";

    #[test]
    fn names_become_ids_and_unknown_ones_are_named() {
        let find =
            |kind: ObjectKind, name: &str| (kind == ObjectKind::MfaProvider && name == "otp").then(|| ID.to_owned());
        let body = json!({"name": "c", "remedyMethods": [{"providerId": "otp"}, {"message": "m"}]});
        let resolved = resolve(ObjectKind::Condition, body, find).expect("known");
        assert_eq!(resolved["remedyMethods"][0]["providerId"], ID);
        let both = json!({"site": "nowhere", "conditions": ["never", ID]});
        let faults = resolve(ObjectKind::Entitlement, both, find).expect_err("unknown");
        assert_eq!(faults, ["site: there is no Site \"nowhere\"", "conditions: there is no Condition \"never\""]);
    }

    #[test]
    fn ids_become_names_unless_those_would_be_read_as_ids() {
        let mut body = json!({"site": ID, "conditions": [ID]});
        unresolve(ObjectKind::Entitlement, &mut body, |kind, _| match kind {
            ObjectKind::Site => Some("office".to_owned()),
            _ => Some(ID.to_owned()),
        });
        assert_eq!(body, json!({"site": "office", "conditions": [ID]}));
    }
}
