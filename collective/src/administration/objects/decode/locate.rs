//! Where a value does not decode. Decoders of flattened and tagged structs do not tell: what is left out until the rest
//! decodes is what was wrong. Pure.

use ringwall_protocol::wire::admin::FieldError;
use serde_json::Value;

/// Most attempts to decode: each costs as much as the value is long.
const MAX_ATTEMPTS: usize = 512;

/// The place and the reason why `decode` refuses `value`, which it does.
pub(crate) fn locate(value: &Value, decode: &dyn Fn(&Value) -> Result<(), serde_json::Error>) -> FieldError {
    let mut search = Search { whole: value.clone(), decode, attempts: 0 };
    let Some(message) = search.failure() else {
        return FieldError { field: String::new(), message: "cannot be read".to_owned() };
    };
    let (field, message) = search.descend(String::new(), String::new(), message);
    told(field, &message)
}

struct Search<'a> {
    whole: Value,
    decode: &'a dyn Fn(&Value) -> Result<(), serde_json::Error>,
    attempts: usize,
}

impl Search<'_> {
    fn failure(&mut self) -> Option<String> {
        self.attempts += 1;
        (self.decode)(&self.whole).err().map(|error| error.to_string())
    }

    /// Follows the first wrong part of the value at `pointer` as deep as it goes.
    fn descend(&mut self, pointer: String, field: String, message: String) -> (String, String) {
        let Some(node) = self.whole.pointer(&pointer).cloned() else { return (field, message) };
        let part = match &node {
            Value::Object(map) => map.keys().find(|key| self.without_key(&pointer, &node, key, &message)).map(|key| {
                let inner = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
                (format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), inner)
            }),
            // A list that fails even when it is empty is wrong as a whole.
            Value::Array(items) if !self.fails_with(&pointer, Value::Array(Vec::new()), &node) => (0..items.len())
                .find(|at| self.alone(&pointer, &items[*at]))
                .map(|at| (format!("{pointer}/0"), format!("{field}[{at}]"))),
            _ => None,
        };
        match part {
            Some((pointer, field)) => {
                let message = self.failure().unwrap_or(message);
                self.descend(pointer, field, message)
            }
            None => (field, message),
        }
    }

    /// Whether the value decodes, or fails for the key's absence, once the key is left out. Puts the node back.
    fn without_key(&mut self, pointer: &str, node: &Value, key: &str, before: &str) -> bool {
        if self.attempts >= MAX_ATTEMPTS || key == "kind" || key == "id" {
            return false;
        }
        // What is missing inside of a value can only be missing in a list or an object.
        let nests = matches!(&node[key], Value::Array(_) | Value::Object(_));
        if before.starts_with("missing field") && !nests {
            return false;
        }
        let mut less = node.clone();
        if let Some(map) = less.as_object_mut() {
            map.remove(key);
        }
        self.put(pointer, less);
        let after = self.failure();
        self.put(pointer, node.clone());
        match after {
            None => true,
            Some(after) => after != *before && after == format!("missing field `{key}`"),
        }
    }

    /// Whether decoding fails with another value at a place. Puts the node back.
    fn fails_with(&mut self, pointer: &str, other: Value, node: &Value) -> bool {
        self.put(pointer, other);
        let fails = self.failure().is_some();
        self.put(pointer, node.clone());
        fails
    }

    /// Whether the list fails with this one element; if so it stays alone.
    fn alone(&mut self, pointer: &str, item: &Value) -> bool {
        if self.attempts >= MAX_ATTEMPTS {
            return false;
        }
        let Some(node) = self.whole.pointer(pointer).cloned() else { return false };
        self.put(pointer, Value::Array(vec![item.clone()]));
        let fails = self.failure().is_some();
        if !fails {
            self.put(pointer, node);
        }
        fails
    }

    fn put(&mut self, pointer: &str, value: Value) {
        if let Some(place) = self.whole.pointer_mut(pointer) {
            *place = value;
        }
    }
}

/// The decoder's words, put into the field's.
fn told(field: String, message: &str) -> FieldError {
    let below = |name: &str| if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
    let quoted = |after: &str| message.strip_prefix(after).and_then(|rest| rest.split('`').next()).map(str::to_owned);
    if let Some(name) = quoted("missing field `") {
        return FieldError { field: below(&name), message: "is missing".to_owned() };
    }
    if let Some(name) = quoted("unknown field `") {
        let itself = field == name || field.ends_with(&format!(".{name}"));
        let field = if itself { field.clone() } else { below(&name) };
        return FieldError { field, message: "is not known or not supported here".to_owned() };
    }
    FieldError { field, message: message.to_owned() }
}
