//! Everything that criteria and conditions may look at, for somebody who is not here to say it; and the tokens that he
//! would be given. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ringwall_protocol::assign::Assignment;
use ringwall_protocol::authorize::Prepared;
use ringwall_protocol::claims::{ClaimMap, Facts, Reason, StepUp, UntrustedClaims};
use ringwall_protocol::id::{SignInId, Thumbprint};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{EntitlementToken, Routes};
use ringwall_raft::State;
use uuid::Uuid;

use super::Subject;
use crate::administration::denial::Denial;
use crate::issuing::check;
use crate::issuing::entitle::site_plan::{SitePlan, plan_sites};
use crate::issuing::mint::{Bearer, Validity, entitlement_life, head};
use crate::refusal::Refusal;

/// Everything that criteria and conditions may look at.
#[derive(Debug, Clone)]
pub(in crate::administration) struct Known {
    pub(super) device: UntrustedClaims,
    pub(super) system: ClaimMap,
    pub(super) step_ups: BTreeMap<String, StepUp>,
    pub(super) reasons: BTreeMap<String, Reason>,
    pub(super) now: UnixMillis,
}

impl Known {
    /// What is known of `subject` at `now`; `assumed` device claims go over those of his session.
    pub(in crate::administration) fn of(state: &State, subject: &Subject, assumed: &ClaimMap, now: UnixMillis) -> Self {
        let mut system: Vec<(String, serde_json::Value)> = vec![
            ("deviceId".to_owned(), subject.dn.device.simple().into()),
            ("distinguishedName".to_owned(), subject.dn.to_string().into()),
        ];
        let addresses = state.addresses_of(subject.user, subject.dn.device);
        system.extend(addresses.v4.map(|address| ("tunIPv4".to_owned(), address.to_string().into())));
        system.extend(addresses.v6.map(|address| ("tunIPv6".to_owned(), address.to_string().into())));
        let mut known = Self {
            device: UntrustedClaims(assumed.clone()),
            system: ClaimMap::default(),
            step_ups: BTreeMap::new(),
            reasons: BTreeMap::new(),
            now,
        };
        if let Some(session) = &subject.session {
            let address = session.client_address.parse::<SocketAddr>().map(|address| address.ip());
            let address = address.or_else(|_| session.client_address.parse());
            system.extend(address.ok().map(|ip| ("clientSrcIP".to_owned(), ip.to_canonical().to_string().into())));
            system.push(("connectTime".to_owned(), session.since.to_string().into()));
            system.push(("gatewayId".to_owned(), session.gateway.to_string().into()));
            system.push(("siteId".to_owned(), session.site.to_string().into()));
            let mut device = session.device.clone();
            device.0.extend(assumed.0.clone());
            known.device = UntrustedClaims(device);
            known.reasons.clone_from(&session.reasons);
            known.step_ups.clone_from(&session.step_ups);
        }
        known.system = system.into_iter().collect();
        known
    }

    /// The facts, with these user claims.
    pub(in crate::administration) fn facts<'a>(&'a self, user: &'a ClaimMap) -> Facts<'a> {
        Facts {
            user,
            device: Some(&self.device),
            system: &self.system,
            step_ups: &self.step_ups,
            reasons: &self.reasons,
            now: self.now,
        }
    }
}

/// The tokens that the user would be given, ready to be evaluated; they are never signed.
pub(in crate::administration) fn prepare(
    state: &State,
    subject: &Subject,
    assignment: &Assignment,
    now: UnixMillis,
) -> Result<Vec<Prepared>, Denial> {
    if assignment.stopped.is_some() {
        return Ok(Vec::new());
    }
    let tokens = plan_sites(state, assignment).into_iter().map(|plan| token(state, subject, plan, now));
    tokens
        .map(|token| {
            Prepared::new(token?).map_err(|error| {
                tracing::warn!(%error, "an entitlement in the state cannot be evaluated");
                Denial::Conflict(format!("the user's entitlements cannot be evaluated: {error}"))
            })
        })
        .collect()
}

fn token(state: &State, subject: &Subject, plan: SitePlan<'_>, now: UnixMillis) -> Result<EntitlementToken, Refusal> {
    let collective = check::collective(state)?;
    let bearer = Bearer {
        dn: subject.dn.clone(),
        sid: SignInId::new(Uuid::nil()),
        user: subject.user,
        provider: subject.provider.base.id,
        device: subject.dn.device,
        jkt: Thumbprint([0; 32]),
    };
    let validity = Validity { idx: state.index(), now, life: entitlement_life(collective), not_after: u64::MAX };
    Ok(EntitlementToken {
        head: head(collective, &bearer, plan.site.base.id.uuid(), validity),
        claims_idx: state.index(),
        policy_idx: state.index(),
        site_name: plan.site.base.name.clone(),
        gateways: Vec::new(),
        entitlements: plan.entitlements,
        conditions: plan.conditions,
        routes: Routes::default(),
        dns: Vec::new(),
        lease_seconds: plan.site.lease_seconds,
    })
}
