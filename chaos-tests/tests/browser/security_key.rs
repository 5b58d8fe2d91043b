//! A security key as another factor: registered with an administrator's code, touched at the next sign-in.

use std::{thread, time::Duration};

use anyhow::{Context, Result, anyhow};
use ringwall_chaos_tests::lab::{browser::Browser, process::Finished, servers::slapd, wait};

use crate::place::{ALICE, Place};

const END: Duration = Duration::from_secs(60);
const PAGE: Duration = Duration::from_secs(20);
/// The user, and the name under which administrators speak of her.
const USER: &str = slapd::USERS[0].0;
const DN: &str = "CN=lena,OU=corp";

const KEYS: &str = "kind: MfaProvider
name: security keys
type: Fido2
---
kind: ClientProfile
name: corp
identityProvider: corp
---
";
const KEY_WANTED: &str = "onBoarding2FA:
  mfaProviderId: security keys
  message: Your security key, please.
  alwaysRequired: true
";

/// Signs in with name and password, answers what is typed, and touches the key where a page asks for it.
fn sign_in(place: &Place, browser: &Browser, typed: &str, page: bool) -> Result<Finished> {
    let secret = place.lab.directory().join("user.password");
    std::fs::write(&secret, slapd::PASSWORD)?;
    let program = place
        .client(ALICE)?
        .args(["sign-in", "--no-browser", "--key-type", "p256", "--username", USER, "--password-file"])
        .arg(secret)
        .input(&format!("{typed}\n"));
    let name = program.name().to_owned();
    thread::scope(|scope| {
        let running = scope.spawn(|| place.lab.run(ALICE, &program, END));
        if page {
            let url = place.wait_written(&name, "http://localhost:")?;
            browser.open(&url)?;
            assert_eq!(browser.complaints()?, Vec::<String>::new());
            browser.click("#start")?;
            let said = wait::for_value("the page's word", PAGE, || {
                browser.text("#said").ok().filter(|said| !said.is_empty() && said != "Touch your key.")
            })?;
            assert_eq!(said, "Done. You can close this window.", "{:?}", browser.complaints()?);
        }
        running.join().map_err(|_| anyhow!("the sign-in panicked"))?
    })
}

#[test]
fn a_security_key_is_registered_with_a_code_and_touched_ever_after() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let pool = operator.read(&["get", "ip-pools"])?;
    let pool = pool[0]["name"].as_str().context("a pool")?.to_owned();
    let (_directory, provider) = place.directory()?;
    place.apply(&operator, &format!("{KEYS}{provider}ipPoolV4: {pool}\n{KEY_WANTED}"))?;
    place.add_profile(&operator, ALICE, "corp")?;
    let browser = Browser::start(&place.lab, ALICE)?;
    browser.plug_in_security_key()?;

    // A password registers no key, and neither does a guess.
    let refused = sign_in(&place, &browser, "guessed", false)?;
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
    let code = operator.permit_security_key(DN)?;
    let wrong = sign_in(&place, &browser, &"A".repeat(43), false)?;
    assert_eq!(wrong.status.code(), Some(4), "{}", wrong.stderr);

    let registered = sign_in(&place, &browser, &code, true)?;
    assert!(registered.status.success(), "{}", registered.stderr);
    let keys = operator.read(&["fido2", "list"])?;
    assert_eq!(keys.as_array().map(Vec::len), Some(1), "{keys}");
    assert!(
        keys[0]["registered"].is_string() && keys[0].get("mayRegisterUntil").is_none(),
        "the code is spent: {keys}"
    );

    let touched = sign_in(&place, &browser, "", true)?;
    assert!(touched.status.success(), "{}", touched.stderr);
    assert!(touched.stderr.contains("Your security key, please."), "{}", touched.stderr);

    // Taken away: back to the code, which nobody has.
    operator.read(&["fido2", "remove", DN]).ok();
    let gone = sign_in(&place, &browser, &code, false)?;
    assert_eq!(gone.status.code(), Some(4), "{}", gone.stderr);
    assert_eq!(place.lab.errors(&[])?, Vec::<String>::new());
    Ok(())
}
