//! Why a knock was refused.

/// Why a knock was refused; for counters and audit, never for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum KnockError {
    /// Not the shape of a knock.
    #[error("not a knock")]
    Shape,
    /// No key has this hint now: junk, a foreign key, or a clock that is far off.
    #[error("no key has this hint")]
    UnknownHint,
    /// Altered, or made without the key.
    #[error("knock is not authentic")]
    Forged,
    /// Outside of the window.
    #[error("knock's time is outside of the window")]
    Time,
    /// Older than this process: it cannot know whether it was used.
    #[error("knock is older than this process")]
    BeforeStart,
    /// For another place.
    #[error("knock is for another destination")]
    Destination,
    /// The key's owner may not ask for this service.
    #[error("knock asks for what its key does not open")]
    Service,
    /// The device or its user was cut off since the key was made.
    #[error("the session that the knock's key belongs to was cut off")]
    Revoked,
    /// What the key bought from this source is spent, or it bought nothing.
    #[error("no packet opened the port for this connection, or another connection used it up")]
    Spent,
    /// Used before.
    #[error("knock was used before")]
    Replayed,
    /// The memory of used knocks has no room for more of this key.
    #[error("too many knocks of this key are remembered")]
    Full,
    /// This key's knocks of this second, or those dated ahead, are spent.
    #[error("too many knocks of one key in a second")]
    Budget,
    /// This key's knocks from this source are spent for this second.
    #[error("too many knocks of one key from one source in a second")]
    Source,
    /// Dated ahead, and not to be written down: after a restart it could be used again.
    #[error("knock is dated ahead of the clock and cannot be written down")]
    Journal,
}

impl KnockError {
    /// A word for counters.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Shape => "shape",
            Self::UnknownHint => "unknown hint",
            Self::Forged => "forged",
            Self::Time => "time",
            Self::BeforeStart => "before start",
            Self::Destination => "destination",
            Self::Service => "service",
            Self::Revoked => "revoked",
            Self::Spent => "spent",
            Self::Replayed => "replayed",
            Self::Full => "full",
            Self::Budget => "budget",
            Self::Source => "source",
            Self::Journal => "journal",
        }
    }
}
