//! Opening a page in the user's browser.

use std::process::{Command, Stdio};

/// Programs that know the user's browser.
const OPENERS: [&str; 2] = ["xdg-open", "gio"];

/// Whether a text is a page that a Controller may send the user to: `https`, without anything that a terminal or a
/// program could take for something else.
#[must_use]
pub(crate) fn is_web_page(url: &str) -> bool {
    let rest = url.strip_prefix("https://");
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']))
        && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'`\\<>".contains(&byte))
}

/// Opens a page that was looked at; false if nobody sits before this machine, or no program can do it. A program that
/// runs as root opens nothing: a browser must not.
pub(crate) fn open(url: &str) -> bool {
    let seen = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !(seen("DISPLAY") || seen("WAYLAND_DISPLAY")) || rustix::process::geteuid().is_root() {
        return false;
    }
    OPENERS.iter().any(|opener| {
        let mut command = Command::new(opener);
        if *opener == "gio" {
            command.arg("open");
        }
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // It hands the page to the browser and ends; a thread waits, so that no zombie stays.
        match command.spawn() {
            Ok(mut child) => {
                std::thread::spawn(move || drop(child.wait()));
                true
            }
            Err(_) => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_pages_are_opened() {
        assert!(is_web_page("https://sso.example/auth?client_id=x&scope=openid%20email#f"));
        for bad in [
            "http://sso.example/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "--help",
            "https://sso.example/a b",
            "https://sso.example/\u{1b}[2J",
            "https://sso.example/\n",
            "https://sso.example/`id`",
            "https://sso.example/é",
        ] {
            assert!(!is_web_page(bad), "{bad:?}");
        }
    }
}
