//! Strict JSON: no member twice in an object, no nesting beyond a bound, nothing that the reader would drop unseen.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Number, Value};

/// Deepest nesting: the deepest body of ours has 8.
const MAX_DEPTH: u8 = 16;

/// Reads `T` from JSON and refuses every text that says more, less or other than `T` writes: unknown fields, absent
/// ones, members given twice, two spellings of one value. Order and white space are free.
pub(super) fn from_slice<T: Serialize + DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let said = Unique(MAX_DEPTH).deserialize(&mut reader)?;
    reader.end()?;
    let read = T::deserialize(&said)?;
    if serde_json::to_value(&read)? == said {
        Ok(read)
    } else {
        Err(serde_json::Error::custom("fields are unknown, missing or not in their canonical spelling"))
    }
}

/// Builds a [`Value`] with unique members; carries how deep it may still go.
struct Unique(u8);

impl Unique {
    fn deeper<E: Error>(&self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = from.next_element_seed(self.deeper()?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            let value = from.next_value_seed(self.deeper()?)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is given twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Head {
        a: u64,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Body {
        #[serde(flatten)]
        head: Head,
        #[serde(default)]
        map: BTreeMap<String, Value>,
    }

    #[test]
    fn only_what_the_type_itself_would_write_is_read() {
        let good = from_slice::<Body>(br#" {"map": {"x": [1, -2, 0.5, null, true, "s"]}, "a": 1} "#).expect("strict");
        assert_eq!(good.head, Head { a: 1 });
        for bad in [
            r#"{"a":1,"map":{},"b":2}"#,
            r#"{"a":1}"#,
            r#"{"map":{}}"#,
            r#"{"a":1,"a":1,"map":{}}"#,
            r#"{"a":1,"map":{"x":1,"x":1}}"#,
            r#"{"a":1,"map":{"x":{"y":1,"y":2}}}"#,
            r#"{"a":"1","map":{}}"#,
            r#"{"a":1,"map":{}} x"#,
            r#"[]"#,
        ] {
            assert!(from_slice::<Body>(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_it_is_built() {
        let nested = |depth: usize| format!("{{\"a\":1,\"map\":{{\"x\":{}{}}}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(from_slice::<Body>(nested(14).as_bytes()).is_ok());
        assert!(from_slice::<Body>(nested(15).as_bytes()).is_err());
        assert!(from_slice::<Body>(nested(100_000).as_bytes()).is_err());
    }
}
