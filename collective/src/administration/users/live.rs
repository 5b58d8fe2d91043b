//! Live sessions, as Gateways report them. One session is shown in full wherever its feed ends; the list shows of those that
//! hang on other Controllers what is replicated.

use std::collections::BTreeMap;

use ringwall_protocol::claims::{ClaimMap, Reason};
use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::name::{DnScope, SessionDn};
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::wire::admin::{ActiveSession, List, SessionAtSite, SessionInfo};
use ringwall_raft::State;
use ringwall_raft::state::binding::Binding;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::administration::access::authority::Administrator;
use crate::administration::denial::Denial;
use crate::administration::objects::listing::{Habits, Wanted};
use crate::administration::questions::explain::Subject;
use crate::administration::users::Users;

/// How sessions are searched and sorted.
const HABITS: Habits = Habits { searched: &["distinguishedName", "sites"], order_by: "distinguishedName" };

/// How many sessions there are, and where.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionFigures {
    total_count: usize,
    /// The vendor's; nothing here knows where addresses are.
    geo_ip_data: [String; 0],
    /// The vendor's; versions of Clients are not counted.
    versions: BTreeMap<String, u64>,
    /// Sessions by the Site's name.
    sites: BTreeMap<String, u64>,
    /// Sessions by the Gateway's name.
    gateways: BTreeMap<String, u64>,
}

impl Users {
    /// Live sessions by DN.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn list_sessions(&self, who: &Administrator, wanted: &Wanted) -> Result<List<Value>, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::SessionInfo, None)?;
        let sessions = self.live(&who.state).into_iter().map(|(distinguished_name, sites)| {
            serde_json::to_value(ActiveSession { distinguished_name, sites }).unwrap_or_default()
        });
        Ok(wanted.of(sessions.collect(), HABITS))
    }

    /// How many sessions there are, and where.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn session_figures(&self, who: &Administrator) -> Result<SessionFigures, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::SessionInfo, None)?;
        let live = self.live(&who.state);
        let mut sites: BTreeMap<String, u64> = BTreeMap::new();
        let mut gateways: BTreeMap<String, u64> = BTreeMap::new();
        for site in live.values().flatten() {
            *sites.entry(site.site_name.clone()).or_default() += 1;
            *gateways.entry(site.gateway_name.clone()).or_default() += 1;
        }
        Ok(SessionFigures { total_count: live.len(), geo_ip_data: [], versions: BTreeMap::new(), sites, gateways })
    }

    /// One session: Site by Site, what its device says, and the policies that match now.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub(crate) async fn session_info(&self, who: &Administrator, dn: &SessionDn) -> Result<SessionInfo, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::SessionInfo, None)?;
        let sessions = self.peers.sessions_everywhere(&who.state, &DnScope::Device(dn.clone())).await.sessions;
        let sites = combined(&who.state, &sessions).remove(dn);
        let sites = sites.ok_or_else(|| Denial::NotFound(format!("there is no live session {dn}")))?;
        let (device_claims, reasons) = facts(&sessions);
        let policy_names = match self.questions.subject(&who.state, &dn.to_string()).await {
            Ok(subject) => self.matching_policies(who, &subject),
            Err(_) => Vec::new(),
        };
        Ok(SessionInfo { distinguished_name: dn.clone(), device_claims, reasons, policy_names, sites })
    }

    fn matching_policies(&self, who: &Administrator, subject: &Subject) -> Vec<String> {
        let assignment = self.questions.assign_subject(&who.state, subject, &ClaimMap::default(), who.now);
        assignment.matched().map(|finding| finding.name.clone()).collect()
    }

    /// All sessions: reported here in full, elsewhere as they are recorded.
    fn live(&self, state: &State) -> BTreeMap<SessionDn, Vec<SessionAtSite>> {
        combined(state, &self.peers.sessions.all())
    }
}

/// Sessions by DN: the given ones in full, others as they are recorded.
fn combined(state: &State, sessions: &[SessionSummary]) -> BTreeMap<SessionDn, Vec<SessionAtSite>> {
    let mut live: BTreeMap<SessionDn, Vec<SessionAtSite>> = BTreeMap::new();
    for summary in sessions {
        live.entry(summary.dn.clone()).or_default().push(in_full(state, summary));
    }
    for binding in state.bindings() {
        let sites = live.entry(binding.dn.clone()).or_default();
        if !sites.iter().any(|site| site.site_id == binding.site) {
            sites.push(recorded(state, binding));
        }
    }
    live
}

/// What the device said last, and reasons, of all of a DN's sessions.
fn facts(sessions: &[SessionSummary]) -> (ClaimMap, BTreeMap<String, Reason>) {
    let newest = sessions.iter().max_by_key(|session| session.since);
    let device = newest.map(|session| session.device.clone()).unwrap_or_default();
    let reasons = sessions.iter().flat_map(|session| session.reasons.clone()).collect();
    (device, reasons)
}

fn in_full(state: &State, summary: &SessionSummary) -> SessionAtSite {
    SessionAtSite {
        session_id: summary.session,
        site_id: summary.site,
        site_name: site_name(state, summary.site),
        gateway_id: summary.gateway,
        gateway_name: gateway_name(state, summary.gateway),
        since: summary.since,
        client_address: summary.client_address.clone(),
        tunnel_addresses: summary.tunnel_addresses.clone(),
        entitlements: summary.entitlements.clone(),
        rules: summary.rules,
    }
}

fn recorded(state: &State, binding: &Binding) -> SessionAtSite {
    let device = state.devices().find(|device| device.dn == binding.dn);
    let addresses = device.map(|device| state.addresses_of(device.user_id, device.device_id));
    let tunnel_addresses = addresses.map_or_else(Vec::new, |addresses| {
        addresses.v4.map(Into::into).into_iter().chain(addresses.v6.map(Into::into)).collect()
    });
    SessionAtSite {
        session_id: binding.session,
        site_id: binding.site,
        site_name: site_name(state, binding.site),
        gateway_id: binding.gateway,
        gateway_name: gateway_name(state, binding.gateway),
        since: binding.since,
        client_address: String::new(),
        tunnel_addresses,
        entitlements: Vec::new(),
        rules: 0,
    }
}

fn site_name(state: &State, site: ringwall_protocol::id::SiteId) -> String {
    state.site(site).map_or_else(String::new, |site| site.base.name.clone())
}

fn gateway_name(state: &State, gateway: ringwall_protocol::id::ApplianceId) -> String {
    state.gateway(gateway).map_or_else(String::new, |gateway| gateway.name.clone())
}
