//! Randomness as an argument: cores draw ids and tokens from an [`Entropy`] that the shell hands in.

/// A source of random bytes.
pub trait Entropy {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// `N` random bytes.
pub(crate) fn draw<const N: usize>(entropy: &mut dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// The operating system's generator, by way of the thread's.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadEntropy;

impl Entropy for ThreadEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        use rand::Rng as _;
        rand::rng().fill_bytes(bytes);
    }
}

/// Counts: for tests, where runs must repeat.
#[cfg(any(test, fuzzing))]
#[derive(Debug, Clone, Default)]
pub(crate) struct CountingEntropy(u64);

#[cfg(any(test, fuzzing))]
impl CountingEntropy {
    /// One that counts on from `count`, so that it draws nothing that another one draws.
    #[must_use]
    pub(crate) const fn starting_at(count: u64) -> Self {
        Self(count)
    }
}

#[cfg(any(test, fuzzing))]
impl Entropy for CountingEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 += 1;
        let count = self.0.to_be_bytes();
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = count[at % count.len()];
        }
    }
}
