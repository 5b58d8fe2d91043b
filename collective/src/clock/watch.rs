//! Asks the other Controllers what their clocks show, corrects this one's by the majority, and says by which time something
//! may be forgotten.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ringwall_protocol::id::NodeId;
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::Node;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::agreement::{Agreement, Verdict};
use super::lived::Lived;
use super::{correct_by, uncorrected};

/// Name of the file that keeps how far time has come.
const FILE_NAME: &str = "clock.json";
/// How often this clock is judged.
const LOOK: Duration = Duration::from_secs(1);
/// Looks from one question to the others to the next.
const ASK_EVERY: u32 = 5;
/// Looks from one writing of the file to the next.
const KEEP_EVERY: u32 = 60;
/// A Controller answers within this, or counts as silent.
const ANSWER: Duration = Duration::from_secs(2);

/// What is known of this Controller's clock.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    node: Node,
    file: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    agreement: Agreement,
    lived: Lived,
    /// Whether the log was told that it is suspect.
    told: bool,
}

/// How far time had come.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kept {
    lived: UnixMillis,
}

/// A Controller's clock, for status pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockState {
    /// What the others' clocks say.
    pub(crate) verdict: Verdict,
    /// How far it has jumped since the start, in milliseconds.
    pub(crate) jump_ms: Option<i64>,
}

impl ClockState {
    /// Whether this clock is not believed.
    pub(crate) const fn is_suspect(self) -> bool {
        self.verdict.is_suspect() || (matches!(self.verdict, Verdict::Alone) && self.jump_ms.is_some())
    }

    /// How far it is off, as far as that is known, in milliseconds.
    pub(crate) fn offset_ms(self) -> Option<i64> {
        self.verdict.offset_ms().or_else(|| self.jump_ms.map(i64::saturating_neg))
    }
}

impl ClockWatch {
    /// The clock of `node`, with what its data directory has kept.
    pub(crate) fn new(node: Node, data_dir: &std::path::Path) -> Self {
        let file = data_dir.join(FILE_NAME);
        let kept = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        let lived = Lived::go_on(kept.map(|kept| kept.lived), uncorrected(), Instant::now());
        Self { node, file, known: Mutex::new(Known { agreement: Agreement::default(), lived, told: false }) }
    }

    /// What is known now.
    pub(crate) fn state(&self) -> ClockState {
        let (own, now) = (uncorrected(), Instant::now());
        let known = self.lock();
        let verdict = known.agreement.verdict(&self.node.status().voters, self.node.id(), own, now);
        ClockState { verdict, jump_ms: known.lived.jump(own, now) }
    }

    /// From this clock to another Controller's, in milliseconds, if that told its time of late.
    pub(crate) fn offset_of(&self, node: NodeId) -> Option<i64> {
        self.lock().agreement.offset_of(node, uncorrected(), Instant::now())
    }

    /// The time by which something may be forgotten: nothing may while this clock is suspect among others; without others,
    /// no more than this Controller has seen pass.
    pub(crate) fn forgetting(&self) -> Option<UnixMillis> {
        let own = uncorrected();
        match self.state().verdict {
            Verdict::Alone => Some(own.min(self.lock().lived.at(Instant::now()))),
            Verdict::Agrees(_) => Some(own),
            Verdict::Off(_) | Verdict::Undecided(_) | Verdict::Unconfirmed => None,
        }
    }

    /// Watches until told to stop.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 0u32.. {
            tokio::select! {
                _ = tick.tick() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            // Who was not heard yet is asked at every look: others wait for what a new Controller does by its clock.
            if round % ASK_EVERY == 0 || self.state().verdict == Verdict::Unconfirmed {
                self.ask().await;
            }
            self.look();
            if round % KEEP_EVERY == KEEP_EVERY - 1 {
                self.keep().await;
            }
        }
        self.keep().await;
    }

    async fn ask(&self) {
        let status = self.node.status();
        let others = status.voters.into_iter().filter(|node| *node != self.node.id());
        let asked = others.map(async |node| {
            let begun = Instant::now();
            let time = self.node.clock_of(node, ANSWER).await?;
            // The clock was read about half-way.
            Some((node, time, begun + begun.elapsed() / 2))
        });
        let answers = join_all(asked).await;
        let mut known = self.lock();
        for (node, time, at) in answers.into_iter().flatten() {
            known.agreement.hear(node, time, at);
        }
    }

    fn look(&self) {
        let state = self.state();
        correct_by(if let Verdict::Off(offset) = state.verdict { offset } else { 0 });
        let suspect = state.is_suspect();
        metrics::gauge!("ringwall_clock_suspect").set(f64::from(u8::from(suspect)));
        let offset = state.offset_ms().map_or(0.0, |millis| millis as f64 / 1_000.0);
        metrics::gauge!("ringwall_clock_offset_seconds").set(offset);
        let offset_ms = state.offset_ms();
        let mut known = self.lock();
        // Unconfirmed is every clock right after a start, when nobody was heard yet.
        if suspect && state.verdict != Verdict::Unconfirmed && !std::mem::replace(&mut known.told, true) {
            tracing::warn!(
                verdict = state.verdict.name(),
                offset_ms,
                "this controller's clock is not confirmed by the others: nothing is forgotten by it; check its time synchronisation"
            );
        }
        if !suspect && std::mem::take(&mut known.told) {
            tracing::info!("this controller's clock is confirmed");
        }
    }

    async fn keep(&self) {
        let lived = self.lock().lived.at(Instant::now());
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || {
            let bytes = serde_json::to_vec(&Kept { lived }).expect("a number has an encoding");
            ringwall_trust::secret::write_private(&file, &bytes)
        });
        if let Ok(Err(error)) = written.await {
            tracing::warn!(%error, "cannot keep how far time has come: after a restart more time counts as passed");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
