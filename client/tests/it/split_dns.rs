//! Split DNS: which question goes where, and that the user's resolver file survives.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::namespace::in_own_network;
use crate::program::Machine;
use crate::world::World;

/// Where the stub listens.
const STUB: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 157), 53);
/// Whom the machine asked before.
const FORMER: &str = "127.0.0.53";
const USERS: &str = "# the user's own\nsearch home.example\nnameserver 127.0.0.53\n";

/// The name server of before: every name is at 192.0.2.1. Remembers what it was asked for.
async fn former() -> Arc<Mutex<Vec<String>>> {
    name_server(FORMER, Some(Ipv4Addr::new(192, 0, 2, 1))).await
}

/// A name server at which every name is here, or that refuses every question. Remembers what it was asked for.
pub(crate) async fn name_server(at: &'static str, here: Option<Ipv4Addr>) -> Arc<Mutex<Vec<String>>> {
    let asked = Arc::new(Mutex::new(vec![]));
    let socket = UdpSocket::bind((at, 53)).await.expect("the namespace is empty");
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.expect("a socket");
            let question = Message::from_vec(&buffer[..length]).expect("a question");
            let query = question.queries[0].clone();
            noted.lock().expect("no panic").push(query.name().to_ascii());
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            match here {
                Some(here) => {
                    let data = RData::A(hickory_proto::rr::rdata::A(here));
                    answer.add_answer(hickory_proto::rr::Record::from_rdata(query.name().clone(), 60, data));
                }
                None => answer.metadata.response_code = ResponseCode::Refused,
            }
            answer.add_query(query);
            socket.send_to(&answer.to_vec().expect("small"), from).await.expect("sent");
        }
    });
    asked
}

fn question(name: &str) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), RecordType::A));
    message
}

pub(crate) async fn ask_udp(name: &str) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let question = question(name);
    socket.send_to(&question.to_vec().expect("small"), STUB).await.expect("sent");
    let mut buffer = [0; 4_096];
    let read = timeout(Duration::from_secs(20), socket.recv(&mut buffer)).await.expect("in time").expect("an answer");
    let answer = Message::from_vec(&buffer[..read]).expect("a message");
    assert_eq!(answer.metadata.id, question.metadata.id);
    answer
}

async fn ask_tcp(name: &str) -> Message {
    let mut stream = TcpStream::connect(STUB).await.expect("it listens");
    let bytes = question(name).to_vec().expect("small");
    stream.write_u16(u16::try_from(bytes.len()).expect("small")).await.expect("sent");
    stream.write_all(&bytes).await.expect("sent");
    let mut answer = vec![0; stream.read_u16().await.expect("an answer").into()];
    stream.read_exact(&mut answer).await.expect("an answer");
    Message::from_vec(&answer).expect("a message")
}

pub(crate) fn address(answer: &Message) -> Option<String> {
    answer.answers.first().map(|record| record.data.to_string())
}

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) machine: Machine,
    pub(crate) file: PathBuf,
    _home: tempfile::TempDir,
}

/// A Client with names at both Sites.
async fn stage(more: &[&str]) -> Stage {
    stage_with(USERS, more).await
}

/// The same with this resolver file.
pub(crate) async fn stage_with(users: &str, more: &[&str]) -> Stage {
    let world = World::start().await;
    world.facts.change(|changing| {
        changing.hosts =
            [("office", vec!["dns://wiki.example", "*.corp.example"]), ("lab", vec!["*.lab.example"])].into();
    });
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("resolv.conf");
    std::fs::write(&file, users).expect("written");
    let mut machine = Machine::new(&world).await;
    machine.sign_in().await;
    let arguments: Vec<&str> = ["--resolv-conf", file.to_str().expect("text")].iter().chain(more).copied().collect();
    machine.up(&arguments);
    machine.connected().await;
    Stage { world, machine, file, _home: home }
}

impl Stage {
    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.file).expect("there is always a file")
    }
}

