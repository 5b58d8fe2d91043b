//! `fido2`: security keys.

use anyhow::Result;
use ringwall_protocol::wire::admin::{Fido2Code, Fido2Device, Fido2Permit, List};

use super::Desk;
use super::otp::user;
use crate::cli::Fido2;
use crate::connection::escape;
use crate::output::{Rows, remark};

pub(super) async fn run(desk: &Desk, order: Fido2) -> Result<()> {
    match order {
        Fido2::List { query } => {
            let query = query.map(|text| format!("?query={}", escape(&text))).unwrap_or_default();
            let keys: List<Fido2Device> = desk.api.get(&format!("/fido2-devices{query}")).await?;
            desk.output.print(&keys.data, |keys| Rows {
                titles: vec!["user", "key", "registered", "may register until"],
                rows: keys.iter().map(row).collect(),
            })
        }
        Fido2::Permit { dn, hours } => {
            let permit = Fido2Permit { user_distinguished_name: user(&dn)?, validity_hours: hours };
            let code: Fido2Code = desk.api.post("/fido2-devices/registrations", &permit).await?;
            desk.output.print(&code, |code| Rows {
                titles: vec!["user", "code", "until"],
                rows: vec![vec![code.user_distinguished_name.to_string(), code.code.clone(), code.expires.to_string()]],
            })
        }
        Fido2::Remove { dn } => {
            let user = user(&dn)?;
            desk.api.delete(&format!("/fido2-devices/{}", escape(&user.to_string()))).await?;
            remark(&format!("{user} has no security key any more"));
            Ok(())
        }
    }
}

fn row(key: &Fido2Device) -> Vec<String> {
    vec![
        key.distinguished_name.to_string(),
        key.device_name.clone(),
        key.registered.clone().unwrap_or_default(),
        key.may_register_until.clone().unwrap_or_default(),
    ]
}
