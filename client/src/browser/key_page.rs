//! The page on which a security key is touched. It belongs to the Client and is served on the loopback: WebAuthn is only
//! there for pages, and a Controller behind the wall has none that a browser reaches (`docs/decisions/0006`).

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64;

const PAGE: &str = include_str!("key_page/page.html");
const SCRIPT: &str = include_str!("key_page/ceremony.js");
const STYLE: &str = include_str!("key_page/style.css");
/// Most options that a page is made of, in bytes: some 20 registered keys.
pub(super) const MAX_OPTIONS: usize = 16 * 1024;

/// What a security key is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyCeremony {
    /// True: a new key is registered.
    pub(crate) create: bool,
    /// The Controller's options, JSON.
    pub(crate) options: String,
}

impl KeyCeremony {
    /// Whether the options are JSON of a size that can be shown.
    #[must_use]
    pub(crate) fn is_sound(&self) -> bool {
        self.options.len() <= MAX_OPTIONS && serde_json::from_str::<serde_json::Value>(&self.options).is_ok()
    }

    /// The document. Options stand in it as base64, in which nothing means anything to a browser.
    pub(super) fn document(&self) -> String {
        let what = if self.create { "create" } else { "get" };
        let title = if self.create { "Register your security key" } else { "Use your security key" };
        PAGE.replacen("<!--style-->", &format!("<style>{STYLE}</style>"), 1)
            .replacen("<!--script-->", &format!("<script>{SCRIPT}</script>"), 1)
            .replace("{{title}}", title)
            .replacen("{{what}}", what, 1)
            .replacen("{{options}}", &BASE64.encode(self.options.as_bytes()), 1)
    }
}

/// What the browser may do with the page: run the one script, and tell this listener.
pub(super) fn policy() -> String {
    let hash = |text: &str| BASE64.encode(digest(&SHA256, text.as_bytes()).as_ref());
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_cannot_become_part_of_the_page() {
        let options = r#"{"x":"</script><script>alert(1)</script>{{title}}"}"#.to_owned();
        let page = KeyCeremony { create: true, options }.document();
        assert_eq!(page.matches("<script>").count(), 1);
        assert!(!page.contains("alert(1)") && page.contains("data-what=\"create\"") && !page.contains("{{"));
    }

    #[test]
    fn unsound_options_are_known() {
        assert!(KeyCeremony { create: false, options: "{}".to_owned() }.is_sound());
        assert!(!KeyCeremony { create: false, options: "<x>".to_owned() }.is_sound());
        assert!(!KeyCeremony { create: false, options: format!("\"{}\"", "x".repeat(MAX_OPTIONS)) }.is_sound());
    }
}
