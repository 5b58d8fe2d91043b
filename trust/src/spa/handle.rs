//! Handles: which device a knock comes from, said so that only the receiver understands it (T48).
//!
//! ```text
//! nonce(8) ‖ { session(8) ‖ user(8) ‖ log index(8) } xor HMAC(receiver's handle key, nonce)
//! ```
//!
//! A Controller makes one for every entitlement token; the key that belongs to it is derived from the Gateway's key and
//! the handle. So the Gateway needs no list of devices, a changed handle has another key, and the handle tells its bearer
//! and everybody else nothing. Administrators' keys for the admin port are made in the same way. Session and user are heads of hashes of their Distinguished Names: enough to hold them
//! against what was cut, too little to name anybody.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::hmac;
use ringwall_protocol::id::{ApplianceId, LogIndex};
use ringwall_protocol::name::{DnScope, SessionDn, UserDn};
use ringwall_protocol::revocation::{Revocation, RevocationMode, RevocationScope, TokenKind};

use super::KeyOwner;
use super::key::HandleRoot;
use crate::secret::{Random, SecretKey, sha256};

/// Bytes of a handle.
pub(super) const HANDLE_LEN: usize = 32;
const NONCE: usize = 8;

/// A handle as it stands in a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Handle([u8; HANDLE_LEN]);

/// Head of the hash of a session's Distinguished Name: one device of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionTag(pub(super) [u8; 8]);

/// What keys with handles open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// A Gateway, for sessions.
    Gateway(ApplianceId),
    /// The admin port, for administrators.
    Administrators,
}

impl Realm {
    pub(super) const fn owner(self, session: SessionTag) -> KeyOwner {
        match self {
            Self::Gateway(gateway) => KeyOwner::Session(gateway, session),
            Self::Administrators => KeyOwner::Administrator(session),
        }
    }
}

/// What a handle says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HandleFacts {
    pub(super) session: SessionTag,
    user: [u8; 8],
    /// Index of the state in which the sign-in was first checked.
    idx: LogIndex,
}

impl Handle {
    /// A handle for a session at the receiver whose own key is `root`; `idx` is that of its claims token.
    #[must_use]
    pub fn new(root: &SecretKey, dn: &SessionDn, idx: LogIndex, random: &dyn Random) -> Self {
        let mut bytes = [0; HANDLE_LEN];
        bytes[..NONCE].copy_from_slice(&random.array::<NONCE>());
        let facts = [session_tag(dn).0, user_tag(&dn.user), idx.0.to_be_bytes()];
        bytes[NONCE..].copy_from_slice(facts.as_flattened());
        Self(veiled(bytes, &HandleRoot::new(root).seal))
    }

    pub(super) const fn from_bytes(bytes: [u8; HANDLE_LEN]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; HANDLE_LEN] {
        &self.0
    }

    /// What it says; only a handle whose key was proved says something true.
    pub(super) fn open(self, root: &HandleRoot) -> HandleFacts {
        let bytes = veiled(self.0, &root.seal);
        let part = |at: usize| -> [u8; 8] { bytes[at..at + 8].try_into().expect("a handle has 32 bytes") };
        HandleFacts { session: SessionTag(part(8)), user: part(16), idx: LogIndex(u64::from_be_bytes(part(24))) }
    }
}

/// Laid over twice, it is gone.
fn veiled(mut bytes: [u8; HANDLE_LEN], key: &hmac::Key) -> [u8; HANDLE_LEN] {
    let veil = hmac::sign(key, &bytes[..NONCE]);
    bytes[NONCE..].iter_mut().zip(veil.as_ref()).for_each(|(byte, veil)| *byte ^= veil);
    bytes
}

fn session_tag(dn: &SessionDn) -> SessionTag {
    SessionTag(head(&dn.to_string()))
}

fn user_tag(dn: &UserDn) -> [u8; 8] {
    head(&dn.to_string())
}

fn head(text: &str) -> [u8; 8] {
    sha256(text.as_bytes())[..8].try_into().expect("SHA-256 has 32 bytes")
}

/// Which handles are refused: those of sessions and users that were cut off after the handle's sign-in, and those of
/// users who are blocked. Other revocations only want newer tokens; their bearers must still be able to come and hear so.
#[derive(Debug, Default)]
pub struct HandleCutoffs {
    sessions: HashMap<SessionTag, LogIndex>,
    users: HashMap<[u8; 8], LogIndex>,
    blocked: HashSet<[u8; 8]>,
}

impl HandleCutoffs {
    /// Takes a revocation into account, if it ends sessions at once.
    pub fn add(&mut self, revocation: &Revocation) {
        if revocation.mode != RevocationMode::Cut || !revocation.kinds.contains(&TokenKind::Claims) {
            return;
        }
        let index = revocation.index;
        match &revocation.scope {
            RevocationScope::Dn(DnScope::Device(dn)) => raise(&mut self.sessions, session_tag(dn), index),
            RevocationScope::Dn(DnScope::User(dn)) => raise(&mut self.users, user_tag(dn), index),
            _ => {}
        }
    }

