//! What connections are judged by, kept in step with the replicated state: members, keys of knocks, whether ports are dark,
//! and the addresses of the other Controllers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringwall_raft::State;
use ringwall_trust::spa::Receiver;
use ringwall_trust::tls::{CurrentMembers, Members};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use crate::clock;
use crate::controller::Controller;
use crate::listener::dark::Dark;
use crate::listener::gates::Gates;
use crate::listener::spa::{self, Places};
use crate::peers::connector::Connector;
use crate::setup::data_dir::NodeIdentity;

/// What time alone changes is looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Keeps what connections are judged by in step with the state.
pub(super) struct Follower {
    pub(super) identity: NodeIdentity,
    pub(super) controller: Arc<Controller>,
    pub(super) members: Arc<CurrentMembers>,
    pub(super) roots: Vec<CertificateDer<'static>>,
    pub(super) gates: Arc<Gates>,
    pub(super) receiver: Arc<Mutex<Receiver>>,
    pub(super) dark: Arc<Dark>,
    pub(super) places: Places,
    pub(super) connector: Connector,
}

impl Follower {
    /// Before the ports listen: the guard that the state wants, as far as the state is known here.
    pub(super) async fn prepare(&self) {
        let state = self.controller.replica.state();
        if state.collective().is_some() && spa::can_judge(&state, &self.controller.vault) {
            self.follow_mode(&state).await;
        } else {
            self.dark.begin();
        }
    }

    async fn follow_mode(&self, state: &State) {
        self.gates.set_policy(self.dark.follow(state.spa_mode_of(self.identity.appliance)).await);
    }

    /// Follows until told to stop.
    pub(super) async fn follow(self, mut stop: watch::Receiver<bool>) {
        let mut applied = self.controller.replica.watch_applied();
        let mut followed = spa::Followed::new(self.places.clone());
        let mut last: Option<Arc<State>> = None;
        loop {
            applied.mark_unchanged();
            let state = self.controller.replica.state();
            self.update(&state, last.as_deref(), &mut followed).await;
            last = Some(state);
            tokio::select! {
                // Former keys end without an entry.
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                changed = applied.changed() => if changed.is_err() { return },
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn update(&self, state: &State, last: Option<&State>, followed: &mut spa::Followed) {
        if state.collective().is_none() {
            return;
        }
        let same = last.is_some_and(|last| {
            last.collective().is_some()
                && last.controllers().eq(state.controllers())
                && last.gateways().eq(state.gateways())
        });
        if !same {
            self.follow_members(state);
        }
        self.controller.vault.seal_under(state.kek().active);
        // A state that is replayed from before a rotation says nothing of who may knock: the guard stays as it is.
        if !spa::can_judge(state, &self.controller.vault) {
            return;
        }
        let locked_out = {
            let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
            followed.follow(&mut receiver, state, &self.controller.vault, clock::now())
        };
        if locked_out {
            self.dark.lock_out();
        }
        self.follow_mode(state).await;
        self.connector.follow(state, &self.controller.vault);
    }

    fn follow_members(&self, state: &State) {
        let id = self.identity.collective_id;
        match Members::from_records(id, &self.roots, state.controllers(), state.gateways()) {
            Ok(members) => self.members.replace(members),
            Err(error) => tracing::error!(%error, "membership in the state is damaged; the former one stays"),
        }
    }
}
