//! Several name servers of one resolver, asked so that their answers do not depend on who is quicker.
//!
//! The order is the administrator's. Each server has a head start over the next. Records count whoever gives them; that a
//! name does not exist, or has no such record, counts only from a server before which all have failed: one that does not
//! know the zone must not answer in the place of one that does, because it was quicker this time.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

/// A server that is there answers within this time; RFC 8305 §5 recommends as much for connections.
const HEAD_START: Duration = Duration::from_millis(250);

/// What counts of these attempts, which are in order; `None` without any. `gives_records` tells an answer that counts at
/// once. If all fail it is the failure of the first.
pub(super) async fn first_in_order<T, E, F>(
    attempts: impl IntoIterator<Item = F>,
    gives_records: impl Fn(&T) -> bool,
) -> Option<Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
{
    let delayed = |(place, attempt): (usize, F)| async move {
        sleep(HEAD_START * u32::try_from(place).unwrap_or(u32::MAX)).await;
        (place, attempt.await)
    };
    let mut running: FuturesUnordered<_> = attempts.into_iter().enumerate().map(delayed).collect();
    let mut outcomes: Vec<Option<Result<T, E>>> = (0..running.len()).map(|_| None).collect();
    while let Some((place, outcome)) = running.next().await {
        if matches!(&outcome, Ok(answer) if gives_records(answer)) {
            return Some(outcome);
        }
        outcomes[place] = Some(outcome);
        // Whose word counts: the first that has not failed.
        let counts = outcomes.iter().position(|outcome| !matches!(outcome, Some(Err(_))));
        if let Some(answered) = counts.and_then(|place| outcomes[place].take()) {
            return Some(answered);
        }
    }
    outcomes.into_iter().next().flatten()
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::Pin;

    use super::*;

    /// Records, or that there are none.
    type Asked = Result<Option<&'static str>, &'static str>;
    type Attempt = Pin<Box<dyn Future<Output = Asked>>>;

    fn at_once(asked: Asked) -> Attempt {
        Box::pin(ready(asked))
    }

    fn after(milliseconds: u64, asked: Asked) -> Attempt {
        Box::pin(async move {
            sleep(Duration::from_millis(milliseconds)).await;
            asked
        })
    }

    async fn ask(attempts: Vec<Attempt>) -> Option<Asked> {
        first_in_order(attempts, Option::is_some).await
    }

    #[tokio::test]
    async fn that_a_name_is_absent_counts_from_the_first_that_works_however_slow_it_is() {
        for slow in [0, 100, 300, 600] {
            let attempts = vec![after(slow, Ok(Some("right"))), at_once(Ok(None))];
            assert_eq!(ask(attempts).await, Some(Ok(Some("right"))), "{slow} ms");
            let attempts = vec![after(slow, Ok(None)), at_once(Ok(None))];
            assert_eq!(ask(attempts).await, Some(Ok(None)), "{slow} ms");
        }
    }

    #[tokio::test]
    async fn a_server_that_fails_is_passed_over_and_one_that_is_silent_costs_a_head_start() {
        let attempts = vec![at_once(Err("refused")), at_once(Ok(None)), at_once(Ok(Some("never asked")))];
        assert_eq!(ask(attempts).await, Some(Ok(None)), "the first that does not fail counts");
        let attempts = vec![Box::pin(pending()) as Attempt, at_once(Ok(Some("second")))];
        let begin = tokio::time::Instant::now();
        assert_eq!(ask(attempts).await, Some(Ok(Some("second"))));
        assert!(begin.elapsed() >= HEAD_START);
        let attempts = vec![after(400, Err("timed out")), at_once(Ok(None))];
        assert_eq!(ask(attempts).await, Some(Ok(None)), "once the first has failed");
    }

    #[tokio::test]
    async fn if_all_fail_it_is_the_firsts_failure_and_without_servers_nothing() {
        assert_eq!(ask(vec![after(9, Err("first")), at_once(Err("second"))]).await, Some(Err("first")));
        assert_eq!(ask(vec![]).await, None);
    }
}
