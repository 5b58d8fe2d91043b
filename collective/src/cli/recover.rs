//! `recover`
use super::arguments::Recover;
pub(super) fn execute(_: &Recover) -> anyhow::Result<()> { todo!() }
