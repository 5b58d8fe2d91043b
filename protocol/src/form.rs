//! Forms of texts that the admin API takes: one pattern both decides and is published in the description that Controllers
//! serve (JSON Schema's `pattern`, `minLength`, `maxLength`), so that the two cannot differ (T85).
//!
//! Patterns are written so that ECMA 262, Python and Rust read them alike: no classes of letters, no look-around. Lengths
//! are Unicode code points, as JSON Schema counts them.

mod prefix;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use schemars::Schema;
use schemars::transform::Transform;

pub use prefix::{Prefix, network, networks, optional_network};

/// Control characters (Unicode category Cc), inside a class.
macro_rules! control {
    () => {
        r"\u0000-\u001f\u007f-\u009f"
    };
}
/// White space, inside a class.
macro_rules! blank {
    () => {
        r"\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
    };
}
/// A TCP or UDP port, 1 to 65535.
macro_rules! port {
    () => {
        "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    };
}
/// A DNS domain: labels of 1–63 letters, digits, `-` and `_` (RFC 1123 §2.1), perhaps with a dot at the end.
macro_rules! domain {
    () => {
        r"([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?"
    };
}

const LINE: &str = concat!("^[^", control!(), "]*$");
const NAME: &str = concat!("^[^", control!(), "]*[^", control!(), blank!(), "][^", control!(), "]*$");

/// What a text must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Regular expression that the text matches; empty: any.
    pattern: &'static str,
    /// Regular expression that no such text matches; empty: none.
    never: &'static str,
    /// What it is written in, where no pattern can say it; empty: nothing in particular.
    format: &'static str,
    /// Fewest code points.
    min: usize,
    /// Most code points.
    max: usize,
    /// For people, after the field's name.
    pub rule: &'static str,
}

impl Form {
    /// A text of `min` to `max` code points that matches a pattern.
    #[must_use]
    pub const fn matching(pattern: &'static str, min: usize, max: usize, rule: &'static str) -> Self {
        Self { pattern, never: "", format: "", min, max, rule }
    }

    /// One line, perhaps empty, of at most `max` code points.
    #[must_use]
    pub const fn line(max: usize, rule: &'static str) -> Self {
        Self::matching(LINE, 0, max, rule)
    }

    /// One line that is not blank, of at most `max` code points.
    #[must_use]
    pub const fn name(max: usize, rule: &'static str) -> Self {
        Self::matching(NAME, 1, max, rule)
    }

    /// Any text of at most `max` code points.
    #[must_use]
    pub const fn text(max: usize, rule: &'static str) -> Self {
        Self::matching("", 0, max, rule)
    }

    /// A text in a language of its own, of at most `max` code points. What reads it decides; the format is published.
    #[must_use]
    pub const fn written_in(format: &'static str, max: usize) -> Self {
        Self { format, ..Self::matching("", 1, max, "") }
    }

    /// The same without texts that match `pattern`.
    #[must_use]
    pub const fn never(self, pattern: &'static str) -> Self {
        Self { never: pattern, ..self }
    }

    /// Whether a text has this form.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let length = text.chars().count();
        (self.min..=self.max).contains(&length)
            && (self.pattern.is_empty() || compiled(self.pattern).is_match(text))
            && (self.never.is_empty() || !compiled(self.never).is_match(text))
    }

    /// Writes it into a schema.
    pub fn describe(&self, schema: &mut Schema) {
        let mut say = |key: &str, value: serde_json::Value| drop(schema.insert(key.to_owned(), value));
        if !self.pattern.is_empty() {
            say("pattern", self.pattern.into());
        }
        if !self.never.is_empty() {
            say("not", serde_json::json!({ "pattern": self.never }));
        }
        if !self.format.is_empty() {
            say("format", self.format.into());
        }
        if self.min > 0 {
            say("minLength", self.min.into());
        }
        say("maxLength", self.max.into());
    }
}

/// Name of an object, of a label that people read.
pub const OBJECT_NAME: Form = Form::name(256, "has 1 to 256 characters, not only blanks, and no control characters");
/// A line for people, perhaps empty.
pub const SHORT_LINE: Form = Form::line(256, "has at most 256 characters and no control characters");
/// A tag.
pub const TAG: Form = Form::name(128, "has 1 to 128 characters, not only blanks, and no control characters");
/// Notes of an object.
pub const NOTES: Form = Form::text(8 * 1024, "have at most 8192 characters");
/// A name that an expression can write.
pub const IDENTIFIER: Form =
    Form::matching("^[A-Za-z_][A-Za-z0-9_]*$", 1, 64, "has 1 to 64 letters, digits and '_', no digit first");
/// The suffix of a claim.
pub const SUFFIX: Form = Form::matching("^[A-Za-z0-9._-]+$", 1, 64, "has 1 to 64 letters, digits, '-', '_', '.'");
/// A DNS domain.
pub const DOMAIN: Form = Form::matching(concat!("^", domain!(), "$"), 1, 253, "is no DNS domain");
/// Something that can be a mail address, or nothing.
pub const MAIL: Form =
    Form::matching(concat!("^([^", control!(), blank!(), "@]+@", domain!(), ")?$"), 0, 320, "is no mail address");
