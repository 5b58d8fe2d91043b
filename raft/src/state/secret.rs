//! Secrets in the replicated state: sealed by the Collective's key-encryption key before they are proposed, so that
//! neither log nor snapshot shows them. This package cannot open them and never prints them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::map::Map;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// Longest sealed secret, as text: a sealed PKCS#8 chain or a provider's configuration fits.
pub(crate) const MAX_SEALED: usize = 64 * 1024;
/// Most named secrets: a few per provider, member and key.
pub(crate) const MAX_SECRETS: usize = 65_536;

/// A secret sealed by the proposer, base64url. `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Wraps what the proposer sealed.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The sealed text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn check(&self, field: &'static str) -> Result<(), Rejection> {
        if self.0.len() > MAX_SEALED {
            return Err(Rejection::invalid(field, format!("takes {} bytes, at most {MAX_SEALED}", self.0.len())));
        }
        Ok(())
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Keeps a sealed secret under a name, in place of the former one (`spa/master`, `provider/<id>/bindPassword`,
/// `kek/<node>`, …). Names are the caller's affair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutSecret {
    /// 1–256 bytes.
    pub name: String,
    /// The secret.
    pub sealed: Sealed,
}

/// Removes a named secret; absent is fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoveSecret {
    /// Its name.
    pub name: String,
}

/// Named secrets.
pub type Secrets = Map<String, Sealed>;

impl PutSecret {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        self.sealed.check("sealed")?;
        if self.name.is_empty() || self.name.len() > 256 {
            return Err(Rejection::invalid("name", "has 1 to 256 bytes"));
        }
        if step.state.secrets.len() >= MAX_SECRETS && !step.state.secrets.contains(&self.name) {
            return Err(Rejection::too_many("secrets", MAX_SECRETS));
        }
        step.state.secrets.insert(self.name.clone(), self.sealed.clone());
        Ok(Reply::Done)
    }
}

impl RemoveSecret {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        step.state.secrets.remove(&self.name);
        Ok(Reply::Done)
    }
}
