//! Why a packet is dropped before anybody looks at where it goes. One packet is lost by it, never a session.

/// What was odd about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Neither IPv4 nor IPv6.
    #[error("neither IPv4 nor IPv6")]
    Version,
    /// A length field disagrees with the bytes that are there.
    #[error("a length in the packet disagrees with its bytes")]
    Length,
    /// IPv4 options: source routes and the like (RFC 7126).
    #[error("IPv4 options")]
    Options,
    /// An IPv6 routing or hop-by-hop header, or more extension headers than anybody needs.
    #[error("a forbidden IPv6 extension header")]
    Extension,
    /// Segments or an incomplete checksum where there is no transport header to which they could apply.
    #[error("offload is impossible for this packet")]
    Offload,
}
