//! The admin API does what its description says, and nothing else (T85): schemathesis with all checks, a small run with a
//! fixed seed, as an administrator with every privilege and as one with hardly any. `make pentest` has the long one.

use std::time::Duration;

use anyhow::{Result, ensure};
use ringwall_chaos_tests::{lab::Lab, pentest::api};

use crate::stage::{self, ADMINISTRATOR, ADMINISTRATORS_PASSWORD, CONTROLLER, Stage};

/// Objects of each shape, settings, questions, orders and what waits; `make pentest` tries all paths.
const PATHS: &str = "^/(approvals|conditions|global-settings|ip-pools|mfa-providers|on-boarded-devices|sites)";

const STATE: &str = r#"
kind: LocalUser
name: reader
password: the reader has a long password
---
kind: AdministrativeRole
name: sites only
privileges:
  - {type: View, target: Site}
---
kind: Policy
name: readers
type: Admin
expression: user.username == "reader"
administrativeRoles: [sites only]
"#;

#[test]
fn the_admin_api_does_what_its_description_says_for_high_and_low_roles() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let _stage = Stage::found(&lab, STATE)?;
    for (user, password) in [("reader", "the reader has a long password"), (ADMINISTRATOR, ADMINISTRATORS_PASSWORD)] {
        let run = api::Run {
            name: &format!("schemathesis-{user}"),
            user,
            password,
            paths: Some(PATHS),
            seed: 1,
            examples: 3,
            phases: "coverage",
            limit: Duration::from_secs(300),
        };
        let outcome = api::check(&lab, CONTROLLER, &run)?;
        ensure!(outcome.clean, "{user}:\n{}", outcome.output);
    }
    let errors = lab.errors(&[])?;
    ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
    Ok(())
}
