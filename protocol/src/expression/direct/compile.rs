//! From CEL's tree to ours: `None` for every shape that is not one of the simple ones.

use cel::IdedExpr;
use cel::common::ast::operators::{
    CONDITIONAL, EQUALS, GREATER, GREATER_EQUALS, IN, INDEX, LESS, LESS_EQUALS, LOGICAL_AND, LOGICAL_NOT, LOGICAL_OR,
    NOT_EQUALS,
};
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue};

use super::{Answer, Literal, Many, Node, Operand, Order, Path, TextTest};
use crate::claims::StepUpKind;
use crate::expression::Scripts;
use crate::expression::arena::ROOTS;
use crate::expression::evaluate::time_of_day;

/// The tree of an expression that is simple enough.
pub(in crate::expression) fn tree(expression: &IdedExpr, scripts: &Scripts) -> Option<Node> {
    Scope { scripts, element: None }.node(expression)
}

/// What names mean.
struct Scope<'s> {
    scripts: &'s Scripts,
    /// The name of the present element, inside a list.
    element: Option<&'s str>,
}

impl Scope<'_> {
    fn node(&self, from: &IdedExpr) -> Option<Node> {
        match &from.expr {
            Expr::Literal(LiteralValue::Boolean(truth)) => Some(Node::Known(*truth.inner())),
            Expr::Select(select) if select.test => {
                let mut path = path(&select.operand)?;
                path.names.push(select.field.as_str().into());
                Some(Node::Has(path))
            }
            Expr::Comprehension(each) => self.each(each),
            Expr::Call(call) if call.func_name != INDEX => self.call(call),
            _ => path(from).map(Node::Claim),
        }
    }

    fn call(&self, call: &CallExpr) -> Option<Node> {
        let name = call.func_name.as_str();
        match (&call.target, call.args.as_slice()) {
            (None, []) if self.scripts.0.contains_key(name) => Some(Node::Script(name.into())),
            (None, [one]) if name == LOGICAL_NOT => Some(Node::Not(Box::new(self.node(one)?))),
            (None, [one]) => function_of_one(name, one),
            (None, [one, other]) => self.operator(name, one, other).or_else(|| self.function_of_two(name, one, other)),
            (None, [condition, yes, no]) if name == CONDITIONAL => {
                Some(Node::Choice(Box::new([self.node(condition)?, self.node(yes)?, self.node(no)?])))
            }
            (Some(target), [argument]) => {
                let test = match name {
                    "contains" => TextTest::Contains,
                    "startsWith" => TextTest::StartsWith,
                    "endsWith" => TextTest::EndsWith,
                    _ => return None,
                };
                Some(Node::Text(test, self.operand(target)?, text(argument)?.into()))
            }
            _ => None,
        }
    }

    fn operator(&self, name: &str, one: &IdedExpr, other: &IdedExpr) -> Option<Node> {
        let order = match name {
            LOGICAL_AND => return Some(Node::And(Box::new([self.node(one)?, self.node(other)?]))),
            LOGICAL_OR => return Some(Node::Or(Box::new([self.node(one)?, self.node(other)?]))),
            EQUALS => return Some(Node::Equal(true, self.operand(one)?, self.operand(other)?)),
            NOT_EQUALS => return Some(Node::Equal(false, self.operand(one)?, self.operand(other)?)),
            IN => return Some(Node::In(self.operand(one)?, many(other)?)),
            LESS => Order::Less,
            LESS_EQUALS => Order::LessOrEqual,
            GREATER => Order::Greater,
            GREATER_EQUALS => Order::GreaterOrEqual,
            _ => return None,
        };
        Some(Node::Compare(order, self.operand(one)?, self.operand(other)?))
    }

    fn function_of_two(&self, name: &str, one: &IdedExpr, other: &IdedExpr) -> Option<Node> {
        let answer = match name {
            "hasMfa" => Answer::StepUp(StepUpKind::Otp),
            "hasPassword" => Answer::StepUp(StepUpKind::Password),
            "hasReason" => Answer::Reason,
            "isInNetwork" => return Some(Node::InNetwork(self.operand(one)?, text(other)?.parse().ok()?)),
            "inTimeRange" => {
                return Some(Node::InTimeRange(time_of_day(text(one)?).ok()?, time_of_day(text(other)?).ok()?));
            }
            _ => return None,
        };
        let Expr::Literal(LiteralValue::Int(minutes)) = &other.expr else { return None };
        Some(Node::Answered(answer, text(one)?.into(), *minutes.inner()))
    }

    fn operand(&self, from: &IdedExpr) -> Option<Operand> {
        match &from.expr {
            Expr::Literal(value) => Literal::of(value).map(Operand::Literal),
            Expr::Ident(name) if self.element == Some(name) => Some(Operand::Element),
            Expr::Call(call) if call.func_name == "weekday" && call.target.is_none() && call.args.is_empty() => {
                Some(Operand::Weekday)
            }
            _ => path(from).map(Operand::Claim),
        }
    }

    /// `exists` and `all` over a claim, not within each other, with a name for the element that hides no root.
    fn each(&self, each: &ComprehensionExpr) -> Option<Node> {
        let is_result = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if *name == each.accu_var);
        let Expr::Literal(LiteralValue::Boolean(begin)) = &each.accu_init.expr else { return None };
        let Expr::Call(step) = &each.loop_step.expr else { return None };
        let every = *begin.inner();
        let [before, body] = step.args.as_slice() else { return None };
        let folds = step.func_name == if every { LOGICAL_AND } else { LOGICAL_OR };
        let simple = self.element.is_none() && each.iter_var2.is_none() && !ROOTS.contains(&each.iter_var.as_str());
        if !simple || !folds || !is_result(before) || !is_result(&each.result) {
            return None;
        }
        let inner = Scope { scripts: self.scripts, element: Some(&each.iter_var) };
        Some(Node::Each(every, path(&each.iter_range)?, Box::new(inner.node(body)?)))
    }
}

fn function_of_one(name: &str, argument: &IdedExpr) -> Option<Node> {
    (name == "isClientInNetwork").then(|| text(argument)?.parse().ok().map(Node::ClientInNetwork)).flatten()
}

fn many(from: &IdedExpr) -> Option<Many> {
    let Expr::List(list) = &from.expr else { return path(from).map(Many::Claim) };
    let literal = |element: &IdedExpr| match &element.expr {
        Expr::Literal(value) => Literal::of(value),
        _ => None,
    };
    let literals = list.elements.iter().map(literal).collect::<Option<_>>()?;
    list.optional_indices.is_empty().then_some(Many::Literals(literals))
}

fn path(from: &IdedExpr) -> Option<Path> {
    let (operand, name) = match &from.expr {
        Expr::Ident(name) => {
            let root = ROOTS.iter().position(|root| root == name)?;
            return Some(Path { root, names: Vec::new() });
        }
        Expr::Select(select) if !select.test => (&*select.operand, select.field.as_str()),
        Expr::Call(call) if call.func_name == INDEX && call.target.is_none() => {
            let [operand, name] = call.args.as_slice() else { return None };
            (operand, text(name)?)
        }
        _ => return None,
    };
    let mut path = path(operand)?;
    path.names.push(name.into());
    Some(path)
}

fn text(from: &IdedExpr) -> Option<&str> {
    match &from.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
