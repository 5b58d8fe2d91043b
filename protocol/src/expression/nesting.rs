//! The shape of an expression: which names it uses, how deeply its list operations are nested, and what it may cost.

use std::collections::BTreeSet;

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr};

use super::cost::Cost;

/// What the tree of an expression shows without running it.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) depth: usize,
    pub(super) variables: BTreeSet<String>,
    pub(super) functions: BTreeSet<String>,
    /// The same with the number of lists around each call.
    pub(super) calls: Vec<(String, usize)>,
    pub(super) cost: Cost,
}

impl Shape {
    pub(super) fn of(expression: &IdedExpr) -> Self {
        let mut shape = Self::default();
        shape.walk(expression, 0, &mut Vec::new());
        shape
    }

    fn walk(&mut self, node: &IdedExpr, depth: usize, bound: &mut Vec<String>) {
        self.cost.add(node, depth);
        match &node.expr {
            Expr::Ident(name) => {
                if !bound.contains(name) {
                    self.variables.insert(name.clone());
                }
            }
            Expr::Call(call) => {
                self.functions.insert(call.func_name.clone());
                self.calls.push((call.func_name.clone(), depth));
                if let Some(target) = &call.target {
                    self.walk(target, depth, bound);
                }
                call.args.iter().for_each(|argument| self.walk(argument, depth, bound));
            }
            Expr::Select(select) => self.walk(&select.operand, depth, bound),
            Expr::List(list) => list.elements.iter().for_each(|element| self.walk(element, depth, bound)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr, depth, bound)),
            Expr::Struct(made) => made.entries.iter().for_each(|entry| self.entry(&entry.expr, depth, bound)),
            Expr::Comprehension(list) => {
                self.depth = self.depth.max(depth + 1);
                self.cost.count_sums(&list.iter_range);
                self.walk(&list.iter_range, depth, bound);
                self.walk(&list.accu_init, depth, bound);
                let before = bound.len();
                bound.extend([list.iter_var.clone(), list.accu_var.clone()]);
                bound.extend(list.iter_var2.clone());
                for part in [&list.loop_cond, &list.loop_step, &list.result] {
                    self.walk(part, depth + 1, bound);
                }
                bound.truncate(before);
            }
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn entry(&mut self, entry: &EntryExpr, depth: usize, bound: &mut Vec<String>) {
        match entry {
            EntryExpr::StructField(field) => self.walk(&field.value, depth, bound),
            EntryExpr::MapEntry(pair) => {
                self.walk(&pair.key, depth, bound);
                self.walk(&pair.value, depth, bound);
            }
        }
    }
}

/// Whether CEL itself defines the function: operators, and the standard library as far as it ends quickly.
pub(super) fn is_standard(name: &str) -> bool {
    const STANDARD: [&str; 27] = [
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "int",
        "uint",
        "double",
        "string",
        "bool",
        "bytes",
        "timestamp",
        "duration",
        "type",
        "dyn",
        "has",
        "getFullYear",
        "getMonth",
        "getDayOfYear",
        "getDayOfMonth",
        "getDate",
        "getDayOfWeek",
        "getHours",
        "getMinutes",
        "getSeconds",
        "min",
        "max",
    ];
    name.starts_with('_')
        || name.starts_with('@')
        || name.starts_with('!')
        || name.starts_with('-')
        || STANDARD.contains(&name)
}
