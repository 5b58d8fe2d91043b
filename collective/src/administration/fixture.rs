//! A founded Collective's state for tests of this package, without log or disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use ringwall_protocol::id::{AdminSessionId, CommandId, LogIndex, NodeId, PolicyId, ProviderId, UserId};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::object::{EntityBase, LocalUser, Object};
use ringwall_protocol::policy::{Policy, PolicyKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::state::admin_session::AdminSession;
use ringwall_raft::state::apply;
use ringwall_raft::state::object::PutObject;
use ringwall_raft::{Command, CommandEnvelope, Outcome, State};
use ringwall_trust::secret::SystemRandom;

use super::access::authority::{Administrator, Authority};
use crate::setup::config::Advertise;
use crate::setup::founding::{FoundingOptions, found};
use ringwall_protocol::object::settings::SpaMode;

/// A Monday morning in 2026.
pub(crate) const NOW: UnixMillis = UnixMillis(1_780_300_800_000);

/// A state, and the number of commands that made it.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) state: State,
    applied: u64,
}

impl Fixture {
    /// A new Collective with the administrator `root`.
    pub(crate) fn founded() -> Self {
        static FOUNDED: OnceLock<State> = OnceLock::new();
        let state = FOUNDED.get_or_init(|| {
            let options = FoundingOptions {
                name: "test".to_owned(),
                hostname: "sdp.test:443".to_owned(),
                admin: "root".to_owned(),
                advertise: Advertise {
                    client: vec!["192.0.2.1:443".to_owned()],
                    admin: vec!["192.0.2.1:8443".to_owned()],
                    peer: vec!["192.0.2.1:444".to_owned()],
                },
                keep_root: false,
                spa_mode: SpaMode::UdpTcp,
            };
            let founded = found(&options, "a password", NOW, &SystemRandom).expect("a Collective");
            let mut fixture = Self { state: State::default(), applied: 0 };
            fixture.apply(founded.command);
            fixture.state
        });
        Self { state: state.clone(), applied: 1 }
    }

    /// Applies a command that must be accepted.
    pub(crate) fn apply(&mut self, command: impl Into<Command>) -> Outcome {
        self.applied += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.applied.to_be_bytes());
        let envelope = CommandEnvelope::new(CommandId::from_random(id), NodeId(1), NOW, command.into());
        let transition = apply(&self.state, LogIndex(self.applied), &envelope);
        self.state = transition.state;
        let reply = transition.outcome.reply.accepted().expect("an accepted command");
        Outcome { index: transition.outcome.index, reply }
    }

    /// Writes an object.
    pub(crate) fn put(&mut self, object: impl Into<Object>) {
        self.apply(PutObject::new(object));
    }
}

/// Somebody who holds everything and is no user of the Collective.
pub(crate) fn administrator(fixture: &Fixture) -> Administrator {
    let dn: SessionDn = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=somebody,OU=elsewhere".parse().expect("a DN");
    let address = [192, 0, 2, 1].into();
    let session = AdminSession {
        id: AdminSessionId::from_random([1; 16]),
        user_id: UserId::from_random([1; 16]),
        provider_id: ProviderId::from_random([1; 16]),
        dn: dn.clone(),
        claims: None,
        key: None,
        source: address,
        started_idx: LogIndex(1),
        created_at: NOW,
        last_used_at: NOW,
        expires_at: NOW,
    };
    let state = Arc::new(fixture.state.clone());
    Administrator { session, dn, expires: NOW, address, authority: Authority::everything(), state, now: NOW }
}

/// A policy that gives nothing.
pub(crate) fn policy(id: PolicyId, name: &str, expression: &str) -> Policy {
    Policy {
        base: EntityBase::new(id, name),
        disabled: false,
        expression: expression.to_owned(),
        kind: PolicyKind::Mixed,
        entitlements: Vec::new(),
        entitlement_links: Vec::new(),
        override_site: None,
        override_site_claim: None,
        dns_settings: Vec::new(),
        administrative_roles: Vec::new(),
        stop_message: None,
    }
}

/// A user without attributes.
pub(crate) fn local_user(id: UserId, name: &str) -> LocalUser {
    LocalUser {
        base: EntityBase { tags: BTreeSet::new(), ..EntityBase::new(id, name) },
        first_name: String::new(),
        last_name: String::new(),
        email: String::new(),
        phone: String::new(),
        disabled: false,
        labels: BTreeMap::new(),
    }
}
