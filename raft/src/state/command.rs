//! Every change that can be proposed, in one enum. Each variant's struct stands beside its `apply` in the file of its
//! aggregate.

use ringwall_protocol::id::{CommandId, NodeId};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::address::{AllocateAddresses, ReleaseAddress, SweepAddresses};
use super::admin_session::{EndAdminSession, EndAdminSessionsOf, OpenAdminSession, TouchAdminSession};
use super::approval::{ApproveOrder, AskApproval, WithdrawOrder};
use super::binding::{BindSessions, EndSessions};
use super::blocklist::{BlockUser, UnblockUser};
use super::break_glass::{SetBreakGlass, UseBreakGlass};
use super::candidate::{AdmitController, AskAdmission, TurnAway};
use super::collective::{BeginIncarnation, ChangeSettings, Founding, RaiseFeatureLevel};
use super::device::{RegisterDevice, RemoveDevice, RevokeDeviceSpaKey, TouchDevices};
use super::gateway::{AdmitGateway, ChangeGatewayState, EndFormerGatewayKey, NoteInterfaces, RenewGatewayKey};
use super::join_token::{CreateJoinToken, RevokeJoinToken};
use super::kek::{ConfirmKek, OfferKek, OrderKeyRotation, Reseal, RetireKek};
use super::local_password::SetLocalPassword;
use super::lockout::{ClearLockout, LockOut};
use super::member::{ChangeControllerState, EndFormerControllerKey, SetIssuers, UpdateController};
use super::object::batch::{ApplyObjects, NoteApplied, RevokeOwed};
use super::object::{DeleteObject, PutObject};
use super::profile_export::NoteProfileExport;
use super::rejection::Rejection;
use super::reply::Reply;
use super::revocation::{AdvanceRevocation, ForgetRevocation, Reevaluate, Revoke};
use super::secret::{PutSecret, RemoveSecret};
use super::security_key::{AddSecurityKey, PermitSecurityKey, RemoveSecurityKeys, UseSecurityKey};
use super::signing_key::{AddKey, RemoveKey, RetireKey};
use super::spa::{EndFormerGatewaySpaKey, RotateGatewaySpaKey};
use super::spa_master::{EndFormerSpaMaster, NotePeerKey, RotateSpaMaster};
use super::step::Step;
use super::totp::{EnrolTotp, PermitTotp, PutTotpSeed, RemoveTotpSeed, UseTotpStep};
use super::transaction::{CountAttempt, DropTransactions, FinishTransaction, OpenTransaction, UpdateTransaction};

/// Most commands in one group: an import of a whole configuration.
pub(crate) const MAX_GROUP: usize = 10_000;

/// Tells two requests under one command id apart: the first 16 bytes of a hash of what the caller asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestDigest(pub [u8; 16]);

/// A command with everything that makes it repeatable: who proposed it, when, under which id.
///
/// The same id proposed again changes nothing and gives the first answer, for 24 h. All times in the state are
/// `proposed_at`s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandEnvelope {
    /// Chosen at random, or derived from the caller's idempotency key. Retries carry the same one.
    pub command_id: CommandId,
    /// The Controller that took the request.
    pub proposed_by: NodeId,
    /// Its clock.
    pub proposed_at: UnixMillis,
    /// If given, a repetition with another digest is refused instead of answered.
    #[serde(default)]
    pub request: Option<RequestDigest>,
    /// The change.
    pub command: Command,
}

impl CommandEnvelope {
    /// An envelope without request digest.
    #[must_use]
    pub const fn new(command_id: CommandId, by: NodeId, at: UnixMillis, command: Command) -> Self {
        Self { command_id, proposed_by: by, proposed_at: at, request: None, command }
    }
}

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A change to the state.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub enum Command {
            /// Several changes, all or none. Answer: [`Reply::Group`], or [`Rejection::InGroup`].
            Group(Vec<Self>),
            $($(#[$doc])* $name(Box<$name>),)*
        }

        impl Command {
            /// Its name, for logs.
            #[must_use]
            pub(crate) const fn name(&self) -> &'static str {
                match self {
                    Self::Group(_) => "Group",
                    $(Self::$name(_) => stringify!($name),)*
                }
            }

            pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
                match self {
                    Self::Group(parts) => apply_group(parts, step),
                    $(Self::$name(command) => command.apply(step),)*
                }
            }
        }

        $(impl From<$name> for Command {
            fn from(command: $name) -> Self {
                Self::$name(Box::new(command))
            }
        })*
    };
}

