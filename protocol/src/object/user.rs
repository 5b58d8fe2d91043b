//! Users of the local identity provider.

use schemars::transform::Transform;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::EntityBase;
use crate::form::{self, Form, Is};
use crate::id::UserId;

/// Most labels of a user.
pub const MAX_LABELS: usize = 64;
/// The value of a label.
pub const LABEL: Form = Form::line(1_024, "is a line of at most 1024 characters");

/// Describes labels: names that expressions can write, and lines.
struct Labels;

impl Transform for Labels {
    fn transform(&mut self, schema: &mut Schema) {
        schema.insert("maxProperties".to_owned(), MAX_LABELS.into());
        let name = {
            let mut name = Schema::default();
            form::IDENTIFIER.describe(&mut name);
            name
        };
        schema.insert("propertyNames".to_owned(), name.to_value());
        if let Some(Ok(value)) = schema.get_mut("additionalProperties").map(<&mut Schema>::try_from) {
            LABEL.describe(value);
        }
    }
}

/// A local user; `base.name` is the user name. The password is kept apart and never read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalUser {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<UserId>,
    /// First name.
    #[serde(default)]
    #[schemars(transform = Is(form::SHORT_LINE))]
    pub first_name: String,
    /// Last name.
    #[serde(default)]
    #[schemars(transform = Is(form::SHORT_LINE))]
    pub last_name: String,
    /// E-mail address.
    #[serde(default)]
    #[schemars(transform = Is(form::MAIL))]
    pub email: String,
    /// Telephone number.
    #[serde(default)]
    #[schemars(transform = Is(form::SHORT_LINE))]
    pub phone: String,
    /// Refused at sign-in.
    #[serde(default)]
    pub disabled: bool,
    /// Further claims, as the user's own attributes.
    #[serde(default)]
    #[schemars(transform = Labels)]
    pub labels: std::collections::BTreeMap<String, String>,
}
