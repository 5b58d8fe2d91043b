//! How the Collective stands: its members, its clocks, its keys, and what waits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BreakGlassStatus, WaitingController};
use crate::id::{ApplianceId, LogIndex, NodeId};
use crate::object::appliance::ApplianceState;
use crate::object::settings::DualControl;
use crate::time::UnixMillis;

/// `GET /admin/collective/status`: the Controllers and Gateways as this Controller sees them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CollectiveStatus {
    /// Name.
    pub collective: String,
    /// The answering Controller.
    pub me: NodeId,
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// Raft term.
    pub term: u64,
    /// Last index that is applied here.
    pub applied: LogIndex,
    /// What the other Controllers' clocks say about the answering one: `alone`, `agrees`, `off`, `undecided` or
    /// `unconfirmed`.
    pub clock: String,
    /// Nothing is forgotten by the answering Controller's clock.
    pub clock_suspect: bool,
    /// Controllers.
    pub controllers: Vec<ControllerStatus>,
    /// Gateways.
    pub gateways: Vec<GatewayStatus>,
    /// Options in force that are weaker than the default, for people; empty: none.
    #[serde(default)]
    pub weaker: Vec<String>,
    /// Controllers that ask to join.
    #[serde(default)]
    pub waiting: Vec<WaitingController>,
    /// The break-glass code.
    #[serde(default)]
    pub break_glass: Option<BreakGlassStatus>,
    /// Whether what can end the Collective waits for a second administrator.
    #[serde(default)]
    pub dual_control: DualControl,
    /// Orders that wait for a second administrator.
    #[serde(default)]
    pub orders_waiting: u32,
    /// The keys that all Controllers share.
    #[serde(default)]
    pub keys: SharedKeys,
}

/// The keys that all Controllers share, and how far their rotation has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedKeys {
    /// Generation of the key that encrypts stored secrets.
    pub generation: u32,
    /// Since when it is in use; absent for the first.
    pub since: Option<UnixMillis>,
    /// `settled`, or what a rotation is at: `wanted`, `offered` (every Controller is to hold the next key), `replacing` (what
    /// the former key knew is replaced and encrypted anew).
    pub stage: String,
    /// Names of the Controllers that do not hold the next key yet.
    pub waiting_for: Vec<String>,
    /// Keys for knocking that were derived before the last rotation are still accepted.
    pub former_knock_keys: bool,
    /// Names of the members that have not said yet that they know the present keys for knocking.
    pub members_with_former_key: Vec<String>,
}

/// A Controller in [`CollectiveStatus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControllerStatus {
    /// Id of the node.
    pub node: NodeId,
    /// Its appliance.
    pub appliance: ApplianceId,
    /// For people.
    pub name: String,
    /// `voter` or `learner`.
    pub role: String,
    /// State of the appliance.
    pub state: ApplianceState,
    /// Entries that it lacks, as the leader knows; absent elsewhere.
    #[serde(default)]
    pub lag: Option<u64>,
    /// From the answering Controller's clock to this one's, in milliseconds; of the answering one to the median of all.
    /// Absent if it is not known.
    #[serde(default)]
    pub clock_offset_ms: Option<i64>,
}

/// A Gateway in [`CollectiveStatus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// Id of the appliance.
    pub appliance: ApplianceId,
    /// For people.
    pub name: String,
    /// Its Site.
    pub site_name: String,
    /// State of the appliance.
    pub state: ApplianceState,
    /// Its feed hangs on the answering Controller.
    pub connected: bool,
    /// Last index that its kernel enforces.
    #[serde(default)]
    pub enforced: Option<LogIndex>,
    /// Sessions that it reports.
    #[serde(default)]
    pub sessions: Option<u32>,
}
