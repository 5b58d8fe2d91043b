//! What the leader has to propose because time passed. The state only says what is due; who asks has the clock.

use ringwall_protocol::membership::KeyState;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::time::UnixMillis;

use super::State;
use super::address::SweepAddresses;
use super::admin_session::EndAdminSession;
use super::approval::WithdrawOrder;
use super::binding::EndSessions;
use super::candidate::TurnAway;
use super::command::Command;
use super::device::RemoveDevice;
use super::lockout::{ClearLockout, FORGIVEN_AFTER};
use super::member::ChangeControllerState;
use super::revocation::{AdvanceRevocation, ForgetRevocation};
use super::signing_key::{RETIRED_KEPT, RemoveKey};
use super::spa_master::EndFormerSpaMaster;
use super::transaction::DropTransactions;

/// Most chores of one kind at a time: the next look finds the rest.
const AT_ONCE: usize = 64;

impl State {
    /// Revocations that batches owe, and those that must move on at `now`. Look once a second: the promise of `renewNow` stands on it.
    #[must_use]
    pub fn revocations_due(&self, now: UnixMillis) -> Vec<Command> {
        let moved = self.revocations.kept().filter_map(|kept| {
            let (told, effective) = kept.due(now);
            let one = &kept.revocation;
            (told > one.told || effective > one.effective)
                .then(|| AdvanceRevocation { revocation: one.index, told, effective }.into())
        });
        self.revocations_owed().map(Command::from).chain(moved).take(AT_ONCE).collect()
    }

    /// Everything else that has become due at `now`: once a minute is often enough. Each is proposed by itself.
    #[must_use]
    pub fn chores_due(&self, now: UnixMillis) -> Vec<Command> {
        let mut due: Vec<Command> = Vec::new();
        let over = self.revocations.kept().filter(|kept| kept.is_over(now)).take(AT_ONCE);
        due.extend(over.map(|kept| ForgetRevocation { revocation: kept.revocation.index }.into()));
        let expired = self.transactions.values().filter(|one| one.expires_at <= now);
        let transactions: Vec<_> = expired.map(|one| one.id).take(AT_ONCE).collect();
        if !transactions.is_empty() {
            due.push(DropTransactions { transactions }.into());
        }
        let sessions = self.admin_sessions().filter(|one| !one.is_live(self.settings(), now)).take(AT_ONCE);
        due.extend(sessions.map(|one| EndAdminSession { session: one.id }.into()));
        due.extend(self.unseen_devices(now).take(AT_ONCE).map(|one| {
            let reason = "the device was not seen for long".to_owned();
            RemoveDevice { user_id: one.user_id, device_id: one.device_id, reason }.into()
        }));
        let forgiven = self.lockouts().filter(|(_, one)| one.until.plus(FORGIVEN_AFTER) < now).take(AT_ONCE);
        due.extend(forgiven.map(|(subject, _)| ClearLockout { subject: subject.clone() }.into()));
        let ended: Vec<_> = self.outlived_bindings(now).take(AT_ONCE).collect();
        if !ended.is_empty() {
            due.push(EndSessions { ended }.into());
        }
        let gone = self.retiring.iter().filter(|(node, _)| self.retirement_ends(**node).is_some_and(|end| end <= now));
        due.extend(
            gone.take(AT_ONCE)
                .map(|(node, _)| ChangeControllerState { node: *node, state: ApplianceState::Removed }.into()),
        );
        let retired = self
            .signing_keys
            .values()
            .filter(|kept| kept.record.state == KeyState::Retired && kept.since.plus(RETIRED_KEPT) < now);
        due.extend(retired.take(AT_ONCE).map(|kept| RemoveKey { kid: kept.record.kid.clone() }.into()));
        due.extend(self.outlived_spa_keys(now).take(AT_ONCE).map(Into::into));
        due.extend(self.former_spa_master_due(now).map(|generation| EndFormerSpaMaster { generation }.into()));
        due.extend(self.ended_orders(now).into_iter().take(AT_ONCE).map(|order| WithdrawOrder { order }.into()));
        let forgotten = self.forgotten_candidates(now).take(AT_ONCE);
        due.extend(forgotten.map(|one| TurnAway { appliance: one.appliance }.into()));
        if self.unused_addresses(now).next().is_some() || self.free_again(now).next().is_some() {
            due.push(SweepAddresses {}.into());
        }
        due
    }
}
