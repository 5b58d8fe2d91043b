//! What an expression shows without being run: which answers it asks for, which claims it names, whether its result is
//! always the same. For the linter; nothing here decides about access.
//!
//! Where the tree does not tell, the answer is "unknown": `None`, never a guess.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

use cel::IdedExpr;
use cel::common::ast::operators::{CONDITIONAL, EQUALS, LOGICAL_AND, LOGICAL_NOT, LOGICAL_OR, NOT_EQUALS};
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue};

use super::{Expression, VARIABLES};

/// A call of `hasMfa`, `hasPassword` or `hasReason`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnswerTest {
    /// The function's name.
    pub function: String,
    /// The suffix, if it is written out.
    pub suffix: Option<String>,
}

/// Functions that ask for a user's answer.
const ANSWERS: [&str; 3] = ["hasMfa", "hasPassword", "hasReason"];

impl Expression {
    /// Calls that ask for a user's answer.
    #[must_use]
    pub fn answer_tests(&self) -> BTreeSet<AnswerTest> {
        let mut tests = BTreeSet::new();
        visit(self.program.expression(), &mut |node| {
            if let Expr::Call(call) = &node.expr
                && ANSWERS.contains(&call.func_name.as_str())
            {
                let suffix = call.args.first().and_then(text).map(str::to_owned);
                tests.insert(AnswerTest { function: call.func_name.clone(), suffix });
            }
        });
        tests
    }

    /// Names of all functions that are called, operators left out.
    #[must_use]
    pub fn functions(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        visit(self.program.expression(), &mut |node| {
            if let Expr::Call(call) = &node.expr
                && call.func_name.starts_with(char::is_alphabetic)
            {
                names.insert(call.func_name.clone());
            }
        });
        names
    }

    /// Claims that are named by a path (`user.department`, or `device` as a whole), with `claims.` left out; not those
    /// found by computation.
    #[must_use]
    pub fn claim_paths(&self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        visit(self.program.expression(), &mut |node| {
            if let Some(path) = path(node).filter(|path| path != "claims") {
                paths.insert(path);
            }
        });
        paths
    }

    /// The result, if it is the same for everybody at all times: `Some(false)` also where a claim would have to have two
    /// values at once.
    #[must_use]
    pub fn constant(&self) -> Option<bool> {
        fixed(self.program.expression())
    }
}

