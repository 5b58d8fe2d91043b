//! What administrators may order, and how it is done (T40).
//!
//! | room | is |
//! | --- | --- |
//! | [`access`] | how an administrator proves himself, what he may do, and what he may hand on |
//! | [`approvals`] | what needs two administrators (T65) |
//! | [`objects`] | objects as the admin API writes them; create, read, replace, delete: one way for every kind |
//! | [`users`] | devices, users and sessions |
//! | [`members`], [`profiles`] | the Collective itself: appliances, settings, Client profiles |
//! | [`questions`] | what would happen, and why something does not: explain, rehearsal, what-if, lint |
//! | [`repeat`] | an order that is sent twice happens once |
//!
//! Everything decides from one state that is at least as new as the request. HTTP is left to `api::admin`.

pub(crate) mod access;
pub(crate) mod approvals;
pub(crate) mod denial;
pub(crate) mod faults;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod members;
pub(crate) mod objects;
pub(crate) mod profiles;
pub(crate) mod questions;
pub(crate) mod repeat;
pub(crate) mod users;

pub(crate) use access::authority::Administrator;
pub(crate) use denial::Denial;

use std::sync::Arc;

use self::access::Access;
use self::approvals::Approvals;
use self::members::Members;
use self::objects::Objects;
use self::profiles::Profiles;
use self::questions::Questions;
use self::users::Users;

/// What carries administrators' orders out.
pub(crate) struct Administration {
    /// Sign-in of administrators, and their sessions.
    pub(crate) access: Access,
    /// Orders that need two administrators.
    pub(crate) approvals: Approvals,
    /// Reading and writing of all kinds of objects, with their checks.
    pub(crate) objects: Objects,
    /// Users, devices, sessions.
    pub(crate) users: Users,
    /// The Collective itself.
    pub(crate) members: Members,
    /// Links, pictures and pages of Client profiles.
    pub(crate) profiles: Profiles,
    /// What changes nothing: explanations, simulations, the linter.
    pub(crate) questions: Arc<Questions>,
}
