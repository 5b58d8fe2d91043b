//! Time-based one-time codes (RFC 6238): SHA-1, six digits, 30 seconds, one step of tolerance either way.
//!
//! A code that matches gives its step; the caller records the last step a user spent and refuses that one and older
//! ones, because a code counts once (RFC 6238 §5.2).

use ringwall_protocol::time::UnixMillis;
use totp_rs::{Algorithm, Builder, Totp};
use zeroize::Zeroizing;

use crate::secret::Random;

/// Seconds of a step.
pub(crate) const STEP_SECONDS: u64 = 30;
/// Steps of tolerance before and after now.
const TOLERANCE: u16 = 1;
const DIGITS: u8 = 6;
/// RFC 4226 §4 R6 recommends 160 bits.
const SEED_BYTES: usize = 20;

/// A number of 30-second steps since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(pub u64);

/// A user's seed. No `Debug`; wiped when dropped.
#[derive(Clone)]
pub struct Seed(Zeroizing<Vec<u8>>);

/// Bytes were no seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a seed of 16 to 64 bytes, got {0}")]
pub struct InvalidSeed(usize);

impl Seed {
    /// A new seed of 160 bits.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let bytes: [u8; SEED_BYTES] = random.array();
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// A seed that was stored.
    ///
    /// # Errors
    /// [`InvalidSeed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidSeed> {
        if !(16..=64).contains(&bytes.len()) {
            return Err(InvalidSeed(bytes.len()));
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// The bytes, for sealing.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The seed in base32, as people type it.
    #[must_use]
    pub fn expose_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::BASE32_NOPAD.encode(&self.0))
    }

    /// The step whose code this is, if it is the current one or a neighbour.
    #[must_use]
    pub fn verify(&self, code: &str, now: UnixMillis) -> Option<Step> {
        self.totp(None).check(code, now.seconds()).map(Step)
    }

    /// The current code, for authenticators and tests.
    #[must_use]
    pub fn code(&self, now: UnixMillis) -> String {
        self.totp(None).generate(now.seconds()).to_string()
    }

    /// The `otpauth://totp/…` link for a QR code; as secret as the seed. Colons in the names become spaces.
    #[must_use]
    pub fn expose_url(&self, issuer: &str, account: &str) -> Zeroizing<String> {
        let url = self.totp(Some((issuer, account))).to_url();
        Zeroizing::new(url.expect("the account is set, not empty and without colon"))
    }

    fn totp(&self, names: Option<(&str, &str)>) -> Totp {
        let mut builder = Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_skew(TOLERANCE)
            .with_step_duration(STEP_SECONDS)
            .with_secret(self.0.to_vec());
        if let Some((issuer, account)) = names {
            let account = account.replace(':', " ");
            let account = if account.trim().is_empty() { "user".to_owned() } else { account };
            builder = builder.with_account_name(account).with_issuer(Some(issuer.replace(':', " ")));
        }
        builder.build().expect("digits, step and seed length are constants or were checked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SystemRandom;

    #[test]
    fn codes_match_rfc_6238_appendix_b() {
        let seed = Seed::from_bytes(b"12345678901234567890").expect("a seed");
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            let now = UnixMillis::from_seconds(seconds);
            assert_eq!(seed.code(now), code);
            assert_eq!(seed.verify(code, now), Some(Step(seconds / 30)));
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_or_late_and_says_which() {
        let seed = Seed::generate(&SystemRandom);
        let at = UnixMillis::from_seconds(3_000);
        let code = seed.code(at);
        for (seconds, expected) in [(2_969, None), (2_970, Some(Step(100))), (3_059, Some(Step(100))), (3_060, None)] {
            let seen = seed.verify(&code, UnixMillis::from_seconds(seconds));
            // Another step may by chance have the same code; then it says that step.
            assert!(seen == expected || (expected.is_none() && seen.is_some_and(|step| step != Step(100))));
        }
    }

    #[test]
    fn malformed_codes_match_nothing() {
        let seed = Seed::generate(&SystemRandom);
        for bad in ["", "12345", "1234567", "+12345", "12 345", "١٢٣٤٥٦"] {
            assert_eq!(seed.verify(bad, UnixMillis::from_seconds(3_000)), None, "{bad}");
        }
        assert!(Seed::from_bytes(&[0; 8]).is_err());
    }

    #[test]
    fn the_link_names_issuer_and_account() {
        let seed = Seed::from_bytes(b"12345678901234567890").expect("a seed");
        let url = seed.expose_url("Ring:wall", "alice");
        assert!(url.starts_with("otpauth://totp/"), "{}", *url);
        assert!(url.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{}", *url);
        assert!(url.contains("alice"), "{}", *url);
    }
}
