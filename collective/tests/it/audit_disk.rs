//! Audit records of Gateways on a disk that is full: they wait at the Gateway, and the Collective goes on.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use ringwall_collective::Config;
use ringwall_protocol::feed::{FromController, FromGateway};
use ringwall_protocol::wire::join::JoinRole;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gateway::{Feed, Gateway};
use crate::harness::{Lab, config, free_port, until};

/// Bytes of the small disk.
const DISK: usize = 1024 * 1024;
/// Bookmarks, one a second: what is not acknowledged by then waits for the next try.
const PATIENCE: u32 = 4;

/// A file system of its own, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Self {
        std::fs::create_dir_all(at).expect("a directory");
        let options = format!("size={DISK}");
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
            .expect("these tests need root");
        Self(at.to_owned())
    }

    fn used(&self) -> u64 {
        let files = std::fs::read_dir(&self.0).expect("listed").flatten();
        files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    }

    /// Gives space free, as an operator does who moves old files away.
    fn clear(&self) {
        for file in std::fs::read_dir(&self.0).expect("listed").flatten() {
            std::fs::remove_file(file.path()).expect("removed");
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

fn with_metrics(data_dir: PathBuf) -> Config {
    Config { listen_metrics: Some(free_port()), ..config(data_dir) }
}

async fn told(lab: &Lab, path: &str) -> String {
    let at = lab.nodes[0].config.listen_metrics.expect("configured");
    let mut stream = TcpStream::connect(at).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

async fn health(lab: &Lab) -> Value {
    serde_json::from_str(&told(lab, "/healthz").await).expect("JSON")
}

/// Sends a batch of 240 KiB; whether it was stored soon.
async fn is_stored(feed: &mut Feed, seq: u64) -> bool {
    let record = json!({ "event_type": "ip_access", "text": "a".repeat(15 * 1024) }).to_string();
    feed.say(&FromGateway::Audit { seq, records: vec![record; 16] }).await;
    acknowledged(feed, seq).await
}

async fn acknowledged(feed: &mut Feed, seq: u64) -> bool {
    let mut bookmarks = 0;
    feed.until(|frame| match frame {
        FromController::AuditStored { seq: of } if of == seq => Some(true),
        FromController::Bookmark { .. } => {
            bookmarks += 1;
            (bookmarks == PATIENCE).then_some(false)
        }
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_audit_does_not_end_raft() {
    let lab = Lab::start_with(with_metrics).await;
    let disk = SmallDisk::mount(&lab.directory.path().join("c1/audit"));
    let site =
        lab.put::<ringwall_protocol::object::Site>(json!({ "id": uuid::Uuid::new_v4(), "name": "office" })).await;
    let gateway = Gateway::join(&lab.seed("gw1", JoinRole::Gateway, Some(site.base.id)).await).await;
    let mut feed = gateway.feed(&lab.process(0).bound.peer.to_string(), None).await;
    feed.view().await;
    assert_eq!(health(&lab).await["auditWritable"], true);
    let mut batch = 1;
    while is_stored(&mut feed, batch).await {
        batch += 1;
        assert!(batch < 10, "the disk has an end");
    }
    assert!(batch > 1, "before it is full records are written");
    assert!(disk.used() <= DISK as u64 * 9 / 10, "a tenth is left free: {} bytes are used", disk.used());
    let health_now = health(&lab).await;
    assert_eq!(health_now["auditWritable"], false, "{health_now}");
    assert_eq!(health_now["ready"], true, "and decisions go on");
    let metrics = told(&lab, "/metrics").await;
    assert!(metrics.lines().any(|line| line == "ringwall_audit_writable 0"), "{metrics}");
    lab.user("bob").await;
    let before = lab.controller(0).replica.state().index();
    lab.block("CN=bob,OU=local").await;
    assert!(lab.controller(0).replica.state().index() > before, "entries are written");
    // What was not written comes again by itself, once there is room.
    disk.clear();
    until("the batch is stored after all", async || health(&lab).await["auditWritable"] == true).await;
    let stored = |frame| matches!(frame, FromController::AuditStored { seq } if seq == batch).then_some(());
    feed.until(stored).await;
}
