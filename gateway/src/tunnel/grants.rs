//! Who may attach a tunnel, with which token, and which worker will carry it. Pure: the time is an argument.
//!
//! Promises: a token opens at most one tunnel, within [`TOKEN_LIFE`], for the key of its session (T12); after
//! [`Grants::cut`] no token of the session opens anything. Looked at per connection, never per packet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringwall_actors::ports::{AttachToken, TunnelGrant};
use ringwall_protocol::id::{SessionId, Thumbprint};

/// How long an attach token waits for its tunnel.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(30);
/// Tokens of one session that may wait at once; the oldest gives way.
const TOKENS_PER_SESSION: usize = 4;

/// The switch that every packet of a session looks at. Closed once, for ever.
#[derive(Debug, Default)]
pub(super) struct Gate(AtomicBool);

impl Gate {
    /// True while packets may pass.
    pub(super) fn is_open(&self) -> bool {
        !self.0.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Why a tunnel connection found no session. The peer learns nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum AttachRefusal {
    #[error("the attach token is unknown, spent or expired")]
    Token,
    #[error("the tunnel's certificate has another key than its session")]
    Key,
}

/// Where an attached tunnel goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) session: SessionId,
    pub(super) owner: usize,
}

/// All sessions and the tokens that wait for their tunnels.
#[derive(Debug, Default)]
pub(super) struct Grants {
    sessions: HashMap<SessionId, Granted>,
    tokens: HashMap<AttachToken, Expected>,
}

#[derive(Debug)]
struct Granted {
    key: Thumbprint,
    owner: usize,
    gate: Arc<Gate>,
    tokens: VecDeque<AttachToken>,
}

#[derive(Debug)]
struct Expected {
    session: SessionId,
    until: Instant,
}

impl Grants {
    /// Makes a session known; answers its gate, or `None` if it is known already.
    pub(super) fn open(&mut self, grant: &TunnelGrant, owner: usize) -> Option<Arc<Gate>> {
        if self.sessions.contains_key(&grant.session) {
            return None;
        }
        let gate = Arc::new(Gate::default());
        let granted = Granted { key: grant.key, owner, gate: Arc::clone(&gate), tokens: VecDeque::new() };
        self.sessions.insert(grant.session, granted);
        Some(gate)
    }

    /// Lets `token` open the session's tunnel, once. Of an unknown session it is forgotten at once.
    pub(super) fn expect(&mut self, session: SessionId, token: AttachToken, now: Instant) {
        let Some(granted) = self.sessions.get_mut(&session) else { return };
        while granted.tokens.len() >= TOKENS_PER_SESSION {
            if let Some(oldest) = granted.tokens.pop_front() {
                self.tokens.remove(&oldest);
            }
        }
        granted.tokens.push_back(token.clone());
        self.tokens.insert(token, Expected { session, until: now + TOKEN_LIFE });
    }

    /// Spends a token. It is gone afterwards, whatever the answer.
    pub(super) fn spend(
        &mut self,
        token: &AttachToken,
        key: Thumbprint,
        now: Instant,
    ) -> Result<Admitted, AttachRefusal> {
        let Expected { session, until } = self.tokens.remove(token).ok_or(AttachRefusal::Token)?;
        let granted = self.sessions.get_mut(&session).ok_or(AttachRefusal::Token)?;
        granted.tokens.retain(|waiting| waiting != token);
        if now > until {
            return Err(AttachRefusal::Token);
        }
        if granted.key != key {
            return Err(AttachRefusal::Key);
        }
        Ok(Admitted { session, owner: granted.owner })
    }

    /// Closes the session's gate and forgets session and tokens; answers its owner, or `None` if it is not known.
    pub(super) fn cut(&mut self, session: SessionId) -> Option<usize> {
        let granted = self.sessions.remove(&session)?;
        granted.gate.close();
        for token in &granted.tokens {
            self.tokens.remove(token);
        }
        Some(granted.owner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use ringwall_actors::ports::SessionAddresses;

    use super::*;

    const KEY: Thumbprint = Thumbprint([1; 32]);

    fn session(n: u8) -> SessionId {
        SessionId::from_random([n; 16])
    }

    fn grants() -> Grants {
        let mut grants = Grants::default();
        let addresses = SessionAddresses { v4: Some(Ipv4Addr::new(10, 0, 0, 1)), v6: None };
        assert!(grants.open(&TunnelGrant { session: session(1), addresses, key: KEY }, 3).is_some());
        grants
    }

    #[test]
    fn attach_token_opens_one_tunnel_only() {
        let (mut grants, now) = (grants(), Instant::now());
        grants.expect(session(1), AttachToken([7; 32]), now);
        assert_eq!(grants.spend(&AttachToken([7; 32]), KEY, now), Ok(Admitted { session: session(1), owner: 3 }));
        assert_eq!(grants.spend(&AttachToken([7; 32]), KEY, now), Err(AttachRefusal::Token));
    }

    #[test]
    fn attach_token_is_spent_by_a_wrong_key_and_expires() {
        let (mut grants, now) = (grants(), Instant::now());
        grants.expect(session(1), AttachToken([7; 32]), now);
        assert_eq!(grants.spend(&AttachToken([7; 32]), Thumbprint([2; 32]), now), Err(AttachRefusal::Key));
        assert_eq!(grants.spend(&AttachToken([7; 32]), KEY, now), Err(AttachRefusal::Token));
        grants.expect(session(1), AttachToken([8; 32]), now);
        let late = now + TOKEN_LIFE + Duration::from_millis(1);
        assert_eq!(grants.spend(&AttachToken([8; 32]), KEY, late), Err(AttachRefusal::Token));
    }

    #[test]
    fn cut_session_closes_its_gate_and_its_tokens() {
        let (mut grants, now) = (Grants::default(), Instant::now());
        let addresses = SessionAddresses { v4: Some(Ipv4Addr::new(10, 0, 0, 1)), v6: None };
        let grant = TunnelGrant { session: session(1), addresses, key: KEY };
        let gate = grants.open(&grant, 0).expect("new");
        assert!(grants.open(&grant, 0).is_none(), "known already");
        grants.expect(session(1), AttachToken([7; 32]), now);
        assert_eq!(grants.cut(session(1)), Some(0));
        assert!(!gate.is_open());
        assert_eq!(grants.spend(&AttachToken([7; 32]), KEY, now), Err(AttachRefusal::Token));
        grants.expect(session(1), AttachToken([8; 32]), now);
        assert!(grants.tokens.is_empty());
        assert_eq!(grants.cut(session(1)), None);
    }

    #[test]
    fn waiting_tokens_of_a_session_are_bounded() {
        let (mut grants, now) = (grants(), Instant::now());
        for n in 0..20 {
            grants.expect(session(1), AttachToken([n; 32]), now);
        }
        assert_eq!(grants.tokens.len(), TOKENS_PER_SESSION);
        assert!(grants.spend(&AttachToken([19; 32]), KEY, now).is_ok());
        assert!(grants.spend(&AttachToken([0; 32]), KEY, now).is_err());
    }
}
