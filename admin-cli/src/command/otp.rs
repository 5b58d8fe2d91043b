//! `otp`: seeds of one-time passwords.

use anyhow::{Context, Result};
use ringwall_protocol::name::UserDn;
use ringwall_protocol::wire::admin::{OtpCode, OtpPermit, OtpSeed};
use serde_json::json;

use super::Desk;
use crate::cli::Otp;
use crate::connection::escape;
use crate::output::{Rows, remark};

pub(super) async fn run(desk: &Desk, order: Otp) -> Result<()> {
    match order {
        Otp::Seed { dn } => {
            let user: UserDn = dn.parse().context("expected CN=<user>,OU=<provider>")?;
            let seed: OtpSeed =
                desk.api.post("/otp/seeds", &json!({"userDistinguishedName": user.to_string()})).await?;
            desk.output.print(&seed, |seed| Rows {
                titles: vec!["user", "secret", "link"],
                rows: vec![vec![
                    seed.user_distinguished_name.to_string(),
                    seed.secret.clone().unwrap_or_default(),
                    seed.otp_auth_url.clone().unwrap_or_default(),
                ]],
            })
        }
        Otp::Permit { dn, hours } => {
            let user: UserDn = dn.parse().context("expected CN=<user>,OU=<provider>")?;
            let permit = OtpPermit { user_distinguished_name: user, validity_hours: hours };
            let code: OtpCode = desk.api.post("/otp/enrolments", &permit).await?;
            desk.output.print(&code, |code| Rows {
                titles: vec!["user", "code", "until"],
                rows: vec![vec![code.user_distinguished_name.to_string(), code.code.clone(), code.expires.to_string()]],
            })
        }
        Otp::Remove { dn } => {
            let user: UserDn = dn.parse().context("expected CN=<user>,OU=<provider>")?;
            desk.api.delete(&format!("/otp/seeds/{}", escape(&user.to_string()))).await?;
            remark(&format!("{user} has no seed any more"));
            Ok(())
        }
    }
}
