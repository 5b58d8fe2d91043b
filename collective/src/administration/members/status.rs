//! How the Collective stands, as this Controller sees it: Controllers, Gateways, Sites.

use ringwall_protocol::id::ApplianceId;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::object::{Appliance, Site};
use ringwall_protocol::wire::admin::{BreakGlassStatus, CollectiveStatus, ControllerStatus, GatewayStatus, List};
use ringwall_raft::{State, Status};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::administration::access::authority::Administrator;
use crate::administration::denial::Denial;
use crate::administration::members::Members;
use crate::administration::objects::listing::{Habits, Wanted};
use crate::issuing::check;

/// An appliance with its status.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplianceStatus {
    #[serde(flatten)]
    appliance: Appliance,
    /// `Gateway` or `Controller`.
    functions: [&'static str; 1],
    /// `healthy`, `warning`, `offline`, or `n/a` before it has joined.
    status: &'static str,
    /// Of a Gateway.
    number_of_sessions: u32,
    /// The version of this software.
    appliance_version: &'static str,
}

/// A Site with its status.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SiteStatus {
    #[serde(flatten)]
    site: Site,
    /// `healthy`, `warning`, `unhealthy`, or `noActiveGateways`.
    status: &'static str,
}

impl Members {
    /// Controllers with their lag, Gateways with what they enforce.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn collective_status(&self, who: &Administrator) -> Result<CollectiveStatus, Denial> {
        require(who, PrivilegeTarget::Appliance)?;
        let collective = check::collective(&who.state)?;
        let (group, clock) = (self.replica.status(), self.clock.state());
        let controllers = who.state.living_controllers().map(|one| ControllerStatus {
            node: one.node,
            appliance: one.appliance,
            name: one.name.clone(),
            role: role(&group, one.node).to_owned(),
            state: one.state,
            lag: lag(&group, one.node),
            clock_offset_ms: self.clock_of(one.node),
        });
        let gateways = who.state.living_gateways();
        Ok(CollectiveStatus {
            collective: collective.name.clone(),
            me: self.replica.me(),
            leader: group.leader,
            term: group.term,
            applied: group.applied,
            clock: clock.verdict.name().to_owned(),
            clock_suspect: clock.is_suspect(),
            controllers: controllers.collect(),
            gateways: gateways.map(|one| self.gateway_status(&who.state, one.appliance)).collect(),
            weaker: weaker(&who.state),
            waiting: super::admission::waiting(&who.state).collect(),
            dual_control: who.state.settings().dual_control,
            orders_waiting: u32::try_from(who.state.waiting_orders(who.now).count()).unwrap_or(u32::MAX),
            keys: super::shared_keys::standing(&who.state),
            break_glass: who.state.break_glass().map(|glass| BreakGlassStatus {
                made: glass.made_at,
                used: glass.used.map(|(at, _)| at.to_string()),
                used_from: glass.used.map(|(_, from)| from),
            }),
        })
    }

    /// From this Controller's clock to another one's; its own is held against the median of all.
    fn clock_of(&self, node: ringwall_protocol::id::NodeId) -> Option<i64> {
        if node == self.replica.me() { self.clock.state().offset_ms() } else { self.clock.offset_of(node) }
    }

    fn gateway_status(&self, state: &State, gateway: ApplianceId) -> GatewayStatus {
        let record = state.gateway(gateway);
        let standing = self.board.standings().remove(&gateway);
        let connected = standing.as_ref().is_some_and(|standing| standing.connected);
        let sessions = state.bindings().filter(|binding| binding.gateway == gateway).count();
        let site = record.and_then(|record| state.site(record.site));
        GatewayStatus {
            appliance: gateway,
            name: record.map_or_else(String::new, |record| record.name.clone()),
            site_name: site.map_or_else(String::new, |site| site.base.name.clone()),
            state: record.map_or(ApplianceState::Removed, |record| record.state),
            connected,
            enforced: standing.filter(|standing| standing.connected).map(|standing| standing.enforced),
            sessions: Some(u32::try_from(sessions).unwrap_or(u32::MAX)),
        }
    }

    /// Appliances with their status, as the vendor's tools read it.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn appliances_status(&self, who: &Administrator, wanted: &Wanted) -> Result<List<Value>, Denial> {
        require(who, PrivilegeTarget::Appliance)?;
        let visible = who.state.appliances().filter(|one| {
            let scoped = Some((one.base.id.uuid(), &one.base.tags));
            who.authority.permits(PrivilegeType::View, PrivilegeTarget::Appliance, scoped)
        });
        let items = visible.map(|appliance| self.appliance_status(&who.state, appliance));
        let items = items.map(|status| serde_json::to_value(status).unwrap_or_default()).collect();
        Ok(wanted.of(items, Habits::OBJECTS))
    }

    fn appliance_status(&self, state: &State, appliance: &Appliance) -> ApplianceStatus {
        let (function, status, sessions) = if appliance.gateway.enabled {
            let status = self.gateway_status(state, appliance.base.id);
            let health = match (appliance.state, status.connected || self.is_bound_elsewhere(state, appliance.base.id))
            {
                (ApplianceState::Inactive, _) => "n/a",
                (ApplianceState::Active, true) => "healthy",
                (_, true) => "warning",
                (_, false) => "offline",
            };
            ("Gateway", health, status.sessions.unwrap_or_default())
        } else {
            let group = self.replica.status();
            let node = state.controllers().find(|one| one.appliance == appliance.base.id).map(|one| one.node);
            let health = match (appliance.state, node.is_some_and(|node| group.has_member(node))) {
                (ApplianceState::Inactive, _) => "n/a",
                (ApplianceState::Active, true) => "healthy",
                _ => "warning",
            };
            ("Controller", health, 0)
        };
        ApplianceStatus {
            appliance: appliance.clone(),
            functions: [function],
            status,
            number_of_sessions: sessions,
            appliance_version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// Sessions are recorded for a Gateway whose feed ends at another Controller.
    fn is_bound_elsewhere(&self, state: &State, gateway: ApplianceId) -> bool {
        state.bindings().any(|binding| binding.gateway == gateway)
    }

    /// Sites with their status.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn sites_status(&self, who: &Administrator, wanted: &Wanted) -> Result<List<Value>, Denial> {
        require(who, PrivilegeTarget::Site)?;
        let visible = who.state.sites().filter(|one| {
            let scoped = Some((one.base.id.uuid(), &one.base.tags));
            who.authority.permits(PrivilegeType::View, PrivilegeTarget::Site, scoped)
        });
        let items = visible.map(|site| {
            let living = who.state.living_gateways().filter(|gateway| gateway.site == site.base.id);
            let living: Vec<_> = living.map(|gateway| self.gateway_status(&who.state, gateway.appliance)).collect();
            let up = living.iter().filter(|one| one.connected || one.sessions.is_some_and(|count| count > 0)).count();
            let status = match (living.len(), up) {
                (0, _) => "noActiveGateways",
                (all, up) if all == up => "healthy",
                (_, 0) => "unhealthy",
                _ => "warning",
            };
            serde_json::to_value(SiteStatus { site: site.clone(), status }).unwrap_or_default()
        });
        Ok(wanted.of(items.collect(), Habits::OBJECTS))
    }
}

