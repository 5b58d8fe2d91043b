//! A challenge that is answered on a page: where the page is, and the answer that comes of it.

use ringwall_protocol::wire::client::Challenge;
use zeroize::Zeroizing;

use super::{BrowserError, KeyCeremony, Loopback, Returned, is_web_page, returned_with, state_of};

/// A page that a user's browser has to open.
#[derive(Debug)]
pub(crate) struct Page {
    place: Loopback,
    what: What,
}

#[derive(Debug)]
enum What {
    /// Somebody else's page, which sends the browser back.
    Elsewhere { url: String, state: String },
    /// Our own, for a security key.
    Key(KeyCeremony),
}

impl Page {
    /// The page of a provider; `place` is where it was told to send the browser back to.
    ///
    /// # Errors
    /// [`BrowserError::Page`] for what no browser should be sent to.
    pub(crate) fn elsewhere(place: Loopback, url: &str) -> Result<Self, BrowserError> {
        let state = state_of(url).filter(|_| is_web_page(url)).ok_or(BrowserError::Page)?;
        Ok(Self { place, what: What::Elsewhere { url: url.to_owned(), state } })
    }

    /// The page for a challenge, if it is answered on one; takes `place`, or another one.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub(crate) async fn of(challenge: &Challenge, place: Option<Loopback>) -> Result<Option<Self>, BrowserError> {
        match challenge {
            Challenge::Text { .. } | Challenge::Push {} | Challenge::Agree {} => Ok(None),
            Challenge::Browser { url } => {
                let place = place.ok_or(BrowserError::Page)?;
                Self::elsewhere(place, url).map(Some)
            }
            Challenge::WebAuthn { create, options } => {
                let place = match place {
                    Some(place) => place,
                    None => Loopback::bind().await?,
                };
                let ceremony = KeyCeremony { create: *create, options: options.clone() };
                Ok(Some(Self { place, what: What::Key(ceremony) }))
            }
        }
    }

    /// What the browser is to open.
    #[must_use]
    pub(crate) fn url(&self) -> String {
        match &self.what {
            What::Elsewhere { url, .. } => url.clone(),
            What::Key(_) => self.place.key_page(),
        }
    }

    /// Whether the browser comes back from somebody else's page, so that the address it comes to can be pasted.
    #[must_use]
    pub(crate) const fn is_elsewhere(&self) -> bool {
        matches!(self.what, What::Elsewhere { .. })
    }

    /// Waits for the browser; what it brought, as Controllers take it.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub(crate) async fn answer(self) -> Result<Zeroizing<String>, BrowserError> {
        match self.what {
            What::Elsewhere { state, .. } => {
                let answer = self.place.returned(&state).await?;
                Ok(Zeroizing::new(serde_json::to_string(&answer).expect("texts serialise")))
            }
            What::Key(ceremony) => self.place.key(ceremony).await.map(Zeroizing::new),
        }
    }
}

/// What a browser brought to an address that somebody pasted, as Controllers take it: the browser of another machine comes
/// back to that one, where nobody listens, and shows the address.
///
/// # Errors
/// [`BrowserError::Pasted`] for an address that does not belong to this page; [`BrowserError::Refused`].
pub(crate) fn pasted(page: &str, address: &str) -> Result<Zeroizing<String>, BrowserError> {
    let state = state_of(page).ok_or(BrowserError::Page)?;
    match returned_with(&state, address.trim()) {
        Some(Returned::Answer(answer)) => Ok(Zeroizing::new(serde_json::to_string(&answer).expect("texts serialise"))),
        Some(Returned::Refused(why)) => Err(BrowserError::Refused(why)),
        None => Err(BrowserError::Pasted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_address_counts_for_its_own_page_only() {
        let page = "https://sso.example/auth?client_id=x&state=s1";
        let answer = pasted(page, " http://127.0.0.1:1/signed-in?code=c&state=s1&iss=https%3A%2F%2Fsso.example\n");
        assert_eq!(answer.expect("taken").as_str(), r#"{"code":"c","state":"s1","iss":"https://sso.example"}"#);
        for other in ["http://127.0.0.1:1/signed-in?code=c&state=s2", "123456", ""] {
            assert!(matches!(pasted(page, other), Err(BrowserError::Pasted)), "{other}");
        }
        let refused = pasted(page, "http://127.0.0.1:1/signed-in?error=access_denied&state=s1");
        assert!(matches!(refused, Err(BrowserError::Refused(why)) if why == "access_denied"));
    }
}
