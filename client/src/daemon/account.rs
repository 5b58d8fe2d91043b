//! This device in its profile: its key and id, what is stored of it, and the Controllers that it may call.

use std::sync::Arc;

use ringwall_protocol::token::ClaimsToken;
use ringwall_trust::identity::PrivateKey;
use ringwall_trust::secret::SystemRandom;

use super::UpOptions;
use super::session::Session;
use crate::controller::Controllers;
use crate::failure::Failure;
use crate::held_token::{HeldToken, Holder};
use crate::profile::Profile;
use crate::store::{Device, ProfileStore, StoredSession};

/// Bits of a certificate's serial that count the renewals of one sign-in; the bits above count the sign-ins.
const RENEWAL_BITS: u32 = 32;

/// One device of one profile.
pub(super) struct Account {
    pub(super) store: ProfileStore,
    pub(super) key: Arc<PrivateKey>,
    pub(super) holder: Holder,
    pub(super) profile: Arc<Profile>,
    forget_controllers: bool,
    /// Number of sign-ins that this process has opened.
    opened: u64,
}

impl Account {
    pub(super) fn new(options: &UpOptions) -> Result<Self, Failure> {
        let store = options.state.store(&options.stored.slot);
        let device = store.device(&SystemRandom)?;
        let key = Arc::new(store.key(options.key_kind)?);
        let holder = Holder { device: device.device_id, key: key.thumbprint() };
        let profile = Arc::new(options.stored.profile.clone());
        Ok(Self { store, key, holder, profile, forget_controllers: options.forget_controllers, opened: 0 })
    }

    /// Checks a stored sign-in and makes a session of it.
    pub(super) fn open(&mut self, stored: StoredSession) -> Result<Session, Failure> {
        self.opened += 1;
        let serial = self.opened << RENEWAL_BITS;
        Session::open(stored, self.holder, &self.key, self.controllers(), serial)
    }

    /// The Controllers as they are known before there is a session.
    pub(super) fn controllers(&self) -> Controllers {
        let (known, issued) = match self.store.session() {
            Ok(Some(stored)) if !self.forget_controllers => {
                let issued = HeldToken::<ClaimsToken>::issued(stored.claims_token.expose());
                (stored.controllers, issued)
            }
            _ => (vec![], None),
        };
        let key = self.device().ok().and_then(|device| device.spa_key).and_then(|key| key.expose().parse().ok());
        Controllers::of(Arc::clone(&self.profile)).known(known).issued(issued).with_device_key(key)
    }

    /// What is stored of this device.
    pub(super) fn device(&self) -> Result<Device, Failure> {
        Ok(self.store.device(&SystemRandom)?)
    }
}
