//! Requests and answers over a real socket, and what is refused there.

use std::os::unix::fs::PermissionsExt;

use ringwall_protocol::id::PromptId;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{broadcast, mpsc};

use super::server::LocalServer;
use super::*;

struct Fixture {
    directory: tempfile::TempDir,
    calls: mpsc::Receiver<Call>,
    events: broadcast::Sender<Event>,
    _server: LocalServer,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().expect("a directory");
    let (sender, calls) = mpsc::channel(4);
    let (events, _) = broadcast::channel(4);
    let server = serve(&directory.path().join("s"), sender, events.clone()).expect("served");
    Fixture { directory, calls, events, _server: server }
}

impl Fixture {
    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("s")
    }
}

#[tokio::test]
async fn the_socket_is_its_owners_alone() {
    let fixture = fixture();
    let mode = std::fs::metadata(fixture.path()).expect("exists").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[tokio::test]
async fn an_answer_comes_back_to_whoever_asked() {
    let mut fixture = fixture();
    let mut client = LocalClient::connect(&fixture.path()).await.expect("connected");
    let id = PromptId::from_random([1; 16]);
    let request = Request::Answer { prompt_id: id, text: "123456".into() };
    let daemon = async {
        let call = fixture.calls.recv().await.expect("a call");
        assert!(call.request == Request::Answer { prompt_id: id, text: "123456".into() });
        call.reply.send(Answer::Done {}).expect("waited for");
    };
    let (answer, ()) = tokio::join!(client.ask(&request), daemon);
    assert_eq!(answer.expect("answered"), Answer::Done {});
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_connection_goes_on() {
    let mut fixture = fixture();
    let mut stream = BufReader::new(UnixStream::connect(fixture.path()).await.expect("connected"));
    for bad in ["{}", "{\"request\":\"exec\",\"program\":\"/bin/sh\"}", "[", "{\"request\":\"status\",\"x\":1}"] {
        stream.write_all(format!("{bad}\n").as_bytes()).await.expect("written");
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("an answer");
        assert!(line.contains("\"answer\":\"refused\""), "{bad}: {line}");
    }
    stream.write_all(b"{\"request\":\"down\"}\n").await.expect("written");
    let call = fixture.calls.recv().await.expect("still served");
    assert!(call.request == Request::Down {});
}

#[tokio::test]
async fn a_line_that_is_too_long_ends_the_connection() {
    let mut fixture = fixture();
    let mut stream = UnixStream::connect(fixture.path()).await.expect("connected");
    let long = vec![b'x'; MAX_REQUEST_LINE + 1];
    stream.write_all(&long).await.expect("written");
    let mut rest = Vec::new();
    let ended = stream.read_to_end(&mut rest).await;
    assert!(ended.is_err() || rest.is_empty());
    assert!(fixture.calls.try_recv().is_err(), "nothing reached the daemon");
}

#[tokio::test]
async fn watchers_are_told_what_happens() {
    let mut fixture = fixture();
    let mut client = LocalClient::connect(&fixture.path()).await.expect("connected");
    client.watch().await.expect("asked");
    // The daemon is asked for the status first; by then the watcher is subscribed.
    drop(fixture.calls.recv().await.expect("asked for the status").reply);
    let id = PromptId::from_random([1; 16]);
    fixture.events.send(Event::PromptClosed { prompt_id: id }).expect("a watcher");
    assert_eq!(client.next_event().await.expect("told"), Event::PromptClosed { prompt_id: id });
}

#[tokio::test]
async fn without_a_daemon_that_is_what_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let refused = LocalClient::connect(&directory.path().join("s")).await.map(|_| ());
    assert!(matches!(refused, Err(LocalError::NotRunning)));
}
