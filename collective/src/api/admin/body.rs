//! Bodies of admin requests: read within bounds of size, time and depth, before anything looks at them.

use std::time::Duration;

use actix_web::dev::Payload;
use bytes::BytesMut;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::timeout;

use crate::administration::Denial;

/// Longest body before the caller has proved himself, in bytes.
pub(super) const MAX_STRANGERS_BODY: usize = 16 * 1024;
/// How much of a body beyond its limit is read before it is refused, in bytes; none of it is kept.
const MAX_DISCARDED: usize = 16 * 1024 * 1024;
/// Deepest nesting of lists and objects: an entitlement's actions have four.
const MAX_DEPTH: usize = 16;
/// Below 2^53 every whole `f64` is exactly one integer (RFC 8259, section 6).
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
/// A body must be complete by then.
const READ_TIME: Duration = Duration::from_secs(30);

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(mut payload: Payload, limit: usize) -> Result<BytesMut, Denial> {
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| Denial::Malformed(format!("body could not be read: {error}")))?;
            if body.len() + chunk.len() > limit {
                discard(&mut payload).await;
                return Err(Denial::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    timeout(READ_TIME, whole).await.map_err(|_| Denial::Malformed("body did not come in time".to_owned()))?
}

/// Reads the rest of a body that is too long. A caller who is still sending when the connection is closed never sees the
/// answer (RFC 9112, section 9.6).
async fn discard(payload: &mut Payload) {
    let mut left = MAX_DISCARDED;
    while let Some(Ok(chunk)) = payload.next().await
        && left > chunk.len()
    {
        left -= chunk.len();
    }
}

/// A body as JSON; an empty one is an object without fields.
pub(super) fn parse(body: &[u8]) -> Result<Value, Denial> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    if depth(body) > MAX_DEPTH {
        return Err(Denial::Malformed(format!("body is nested deeper than {MAX_DEPTH}")));
    }
    // Only the place is told: the text around it may be a secret.
    let mut value = serde_json::from_slice(body).map_err(|error| {
        Denial::Malformed(format!("body is not JSON (line {}, column {})", error.line(), error.column()))
    })?;
    whole_numbers(&mut value);
    Ok(value)
}

/// JSON has one kind of number (RFC 8259, section 6), and an integer is one without a fraction, however it is written
/// (JSON Schema 2020-12 Validation, section 6.1.1): `28.0` is 28.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|_| number.is_f64()).filter(|float| float.abs() < MAX_EXACT);
            if let Some(float) = whole.filter(|float| float.fract() == 0.0) {
                #[expect(clippy::cast_possible_truncation, reason = "without a fraction and below 2^53: exact")]
                let integer = float as i64;
                *number = integer.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Deepest nesting outside of strings.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_and_no_text() {
        assert_eq!(depth(br#"{"a":[{"b":"[[[\"[["}]}"#), 3);
        assert!(parse(&[b'['; 1_000]).is_err());
        assert!(parse("[".repeat(16).as_bytes()).is_err_and(|denial| matches!(denial, Denial::Malformed(_))));
        assert_eq!(parse(b" ").expect("empty"), serde_json::json!({}));
        assert_eq!(parse(b"null").expect("JSON"), Value::Null);
        assert_eq!(parse(br#"{"a":[1]}"#).expect("JSON")["a"][0], 1);
    }

    #[test]
    fn an_integer_may_be_written_with_a_point() {
        let read = parse(br#"{"a": 28.0, "b": [-2.5e1, 0.5, 1e300], "c": 7}"#).expect("JSON");
        assert_eq!(read, serde_json::json!({"a": 28, "b": [-25, 0.5, 1e300], "c": 7}));
    }

    #[test]
    fn what_is_no_json_is_told_by_its_place_only() {
        let denial = parse(br#"{"password": "hunter2" oops}"#).expect_err("refused");
        assert!(!denial.to_string().contains("hunter2"));
    }
}
