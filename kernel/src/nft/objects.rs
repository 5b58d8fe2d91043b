//! Tables, chains, rules, sets and elements as netlink messages.
//!
//! Promises: names are generated here or by the skeleton, never text from an administrator; every message carries the
//! flags the kernel needs for it. What the objects are for is said elsewhere.

mod element;

use netlink_packet_core::{DefaultNla, NLM_F_APPEND, NLM_F_CREATE, Nla};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Hook, InetHookNumber, NfTablesMessage, RuleAttribute, RuleMessage, SetAttribute,
    SetDescription, SetElementList, SetElementMessage, SetFlags, SetMessage, TableAttribute, TableFlags, TableMessage,
};

use super::expression::{Expr, nest, text, u32be};

pub use element::{Element, mark_and_owner};

/// Elements that one message may hold. A nested attribute is at most 64 KiB, an IPv6 interval takes 88 bytes.
pub const ELEMENTS_PER_MESSAGE: usize = 400;

/// The name of every anonymous set; the kernel puts a number in place of `%d`.
pub(crate) const ANONYMOUS: &str = "__set%d";

/// Deletes elements whether they are there or not (kernel ≥ 6.3); the crate has no name for it.
const NFT_MSG_DESTROYSETELEM: u8 = 30;
/// Deletes a chain whether it is there or not.
const NFT_MSG_DESTROYCHAIN: u8 = 27;
/// Deletes a set whether it is there or not.
const NFT_MSG_DESTROYSET: u8 = 29;
/// Deletes a table whether it is there or not.
const NFT_MSG_DESTROYTABLE: u8 = 26;

/// One message of a batch with its netlink flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub(crate) body: NfTablesMessage,
    pub(crate) flags: u16,
}

impl Message {
    const fn create(body: NfTablesMessage) -> Self {
        Self { body, flags: NLM_F_CREATE }
    }

    const fn plain(body: NfTablesMessage) -> Self {
        Self { body, flags: 0 }
    }
}

/// Types of values, as `nft` numbers them (informational for the kernel, needed for a readable listing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `ipv4_addr`.
    Ipv4,
    /// `ipv6_addr`.
    Ipv6,
    /// `inet_proto`.
    Protocol,
    /// `inet_service`.
    Service,
    /// `mark`.
    Mark,
    /// `iface_index`.
    InterfaceIndex,
    /// `ct_state`.
    CtState,
    /// `icmp_type`.
    IcmpType,
    /// `icmpv6_type`.
    Icmpv6Type,
}

impl Field {
    const fn number(self) -> u32 {
        match self {
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Protocol => 12,
            Self::Service => 13,
            Self::IcmpType => 14,
            Self::Mark => 19,
            Self::InterfaceIndex => 20,
            Self::CtState => 26,
            Self::Icmpv6Type => 29,
        }
    }

    /// Length of one value in bytes.
    pub(crate) const fn bytes(self) -> u32 {
        match self {
            Self::Ipv4 | Self::Mark | Self::InterfaceIndex | Self::CtState => 4,
            Self::Ipv6 => 16,
            Self::Service => 2,
            Self::Protocol | Self::IcmpType | Self::Icmpv6Type => 1,
        }
    }

    const fn host_order(self) -> bool {
        matches!(self, Self::Mark | Self::InterfaceIndex | Self::CtState)
    }
}

/// What a map gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// A packet mark and the number of its owner, 4 bytes each.
    MarkAndOwner,
    /// Where to go on.
    Verdict,
}

/// A set or map to be made.
#[derive(Debug, Clone)]
pub struct SetSpec<'a> {
    pub(crate) name: &'a str,
    pub(crate) key: &'a [Field],
    pub(crate) gives: Option<Gives>,
    pub(crate) flags: SetFlags,
    /// Default timeout of its elements, milliseconds.
    pub(crate) timeout: Option<u64>,
    /// Most elements it may hold.
    pub(crate) size: Option<u32>,
    /// Names an anonymous set within its batch.
    pub(crate) id: u32,
}

impl<'a> SetSpec<'a> {
    /// A plain set without bound or timeout.
    pub const fn new(name: &'a str, key: &'a [Field]) -> Self {
        Self { name, key, gives: None, flags: SetFlags::empty(), timeout: None, size: None, id: 0 }
    }

    /// With these flags.
    pub const fn flags(mut self, flags: SetFlags) -> Self {
        self.flags = flags;
        self
    }

    /// A map that gives this for a key.
    pub const fn gives(mut self, gives: Gives) -> Self {
        self.gives = Some(gives);
        self
    }

    /// At most so many elements.
    pub const fn size(mut self, size: u32) -> Self {
        self.size = Some(size);
        self
    }

    /// Elements vanish after this unless they say otherwise.
    pub const fn timeout(mut self, milliseconds: u64) -> Self {
        self.timeout = Some(milliseconds);
        self
    }
}

/// Where a base chain is hooked in.
#[derive(Debug, Clone, Copy)]
pub struct BaseChain {
    /// `filter` or `nat`.
    pub kind: &'static str,
    /// When the kernel calls it.
    pub hook: InetHookNumber,
    /// Its place among the chains of the hook.
    pub priority: i32,
    /// What happens to packets that reach its end.
    pub accept: bool,
}

