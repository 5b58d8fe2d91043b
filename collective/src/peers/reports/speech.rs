//! What a Gateway may say: of itself, in its own Site, of sessions that a Client opened there, and not without end.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ringwall_protocol::connection::{ConnectionStatement, PROOF_KEPT_SECONDS, PROOF_WINDOW_SECONDS};
use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::id::ApplianceId;
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::State;
use ringwall_raft::state::binding::{Binding, MAX_BOUND_PER_GATEWAY};
use ringwall_trust::connection_proof;

use crate::identity::throttle::Throttle;

/// Sessions that a Gateway may report at once (all that it can have, after a reconnection), and as many again in this time.
const REPORT_SPAN: Duration = Duration::from_secs(10 * 60);
/// Certificates that a Gateway may ask for in [`RENEWAL_SPAN`]; it needs one in three weeks.
const RENEWALS: u32 = 10;
/// See [`RENEWALS`].
const RENEWAL_SPAN: Duration = Duration::from_secs(3600);
/// Changes of its host's addresses that a Gateway may tell of in [`MOVE_SPAN`]; each is a log entry.
const MOVES: u32 = 10;
/// See [`MOVES`].
const MOVE_SPAN: Duration = Duration::from_secs(10 * 60);

/// How much each Gateway has said of late.
#[derive(Debug)]
pub(super) struct Pace {
    reports: Mutex<Throttle<ApplianceId>>,
    renewals: Mutex<Throttle<ApplianceId>>,
    moves: Mutex<Throttle<ApplianceId>>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            reports: Mutex::new(Throttle::new(MAX_BOUND_PER_GATEWAY, REPORT_SPAN)),
            renewals: Mutex::new(Throttle::new(RENEWALS, RENEWAL_SPAN)),
            moves: Mutex::new(Throttle::new(MOVES, MOVE_SPAN)),
        }
    }
}

impl Pace {
    /// Counts a report of a session that is not known yet.
    pub(super) fn may_report(&self, gateway: ApplianceId, now: UnixMillis) -> bool {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).take(&gateway, now)
    }

    /// Counts a request for a certificate.
    pub(super) fn may_renew(&self, gateway: ApplianceId, now: UnixMillis) -> bool {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner).take(&gateway, now)
    }

    /// Counts a change of its host's addresses.
    pub(super) fn may_move(&self, gateway: ApplianceId, now: UnixMillis) -> bool {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner).take(&gateway, now)
    }
}

/// The binding that a report stands for, if a Client with a registered device proved it.
///
/// # Errors
/// Why it is not believed.
pub(super) fn true_binding(
    state: &State,
    gateway: ApplianceId,
    session: &SessionSummary,
    now: UnixMillis,
) -> Result<Binding, &'static str> {
    let in_its_site = state.gateway(gateway).is_some_and(|record| record.site == session.site);
    if session.gateway != gateway || !in_its_site {
        return Err("it speaks of another site or gateway");
    }
    let collective = state.collective().ok_or("there is no collective yet")?;
    let statement = ConnectionStatement {
        collective: collective.id,
        incarnation: collective.incarnation,
        gateway,
        dn: &session.dn,
        sid: session.sid,
        sign_in_idx: session.sign_in_idx,
        connect_seq: session.connect_seq,
    };
    let signed = session.proof.time;
    let seconds = |span: Duration| span.as_secs();
    if seconds(now.until(signed)) > PROOF_WINDOW_SECONDS || seconds(signed.until(now)) > PROOF_KEPT_SECONDS {
        return Err("the client's proof is too old, or from the future");
    }
    let key = connection_proof::verify(&statement, &session.proof).map_err(|_| "the client did not sign it")?;
    let binding = Binding {
        dn: session.dn.clone(),
        user_id: session.user_id,
        site: session.site,
        gateway,
        session: session.session,
        sid: session.sid,
        sign_in_idx: session.sign_in_idx,
        connect_seq: session.connect_seq,
        since: session.since,
        proof: session.proof.clone(),
        key,
    };
    // The state here is as new as the tokens of every session that a Gateway of this feed can have admitted.
    if state.may_bind(&binding) { Ok(binding) } else { Err("no device is registered with this name and key") }
}
