//! Networks as prefixes (RFC 4632, RFC 4291 section 2.3).
//!
//! [`ipnet`] reads `010.0.0.0` as 10.0.0.0, and other programs read it as 8.0.0.0: an address with leading zeros is
//! refused here, as the standard library refuses it.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};

/// The network that a prefix of the published form names, as `10.0.0.0/8` or `2001:db8::/32`. Bits behind the length may
/// be set.
#[must_use]
pub fn network(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let plain = length == "0" || !length.starts_with(['0', '+']);
    IpNet::new(address.parse::<IpAddr>().ok()?, length.parse().ok().filter(|_| plain)?).ok()
}

/// Reads a list of networks.
///
/// # Errors
/// A member is not of the form that [`network`] reads.
pub fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let read = Vec::<Read>::deserialize(deserializer)?;
    Ok(read.into_iter().map(|Read(network)| network).collect())
}

/// Reads a network that may be absent.
///
/// # Errors
/// It is not of the form that [`network`] reads.
pub fn optional_network<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpNet>, D::Error> {
    Ok(Option::<Read>::deserialize(deserializer)?.map(|Read(network)| network))
}

struct Read(IpNet);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The replicated state holds networks as numbers.
        if !deserializer.is_human_readable() {
            return IpNet::deserialize(deserializer).map(Self);
        }
        let text = Cow::<str>::deserialize(deserializer)?;
        network(&text).map(Self).ok_or_else(|| D::Error::custom("expected a prefix as 10.0.0.0/8 or 2001:db8::/32"))
    }
}

/// A network as a prefix: describes what [`network`] reads.
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
    fn networks_with_leading_zeros_are_refused_in_json() {
        let good: Read = serde_json::from_str(r#""10.0.0.0/8""#).expect("a prefix");
        let error = serde_json::from_str::<Read>(r#""010.0.0.0/8""#).map(|_| ()).expect_err("leading zeros");
        assert!(error.to_string().contains("expected a prefix as 10.0.0.0/8"), "{error}");
        assert_eq!(good.0.to_string(), "10.0.0.0/8");
    }

    #[test]
    fn prefixes_that_the_pattern_takes_are_read_and_others_are_not() {
        for good in ["::/0", "2001:db8::/32", "::1/128", "::ffff:192.0.2.1/128", "1:2:3:4:5:6:7:8/64", "10.0.0.0/8"] {
            assert_eq!(network(good).map(|net| net.to_string()).as_deref(), Some(good));
            assert!(matches(PREFIX_V4, good) || matches(PREFIX_V6, good), "{good}");
        }
        let without_length = ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/+8", "::/129"];
        let no_address = ["010.0.0.0/8", "10.0.0/8", "/8", "1::2::3/64", "1:2:3:4:5:6:7:8:9/64", "web.example/8"];
        for bad in without_length.into_iter().chain(no_address) {
            assert_eq!(network(bad), None, "{bad}");
            assert!(!matches(PREFIX_V4, bad) && !matches(PREFIX_V6, bad), "{bad}");
        }
    }
}