/// Visits every node, parents first.
fn visit(node: &IdedExpr, see: &mut impl FnMut(&IdedExpr)) {
    see(node);
    match &node.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(|child| visit(child, see)),
        Expr::Select(select) => visit(&select.operand, see),
        Expr::List(list) => list.elements.iter().for_each(|child| visit(child, see)),
        Expr::Map(map) => map.entries.iter().for_each(|entry| visit_entry(&entry.expr, see)),
        Expr::Struct(made) => made.entries.iter().for_each(|entry| visit_entry(&entry.expr, see)),
        Expr::Comprehension(list) => {
            [&list.iter_range, &list.accu_init, &list.loop_cond, &list.loop_step, &list.result]
                .into_iter()
                .for_each(|child| visit(child, see));
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

fn visit_entry(entry: &EntryExpr, see: &mut impl FnMut(&IdedExpr)) {
    match entry {
        EntryExpr::StructField(field) => visit(&field.value, see),
        EntryExpr::MapEntry(pair) => {
            visit(&pair.key, see);
            visit(&pair.value, see);
        }
    }
}

/// `user.a.b` of a chain of selections, or of `user["a"]`.
fn path(node: &IdedExpr) -> Option<String> {
    let (operand, field) = match &node.expr {
        Expr::Ident(name) => return VARIABLES.contains(&name.as_str()).then(|| name.clone()),
        Expr::Select(select) => (&*select.operand, select.field.as_str()),
        Expr::Call(call) if call.func_name == "_[_]" => (call.args.first()?, text(call.args.get(1)?)?),
        _ => return None,
    };
    let parent = path(operand)?;
    Some(if parent == "claims" { field.to_owned() } else { format!("{parent}.{field}") })
}

fn text(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// The truth value of a node, if it has the same one always.
fn fixed(node: &IdedExpr) -> Option<bool> {
    match &node.expr {
        Expr::Literal(LiteralValue::Boolean(truth)) => Some(*truth.inner()),
        Expr::Call(call) => fixed_call(call),
        _ => None,
    }
}

fn fixed_call(call: &CallExpr) -> Option<bool> {
    let arguments: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
    match (call.func_name.as_str(), arguments.as_slice()) {
        (LOGICAL_NOT, [one]) => fixed(one).map(|truth| !truth),
        (LOGICAL_AND, parts) => {
            let known: Vec<_> = parts.iter().map(|part| fixed(part)).collect();
            if known.contains(&Some(false)) || contradicts(call) {
                Some(false)
            } else {
                known.iter().all(|truth| *truth == Some(true)).then_some(true)
            }
        }
        (LOGICAL_OR, parts) => {
            let known: Vec<_> = parts.iter().map(|part| fixed(part)).collect();
            if known.contains(&Some(true)) {
                Some(true)
            } else {
                known.iter().all(|truth| *truth == Some(false)).then_some(false)
            }
        }
        (CONDITIONAL, [condition, yes, no]) => match fixed(condition) {
            Some(true) => fixed(yes),
            Some(false) => fixed(no),
            None => fixed(yes).filter(|yes| fixed(no) == Some(*yes)),
        },
        (EQUALS, [one, other]) => same_literals(one, other),
        (NOT_EQUALS, [one, other]) => same_literals(one, other).map(|same| !same),
        _ => None,
    }
}

fn same_literals(one: &IdedExpr, other: &IdedExpr) -> Option<bool> {
    match (&one.expr, &other.expr) {
        // Numbers of different kinds may be equal: `1 == 1.0` holds.
        (Expr::Literal(one), Expr::Literal(other)) if discriminant(one) == discriminant(other) => Some(one == other),
        _ => None,
    }
}

/// Whether parts of a conjunction want different values of one claim.
fn contradicts(call: &CallExpr) -> bool {
    let mut wanted: BTreeMap<String, &LiteralValue> = BTreeMap::new();
    let mut parts: Vec<&IdedExpr> = call.args.iter().collect();
    while let Some(part) = parts.pop() {
        let Expr::Call(inner) = &part.expr else { continue };
        match inner.func_name.as_str() {
            LOGICAL_AND => parts.extend(&inner.args),
            EQUALS => {
                let [one, other] = inner.args.as_slice() else { continue };
                let claim = path(one).zip(literal(other)).or_else(|| path(other).zip(literal(one)));
                let differs =
                    |former: &LiteralValue, value| discriminant(former) == discriminant(value) && former != value;
                if let Some((claim, value)) = claim
                    && wanted.insert(claim, value).is_some_and(|former| differs(former, value))
                {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

const fn literal(node: &IdedExpr) -> Option<&LiteralValue> {
    match &node.expr {
        Expr::Literal(value) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(source: &str) -> Expression {
        Expression::compile(source).expect(source)
    }

    #[test]
    fn asked_answers_are_found_wherever_they_stand() {
        let tests =
            expression(r#"user.a == "x" || (hasMfa("vault", 60) && !hasReason(user.suffix, 5))"#).answer_tests();
        let test = |function: &str, suffix: Option<&str>| AnswerTest {
            function: function.to_owned(),
            suffix: suffix.map(str::to_owned),
        };
        assert_eq!(tests, [test("hasMfa", Some("vault")), test("hasReason", None)].into());
    }

    #[test]
    fn claims_are_named_by_their_paths() {
        let paths = expression(r#"claims.user.a == "x" && device["os"].type == "linux" && "dev" in user.groups"#);
        let paths = paths.claim_paths();
        for path in ["user.a", "device.os.type", "user.groups"] {
            assert!(paths.contains(path), "{path} in {paths:?}");
        }
    }

    #[test]
    fn what_never_changes_is_known_and_nothing_else_is_guessed() {
        for (source, known) in [
            ("true", Some(true)),
            (r#"user.a == "x" && false"#, Some(false)),
            (r#"user.a == "x" || true"#, Some(true)),
            (r#"!(1 == 2)"#, Some(true)),
            (r#""a" == "b""#, Some(false)),
            (r#"user.a == "x" && user.b == "y" && user.a == "z""#, Some(false)),
            (r#"user.a == "x" && (user.b == "y" && "z" == user.a)"#, Some(false)),
            (r#"user.a == "x" && user.a == "x""#, None),
            ("1 == 1.0", None),
            ("1u != 1", None),
            ("user.a == 1 && user.a == 1.0", None),
            (r#"user.a == "x" || user.a == "z""#, None),
            (r#"user.a == "x" ? true : true"#, Some(true)),
            (r#"user.a"#, None),
        ] {
            assert_eq!(expression(source).constant(), known, "{source}");
        }
    }
}
