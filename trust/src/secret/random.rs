//! Where random bytes come from: a trait that pure code is given, and the operating system's source for the rim.

/// A source of random bytes that nobody else can predict.
///
/// Tests pass a fixed one; production passes [`SystemRandom`].
pub trait Random: Send + Sync {
    /// Fills all of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Random + '_ {
    /// `N` random bytes.
    pub fn array<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// AWS-LC's generator, seeded by the kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the generator aborts the process rather than fail");
    }
}
