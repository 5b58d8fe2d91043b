//! This Controller's two intermediates: the one that issues certificates for Clients' sessions, and the one for appliances.
//!
//! Owns their private keys. Their certificates stand in the member record; what was made of one is kept until the record
//! has another.

use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::NodeId;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::State;
use ringwall_trust::ca::IssuingCa;
use ringwall_trust::identity::PrivateKey;
use rustls::pki_types::CertificateDer;

use crate::refusal::Refusal;
use crate::setup::founding::copy_key;

/// Private keys of the intermediates.
pub(crate) struct IssuerKeys {
    pub(crate) client: PrivateKey,
    pub(crate) appliance: PrivateKey,
}

/// The intermediates of one Controller.
pub(crate) struct Intermediates {
    me: NodeId,
    keys: IssuerKeys,
    kept: Mutex<Option<Kept>>,
}

/// Intermediates as the member record had them.
struct Kept {
    client_text: String,
    appliance_text: String,
    client: Arc<IssuingCa>,
    appliance: Arc<IssuingCa>,
}

impl Intermediates {
    /// Those of node `me`, with their keys.
    pub(crate) const fn new(me: NodeId, keys: IssuerKeys) -> Self {
        Self { me, keys, kept: Mutex::new(None) }
    }

    /// The intermediate for Clients' certificates.
    ///
    /// # Errors
    /// `busy` until the root signed it.
    pub(crate) fn client(&self, state: &State) -> Result<Arc<IssuingCa>, Refusal> {
        self.both(state).map(|(client, _)| client)
    }

    /// The intermediate for appliances' certificates.
    ///
    /// # Errors
    /// `busy` until the root signed it.
    pub(crate) fn appliance(&self, state: &State) -> Result<Arc<IssuingCa>, Refusal> {
        self.both(state).map(|(_, appliance)| appliance)
    }

    /// Those whose certificates the member record holds now.
    fn both(&self, state: &State) -> Result<(Arc<IssuingCa>, Arc<IssuingCa>), Refusal> {
        let record = state.controller(self.me);
        let texts = record.and_then(|record| record.client_issuer.as_ref().zip(record.appliance_issuer.as_ref()));
        let Some((client_text, appliance_text)) = texts else {
            return Err(Refusal::new(ErrorCode::Busy, "the root has not signed this controller's intermediates yet"));
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref()
            && kept.client_text == *client_text
            && kept.appliance_text == *appliance_text
        {
            return Ok((Arc::clone(&kept.client), Arc::clone(&kept.appliance)));
        }
        let client = Arc::new(issuer(&self.keys.client, client_text)?);
        let appliance = Arc::new(issuer(&self.keys.appliance, appliance_text)?);
        *kept = Some(Kept {
            client_text: client_text.clone(),
            appliance_text: appliance_text.clone(),
            client: Arc::clone(&client),
            appliance: Arc::clone(&appliance),
        });
        Ok((client, appliance))
    }
}

fn issuer(key: &PrivateKey, text: &str) -> Result<IssuingCa, Refusal> {
    let damaged = |error: String| {
        tracing::error!(error, "intermediate in the member record is not usable");
        Refusal::internal()
    };
    let der = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|error| damaged(error.to_string()))?;
    let key = copy_key(key).map_err(|error| damaged(error.to_string()))?;
    IssuingCa::new(key, CertificateDer::from(der)).map_err(|error| damaged(error.to_string()))
}
