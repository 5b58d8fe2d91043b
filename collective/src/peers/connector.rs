//! How Raft reaches other Controllers: over the peer port, by membership.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use ringwall_protocol::id::NodeId;
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_raft::{Connecting, PeerConnector, PeerStream, State};
use ringwall_trust::secret::SecretKey;
use ringwall_trust::spa::{Approach, dial_peer};
use ringwall_trust::tls::{Alpn, CurrentMembers, ExpectedController, Membership, Presented, Tls};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Conversation;
use crate::clock;
use crate::replica::vault::Vault;

/// Dials Controllers by node id. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Shared>);

struct Shared {
    own: Arc<Presented>,
    members: Arc<CurrentMembers>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    peers: BTreeMap<NodeId, (Vec<String>, SpaMode)>,
    key: Option<SecretKey>,
}

impl Connector {
    /// A connector that shows `own` and begins with the members known from joining.
    #[must_use]
    pub(crate) fn new(own: &Arc<Presented>, members: &Arc<CurrentMembers>, first: &[ControllerRecord]) -> Self {
        // Without a key nobody is knocked on; who was admitted just now is called on by the others.
        let known = Known { peers: peers(first.iter(), |_| SpaMode::UdpTcp), key: None };
        let (own, members) = (Arc::clone(own), Arc::clone(members));
        Self(Arc::new(Shared { own, members, known: Mutex::new(known) }))
    }

    /// Takes over addresses, modes and the knock key from the state.
    pub(crate) fn follow(&self, state: &State, vault: &Vault) {
        let key = crate::listener::spa::controllers_key(state, vault);
        let peers = peers(state.controllers(), |record| state.spa_mode_of(record.appliance));
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Known { peers, key };
    }

    /// A proved connection to a Controller, for one conversation.
    ///
    /// # Errors
    /// The last address's error.
    pub(crate) async fn connect(&self, node: NodeId, conversation: Conversation) -> io::Result<TlsStream<TcpStream>> {
        let (addresses, approach) = {
            let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
            let (addresses, mode) = known.peers.get(&node).cloned().unwrap_or_default();
            let key = known.key.clone().filter(|_| mode != SpaMode::Open);
            (addresses, key.map(|key| Approach { packet: mode == SpaMode::UdpTcp, ..Approach::peer(key) }))
        };
        let membership = Arc::clone(&self.0.members) as Arc<dyn Membership>;
        let config = Tls::new().peer_client(membership, ExpectedController::Node(node), &self.0.own);
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("no address of controller {node} is known"));
        for address in addresses {
            match dial_peer(&address, Alpn::Raft, &config, approach.as_ref(), clock::now).await {
                Ok(mut stream) => {
                    stream.write_u8(conversation as u8).await?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl PeerConnector for Connector {
    fn connect(&self, peer: NodeId) -> Connecting<'_> {
        Box::pin(async move {
            let stream = self.connect(peer, Conversation::Raft).await?;
            Ok(Box::new(stream) as Box<dyn PeerStream>)
        })
    }
}

fn peers<'a>(
    records: impl Iterator<Item = &'a ControllerRecord>,
    mode: impl Fn(&ControllerRecord) -> SpaMode,
) -> BTreeMap<NodeId, (Vec<String>, SpaMode)> {
    records
        .filter(|record| record.state != ApplianceState::Removed)
        .map(|record| (record.node, (record.peer_addresses.clone(), mode(record))))
        .collect()
}
