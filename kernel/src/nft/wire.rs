//! Reading netlink datagrams: where messages begin, what an error says. Bounds are checked; nothing here panics.

use netlink_packet_core::NlasIterator;

/// Bytes of a netlink header.
pub const HEADER: usize = 16;

const NLMSG_ERROR: u16 = 2;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;

/// The netlink messages of one datagram; ends at the first that is cut off.
pub struct Answers<'a>(pub &'a [u8]);

impl<'a> Iterator for Answers<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = word32(self.0, 0)? as usize;
        let message = self.0.get(..length).filter(|message| message.len() >= HEADER)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

/// The kernel's answer to one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// Sequence number of the message it answers.
    pub(crate) sequence: u32,
    /// Positive error number; 0: done.
    pub errno: i32,
    /// The kernel's own words.
    pub(crate) text: Option<String>,
}

impl ErrorAnswer {
    /// `None` if the message is no such answer.
    pub fn read(message: &[u8]) -> Option<Self> {
        if kind_of(message) != NLMSG_ERROR {
            return None;
        }
        let errno = word32(message, HEADER)?.cast_signed().saturating_neg();
        let original = HEADER + 4;
        let sequence = word32(message, original + 8)?;
        let flags = flags_of(message);
        if flags & NLM_F_ACK_TLVS == 0 {
            return Some(Self { sequence, errno, text: None });
        }
        let length = if flags & NLM_F_CAPPED == 0 { word32(message, original)? as usize } else { HEADER };
        let attributes = length.checked_next_multiple_of(4).and_then(|length| message.get(original + length..));
        let text = NlasIterator::new(attributes.unwrap_or_default()).map_while(Result::ok).find_map(|attribute| {
            const NLMSGERR_ATTR_MSG: u16 = 1;
            let text = || String::from_utf8_lossy(attribute.value()).trim_end_matches('\0').to_owned();
            (attribute.kind() == NLMSGERR_ATTR_MSG).then(text)
        });
        Some(Self { sequence, errno, text })
    }
}

/// Message type; 0 if it is cut off.
pub fn kind_of(message: &[u8]) -> u16 {
    word16(message, 4).unwrap_or(0)
}

/// Flags; 0 if they are cut off.
pub(crate) fn flags_of(message: &[u8]) -> u16 {
    word16(message, 6).unwrap_or(0)
}

/// Sequence number; 0 if it is cut off.
pub fn sequence_of(message: &[u8]) -> u32 {
    word32(message, 8).unwrap_or(0)
}

fn word16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for message in Answers(&bytes) {
                prop_assert!(message.len() >= HEADER);
                let _ = ErrorAnswer::read(message);
                let _ = (flags_of(message), sequence_of(message));
            }
        }
    }

    #[test]
    fn an_error_names_its_message() {
        let mut bytes = vec![0; 36];
        bytes[..4].copy_from_slice(&36u32.to_ne_bytes());
        bytes[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        bytes[16..20].copy_from_slice(&(-2i32).to_ne_bytes());
        bytes[28..32].copy_from_slice(&77u32.to_ne_bytes());
        let answer = ErrorAnswer::read(&bytes);
        assert_eq!(answer, Some(ErrorAnswer { sequence: 77, errno: 2, text: None }));
    }
}
