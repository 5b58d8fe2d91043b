//! Rules as sentences: a chain, conditions from left to right, an ending. What `nft` would print is what it reads like.
//!
//! A [`Rule`] only collects expressions, in groups: what is asked of [`interface`]s, of packet [`header`]s, of a TCP header
//! ([`tcp`]), of a [`flow`] in connection tracking; what is kept of it in sets ([`record`]); what then happens
//! ([`ending`]). [`Rule::messages`] turns it into what the kernel takes, with the anonymous sets that `{ a, b }` stands for.

mod ending;
mod flow;
mod header;
mod interface;
mod key;
mod record;
mod tcp;

use netlink_packet_netfilter::nftables::{Register, SetFlags};

use super::expression::{self as ex, Expr, SetRef};
use super::objects::{ANONYMOUS, Element, Field, Message, SetSpec, Table};

/// A rule under construction.
#[derive(Debug)]
pub struct Rule {
    chain: String,
    expressions: Vec<Part>,
    comment: Option<&'static str>,
}

#[derive(Debug)]
enum Part {
    Ready(Expr),
    /// A look-up in a set that is made for this rule alone.
    OneOf {
        field: Field,
        values: Vec<Vec<u8>>,
        inverted: bool,
    },
}

impl Rule {
    /// A rule at the end of this chain; without conditions yet.
    pub fn in_chain(chain: impl Into<String>) -> Self {
        Self { chain: chain.into(), expressions: vec![], comment: None }
    }

    /// A note that `nft list` shows.
    pub const fn comment(mut self, comment: &'static str) -> Self {
        self.comment = Some(comment);
        self
    }

    fn with(mut self, expressions: impl IntoIterator<Item = Expr>) -> Self {
        self.expressions.extend(expressions.into_iter().map(Part::Ready));
        self
    }

    fn one_of(mut self, field: Field, values: Vec<Vec<u8>>, inverted: bool) -> Self {
        self.expressions.push(Part::OneOf { field, values, inverted });
        self
    }

    /// The messages of this rule; `next_id` numbers the batch's anonymous sets.
    pub fn messages(self, table: &Table, next_id: &mut u32) -> Vec<Message> {
        let mut messages = vec![];
        let mut expressions = vec![];
        for part in self.expressions {
            match part {
                Part::Ready(expression) => expressions.push(expression),
                Part::OneOf { field, values, inverted } => {
                    *next_id += 1;
                    let key = [field];
                    let size = u32::try_from(values.len()).expect("a rule lists a few values");
                    let mut spec = SetSpec::new(ANONYMOUS, &key).flags(SetFlags::Anonymous | SetFlags::Constant);
                    spec = spec.size(size);
                    spec.id = *next_id;
                    messages.push(table.set(&spec));
                    messages.push(table.add_anonymous(*next_id, values.into_iter().map(Element::key).collect()));
                    expressions.push(ex::lookup(SetRef::Anonymous(*next_id), Register::Reg1, inverted));
                }
            }
        }
        messages.push(table.rule(&self.chain, expressions, self.comment));
        messages
    }
}
