//! Choices from bytes: what a target does next that carries out a sequence of steps. The same bytes make the same choices;
//! after their end every choice is the first one.
//!
//! Included by the `fuzz` module of the packages that have such targets.

/// Bytes that choose.
#[derive(Debug, Clone, Copy)]
pub struct Choices<'b>(&'b [u8]);

impl<'b> Choices<'b> {
    /// Choices of these bytes.
    #[must_use]
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// Whether no byte is left.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte; 0 after the end.
    pub const fn byte(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
            [] => 0,
        }
    }

    /// A number below `count`, which is 1 to 256.
    pub fn below(&mut self, count: u16) -> u8 {
        u8::try_from(u16::from(self.byte()) % count.max(1)).unwrap_or_default()
    }

    /// The next bytes, as many as the byte before them says; fewer at the end.
    pub fn piece(&mut self) -> &'b [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// As [`Self::piece`], with a length of two bytes.
    pub fn long_piece(&mut self) -> &'b [u8] {
        let length = usize::from(u16::from_be_bytes([self.byte(), self.byte()])).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// Everything that is left.
    pub const fn rest(&mut self) -> &'b [u8] {
        let rest = self.0;
        self.0 = &[];
        rest
    }
}
