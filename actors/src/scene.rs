//! What tests of this package share: a throw-away Collective with its tokens, what its policies ask for, fakes of the
//! ports that keep account of what they were asked, a clock.

mod clock;
mod collective;
mod plane;
mod policy;

pub(crate) use clock::SceneClock;
pub(crate) use collective::{Scene, SignedIn, token_id};
pub(crate) use plane::{Asked, FakePlane};
pub(crate) use policy::{TestCondition, device_scope, revocation, step_up};
