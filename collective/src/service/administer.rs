//! What administrators may order, and how it is done (T40).
//!
//! | module | is |
//! | --- | --- |
//! | [`authority`], [`granting`] | what an administrator may do, and what he may hand on |
//! | [`sign_in`], [`session`] | how he proves himself, and what his token stands for |
//! | [`decode`], [`validate`], [`present`], [`listing`] | objects as the admin API writes them; pure |
//! | [`objects`] | create, read, replace, delete: one implementation for every kind |
//! | [`provider_test`] | does a provider answer, and what does it know of a user |
//! | [`devices`], [`blacklist`], [`live`], [`otp`], [`fido2`] | devices, users and sessions |
//! | [`appliances`], [`status`], [`profiles`], [`settings`] | the Collective itself |
//! | [`explain`], [`rehearsal`], [`claim_names`], [`what_if`], [`lint`] | questions |
//! | [`trail`] | what is written down of it |
//!
//! Everything decides from one state that is at least as new as the request. HTTP is left to `api::admin`.

pub mod appliances;
pub mod authority;
pub mod blacklist;
pub mod claim_names;
pub mod decode;
pub mod denial;
pub mod devices;
pub mod explain;
pub mod fido2;
#[cfg(test)]
pub(crate) mod fixture;
pub mod granting;
pub mod lint;
pub mod listing;
pub mod live;
pub mod objects;
pub mod otp;
pub mod picture;
pub mod present;
pub mod profiles;
mod provider_hosts;
mod provider_secrets;
pub mod provider_test;
pub mod rehearsal;
pub mod repeat;
pub mod session;
pub mod settings;
pub mod sign_in;
pub mod status;
pub mod trail;
pub mod validate;
pub mod what_if;

pub use authority::{Administrator, Authority};
pub use denial::Denial;
