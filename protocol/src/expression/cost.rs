//! What an evaluation may cost, known before it runs: steps for each element of the lists that it goes through.
//!
//! The interpreter cannot be interrupted, so a bound that is found while it runs would come too late (at most
//! 10 ms). Lists have at most [`MAX_CLAIM_LIST`] elements; how many there are is known when claims are.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue};
use regex::RegexBuilder;

use crate::claims::MAX_CLAIM_LIST;

/// Most steps of one evaluation: at some 50 ns each this is 10 ms.
pub(crate) const MAX_COST: u64 = 200_000;
/// Longest pattern of `matches`, in bytes.
pub(crate) const MAX_PATTERN: usize = 256;
/// Largest product of a pattern's counted repetitions: `a{50}{20}` is 1,000 copies of `a`.
const MAX_REPETITIONS: u64 = 1_000;
/// What a compiled pattern may take, in KiB: a class of all letters takes some 50, repeated twenty times 1,000.
const PATTERN_SIZES: [u64; 7] = [4, 8, 16, 32, 64, 128, 256];
/// Steps of compiling and running a pattern, which is done anew for each call, for each KiB that it takes.
const STEPS_PER_KIB: u64 = 100;

/// Steps as a polynomial of the longest list: `terms[0] + terms[1]·n + terms[2]·n²`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cost {
    terms: [u64; 3],
    /// Longest list that is written out.
    literal: usize,
    /// Lists that are joined before they are gone through.
    sums: u64,
    /// A pattern of `matches` that is taken from claims, too long, or too large when it is compiled.
    pub(super) has_large_pattern: bool,
}

impl Cost {
    /// Counts a node that is evaluated once for each element of `depth` nested lists.
    pub(super) fn add(&mut self, node: &IdedExpr, depth: usize) {
        let steps = match &node.expr {
            Expr::Call(call) if call.func_name == "matches" => self.pattern_steps(call.args.last()),
            Expr::List(list) => {
                self.literal = self.literal.max(list.elements.len());
                1
            }
            _ => 1,
        };
        let term = &mut self.terms[depth.min(2)];
        *term = term.saturating_add(steps);
    }

    /// Steps of one `matches`. Nothing is measured any more once there is a reason to refuse.
    fn pattern_steps(&mut self, pattern: Option<&IdedExpr>) -> u64 {
        if self.has_large_pattern || self.least() > MAX_COST {
            return 0;
        }
        let steps = pattern.and_then(literal_text).and_then(size_of_pattern).map(|kib| kib * STEPS_PER_KIB);
        self.has_large_pattern = steps.is_none();
        steps.unwrap_or(0)
    }

    /// Adds what a script costs that is called within `depth` nested lists; false if lists are nested too deeply then.
    pub(super) fn add_script(&mut self, script: &Self, depth: usize) -> bool {
        self.literal = self.literal.max(script.literal);
        self.sums += script.sums;
        script.terms.iter().enumerate().filter(|(_, steps)| **steps > 0).all(|(at, steps)| {
            let term = self.terms.get_mut(depth + at);
            term.map(|term| *term = term.saturating_add(*steps)).is_some()
        })
    }

    /// Counts joins in what a list operation goes through: they make it longer.
    pub(super) fn count_sums(&mut self, range: &IdedExpr) {
        if let Expr::Call(call) = &range.expr {
            self.sums += u64::from(call.func_name == "_+_");
            call.target.as_deref().into_iter().chain(&call.args).for_each(|part| self.count_sums(part));
        }
    }

    /// Steps with claims whose longest list has `longest` elements.
    pub(super) fn with(&self, longest: usize) -> u64 {
        let elements = u64::try_from(longest.max(self.literal)).unwrap_or(u64::MAX);
        let elements = elements.saturating_mul(self.sums + 1);
        let [once, each, square] = self.terms;
        let linear = each.saturating_mul(elements);
        once.saturating_add(linear).saturating_add(square.saturating_mul(elements).saturating_mul(elements))
    }

    /// Steps whatever the claims are.
    pub(super) fn least(&self) -> u64 {
        self.with(0)
    }

    /// Whether no claims that are allowed make it too costly.
    pub(super) fn is_always_bearable(&self) -> bool {
        self.with(MAX_CLAIM_LIST) <= MAX_COST
    }
}

/// KiB that a pattern takes when it is compiled; `None` if it is too long or takes too much. One that is no pattern takes
/// little: it is found wrong at once.
///
/// It is compiled to find out: counts in braces alone do not tell, for they stand before classes of any size, and comments hide
/// them.
fn size_of_pattern(pattern: &str) -> Option<u64> {
    let fits = |kib: &u64| {
        let limit = usize::try_from(kib * 1024).unwrap_or(usize::MAX);
        !matches!(RegexBuilder::new(pattern).size_limit(limit).build(), Err(regex::Error::CompiledTooBig(_)))
    };
    PATTERN_SIZES.into_iter().filter(|_| is_small_pattern(pattern)).find(fits)
}

pub(super) fn literal_text(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// Whether a pattern is short and repeats little.
fn is_small_pattern(pattern: &str) -> bool {
    let mut product = 1_u64;
    for (at, _) in pattern.match_indices('{') {
        let counts = pattern[at + 1..].split('}').next().unwrap_or_default();
        let largest = counts.split(',').filter_map(|count| count.trim().parse::<u64>().ok()).max().unwrap_or(1);
        product = product.saturating_mul(largest.max(1));
    }
    pattern.len() <= MAX_PATTERN && product <= MAX_REPETITIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_bounded_in_length_and_repetition() {
        assert!(is_small_pattern("^[a-z]{2,8}-[0-9]{4}$"));
        assert!(is_small_pattern(r"^\p{Greek}+$"), "a class is no repetition");
        for bomb in ["(a{100}){100}", "((a{10}){10}){11}", "a{1001}", &"x".repeat(257)] {
            assert!(!is_small_pattern(bomb), "{bomb}");
        }
    }

    #[test]
    fn patterns_cost_what_they_take_when_they_are_compiled() {
        assert_eq!(size_of_pattern("^[a-z]{2,8}-[0-9]{4}$"), Some(4));
        assert!(size_of_pattern(r"^\w+$").is_some_and(|kib| kib > 16), "all letters of all scripts");
        assert_eq!(size_of_pattern("("), Some(4), "no pattern");
        for large in [r"(\w{30}){30}", "(?x)(\\w{#}\n900})", r"\w{32}"] {
            assert_eq!(size_of_pattern(large), None, "{large}");
        }
    }
}
