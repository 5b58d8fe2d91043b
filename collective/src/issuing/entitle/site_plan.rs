//! What a token for one Site will hold: entitlements put at the Site, their conditions, and the Site's Gateways.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_protocol::assign::Assignment;
use ringwall_protocol::entitlement::Entitlement;
use ringwall_protocol::id::{ConditionId, EntitlementId, SiteId};
use ringwall_protocol::object::Site;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::token::{GatewayOffer, GrantedCondition, GrantedEntitlement, TokenHead};
use ringwall_raft::State;
use ringwall_trust::secret::SystemRandom;
use ringwall_trust::spa::{Handle, KnockSecret};

use crate::issuing::Issuing;
use crate::refusal::Refusal;
use crate::replica::vault::Purpose;

/// One Site's share of an assignment.
#[derive(Debug)]
pub(crate) struct SitePlan<'a> {
    pub(crate) site: &'a Site,
    pub(crate) entitlements: Vec<GrantedEntitlement>,
    pub(crate) conditions: BTreeMap<ConditionId, GrantedCondition>,
}

/// Divides an assignment by Sites. Disabled entitlements, and those whose Site or condition is missing, give nothing:
/// without its condition an entitlement would be wider than it was meant.
pub(crate) fn plan_sites<'a>(state: &'a State, assignment: &Assignment) -> Vec<SitePlan<'a>> {
    let mut by_site: BTreeMap<SiteId, BTreeSet<EntitlementId>> = BTreeMap::new();
    for (id, over) in assignment.entitlements.keys() {
        let Some(entitlement) = state.entitlement(*id).filter(|it| !it.disabled) else { continue };
        by_site.entry(over.unwrap_or(entitlement.site)).or_default().insert(*id);
    }
    by_site.into_iter().filter_map(|(site, ids)| plan_site(state, site, &ids)).collect()
}

fn plan_site<'a>(state: &'a State, site: SiteId, ids: &BTreeSet<EntitlementId>) -> Option<SitePlan<'a>> {
    let mut plan = SitePlan { site: state.site(site)?, entitlements: Vec::new(), conditions: BTreeMap::new() };
    for entitlement in ids.iter().filter_map(|id| state.entitlement(*id)) {
        let Some(conditions) = conditions_of(state, entitlement) else {
            tracing::warn!(entitlement = %entitlement.base.id, "entitlement refers to a condition that is missing");
            continue;
        };
        plan.conditions.extend(conditions);
        plan.entitlements.push(GrantedEntitlement {
            id: entitlement.base.id,
            name: entitlement.base.name.clone(),
            condition_logic: entitlement.condition_logic,
            conditions: entitlement.conditions.clone(),
            actions: entitlement.actions.clone(),
            app_shortcuts: entitlement.app_shortcuts.clone(),
        });
    }
    (!plan.entitlements.is_empty()).then_some(plan)
}

fn conditions_of(state: &State, entitlement: &Entitlement) -> Option<Vec<(ConditionId, GrantedCondition)>> {
    let granted = |id: &ConditionId| {
        let condition = state.condition(*id)?;
        let granted = GrantedCondition {
            name: condition.base.name.clone(),
            expression: condition.expression.clone(),
            remedy_logic: condition.remedy_logic,
            interactions: condition.remedy_methods.clone(),
            // Depends on the sign-in; filled in for those who get a token.
            asked_first: BTreeSet::new(),
            repeat_schedules: condition.repeat_schedules.clone(),
        };
        Some((*id, granted))
    };
    entitlement.conditions.iter().map(granted).collect()
}

impl Issuing {
    /// The Gateways of a Site that the bearer of a claims token may use, with his keys to knock on them (T48).
    pub(super) fn gateway_offers(
        &self,
        state: &State,
        site: &Site,
        claims: &TokenHead,
    ) -> Result<Vec<GatewayOffer>, Refusal> {
        let usable = |state: ApplianceState| matches!(state, ApplianceState::Active | ApplianceState::Suspended);
        let mut offers = Vec::new();
        for gateway in state.gateways().filter(|gateway| gateway.site == site.base.id && usable(gateway.state)) {
            let spa_mode = state.spa_mode_of(gateway.appliance);
            let spa_key = if spa_mode != SpaMode::Open {
                let Some(newest) = state.spa_keys(gateway.appliance).first() else { continue };
                let key = self.vault.open_key(Purpose::GatewaySpa(gateway.appliance), newest.sealed.as_str())?;
                let handle = Handle::new(&key, &claims.sub, claims.idx, &SystemRandom);
                Some(KnockSecret::for_session(&key, handle).expose_text().to_string())
            } else {
                None
            };
            offers.push(GatewayOffer {
                id: gateway.appliance,
                name: gateway.name.clone(),
                addresses: gateway.addresses.clone(),
                weight: gateway.weight,
                state: gateway.state,
                spki_sha256: gateway.keys.clone(),
                spa_key,
                spa_mode: Some(spa_mode),
                datagram: site.vpn.dtls.enabled,
            });
        }
        Ok(offers)
    }
}