    /// Forgets a revocation that no living token can be older than.
    pub fn forget(&mut self, index: LogIndex) {
        self.sessions.retain(|_, cut| *cut != index);
        self.users.retain(|_, cut| *cut != index);
    }

    /// Forgets all revocations.
    pub fn clear(&mut self) {
        self.sessions.clear();
        self.users.clear();
    }

    /// Refuses these users from now on, and no others that were blocked before.
    pub fn block<'a>(&mut self, users: impl IntoIterator<Item = &'a UserDn>) {
        self.blocked = users.into_iter().map(user_tag).collect();
    }

    pub(super) fn refuse(&self, facts: &HandleFacts) -> bool {
        let cut = self.sessions.get(&facts.session).into_iter().chain(self.users.get(&facts.user));
        cut.into_iter().any(|cut| facts.idx < *cut) || self.blocked.contains(&facts.user)
    }
}

fn raise<K: std::hash::Hash + Eq>(cut: &mut HashMap<K, LogIndex>, key: K, index: LogIndex) {
    let known = cut.entry(key).or_insert(index);
    *known = (*known).max(index);
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::time::UnixMillis;

    use super::*;
    use crate::secret::SystemRandom;

    fn dn(device: &str, user: &str) -> SessionDn {
        format!("CN={device},CN={user},OU=local").parse().expect("a DN")
    }

    fn alice() -> SessionDn {
        dn("4c07bc6757ea42ddb702c2d6c45419fc", "alice")
    }

    fn cut(index: u64, scope: DnScope, mode: RevocationMode) -> Revocation {
        Revocation {
            index: LogIndex(index),
            scope: RevocationScope::Dn(scope),
            kinds: TokenKind::ALL.into(),
            site: None,
            mode,
            reason: String::new(),
            at: UnixMillis(0),
            told: 1,
            effective: 1,
        }
    }

    #[test]
    fn a_handle_says_what_was_put_in_to_its_gateway_only() {
        let (gateway, other) = (SecretKey::new([1; 32]), SecretKey::new([2; 32]));
        let handle = Handle::new(&gateway, &alice(), LogIndex(77), &SystemRandom);
        let facts = handle.open(&HandleRoot::new(&gateway));
        assert_eq!(
            facts,
            HandleFacts { session: session_tag(&alice()), user: user_tag(&alice().user), idx: LogIndex(77) }
        );
        assert_ne!(handle.open(&HandleRoot::new(&other)).session, facts.session);
    }

    #[test]
    fn two_handles_of_one_device_have_nothing_in_common() {
        let gateway = SecretKey::new([1; 32]);
        let new = || Handle::new(&gateway, &alice(), LogIndex(77), &SystemRandom);
        let (one, other) = (new(), new());
        for (at, (a, b)) in one.0.chunks(8).zip(other.0.chunks(8)).enumerate() {
            assert_ne!(a, b, "part {at}");
        }
    }

    #[test]
    fn only_cuts_of_the_device_or_its_user_after_the_sign_in_refuse() {
        let gateway = SecretKey::new([1; 32]);
        let facts = |dn: &SessionDn, idx| {
            Handle::new(&gateway, dn, LogIndex(idx), &SystemRandom).open(&HandleRoot::new(&gateway))
        };
        let phone = dn("00000000000000000000000000000001", "alice");
        let mut cutoffs = HandleCutoffs::default();
        cutoffs.add(&cut(100, DnScope::Device(alice()), RevocationMode::Cut));
        cutoffs.add(&cut(300, DnScope::Everyone, RevocationMode::Cut));
        cutoffs.add(&cut(300, DnScope::Device(phone.clone()), RevocationMode::RenewNow));
        assert!(cutoffs.refuse(&facts(&alice(), 99)));
        assert!(!cutoffs.refuse(&facts(&alice(), 100)), "signed in again");
        assert!(!cutoffs.refuse(&facts(&phone, 99)), "another device of hers");
        cutoffs.add(&cut(200, DnScope::User(alice().user), RevocationMode::Cut));
        assert!(cutoffs.refuse(&facts(&phone, 199)));
        assert!(!cutoffs.refuse(&facts(&dn("4c07bc6757ea42ddb702c2d6c45419fc", "bob"), 1)));
        cutoffs.forget(LogIndex(200));
        assert!(!cutoffs.refuse(&facts(&phone, 99)));
        cutoffs.clear();
        assert!(!cutoffs.refuse(&facts(&alice(), 1)));
        cutoffs.block([&alice().user]);
        assert!(cutoffs.refuse(&facts(&phone, 1_000)), "however new the handle is");
        cutoffs.block([]);
        assert!(!cutoffs.refuse(&facts(&phone, 1_000)));
    }
}
