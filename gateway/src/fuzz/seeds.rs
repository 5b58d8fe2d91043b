//! The first files of the corpora: messages, packets and files as others send them, and sequences of installs and cuts.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::PacketBuilder;
use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use ringwall_protocol::id::{ApplianceId, CollectiveId, Incarnation, IncarnationId, SiteId, Thumbprint};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::join::{JoinRole, SEED_VERSION, Seed, SeedController};

use super::replay::Seeds;

type Files = Vec<(&'static str, Vec<u8>)>;

pub(super) fn seeds() -> Vec<Seeds> {
    vec![
        ("dns_answer", vec![("addresses", bytes(&answer()))]),
        ("dns_question", questions()),
        ("ledger", sequences()),
        ("logged_packet", packets()),
        ("seed_file", vec![("seed", seed())]),
    ]
}

/// As an administrator exports it; its secrets are made up.
fn seed() -> Vec<u8> {
    let controller = SeedController {
        addresses: vec!["192.0.2.1:9443".to_owned(), "[2001:db8::1]:9443".to_owned()],
        spki_sha256: vec![Thumbprint([7; 32])],
    };
    let seed = Seed {
        version: SEED_VERSION,
        collective_id: CollectiveId::from_random([1; 16]),
        incarnation: Incarnation { epoch: 1, id: IncarnationId::from_random([4; 16]) },
        role: JoinRole::Gateway,
        appliance_id: ApplianceId::from_random([2; 16]),
        name: "gw-1".to_owned(),
        site_id: Some(SiteId::from_random([3; 16])),
        root_certificate: "AAAA".to_owned(),
        controllers: vec![controller],
        spa_key: Some("BQUF".to_owned()),
        join_token: "BgYG".to_owned(),
        not_after: UnixMillis(1_900_000_000_000),
    };
    serde_json::to_vec(&seed).expect("a seed")
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().expect("a short message")
}

fn question(text: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = 0x1234;
    message.add_query(Query::query(name(text), kind));
    message
}

fn answer() -> Message {
    let mut answer = Message::response(0x1234, OpCode::Query);
    answer.add_query(Query::query(name("www.corp.example."), RecordType::A));
    let v4 = |last| RData::A(A(Ipv4Addr::new(10, 20, 0, last)));
    let v6 = |text: &str| RData::AAAA(AAAA(text.parse::<Ipv6Addr>().expect("an address")));
    let host = name("host.corp.example.");
    answer.add_answer(Record::from_rdata(name("www.corp.example."), 60, RData::CNAME(CNAME(host.clone()))));
    for data in [v4(1), v4(2), v4(3), v6("fd20::1"), v6("::ffff:10.20.0.1"), v6("64:ff9b::a14:1")] {
        answer.add_answer(Record::from_rdata(host.clone(), 60, data));
    }
    answer
}

fn questions() -> Files {
    let mut two = question("a.corp.example.", RecordType::A);
    two.add_query(two.queries[0].clone());
    // A label that ends in a dot, and one of bytes that are no text.
    let strange = |label: &[u8]| {
        let length = u8::try_from(label.len()).expect("a short label");
        let header: &[u8] = &[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [header, &[3], b"www", &[length], label, &[0, 0, 1, 0, 1]].concat()
    };
    vec![
        ("ordinary", bytes(&question("WWW.Corp.Example.", RecordType::AAAA))),
        ("root", bytes(&question(".", RecordType::NS))),
        ("everything", bytes(&question("corp.example.", RecordType::ANY))),
        ("two", bytes(&two)),
        ("dot", strange(b"example.")),
        ("bytes", strange(&[0xc3, 0xa4, 0, 0xff, b'\\', b'*', b' '])),
        ("digits", strange(b"xn--\x07123")),
    ]
}

fn sequences() -> Files {
    let install = |session, place, generation, checked: u8| vec![0, session, place, generation, checked];
    let cut = |session, index: u8| vec![2, session, index];
    let remove = |session| vec![3, session];
    let clean = |place: u8| [[4, 0, place | 32], [4, 0, place | 16]].concat();
    let pass = |seconds: u8| vec![5, 0, seconds];
    vec![
        (
            "cut-and-next",
            [install(0, 1, 1, 9), cut(0, 50), remove(0), install(1, 1, 1, 60), clean(1), install(1, 1, 1, 60)].concat(),
        ),
        (
            "late",
            [cut(2, 50), install(2, 1, 9, 200), pass(74), install(2, 1, 9, 200), pass(1), install(2, 1, 9, 1)].concat(),
        ),
        (
            "cut-again",
            [
                install(0, 1, 1, 9),
                cut(0, 50),
                pass(40),
                cut(0, 80),
                remove(0),
                clean(1),
                pass(40),
                install(1, 1, 1, 60),
            ]
            .concat(),
        ),
        (
            "moves",
            [install(0, 1, 1, 1), install(0, 2, 2, 1), install(1, 1, 1, 1), clean(1), install(1, 1, 1, 1)].concat(),
        ),
        ("families", [install(0, 17, 1, 1), install(1, 33, 1, 1), install(2, 1, 1, 1), install(0, 17, 1, 1)].concat()),
    ]
}

fn packets() -> Files {
    let v4 = || PacketBuilder::ipv4([10, 9, 0, 1], [10, 0, 0, 5], 64);
    let v6 = || PacketBuilder::ipv6([0xfd; 16], [0xfe; 16], 64);
    let (mut tcp, mut udp, mut echo, mut echo6) = (vec![], vec![], vec![], vec![]);
    v4().tcp(40_000, 443, 1, 1024).syn().write(&mut tcp, &[]).expect("a packet");
    v6().udp(40_000, 53).write(&mut udp, &[7; 40]).expect("a packet");
    v4().icmpv4_echo_request(1, 1).write(&mut echo, &[0; 200]).expect("a packet");
    v6().icmpv6_echo_request(1, 1).write(&mut echo6, &[0; 20]).expect("a packet");
    echo.truncate(100);
    let mut fragment = udp.clone();
    (fragment[6], fragment[40]) = (44, 17);
    let mut later = tcp.clone();
    later[7] = 9;
    vec![("tcp", tcp), ("udp6", udp), ("echo", echo), ("echo6", echo6), ("fragment6", fragment), ("fragment", later)]
}
