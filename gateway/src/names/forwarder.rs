//! Answers a Client's DNS questions (RFC 1035) about names of its own entitlements, and no others.
//!
//! A question and its answer are one binary message each on the session's websocket. The addresses of an answer are in
//! the session's rules, acknowledged by the kernel, before the answer leaves; what no name may stand for is left out of
//! it. Aliases (CNAME) are followed by the name servers: what counts is the name that was asked for.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};
use ringwall_protocol::entitlement::Host;
use ringwall_protocol::id::SessionId;
use ringwall_protocol::rules::compile::MAX_ADDRESSES_PER_NAME;
use ringwall_protocol::wire::session::MAX_DNS_MESSAGE;

use super::table::FLOOR;
use super::upstream::{Answer, address, addresses};
use super::{Names, Shared};

/// The kernel has this long to take an answer's addresses.
const INSTALL_TIME: Duration = Duration::from_secs(2);

impl Names {
    /// The answer to a question of this session; `None` if it cannot even be refused: it has no header, or is no
    /// question at all.
    pub(crate) async fn answer(&self, session: SessionId, question: &[u8]) -> Option<Vec<u8>> {
        let asked = match read(question)? {
            Ok(asked) => asked,
            Err(refused) => return refused.to_vec().ok(),
        };
        let shared = std::sync::Arc::clone(&self.0);
        // Sockets to name servers belong to one runtime, whoever asks.
        let answered = self.runtime().spawn(async move { shared.reply(session, asked).await });
        answered.await.ok()?
    }
}

/// A question that makes sense.
pub(super) struct Asked {
    message: Message,
    pub(super) query: Query,
    /// In lower case, without the dot at its end.
    pub(super) name: String,
}

impl Asked {
    /// An answer without records.
    pub(super) fn without(&self, code: ResponseCode) -> Message {
        empty(&self.message, code)
    }
}

/// The question of a message, or why it is refused.
pub(super) fn read(bytes: &[u8]) -> Option<Result<Asked, Message>> {
    let message = Message::from_vec(bytes).ok()?;
    if message.metadata.message_type != MessageType::Query {
        return None;
    }
    if message.metadata.op_code != OpCode::Query {
        return Some(Err(empty(&message, ResponseCode::NotImp)));
    }
    let [query] = message.queries.as_slice() else { return Some(Err(empty(&message, ResponseCode::FormErr))) };
    // Zone transfers and "anything" tell more than a name.
    let whole = matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR | RecordType::ANY);
    if query.query_class() != DNSClass::IN || whole {
        return Some(Err(empty(&message, ResponseCode::Refused)));
    }
    // One dot: another before it belongs to a label.
    let name = query.name().to_ascii();
    let name = name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase();
    let query = query.clone();
    Some(Ok(Asked { message, query, name }))
}

fn empty(to: &Message, code: ResponseCode) -> Message {
    let mut answer = Message::response(to.metadata.id, to.metadata.op_code);
    answer.metadata.response_code = code;
    answer.metadata.recursion_desired = to.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_queries(to.queries.iter().take(1).cloned());
    answer
}

impl Shared {
    async fn reply(&self, session: SessionId, asked: Asked) -> Option<Vec<u8>> {
        let answer = self.look_up(session, &asked).await;
        metrics::counter!("ringwall_dns_answers_total", "code" => answer.metadata.response_code.to_str()).increment(1);
        let bytes = answer.to_vec().ok()?;
        if bytes.len() <= MAX_DNS_MESSAGE {
            return Some(bytes);
        }
        // No way is wider than this one: the question cannot be answered.
        asked.without(ResponseCode::ServFail).to_vec().ok()
    }

