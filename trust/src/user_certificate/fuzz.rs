//! A user's own certificate, and the proof of its key, as a Client presents them at sign-in.

use super::{Presentation, UserAuthorities, content, said, utf8_string, validity};
use crate::fuzz::choices::Choices;
use ringwall_protocol::time::UnixMillis;

/// A certificate in DER; its names are read as if it had been verified, for only then its content matters.
#[must_use]
pub fn user_certificate(bytes: &[u8]) -> bool {
    if let Some(text) = utf8_string(bytes) {
        assert!(text.len() < bytes.len());
    }
    assert!(content(bytes).is_none_or(|content| content.len() < bytes.len()));
    let nobody = UserAuthorities { anchors: vec![], revoked: vec![] };
    let mut choices = Choices::new(bytes);
    let (scheme, signature) = (u16::from_be_bytes([choices.byte(), choices.byte()]), choices.piece());
    let chain = [bytes.to_vec(), choices.rest().to_vec()];
    let presented = Presentation { chain: &chain, statement: b"statement", scheme, signature };
    assert!(nobody.prove(presented, UnixMillis(1_800_000_000_000)).is_err(), "no authority has issued it");
    let Some(user) = said(bytes) else { return false };
    assert!(validity(bytes).is_none_or(|(_, until)| until == user.not_after));
    true
}
