//! What a link may say, what it may not, and that it survives being written.

use super::*;

const ROOT: &str = "8d1f0fdc3bd0f4d2d2f4a4a5c31ef1b0f9a2a9a7b5c9d3e1f0a1b2c3d4e5f607";

fn link(host: &str, body: &str) -> String {
    format!("ringwall://{host}/{}", data_encoding::BASE64URL_NOPAD.encode(body.as_bytes()))
}

fn body(extra: &str) -> String {
    format!(r#"{{"profileName":"work","caFingerprint":"{ROOT}","identityProviderName":"local"{extra}}}"#)
}

#[test]
fn a_link_survives_being_written_and_read() {
    let key = "A".repeat(43);
    let text = link(
        "Controller.Example.com:8443",
        &body(&format!(r#","nextCaFingerprint":"{ROOT}","spa":{{"mode":"UDP-TCP","name":"work","key":"{key}"}}"#)),
    );
    let profile = Profile::parse_link(&text).expect("a link");
    assert_eq!(profile.host.to_string(), "controller.example.com:8443");
    assert_eq!(profile.spa.as_ref().map(|spa| spa.mode), Some(SpaMode::UdpTcp));
    assert!(Profile::parse_link(&profile.expose_link()) == Ok(profile));
}

#[test]
fn keys_in_hex_and_links_with_padding_are_read_too() {
    let hex = "ab".repeat(32);
    let text = link("c.example", &body(&format!(r#","spa":{{"mode":"TCP","name":"n","key":"{hex}"}}"#))) + "==";
    let profile = Profile::parse_link(&text).expect("a link");
    assert_eq!(profile.spa.map(|spa| *spa.key.expose()), Some([0xab; 32]));
}

#[test]
fn fields_of_a_later_version_are_passed_over() {
    assert!(Profile::parse_link(&link("c", &body(r#","colour":"green""#))).is_ok());
}

#[test]
fn a_link_may_name_further_controllers_but_not_without_end() {
    let text = link("c1.example", &body(r#","controllers":["c2.example:443","[2001:db8::3]:8443"]"#));
    let profile = Profile::parse_link(&text).expect("a link");
    let names: Vec<String> = profile.controllers.iter().map(ProfileHost::authority).collect();
    assert_eq!(names, ["c2.example:443", "[2001:db8::3]:8443"]);
    assert!(Profile::parse_link(&profile.expose_link()) == Ok(profile));
    assert!(Profile::parse_link(&link("c", &body(r#","controllers":["a b"]"#))).is_err());
    let many = vec!["\"c\""; MAX_CONTROLLERS + 1].join(",");
    let refused = Profile::parse_link(&link("c", &body(&format!(r#","controllers":[{many}]"#)))).expect_err("too many");
    assert!(refused.to_string().contains("at most 16"), "{refused}");
}

#[test]
fn hosts_may_be_names_and_addresses_with_and_without_port() {
    for (text, authority) in [
        ("c.example", "c.example:443"),
        ("192.0.2.1:8443", "192.0.2.1:8443"),
        ("[2001:db8::1]", "[2001:db8::1]:443"),
        ("[2001:db8::1]:8443", "[2001:db8::1]:8443"),
    ] {
        assert_eq!(text.parse::<ProfileHost>().map(|host| host.authority()), Ok(authority.to_owned()), "{text}");
    }
    for bad in ["", ":443", "c:0", "c:70000", "a b", "[::1", "[::1]x", "user@host", "a..b", "2001:db8::1"] {
        assert!(bad.parse::<ProfileHost>().is_err(), "{bad}");
    }
}

#[test]
fn what_is_no_link_is_refused_with_the_reason() {
    let refused = |text: &str| Profile::parse_link(text).expect_err("no link").to_string();
    assert!(refused("https://c/x").contains("expected a profile link"));
    assert!(refused("ringwall://c").contains("expected a profile link"));
    assert!(refused("ringwall://c/%%%").contains("base64url"));
    assert!(refused(&link("c", "{")).contains("base64url of JSON"));
    assert!(refused(&link("c", r#"{"profileName":"x"}"#)).contains("missing field caFingerprint"));
    assert!(refused(&link("c", &body("").replace(ROOT, "abcd"))).contains("caFingerprint"));
    assert!(refused(&"x".repeat(MAX_LINK + 1)).contains("at most"));
}

#[test]
fn neither_errors_nor_debug_show_the_key() {
    let secret = "deadbeefdeadbeef";
    let text = link("c", &body(&format!(r#","spa":{{"mode":"TCP","name":"n","key":"{secret}"}}"#)));
    assert!(!Profile::parse_link(&text).expect_err("short key").to_string().contains(secret));
    let text = link("c", &body(&format!(r#","spa":"{secret}""#)));
    assert!(!Profile::parse_link(&text).expect_err("wrong type").to_string().contains(secret));
    let key = "A".repeat(43);
    let text = link("c", &body(&format!(r#","spa":{{"mode":"TCP","name":"n","key":"{key}"}}"#)));
    assert!(!format!("{:?}", Profile::parse_link(&text).expect("a link")).contains(&key));
}

#[test]
fn host_and_provider_make_a_profile_and_nothing_else_does() {
    let of = |host: &str, text: String| Profile::parse_link(&link(host, &text)).expect("a link").slot();
    let first = of("c.example", body(""));
    assert_eq!(first, of("C.example:443", body("").replace("work", "other")));
    assert_ne!(first, of("c.example:444", body("")));
    assert_ne!(first, of("c.example", body("").replace("\"local\"", "\"ldap\"")));
}
