//! Where log lines go: standard error, as text or as JSON, filtered.

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Installs the process's logger; a second call changes nothing.
///
/// # Errors
/// If the filter cannot be parsed.
pub fn install(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only if a logger is installed already, which then serves.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    Ok(())
}
