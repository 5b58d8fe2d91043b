//! `sign-in` and `sign-out`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use ringwall_protocol::id::DeviceId;
use ringwall_protocol::object::identity_provider::BREAK_GLASS;
use ringwall_protocol::wire::admin::{KnockKeyAnswer, LoginAnswer, LoginRequest};
use ringwall_trust::dpop::ProofKey;
use serde_json::{Value, json};

use super::read_text;
use crate::cli::SignIn;
use crate::connection::Connection;
use crate::output::remark;
use crate::session::Session;

/// Signs in and writes the session file.
pub(super) async fn sign_in(order: SignIn, path: &Path) -> Result<()> {
    let known = Session::load(path)?;
    Session::check_place(path)?;
    let mut session = merge(&order, known)?;
    let known_user = if order.break_glass { Some(BREAK_GLASS.to_owned()) } else { session.user.clone() };
    let username = match order.username.clone().or(known_user) {
        Some(username) => username,
        None => dialoguer::Input::new().with_prompt("User").interact_text().context("no user name given")?,
    };
    let password = match &order.password_file {
        Some(file) => read_text(file)?.trim_end_matches(['\r', '\n']).to_owned(),
        None => dialoguer::Password::new()
            .with_prompt(if order.break_glass {
                BREAK_GLASS.to_owned() + " code"
            } else {
                format!("Password of {username}")
            })
            .interact()
            .context("no password given; use --password-file where there is no terminal")?,
    };
    let request = LoginRequest {
        provider_name: if order.break_glass { BREAK_GLASS.to_owned() } else { order.provider.clone() },
        username: username.clone(),
        password,
        device_id: session.device_id,
    };
    session.token = None;
    let mut answer: LoginAnswer = Connection::new(&session)?.post("/authentication", &request).await?;
    session.token = Some(answer.token.clone());
    if answer.user.need_two_factor_auth {
        answer = other_factor(&session, &order).await?;
    }
    session.token = Some(answer.token);
    if let Err(error) = renew_knock_key(&mut session).await {
        remark(&format!("the key for knocking was not renewed: {error:#}"));
    }
    session.expires = Some(answer.expires.to_string());
    session.user = Some(username).filter(|_| !order.break_glass).or(session.user);
    session.save(path)?;
    if !answer.message_of_the_day.is_empty() {
        remark(&answer.message_of_the_day);
    }
    remark(&format!("signed in as {} until {}", answer.user.name, answer.expires));
    Ok(())
}

/// A new key for knocking on the admin port, made by what the Collective accepts now.
pub(super) async fn renew_knock_key(session: &mut Session) -> Result<()> {
    let own: KnockKeyAnswer = Connection::new(session)?.post("/authentication/knock-key", &Value::Null).await?;
    session.knock_key = Some(own.knock_key);
    Ok(())
}

/// Gives the one-time password that is still wanted; whoever has no seed yet needs an enrolment code, and is shown a new one.
async fn other_factor(session: &Session, order: &SignIn) -> Result<LoginAnswer> {
    let api = Connection::new(session)?;
    let mut offer: Value = api.post("/authentication/otp/initialize", &json!({})).await?;
    if offer["type"] == "EnrolmentCode" {
        let code = match &order.enrolment_code_file {
            Some(file) => read_text(file)?.trim().to_owned(),
            None => dialoguer::Input::<String>::new()
                .with_prompt("Enrolment code, from another administrator (ringctl otp permit)")
                .interact_text()
                .context("no enrolment code given; use --enrolment-code-file where there is no terminal")?,
        };
        offer = api.post("/authentication/otp/initialize", &json!({ "enrolmentCode": code.trim() })).await?;
    }
    if let Some(secret) = offer["secret"].as_str() {
        remark(&format!("put this seed into an authenticator, it is shown once: {secret}"));
    }
    let message: String = offer["message"].as_str().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    if offer["elsewhere"] == true {
        remark(&format!("{message} (waiting for your answer elsewhere)"));
        return Ok(api.post("/authentication/otp", &json!({ "otp": "" })).await?);
    }
    let prompt = if message.is_empty() { "One-time password".to_owned() } else { message };
    let code = match &order.otp_file {
        Some(file) => read_text(file)?.trim().to_owned(),
        None => dialoguer::Input::<String>::new()
            .with_prompt(prompt)
            .interact_text()
            .context("no one-time password given; use --otp-file where there is no terminal")?,
    };
    Ok(api.post("/authentication/otp", &json!({ "otp": code.trim() })).await?)
}

/// Ends the session here and there.
pub(super) async fn sign_out(path: &Path) -> Result<()> {
    let Some(mut session) = Session::load(path)? else { return Ok(()) };
    if session.token.is_some() {
        let ended = Connection::new(&session)?.post::<Value>("/authentication/logout", &Value::Null).await;
        if let Err(error) = ended {
            remark(&format!("the Controller was not told: {error}"));
        }
    }
    session.token = None;
    session.expires = None;
    session.save(path)
}

fn merge(order: &SignIn, known: Option<Session>) -> Result<Session> {
    let controllers = match (&order.controllers, &known) {
        (named, _) if !named.is_empty() => named.clone(),
        (_, Some(session)) => session.controllers.clone(),
        _ => bail!("name a Controller's admin API, for example: ringctl sign-in 10.0.0.11:8443 --ca-fingerprint …"),
    };
    let ca_fingerprint = order
        .ca_fingerprint
        .clone()
        .or_else(|| known.as_ref().map(|session| session.ca_fingerprint.clone()))
        .context("--ca-fingerprint is wanted at the first sign-in; `ringwall-controller init` printed it")?;
    let device_id = known.as_ref().map_or_else(random_device, |session| session.device_id);
    let given = order.knock_key_file.as_ref().map(read_text).transpose()?;
    let given = given.map(|text| text.trim().to_owned().into());
    let knock_key = given.or_else(|| known.as_ref().and_then(|session| session.knock_key.clone()));
    let key = match known.as_ref().and_then(|session| session.key.clone()) {
        Some(key) => key,
        None => ProofKey::generate()?.expose_text().to_string(),
    };
    let user = known.and_then(|session| session.user);
    Ok(Session { controllers, ca_fingerprint, device_id, key: Some(key), token: None, expires: None, user, knock_key })
}

fn random_device() -> DeviceId {
    DeviceId::new(uuid::Uuid::new_v4())
}
