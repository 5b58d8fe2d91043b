//! A message for a mail program (RFC 5322), as text and as HTML (RFC 2046 §5.1.4). Pure.

use data_encoding::BASE64;
use ringwall_protocol::wire::admin::ProfileEmail;

/// Between the parts. Both are base64, in which it cannot occur.
const BOUNDARY: &str = "=_ringwall_alternative";
/// Characters of base64 on a line (RFC 2045 §6.8).
const LINE: usize = 76;
/// Bytes of one encoded word: 75 characters with its frame (RFC 2047 §2).
const WORD: usize = 45;

/// Something that can stand in a `To` or `From` line and be nothing else: no blanks, commas, brackets or line ends.
#[must_use]
pub(crate) fn is_address(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_graphic() && !"<>()[],;:\\\"".contains(c));
    plain
        && text.len() <= 320
        && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
}

/// The whole message. Addresses were checked with [`is_address`].
#[must_use]
pub(crate) fn message(email: &ProfileEmail, to: &[String], from: Option<&str>) -> String {
    let from = from.map(|from| format!("From: {from}\n")).unwrap_or_default();
    format!(
        "{from}To: {}\nSubject: {}\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=\"{BOUNDARY}\"\n\n{}{}--{BOUNDARY}--\n",
        to.join(", "),
        subject(&email.subject),
        part("plain", &email.text),
        part("html", &email.html),
    )
}

fn part(kind: &str, text: &str) -> String {
    let encoded = BASE64.encode(text.replace('\n', "\r\n").as_bytes());
    let lines: Vec<&str> = encoded.as_bytes().chunks(LINE).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!(
        "--{BOUNDARY}\nContent-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{}\n\n",
        lines.join("\n")
    )
}

/// ASCII as it is, otherwise as encoded words that each hold whole characters.
fn subject(text: &str) -> String {
    let line: String = text.chars().filter(|c| !c.is_control()).collect();
    if line.is_ascii() {
        return line;
    }
    let mut words = vec![String::new()];
    for c in line.chars() {
        if words.last().is_some_and(|word| word.len() + c.len_utf8() > WORD) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let words: Vec<String> =
        words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64.encode(word.as_bytes()))).collect();
    words.join("\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_cannot_bring_headers_with_them() {
        assert!(is_address("alice@example.com"));
        for bad in ["alice", "@b", "a@", "a@b\nBcc: c@d", "a b@c", "<a@b>", "a@b,c@d", "a@b@c"] {
            assert!(!is_address(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_message_has_both_forms_and_its_subject_survives() {
        let email = ProfileEmail {
            subject: "Zugang zu Größe\r\nBcc: x@y".to_owned(),
            text: "Hello\n".repeat(40),
            html: "<p>Hello</p>".to_owned(),
        };
        let message = message(&email, &["alice@example.com".to_owned()], Some("root@example.com"));
        let (head, body) = message.split_once("\n\n").expect("a head");
        assert!(!head.contains("Bcc"), "{head}");
        assert_eq!(head.lines().next(), Some("From: root@example.com"));
        assert_eq!(body.matches("Content-Type: text/").count(), 2);
        assert!(body.lines().all(|line| line.len() <= LINE));
        let encoded: String = head.lines().filter_map(|line| line.split("?B?").nth(1)?.split("?=").next()).collect();
        let decoded = BASE64.decode(encoded.as_bytes()).expect("base64");
        assert!(String::from_utf8(decoded).expect("UTF-8").starts_with("Zugang zu Größe"));
    }
}
