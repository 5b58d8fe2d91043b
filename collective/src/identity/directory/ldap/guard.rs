//! What an LDAP server may send (RFC 4511 §5.1): messages are measured before the library reads them, which recurses into
//! whatever it is given and would wait for the last byte of a message of any length. Pure.

/// Longest message, in bytes: an entry with a photograph fits.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Longest sum of controls of a message: they are read as messages of their own, so this bounds their nesting too.
const MAX_CONTROLS: usize = 1024;
/// Deepest nesting: an entry has 6 levels.
const MAX_DEPTH: usize = 16;
/// A constructed, universal SEQUENCE, which every message is.
const SEQUENCE: u8 = 0x30;
/// `[0]` of the message: its controls.
const CONTROLS: u8 = 0xa0;

/// What came is no message that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server sent what is no LDAP message, or too long or too deeply nested")]
pub(crate) struct NoMessage;

/// Length of the message at the front of `bytes`; `None` if it is not complete yet.
///
/// # Errors
/// [`NoMessage`].
pub(super) fn message(bytes: &[u8]) -> Result<Option<usize>, NoMessage> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    if first != SEQUENCE {
        return Err(NoMessage);
    }
    let Some((start, length)) = length(&bytes[1..])? else { return Ok(None) };
    let end = 1 + start + length;
    if end > MAX_MESSAGE {
        return Err(NoMessage);
    }
    if bytes.len() < end {
        return Ok(None);
    }
    if is_well_nested(&bytes[..end]) { Ok(Some(end)) } else { Err(NoMessage) }
}

/// Size of a length and the length (X.690 §8.1.3, definite); `None` if it is not complete yet.
fn length(bytes: &[u8]) -> Result<Option<(usize, usize)>, NoMessage> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some((1, usize::from(first))));
    }
    let size = usize::from(first & 0x7f);
    if !(1..=4).contains(&size) {
        return Err(NoMessage);
    }
    let Some(digits) = bytes.get(1..=size) else { return Ok(None) };
    let value = digits.iter().fold(0, |value, digit| (value << 8) | u64::from(*digit));
    usize::try_from(value).map(|value| Some((1 + size, value))).map_err(|_| NoMessage)
}

/// Whether every element lies inside the one around it, and none too deep.
fn is_well_nested(message: &[u8]) -> bool {
    let mut ends = vec![message.len()];
    let mut at = 0;
    while let Some(&end) = ends.last() {
        if at == end {
            ends.pop();
            continue;
        }
        let tag = message[at];
        // Tags of several bytes do not occur in LDAP, and are read differently by different readers.
        if tag & 0x1f == 0x1f {
            return false;
        }
        let Ok(Some((size, length))) = length(&message[at + 1..end]) else { return false };
        let content = at + 1 + size;
        let Some(after) = content.checked_add(length).filter(|after| *after <= end) else { return false };
        if tag == CONTROLS && ends.len() == 2 && length > MAX_CONTROLS {
            return false;
        }
        if tag & 0x20 == 0 {
            at = after;
        } else {
            if ends.len() == MAX_DEPTH {
                return false;
            }
            ends.push(after);
            at = content;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `bindResponse` with success.
    const BOUND: [u8; 14] = [0x30, 0x0c, 2, 1, 1, 0x61, 7, 0x0a, 1, 0, 4, 0, 4, 0];

    #[test]
    fn a_message_is_measured_when_it_is_complete() {
        assert_eq!(message(&BOUND), Ok(Some(14)));
        assert_eq!(message(&BOUND[..13]), Ok(None));
        assert_eq!(message(&[0x30, 0x82, 1]), Ok(None));
        assert_eq!(message(&[]), Ok(None));
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_no_message() {
        assert_eq!(message(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), Err(NoMessage));
        assert_eq!(message(&[0x30, 0x80, 0, 0]), Err(NoMessage), "indefinite length");
        assert_eq!(message(b"HTTP/1.1 400"), Err(NoMessage));
        let mut deep = vec![2, 1, 1];
        for _ in 0..MAX_DEPTH + 1 {
            let length = u8::try_from(deep.len()).expect("short");
            deep.splice(0..0, [0x30, length]);
        }
        assert_eq!(message(&deep), Err(NoMessage));
        let mut controls = vec![0x30, 0x82, 0x04, 0x09, 2, 1, 1, 0xa0, 0x82, 0x04, 0x02];
        controls.extend(vec![0; 1026]);
        assert_eq!(message(&controls), Err(NoMessage), "controls of 1026 bytes");
        assert_eq!(message(&[0x30, 3, 2, 9, 1]), Err(NoMessage), "an element longer than its message");
    }

    proptest! {
        #[test]
        fn nothing_that_a_server_sends_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(end)) = message(&bytes) {
                prop_assert!(end <= bytes.len());
            }
            let mut framed = vec![0x30, 0x82, 0, u8::try_from(bytes.len()).expect("short")];
            framed.extend(&bytes);
            prop_assert!(message(&framed).is_ok_and(|end| end.is_some_and(|end| end == framed.len())) || message(&framed).is_err());
        }
    }
}
