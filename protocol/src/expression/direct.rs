//! The simple shapes that almost all criteria and conditions have, as a small tree that is asked over the claims
//! themselves: nothing is converted and nothing is allocated.
//!
//! The tree means exactly what the interpreter means, down to the noted reads and the text of an error; a property test
//! compares the two. Whatever it is not sure of, in the source or in the claims, it leaves to the interpreter.

mod compile;
mod run;
mod scalar;
#[cfg(test)]
mod tests;

use ipnet::IpNet;

use self::scalar::Literal;
use crate::claims::StepUpKind;

pub(super) use compile::tree;
pub(super) use run::{Fault, Run};

/// A question with a truth value as answer.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Known(bool),
    /// A claim that is a truth value.
    Claim(Path),
    /// `has(path)`.
    Has(Path),
    Not(Box<Self>),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    /// `a ? b : c`.
    Choice(Box<[Self; 3]>),
    /// `==`; with `false`: `!=`.
    Equal(bool, Operand, Operand),
    Compare(Order, Operand, Operand),
    In(Operand, Many),
    Text(TextTest, Operand, Box<str>),
    /// `path.exists(g, …)`; with `true`: `path.all(g, …)`.
    Each(bool, Path, Box<Self>),
    ClientInNetwork(IpNet),
    InNetwork(Operand, IpNet),
    Answered(Answer, Box<str>, i64),
    /// Milliseconds of the day.
    InTimeRange(u64, u64),
    /// A call of a script.
    Script(Box<str>),
}

/// A value that is compared.
#[derive(Debug, PartialEq)]
pub(super) enum Operand {
    Literal(Literal),
    Claim(Path),
    /// The present element of the list that is gone through.
    Element,
    /// `weekday()`.
    Weekday,
}

/// Where `in` looks.
#[derive(Debug, PartialEq)]
pub(super) enum Many {
    Claim(Path),
    Literals(Box<[Literal]>),
}

/// A claim by its root's slot and the names below it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Path {
    root: usize,
    names: Vec<Box<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextTest {
    Contains,
    StartsWith,
    EndsWith,
}

/// What a user may have been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    StepUp(StepUpKind),
    Reason,
}
