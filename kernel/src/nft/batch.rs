//! One batch = one buffer = one transaction: everything in it takes effect at once or not at all.
//!
//! Sequence numbers tie the kernel's answers to messages. No system call here: [`super::kernel`] sends.

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};

use super::objects::Message;

/// `NFNL_SUBSYS_NFTABLES`: whom the batch is for.
const NFNL_SUBSYS_NFTABLES: u16 = 10;

/// Bytes that one batch may take; the send buffer is made twice as large (`super::kernel`).
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// Messages for one transaction.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    messages: Vec<Message>,
}

impl Batch {
    /// Whether there is nothing to send.
    pub(crate) const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Messages in it.
    pub(crate) const fn len(&self) -> usize {
        self.messages.len()
    }

    /// The bytes to send, numbered from `first` on. The last number (first + messages + 1) is acknowledged.
    pub(crate) fn encode(self, first: u32, buffer: &mut Vec<u8>) {
        buffer.clear();
        let control = |message: ControlMessage| NetfilterMessageInner::from(message);
        let none = NetfilterProtoFamily::Unspec;
        append(buffer, first, NLM_F_REQUEST, none, NFNL_SUBSYS_NFTABLES, control(ControlMessage::BatchBegin));
        let mut sequence = first;
        for message in self.messages {
            sequence = sequence.wrapping_add(1);
            let flags = NLM_F_REQUEST | message.flags;
            append(buffer, sequence, flags, NetfilterProtoFamily::Inet, 0, message.body.into());
        }
        let end = sequence.wrapping_add(1);
        let flags = NLM_F_REQUEST | NLM_F_ACK;
        append(buffer, end, flags, none, NFNL_SUBSYS_NFTABLES, control(ControlMessage::BatchEnd));
    }

    /// The number of the message that ends a batch numbered from `first` on.
    pub(crate) fn last_sequence(&self, first: u32) -> u32 {
        first.wrapping_add(u32::try_from(self.messages.len()).unwrap_or(u32::MAX)).wrapping_add(1)
    }
}

impl Extend<Message> for Batch {
    fn extend<T: IntoIterator<Item = Message>>(&mut self, messages: T) {
        self.messages.extend(messages);
    }
}

impl FromIterator<Message> for Batch {
    fn from_iter<T: IntoIterator<Item = Message>>(messages: T) -> Self {
        Self { messages: messages.into_iter().collect() }
    }
}

/// Appends one netfilter message.
pub fn append(
    buffer: &mut Vec<u8>,
    sequence: u32,
    flags: u16,
    family: NetfilterProtoFamily,
    resource: u16,
    inner: NetfilterMessageInner,
) {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let payload = NetfilterMessage::new(NetfilterHeader::new(family, 0, resource), inner);
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(payload));
    message.finalize();
    let at = buffer.len();
    buffer.resize(at + message.buffer_len(), 0);
    message.serialize(&mut buffer[at..]);
}

#[cfg(test)]
mod tests {
    use super::super::objects::Table;
    use super::*;

    #[test]
    fn a_batch_is_numbered_without_gaps_and_asks_for_one_acknowledgement() {
        let table = Table::new("t".to_owned());
        let batch: Batch = [table.chain("a"), table.chain("b")].into_iter().collect();
        let mut bytes = vec![];
        assert_eq!(batch.last_sequence(7), 10);
        batch.encode(7, &mut bytes);
        let mut seen = vec![];
        let mut rest = &bytes[..];
        while rest.len() >= 16 {
            let length = u32::from_ne_bytes(rest[..4].try_into().expect("4 bytes")) as usize;
            let flags = u16::from_ne_bytes(rest[6..8].try_into().expect("2 bytes"));
            let sequence = u32::from_ne_bytes(rest[8..12].try_into().expect("4 bytes"));
            seen.push((sequence, flags & NLM_F_ACK != 0));
            rest = &rest[length.next_multiple_of(4)..];
        }
        assert_eq!(seen, [(7, false), (8, false), (9, false), (10, true)]);
    }
}
