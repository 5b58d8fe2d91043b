//! What fuzzers try: one function for every reader of this package that is given bytes of others. Each asserts what has to
//! hold whatever the bytes are, and tells whether they were accepted. `docs/fuzzing.md` says how they are run.

#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
mod replay;
#[cfg(test)]
mod seeds;

use hyper::StatusCode;
use ringwall_protocol::wire::admin::List;
use serde_json::Value;

use crate::apply::{Target, gather, resolve};
use crate::connection::{ApiError, decode, escape};

/// A file for `ringctl apply`: YAML that somebody else may have written.
#[must_use]
pub fn apply(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(documents) = gather(&[("fuzzed".to_owned(), text.to_owned())]) else { return false };
    for document in &documents {
        assert!(document.body.is_object() && document.body.get("kind").is_none());
        assert!(document.place.line >= 1 && document.place.number >= 1, "{} is no place", document.place);
        let Target::Object(kind) = document.target else { continue };
        assert!(document.body["name"].is_string());
        let id = "4c07bc67-57ea-42dd-b702-c2d6c45419fc";
        if let Ok(resolved) = resolve(kind, document.body.clone(), |_, name| (name != "nobody").then(|| id.to_owned()))
        {
            let again = resolve(kind, resolved.clone(), |_, _| None);
            assert!(again.is_ok_and(|again| again == resolved), "an id is looked up as a name");
        }
    }
    let order: Vec<_> = documents.iter().map(|document| document.target).collect();
    let settings = order.iter().take_while(|target| **target == Target::GlobalSettings).count();
    assert!(!order[settings..].contains(&Target::GlobalSettings), "settings come first");
    !documents.is_empty()
}

/// An answer of an admin API, with any status.
#[must_use]
pub fn answer(bytes: &[u8]) -> bool {
    let Some((first, body)) = bytes.split_first() else { return false };
    let codes = [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::UNPROCESSABLE_ENTITY, StatusCode::BAD_GATEWAY];
    let status = codes[usize::from(*first) % codes.len()];
    let segment = escape(&String::from_utf8_lossy(body));
    assert!(segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{segment}");
    match decode::<List<Value>>(status, body) {
        Ok(_) => status.is_success(),
        Err(ApiError::Refused { status: told, body }) => {
            assert!(told == status.as_u16() && !status.is_success());
            !body.message.is_empty()
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpora_are_replayed() {
        replay::replay(&[("answer", answer), ("apply", apply)], seeds::seeds);
    }
}
