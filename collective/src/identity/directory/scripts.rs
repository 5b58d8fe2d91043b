//! Scripts that make user claims from what a provider told (S17): CEL, as everywhere, in bounded number, length, nesting
//! and time. A script that fails leaves its claim out; whoever signs in does not notice, an operator is told why.

use std::time::{Duration, Instant};

use ringwall_protocol::claims::{ClaimMap, Facts};
use ringwall_protocol::expression::{Asked, ClaimArena, Evaluator, Expression, Scripts};
use ringwall_protocol::object::identity_provider::ClaimScript;
use ringwall_protocol::time::UnixMillis;

use crate::identity::hashing::{HashingPool, Lane};
use crate::refusal::Refusal;

/// Longest source of a script, in bytes.
pub(crate) const MAX_SOURCE: usize = 1_024;
/// Deepest nesting of list operations in a script.
const MAX_NESTING: usize = 1;
/// All scripts of one sign-in; what comes later is left out.
const BUDGET: Duration = Duration::from_millis(250);

/// A claim that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// The claim.
    pub(crate) claim: String,
    /// The reason, for operators.
    pub(crate) why: String,
}

/// The claims with those that the scripts make, and what was left out. Runs beside the runtime.
///
/// # Errors
/// `busy`, `internal`.
pub(crate) async fn run(
    pool: &HashingPool,
    scripts: &[ClaimScript],
    claims: ClaimMap,
    now: UnixMillis,
) -> Result<(ClaimMap, Vec<LeftOut>), Refusal> {
    if scripts.is_empty() {
        return Ok((claims, Vec::new()));
    }
    let scripts = scripts.to_vec();
    pool.run(Lane::Known, move || apply(&scripts, claims, now)).await
}

/// A script that may run: of a user's thousand groups, the square is already a bomb.
///
/// # Errors
/// What is wrong, for operators.
pub(crate) fn compile(source: &str) -> Result<Expression, String> {
    if source.len() > MAX_SOURCE {
        return Err(format!("a script has at most {MAX_SOURCE} bytes"));
    }
    let expression = Expression::compile(source).map_err(|error| error.to_string())?;
    if expression.nesting() > MAX_NESTING {
        return Err("list operations of a script are not nested in each other".to_owned());
    }
    Ok(expression)
}

/// Each script sees what the provider told and nothing that another script made: their order does not matter.
pub(super) fn apply(scripts: &[ClaimScript], told: ClaimMap, now: UnixMillis) -> (ClaimMap, Vec<LeftOut>) {
    let (system, step_ups, reasons) = (ClaimMap::default(), Default::default(), Default::default());
    let facts = Facts { user: &told, device: None, system: &system, step_ups: &step_ups, reasons: &reasons, now };
    let arena = ClaimArena::new(&facts);
    let evaluator = Evaluator::new(&arena, &facts, &Scripts::default());
    let (mut made, mut left_out) = (ClaimMap::default(), Vec::new());
    let begin = Instant::now();
    for script in scripts {
        let value = if begin.elapsed() > BUDGET {
            Err("the scripts before it took too long".to_owned())
        } else {
            compile(&script.expression).and_then(|expression| evaluator.value(&expression, Asked::default()))
        };
        let bounded = value.and_then(|value| {
            let one: ClaimMap = [(script.claim_name.clone(), value)].into_iter().collect();
            one.check().map(|()| one).map_err(|error| error.to_string())
        });
        match bounded {
            Ok(one) => made.0.extend(one.0),
            Err(why) => left_out.push(LeftOut { claim: script.claim_name.clone(), why }),
        }
    }
    let mut claims = told.clone();
    claims.0.extend(made.0);
    (claims, left_out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn script(claim: &str, expression: &str) -> ClaimScript {
        ClaimScript { claim_name: claim.to_owned(), expression: expression.to_owned() }
    }

    fn told() -> ClaimMap {
        serde_json::from_value(json!({"groups": ["engineers", "staff"], "username": "alice"})).expect("claims")
    }

    #[test]
    fn scripts_make_claims_and_failures_leave_theirs_out() {
        let scripts = [
            script("senior", "'staff' in user.groups"),
            script("team", "user.groups.filter(g, g.startsWith('eng'))"),
            script("broken", "user.nothing.at.all"),
            script("chained", "user.senior"),
            script("level", "size(user.groups) * 10"),
        ];
        let (claims, left_out) = apply(&scripts, told(), UnixMillis(0));
        let claims = serde_json::to_value(&claims).expect("JSON");
        assert_eq!(claims["senior"], true);
        assert_eq!(claims["team"], json!(["engineers"]));
        assert_eq!(claims["level"], 20);
        assert_eq!(claims["username"], "alice");
        let missing: Vec<_> = left_out.iter().map(|one| one.claim.as_str()).collect();
        assert_eq!(missing, ["broken", "chained"], "{left_out:?}");
    }

    #[test]
    fn a_script_bomb_makes_no_claim_and_ends() {
        let long = "'x'".to_owned() + &" + 'xxxxxxxxxxxxxxxx'".repeat(40);
        let bombs = [
            script("square", "user.groups.map(a, user.groups.map(b, a + b))"),
            script("deep", "user.groups.map(a, user.groups.map(b, user.groups.map(c, user.groups.map(d, d))))"),
            script("source", &format!("{long} + {long}")),
            script("large", &format!("user.groups.map(a, {long})")),
        ];
        let groups: Vec<String> = (0..1_000).map(|number| format!("group {number}")).collect();
        let told: ClaimMap = serde_json::from_value(json!({"groups": groups})).expect("claims");
        let (claims, left_out) = apply(&bombs, told.clone(), UnixMillis(0));
        assert_eq!(claims, told);
        assert_eq!(left_out.len(), bombs.len(), "{left_out:?}");
    }
}
