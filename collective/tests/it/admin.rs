//! The admin API over the wire: a founded Collective, real TLS, HTTP as the vendor's tools speak it.

mod admission;
mod applying;
mod approvals;
pub(crate) mod caller;
mod conformance;
mod devices;
mod dual_control;
mod last_resort;
mod matrix;
mod membership;
mod objects;
mod privileges;
mod profiles;
mod sessions;
mod signing_in;
mod what_if;

pub(crate) use caller::Admin;
