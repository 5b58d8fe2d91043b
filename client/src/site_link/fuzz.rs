//! Questions and answers on a session's websocket: an answer reaches the one who asked, with the id that he chose.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::DnsQuery;
use super::pending_queries::PendingQueries;
use crate::fuzz::choices::Choices;

/// Who asked: what was asked, what was sent, and where the answer goes.
struct Asked {
    message: Vec<u8>,
    sent: Vec<u8>,
    answer: oneshot::Receiver<Vec<u8>>,
    at: Instant,
}

/// Programs ask, answers come, time passes, programs give up: in any order.
#[must_use]
pub fn pending_queries(bytes: &[u8]) -> bool {
    let (mut choices, mut pending, mut now) = (Choices::new(bytes), PendingQueries::default(), Instant::now());
    let mut open: VecDeque<Asked> = VecDeque::new();
    let mut answered = 0;
    while !choices.is_over() {
        match choices.below(4) {
            0 => {
                let (answer, receiver) = oneshot::channel();
                let message = choices.piece().to_vec();
                let Some(sent) = pending.asked(DnsQuery { message: message.clone(), answer }, now) else { continue };
                assert!(sent.len() == message.len() && sent[2..] == message[2..], "the question was changed");
                let live = |one: &&Asked| now < one.at + Duration::from_secs(10);
                let taken = open.iter().filter(live).any(|one| one.sent[..2] == sent[..2]);
                assert!(!taken, "two questions have one id");
                open.push_back(Asked { message, sent, answer: receiver, at: now });
            }
            1 => {
                let Some(mut asked) = open.remove(usize::from(choices.byte()) % open.len().max(1)) else { continue };
                let reply = [&asked.sent[..2], choices.piece()].concat();
                pending.answered(&reply);
                if let Ok(got) = asked.answer.try_recv() {
                    assert!(got[..2] == asked.message[..2] && got[2..] == reply[2..], "another answer");
                    answered += 1;
                }
            }
            2 => {
                pending.answered(choices.piece());
                open.retain_mut(|asked| asked.answer.try_recv().is_err());
            }
            _ => {
                now += Duration::from_millis(u64::from(choices.byte()) * 100);
                drop(open.pop_front());
            }
        }
    }
    answered > 0
}
