//! Elements of sets and maps: a key, a range of keys, what a map gives for it, when it vanishes.

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    DataAttribute, ListAttribute, NfTablesMessage, SetElementAttribute, SetElementFlags, SetElementList,
    SetElementMessage,
};

use super::{Message, Table};

/// An element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element(pub(crate) ListAttribute<SetElementAttribute>);

impl Element {
    /// A key alone.
    pub fn key(key: Vec<u8>) -> Self {
        Self(ListAttribute::Element(vec![SetElementAttribute::Key(DataAttribute::Value(key))]))
    }

    /// From `first` to `last`, both included, of a concatenated interval set.
    pub fn range(first: Vec<u8>, last: Vec<u8>) -> Self {
        const NFTA_DATA_VALUE: u16 = 1;
        Self(ListAttribute::Element(vec![
            SetElementAttribute::Key(DataAttribute::Value(first)),
            SetElementAttribute::KeyEnd(vec![DefaultNla::new(NFTA_DATA_VALUE, last)]),
        ]))
    }

    /// The first key behind an interval of a plain interval set.
    pub fn interval_end(key: Vec<u8>) -> Self {
        Self(ListAttribute::Element(vec![
            SetElementAttribute::Key(DataAttribute::Value(key)),
            SetElementAttribute::Flags(SetElementFlags::IntervalEnd),
        ]))
    }

    /// With what the map gives for the key.
    pub fn giving(mut self, data: DataAttribute) -> Self {
        if let ListAttribute::Element(attributes) = &mut self.0 {
            attributes.push(SetElementAttribute::Data(data));
        }
        self
    }

    /// Vanishes by itself after this many milliseconds (at least 1: 0 would mean never).
    pub fn expiring(mut self, milliseconds: u64) -> Self {
        if let ListAttribute::Element(attributes) = &mut self.0 {
            attributes.push(SetElementAttribute::Timeout(milliseconds.max(1)));
        }
        self
    }
}

impl Table {
    /// Removes all elements of a set.
    pub fn flush(&self, set: &str) -> Message {
        // Without a list of elements the kernel takes out every one (`nft_set_flush`).
        let attributes = vec![SetElementList::Table(self.name.clone()), SetElementList::Set(set.to_owned())];
        Message::plain(NfTablesMessage::DeleteSetElement(SetElementMessage { attributes }))
    }
}

/// The bytes of a mark and its owner's number as the kernel keeps them.
pub fn mark_and_owner(mark: u32, owner: u32) -> DataAttribute {
    DataAttribute::Value([mark.to_ne_bytes(), owner.to_ne_bytes()].concat())
}
