//! Users, their devices and their sessions, as administrators see and end them.

pub(crate) mod blacklist;
pub(crate) mod devices;
pub(crate) mod fido2;
pub(crate) mod live;
pub(crate) mod otp;
mod revocation_order;

use std::sync::Arc;

use super::questions::Questions;
use crate::peers::Peers;
use crate::replica::Replica;
use crate::replica::vault::Vault;
use crate::revocation::Revocation;

/// What looks after users, devices and sessions.
pub(crate) struct Users {
    pub(crate) replica: Replica,
    pub(crate) vault: Arc<Vault>,
    pub(crate) revocation: Arc<Revocation>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) questions: Arc<Questions>,
}
