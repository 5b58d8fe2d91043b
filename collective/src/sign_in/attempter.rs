//! Who tries to sign in, before anything is proved by it: whose failures are counted together, and in which room the attempt
//! waits (T64). A device that brings its cookie and key, and an administrator's machine whose key signed in before, are known;
//! whoever guesses beside them, behind the same address, takes nothing of theirs.

use std::net::IpAddr;

use ringwall_protocol::id::{DeviceId, Thumbprint, UserId};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::identity::hashing::Lane;
use crate::refusal::Refusal;

/// Sign-ins in progress at once of Clients that proved nothing; beyond it `busy`.
const UNKNOWN: usize = 128;
/// Of registered devices.
const KNOWN: usize = 64;
/// Of administrators, and as many again of those whose key is known.
const ADMINISTRATORS: usize = 32;

/// Who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Attempter {
    /// A Client that proved nothing: known by where it comes from.
    Source(IpAddr),
    /// A registered device: it brought its cookie and key, or knocked with its own key.
    Device(UserId, DeviceId),
    /// A Client whose first credential was right, answering in its transaction, which has few attempts of its own.
    Pending(IpAddr),
    /// Somebody at the admin API who proved nothing.
    AdminSource(IpAddr),
    /// Whoever holds a key with which this administrator signed in before.
    AdminKey(UserId, Thumbprint),
}

impl Attempter {
    /// Whether more than an address is known.
    #[must_use]
    pub(crate) const fn is_known(self) -> bool {
        matches!(self, Self::Device(..) | Self::AdminKey(..))
    }

    /// Where the password work of the attempt waits.
    #[must_use]
    pub(crate) const fn lane(self) -> Lane {
        if self.is_known() { Lane::Known } else { Lane::Unknown }
    }
}

/// Room for sign-ins in progress, apart for each kind of attempter.
#[derive(Debug)]
pub(crate) struct Places {
    unknown: Semaphore,
    known: Semaphore,
    administrators: Semaphore,
    known_administrators: Semaphore,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            unknown: Semaphore::new(UNKNOWN),
            known: Semaphore::new(KNOWN),
            administrators: Semaphore::new(ADMINISTRATORS),
            known_administrators: Semaphore::new(ADMINISTRATORS),
        }
    }
}

impl Places {
    /// A place for as long as the attempt takes.
    ///
    /// # Errors
    /// `busy` if there is none for attempters of this kind.
    pub(crate) fn take(&self, attempter: Attempter) -> Result<SemaphorePermit<'_>, Refusal> {
        let room = match attempter {
            Attempter::Source(_) => &self.unknown,
            Attempter::Device(..) | Attempter::Pending(_) => &self.known,
            Attempter::AdminSource(_) => &self.administrators,
            Attempter::AdminKey(..) => &self.known_administrators,
        };
        room.try_acquire().map_err(|_| Refusal::busy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_proved_nothing_take_no_place_of_those_who_did() {
        let places = Places::default();
        let from = IpAddr::from([192, 0, 2, 1]);
        let device = Attempter::Device(UserId::from_random([1; 16]), DeviceId::from_random([2; 16]));
        let key = Attempter::AdminKey(UserId::from_random([1; 16]), Thumbprint([3; 32]));
        let guessers: Vec<_> = (0..UNKNOWN).map(|_| places.take(Attempter::Source(from)).expect("a place")).collect();
        let others: Vec<_> =
            (0..ADMINISTRATORS).map(|_| places.take(Attempter::AdminSource(from)).expect("a place")).collect();
        assert!(places.take(Attempter::Source(from)).is_err() && places.take(Attempter::AdminSource(from)).is_err());
        assert!(places.take(device).is_ok() && places.take(key).is_ok());
        drop((guessers, others));
        assert!(places.take(Attempter::Source(from)).is_ok());
    }
}
