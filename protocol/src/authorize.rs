//! The one pure function that decides what a session may reach: used at admission, on every change of claims, by
//! `explain`, and by the tests' oracle.

use serde::{Deserialize, Serialize};

use crate::id::{ConditionId, EntitlementId};

/// How one entitlement of a session stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntitlementState {
    /// Which.
    pub id: EntitlementId,
    /// For people.
    pub name: String,
    /// Its actions are in force.
    pub open: bool,
    /// Conditions that do not hold.
    #[serde(default)]
    pub failed_conditions: Vec<ConditionId>,
}