    async fn look_up(&self, session: SessionId, asked: &Asked) -> Message {
        let hosts = self.table().covering(session, &asked.name);
        if hosts.is_empty() {
            return asked.without(ResponseCode::Refused);
        }
        let found = match self.upstreams().records(&asked.name, asked.query.query_type()).await {
            Ok(Answer::Records(found)) => found,
            Ok(Answer::NoRecords) => return asked.without(ResponseCode::NoError),
            Ok(Answer::NoName) => return asked.without(ResponseCode::NXDomain),
            Err(error) => {
                tracing::debug!(name = asked.name, %error, "DNS query failed");
                return asked.without(ResponseCode::ServFail);
            }
        };
        let (all, ttl) = addresses(&found);
        let (mut allowed, refused) = self.sort_out(&all);
        allowed.truncate(MAX_ADDRESSES_PER_NAME);
        if let Some((address, reason)) = refused {
            tracing::debug!(name = asked.name, %address, reason = reason.as_str(), "address left out of a DNS answer");
            self.tell_refused(session, &asked.name, (address, reason));
        }
        if allowed.is_empty() && !all.is_empty() {
            return asked.without(ResponseCode::Refused);
        }
        if !allowed.is_empty() && !self.open(session, &asked.name, hosts, (&allowed, ttl)).await {
            return asked.without(ResponseCode::ServFail);
        }
        let mut answer = asked.without(ResponseCode::NoError);
        // Only what the session may now reach.
        answer.add_answers(found.into_iter().filter(|it| address(it).is_none_or(|one| allowed.contains(&one))));
        answer
    }

    /// Puts what the session is about to be told into its rules; whether the kernel has it.
    async fn open(&self, session: SessionId, name: &str, hosts: Vec<Host>, found: (&[IpAddr], Duration)) -> bool {
        let below = hosts.iter().any(|host| matches!(host, Host::Domain(_)));
        let asked_again = if below { self.table().told(session, name, found, Instant::now()) } else { vec![] };
        self.changed.notify_one();
        let (addresses, ttl) = found;
        for host in hosts {
            let told = match host {
                // Asked for again, for this session alone.
                Host::Domain(_) => asked_again.clone(),
                // Asked for again for everybody: the answer counts for its own time.
                _ => addresses.iter().map(|address| (*address, ttl.max(FLOOR))).collect(),
            };
            let told = self.enforcer.told(session, host, told);
            if !matches!(tokio::time::timeout(INSTALL_TIME, told).await, Ok(Ok(true))) {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Name;

    use super::*;

    fn question(name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
        message
    }

    fn read_back(message: &Message) -> Option<Result<Asked, Message>> {
        read(&message.to_vec().expect("small"))
    }

    #[test]
    fn a_question_is_read_in_lower_case_and_without_its_dot() {
        let asked = read_back(&question("WWW.Corp.Example.", RecordType::A)).expect("a question").expect("a good one");
        assert_eq!(asked.name, "www.corp.example");
    }

    #[test]
    fn an_answer_is_never_answered() {
        let mut answer = question("www.corp.example.", RecordType::A);
        answer.metadata.message_type = MessageType::Response;
        assert!(read_back(&answer).is_none());
        for junk in [&b""[..], &[0; 11], &[0xff; 40]] {
            assert!(read(junk).is_none_or(|read| read.is_err()));
        }
    }

    #[test]
    fn zone_transfers_and_several_questions_are_refused() {
        let code = |message: &Message| {
            read_back(message).expect("a question").err().map(|answer| answer.metadata.response_code)
        };
        assert_eq!(code(&question("corp.example.", RecordType::AXFR)), Some(ResponseCode::Refused));
        assert_eq!(code(&question("corp.example.", RecordType::ANY)), Some(ResponseCode::Refused));
        let mut two = question("a.corp.example.", RecordType::A);
        two.add_query(two.queries[0].clone());
        assert_eq!(code(&two), Some(ResponseCode::FormErr));
        let mut update = question("corp.example.", RecordType::A);
        update.metadata.op_code = OpCode::Update;
        assert_eq!(code(&update), Some(ResponseCode::NotImp));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
            let _ = read(&bytes);
        }
    }
}
