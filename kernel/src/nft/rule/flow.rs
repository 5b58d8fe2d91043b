//! What rules ask of a flow in connection tracking: its state, and how it began.

use netlink_packet_netfilter::nftables::{Operator, Register};

use super::Rule;
use super::key::Key;
use crate::nft::expression::{self as ex, CtKey, SetRef};
use crate::nft::family::{Family, FlowDirection, Side, original_address};
use crate::nft::objects::Field;

impl Rule {
    /// `ct state != { … }`: every state that is not exactly one of these.
    pub fn ct_state_none_of(self, states: &[u32]) -> Self {
        let values = states.iter().map(|state| state.to_ne_bytes().to_vec()).collect();
        self.with([ex::ct(CtKey::State, Register::Reg1)]).one_of(Field::CtState, values, true)
    }

    /// `ct state a,b`: one of the bits.
    pub fn ct_state(self, bits: u32) -> Self {
        self.with([
            ex::ct(CtKey::State, Register::Reg1),
            ex::mask(Register::Reg1, &bits.to_ne_bytes()),
            ex::cmp(Register::Reg1, Operator::NotEqual, &[0; 4]),
        ])
    }

    /// `ct status a,b`: one of the bits.
    pub(crate) fn ct_status(self, bits: u32) -> Self {
        self.with([
            ex::ct(CtKey::Status, Register::Reg1),
            ex::mask(Register::Reg1, &bits.to_ne_bytes()),
            ex::cmp(Register::Reg1, Operator::NotEqual, &[0; 4]),
        ])
    }

    /// `ct direction …`.
    pub fn ct_direction(self, direction: FlowDirection) -> Self {
        self.with([
            ex::ct(CtKey::Direction, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::Equal, &[direction as u8]),
        ])
    }

    /// `ct original ip daddr . ct protocol . ct original proto-dst @set` (or `saddr`): the flow as it began.
    pub fn original_tuple_in(self, family: Family, side: Side, set: &str) -> Self {
        let key = Key::new()
            .load(family.address().bytes(), |to| ex::ct_original(original_address(family, side), to))
            .load(1, |to| ex::ct(CtKey::Protocol, to))
            .load(2, |to| ex::ct_original(CtKey::DestinationPort, to));
        self.family(family).with(key.into_expressions()).with([ex::lookup(SetRef::Named(set), Register::Reg1, false)])
    }

    /// `<number> . ct original ip daddr @set` (or `saddr`): what the name with this number stands for; with `client`
    /// that end of the flow stands between the two.
    pub fn original_name_in(
        self,
        family: Family,
        number: u32,
        (client, remote): (Option<Side>, Side),
        set: &str,
    ) -> Self {
        let bytes = family.address().bytes();
        let mut key = Key::new().load(4, |to| ex::immediate(to, &number.to_ne_bytes()));
        for side in client.into_iter().chain([remote]) {
            key = key.load(bytes, |to| ex::ct_original(original_address(family, side), to));
        }
        self.family(family).with(key.into_expressions()).with([ex::lookup(SetRef::Named(set), Register::Reg1, false)])
    }

    /// `ct protocol … ct original proto-dst …-…`.
    pub fn original_service(self, protocol: u8, first: u16, last: u16) -> Self {
        let mut rule =
            self.with([ex::ct(CtKey::Protocol, Register::Reg1), ex::cmp(Register::Reg1, Operator::Equal, &[protocol])]);
        if (first, last) == (0, u16::MAX) {
            return rule;
        }
        rule = rule.with([ex::ct_original(CtKey::DestinationPort, Register::Reg1)]);
        let compare = |operator, port: u16| ex::cmp(Register::Reg1, operator, &port.to_be_bytes());
        if first == last {
            rule.with([compare(Operator::Equal, first)])
        } else {
            rule.with([compare(Operator::GreatherThanEqual, first), compare(Operator::LessThanEqual, last)])
        }
    }
}
