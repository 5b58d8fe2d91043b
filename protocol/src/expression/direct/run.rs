//! Asking a tree: in the interpreter's order, with the interpreter's notes.

use std::cmp::Ordering;
use std::net::IpAddr;

use serde_json::Value as Json;

use super::scalar::Scalar;
use super::{Answer, Many, Node, Operand, Order, Path, TextTest};
use crate::expression::Scripts;
use crate::expression::arena::{ClaimArena, Slot};
use crate::expression::evaluate::Answers;

/// Why a tree has no truth value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::expression) enum Fault<'t> {
    /// Nothing is there under this name.
    Absent(&'t str),
    /// The interpreter must say.
    Unsure,
}

/// One evaluation of a tree.
pub(in crate::expression) struct Run<'r> {
    pub(in crate::expression) arena: &'r ClaimArena<'r>,
    pub(in crate::expression) answers: &'r Answers,
    pub(in crate::expression) scripts: &'r Scripts,
}

/// What stands under a path.
enum Found<'r> {
    Map(usize),
    Leaf(&'r Json),
}

impl<'r> Run<'r> {
    /// The truth value of a node; `element` is the present one of a list.
    pub(in crate::expression) fn truth(&self, node: &'r Node, element: Option<&'r Json>) -> Result<bool, Fault<'r>> {
        match node {
            Node::Known(truth) => Ok(*truth),
            Node::Claim(path) => match self.find(path)? {
                Found::Leaf(Json::Bool(truth)) => Ok(*truth),
                Found::Leaf(_) | Found::Map(_) => Err(Fault::Unsure),
            },
            Node::Has(path) => self.has(path),
            Node::Not(inner) => self.truth(inner, element).map(|truth| !truth),
            Node::And(parts) => self.connect(parts, false, element),
            Node::Or(parts) => self.connect(parts, true, element),
            Node::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                let chosen = if self.truth(condition, element)? { yes } else { no };
                self.truth(chosen, element)
            }
            Node::Equal(wanted, one, other) => {
                Ok(self.value(one, element)?.equals(self.value(other, element)?) == *wanted)
            }
            Node::Compare(order, one, other) => {
                let found = self.value(one, element)?.compare(self.value(other, element)?).ok_or(Fault::Unsure)?;
                Ok(order.admits(found))
            }
            Node::In(needle, many) => self.contains(many, self.value(needle, element)?),
            Node::Text(test, subject, part) => match self.value(subject, element)? {
                Scalar::Text(text) => Ok(test.holds(text, part)),
                _ => Err(Fault::Unsure),
            },
            Node::Each(every, path, body) => self.each(*every, path, body),
            Node::ClientInNetwork(net) => Ok(self.answers.client_within(net)),
            Node::InNetwork(address, net) => match self.value(address, element)? {
                Scalar::Text(text) => text.parse().map(|ip: IpAddr| net.contains(&ip)).map_err(|_| Fault::Unsure),
                _ => Err(Fault::Unsure),
            },
            Node::Answered(Answer::StepUp(kind), suffix, minutes) => {
                Ok(self.answers.stepped_up(suffix, *kind, *minutes))
            }
            Node::Answered(Answer::Reason, suffix, minutes) => Ok(self.answers.reasoned(suffix, *minutes)),
            Node::InTimeRange(from, to) => Ok(self.answers.within(*from, *to)),
            Node::Script(name) => {
                let script = self.scripts.0.get(&**name).and_then(|script| script.direct.as_deref());
                self.truth(script.ok_or(Fault::Unsure)?, None)
            }
        }
    }

    /// `&&` and `||`: `decisive` on either side decides, whatever is wrong with the other.
    fn connect(&self, parts: &'r [Node; 2], decisive: bool, element: Option<&'r Json>) -> Result<bool, Fault<'r>> {
        let [left, right] = parts;
        let left = self.truth(left, element);
        if left == Ok(decisive) || left == Err(Fault::Unsure) {
            return left;
        }
        let right = self.truth(right, element)?;
        if right == decisive { Ok(right) } else { left }
    }

    fn each(&self, every: bool, path: &'r Path, body: &'r Node) -> Result<bool, Fault<'r>> {
        let Found::Leaf(Json::Array(elements)) = self.find(path)? else { return Err(Fault::Unsure) };
        let mut result = Ok(every);
        for element in elements {
            match self.truth(body, Some(element)) {
                Ok(truth) if truth != every => return Ok(truth),
                Ok(_) => {}
                Err(Fault::Unsure) => return Err(Fault::Unsure),
                absent => result = absent,
            }
        }
        result
    }

    fn contains(&self, many: &'r Many, needle: Scalar<'_>) -> Result<bool, Fault<'r>> {
        let path = match many {
            Many::Literals(literals) => return Ok(literals.iter().any(|literal| literal.scalar().equals(needle))),
            Many::Claim(path) => path,
        };
        match (self.find(path)?, needle) {
            (Found::Leaf(Json::Array(elements)), Scalar::Text(wanted)) => {
                Ok(elements.iter().any(|element| element.as_str() == Some(wanted)))
            }
            (Found::Leaf(Json::Array(elements)), needle) => {
                Ok(elements.iter().filter_map(Scalar::of_element).any(|element| element.equals(needle)))
            }
            (Found::Map(slot), Scalar::Text(name)) => {
                self.arena.note(slot);
                Ok(self.arena.child(slot, name).is_some())
            }
            _ => Err(Fault::Unsure),
        }
    }

    fn has(&self, path: &'r Path) -> Result<bool, Fault<'r>> {
        let Some((last, parents)) = path.names.split_last() else { return Err(Fault::Unsure) };
        let Found::Map(parent) = self.find_names(path.root, parents)? else { return Err(Fault::Unsure) };
        let child = self.arena.child(parent, last);
        match child.map(|slot| (slot, self.arena.slot(slot))) {
            None => self.arena.note(parent),
            Some((slot, Slot::Leaf(_))) => self.arena.note(slot),
            Some((_, Slot::Map(_))) => {}
        }
        Ok(child.is_some())
    }

    fn value(&self, operand: &'r Operand, element: Option<&'r Json>) -> Result<Scalar<'r>, Fault<'r>> {
        match operand {
            Operand::Literal(literal) => Ok(literal.scalar()),
            Operand::Claim(path) => match self.find(path)? {
                Found::Leaf(json) => Scalar::of_claim(json).ok_or(Fault::Unsure),
                Found::Map(_) => Err(Fault::Unsure),
            },
            Operand::Element => element.and_then(Scalar::of_element).ok_or(Fault::Unsure),
            Operand::Weekday => Ok(Scalar::Int(self.answers.weekday())),
        }
    }

    fn find(&self, path: &'r Path) -> Result<Found<'r>, Fault<'r>> {
        self.find_names(path.root, &path.names)
    }

    fn find_names(&self, root: usize, names: &'r [Box<str>]) -> Result<Found<'r>, Fault<'r>> {
        let mut map = root;
        for (at, name) in names.iter().enumerate() {
            let Some(slot) = self.arena.child(map, name) else {
                self.arena.note(map);
                return Err(Fault::Absent(name));
            };
            match self.arena.slot(slot) {
                Slot::Map(_) => map = slot,
                Slot::Leaf(leaf) => {
                    self.arena.note(slot);
                    return if at + 1 == names.len() { Ok(Found::Leaf(leaf.json)) } else { Err(Fault::Unsure) };
                }
            }
        }
        Ok(Found::Map(map))
    }
}

impl Order {
    const fn admits(self, found: Ordering) -> bool {
        match self {
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }
}

impl TextTest {
    fn holds(self, text: &str, part: &str) -> bool {
        match self {
            Self::Contains => text.contains(part),
            Self::StartsWith => text.starts_with(part),
            Self::EndsWith => text.ends_with(part),
        }
    }
}
