//! Where sessions are found by those outside of the actors who carry news to them: the denial reader, the tunnel plane.
//! Written by the registry only.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use actix::Addr;
use ringwall_protocol::id::SessionId;

use crate::ports::SessionAddresses;
use crate::session::actor::ClientSession;

/// Live sessions by id and by tunnel address.
#[derive(Debug, Default)]
pub struct Directory(RwLock<Entries>);

#[derive(Debug, Default)]
struct Entries {
    sessions: HashMap<SessionId, Addr<ClientSession>>,
    addresses: HashMap<IpAddr, SessionId>,
}

impl Directory {
    /// The session with this id.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<Addr<ClientSession>> {
        self.read(|entries| entries.sessions.get(&id).cloned())
    }

    /// The session with this tunnel address.
    #[must_use]
    pub fn at(&self, address: IpAddr) -> Option<Addr<ClientSession>> {
        self.read(|entries| entries.sessions.get(entries.addresses.get(&address)?).cloned())
    }

    /// The session with this tunnel address, and its id.
    #[must_use]
    pub fn entry_at(&self, address: IpAddr) -> Option<(SessionId, Addr<ClientSession>)> {
        self.read(|entries| {
            let id = entries.addresses.get(&address)?;
            Some((*id, entries.sessions.get(id)?.clone()))
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read(|entries| entries.sessions.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn enter(&self, id: SessionId, addresses: SessionAddresses, actor: Addr<ClientSession>) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.sessions.insert(id, actor);
        entries.addresses.extend(addresses.iter().map(|address| (address, id)));
    }

    pub(super) fn remove(&self, id: SessionId, addresses: SessionAddresses) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.sessions.remove(&id);
        for address in addresses.iter() {
            if entries.addresses.get(&address) == Some(&id) {
                entries.addresses.remove(&address);
            }
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Entries) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
