//! The sealed way in for when nobody else can administer (T62): a code that was printed when the Collective was founded, known
//! here by its hash. It depends on no provider, no policy and no blocklist; every use is recorded.

use std::net::IpAddr;

use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// SHA-256 of a break-glass code, base64url. Not printable.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BreakGlassHash(String);

impl BreakGlassHash {
    /// From the hash's 32 bytes.
    #[must_use]
    pub fn new(sha256: [u8; 32]) -> Self {
        Self(data_encoding::BASE64URL_NOPAD.encode(&sha256))
    }
}

impl std::fmt::Debug for BreakGlassHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BreakGlassHash(…)")
    }
}

/// The code in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlass {
    /// Hash of the code.
    pub hash: BreakGlassHash,
    /// Since when.
    pub made_at: UnixMillis,
    /// When, and from where, it was last used.
    #[serde(default)]
    pub used: Option<(UnixMillis, IpAddr)>,
}

/// A new code; the former one is invalid, and so are the sessions that it opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetBreakGlass {
    /// Hash of the code.
    pub hash: BreakGlassHash,
}

/// Somebody signs in with the code. Refused if it is not the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseBreakGlass {
    /// Hash of the code that was given.
    pub hash: BreakGlassHash,
    /// From where.
    pub source: IpAddr,
}

impl SetBreakGlass {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let glass = BreakGlass { hash: self.hash.clone(), made_at: step.now, used: None };
        step.state.break_glass = Some(glass);
        step.state.end_sessions(super::admin_session::AdminSession::is_break_glass);
        Ok(Reply::Done)
    }
}

impl UseBreakGlass {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let now = step.now;
        let glass = step.state.break_glass.as_mut().filter(|glass| glass.hash == self.hash);
        let glass = glass.ok_or_else(|| Rejection::not_found("break-glass code", "with this hash"))?;
        glass.used = Some((now, self.source));
        Ok(Reply::Done)
    }
}

impl State {
    /// The break-glass code in force.
    #[must_use]
    pub const fn break_glass(&self) -> Option<&BreakGlass> {
        self.break_glass.as_ref()
    }
}
