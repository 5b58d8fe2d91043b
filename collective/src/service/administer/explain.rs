//! Why a user reaches a host, or does not: the same functions that decide, asked for one flow.
//!
//! The facts are those of the user's live session where there is one, otherwise what the caller assumes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ringwall_protocol::assign::Assignment;
use ringwall_protocol::authorize::Prepared;
use ringwall_protocol::claims::{ClaimMap, Facts, Reason, StepUp, StepUpKind, UntrustedClaims};
use ringwall_protocol::entitlement::Host;
use ringwall_protocol::explain::{Explanation, SiteView, explain};
use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::id::{ConditionId, DeviceId, SignInId, Thumbprint, UserId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::name::{DnScope, ProviderName, SessionDn, UserDn, UserName};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::rules::compile::ResolvedNames;
use ringwall_protocol::rules::matching::Flow;
use ringwall_protocol::rules::{Direction, Protocol};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{EntitlementToken, Routes};
use ringwall_protocol::wire::admin::ExplainRequest;
use ringwall_raft::State;
use uuid::Uuid;

use super::authority::Administrator;
use super::denial::Denial;
use crate::clock;
use crate::controller::Controller;
use crate::directory::{Directory, LookUp, Whom, spelled};
use crate::refusal::Refusal;
use crate::service::check;
use crate::service::entitle::site_plan::{SitePlan, plan_sites};
use crate::service::mint::{Bearer, Validity, entitlement_life, head};

/// Stands for a host that was asked for by name: an address for documentation (RFC 5737), in no network.
const NAMED_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Echo request: type × 256 (RFC 792, RFC 4443).
const PING: (u16, u16) = (8 * 256, 128 * 256);

/// The user that a question is about, with what is known of his session.
#[derive(Debug, Clone)]
pub struct Subject {
    /// User and device; the device is nil where no session is live.
    pub dn: SessionDn,
    /// The user.
    pub user: UserId,
    /// His provider.
    pub provider: IdentityProvider,
    /// His claims.
    pub claims: ClaimMap,
    /// His session, as a Gateway reported it here.
    pub session: Option<SessionSummary>,
}

/// A flow that is asked for.
#[derive(Debug, Clone, PartialEq)]
struct Question {
    flow: Flow,
    names: ResolvedNames,
}

/// Everything that criteria and conditions may look at.
struct Known {
    device: UntrustedClaims,
    system: ClaimMap,
    step_ups: BTreeMap<String, StepUp>,
    reasons: BTreeMap<String, Reason>,
    now: UnixMillis,
}

impl Controller {
    /// Explains a flow.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid` for a malformed question, `NotFound` for an unknown user.
    pub async fn explain_flow(&self, who: &Administrator, request: &ExplainRequest) -> Result<Explanation, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::SessionInfo, None)?;
        let question = Question::read(&request.destination, &request.protocol)?;
        request.device_claims.check().map_err(|error| Denial::field("deviceClaims", error.to_string()))?;
        let subject = self.subject(&who.state, &request.user).await?;
        let known = Known::of(&who.state, &subject, &request.device_claims);
        let assignment = self.assign_known(&who.state, &subject, &known);
        let prepared = prepare(&who.state, &subject, &assignment, known.now)?;
        let facts = known.facts(&subject.claims);
        let mut judged = Vec::with_capacity(prepared.len());
        for token in &prepared {
            let authorization = token.authorize(&facts, &question.names).map_err(|_| {
                Denial::Conflict("the user's entitlements come to more rules than a session may have".to_owned())
            })?;
            judged.push((token, authorization));
        }
        let views: Vec<SiteView<'_>> =
            judged.iter().map(|(prepared, authorization)| SiteView { prepared, authorization }).collect();
        Ok(explain(&assignment, &views, &question.flow, &question.names))
    }

    /// Finds a user by session DN, user DN, or the bare name of a local user.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn subject(&self, state: &State, text: &str) -> Result<Subject, Denial> {
        let nobody = || Denial::NotFound(format!("there is no user {text:?}"));
        let (user_dn, device) = named(state, text).ok_or_else(nobody)?;
        let user_dn = spelled(state, user_dn);
        let provider = state.identity_provider_named(user_dn.provider.as_str()).ok_or_else(nobody)?.clone();
        let id = self.directories.id_of(state, &provider, &user_dn.user).ok_or_else(nobody)?;
        let known = match self.directories.look_up(state, &provider, Whom { name: &user_dn.user, device }).await? {
            LookUp::Known(known) => known,
            LookUp::Gone => return Err(Denial::NotFound(format!("the user {user_dn} is gone or disabled"))),
            LookUp::Unreadable => {
                let why = format!("{} tells nothing of a user but at his sign-in", user_dn.provider);
                return Err(Denial::Conflict(why));
            }
        };
        let session = self
            .sessions
            .all()
            .into_iter()
            .filter(|session| session.dn.user == user_dn && device.is_none_or(|device| device == session.dn.device))
            .max_by_key(|session| session.since);
        let device = session.as_ref().map(|session| session.dn.device).or(device);
        let dn = SessionDn { device: device.unwrap_or(DeviceId::new(Uuid::nil())), user: user_dn };
        Ok(Subject { dn, user: id, provider, claims: known.claims, session })
    }

    /// What policies give to somebody now.
    pub(super) fn assign_subject(&self, state: &State, subject: &Subject, assumed: &ClaimMap) -> Assignment {
        self.assign_known(state, subject, &Known::of(state, subject, assumed))
    }

    fn assign_known(&self, state: &State, subject: &Subject, known: &Known) -> Assignment {
        let entitlements: Vec<_> = state.entitlements().collect();
        self.policies.of(state).assign(&known.facts(&subject.claims), entitlements.iter().copied())
    }
}

