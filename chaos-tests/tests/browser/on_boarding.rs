//! The on-boarding page: what it shows, what it cannot do, who sees it.

use anyhow::{Context, Result};
use ringwall_chaos_tests::lab::browser::Browser;

use crate::place::{HOST, Place, scan};

#[test]
fn the_on_boarding_page_shows_the_link_as_text_anchor_and_picture_and_loads_nothing() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let link = operator.profile_link("default")?;
    let page = operator.on_boarding_page("default", 1)?;
    let browser = Browser::start(&place.lab, HOST)?;
    browser.open(&page)?;
    assert_eq!(browser.title()?, "Connect to default");
    assert_eq!(browser.text("#link")?, link);
    assert_eq!(browser.attribute("#open", "href")?, link);
    assert_eq!(browser.text("#fingerprint")?, place.founded.ca_fingerprint);
    assert!(browser.is_shown("#copy")?, "the script ran, as its hash allows");
    browser.click("#copy")?;
    browser.wait_for("#copied:not(:empty)")?;
    let loaded = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)", &[])?;
    assert_eq!(loaded, serde_json::json!([]), "the page loads nothing else");
    assert_eq!(browser.complaints()?, Vec::<String>::new());

    // The policy holds: what an intruder would add is refused by the browser.
    browser.run(
        "const it = document.createElement('script'); it.textContent = 'window.intruder = 1'; document.body.append(it);
         const image = document.createElement('img'); image.src = 'data:image/gif;base64,R0lGODlhAQABAAAAACw='; document.body.append(image);",
        &[],
    )?;
    assert_eq!(browser.run("return window.intruder === undefined", &[])?, true);
    let refused = browser.complaints()?;
    assert!(refused.iter().filter(|line| line.contains("Content Security Policy")).count() >= 2, "{refused:?}");

    let picture = browser.picture("#picture")?;
    assert_eq!(
        scan(&browser.greys(&picture)?).as_deref(),
        Some(link.as_str()),
        "as a telephone reads it from the screen"
    );
    let file = place.lab.directory().join("profile.png");
    operator.profile_picture("default", &file)?;
    let png = data_encoding::BASE64.encode(&std::fs::read(&file)?);
    assert_eq!(scan(&browser.greys(&png)?).as_deref(), Some(link.as_str()), "the picture of the API");
    drop(browser);
    assert_eq!(place.lab.errors(&[])?, Vec::<String>::new());
    Ok(())
}

#[test]
fn every_wrong_name_of_a_page_gets_the_same_answer() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let page = operator.on_boarding_page("default", 1)?;
    let shown = place.curl(HOST, &[&page])?;
    assert!(shown.starts_with("HTTP/1.1 200"), "{shown}");
    for header in
        ["content-security-policy: default-src 'none'", "cache-control: no-store", "referrer-policy: no-referrer"]
    {
        assert!(shown.to_ascii_lowercase().contains(header), "{header} is missing");
    }
    let (base, token) = page.rsplit_once('/').context("a path")?;
    let mut altered = token.to_owned().into_bytes();
    let middle = altered.len() / 2;
    altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered)?;
    let refusals: Vec<String> = [altered.as_str(), "x", &"A".repeat(4_000)]
        .iter()
        .map(|token| Ok(body_and_status(&place.curl(HOST, &[&format!("{base}/{token}")])?)))
        .collect::<Result<_>>()?;
    assert!(refusals[0].contains("404") && refusals.iter().all(|one| *one == refusals[0]), "{refusals:?}");
    // Closing the profile's enrolment takes the page away.
    operator.close_enrolment("default")?;
    assert_eq!(body_and_status(&place.curl(HOST, &[&page])?), refusals[0]);
    assert_eq!(place.controller.log().lines_with(token), Vec::<String>::new(), "its name is in no log");
    Ok(())
}

fn body_and_status(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    format!("{} {body}", head.lines().next().unwrap_or_default())
}
