//! The answering end of a peer stream.
//!
//! The peer is who the caller's handshake proved it to be: it may speak in Raft for itself alone, and not at all once
//! it was removed.

use std::io;
use std::sync::Arc;

use openraft::alias::SnapshotOf;
use ringwall_protocol::id::NodeId;
use ringwall_protocol::object::appliance::ApplianceState;
use tokio::io::{AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::sync::{Semaphore, mpsc};

use super::PeerStream;
use super::frame::{self, Frame};
use super::message::{Chunk, Request, RequestRefusal, Response, SnapshotHead};
use crate::codec;
use crate::node::Node;
use crate::snapshot::incoming::Incoming;
use crate::types::{Types, Vote};

/// Raft messages of one peer that are worked on at a time: openraft sends a handful. Beyond it, the stream waits.
const MESSAGES: usize = 64;
/// Forwarded commands and reads of one peer that wait for a quorum at a time: beyond it they are refused, so that they
/// never stand in the way of Raft's own messages.
const FORWARDED: usize = 1_024;

/// Why a stream was ended by this side.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The stream broke, or a frame was malformed.
    #[error("peer stream failed")]
    Io(#[from] io::Error),
    /// A message was malformed.
    #[error("peer sent what is no message")]
    Malformed(#[from] codec::CodecError),
    /// The peer spoke for another node.
    #[error("node {peer} spoke for node {claimed}")]
    Impersonation {
        /// Who it is.
        peer: NodeId,
        /// Whom it claimed to be.
        claimed: u64,
    },
    /// The peer is no longer a member.
    #[error("node {0} was removed")]
    Removed(NodeId),
}

/// Serves one stream until it ends.
pub(crate) async fn serve(node: Node, stream: impl PeerStream, peer: NodeId) -> Result<(), PeerError> {
    let (from, to) = tokio::io::split(stream);
    let mut from = BufReader::with_capacity(64 * 1024, from);
    let (answers, queue) = mpsc::channel(MESSAGES);
    let writer = tokio::spawn(write_answers(to, queue));
    let mut session = Session {
        node,
        answers,
        messages: Arc::new(Semaphore::new(MESSAGES)),
        forwarded: Arc::new(Semaphore::new(FORWARDED)),
        transfer: None,
    };
    let result = loop {
        let frame = match frame::read(&mut from).await {
            Ok(Some(frame)) => frame,
            Ok(None) => break Ok(()),
            Err(why) => break Err(PeerError::Io(why)),
        };
        match admit(&session.node, peer, &frame) {
            Ok(request) => session.work(frame.id, request).await,
            Err(why) => break Err(why),
        }
    };
    drop(session);
    if result.is_err() {
        writer.abort();
    }
    let _ = writer.await;
    result
}

/// One served stream.
struct Session {
    node: Node,
    answers: mpsc::Sender<(u64, Response)>,
    messages: Arc<Semaphore>,
    forwarded: Arc<Semaphore>,
    transfer: Option<Transfer>,
}

impl Session {
    /// Begins to work on a request. A snapshot's parts are worked on in order; all else as it comes.
    async fn work(&mut self, id: u64, request: Request) {
        let permit = match request {
            Request::SnapshotBegin(_) | Request::SnapshotChunk(_) | Request::SnapshotEnd => {
                let response = take_snapshot(&self.node, &mut self.transfer, request).await;
                return self.answer(id, response).await;
            }
            Request::Propose(_) | Request::ReadIndex | Request::Reconfigure(_) => {
                match Arc::clone(&self.forwarded).try_acquire_owned() {
                    Ok(permit) => permit,
                    Err(_) => return self.answer(id, Response::Refused(RequestRefusal::Busy)).await,
                }
            }
            _ => Arc::clone(&self.messages).acquire_owned().await.expect("the semaphore is never closed"),
        };
        let (node, answers) = (self.node.clone(), self.answers.clone());
        tokio::spawn(async move {
            let response = answer(&node, request).await;
            let _ = answers.send((id, response)).await;
            drop(permit);
        });
    }

    async fn answer(&self, id: u64, response: Response) {
        // Fails when the writer has ended; the next read then ends the session.
        let _ = self.answers.send((id, response)).await;
    }
}

/// Decodes a request and checks that the peer may make it.
fn admit(node: &Node, peer: NodeId, frame: &Frame) -> Result<Request, PeerError> {
    let state = node.state();
    if state.controller(peer).is_some_and(|record| record.state == ApplianceState::Removed) {
        return Err(PeerError::Removed(peer));
    }
    let request = codec::decode(&frame.body)?;
    let speaker = match &request {
        Request::Append(append) => Some(append.vote),
        Request::Vote(vote) | Request::PreVote(vote) => Some(vote.vote),
        Request::TransferLeader(transfer) => Some(*transfer.from_leader()),
        Request::SnapshotBegin(head) => Some(head.vote),
        _ => None,
    };
    match speaker.map(leader_of) {
        Some(claimed) if claimed != peer.0 => Err(PeerError::Impersonation { peer, claimed }),
        _ => Ok(request),
    }
}

fn leader_of(vote: Vote) -> u64 {
    vote.leader_id.voted_for
}

async fn answer(node: &Node, request: Request) -> Response {
    let raft = node.raft();
    let stopped = Response::Refused(RequestRefusal::Stopped);
    match request {
        Request::Append(append) => raft.append_entries(append).await.map_or(stopped, Response::Append),
        Request::Vote(vote) => raft.vote(vote).await.map_or(stopped, Response::Vote),
        Request::PreVote(vote) => raft.pre_vote(vote).await.map_or(stopped, Response::Vote),
        Request::TransferLeader(transfer) => {
            raft.handle_transfer_leader(transfer).await.map_or(stopped, Response::TransferLeader)
        }
        Request::Propose(envelope) => {
            node.propose_as_leader(envelope).await.map_or_else(Response::Refused, Response::Applied)
        }
        Request::ReadIndex => node.read_index_as_leader().await.map_or_else(Response::Refused, Response::ReadIndex),
        Request::Reconfigure(change) => {
            node.reconfigure_as_leader(change).await.map_or_else(Response::Refused, |()| Response::Reconfigured)
        }
        Request::Clock => Response::Clock(node.clock()),
        Request::SnapshotBegin(_) | Request::SnapshotChunk(_) | Request::SnapshotEnd => {
            Response::Refused(RequestRefusal::Refused("a snapshot's parts come in order".to_owned()))
        }
    }
}

/// A snapshot in the course of being received.
struct Transfer {
    head: SnapshotHead,
    incoming: Incoming,
}

async fn take_snapshot(node: &Node, transfer: &mut Option<Transfer>, request: Request) -> Response {
    let result = match request {
        Request::SnapshotBegin(head) => begin(node, transfer, head),
        Request::SnapshotChunk(chunk) => add(transfer, &chunk),
        _ => return finish(node, transfer.take()).await,
    };
    match result {
        Ok(()) => Response::ChunkTaken,
        Err(why) => {
            *transfer = None;
            Response::Refused(RequestRefusal::Refused(format!("snapshot: {why}")))
        }
    }
}

fn begin(node: &Node, transfer: &mut Option<Transfer>, head: SnapshotHead) -> io::Result<()> {
    let incoming = node.snapshots().receive(head.length)?;
    *transfer = Some(Transfer { head, incoming });
    Ok(())
}

fn add(transfer: &mut Option<Transfer>, chunk: &Chunk) -> io::Result<()> {
    let transfer = transfer.as_mut().ok_or_else(|| io::Error::other("a chunk came before its beginning"))?;
    transfer.incoming.add(chunk.offset, &chunk.bytes.0)
}

async fn finish(node: &Node, transfer: Option<Transfer>) -> Response {
    let refused = |why: String| Response::Refused(RequestRefusal::Refused(why));
    let Some(Transfer { head, incoming }) = transfer else {
        return refused("a snapshot ended before its beginning".to_owned());
    };
    // The checksum is known to be right before openraft decides about the snapshot.
    let checked = tokio::task::spawn_blocking(move || {
        let file = incoming.finish()?;
        let (meta, _) = file.read()?;
        Ok::<_, io::Error>((meta, file))
    });
    let file = match checked.await.map_err(io::Error::other).flatten() {
        Ok((meta, file)) if meta == head.meta => file,
        Ok(_) => return refused("the snapshot is not the one that was announced".to_owned()),
        Err(why) => return refused(why.to_string()),
    };
    let snapshot = SnapshotOf::<Types, _> { meta: head.meta, snapshot: file };
    match node.raft().install_full_snapshot(head.vote, snapshot).await {
        Ok(response) => Response::Snapshot(response),
        Err(why) => {
            tracing::error!(%why, "snapshot was not installed");
            Response::Refused(RequestRefusal::Stopped)
        }
    }
}

async fn write_answers(to: impl AsyncWrite + Unpin, mut answers: mpsc::Receiver<(u64, Response)>) -> io::Result<()> {
    let mut to = BufWriter::with_capacity(64 * 1024, to);
    while let Some((id, response)) = answers.recv().await {
        let body = codec::encode(&response).map_err(io::Error::other)?;
        frame::write(&mut to, &Frame { id, body }).await?;
        if answers.is_empty() {
            to.flush().await?;
        }
    }
    to.flush().await
}
