//! Attempts one after the other, each with a head start over the next (RFC 8305, section 5).
//!
//! A server that is gone is silent, and silence costs seconds; with a head start it costs a fraction of one. Whoever runs the
//! race takes what is done first, and may go on with the rest. Dropping the race drops all attempts; attempts that have
//! to close politely run in tasks of their own.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

type Attempt<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Attempts in their order, some of them under way. Dropping it drops them all.
pub(crate) struct Race<'a, T> {
    waiting: VecDeque<Attempt<'a, T>>,
    running: FuturesUnordered<Attempt<'a, T>>,
    next_start: Instant,
    head_start: Duration,
}

impl<'a, T> Race<'a, T> {
    /// A race without attempts; `head_start` is the "Connection Attempt Delay" of RFC 8305.
    pub(crate) fn new(head_start: Duration) -> Self {
        Self { waiting: VecDeque::new(), running: FuturesUnordered::new(), next_start: Instant::now(), head_start }
    }

    /// Puts an attempt behind all that wait.
    pub(crate) fn append(&mut self, attempt: impl Future<Output = T> + Send + 'a) {
        self.waiting.push_back(Box::pin(attempt));
    }

    /// Puts attempts before all that wait, in their order.
    pub(crate) fn prepend<F>(&mut self, attempts: impl DoubleEndedIterator<Item = F>)
    where
        F: Future<Output = T> + Send + 'a,
    {
        for attempt in attempts.rev() {
            self.waiting.push_front(Box::pin(attempt));
        }
    }

    /// Drops all attempts that have not started.
    pub(crate) fn drop_waiting(&mut self) {
        self.waiting.clear();
    }

    /// The next result; `None` if no attempt is left. An attempt starts one head start after the one before it, or as soon
    /// as one is done and this is called again.
    pub(crate) async fn next(&mut self) -> Option<T> {
        loop {
            tokio::select! {
                biased;
                Some(done) = self.running.next() => {
                    self.next_start = Instant::now();
                    return Some(done);
                }
                () = sleep_until(self.next_start), if !self.waiting.is_empty() => {
                    self.running.extend(self.waiting.pop_front());
                    self.next_start = Instant::now() + self.head_start;
                }
                else => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;
    use tokio::time::sleep;

    use super::*;

    const HEAD_START: Duration = Duration::from_millis(250);

    async fn after(span: Duration, what: &'static str) -> &'static str {
        sleep(span).await;
        what
    }

    #[tokio::test]
    async fn silence_costs_a_head_start_and_not_its_whole_time() {
        let begin = Instant::now();
        let mut race = Race::new(HEAD_START);
        race.append(pending());
        race.append(pending());
        race.append(after(Duration::from_millis(10), "third"));
        assert_eq!(race.next().await, Some("third"));
        assert!(begin.elapsed() >= 2 * HEAD_START);
    }

    #[tokio::test]
    async fn the_first_alone_is_tried_while_it_is_quick() {
        let mut race = Race::new(HEAD_START);
        race.append(after(Duration::ZERO, "first"));
        race.append(async { panic!("the second one was not needed") });
        assert_eq!(race.next().await, Some("first"));
    }

    #[tokio::test]
    async fn who_fails_makes_room_and_the_slow_one_may_still_win() {
        let (answer, answered) = oneshot::channel();
        let mut race = Race::new(HEAD_START);
        race.append(async { answered.await.expect("an answer") });
        race.append(after(Duration::ZERO, "failed"));
        race.append(pending());
        assert_eq!(race.next().await, Some("failed"));
        answer.send("slow").expect("it still runs");
        assert_eq!(race.next().await, Some("slow"));
    }

    #[tokio::test]
    async fn what_is_put_first_runs_first_and_an_empty_race_is_over() {
        let mut race = Race::new(HEAD_START);
        race.append(after(Duration::ZERO, "last"));
        race.prepend(["first", "second"].map(|what| after(Duration::ZERO, what)).into_iter());
        for expected in ["first", "second", "last"] {
            assert_eq!(race.next().await, Some(expected));
        }
        assert_eq!(race.next().await, None);
    }

    #[tokio::test]
    async fn what_is_dropped_before_its_start_never_runs() {
        let mut race = Race::new(HEAD_START);
        race.append(after(Duration::ZERO, "first"));
        race.append(async { panic!("it was dropped") });
        assert_eq!(race.next().await, Some("first"));
        race.drop_waiting();
        assert_eq!(race.next().await, None);
    }
}
