//! The message with which a profile goes to its users. Its texts are files beside this one; here they are filled. Pure.

use ringwall_protocol::wire::admin::ProfileEmail;

use super::Told;
use super::template::{Escape, fill};

const SUBJECT: &str = include_str!("email/subject.txt");
const TEXT: &str = include_str!("email/body.txt");
const HTML: &str = include_str!("email/body.html");

/// The message about a profile.
pub(super) fn write(told: &Told) -> ProfileEmail {
    let root = told.root.to_string();
    let fields = [
        ("profile", told.profile.as_str()),
        ("host", told.host.as_str()),
        ("provider", told.provider.as_str()),
        ("fingerprint", root.as_str()),
        ("link", told.link.as_str()),
    ];
    ProfileEmail {
        subject: fill(SUBJECT.trim_end(), &fields, Escape::Nothing),
        text: fill(TEXT, &fields, Escape::Nothing),
        html: fill(HTML, &fields, Escape::Html),
    }
}

#[cfg(test)]
mod tests {
    use ringwall_trust::identity::Fingerprint;

    use super::*;

    #[test]
    fn the_message_holds_the_link_and_no_field_stays_empty_or_escapes() {
        let told = Told {
            profile: "Research & <b>development</b>".to_owned(),
            host: "sdp.example:443".to_owned(),
            provider: "local {{link}}".to_owned(),
            root: Fingerprint([7; 32]),
            link: "ringwall://sdp.example:443/eyJhIjoxfQ".to_owned(),
        };
        let email = write(&told);
        assert_eq!(email.subject.lines().count(), 1);
        assert!(email.subject.contains(&told.profile));
        assert!(email.text.lines().any(|line| line.trim() == told.link), "the link stands alone on a line");
        assert!(email.html.contains("Research &amp; &lt;b&gt;development&lt;/b&gt;") && !email.html.contains("<b>dev"));
        assert!(email.html.contains("href=\"ringwall://sdp.example:443/eyJhIjoxfQ\""));
        assert!(email.text.contains("local {{link}}"), "what a field holds is not filled again");
        for text in [&email.text, &email.html] {
            assert!(text.contains(&told.root.to_string()) && text.contains("sdp.example:443"));
        }
    }
}
