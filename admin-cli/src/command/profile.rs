//! `profile`: how Clients find the Collective.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64;
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::admin::{
    OnBoarding, OnBoardingRequest, ProfileBarcode, ProfileEmail, ProfilePage, ProfileUrl,
};
use ringwall_trust::secret::write_private;
use serde_json::Value;

use super::Desk;
use super::object::{find, find_id};
use crate::cli::{Background, Profile};
use crate::mail;
use crate::output::{Format, Rows, remark, say};
use crate::qr::{Ink, draw};

pub(super) async fn run(desk: &Desk, order: Profile) -> Result<()> {
    match order {
        Profile::Link { name } => {
            let link: ProfileUrl = desk.api.get(&path(desk, &name, "url").await?).await?;
            match desk.output {
                // Alone, so that it can be piped to where it is added.
                Format::Table => say(&link.url),
                _ => desk.output.print(&link, |_| Rows::default()),
            }
        }
        Profile::Qr { name, svg: Some(file), .. } => picture(desk, &name, "svg", &file).await,
        Profile::Qr { name, png: Some(file), .. } => picture(desk, &name, "png", &file).await,
        Profile::Qr { name, background, .. } => qr(desk, &name, background).await,
        Profile::Email { name, to, from, html } => email(desk, &name, &to, from.as_deref(), html).await,
        Profile::OnBoarding { name, hours } => {
            let request = OnBoardingRequest { validity_hours: hours };
            let made: OnBoarding = desk.api.post(&path(desk, &name, "on-boarding").await?, &request).await?;
            desk.output.print(&made, |made| Rows {
                titles: vec!["page", "until"],
                rows: pages(made).map(|page| vec![page.clone(), made.expires.to_string()]).collect(),
            })
        }
        Profile::Rotate { name, now, former_hours } => {
            rotate(desk, &name, if now { Some(0) } else { former_hours }).await
        }
        Profile::Page { name, file } => {
            let page: ProfilePage = desk.api.get(&path(desk, &name, "page").await?).await?;
            write(&file, page.html.as_bytes())
        }
    }
}

/// Raises the generation of a profile's key.
async fn rotate(desk: &Desk, name: &str, former_hours: Option<u32>) -> Result<()> {
    let mut profile = find(desk, ObjectKind::ClientProfile, name).await?;
    let id = profile["id"].as_str().context("the object has no id")?.to_owned();
    let generation = profile["keyGeneration"].as_u64().context("the profile has no key generation")? + 1;
    profile["keyGeneration"] = generation.into();
    if let Some(hours) = former_hours {
        profile["formerKeyHours"] = hours.into();
    }
    let written: Value = desk.api.put(&format!("/client-profiles/{id}"), &profile).await?;
    let hours = written["formerKeyHours"].as_u64().unwrap_or(0);
    let former = if hours == 0 { "refused from now on".to_owned() } else { format!("accepted for {hours} hours") };
    remark(&format!(
        "the key of {name} is of generation {generation}; the former one is {former}. Give the new link out: ringctl profile link {name}"
    ));
    Ok(())
}

async fn path(desk: &Desk, name: &str, what: &str) -> Result<String> {
    let id = find_id(desk, ObjectKind::ClientProfile, name).await?;
    Ok(format!("/client-profiles/{id}/{what}"))
}

async fn qr(desk: &Desk, name: &str, background: Background) -> Result<()> {
    let link: ProfileUrl = desk.api.get(&path(desk, name, "url").await?).await?;
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let ink = if colours { Ink::Colours } else { Ink::Terminal(background) };
    say(&draw(&link.url, ink).context("the link is too long for a QR code")?)
}

async fn picture(desk: &Desk, name: &str, format: &str, file: &Path) -> Result<()> {
    let path = path(desk, name, &format!("barcode?format={format}")).await?;
    let picture: ProfileBarcode = desk.api.get(&path).await?;
    let bytes = BASE64.decode(picture.barcode.as_bytes()).context("the Controller's picture is no base64")?;
    write(file, &bytes)
}

async fn email(desk: &Desk, name: &str, to: &[String], from: Option<&str>, html: bool) -> Result<()> {
    for address in to.iter().map(String::as_str).chain(from) {
        ensure!(mail::is_address(address), "{address:?} is no mail address");
    }
    let email: ProfileEmail = desk.api.get(&path(desk, name, "email").await?).await?;
    if !to.is_empty() {
        return say(mail::message(&email, to, from).trim_end());
    }
    match desk.output {
        Format::Table if html => say(email.html.trim_end()),
        Format::Table => say(&format!("Subject: {}\n\n{}", email.subject, email.text.trim_end())),
        _ => desk.output.print(&email, |_| Rows::default()),
    }
}

/// A file that only its owner reads: it holds the link.
fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    write_private(file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    remark(&format!("{} is written; it holds the link, which can be a secret", file.display()));
    Ok(())
}

/// Where the page is; its path alone where no Controller says at which address administrators reach it.
fn pages(made: &OnBoarding) -> impl Iterator<Item = &String> {
    let path = Some(&made.path).filter(|_| made.urls.is_empty());
    made.urls.iter().chain(path)
}
