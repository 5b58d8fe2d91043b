//! Frames of appliances that want to join; whoever finds the peer port can send one.

use futures_util::FutureExt;
use ringwall_protocol::wire::join::{JoinRequest, MAX_JOIN_MESSAGE};

use super::frame;
use super::join::verified_request;

/// A frame with a request: what it holds is the same when it is written again, and its key is one that was proved.
#[must_use]
pub fn join_request(bytes: &[u8]) -> bool {
    let read = |mut bytes: &[u8]| {
        frame::read::<JoinRequest>(&mut bytes, MAX_JOIN_MESSAGE).now_or_never().expect("all of it is there")
    };
    let request = match read(bytes) {
        Ok(request) => request,
        Err(error) => {
            let said = error.to_string();
            assert!(said.len() < 100, "{said}");
            return false;
        }
    };
    let mut written = Vec::new();
    frame::write(&mut written, &request).now_or_never().expect("memory takes it").expect("it serialises");
    assert!(read(&written).expect("our own frame") == request);
    let said = format!("{request:?}");
    let secret = &request.join_token;
    assert!(secret.len() < 16 || !said.contains(secret.as_str()), "the token is told");
    verified_request(&request.csr, "csr").is_ok()
}
