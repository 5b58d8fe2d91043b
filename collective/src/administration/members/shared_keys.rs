//! The keys that all Controllers share: their rotation by order, and how far it has come (T72).

use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::wire::admin::SharedKeys;
use ringwall_raft::State;
use ringwall_raft::state::command::Command;
use ringwall_raft::state::kek::OrderKeyRotation;
use ringwall_raft::state::spa::EndFormerGatewaySpaKey;
use ringwall_raft::state::spa_master::{EndFormerSpaMaster, PeerKeyHolder};

use crate::administration::access::authority::Administrator;
use crate::administration::denial::Denial;
use crate::administration::members::Members;
use crate::administration::repeat::Repeat;
use crate::audit::event::Event;

impl Members {
    /// Orders a further generation of all shared keys. The leader carries it out; `collective status` shows how far it is.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) async fn rotate_keys(&self, who: &Administrator, repeat: &Repeat) -> Result<SharedKeys, Denial> {
        who.authority.require(PrivilegeType::Edit, PrivilegeTarget::Appliance, None)?;
        let outcome = repeat.propose(&self.replica, OrderKeyRotation {}).await?;
        Event::by(who, "key_rotation_ordered").at(outcome.index).emit();
        Ok(standing(&self.replica.state()))
    }

    /// Ends keys for knocking that were derived before the last rotation, without waiting for those who still use them.
    ///
    /// # Errors
    /// `Forbidden`; `Conflict` while members would be shut out.
    pub(crate) async fn end_former_keys(&self, who: &Administrator, repeat: &Repeat) -> Result<SharedKeys, Denial> {
        who.authority.require(PrivilegeType::Edit, PrivilegeTarget::Appliance, None)?;
        let names = standing(&who.state).members_with_former_key;
        if !names.is_empty() {
            let names = names.join(", ");
            return Err(Denial::Conflict(format!(
                "{names} would be shut out: they have not taken over the present key for knocking; bring them back, or remove them first"
            )));
        }
        let outcome = repeat.propose(&self.replica, Command::Group(ends(&who.state))).await?;
        Event::by(who, "former_keys_ended").at(outcome.index).emit();
        Ok(standing(&self.replica.state()))
    }
}

fn ends(state: &State) -> Vec<Command> {
    let master = state.spa_masters().keys.get(1);
    let master = master.map(|former| EndFormerSpaMaster { generation: former.generation }.into());
    let gateways = state.gateways().filter_map(|gateway| {
        let former = state.spa_keys(gateway.appliance).get(1)?;
        Some(EndFormerGatewaySpaKey { gateway: gateway.appliance, generation: former.generation }.into())
    });
    master.into_iter().chain(gateways).collect()
}

/// How the shared keys stand.
pub(super) fn standing(state: &State) -> SharedKeys {
    let kek = state.kek();
    let derived = state.spa_masters().at() >= kek.at;
    let stage = match &kek.next {
        Some(_) => "offered",
        None if kek.has_former() || !derived => "replacing",
        None if kek.wanted.is_some() => "wanted",
        None => "settled",
    };
    let missing = kek.next.iter().flat_map(|next| {
        let holds = |node: &_| next.confirmed.contains(node);
        state.living_controllers().filter(move |one| !holds(&one.node))
    });
    let name = |holder: PeerKeyHolder| match holder {
        PeerKeyHolder::Controller(node) => state.controller(node).map(|one| one.name.clone()),
        PeerKeyHolder::Gateway(gateway) => state.gateway(gateway).map(|one| one.name.clone()),
    };
    let former = state.spa_masters().keys.len() > 1;
    SharedKeys {
        generation: kek.active,
        since: (kek.since.0 > 0).then_some(kek.since),
        stage: stage.to_owned(),
        waiting_for: missing.map(|one| one.name.clone()).collect(),
        former_knock_keys: former || state.gateways().any(|one| state.spa_keys(one.appliance).len() > 1),
        members_with_former_key: state.members_with_former_peer_key().filter(|_| former).filter_map(name).collect(),
    }
}
