//! Has the questions of a Collective answered by a process without privileges, in bounded time (T81).

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::object::identity_provider::OnDemandClaim;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use super::inspection::{Answer, FileHashes, MAX_MESSAGE, MAX_QUESTIONS, Request};

/// The subcommand of this program that answers.
pub(crate) const SUBCOMMAND: &str = "inspect-device";
/// How long all answers may take; less than the time between two looks.
const TIME: Duration = Duration::from_secs(5);

/// Asks, and keeps the hashes of files that have not changed.
#[derive(Debug, Default)]
pub(crate) struct Inspector {
    hashes: FileHashes,
    /// A process that was killed and has not ended: it waits for a device. Until it ends nothing more is asked.
    stuck: Option<Child>,
}

impl Inspector {
    /// The answers; `null` to each question if they do not come in time. Blocking.
    pub(super) fn ask(&mut self, mut questions: Vec<OnDemandClaim>) -> ClaimMap {
        questions.truncate(MAX_QUESTIONS);
        if questions.is_empty() {
            return ClaimMap::default();
        }
        let nothing = ClaimMap(questions.iter().map(|one| (one.claim_name.clone(), Value::Null)).collect());
        if self.is_stuck() {
            return nothing;
        }
        let request = Request { questions, hashes: std::mem::take(&mut self.hashes) };
        match self.answered(&request) {
            Ok(answer) => {
                self.hashes = answer.hashes;
                answer.claims
            }
            Err(error) => {
                tracing::warn!(%error, "cannot answer the questions that the identity provider asks about this device");
                nothing
            }
        }
    }

    fn is_stuck(&mut self) -> bool {
        let stuck = self.stuck.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        if !stuck {
            self.stuck = None;
        }
        stuck
    }

    fn answered(&mut self, request: &Request) -> io::Result<Answer> {
        let deadline = Instant::now() + TIME;
        // The file that this process runs, also if a newer one has taken its place on disk.
        let mut child = Command::new("/proc/self/exe")
            .arg(SUBCOMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let answer = converse(&mut child, request, deadline);
        if answer.is_err() {
            child.kill()?;
        }
        match (child.try_wait()?, &answer) {
            (Some(_), _) => {}
            // It said everything and is about to end.
            (None, Ok(_)) => drop(child.wait()?),
            (None, Err(_)) => self.stuck = Some(child),
        }
        answer
    }
}

fn converse(child: &mut Child, request: &Request, deadline: Instant) -> io::Result<Answer> {
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("the process has no pipes"));
    };
    // It reads everything before it answers anything.
    stdin.write_all(&serde_json::to_vec(request)?)?;
    drop(stdin);
    let mut text = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        wait_readable(&stdout, deadline)?;
        match stdout.read(&mut buffer)? {
            0 => break,
            read => text.extend_from_slice(&buffer[..read]),
        }
        if text.len() as u64 > MAX_MESSAGE {
            return Err(io::Error::other("the answer is too long"));
        }
    }
    Ok(serde_json::from_slice(&text)?)
}

fn wait_readable(source: &impl AsFd, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(source, PollFlags::IN)], Some(&left))? {
        0 => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", TIME.as_secs()))),
        _ => Ok(()),
    }
}