/// A table of ours; makes every message about it.
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
}

impl Table {
    /// The table of this name, in family `inet`.
    pub const fn new(name: String) -> Self {
        Self { name }
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the table with flags OWNER and PERSIST: nobody else changes it, it survives its owner (T10).
    pub fn create(&self) -> Message {
        self.create_with(TableFlags::Owner | TableFlags::Persisent)
    }

    /// Makes the table with flag OWNER alone: nobody else changes it, and it goes with the socket that made it.
    pub fn create_until_closed(&self) -> Message {
        self.create_with(TableFlags::Owner)
    }

    fn create_with(&self, flags: TableFlags) -> Message {
        let attributes = vec![TableAttribute::Name(self.name.clone()), TableAttribute::Flags(flags)];
        Message::create(NfTablesMessage::NewTable(TableMessage { attributes }))
    }

    /// Deletes the table if it is there.
    pub fn destroy(&self) -> Message {
        const NFTA_TABLE_NAME: u16 = 1;
        Message::plain(NfTablesMessage::Other {
            message_type: NFT_MSG_DESTROYTABLE,
            attributes: vec![text(NFTA_TABLE_NAME, &self.name)],
        })
    }

    /// Makes a set or map.
    pub fn set(&self, spec: &SetSpec<'_>) -> Message {
        let concatenated = spec.key.len() > 1;
        // Fields of a concatenation are padded to 4 bytes each; a single field is not.
        let key_length = if concatenated {
            spec.key.iter().map(|field| field.bytes().next_multiple_of(4)).sum()
        } else {
            spec.key.iter().map(|field| field.bytes()).sum()
        };
        let flags = if concatenated { spec.flags | SetFlags::Concat } else { spec.flags };
        let flags = if spec.gives.is_some() { flags | SetFlags::Map } else { flags };
        let mut attributes = vec![
            SetAttribute::Table(self.name.clone()),
            SetAttribute::Name(spec.name.to_owned()),
            SetAttribute::Flags(flags),
            SetAttribute::KeyType(spec.key.iter().fold(0, |all, field| (all << 6) | field.number())),
            SetAttribute::KeyLen(key_length),
            SetAttribute::Id(spec.id),
        ];
        match spec.gives {
            // Two marks, as `nft` names a concatenation.
            Some(Gives::MarkAndOwner) => {
                attributes.extend([SetAttribute::DataType((19 << 6) | 19), SetAttribute::DataLen(8)]);
            }
            Some(Gives::Verdict) => attributes.extend([SetAttribute::DataType(0xffff_ff00), SetAttribute::DataLen(16)]),
            None => {}
        }
        attributes.extend(spec.timeout.map(SetAttribute::Timeout));
        attributes.extend(byte_order_note(spec).map(SetAttribute::UserData));
        attributes.extend(description(spec).map(SetAttribute::Description));
        Message::create(NfTablesMessage::NewSet(SetMessage { attributes }))
    }

    /// Deletes a set that no rule asks any more, if it is there.
    pub fn destroy_set(&self, name: &str) -> Message {
        const NFTA_SET_TABLE: u16 = 1;
        const NFTA_SET_NAME: u16 = 2;
        let attributes = vec![text(NFTA_SET_TABLE, &self.name), text(NFTA_SET_NAME, name)];
        Message::plain(NfTablesMessage::Other { message_type: NFT_MSG_DESTROYSET, attributes })
    }

    /// Adds elements; at most [`ELEMENTS_PER_MESSAGE`].
    pub fn add(&self, set: &str, elements: Vec<Element>) -> Message {
        Message::create(NfTablesMessage::NewSetElement(self.elements(set, elements)))
    }

    /// Adds elements to an anonymous set of the same batch.
    pub(crate) fn add_anonymous(&self, id: u32, elements: Vec<Element>) -> Message {
        let mut message = self.elements(ANONYMOUS, elements);
        message.attributes.insert(2, SetElementList::SetId(id));
        Message::create(NfTablesMessage::NewSetElement(message))
    }

    /// Removes elements that must be there.
    pub fn delete(&self, set: &str, elements: Vec<Element>) -> Message {
        Message::plain(NfTablesMessage::DeleteSetElement(self.elements(set, elements)))
    }

    /// Removes elements whether they are there or not.
    pub fn destroy_elements(&self, set: &str, elements: Vec<Element>) -> Message {
        let message = self.elements(set, elements);
        let attributes = message
            .attributes
            .iter()
            .map(|attribute| {
                let mut value = vec![0; attribute.value_len()];
                attribute.emit_value(&mut value);
                DefaultNla::new(attribute.kind(), value)
            })
            .collect();
        Message::plain(NfTablesMessage::Other { message_type: NFT_MSG_DESTROYSETELEM, attributes })
    }

    fn elements(&self, set: &str, elements: Vec<Element>) -> SetElementMessage {
        debug_assert!(elements.len() <= ELEMENTS_PER_MESSAGE, "too many elements for one attribute");
        SetElementMessage {
            attributes: vec![
                SetElementList::Table(self.name.clone()),
                SetElementList::Set(set.to_owned()),
                SetElementList::Elements(elements.into_iter().map(|element| element.0).collect()),
            ],
        }
    }

    /// Makes a chain that the kernel calls.
    pub fn base_chain(&self, name: &str, base: BaseChain) -> Message {
        let mut attributes = self.chain_attributes(name);
        attributes.extend([
            // The kernel reads the priority as a signed number.
            ChainAttribute::Hook(vec![Hook::Number(base.hook.into()), Hook::Priority(base.priority.cast_unsigned())]),
            ChainAttribute::Policy(u32::from(base.accept)),
            ChainAttribute::Type(base.kind.to_owned()),
        ]);
        Message::create(NfTablesMessage::NewChain(ChainMessage { attributes }))
    }

    /// Makes a chain that others jump to.
    pub fn chain(&self, name: &str) -> Message {
        Message::create(NfTablesMessage::NewChain(ChainMessage { attributes: self.chain_attributes(name) }))
    }

    /// Deletes a chain and its rules, if it is there.
    pub fn destroy_chain(&self, name: &str) -> Message {
        const NFTA_CHAIN_TABLE: u16 = 1;
        const NFTA_CHAIN_NAME: u16 = 3;
        let attributes = vec![text(NFTA_CHAIN_TABLE, &self.name), text(NFTA_CHAIN_NAME, name)];
        Message::plain(NfTablesMessage::Other { message_type: NFT_MSG_DESTROYCHAIN, attributes })
    }

    fn chain_attributes(&self, name: &str) -> Vec<ChainAttribute> {
        vec![ChainAttribute::Table(self.name.clone()), ChainAttribute::Name(name.to_owned())]
    }

    /// Appends a rule to a chain.
    pub(crate) fn rule(&self, chain: &str, expressions: Vec<Expr>, comment: Option<&str>) -> Message {
        let mut attributes = vec![
            RuleAttribute::Table(self.name.clone()),
            RuleAttribute::Chain(chain.to_owned()),
            RuleAttribute::Expressions(expressions.into_iter().map(|expression| expression.0).collect()),
        ];
        attributes.extend(comment.map(|text| RuleAttribute::UserData(comment_note(text))));
        let body = NfTablesMessage::NewRule(RuleMessage { attributes });
        // Without APPEND the kernel puts rules in front, in reverse order.
        Message { body, flags: NLM_F_CREATE | NLM_F_APPEND }
    }
}

fn description(spec: &SetSpec<'_>) -> Option<Vec<SetDescription>> {
    const NFTA_LIST_ELEM: u16 = 1;
    const NFTA_SET_FIELD_LEN: u16 = 1;
    let mut description: Vec<SetDescription> = spec.size.map(SetDescription::Size).into_iter().collect();
    if spec.key.len() > 1 {
        let field = |field: &Field| nest(NFTA_LIST_ELEM, &[u32be(NFTA_SET_FIELD_LEN, field.bytes())]);
        description.push(SetDescription::Concat(spec.key.iter().map(field).collect()));
    }
    (!description.is_empty()).then_some(description)
}

/// `nft`'s own note on byte order (type, length 4, 1 = host order); without it `nft list` shows marks and interface
/// indexes swapped.
fn byte_order_note(spec: &SetSpec<'_>) -> Option<Vec<u8>> {
    const KEY: u8 = 0;
    const DATA: u8 = 1;
    let mut note = vec![];
    if let [field] = spec.key
        && field.host_order()
    {
        note.extend([KEY, 4, 1, 0, 0, 0]);
    }
    if spec.gives == Some(Gives::MarkAndOwner) {
        note.extend([DATA, 4, 1, 0, 0, 0]);
    }
    (!note.is_empty()).then_some(note)
}

/// A rule's comment in `nft`'s notation: type 0, length, text, NUL.
fn comment_note(text: &str) -> Vec<u8> {
    const NFTNL_UDATA_RULE_COMMENT: u8 = 0;
    let length = u8::try_from(text.len() + 1).expect("comments are literals below 128 bytes");
    let mut note = vec![NFTNL_UDATA_RULE_COMMENT, length];
    note.extend(text.as_bytes());
    note.push(0);
    note
}

/// How many bytes a message takes on the wire, without headers.
#[cfg(test)]
fn wire_length(message: &Message) -> usize {
    netlink_packet_core::Emitable::buffer_len(&message.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_element_message_fits_a_nested_attribute() {
        let table = Table::new("ringwall".to_owned());
        let elements = vec![Element::range(vec![0; 24], vec![0; 24]).expiring(1); ELEMENTS_PER_MESSAGE];
        assert!(wire_length(&table.add("rs16384_u6_0r", elements)) < usize::from(u16::MAX));
    }

    #[test]
    fn an_element_never_lives_for_ever_by_a_timeout_of_zero() {
        assert_eq!(Element::key(vec![1]).expiring(0), Element::key(vec![1]).expiring(1));
    }
}