/// `host:port` or `[v6]:port`.
pub const HOST_AND_PORT: Form = Form::matching(
    concat!(r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):", port!(), "$"),
    3,
    280,
    "expected host:port or [v6]:port",
);
/// A link that an operating system opens: a scheme, and no script.
pub const LINK: Form = Form::matching(
    concat!("^[A-Za-z][A-Za-z0-9+.-]*:[^", control!(), " ]*$"),
    3,
    2_048,
    "expected a link such as https://host/path, at most 2048 characters",
)
.never("^([jJ][aA][vV][aA]|[vV][bB])[sS][cC][rR][iI][pP][tT]:|^[dD][aA][tT][aA]:");
/// `first-last`, both counted from 0.
pub const RANGE: Form = Form::matching("^[0-9]{1,9}-[0-9]{1,9}$", 3, 19, "expected first-last, for example 0-10");

/// Describes a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Is(pub Form);

impl Transform for Is {
    fn transform(&mut self, schema: &mut Schema) {
        self.0.describe(schema);
    }
}

/// The same of every element of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Each(pub Form);

impl Transform for Each {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(items) = schema.get_mut("items")
            && let Ok(items) = items.try_into()
        {
            self.0.describe(items);
        }
    }
}

/// Least and greatest value of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Within(pub RangeInclusive<u32>);

impl Transform for Within {
    fn transform(&mut self, schema: &mut Schema) {
        schema.insert("minimum".to_owned(), (*self.0.start()).into());
        schema.insert("maximum".to_owned(), (*self.0.end()).into());
    }
}

/// Fewest and most elements of a list, or of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count(pub RangeInclusive<usize>);

impl Transform for Count {
    fn transform(&mut self, schema: &mut Schema) {
        let map = schema.get("additionalProperties").is_some() && schema.get("items").is_none();
        let (least, most) = if map { ("minProperties", "maxProperties") } else { ("minItems", "maxItems") };
        if *self.0.start() > 0 {
            schema.insert(least.to_owned(), (*self.0.start()).into());
        }
        schema.insert(most.to_owned(), (*self.0.end()).into());
    }
}

/// The language of conditions, policies and scripts (CEL).
pub const CEL: Form = Form::written_in("cel-expression", crate::policy::MAX_EXPRESSION);
/// The language of claim scripts (CEL over `user` alone).
pub const CLAIM_SCRIPT: Form = Form::written_in("claim-script", crate::policy::MAX_EXPRESSION);
/// `address:port`, `[v6]:port`, `name:port`, or an address to ping.
pub const DESTINATION: Form = Form::written_in("destination", 320);
/// A certificate, or a list of revoked ones, in PEM.
pub const PEM: Form = Form::written_in("pem", 64 * 1024);
/// A search filter (RFC 4515) in parentheses.
pub const LDAP_FILTER: Form = Form::written_in("ldap-filter", 1_024);
/// An `https` URL without user, query and fragment.
pub const ISSUER: Form = Form::written_in("oidc-issuer", 1_024);
/// An address, a prefix, a range `first-last`, or a name, as an action of an entitlement takes it.
pub const ACTION_HOST: Form = Form::written_in("action-host", 300);
/// Ports and ranges of ports, `80,8000-8080`, as an action of an entitlement takes them.
pub const PORTS: Form = Form::written_in("port-ranges", 8 * 1024);
/// ICMP types and ranges of types, as an action of an entitlement takes them.
pub const ICMP_TYPES: Form = Form::written_in("icmp-type-ranges", 8 * 1024);

/// A regular expression, compiled once; there are as many as there are forms.
fn compiled(pattern: &'static str) -> Regex {
    static COMPILED: LazyLock<Mutex<BTreeMap<&'static str, Regex>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compile = || Regex::new(pattern).expect("patterns of forms are regular expressions");
    compiled.entry(pattern).or_insert_with(compile).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_take_what_they_should_and_nothing_else() {
        assert!(IDENTIFIER.fits("admins_2") && !IDENTIFIER.fits("2admins") && !IDENTIFIER.fits("a-b"));
        assert!(!IDENTIFIER.fits("") && !IDENTIFIER.fits(&"a".repeat(65)));
        assert!(SUFFIX.fits("payroll-1.x") && !SUFFIX.fits("") && !SUFFIX.fits("a b"));
        assert!(
            DOMAIN.fits("corp.example") && DOMAIN.fits("a.") && !DOMAIN.fits("corp..example") && !DOMAIN.fits("a b")
        );
        assert!(MAIL.fits("a@b.example") && MAIL.fits("") && !MAIL.fits("@b") && !MAIL.fits("a b@c"));
        assert!(
            OBJECT_NAME.fits("Ärzte 1")
                && !OBJECT_NAME.fits("  ")
                && !OBJECT_NAME.fits("a\nb")
                && !OBJECT_NAME.fits("")
        );
        assert!(OBJECT_NAME.fits(&"é".repeat(256)), "code points are counted, not bytes");
        assert!(!OBJECT_NAME.fits(&"é".repeat(257)) && !OBJECT_NAME.fits("a\n"));
        for good in ["sdp.example:443", "192.0.2.1:1", "[2001:db8::1]:65535"] {
            assert!(HOST_AND_PORT.fits(good), "{good}");
        }
        for bad in ["x", "a:0", "a:65536", "a b:1", "::1:443", ":443", "a:080"] {
            assert!(!HOST_AND_PORT.fits(bad), "{bad}");
        }
        assert!(LINK.fits("https://a/b") && !LINK.fits("javascript:alert(1)") && !LINK.fits("https://a b"));
    }
}
