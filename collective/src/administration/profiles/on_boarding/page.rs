//! The on-boarding page: one document that needs nothing else, sends nothing anywhere and installs nothing. Pure.
//!
//! Its style and its one script (which copies the link) stand in it and are named by their hashes in its content
//! security policy; without script everything on it can be read and followed.

use std::sync::LazyLock;

use data_encoding::BASE64;
use ringwall_protocol::time::UnixMillis;
use ringwall_trust::identity::Fingerprint;

use crate::administration::profiles::Told;
use crate::administration::profiles::picture::drawing;
use crate::administration::profiles::template::{Escape, fill};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/copy.js");

/// What a browser may do with the page: show it, and run the one script. Also stands in the document, for copies that
/// other servers serve; there browsers pass over `frame-ancestors`.
pub(crate) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64.encode(&Fingerprint::of(text.as_bytes()).0);
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// The document about a profile.
pub(crate) fn document(told: &Told, expires: Option<UnixMillis>) -> String {
    let root = told.root.to_string();
    let until = match expires {
        Some(expires) => format!("This page can be seen until {expires}."),
        None => "The link works until an administrator replaces it.".to_owned(),
    };
    let within_meta = POLICY.replace("; frame-ancestors 'none'", "");
    let fields = [
        ("profile", told.profile.as_str()),
        ("host", told.host.as_str()),
        ("provider", told.provider.as_str()),
        ("fingerprint", root.as_str()),
        ("link", told.link.as_str()),
        ("until", until.as_str()),
        ("policy", within_meta.as_str()),
    ];
    // Our own markup goes in first, and holds no field of its own; everything else is escaped.
    let picture = drawing(&told.link).unwrap_or_default();
    let page = PAGE.replacen("<!--style-->", &format!("<style>{STYLE}</style>"), 1);
    let page = page.replacen("<!--script-->", &format!("<script>{SCRIPT}</script>"), 1);
    let page = page.replacen("<!--picture-->", &picture, 1);
    fill(&page, &fields, Escape::Html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_stands_alone_and_holds_the_link_as_text_anchor_and_picture() {
        let told = Told {
            profile: "<script>alert(1)</script>".to_owned(),
            host: "sdp.example:443".to_owned(),
            provider: "local\" onload=\"x".to_owned(),
            root: Fingerprint([7; 32]),
            link: "ringwall://sdp.example:443/eyJhIjoxfQ".to_owned(),
        };
        let page = document(&told, Some(UnixMillis(1_780_300_800_000)));
        assert!(!page.contains("alert(1)</script>") && !page.contains("\" onload"), "names are text");
        assert!(page.contains("href=\"ringwall://sdp.example:443/eyJhIjoxfQ\""));
        assert!(page.contains("<svg "));
        for outside in ["http://", "https://", " src=", "@import", "url("] {
            let own = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!own.contains(outside), "{outside}");
        }
        assert!(!page.contains("{{") && !page.contains("<!--"), "every place is filled");
        assert_eq!((page.matches("<script>").count(), page.matches("<style>").count()), (1, 1));
    }

    #[test]
    fn the_policy_lets_nothing_in_but_what_it_names() {
        assert!(POLICY.starts_with("default-src 'none'"));
        assert!(!POLICY.contains("unsafe") && !POLICY.contains("http") && !POLICY.contains('*'));
    }
}