commands! {
    /// The first entry. Answer: `Done`.
    Founding,
    /// Answer: `Changed`.
    ChangeSettings,
    /// Answer: `Done`.
    BeginIncarnation,
    /// Answer: `Done`.
    RaiseFeatureLevel,
    /// Answer: `Done`.
    AskAdmission,
    /// Answer: `Controller`; its `node` is the index of this entry.
    AdmitController,
    /// Answer: `Done`.
    TurnAway,
    /// Answer: `Controller`.
    UpdateController,
    /// Answer: `Controller`.
    SetIssuers,
    /// Answer: `Controller`.
    ChangeControllerState,
    /// Answer: `Gateway`.
    AdmitGateway,
    /// Answer: `Gateway`.
    RenewGatewayKey,
    /// Answer: `Gateway`.
    NoteInterfaces,
    /// Answer: `Revoked` if it removes the Gateway, otherwise `Gateway`.
    ChangeGatewayState,
    /// Answer: `Done`.
    CreateJoinToken,
    /// Answer: `Done`.
    RevokeJoinToken,
    /// Answer: `Key`.
    AddKey,
    /// Answer: `Key`.
    RetireKey,
    /// Answer: `Key`.
    RemoveKey,
    /// Answer: `Changed`.
    PutObject,
    /// Answer: `Changed`.
    DeleteObject,
    /// Answer: `Changed`.
    SetLocalPassword,
    /// Answer: `Device`.
    RegisterDevice,
    /// Answer: `Done`.
    TouchDevices,
    /// Answer: `Revoked`.
    RemoveDevice,
    /// Answer: `Addresses`.
    AllocateAddresses,
    /// Answer: `Done`.
    ReleaseAddress,
    /// Answer: `Done`.
    SweepAddresses,
    /// Answer: `Revoked`.
    Revoke,
    /// Answer: `Done`.
    AdvanceRevocation,
    /// Answer: `Done`.
    ForgetRevocation,
    /// Answer: `Done`.
    Reevaluate,
    /// Answer: `Revoked`.
    BlockUser,
    /// Answer: `Done`.
    UnblockUser,
    /// Answer: `Transaction`.
    OpenTransaction,
    /// Answer: `Transaction`, its attempts counted.
    CountAttempt,
    /// Answer: `Transaction`.
    UpdateTransaction,
    /// Answer: `Transaction`.
    FinishTransaction,
    /// Answer: `Done`.
    DropTransactions,
    /// Answer: `Done`.
    PutTotpSeed,
    /// Answer: `Done`.
    PermitTotp,
    /// Answer: `Done`, or refused with `CodeUsed`.
    EnrolTotp,
    /// Answer: `Done`, or refused with `CodeUsed`.
    UseTotpStep,
    /// Answer: `Done`.
    RemoveTotpSeed,
    /// Answer: `Done`.
    LockOut,
    /// Answer: `Done`.
    ClearLockout,
    /// Answer: `Done`.
    OpenAdminSession,
    /// Answer: `Done`.
    TouchAdminSession,
    /// Answer: `Done`.
    EndAdminSession,
    /// Answer: `Done`.
    EndAdminSessionsOf,
    /// Answer: `Done`.
    PutSecret,
    /// Answer: `Done`.
    RemoveSecret,
    /// Answer: `Done`.
    RotateGatewaySpaKey,
    /// Answer: `Bound`.
    BindSessions,
    /// Answer: `Done`.
    EndSessions,
    /// Answer: `Done`.
    RevokeDeviceSpaKey,
    /// Answer: `Done`.
    NoteProfileExport,
    /// Answer: `Done`.
    PermitSecurityKey,
    /// Answer: `Done`, or refused with `CodeUsed`.
    AddSecurityKey,
    /// Answer: `Done`, or refused with `CodeUsed`.
    UseSecurityKey,
    /// Answer: `Done`.
    RemoveSecurityKeys,
    /// Answer: `Done`.
    SetBreakGlass,
    /// Answer: `Done`.
    UseBreakGlass,
    /// Answer: `Controller`.
    EndFormerControllerKey,
    /// Answer: `Gateway`.
    EndFormerGatewayKey,
    /// Answer: `Done`.
    AskApproval,
    /// Answer: `Done`; the parts after it in its group are the order.
    ApproveOrder,
    /// Answer: `Done`.
    WithdrawOrder,
    /// Answer: `Done`.
    OrderKeyRotation,
    /// Answer: `Done`.
    OfferKek,
    /// Answer: `Done`.
    ConfirmKek,
    /// Answer: `Done`.
    Reseal,
    /// Answer: `Done`.
    RetireKek,
    /// Answer: `Done`.
    RotateSpaMaster,
    /// Answer: `Done`.
    NotePeerKey,
    /// Answer: `Done`.
    EndFormerSpaMaster,
    /// Answer: `Done`.
    EndFormerGatewaySpaKey,
    /// Answer: `Changed`, or refused with [`Rejection::InGroup`].
    ApplyObjects,
    /// Answer: `Done`.
    NoteApplied,
    /// Answer: `Revoked`, or `Done` if it was made before.
    RevokeOwed,
}

fn apply_group(parts: &[Command], step: &mut Step<'_>) -> Result<Reply, Rejection> {
    if parts.len() > MAX_GROUP {
        return Err(Rejection::too_many("commands in a group", MAX_GROUP));
    }
    let mut replies = Vec::with_capacity(parts.len());
    for (at, part) in (0u32..).zip(parts) {
        if matches!(part, Command::Group(_) | Command::Founding(_)) {
            return Err(Rejection::Nested);
        }
        let reply = part.apply(step).map_err(|why| Rejection::InGroup { at, why: Box::new(why) })?;
        replies.push(reply);
    }
    Ok(Reply::Group(replies))
}

impl std::fmt::Display for CommandEnvelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} by {}", self.command.name(), self.command_id, self.proposed_by)
    }
}
