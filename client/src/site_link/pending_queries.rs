//! DNS questions on a websocket that wait for their answers. Pure.
//!
//! Questions of many programs share the websocket: each gets an id of its own there, and its answer the old one back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::DnsQuery;

/// Questions that wait at a time; beyond it they fail.
const OPEN: usize = 256;
/// Nobody waits longer.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// Bytes of the id in front of a DNS message (RFC 1035 §4.1.1).
const ID: usize = 2;

/// What was asked and is not answered.
#[derive(Debug, Default)]
pub(super) struct PendingQueries {
    open: HashMap<u16, Waiting>,
    next: u16,
}

#[derive(Debug)]
struct Waiting {
    id: [u8; ID],
    answer: oneshot::Sender<Vec<u8>>,
    since: Instant,
}

impl PendingQueries {
    /// The message to be sent; `None` if it is none, or too many wait.
    pub(super) fn asked(&mut self, question: DnsQuery, now: Instant) -> Option<Vec<u8>> {
        self.open.retain(|_, waiting| now < waiting.since + FORGOTTEN && !waiting.answer.is_closed());
        if self.open.len() >= OPEN {
            return None;
        }
        while self.open.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let DnsQuery { mut message, answer } = question;
        let id = <[u8; ID]>::try_from(message.get(..ID)?).ok()?;
        message[..ID].copy_from_slice(&self.next.to_be_bytes());
        self.open.insert(self.next, Waiting { id, answer, since: now });
        self.next = self.next.wrapping_add(1);
        Some(message)
    }

    /// Delivers an answer to the query with its id; drops answers without one.
    pub(super) fn answered(&mut self, answer: &[u8]) {
        let Some(id) = answer.first_chunk::<ID>() else { return };
        if let Some(waiting) = self.open.remove(&u16::from_be_bytes(*id)) {
            let mut message = waiting.id.to_vec();
            message.extend(&answer[ID..]);
            // Whoever asked may have stopped waiting.
            let _gone = waiting.answer.send(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(questions: &mut PendingQueries, id: u8, now: Instant) -> (Option<Vec<u8>>, oneshot::Receiver<Vec<u8>>) {
        let (answer, answered) = oneshot::channel();
        (questions.asked(DnsQuery { message: vec![0, id, 9], answer }, now), answered)
    }

    #[test]
    fn equal_ids_of_two_programs_are_told_apart() {
        let (mut questions, now) = (PendingQueries::default(), Instant::now());
        let (first, mut to_first) = ask(&mut questions, 7, now);
        let (second, mut to_second) = ask(&mut questions, 7, now);
        let (first, second) = (first.expect("sent"), second.expect("sent"));
        assert_ne!(first[..2], second[..2]);
        questions.answered(&[second[0], second[1], 2]);
        questions.answered(&[first[0], first[1], 1]);
        assert_eq!(to_first.try_recv().expect("answered"), [0, 7, 1]);
        assert_eq!(to_second.try_recv().expect("answered"), [0, 7, 2]);
        questions.answered(&[first[0], first[1], 1]);
        questions.answered(b"");
    }

    #[test]
    fn too_many_that_wait_are_refused_until_some_are_forgotten() {
        let (mut questions, now) = (PendingQueries::default(), Instant::now());
        let waiting: Vec<_> = (0..OPEN).map(|_| ask(&mut questions, 7, now)).collect();
        assert!(waiting.iter().all(|(sent, _)| sent.is_some()));
        assert!(ask(&mut questions, 7, now).0.is_none());
        assert!(ask(&mut questions, 7, now + FORGOTTEN).0.is_some());
    }
}
