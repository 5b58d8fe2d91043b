//! Where log lines go: standard error, as text or as JSON, filtered.
//!
//! What a peer sends is not our error (T83): the HTTP library reports malformed requests at ERROR; they are counted, and
//! logged where the filter lets DEBUG pass.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use super::cli::LogFormat;

/// Modules of the HTTP library whose events are about what a peer sent.
const ABOUT_PEERS: [&str; 2] = ["actix_http::h1::dispatcher", "actix_http::h1::decoder"];

/// Installs the process's logger; a second call changes nothing.
///
/// # Errors
/// If the filter cannot be parsed.
pub fn install(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        anyhow::anyhow!("--log: {error}; expected a filter such as `info` or `info,ringwall_raft=debug`")
    })?;
    let lines = lines(format, filter, std::io::stderr, std::io::stderr().is_terminal());
    // Fails only if a logger is installed already, which then serves.
    let _ = Registry::default().with(lines).with(MalformedRequests.with_filter(filter_fn(about_peer))).try_init();
    Ok(())
}

fn lines<S, W>(format: LogFormat, filter: EnvFilter, writer: W, colours: bool) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let debug = filter.max_level_hint().is_none_or(|level| level >= LevelFilter::DEBUG);
    let filter = filter.and(filter_fn(move |event| debug || !about_peer(event)));
    let lines = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(writer);
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
    .with_filter(filter)
}

fn about_peer(event: &Metadata<'_>) -> bool {
    ABOUT_PEERS.contains(&event.target())
}

/// Counts the events that reach it.
struct MalformedRequests;

impl<S: Subscriber> Layer<S> for MalformedRequests {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        metrics::counter!("ringwall_http_malformed_requests_total").increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let filter = EnvFilter::new(filter);
        let subscriber = Registry::default().with(lines(LogFormat::Text, filter, move || writer.clone(), false));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "actix_http::h1::dispatcher", "stream error: a peer sent something");
            tracing::error!("an error of ours");
        });
        let text = kept.0.lock().expect("not poisoned").clone();
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn malformed_requests_are_counted() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let counting = Registry::default().with(MalformedRequests.with_filter(filter_fn(about_peer)));
        metrics::with_local_recorder(&recorder, || {
            tracing::subscriber::with_default(counting, || {
                tracing::error!(target: "actix_http::h1::decoder", "stream error");
                tracing::error!("an error of ours");
            });
        });
        let shown = recorder.handle().render();
        assert!(shown.contains("ringwall_http_malformed_requests_total 1"), "{shown}");
    }

    #[test]
    fn what_a_peer_sent_is_logged_where_debug_is_wanted() {
        let usual = logged("info");
        assert!(usual.contains("an error of ours") && !usual.contains("stream error"), "{usual}");
        let wanted = logged("debug");
        assert!(wanted.contains("an error of ours") && wanted.contains("stream error"), "{wanted}");
    }
}
