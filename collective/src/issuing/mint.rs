//! Making tokens: the common part, and lifetimes under their hard caps. Pure; the signature is left to `signers`.

use std::collections::BTreeMap;
use std::time::Duration;

use ringwall_protocol::claims::{ClaimMap, StepUp};
use ringwall_protocol::id::{DeviceId, LogIndex, ProviderId, SignInId, Thumbprint, TokenId, UserId};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::object::settings::{MAX_CLAIMS_MINUTES, MAX_ENTITLEMENT_MINUTES};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{ClaimsToken, Confirmation, TokenHead};
use ringwall_raft::state::address::Addresses;
use ringwall_raft::state::collective::Collective;
use uuid::Uuid;

/// Whose token, bound to which key, from which sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) dn: SessionDn,
    pub(crate) sid: SignInId,
    pub(crate) user: UserId,
    pub(crate) provider: ProviderId,
    pub(crate) device: DeviceId,
    pub(crate) jkt: Thumbprint,
}

impl Bearer {
    /// The bearer of an existing token.
    pub(crate) fn of(head: &TokenHead) -> Self {
        Self {
            dn: head.sub.clone(),
            sid: head.sid,
            user: head.user_id,
            provider: head.provider_id,
            device: head.device_id,
            jkt: head.cnf.jkt,
        }
    }
}

/// From when until when, and at which index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    /// Index of the state in which the first check was made.
    pub(crate) idx: LogIndex,
    /// Now.
    pub(crate) now: UnixMillis,
    /// For how long it is valid, if `not_after` permits.
    pub(crate) life: Duration,
    /// Never beyond this, Unix seconds.
    pub(crate) not_after: u64,
}

/// The common part of a token for `audience`.
pub(crate) fn head(collective: &Collective, bearer: &Bearer, audience: Uuid, validity: Validity) -> TokenHead {
    let now = validity.now.seconds();
    TokenHead {
        iss: collective.id,
        sub: bearer.dn.clone(),
        sid: bearer.sid,
        jti: TokenId::new(Uuid::new_v4()),
        iat: now,
        nbf: now,
        exp: (now + validity.life.as_secs()).min(validity.not_after),
        aud: audience,
        idx: validity.idx,
        epoch: collective.incarnation.epoch,
        inc: collective.incarnation.id,
        cnf: Confirmation { jkt: bearer.jkt },
        user_id: bearer.user,
        provider_id: bearer.provider,
        device_id: bearer.device,
    }
}

/// Lifetime of claims tokens in effect.
pub(crate) fn claims_life(collective: &Collective) -> Duration {
    minutes(collective.settings.claims_token_expiration, MAX_CLAIMS_MINUTES)
}

/// Lifetime of entitlement tokens in effect.
pub(crate) fn entitlement_life(collective: &Collective) -> Duration {
    minutes(collective.settings.entitlement_token_expiration, MAX_ENTITLEMENT_MINUTES)
}

/// A configured number of minutes under its hard cap (T20).
pub(crate) fn minutes(configured: u32, cap: u32) -> Duration {
    Duration::from_secs(u64::from(configured.clamp(1, cap)) * 60)
}

/// What a claims token says beside its head.
#[derive(Debug, Clone)]
pub(crate) struct KnownClaims {
    pub(crate) sign_in_idx: LogIndex,
    pub(crate) auth_time: u64,
    pub(crate) sign_in_until: u64,
    pub(crate) user: ClaimMap,
    pub(crate) step_ups: BTreeMap<String, StepUp>,
    pub(crate) addresses: Addresses,
}

/// A claims token's content; its system claims are made here.
pub(crate) fn claims_token(head: TokenHead, known: KnownClaims) -> ClaimsToken {
    let system = system_claims(&head, &known);
    ClaimsToken {
        head,
        sign_in_idx: known.sign_in_idx,
        auth_time: known.auth_time,
        sign_in_until: known.sign_in_until,
        user: known.user,
        system,
        tun_ipv4: known.addresses.v4,
        tun_ipv6: known.addresses.v6,
        step_ups: known.step_ups,
    }
}

fn system_claims(head: &TokenHead, known: &KnownClaims) -> ClaimMap {
    let mut claims = vec![
        ("deviceId".to_owned(), head.device_id.simple().into()),
        ("distinguishedName".to_owned(), head.sub.to_string().into()),
        ("signInTime".to_owned(), known.auth_time.into()),
    ];
    claims.extend(known.addresses.v4.map(|address| ("tunIPv4".to_owned(), address.to_string().into())));
    claims.extend(known.addresses.v6.map(|address| ("tunIPv6".to_owned(), address.to_string().into())));
    claims.into_iter().collect()
}
