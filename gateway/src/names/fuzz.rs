//! DNS messages: the questions of Clients, and the answers of name servers.

use std::net::{IpAddr, Ipv6Addr};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::Name;
use ipnet::IpNet;
use ringwall_protocol::wire::session::MAX_DNS_MESSAGE;

use super::forwarder::read;
use super::guard::AnswerGuard;
use super::upstream::addresses;

/// A question of a Client: what is asked for is what name servers would be asked, and every answer can be sent.
#[must_use]
pub fn dns_question(bytes: &[u8]) -> bool {
    match read(bytes) {
        None => false,
        Some(Err(refused)) => {
            is_an_answer(&refused, bytes);
            false
        }
        Some(Ok(asked)) => {
            assert_eq!(asked.name, asked.name.to_ascii_lowercase());
            if let Ok(name) = Name::from_utf8(format!("{}.", asked.name)) {
                assert_eq!(&name, asked.query.name(), "another name is asked for than {:?}", asked.name);
            }
            is_an_answer(&asked.without(ResponseCode::ServFail), bytes);
            true
        }
    }
}

/// Without records, for the question's sender, of a length that its websocket takes.
fn is_an_answer(answer: &Message, question: &[u8]) {
    assert_eq!(answer.metadata.message_type, MessageType::Response);
    assert_eq!(answer.metadata.id.to_be_bytes(), question[..2]);
    let sent = answer.to_vec().expect("an answer that can be sent");
    assert!(sent.len() <= MAX_DNS_MESSAGE);
    let back = Message::from_vec(&sent).expect("our own answer");
    assert!(back.answers.is_empty() && back.queries == answer.queries);
}

/// A name server's answer: no address that counts leads anywhere but into the Site (T79).
#[must_use]
pub fn dns_answer(bytes: &[u8]) -> bool {
    let Ok(message) = Message::from_vec(bytes) else { return false };
    let (found, _ttl) = addresses(&message.answers);
    let [near, all] = [["10.20.0.0/16", "fd20::/64"], ["0.0.0.0/0", "::/0"]].map(guard);
    for address in &found {
        let counts = all.judge(*address).is_ok();
        if counts {
            is_harmless(*address);
        }
        let inside = near.networks.iter().any(|network| network.contains(address));
        assert_eq!(near.judge(*address).is_ok(), counts && inside);
    }
    !found.is_empty()
}

fn guard(networks: [&str; 2]) -> AnswerGuard {
    let nets = |texts: [&str; 2]| texts.iter().map(|text| text.parse().expect("a network")).collect::<Vec<IpNet>>();
    AnswerGuard {
        networks: nets(networks),
        pools: nets(["10.20.9.0/24", "fd20::9:0/112"]),
        appliances: [IpAddr::from([10, 20, 0, 3])].into(),
        found: [IpAddr::from([10, 20, 0, 2])].into(),
    }
}

/// The IPv4 address that lies in the last bytes of one of IPv6 must not be one that a packet could get to.
fn is_harmless(address: IpAddr) {
    let plain = match address {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(v6) => {
            let start = v6.octets().first_chunk::<12>().copied().unwrap_or_default();
            let disguises: [Ipv6Addr; 3] =
                ["::", "::ffff:0:0", "64:ff9b::"].map(|prefix| prefix.parse().expect("an address"));
            assert!(disguises.iter().all(|prefix| prefix.octets()[..12] != start), "{v6} is one of IPv4");
            assert!(!v6.is_unicast_link_local() && !v6.is_multicast());
            return;
        }
    };
    let [first, second, third, fourth] = plain.octets();
    assert!(!matches!(first, 0 | 127 | 224..) && (first, second) != (169, 254), "{plain}");
    assert!((first, second, third) != (10, 20, 9), "{plain} is a Client");
    assert!((first, second, third) != (10, 20, 0) || !matches!(fourth, 2 | 3), "{plain} is an appliance");
}
