//! Secrets in the replicated state: sealed by the Collective's key-encryption key before they are proposed, so that
//! neither log nor snapshot shows them. This package cannot open them and never prints them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::kek::Kek;
use super::map::Map;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// Longest sealed secret, as text: a sealed PKCS#8 chain or a provider's configuration fits.
pub(crate) const MAX_SEALED: usize = 64 * 1024;
/// Most named secrets: a few per provider, member and key.
pub(crate) const MAX_SECRETS: usize = 65_536;

/// A secret sealed by the proposer: `<generation>.<base64url>`, where the generation says under which key-encryption key
/// (decimal, see [`super::kek::Kek`]). `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// What was sealed under this generation of the key-encryption key, as base64url.
    #[must_use]
    pub fn new(generation: u32, text: impl fmt::Display) -> Self {
        Self(format!("{generation}.{text}"))
    }

    /// A sealed text as it stands in the state.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Under which generation of the key-encryption key the text was sealed; `None` if it is no sealed text.
    #[must_use]
    pub fn generation(&self) -> Option<u32> {
        Some(split(&self.0)?.0)
    }

    /// The sealed text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn check(&self, field: &'static str, kek: &Kek) -> Result<(), Rejection> {
        if self.0.len() > MAX_SEALED {
            return Err(Rejection::invalid(field, format!("takes {} bytes, at most {MAX_SEALED}", self.0.len())));
        }
        let generation = self.generation().ok_or_else(|| Rejection::invalid(field, "is no sealed text"))?;
        // Of a proposer that has not heard yet that this key was retired.
        if !(kek.oldest..=kek.active).contains(&generation) {
            let what = format!("generation {generation} of the key-encryption key");
            return Err(Rejection::WrongState { what, state: "not in use".to_owned() });
        }
        Ok(())
    }

    /// The same, and sealed under the active key: what replaces a key must not be read with the former one.
    pub(crate) fn check_active(&self, field: &'static str, kek: &Kek) -> Result<(), Rejection> {
        self.check(field, kek)?;
        if self.generation() == Some(kek.active) {
            return Ok(());
        }
        let what = format!("the key-encryption key under which {field} is sealed");
        Err(Rejection::WrongState { what, state: "replaced".to_owned() })
    }
}

/// A sealed text in its two parts: under which generation of the key-encryption key, and what was sealed, base64url. `None` if
/// it is no sealed text.
#[must_use]
pub fn split(sealed: &str) -> Option<(u32, &str)> {
    let (generation, text) = sealed.split_once('.')?;
    Some((generation.parse().ok()?, text))
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Keeps a sealed secret under a name, in place of the former one (`provider/<id>/bindPassword`, …). The name is
/// also the label under the seal.
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
        self.sealed.check("sealed", &step.state.kek)?;
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
