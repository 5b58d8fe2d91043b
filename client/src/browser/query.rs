//! What stands in the address with which a browser comes back (RFC 6749 §4.1.2; RFC 9207). Pure.

use ringwall_protocol::wire::client::BrowserAnswer;

/// Longest address that is looked at, in bytes.
pub(super) const MAX_ADDRESS: usize = 8 * 1024;
/// Longest text of a provider's error that is shown.
const MAX_ERROR: usize = 200;

/// What a browser came back with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Returned {
    /// A code to be redeemed.
    Answer(BrowserAnswer),
    /// The provider or the user said no; why, for people.
    Refused(String),
}

/// The `state` that a page was asked for with.
#[must_use]
pub(crate) fn state_of(url: &str) -> Option<String> {
    field(url, "state")
}

/// Reads an address that a browser came back to, whole or from its path on. `None` unless it carries this `state`:
/// anybody can send a browser to the loopback.
#[must_use]
pub(crate) fn returned_with(state: &str, address: &str) -> Option<Returned> {
    if address.len() > MAX_ADDRESS || field(address, "state")? != state {
        return None;
    }
    if let Some(error) = field(address, "error") {
        let said = field(address, "error_description").map(|more| format!("{error}: {more}")).unwrap_or(error);
        let plain = said.chars().filter(|c| !c.is_control()).take(MAX_ERROR).collect();
        return Some(Returned::Refused(plain));
    }
    let code = field(address, "code").filter(|code| !code.is_empty())?;
    Some(Returned::Answer(BrowserAnswer { code, state: state.to_owned(), iss: field(address, "iss") }))
}

/// A field of the query, decoded; `None` if it is missing, there twice, or no UTF-8.
fn field(address: &str, name: &str) -> Option<String> {
    let query = address.split_once('?')?.1;
    let query = query.split('#').next().unwrap_or_default();
    let mut found = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key)? == name).then_some(value)
    });
    let value = found.next()?;
    if found.next().is_some() {
        return None;
    }
    decode(value)
}

/// `application/x-www-form-urlencoded`.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(rest.next()?)? << 4 | digit(rest.next()?)?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_only_with_the_state_of_this_step() {
        let address = "http://127.0.0.1:1/signed-in?code=a%2Bb&state=s1&iss=https%3A%2F%2Fsso.example";
        let Some(Returned::Answer(answer)) = returned_with("s1", address) else { panic!("an answer") };
        assert_eq!((answer.code.as_str(), answer.iss.as_deref()), ("a+b", Some("https://sso.example")));
        assert_eq!(returned_with("s2", address), None);
        assert_eq!(returned_with("s1", "/signed-in?code=x"), None);
        assert_eq!(returned_with("s1", "/signed-in?code=x&state=s1&state=s2"), None, "which one counts?");
        assert_eq!(returned_with("s1", "/signed-in?code=&state=s1"), None);
        assert_eq!(returned_with("s1", "/signed-in?code=%ff&state=s1"), None);
        assert_eq!(state_of("https://sso.example/auth?scope=openid+email&state=a%20b#x").as_deref(), Some("a b"));
    }

    #[test]
    fn a_refusal_is_told_without_control_characters() {
        let address = "/signed-in?error=access_denied&error_description=no%1b%5b2J+way&state=s";
        assert_eq!(returned_with("s", address), Some(Returned::Refused("access_denied: no[2J way".to_owned())));
    }
}