#[test]
fn only_matching_questions_go_to_the_sites_and_the_others_as_before() {
    in_own_network(async {
        let asked = former().await;
        let mut stage = stage(&[]).await;
        for (name, wanted) in [
            ("wiki.example.", "10.1.0.77"),
            ("WWW.Corp.Example.", "10.1.0.77"),
            ("a.b.corp.example.", "10.1.0.77"),
            ("host.lab.example.", "10.2.0.77"),
            ("x.wiki.example.", "192.0.2.1"),
            ("corp.example.", "192.0.2.1"),
            ("example.org.", "192.0.2.1"),
        ] {
            assert_eq!(address(&ask_udp(name).await).as_deref(), Some(wanted), "{name}");
        }
        let before = asked.lock().expect("no panic").clone();
        assert_eq!(before, ["x.wiki.example.", "corp.example.", "example.org."], "nothing of the sites leaks");

        let long = ask_udp("long.corp.example.").await;
        assert!(long.metadata.truncation && long.answers.is_empty(), "asked for over TCP then");
        assert_eq!(ask_tcp("long.corp.example.").await.answers.len(), 60);

        let silent = ask_udp("no.corp.example.").await;
        assert_eq!(silent.metadata.response_code, ResponseCode::ServFail, "and not asked elsewhere");
        assert_eq!(asked.lock().expect("no panic").len(), 3);

        let ours = stage.text();
        assert!(ours.contains("nameserver 127.0.0.157") && ours.contains("search home.example"), "{ours}");
        assert!(!ours.contains(FORMER), "{ours}");
        stage.machine.must(&["down"], "").await;
        assert_eq!(stage.machine.ended().await, Some(0));
        assert_eq!(stage.text(), USERS);
        drop(stage.world);
    });
}

#[test]
fn a_killed_clients_resolver_file_is_back_with_the_next_start() {
    in_own_network(async {
        let _asked = former().await;
        let mut stage = stage(&[]).await;
        stage.machine.kill().await;
        assert!(stage.text().contains("nameserver 127.0.0.157"));
        stage.world.facts.change(|changing| changing.hosts.clear());
        let file = stage.file.to_str().expect("text").to_owned();
        stage.machine.up(&["--resolv-conf", &file, "--no-dns"]);
        stage.machine.connected().await;
        assert!(stage.text().contains("nameserver 127.0.0.157"), "--no-dns leaves the file alone");
        stage.machine.must(&["down"], "").await;
        stage.machine.ended().await;
        stage.machine.up(&["--resolv-conf", &file]);
        stage.machine.connected().await;
        assert!(stage.machine.terminate().await.is_some());
        assert_eq!(stage.text(), USERS);
    });
}

#[test]
fn a_killed_clients_resolver_file_is_back_with_every_command_that_needs_names_or_ends_it() {
    in_own_network(async {
        let _asked = former().await;
        let mut stage = stage(&[]).await;
        let file = stage.file.to_str().expect("text").to_owned();
        let other = Machine::new(&stage.world).await;
        // Not signed in, so it ends; but not before it looked at the file.
        other.fails(3, &["up", "--resolv-conf", &file], "").await;
        assert!(stage.text().contains("nameserver 127.0.0.157"), "the daemon that runs needs its file");

        stage.machine.kill().await;
        assert!(stage.text().contains("nameserver 127.0.0.157"));
        stage.machine.must(&["down"], "").await;
        assert_eq!(stage.text(), USERS, "down");
        stage.machine.fails(6, &["down"], "").await;

        stage.machine.up(&["--resolv-conf", &file]);
        stage.machine.connected().await;
        stage.machine.kill().await;
        stage.machine.sign_in().await;
        assert_eq!(stage.text(), USERS, "sign-in");

        stage.machine.up(&["--resolv-conf", &file]);
        stage.machine.connected().await;
        stage.machine.kill().await;
        stage.machine.must(&["sign-out"], "").await;
        assert_eq!(stage.text(), USERS, "sign-out");
    });
}

#[test]
fn without_dns_nothing_of_the_system_is_touched() {
    in_own_network(async {
        let stage = stage(&["--no-dns"]).await;
        assert_eq!(stage.text(), USERS);
        assert!(UdpSocket::bind(STUB).await.is_ok(), "nobody listens");
        let status = stage.machine.until("the trouble is told", |status| !status.troubles.is_empty()).await;
        assert!(status.troubles.iter().any(|trouble| trouble.subject == "dns"), "{:?}", status.troubles);
    });
}
