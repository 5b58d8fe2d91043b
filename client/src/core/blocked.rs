//! Why an entitlement is shut, for the user: the kind of thing that it depends on, never the value that is wanted or was
//! found. Pure.
//!
//! The kinds come from the signed token; which conditions fail is what the Gateway said.

use std::collections::BTreeSet;
use std::fmt;

use ringwall_protocol::authorize::EntitlementState;
use ringwall_protocol::entitlement::Logic;
use ringwall_protocol::expression::Expression;
use ringwall_protocol::id::EntitlementId;
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::token::{EntitlementToken, GrantedCondition};
use serde::{Deserialize, Serialize};

/// An entitlement that is shut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// Id of the entitlement.
    pub id: EntitlementId,
    /// Name of the entitlement.
    pub name: String,
    /// Whether all of its conditions have to hold, or one.
    pub logic: Logic,
    /// What it depends on.
    pub depends_on: BTreeSet<DependsOn>,
}

/// What a condition depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DependsOn {
    /// A one-time password or another factor is asked for.
    OneTimePassword,
    /// A password is asked for.
    Password,
    /// A reason is asked for.
    Reason,
    /// A message says what to do.
    Message,
    /// The state of this device.
    Device,
    /// The network that this device is in.
    Network,
    /// The time.
    Time,
    /// What the user's account says.
    Account,
}

impl DependsOn {
    /// What the user reads.
    const fn words(self) -> &'static str {
        match self {
            Self::OneTimePassword => "a one-time password, asked for when you go there",
            Self::Password => "your password, asked for when you go there",
            Self::Reason => "a reason, asked for when you go there",
            Self::Message => "a message, shown when you go there",
            Self::Device => "the state of this device",
            Self::Network => "the network that you are in",
            Self::Time => "the time",
            Self::Account => "your account",
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.depends_on.iter().map(|one| one.words()).collect();
        let joint = match self.logic {
            Logic::And => " and ",
            Logic::Or => " or ",
        };
        if words.is_empty() {
            f.write_str("its conditions do not hold")
        } else {
            write!(f, "it wants {}", words.join(joint))
        }
    }
}

/// What is shut, and why.
#[must_use]
pub(crate) fn blocked(token: &EntitlementToken, states: &[EntitlementState]) -> Vec<Blocked> {
    let shut = states.iter().filter(|state| !state.open);
    shut.map(|state| {
        let granted = token.entitlements.iter().find(|granted| granted.id == state.id);
        let failed = state.failed_conditions.iter().filter_map(|id| token.conditions.get(id));
        Blocked {
            id: state.id,
            name: granted.map_or_else(|| state.name.clone(), |granted| granted.name.clone()),
            logic: granted.map_or(Logic::And, |granted| granted.condition_logic),
            depends_on: failed.flat_map(kinds).collect(),
        }
    })
    .collect()
}

fn kinds(condition: &GrantedCondition) -> BTreeSet<DependsOn> {
    let asked: BTreeSet<_> = condition.interactions.iter().map(|asked| kind_of(asked.kind)).collect();
    if asked.is_empty() { read(&condition.expression) } else { asked }
}

const fn kind_of(interaction: InteractionKind) -> DependsOn {
    match interaction {
        InteractionKind::OtpAuthentication => DependsOn::OneTimePassword,
        InteractionKind::PasswordAuthentication => DependsOn::Password,
        InteractionKind::Reason => DependsOn::Reason,
        InteractionKind::DisplayMessage => DependsOn::Message,
    }
}

/// What an expression looks at.
fn read(source: &str) -> BTreeSet<DependsOn> {
    let Ok(expression) = Expression::compile(source) else { return BTreeSet::new() };
    let paths = expression.claim_paths();
    let roots = paths.iter().filter_map(|path| match path.split('.').next()? {
        "device" => Some(DependsOn::Device),
        "system" => Some(DependsOn::Network),
        "user" => Some(DependsOn::Account),
        _ => None,
    });
    let functions = expression.functions();
    let called = functions.iter().filter_map(|name| match name.as_str() {
        "isClientInNetwork" => Some(DependsOn::Network),
        "inTimeRange" | "weekday" | "minutesSince" => Some(DependsOn::Time),
        _ => None,
    });
    roots.chain(called).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(expression: &str, asked: &[&str]) -> GrantedCondition {
        let interactions: Vec<_> =
            asked.iter().map(|kind| serde_json::json!({"type": kind, "message": "m", "claimSuffix": "s"})).collect();
        let condition = serde_json::json!({"name": "c", "expression": expression, "remedyLogic": "and",
            "interactions": interactions, "repeatSchedules": []});
        serde_json::from_value(condition).expect("a condition")
    }

    #[test]
    fn the_user_learns_what_kind_of_thing_is_missing_and_no_value() {
        use DependsOn::{Account, Device, Network, OneTimePassword, Reason, Time};
        for (expression, asked, kinds_of) in [
            (r#"hasMfa("vault", 60)"#, &["OtpAuthentication"][..], vec![OneTimePassword]),
            (r#"hasReason("s", 5) && device.ok"#, &["Reason"], vec![Reason]),
            (r#"device.os.version >= "12.4" && "agent" in device"#, &[], vec![Device]),
            (r#"isClientInNetwork("10.1.2.0/24")"#, &[], vec![Network]),
            (r#"inTimeRange("08:00", "17:00") || user.clearance > 3"#, &[], vec![Time, Account]),
        ] {
            let condition = condition(expression, asked);
            assert_eq!(kinds(&condition), kinds_of.into_iter().collect(), "{expression}");
            let blocked = Blocked {
                id: EntitlementId::from_random([1; 16]),
                name: "payroll".to_owned(),
                logic: Logic::And,
                depends_on: kinds(&condition),
            };
            let told = format!("{blocked} {}", serde_json::to_string(&blocked).expect("JSON"));
            for value in ["12.4", "10.1.2", "08:00", "clearance", "agent", "vault", "version"] {
                assert!(!told.contains(value), "{told:?} tells {value}");
            }
        }
    }
}
