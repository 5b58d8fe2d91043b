//! Pages behind conditions that a browser answers: a security key, and an OpenID provider. The request hangs, the user
//! agrees to be asked and answers once, and the *same* connection completes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        browser::Browser,
        probe::{Url, WaitingRequest},
        servers::{Nginx, Slapd, nginx, slapd},
        wait,
    },
    product::{Client, Gateway, Prompt, Ringctl, controller::socket, gateway},
};

use crate::{
    place::{ALICE, BOB, GATEWAY, Place, WEB},
    provider::{Provider, go_through},
};

/// The user, and the name under which administrators speak of her.
const USER: &str = slapd::USERS[0].0;
const DN: &str = "CN=lena,OU=corp";
/// The page behind the security key.
const KEY: u16 = 81;
/// The pages behind the provider, each asked for on its own.
const VAULT: u16 = 82;
const CELLAR: u16 = 83;
/// From a packet to its question, and from an answer to its effect.
const SOON: Duration = Duration::from_secs(20);
/// A waiting connection repeats its first packet ever more rarely.
const RETRY: Duration = Duration::from_secs(60);
/// How long the request itself would wait.
const PATIENCE: Duration = Duration::from_secs(180);

const OBJECTS: &str = r#"kind: Site
name: office
networkSubnets: [10.20.0.0/24]
vpn:
  snat: true
---
kind: IpPool
name: tunnel
ranges:
  - cidr: 100.64.0.0/16
---
kind: MfaProvider
name: security keys
type: Fido2
---
kind: ClientProfile
name: office
identityProvider: corp
---
kind: Condition
name: key touched
expression: hasMfa("key", 30)
remedyMethods:
  - type: OtpAuthentication
    message: Payroll needs your security key.
    claimSuffix: key
    providerId: security keys
---
kind: Condition
name: vault proof
expression: hasPassword("vault", 30)
remedyMethods:
  - type: PasswordAuthentication
    message: The vault needs you to sign in again.
    claimSuffix: vault
    providerId: sso
---
kind: Condition
name: cellar proof
expression: hasPassword("cellar", 30)
remedyMethods:
  - type: PasswordAuthentication
    message: The cellar needs you to sign in again.
    claimSuffix: cellar
    providerId: sso
---
kind: Entitlement
name: payroll
site: office
conditions: [key touched]
actions:
  - {subtype: tcp_up, action: allow, hosts: [10.20.0.10], ports: ["81"]}
---
kind: Entitlement
name: vault
site: office
conditions: [vault proof]
actions:
  - {subtype: tcp_up, action: allow, hosts: [10.20.0.10], ports: ["82"]}
---
kind: Entitlement
name: cellar
site: office
conditions: [cellar proof]
actions:
  - {subtype: tcp_up, action: allow, hosts: [10.20.0.10], ports: ["83"]}
---
kind: Policy
name: everybody
type: Access
expression: "true"
entitlements: [payroll, vault, cellar]
"#;

/// Wanted of a new device.
const KEY_WANTED: &str = "onBoarding2FA:
  mfaProviderId: security keys
  message: This device is new.
";

/// A directory of users, the Gateway, and the pages behind it; `wanted` belongs to the users' provider.
fn wall(place: &Place, operator: &Ringctl<'_>, provider: &Provider, wanted: &str) -> Result<(Slapd, Gateway, Nginx)> {
    let (directory, users) = place.directory()?;
    let users = format!("{users}ipPoolV4: tunnel\n{wanted}");
    place.apply(operator, &format!("{}---\n{users}---\n{OBJECTS}", provider.objects()))?;
    let pages = Nginx::start(&place.lab, WEB, &[KEY, VAULT, CELLAR])?;
    let seed = operator.add_gateway(GATEWAY, "office", &socket(&place.lab, GATEWAY, gateway::CLIENT_PORT))?;
    Ok((directory, Gateway::start(&place.lab, GATEWAY, "office", &seed)?, pages))
}

/// Asks for a page that is behind a condition, agrees to be asked, and answers with the question that follows.
fn behind(
    place: &Place,
    alice: &Client<'_>,
    (port, condition): (u16, &str),
    answer: impl FnOnce(&Prompt) -> Result<()>,
) -> Result<WaitingRequest> {
    let url = Url::of((place.lab.topology().v4(WEB, "office"), port), "/");
    let request = WaitingRequest::start(alice.namespace(), &url, PATIENCE)?;
    let of_condition = |prompt: &Prompt| prompt.condition.as_deref() == Some(condition);
    let asked = alice.wait_prompt_like(condition, SOON, of_condition)?;
    assert_eq!(asked.challenge["type"], "agree", "nothing is typed: {asked:?}");
    let told = alice.try_answer(&asked, "")?;
    ensure!(told.status.success() && told.stderr.contains("Open this page"), "{}", told.stderr);
    let page = alice.wait_prompt_like("a page", SOON, |prompt| of_condition(prompt) && prompt.page.is_some())?;
    assert_eq!(alice.status()?.prompts.len(), 1, "one question, and not the former beside it");
    assert_eq!(page.message, asked.message, "it says what it is for");
    assert_eq!(page.destination, asked.destination);
    answer(&page)?;
    Ok(request)
}

