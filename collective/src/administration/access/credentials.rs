//! What a request of the admin API is proved with: a bearer token (RFC 6750), or a token that is bound to a key together with
//! a proof for this very request (DPoP, RFC 9449; T57).

use std::net::IpAddr;

use ringwall_protocol::id::Thumbprint;
use ringwall_protocol::object::GlobalSettings;
use ringwall_protocol::time::UnixMillis;
use ringwall_trust::dpop::{ProofOf, VerifiedProof, verify};

use super::session::not_signed_in;
use crate::administration::denial::Denial;

/// Longest `Authorization` header that is looked at, in bytes.
const MAX_HEADER: usize = 8 * 1024;

/// The parts of a request by which its sender is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credentials<'a> {
    /// `Authorization`.
    pub(crate) authorization: Option<&'a str>,
    /// `DPoP`.
    pub(crate) proof: Option<&'a str>,
    /// HTTP method.
    pub(crate) method: &'a str,
    /// URL without query, as the sender wrote it.
    pub(crate) url: &'a str,
}

/// A token, and the proof that came with it.
pub(super) struct Presented<'a> {
    pub(super) token: &'a str,
    /// Absent for `Bearer`.
    pub(super) proof: Option<VerifiedProof>,
}

impl<'a> Credentials<'a> {
    /// The token of `Bearer <token>`, or of `DPoP <token>` with its proof verified.
    ///
    /// # Errors
    /// `NotSignedIn` for whatever is wrong with it.
    pub(super) fn presented(&self, now: UnixMillis) -> Result<Presented<'a>, Denial> {
        let header = self.authorization.filter(|header| header.len() <= MAX_HEADER);
        let (scheme, token) = header.and_then(|header| header.split_once(' ')).ok_or_else(|| {
            not_signed_in(
                "unauthorized",
                "expected the header Authorization: Bearer <token>, or DPoP <token>; sign in first",
            )
        })?;
        let token = token.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Presented { token, proof: None });
        }
        if !scheme.eq_ignore_ascii_case("dpop") {
            return Err(not_signed_in("unauthorized", "expected a token of the scheme Bearer or DPoP"));
        }
        let proof = self.proof.ok_or_else(|| not_signed_in("proofInvalid", "expected the header DPoP with a proof"))?;
        self.verified(proof, Some(token), now).map(|proof| Presented { token, proof: Some(proof) })
    }

    /// The key to which a session is to be bound that this request opens; none if it brings no proof.
    ///
    /// # Errors
    /// `NotSignedIn` for a proof that is wrong.
    pub(super) fn key(&self, now: UnixMillis) -> Result<Option<Thumbprint>, Denial> {
        self.proof.map(|proof| self.verified(proof, None, now).map(|proof| proof.key)).transpose()
    }

    fn verified(&self, proof: &str, token: Option<&str>, now: UnixMillis) -> Result<VerifiedProof, Denial> {
        let of = ProofOf { method: self.method, url: self.url, token };
        verify(proof, of, now).map_err(|error| not_signed_in("proofInvalid", &error.to_string()))
    }
}

/// Refuses a bearer token from where the settings permit none.
///
/// # Errors
/// `NotSignedIn`.
pub(super) fn check_source(settings: &GlobalSettings, from: IpAddr) -> Result<(), Denial> {
    let from = from.to_canonical();
    if settings.bearer_sources.is_empty() || settings.bearer_sources.iter().any(|network| network.contains(&from)) {
        return Ok(());
    }
    let message = "bearer tokens are not accepted from this address (bearerSources of the global settings); use ringctl, \
                   whose token is bound to a key";
    Err(not_signed_in("sourceRefused", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens_are_accepted_from_the_networks_of_the_settings_only() {
        let mut settings = GlobalSettings::default();
        let at = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(check_source(&settings, at("192.0.2.1")).is_ok());
        settings.bearer_sources = vec!["192.0.2.0/24".parse().expect("a network")];
        assert!(check_source(&settings, at("192.0.2.1")).is_ok());
        assert!(check_source(&settings, at("::ffff:192.0.2.1")).is_ok(), "IPv4 on a socket of both families");
        assert!(check_source(&settings, at("198.51.100.1")).is_err());
    }
}