impl Known {
    fn of(state: &State, subject: &Subject, assumed: &ClaimMap) -> Self {
        let now = clock::now();
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
            known.step_ups = step_ups(state, session, subject, now);
        }
        known.system = system.into_iter().collect();
        known
    }

    fn facts<'a>(&'a self, user: &'a ClaimMap) -> Facts<'a> {
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

/// Proofs stand in the Client's token, which nobody here has. What the Gateway says of conditions tells which of them it
/// counts: the interactions of conditions that hold are answered.
fn step_ups(state: &State, session: &SessionSummary, subject: &Subject, at: UnixMillis) -> BTreeMap<String, StepUp> {
    let mut found = BTreeMap::new();
    for one in &session.entitlements {
        let Some(entitlement) = state.entitlement(one.id) else { continue };
        let held = entitlement.conditions.iter().filter(|condition| !one.failed_conditions.contains(condition));
        held.for_each(|condition| found.extend(answered(state, *condition, subject, at)));
    }
    found
}

fn answered(state: &State, id: ConditionId, subject: &Subject, at: UnixMillis) -> Vec<(String, StepUp)> {
    let methods = state.condition(id).map(|condition| condition.remedy_methods.as_slice()).unwrap_or_default();
    let proof = |method: &ringwall_protocol::interaction::Interaction| {
        let kind = match method.kind {
            InteractionKind::OtpAuthentication => StepUpKind::Otp,
            InteractionKind::PasswordAuthentication => StepUpKind::Password,
            InteractionKind::DisplayMessage | InteractionKind::Reason => return None,
        };
        let provider_id = method.provider_id.unwrap_or_else(|| subject.provider.base.id.uuid());
        let proof = StepUp { kind, provider_id, condition_id: Some(id), at, transaction_id: None };
        Some((method.claim_suffix.clone()?, proof))
    };
    methods.iter().filter_map(proof).collect()
}

/// The tokens that the user would be given, ready to be evaluated; they are never signed.
fn prepare(
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

/// The user that a text names, and the device if it names one.
fn named(state: &State, text: &str) -> Option<(UserDn, Option<DeviceId>)> {
    match text.parse::<DnScope>() {
        Ok(DnScope::Device(dn)) => Some((dn.user, Some(dn.device))),
        Ok(DnScope::User(user)) => Some((user, None)),
        Ok(DnScope::Everyone | DnScope::Provider(_)) => None,
        Err(_) => {
            let provider = ProviderName::parse(state.local_provider()?.base.name.clone()).ok()?;
            Some((UserDn { user: UserName::parse(text).ok()?, provider }, None))
        }
    }
}

impl Question {
    fn read(destination: &str, protocol: &str) -> Result<Self, Denial> {
        let wrong =
            || Denial::field("destination", "expected address:port, [v6]:port, name:port, or for icmp an address");
        let destination = destination.trim();
        let ping = match protocol.to_ascii_lowercase().as_str() {
            "tcp" => return Self::with_port(destination, Protocol::Tcp).ok_or_else(wrong),
            "udp" => return Self::with_port(destination, Protocol::Udp).ok_or_else(wrong),
            "icmp" | "icmpv6" => destination.trim_matches(['[', ']']).parse::<IpAddr>().map_err(|_| wrong())?,
            _ => return Err(Denial::field("protocol", "expected tcp, udp or icmp")),
        };
        let (protocol, port) = if ping.is_ipv4() { (Protocol::Icmp, PING.0) } else { (Protocol::Icmpv6, PING.1) };
        let flow = Flow { direction: Direction::Up, protocol, remote: ping, port };
        Ok(Self { flow, names: ResolvedNames::default() })
    }

    fn with_port(text: &str, protocol: Protocol) -> Option<Self> {
        let flow = |remote, port| Flow { direction: Direction::Up, protocol, remote, port };
        if let Ok(address) = text.parse::<SocketAddr>() {
            let flow = flow(address.ip().to_canonical(), address.port());
            return Some(Self { flow, names: ResolvedNames::default() });
        }
        let (name, port) = text.rsplit_once(':')?;
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if name.is_empty() || name.contains([':', '[', ']', ' ', '/']) {
            return None;
        }
        let mut names: BTreeMap<Host, Vec<IpAddr>> = BTreeMap::new();
        let parents = name.match_indices('.').map(|(at, _)| Host::Domain(name[at + 1..].to_owned()));
        for host in parents.chain([Host::Name(name.clone())]) {
            names.insert(host, vec![NAMED_HOST]);
        }
        Some(Self { flow: flow(NAMED_HOST, port.parse().ok()?), names: ResolvedNames(names) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_addresses_with_ports_names_with_ports_or_hosts_to_ping() {
        let read = |destination, protocol| Question::read(destination, protocol).expect("a question");
        let web = read("10.20.0.10:443", "TCP").flow;
        assert_eq!((web.protocol, web.remote.to_string(), web.port), (Protocol::Tcp, "10.20.0.10".to_owned(), 443));
        assert_eq!(read("[fd20::10]:53", "udp").flow.remote.to_string(), "fd20::10");
        assert_eq!(read("10.20.0.10", "icmp").flow.port, 2048);
        assert_eq!(
            (read("fd20::10", "icmp").flow.protocol, read("fd20::10", "icmp").flow.port),
            (Protocol::Icmpv6, 32768)
        );
        let named = read("Web.Corp.example:443", "tcp");
        assert_eq!(named.names.0[&Host::Name("web.corp.example".to_owned())], [NAMED_HOST]);
        assert!(named.names.0.contains_key(&Host::Domain("corp.example".to_owned())));
        for (destination, protocol) in
            [("10.20.0.10", "tcp"), ("10.20.0.10:x", "udp"), ("web:1", "icmp"), ("h:1", "gre")]
        {
            assert!(Question::read(destination, protocol).is_err(), "{destination} {protocol}");
        }
    }
}
