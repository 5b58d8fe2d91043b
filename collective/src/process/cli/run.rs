//! `run`: serve until told to stop.

use anyhow::Context;
use ringwall_kernel::descriptors;
use ringwall_startup::StopSignals;

use super::arguments::Run;
use crate::process::Process;
use crate::setup::config::{FILE_NAME, RawConfig};
use crate::setup::data_dir::DataDir;

pub(super) fn execute(arguments: &Run) -> anyhow::Result<()> {
    let path = match (&arguments.config, &arguments.data_dir) {
        (Some(path), _) => path.clone(),
        // That nothing was made there says more than that its configuration is missing.
        (None, Some(directory)) => DataDir::existing(directory)?.path().join(FILE_NAME),
        (None, None) => {
            anyhow::bail!("expected --config or --data-dir: name the data directory that `init` or `join` has made")
        }
    };
    let mut raw = RawConfig::load(&path)?;
    if let Some(directory) = &arguments.data_dir {
        raw.data_dir.clone_from(directory);
    }
    let config = raw.validate()?;
    if let Err(error) = descriptors::raise_limit() {
        tracing::warn!(%error, "connections wait when descriptors run out");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let mut signals = StopSignals::take().context("taking SIGINT and SIGTERM")?;
        let process = tokio::select! {
            started = Process::start(config) => started?,
            () = signals.told() => return Ok(()),
        };
        process.until_told_to_stop(&mut signals).await
    })
}
