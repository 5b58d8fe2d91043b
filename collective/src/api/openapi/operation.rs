//! What an operation takes and gives, by the types that the handlers decode and encode.

use ringwall_protocol::object::ObjectKind;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Describes a type, by reference where it has a name.
pub(crate) type Describe = fn(&mut SchemaGenerator) -> Schema;

/// One operation of the API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    /// `get`, `post`, `put` or `delete`.
    pub(crate) method: &'static str,
    /// Below `/admin`, parameters in braces.
    pub(crate) path: &'static str,
    /// Group.
    pub(crate) tag: &'static str,
    /// One sentence.
    pub(crate) summary: &'static str,
    /// What it takes.
    pub(crate) takes: Taken,
    /// What it gives.
    pub(crate) gives: Given,
}

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Taken {
    /// None; one that comes is not looked at.
    Nothing,
    /// JSON; fields that are not described are refused unless they ask for nothing.
    Strict(Describe),
    /// JSON; other fields are not looked at.
    Lenient(Describe),
    /// An object of a kind.
    Object(ObjectKind),
}

/// The body of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Given {
    /// None: 204.
    Nothing,
    /// JSON that is not described further.
    Anything,
    /// A value of a type.
    One(Describe),
    /// An object, with its version in `ETag`.
    Versioned(Describe),
    /// A page of a list.
    Many(Describe),
    /// An object of a kind, with its version.
    Object(ObjectKind),
    /// A page of objects of a kind.
    Objects(ObjectKind),
}

impl Taken {
    /// A value of this type and nothing beside it.
    pub(crate) const fn strict<T: JsonSchema>() -> Self {
        Self::Strict(describe::<T>)
    }

    /// A value of this type and whatever else.
    pub(crate) const fn lenient<T: JsonSchema>() -> Self {
        Self::Lenient(describe::<T>)
    }
}

impl Given {
    /// A value of this type.
    pub(crate) const fn one<T: JsonSchema>() -> Self {
        Self::One(describe::<T>)
    }

    /// A value of this type, with a version.
    pub(crate) const fn versioned<T: JsonSchema>() -> Self {
        Self::Versioned(describe::<T>)
    }

    /// A list of values of this type.
    pub(crate) const fn many<T: JsonSchema>() -> Self {
        Self::Many(describe::<T>)
    }
}

fn describe<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