/// Touches the key on the Client's own page.
fn touch(browser: &Browser, page: &str) -> Result<()> {
    browser.open(page)?;
    browser.click("#start")?;
    let said = wait::for_value("the page's word", SOON, || {
        browser.text("#said").ok().filter(|said| !said.is_empty() && said != "Touch your key.")
    })?;
    ensure!(said == "Done. You can close this window.", "{said}: {:?}", browser.complaints()?);
    Ok(())
}

fn page_of(prompt: &Prompt) -> Result<&str> {
    prompt.page.as_deref().context("a page")
}

fn loaded(request: WaitingRequest, port: u16) -> Result<()> {
    let reply = request.answer(RETRY)?;
    ensure!(reply.body == nginx::page(WEB, port), "the page says {reply:?}");
    Ok(())
}

#[test]
fn pages_behind_a_security_key_and_an_openid_provider_open_after_one_answer() -> Result<()> {
    let place = Place::walled()?;
    let operator = place.operator()?;
    let provider = Provider::start(&place.lab)?;
    let _standing = wall(&place, &operator, &provider, KEY_WANTED)?;
    place.add_profile(&operator, ALICE, "office")?;
    let browser = Browser::start(&place.lab, ALICE)?;
    browser.plug_in_security_key()?;
    let mut alice = Client::new(&place.lab, ALICE);

    // A new device: the key is registered by the daemon's own questions, once.
    let code = operator.permit_security_key(DN)?;
    alice.begin_up(USER, slapd::PASSWORD)?;
    let asked = alice.wait_prompt("OtpAuthentication", SOON)?;
    assert_eq!(asked.message, "This device is new. Code from your administrator, to register a security key");
    alice.answer(&asked, &code)?;
    let page = alice.wait_prompt_like("the key's page", SOON, |prompt| prompt.page.is_some())?;
    touch(&browser, page_of(&page)?)?;
    alice.wait_connected(&["office"], SOON)?;
    alice.up(USER, slapd::PASSWORD, &["office"])?;
    assert!(alice.status()?.prompts.is_empty(), "a registered device is not asked");

    let request = behind(&place, &alice, (KEY, "key touched"), |prompt| touch(&browser, page_of(prompt)?))?;
    loaded(request, KEY)?;

    // Another user of the provider opens nothing, whoever sits before the browser.
    let refused = behind(&place, &alice, (CELLAR, "cellar proof"), |prompt| {
        go_through(&browser, page_of(prompt)?, "bob").map(drop)
    })?;
    alice.wait_prompts_closed(SOON)?;
    let troubles = alice.status()?.troubles;
    assert!(troubles.iter().any(|trouble| trouble.subject == "step-up"), "{troubles:?}");
    refused.must_hang_for(Duration::from_millis(300))?;
    drop(refused);

    let request = behind(&place, &alice, (VAULT, "vault proof"), |prompt| {
        let page = page_of(prompt)?;
        ensure!(page.contains("prompt=login") && page.contains("max_age=0"), "a fresh proof: {page}");
        go_through(&browser, page, USER).map(drop)
    })?;
    loaded(request, VAULT)?;
    alice.down()?;
    assert_eq!(place.lab.errors(&[])?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_step_up_in_the_browser_of_another_machine_is_answered_with_its_address() -> Result<()> {
    let place = Place::walled()?;
    let operator = place.operator()?;
    let provider = Provider::start(&place.lab)?;
    // Without another factor at sign-in: this is about the provider.
    let _standing = wall(&place, &operator, &provider, "")?;
    place.add_profile(&operator, ALICE, "office")?;
    let browser = Browser::start(&place.lab, BOB)?;
    let mut alice = Client::new(&place.lab, ALICE);
    alice.up(USER, slapd::PASSWORD, &["office"])?;
    let request = behind(&place, &alice, (VAULT, "vault proof"), |prompt| {
        let came_to = go_through(&browser, page_of(prompt)?, USER)?;
        let wrong = alice.try_answer(prompt, "http://127.0.0.1:1/signed-in?code=x&state=another")?;
        ensure!(wrong.status.code() == Some(4) && wrong.stderr.contains("paste the whole address"), "{}", wrong.stderr);
        alice.answer(prompt, &came_to)
    })?;
    loaded(request, VAULT)?;
    assert!(alice.status()?.prompts.is_empty());
    assert_eq!(place.lab.errors(&[])?, Vec::<String>::new());
    Ok(())
}
