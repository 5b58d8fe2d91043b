//! Entitlement tokens: what the user's policies give, one token for each Site (S26, S29, S39–S43).

pub(crate) mod routes;
pub(crate) mod site_plan;
mod size;

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringwall_protocol::assign::Assignment;
use ringwall_protocol::claims::{ClaimMap, Facts, UntrustedClaims};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken};
use ringwall_protocol::wire::client::{EntitlementsAnswer, EntitlementsRequest, NoEntitlements, SiteToken};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::State;

use self::site_plan::{SitePlan, plan_sites};
use super::interactions::asked_first;
use super::mint::{Bearer, Validity, entitlement_life, head};
use super::{Issuing, check};
use crate::identity::factor::Factor;
use crate::issuing::{CertifiedClient, DeviceRequest};
use crate::refusal::Refusal;

impl Issuing {
    /// One entitlement token for each Site that the user's policies lead to. None is a success, with the reason.
    ///
    /// # Errors
    /// Token errors; `policyTooLarge` if a token would exceed its bound; `noQuorum`.
    pub(crate) async fn entitle(
        &self,
        caller: &CertifiedClient,
        request: &EntitlementsRequest,
        now: UnixMillis,
    ) -> Result<EntitlementsAnswer, Refusal> {
        let state = self.replica.current().await?;
        let claims = check::bound_claims_token(&state, &request.claims_token, &caller.leaf, now)?;
        self.count_request(&claims.head, DeviceRequest::Entitlements, now)?;
        request.device_claims.0.check().map_err(|error| Refusal::invalid(format!("deviceClaims: {error}")))?;
        self.device_claims.hear((claims.head.user_id, claims.head.device_id), &request.device_claims, now);
        let assignment = self.assign(&state, &claims, &request.device_claims, caller.address, now);
        if let Some((_, message)) = assignment.stopped {
            return Ok(EntitlementsAnswer { sites: Vec::new(), reason: Some(NoEntitlements::Stopped), message });
        }
        let matched = assignment.matched().next().is_some();
        let mut sites = Vec::new();
        for mut plan in plan_sites(&state, &assignment) {
            if request.sites.is_empty() || request.sites.contains(&plan.site.base.id) {
                for condition in plan.conditions.values_mut() {
                    condition.asked_first = asked_first(&state, &claims, &condition.interactions, |provider| {
                        self.providers.factors.asks_first(provider)
                    });
                }
                sites.push(self.site_token(&state, &claims, plan, &assignment, now)?);
            }
        }
        let policies: Vec<&str> = assignment.matched().map(|finding| finding.name.as_str()).collect();
        let names: Vec<&str> = sites.iter().map(|site| site.site_name.as_str()).collect();
        self.audit
            .event("entitlement_token_evaluated", Some(&claims.head.sub), caller.address)
            .at(state.index())
            .with("policy_names", policies)
            .with("site_names", names)
            .emit();
        let reason = match (sites.is_empty(), matched) {
            (false, _) => None,
            (true, true) => Some(NoEntitlements::NothingGranted),
            (true, false) => Some(NoEntitlements::NoPolicyMatched),
        };
        Ok(EntitlementsAnswer { sites, reason, message: None })
    }

    /// What the policies of `state` give to the bearer of a claims token.
    pub(crate) fn assign(
        &self,
        state: &State,
        claims: &ClaimsToken,
        device: &UntrustedClaims,
        address: IpAddr,
        now: UnixMillis,
    ) -> Assignment {
        let mut system: ClaimMap = claims.system.clone();
        system.0.insert("clientSrcIP".to_owned(), address.to_canonical().to_string().into());
        let reasons = BTreeMap::new();
        let facts = Facts {
            user: &claims.user,
            device: Some(device),
            system: &system,
            step_ups: &claims.step_ups,
            reasons: &reasons,
            now,
        };
        let entitlements: Vec<_> = state.entitlements().collect();
        self.policies.of(state).assign(&facts, entitlements.iter().copied())
    }

    fn site_token(
        &self,
        state: &State,
        claims: &ClaimsToken,
        plan: SitePlan<'_>,
        assignment: &Assignment,
        now: UnixMillis,
    ) -> Result<SiteToken, Refusal> {
        let collective = check::collective(state)?;
        let site = plan.site;
        let validity =
            Validity { idx: state.index(), now, life: entitlement_life(collective), not_after: claims.sign_in_until };
        let gateways = self.gateway_offers(state, site, &claims.head)?;
        let token = EntitlementToken {
            head: head(collective, &Bearer::of(&claims.head), site.base.id.uuid(), validity),
            claims_idx: claims.head.idx,
            policy_idx: state.index(),
            site_name: site.base.name.clone(),
            gateways,
            routes: routes::routes(site, plan.entitlements.iter().flat_map(|granted| &granted.actions)),
            entitlements: plan.entitlements,
            conditions: plan.conditions,
            dns: assignment.dns.clone(),
            lease_seconds: site.lease_seconds,
        };
        let text = self.signers.sign(state, &token).inspect_err(|refusal| {
            if refusal.code == ErrorCode::PolicyTooLarge {
                Self::tell_of_size(&token, assignment);
            }
        })?;
        Ok(SiteToken { site_id: site.base.id, site_name: site.base.name.clone(), token: text })
    }

    /// The user is only told that it is too much; the operator, what to make smaller (T30).
    fn tell_of_size(token: &EntitlementToken, assignment: &Assignment) {
        let Some(share) = size::largest_share(token, assignment) else { return };
        tracing::warn!(
            policy = share.policy,
            entitlements = share.entitlements,
            bytes = share.bytes,
            site = token.site_name,
            "an entitlement token would be too large; this policy takes most of it: have it give fewer or simpler \
             entitlements"
        );
    }
}
