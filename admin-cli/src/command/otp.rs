//! `otp`: seeds of one-time passwords.

use anyhow::Result;
use ringwall_protocol::name::UserDn;
use ringwall_protocol::wire::admin::{OtpCode, OtpPermit, OtpSeed};
use serde_json::json;

use super::Desk;
use crate::cli::Otp;
use crate::connection::escape;
use crate::exit_code::InvalidInput;
use crate::output::{Rows, remark};

pub(super) async fn run(desk: &Desk, order: Otp) -> Result<()> {
    match order {
        Otp::Seed { dn } => {
            let user = user(&dn)?;
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
            let user = user(&dn)?;
            let permit = OtpPermit { user_distinguished_name: user, validity_hours: hours };
            let code: OtpCode = desk.api.post("/otp/enrolments", &permit).await?;
            desk.output.print(&code, |code| Rows {
                titles: vec!["user", "code", "until"],
                rows: vec![vec![code.user_distinguished_name.to_string(), code.code.clone(), code.expires.to_string()]],
            })
        }
        Otp::Remove { dn } => {
            let user = user(&dn)?;
            desk.api.delete(&format!("/otp/seeds/{}", escape(&user.to_string()))).await?;
            remark(&format!("{user} has no seed any more"));
            Ok(())
        }
    }
}

/// The user of a DN. A name alone may be that of several users, one at each provider.
pub(super) fn user(dn: &str) -> Result<UserDn> {
    let wrong =
        || InvalidInput(format!("expected CN=<user>,OU=<identity provider>, such as CN=casey,OU=local, got {dn:?}"));
    Ok(dn.parse::<UserDn>().map_err(|_| wrong())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_refused_with_the_one_form_that_is_wanted() {
        assert!(user("CN=casey,OU=local").is_ok());
        for wrong in ["casey", "CN=0190a00000007000800000000000000a,CN=casey,OU=local", ""] {
            let told = format!("{:#}", user(wrong).expect_err("no user"));
            assert!(told.contains("CN=<user>,OU=<identity provider>") && !told.contains("<device>"), "{told}");
        }
    }
}
