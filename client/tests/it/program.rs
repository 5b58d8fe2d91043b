//! The real program, as a user runs it.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use ringwall_client::local::{Answer, Event, LocalClient, Request};
use ringwall_client::status::Question;
use ringwall_client::status::{SiteState, SiteStatus, Status};
use tokio::io::AsyncWriteExt;
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::world::{PASSWORD, World};

/// Everything that is waited for happens within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// One user's machine.
pub(crate) struct Machine {
    directory: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Machine {
    /// With the world's profile.
    pub(crate) async fn new(world: &World) -> Self {
        Self::with_link(&world.link()).await
    }

    /// With the profile of this link.
    pub(crate) async fn with_link(link: &str) -> Self {
        let this = Self { directory: tempfile::tempdir().expect("a directory"), daemon: None };
        let added = this.run(&["profile", "add", "-"], link).await;
        assert!(added.status.success(), "{}", text(&added.stderr));
        std::fs::write(this.password_file(), format!("{PASSWORD}\n")).expect("written");
        this
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub(crate) fn password_file(&self) -> PathBuf {
        self.directory.path().join("password")
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let mut stdin = child.stdin.take().expect("piped");
        // A command that reads nothing may be gone already.
        let _unread = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        timeout(PATIENCE, child.wait_with_output()).await.expect("ends in time").expect("an output")
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub(crate) async fn must(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input).await;
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a command that must fail with this exit code, and gives what it said.
    pub(crate) async fn fails(&self, code: i32, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input).await;
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains("next step: "), "{arguments:?}: {said}");
        said
    }

    pub(crate) async fn sign_in(&self) {
        let password = self.password_file();
        let password = password.to_str().expect("text");
        self.must(&["sign-in", "--key-type", "p256", "--username", "alice", "--password-file", password], "").await;
    }

    /// `ringwall up` in the foreground, and more arguments.
    pub(crate) fn up(&mut self, more: &[&str]) {
        let arguments: Vec<&str> = ["--log", "info,ringwall_client=debug", "up"].iter().chain(more).copied().collect();
        let mut command = self.command(&arguments);
        self.daemon = Some(command.kill_on_drop(true).spawn().expect("started"));
    }

    /// A connection to the daemon, once it listens.
    pub(crate) async fn local(&self) -> LocalClient {
        let socket = self.state().join("ringwall.sock");
        let connect = async {
            loop {
                match LocalClient::connect(&socket).await {
                    Ok(client) => return client,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        timeout(PATIENCE, connect).await.expect("the daemon listens in time")
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let mut last = None;
        let wait = async {
            let mut local = self.local().await;
            local.watch().await.expect("watched");
            loop {
                if let Event::Status { status } = local.next_event().await.expect("the daemon lives") {
                    if wanted(&status) {
                        return *status;
                    }
                    last = Some(status);
                }
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(status) => status,
            Err(_) => panic!("not in time: {what}; the last status was {last:#?}"),
        }
    }

    /// Waits until both Sites are connected.
    pub(crate) async fn connected(&self) -> Status {
        let both = |status: &Status| {
            status.sites.len() == 2 && status.sites.iter().all(|site| site.state == SiteState::Connected)
        };
        self.until("both Sites are connected", both).await
    }

    /// Waits for an open question.
    pub(crate) async fn question(&self) -> Question {
        let status = self.until("a question is open", |status| !status.prompts.is_empty()).await;
        status.prompts[0].clone()
    }

    /// Asks the daemon.
    pub(crate) async fn ask(&self, request: Request) -> Answer {
        self.local().await.ask(&request).await.expect("answered")
    }

    /// The daemon's exit code, once it ends.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let daemon = self.daemon.as_mut().expect("it was started");
        timeout(PATIENCE, daemon.wait()).await.expect("ends in time").expect("waited").code()
    }

    /// Kills the daemon as nobody should.
    pub(crate) async fn kill(&mut self) {
        self.daemon.take().expect("it was started").kill().await.expect("killed");
    }

    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.ended().await
    }

    /// Sends the daemon a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.daemon.as_ref().and_then(Child::id).expect("it runs");
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("signalled");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringwall"));
        command.arg("--state-dir").arg(self.state()).args(arguments).stdin(Stdio::piped());
        command
    }
}

/// One Site of a status.
pub(crate) fn site<'a>(status: &'a Status, name: &str) -> &'a SiteStatus {
    status.sites.iter().find(|site| site.name == name).expect("a Site of this name")
}

/// Whether a UDP packet to this address comes back, within a second.
pub(crate) async fn echoes(address: &str) -> bool {
    let socket = UdpSocket::bind("0.0.0.0:0").await.expect("bound");
    if socket.connect(address).await.is_err() || socket.send(b"hello").await.is_err() {
        return false;
    }
    let mut answer = [0; 16];
    matches!(timeout(Duration::from_secs(1), socket.recv(&mut answer)).await, Ok(Ok(5))) && answer.starts_with(b"hello")
}

/// Waits until packets to this address come back.
pub(crate) async fn until_it_echoes(address: &str) {
    let wait = async { while !echoes(address).await {} };
    timeout(PATIENCE, wait).await.expect("packets come back in time");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads files and says who it is; run by root, it must not read what only root may.
#[test]
fn questions_about_this_device_are_answered_without_privileges() {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("set");
    let file = |name: &str, mode: u32| {
        let path = directory.path().join(name);
        std::fs::write(&path, name).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("set");
        path.to_str().expect("text").to_owned()
    };
    let question = |name: &str, path: String| {
        serde_json::json!({"command": "fileSha512", "claimName": name, "platform": "all",
            "parameters": {"path": path, "name": null}})
    };
    let request = serde_json::json!({
        "questions": [question("secret", file("secret", 0o600)), question("public", file("public", 0o644))],
        "hashes": {},
    });
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_ringwall"))
        .arg("inspect-device")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    child.stdin.take().expect("piped").write_all(request.to_string().as_bytes()).expect("taken");
    let output = child.wait_with_output().expect("an output");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(output.status.success() && answer["claims"]["public"].is_string(), "{answer}");
    assert!(rustix::process::geteuid().is_root(), "as root the question makes sense");
    assert_eq!(answer["claims"]["secret"], serde_json::Value::Null, "{answer}");
}
