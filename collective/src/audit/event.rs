//! The audit trail of administration: who changed what, who signed in.
//!
//! Events go to the log under the target `audit`, each with its fields as one JSON object. Passwords, tokens, codes and
//! seeds never stand in one.

use std::net::IpAddr;

use ringwall_protocol::id::{CollectiveId, LogIndex};
use ringwall_protocol::name::SessionDn;
use ringwall_raft::State;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock;

/// Version of the envelope.
const VERSION: u16 = 1;

/// Who is signed in and does what an event tells of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Actor<'a> {
    /// The Collective, once it is known.
    pub(crate) collective: Option<CollectiveId>,
    /// User and device.
    pub(crate) dn: &'a SessionDn,
    /// Where the order came from.
    pub(crate) address: IpAddr,
}

/// One event in the making.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    fields: Map<String, Value>,
}

impl Event {
    /// An event of a kind, by somebody at some address.
    #[must_use]
    pub(crate) fn new(
        kind: &'static str,
        collective: Option<CollectiveId>,
        who: Option<&SessionDn>,
        from: IpAddr,
    ) -> Self {
        let mut fields = Map::new();
        fields.insert("version".to_owned(), VERSION.into());
        fields.insert("event_type".to_owned(), kind.into());
        fields.insert("id".to_owned(), Uuid::new_v4().to_string().into());
        fields.insert("timestamp".to_owned(), clock::now().to_string().into());
        fields.insert("collective_id".to_owned(), collective.map(|id| id.to_string()).into());
        fields.insert("client_ip".to_owned(), from.to_canonical().to_string().into());
        if let Some(dn) = who {
            fields.insert("distinguished_name".to_owned(), dn.to_string().into());
            fields.insert("distinguished_name_device_id".to_owned(), dn.device.simple().into());
            fields.insert("distinguished_name_user".to_owned(), dn.user.user.as_str().into());
            fields.insert("distinguished_name_ou".to_owned(), dn.user.provider.as_str().into());
        }
        Self { fields }
    }

    /// An event by somebody who is signed in.
    #[must_use]
    pub(crate) fn by<'a>(who: impl Into<Actor<'a>>, kind: &'static str) -> Self {
        let Actor { collective, dn, address } = who.into();
        Self::new(kind, collective, Some(dn), address)
    }

    /// With another field.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// With the index of the log entry that did it.
    #[must_use]
    pub(crate) fn at(self, index: LogIndex) -> Self {
        self.with("index", index.0)
    }

    /// Writes it.
    pub(crate) fn emit(self) {
        let kind = self.fields.get("event_type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let event = Value::Object(self.fields);
        tracing::info!(target: "audit", %event, "{kind}");
    }
}

/// The Collective's id, once it is known.
#[must_use]
pub(crate) fn collective(state: &State) -> Option<CollectiveId> {
    state.collective().map(|collective| collective.id)
}

/// Event of a change to an object.
pub(crate) fn changed<'a>(
    who: impl Into<Actor<'a>>,
    kind: &'static str,
    what: &str,
    id: &str,
    name: &str,
    index: LogIndex,
) {
    Event::by(who, kind).with("entity_type", what).with("entity_id", id).with("entity_name", name).at(index).emit();
}

/// Event of a profile whose link was given out, in one of its forms.
pub(crate) fn profile_exported<'a>(who: impl Into<Actor<'a>>, name: &str, form: &'static str) {
    let event = Event::by(who, "secret_read").with("entity_type", "client-profiles");
    event.with("entity_name", json!(name)).with("form", form).emit();
}

/// Event of a secret that was shown (T40).
pub(crate) fn secret_read<'a>(who: impl Into<Actor<'a>>, what: &str, name: &str) {
    Event::by(who, "secret_read").with("entity_type", what).with("entity_name", json!(name)).emit();
}
