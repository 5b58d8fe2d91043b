//! Links of client profiles in all their forms, and the on-boarding page.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};

use super::Admin;
use crate::harness::Lab;

fn body_of(link: &str) -> Value {
    let (_, body) = link.rsplit_once('/').expect("a body");
    serde_json::from_slice(&BASE64URL_NOPAD.decode(body.as_bytes()).expect("base64url")).expect("JSON")
}

async fn default_profile(root: &Admin) -> Value {
    root.get("/client-profiles").await.ok()["data"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_names_every_controller_or_those_that_the_profile_lists() {
    let mut lab = Lab::start().await;
    lab.join().await;
    lab.join().await;
    let root = Admin::root(&lab).await;
    let profile = default_profile(&root).await;
    let path = format!("/client-profiles/{}", profile["id"].as_str().expect("an id"));
    let link = root.get(&format!("{path}/url")).await.ok()["url"].as_str().expect("a link").to_owned();
    let (host, named) = (lab.client_address(0).to_string(), body_of(&link)["controllers"].clone());
    assert!(link.starts_with(&format!("ringwall://{host}/")));
    let others = [lab.client_address(1), lab.client_address(2)].map(|address| address.to_string());
    assert_eq!(named, json!(others), "the host itself is not repeated");
    let mut changed = profile.clone();
    changed["furtherHostnames"] = json!(["far.example:443"]);
    root.put(&path, &changed).await.ok();
    let link = root.get(&format!("{path}/url")).await.ok();
    assert_eq!(body_of(link["url"].as_str().expect("a link"))["controllers"], json!(["far.example:443"]));
    changed["furtherHostnames"] = json!(["no port", "a:1", "a:1"]);
    assert_eq!(root.put(&path, &changed).await.fields(), ["furtherHostnames[0]", "furtherHostnames[2]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_link_notes_that_it_was_given_out() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let profile = default_profile(&root).await;
    assert!(profile.get("exported").is_none(), "not given out yet");
    let path = format!("/client-profiles/{}", profile["id"].as_str().expect("an id"));
    let link = root.get(&format!("{path}/url")).await.ok()["url"].as_str().expect("a link").to_owned();
    let mut last = String::new();
    for form in ["url", "barcode", "barcode?format=svg", "email", "page"] {
        root.get(&format!("{path}/{form}")).await.ok();
        let exported = root.get(&path).await.ok()["exported"].as_str().expect("a time").to_owned();
        assert!(exported > last, "{form}");
        last = exported;
    }
    let same = root.get(&path).await.ok();
    assert_eq!(root.put(&path, &same).await.ok()["exported"], same["exported"], "read and written back");
    let svg = root.get(&format!("{path}/barcode?format=svg")).await.ok();
    assert_eq!(svg["format"], "svg");
    let svg = BASE64.decode(svg["barcode"].as_str().expect("text").as_bytes()).expect("base64");
    assert!(svg.starts_with(b"<svg "));
    assert_eq!(root.get(&format!("{path}/barcode?format=gif")).await.fields(), ["query"]);
    let email = root.get(&format!("{path}/email")).await.ok();
    assert!(email["text"].as_str().expect("text").contains(&link) && email["subject"] == "Your access to default");
    assert!(root.get(&format!("{path}/page")).await.ok()["html"].as_str().expect("text").contains(&link));
    assert_eq!(
        root.post(&format!("{path}/on-boarding"), &json!({"validityHours": 0})).await.fields(),
        ["validityHours"]
    );
    let page = root.post(&format!("{path}/on-boarding"), &json!({"validityHours": 1})).await.ok();
    assert!(page["path"].as_str().is_some_and(|path| path.starts_with("/on-boarding/")));
    let urls = page["urls"].as_array().expect("a list");
    assert!(
        urls.iter().all(|url| url.as_str().is_some_and(|url| url.ends_with(page["path"].as_str().expect("a path"))))
    );
}
