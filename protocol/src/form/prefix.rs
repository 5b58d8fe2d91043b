//! Networks as prefixes, in the text form that [`ipnet::IpNet`] reads.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A network as a prefix: describes [`ipnet::IpNet`].
#[derive(Debug, Clone, Copy)]
pub struct Prefix;

impl JsonSchema for Prefix {
    fn schema_name() -> Cow<'static, str> {
        "Prefix".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "anyOf": [{ "pattern": PREFIX_V4 }, { "pattern": PREFIX_V6 }] })
    }
}

macro_rules! octet {
    () => {
        "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    };
}
macro_rules! v4 {
    () => {
        concat!("(", octet!(), r"\.){3}", octet!())
    };
}
macro_rules! h {
    () => {
        "[0-9A-Fa-f]{1,4}"
    };
}
const PREFIX_V4: &str = concat!("^", v4!(), "/([0-9]|[12][0-9]|3[0-2])$");
/// RFC 4291 §2.2: eight groups, or fewer with `::`, or six and an IPv4 address.
const PREFIX_V6: &str = concat!(
    "^((",
    h!(),
    ":){7}",
    h!(),
    "|(",
    h!(),
    ":){1,7}:",
    "|(",
    h!(),
    ":){1,6}:",
    h!(),
    "|(",
    h!(),
    ":){1,5}(:",
    h!(),
    "){1,2}",
    "|(",
    h!(),
    ":){1,4}(:",
    h!(),
    "){1,3}",
    "|(",
    h!(),
    ":){1,3}(:",
    h!(),
    "){1,4}",
    "|(",
    h!(),
    ":){1,2}(:",
    h!(),
    "){1,5}",
    "|",
    h!(),
    ":(:",
    h!(),
    "){1,6}",
    "|:((:",
    h!(),
    "){1,7}|:)",
    "|(",
    h!(),
    ":){6}",
    v4!(),
    "|::(ffff:)?",
    v4!(),
    ")/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])$"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &'static str, text: &str) -> bool {
        regex::Regex::new(pattern).expect("a regular expression").is_match(text)
    }

    #[test]
    fn prefixes_that_the_pattern_takes_are_read_and_others_are_not() {
        for good in ["::/0", "2001:db8::/32", "::1/128", "::ffff:192.0.2.1/128", "1:2:3:4:5:6:7:8/64", "10.0.0.0/8"] {
            assert!(good.parse::<ipnet::IpNet>().is_ok(), "{good}");
            assert!(matches(PREFIX_V4, good) || matches(PREFIX_V6, good), "{good}");
        }
        for bad in ["10.0.0.0", "10.0.0.0/33", "1::2::3/64", "::/129", "1:2:3:4:5:6:7:8:9/64", "010.0.0.0/8"] {
            assert!(bad.parse::<ipnet::IpNet>().is_err(), "{bad}");
            assert!(!matches(PREFIX_V4, bad) && !matches(PREFIX_V6, bad), "{bad}");
        }
    }
}
