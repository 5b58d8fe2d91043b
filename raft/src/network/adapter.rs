//! openraft's side of the network: its calls become requests on links.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::alias::SnapshotOf;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::network::v2::RaftNetworkV2;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::{EmptyNode, OptionalSend, RaftNetworkFactory};
use ringwall_protocol::id::NodeId;
use tokio::time::Instant;

use super::Peers;
use super::link::{Link, LinkError};
use super::message::{Blob, Chunk, Request, Response, SnapshotHead};
use crate::snapshot::file::SnapshotFile;
use crate::types::{Types, Vote};

/// Bytes of a snapshot in one frame.
const CHUNK: usize = 2 * 1024 * 1024;
/// For one chunk to be sent, stored and confirmed.
const CHUNK_TIME: Duration = Duration::from_secs(10);
/// An append waits for the follower's disk: openraft would give it one heartbeat interval, which a slow disk exceeds.
const APPEND_TIME: Duration = Duration::from_secs(2);

/// Makes the clients that openraft wants.
#[derive(Clone)]
pub(crate) struct Network(pub(crate) Arc<Peers>);

/// Its client for one peer.
pub(crate) struct Client {
    link: Arc<Link>,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, _: &EmptyNode) -> Client {
        Client { link: self.0.link(NodeId(target)) }
    }

    async fn new_snapshot_client(&mut self, target: u64, _: &EmptyNode) -> Client {
        Client { link: self.0.separate_link(NodeId(target)) }
    }
}

impl Client {
    async fn ask(&self, request: &Request, time: Duration) -> Result<Response, RPCError<Types>> {
        self.link.ask(request, Instant::now() + time).await.map_err(|why| match why {
            LinkError::Unreachable { .. } => RPCError::Unreachable(Unreachable::from_string(why)),
            LinkError::NoAnswer { .. } => RPCError::Network(NetworkError::from_string(why)),
        })
    }

    async fn send(
        &self,
        vote: Vote,
        snapshot: SnapshotOf<Types, SnapshotFile>,
        end: Duration,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let file = snapshot.snapshot;
        let head = SnapshotHead { vote, meta: snapshot.meta, length: file.length() };
        self.taken(Request::SnapshotBegin(head)).await?;
        let mut offset = 0;
        while offset < file.length() {
            let source = file.clone();
            let read = tokio::task::spawn_blocking(move || source.chunk(offset, CHUNK)).await;
            let bytes = read.map_err(std::io::Error::other).flatten().map_err(local)?;
            let next = offset + bytes.len() as u64;
            self.taken(Request::SnapshotChunk(Chunk { offset, bytes: Blob(bytes) })).await?;
            offset = next;
        }
        match self.ask(&Request::SnapshotEnd, end).await? {
            Response::Snapshot(response) => Ok(response),
            other => Err(unexpected(&other).into()),
        }
    }

    async fn taken(&self, request: Request) -> Result<(), StreamingError<Types>> {
        match self.ask(&request, CHUNK_TIME).await? {
            Response::ChunkTaken => Ok(()),
            other => Err(unexpected(&other).into()),
        }
    }
}

fn unexpected(response: &Response) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::from_string(format!("unexpected answer {response:?}")))
}

/// A snapshot that cannot be read here is tried again later; a newer one may be there by then.
fn local(why: std::io::Error) -> StreamingError<Types> {
    StreamingError::Unreachable(Unreachable::from_string(format!("snapshot cannot be read: {why}")))
}

impl RaftNetworkV2<Types> for Client {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let heartbeat = request.entries.is_empty();
        let time = if heartbeat { option.hard_ttl().max(Duration::from_millis(200)) } else { APPEND_TIME };
        match self.ask(&Request::Append(request), time).await? {
            Response::Append(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.ask(&Request::Vote(request), option.hard_ttl()).await? {
            Response::Vote(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.ask(&Request::PreVote(request), option.hard_ttl()).await? {
            Response::Vote(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<Types, SnapshotFile>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            response = self.send(vote, snapshot, option.hard_ttl()) => response,
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        match self.ask(&Request::TransferLeader(request), option.hard_ttl()).await? {
            Response::TransferLeader(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }
}
