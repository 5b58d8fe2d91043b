//! CEL expressions: criteria of policies and conditions, compiled once, evaluated within limits, with the claims that
//! they read noted.
//!
//! An expression sees `user`, `device` and `system` (or `claims.user` …) and the functions of [`FUNCTIONS`]. It always
//! ends: source length, nesting, list sizes, steps and patterns are bounded. An error counts as "does not hold".
//!
//! Simple shapes are evaluated without the interpreter: [`Expression::is_direct`].

mod arena;
mod chains;
mod cost;
mod direct;
mod evaluate;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod inspect;
mod nesting;
mod readings;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::{Env, Program};

use crate::policy::MAX_EXPRESSION;

pub use arena::ClaimArena;
pub(crate) use chains::MAX_CHAIN;
pub(crate) use cost::{MAX_COST, MAX_PATTERN};
pub use evaluate::{Asked, Evaluator, Outcome};
pub use inspect::AnswerTest;
pub use readings::Readings;
pub(crate) use readings::readings;

/// Roots that an expression may name.
pub(crate) const VARIABLES: [&str; 4] = ["user", "device", "system", "claims"];
/// Functions beside CEL's own:
/// `hasMfa(suffix, minutes)`, `hasPassword(suffix, minutes)`, `hasReason(suffix, minutes)`: answered so recently;
/// `isInNetwork(address, prefix)`, `isClientInNetwork(prefix)`; `inTimeRange("08:00", "17:30")` and `weekday()`
/// (0 is Sunday), in UTC; `minutesSince(timestamp)`.
pub const FUNCTIONS: [&str; 8] = [
    "hasMfa",
    "hasPassword",
    "hasReason",
    "isInNetwork",
    "isClientInNetwork",
    "inTimeRange",
    "weekday",
    "minutesSince",
];
/// Deepest nesting of `all`, `exists`, `filter` and `map`: deeper ones cost more than the square of a list.
pub(crate) const MAX_NESTING: usize = 2;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled expression. Cheap to clone; can be shared between threads.
#[derive(Clone)]
pub struct Expression {
    program: Arc<Program>,
    source: Arc<str>,
    cost: cost::Cost,
    nesting: usize,
    /// The same, if it is simple enough to be evaluated without the interpreter.
    direct: Option<Arc<direct::Node>>,
}

/// Why a source is no expression here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Over [`MAX_EXPRESSION`].
    #[error("the expression has {got} bytes, at most {MAX_EXPRESSION} are allowed")]
    TooLong {
        /// Its length.
        got: usize,
    },
    /// Not CEL.
    #[error("the expression is not valid CEL: {0}")]
    Syntax(String),
    /// Over `MAX_CHAIN`.
    #[error("more than {MAX_CHAIN} operators, selections or brackets depend on each other")]
    TooDeep,
    /// Over `MAX_NESTING`.
    #[error("list operations are nested deeper than {MAX_NESTING}")]
    TooNested,
    /// Over `MAX_COST` whatever the claims are.
    #[error("the expression takes {got} steps, at most {MAX_COST} are allowed")]
    TooCostly {
        /// Steps.
        got: u64,
    },
    /// A pattern that is taken from claims, too long, or too large when it is compiled.
    #[error(
        "a pattern of matches() must be written out, have at most {MAX_PATTERN} bytes and repeat little (like a{{1,64}}; \
         \\w and other classes of all scripts are large, [0-9A-Za-z_] is small)"
    )]
    Pattern,
    /// A root that nobody binds.
    #[error("unknown variable {0:?}; expected one of user, device, system, claims")]
    UnknownVariable(String),
    /// A function that nobody defines.
    #[error("unknown function {0:?}")]
    UnknownFunction(String),
}

impl Expression {
    /// Compiles a source.
    ///
    /// # Errors
    /// If it is too long, no CEL, nested too deeply, or names a variable or function that does not exist.
    pub fn compile(source: &str) -> Result<Self, ExpressionError> {
        Self::compile_with(source, &Scripts::default())
    }

    /// Compiles a source that may also call the given scripts, as `name()`.
    ///
    /// # Errors
    /// As [`Expression::compile`].
    pub fn compile_with(source: &str, scripts: &Scripts) -> Result<Self, ExpressionError> {
        if source.len() > MAX_EXPRESSION {
            return Err(ExpressionError::TooLong { got: source.len() });
        }
        if chains::is_too_deep(source) {
            return Err(ExpressionError::TooDeep);
        }
        let program = ENV.compile(source).map_err(|errors| ExpressionError::Syntax(errors.to_string()))?;
        let mut shape = nesting::Shape::of(program.expression());
        let called = shape.calls.iter().filter_map(|(name, depth)| Some((&scripts.0.get(name)?.cost, *depth)));
        let bearable = called.fold(true, |fits, (script, depth)| shape.cost.add_script(script, depth) && fits);
        if shape.depth > MAX_NESTING || !bearable {
            return Err(ExpressionError::TooNested);
        }
        let got = shape.cost.least();
        if got > MAX_COST {
            return Err(ExpressionError::TooCostly { got });
        }
        if shape.cost.has_large_pattern {
            return Err(ExpressionError::Pattern);
        }
        if let Some(name) = shape.variables.iter().find(|name| !VARIABLES.contains(&name.as_str())) {
            return Err(ExpressionError::UnknownVariable(name.clone()));
        }
        let known =
            |name: &str| FUNCTIONS.contains(&name) || scripts.0.contains_key(name) || nesting::is_standard(name);
        if let Some(name) = shape.functions.iter().find(|name| !known(name)) {
            return Err(ExpressionError::UnknownFunction(name.clone()));
        }
        let direct = direct::tree(program.expression(), scripts).map(Arc::new);
        Ok(Self { program: Arc::new(program), source: source.into(), cost: shape.cost, nesting: shape.depth, direct })
    }

    /// Whether it has one of the simple shapes that need no interpreter: claims that are compared with what is written
    /// out, memberships, beginnings and ends of texts, `exists` and `all` over one list, the functions of [`FUNCTIONS`] with
    /// written-out arguments, and all of that joined by `&&`, `||`, `!` and `? :`. It means the same either way and only
    /// costs less.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// How deep list operations are nested in each other: the power of a list's length that an evaluation costs.
    #[must_use]
    pub const fn nesting(&self) -> usize {
        self.nesting
    }

    /// The source.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.source)
    }
}

/// Criteria scripts by name, cheap to clone. A script cannot call another.
#[derive(Debug, Clone, Default)]
pub struct Scripts(Arc<BTreeMap<String, Expression>>);

impl Scripts {
    /// Adds a script under a name.
    ///
    /// # Errors
    /// As [`Expression::compile`].
    pub fn add(&mut self, name: &str, source: &str) -> Result<(), ExpressionError> {
        Arc::make_mut(&mut self.0).insert(name.to_owned(), Expression::compile(source)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