/// Appliances whose ports answer more than they have to (T53).
fn weaker(state: &State) -> Vec<String> {
    let joined = state.appliances().filter(|one| one.state != ApplianceState::Removed);
    let told = joined.filter_map(|one| match state.spa_mode_of(one.base.id) {
        SpaMode::UdpTcp => None,
        SpaMode::Tcp => Some(format!("{}: a scan finds its ports (spaMode TCP)", one.base.name)),
        SpaMode::Open => Some(format!("{}: its ports answer TLS to anybody (spaMode Open)", one.base.name)),
    });
    told.collect()
}

fn require(who: &Administrator, target: PrivilegeTarget) -> Result<(), Denial> {
    if who.authority.permits_some(PrivilegeType::CheckStatus, target) {
        return Ok(());
    }
    who.authority.require_some(PrivilegeType::View, target)
}

fn role(group: &Status, node: ringwall_protocol::id::NodeId) -> &'static str {
    if group.voters.contains(&node) {
        "voter"
    } else if group.learners.contains(&node) {
        "learner"
    } else {
        "none"
    }
}

/// Entries that a Controller lacks, where this one leads and knows.
fn lag(group: &Status, node: ringwall_protocol::id::NodeId) -> Option<u64> {
    if group.leader == Some(node) && node == group.node {
        return Some(0);
    }
    group.followers.get(&node).map(|progress| progress.behind)
}
