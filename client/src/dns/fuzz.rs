//! DNS messages of programs on this machine and of name servers, what a Site's token says of names, and the system's own
//! file of name servers.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hickory_proto::op::{Message, ResponseCode};
use ringwall_protocol::id::SiteId;
use ringwall_protocol::token::EntitlementToken;

use super::plan::{Plan, QueryTarget};
use super::resolv_conf::SystemResolvers;
use super::stub::{Over, QueryTargets, answer, room, truncated};
use super::upstream::answers;
use crate::fuzz::choices::Choices;

/// A question, and what comes back for it.
#[must_use]
pub fn dns_message(bytes: &[u8]) -> bool {
    let mut choices = Choices::new(bytes);
    let (question, reply) = (choices.piece(), choices.rest());
    if answers(reply, question) {
        assert_eq!(reply[..2], question[..2]);
        if let Some(short) = truncated(reply) {
            let read = Message::from_vec(&short).expect("our own message");
            assert!(read.metadata.truncation && short.len() <= reply.len().max(512), "longer than what was cut");
        }
    }
    // Nobody is asked, so the answer is there at once: a failure, and to the same question.
    let nowhere = QueryTargets::default();
    let answering = pin!(answer(question, &nowhere, Over::Udp));
    let Poll::Ready(answered) = answering.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("somebody was asked")
    };
    let Some(answered) = answered else { return false };
    assert!(answers(&answered, question), "an answer to another question");
    let read = Message::from_vec(&answered).expect("our own message");
    assert!(matches!(read.metadata.response_code, ResponseCode::ServFail | ResponseCode::FormErr));
    let asked = Message::from_vec(question).expect("was read before");
    assert!(room(&asked) >= 512 && read.answers.is_empty() && read.queries.len() <= 1);
    true
}

/// A name, a byte 0, and the body of an entitlement token: what it draws to a Site, and what the system's resolver is told.
#[must_use]
pub fn dns_plan(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (name, token) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(token) = serde_json::from_slice::<EntitlementToken>(token) else { return false };
    let site = SiteId::from_random([1; 16]);
    let plan = Plan::of("controller.example", [(site, &token)]);
    for domain in plan.matched() {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        assert!(
            domain.bytes().all(plain) && !domain.starts_with('-') && domain.len() <= 253,
            "{domain:?} is no domain"
        );
    }
    assert_eq!(
        plan.target_of("controller.example"),
        QueryTarget::SystemResolvers,
        "the Collective is not found any more"
    );
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let drawn = plan.target_of(&name) != QueryTarget::SystemResolvers;
    assert!(!drawn || !plan.is_empty());
    drawn
}

/// `/etc/resolv.conf`: what is taken over from it stands in ours on lines of its own and is no server.
#[must_use]
pub fn resolv_conf(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let former = SystemResolvers::parse(text);
    let ours = former.lines.join("\n");
    let again = SystemResolvers::parse(&ours);
    assert!(again.servers.is_empty(), "a server got past the stub: {ours:?}");
    assert_eq!(again.lines, former.lines);
    !former.servers.is_empty()
}
