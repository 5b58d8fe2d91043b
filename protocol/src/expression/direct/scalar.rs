//! Single values and how they compare: as CEL has it, numbers of all kinds by their value, nothing else across kinds.

use std::cmp::Ordering;

use cel::common::ast::LiteralValue;
use serde_json::Value as Json;

/// A value that is written out in an expression.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::expression) enum Literal {
    Text(Box<str>),
    Truth(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Null,
}

/// A value, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'v> {
    Text(&'v str),
    Truth(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Null,
}

impl Literal {
    /// `None` for bytes, which claims do not have.
    pub(super) fn of(value: &LiteralValue) -> Option<Self> {
        Some(match value {
            LiteralValue::Boolean(truth) => Self::Truth(*truth.inner()),
            LiteralValue::Double(number) => Self::Double(*number.inner()),
            LiteralValue::Int(number) => Self::Int(*number.inner()),
            LiteralValue::Null => Self::Null,
            LiteralValue::String(text) => Self::Text(text.inner().into()),
            LiteralValue::UInt(number) => Self::Uint(*number.inner()),
            LiteralValue::Bytes(_) => return None,
        })
    }

    pub(super) const fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Text(text) => Scalar::Text(text),
            Self::Truth(truth) => Scalar::Truth(*truth),
            Self::Int(number) => Scalar::Int(*number),
            Self::Uint(number) => Scalar::Uint(*number),
            Self::Double(number) => Scalar::Double(*number),
            Self::Null => Scalar::Null,
        }
    }
}

impl<'v> Scalar<'v> {
    /// The value of a claim; `None` for lists and maps.
    pub(super) fn of_claim(json: &'v Json) -> Option<Self> {
        Some(match json {
            Json::Number(number) => match number.as_i64() {
                Some(integer) => Self::Int(integer),
                None => Self::Double(number.as_f64()?),
            },
            other => return Self::of_element(other),
        })
    }

    /// The value of a list's element: there the interpreter knows numbers without a sign as such.
    pub(super) fn of_element(json: &'v Json) -> Option<Self> {
        Some(match json {
            Json::String(text) => Self::Text(text),
            Json::Bool(truth) => Self::Truth(*truth),
            Json::Null => Self::Null,
            Json::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(natural), _) => Self::Uint(natural),
                (None, Some(integer)) => Self::Int(integer),
                (None, None) => Self::Double(number.as_f64()?),
            },
            Json::Array(_) | Json::Object(_) => return None,
        })
    }

    pub(super) fn equals(self, other: Self) -> bool {
        matches!((self, other), (Self::Null, Self::Null)) || self.compare(other) == Some(Ordering::Equal)
    }

    /// `None` where CEL knows no order.
    #[expect(clippy::cast_precision_loss, reason = "CEL compares integers with doubles as doubles")]
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Truth(one), Self::Truth(other)) => Some(one.cmp(&other)),
            (Self::Int(one), Self::Int(other)) => Some(one.cmp(&other)),
            (Self::Uint(one), Self::Uint(other)) => Some(one.cmp(&other)),
            (Self::Int(one), Self::Uint(other)) => {
                Some(u64::try_from(one).map_or(Ordering::Less, |one| one.cmp(&other)))
            }
            (Self::Uint(_), Self::Int(_)) => other.compare(self).map(Ordering::reverse),
            (Self::Double(one), Self::Double(other)) => one.partial_cmp(&other),
            (Self::Double(one), Self::Int(other)) => one.partial_cmp(&(other as f64)),
            (Self::Double(one), Self::Uint(other)) => one.partial_cmp(&(other as f64)),
            (Self::Int(_) | Self::Uint(_), Self::Double(_)) => other.compare(self).map(Ordering::reverse),
            _ => None,
        }
    }
}
