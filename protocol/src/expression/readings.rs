//! The values behind what an expression read: for explanations to operators, never for decisions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::claims::Facts;

/// Claims that an expression read, with their values; `null` where there is none.
pub type Readings = BTreeMap<String, Value>;

/// The values of `paths` (as `Evaluator::last_reads` gives them) in `facts`.
#[must_use]
pub(crate) fn readings<'p>(paths: impl IntoIterator<Item = &'p String>, facts: &Facts<'_>) -> Readings {
    paths.into_iter().map(|path| (path.clone(), value_at(path, facts))).collect()
}

fn value_at(path: &str, facts: &Facts<'_>) -> Value {
    let (root, rest) = path.split_once('.').unwrap_or((path, ""));
    let claims = match root {
        "user" => Some(facts.user),
        "device" => facts.device.map(|device| &device.0),
        "system" => Some(facts.system),
        "stepUps" => return facts.step_ups.get(rest).map_or(Value::Null, |proof| json!(proof)),
        "reasons" => return facts.reasons.get(rest).map_or(Value::Null, |reason| json!(reason)),
        "time" => return json!(facts.now.to_string()),
        _ => None,
    };
    // The root alone was read because something was looked for in it that is not there.
    let Some(claims) = claims.filter(|_| !rest.is_empty()) else { return Value::Null };
    let mut names = rest.split('.');
    let first = names.next().and_then(|name| claims.claim(name));
    // Names of claims may hold dots themselves: then the whole path is the name.
    let found = first.and_then(|first| names.try_fold(first, |value, name| value.get(name)));
    found.or_else(|| claims.claim(rest)).cloned().unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{ClaimMap, Reason};
    use crate::time::UnixMillis;

    #[test]
    fn values_are_found_under_the_paths_that_evaluation_notes() {
        let user: ClaimMap =
            serde_json::from_value(json!({"groups": ["dev"], "os": {"type": "linux"}})).expect("a map");
        let (system, ups) = (ClaimMap::default(), BTreeMap::new());
        let reasons = [("why".to_owned(), Reason { text: "on call".to_owned(), at: UnixMillis(5) })].into();
        let facts =
            Facts { user: &user, device: None, system: &system, step_ups: &ups, reasons: &reasons, now: UnixMillis(0) };
        let paths = ["user.groups", "user.os.type", "user.badge", "device", "reasons.why", "stepUps.vault", "time"];
        let paths: Vec<String> = paths.map(str::to_owned).into();
        let read = readings(&paths, &facts);
        assert_eq!(read["user.groups"], json!(["dev"]));
        assert_eq!(read["user.os.type"], "linux");
        assert_eq!(read["reasons.why"]["text"], "on call");
        assert_eq!(read["time"], "1970-01-01T00:00:00.000Z");
        for absent in ["user.badge", "device", "stepUps.vault"] {
            assert_eq!(read[absent], Value::Null, "{absent}");
        }
    }
}
