//! Points in time and spans, as arithmetic. Who reads a clock does so elsewhere and passes the result in.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The last moment that is printed, and read, as RFC 3339: 9999-12-30T22:00:00.999Z, the end of every calendar that
    /// also counts the hours of time zones. Later ones are printed as this one.
    pub const LAST_PRINTED: Self = Self(253_402_207_200_999);

    /// Whole seconds, rounded down (JWT `NumericDate`, RFC 7519 §2).
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The start of this second.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// This time plus `span`; saturates at the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This time minus `span`; saturates at 1970.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long until `later`; zero if that has passed.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

impl fmt::Display for UnixMillis {
    /// RFC 3339 in UTC, for people and for the admin API.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printed = i64::try_from(self.0.min(Self::LAST_PRINTED.0)).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(printed) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => f.write_str("9999-12-30T22:00:00.999Z"),
        }
    }
}

/// Describes a [`UnixMillis`] that is written as RFC 3339.
#[derive(Debug, Clone, Copy)]
pub struct Rfc3339;

impl JsonSchema for Rfc3339 {
    fn schema_name() -> Cow<'static, str> {
        "Rfc3339".into()
    }
    fn inline_schema() -> bool {
        true
    }
    /// Not before 1970, nor after what is printed.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "pattern": "^(19[7-9][0-9]|[2-9][0-9]{3})-" })
    }
}

/// Serialises [`UnixMillis`] as RFC 3339 text, as the admin API wants its times.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::UnixMillis;

    /// Writes `2026-11-22T12:00:00.000Z`.
    ///
    /// # Errors
    /// Only those of the serializer.
    pub fn serialize<S: Serializer>(time: &UnixMillis, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    /// Reads RFC 3339 with any offset.
    ///
    /// # Errors
    /// If the text is no RFC 3339 time or lies before 1970.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<UnixMillis, D::Error> {
        let text = String::deserialize(from)?;
        let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        u64::try_from(time.as_millisecond()).map(UnixMillis).map_err(D::Error::custom)
    }
}
