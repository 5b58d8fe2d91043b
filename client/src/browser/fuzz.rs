//! The address with which a browser comes back, and the options of a security key, which become a page.

use super::key_page::{KeyCeremony, MAX_OPTIONS};
use super::query::{MAX_ADDRESS, Returned, returned_with, state_of};

/// The `state` that is waited for, a byte 0, and an address or a Controller's options.
#[must_use]
pub fn browser(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (state, address) = text.split_once('\0').unwrap_or(("s", text));
    page(address);
    let Some(returned) = returned_with(state, address) else { return false };
    assert!(address.len() <= MAX_ADDRESS);
    assert_eq!(state_of(address).as_deref(), Some(state), "an answer to another request");
    match returned {
        Returned::Answer(answer) => assert!(!answer.code.is_empty() && answer.state == state),
        Returned::Refused(why) => assert!(why.chars().count() <= 200 && !why.chars().any(char::is_control)),
    }
    true
}

/// Options stand in the page in a form in which nothing of them means anything to a browser.
fn page(options: &str) {
    let ceremony = KeyCeremony { create: options.len().is_multiple_of(2), options: options.to_owned() };
    let empty = KeyCeremony { create: ceremony.create, options: String::new() };
    if ceremony.is_sound() {
        assert!(options.len() <= MAX_OPTIONS);
        let (page, frame) = (ceremony.document(), empty.document());
        assert_eq!(page.matches('<').count(), frame.matches('<').count(), "options are markup");
        assert_eq!(page.matches('"').count(), frame.matches('"').count(), "options end an attribute");
    }
}
