//! Live sessions of the whole Collective: those that Gateways report here, and what the other Controllers tell of theirs.
//!
//! For people only, like the directory behind it. A Controller that does not answer in time is named, so that nobody
//! takes silence for absence.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::id::{NodeId, SessionId};
use ringwall_protocol::name::DnScope;
use ringwall_raft::State;

use super::sessions::ask;
use super::{Conversation, Peers, other_controllers};

/// Another Controller answers within this, or counts as silent.
const ANSWER: Duration = Duration::from_secs(3);

/// What is known of live sessions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Everywhere {
    /// Each session once, in its newest state.
    pub sessions: Vec<SessionSummary>,
    /// Controllers that did not answer.
    pub silent: Vec<NodeId>,
}

impl Peers {
    /// Sessions that `scope` covers, wherever their feed ends.
    pub async fn sessions_everywhere(&self, state: &State, scope: &DnScope) -> Everywhere {
        let asked = other_controllers(state, self.replica.me())
            .into_iter()
            .map(async |node| (node, self.ask_sessions(node, scope).await));
        let answers = join_all(asked).await;
        let mut newest: BTreeMap<SessionId, SessionSummary> = BTreeMap::new();
        let mut silent = Vec::new();
        let mut take = |session: SessionSummary| {
            let known = newest.get(&session.session).is_some_and(|known| known.generation >= session.generation);
            if !known {
                newest.insert(session.session, session);
            }
        };
        self.sessions.covered_by(scope).into_iter().for_each(&mut take);
        for (node, told) in answers {
            match told {
                Some(sessions) => sessions.into_iter().filter(|session| scope.matches(&session.dn)).for_each(&mut take),
                None => silent.push(node),
            }
        }
        Everywhere { sessions: newest.into_values().collect(), silent }
    }

    async fn ask_sessions(&self, node: NodeId, scope: &DnScope) -> Option<Vec<SessionSummary>> {
        let asking = async { ask(self.connector.connect(node, Conversation::Sessions).await?, scope).await };
        match tokio::time::timeout(ANSWER, asking).await {
            Ok(Ok(sessions)) => Some(sessions),
            Ok(Err(error)) => {
                tracing::debug!(%node, %error, "controller did not tell its sessions");
                None
            }
            Err(_) => None,
        }
    }
}
