//! Links, tokens and lines of the local socket.

use ringwall_protocol::id::{DeviceId, Thumbprint};
use ringwall_protocol::token::{AdminToken, ClaimsToken, EntitlementToken, TokenBody};

use crate::held_token::{HeldToken, Holder};
use crate::local::{MAX_REQUEST_LINE, Request};
use crate::profile::{MAX_CONTROLLERS, MAX_LINK, Profile};
use crate::routes::plan::{SiteRoutes, Target, plan, within};

/// A link that a user pasted or clicked on.
#[must_use]
pub fn profile_link(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let profile = match Profile::parse_link(text) {
        Ok(profile) => profile,
        Err(error) => {
            // A link may hold a key, also one that is no link.
            assert!(!format!("{error}{error:?}").contains("sekrit"), "{error} repeats the link");
            return false;
        }
    };
    assert!(text.trim().len() <= MAX_LINK && profile.controllers.len() <= MAX_CONTROLLERS);
    let written = profile.expose_link();
    let again = Profile::parse_link(&written);
    assert!(again.as_ref() == Ok(&profile), "{profile:?} is read as {again:?}");
    assert_eq!(again.map(|again| again.slot()), Ok(profile.slot()));
    if let Some(spa) = &profile.spa {
        assert!(!format!("{profile:?}").contains(spa.key.expose_text().as_str()), "the key is shown");
    }
    true
}

/// Whom tokens are for.
pub(super) const HOLDER: Holder = Holder { device: DeviceId::from_random([5; 16]), key: Thumbprint([3; 32]) };

/// A token of a Controller, whose signature the Client cannot prove and need not.
#[must_use]
pub fn held_token(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let entitlement = take::<EntitlementToken>(text);
    if let Some(token) = &entitlement {
        let site = SiteRoutes { routes: token.routes.clone(), open: true };
        let planned = plan(&[site], &[[10, 9, 0, 1].into()]);
        let tunnel = planned.iter().filter(|route| route.target == Target::Tunnel);
        tunnel.for_each(|route| assert!(route.prefix.addr().is_ipv4(), "{route:?} without an address of its family"));
        assert!(within(&token.routes, &token.routes));
    }
    entitlement.is_some() || take::<ClaimsToken>(text).is_some() || take::<AdminToken>(text).is_some()
}

fn take<T: TokenBody + Clone>(text: &str) -> Option<HeldToken<T>> {
    let token = HeldToken::<T>::take(text, HOLDER).ok()?;
    let head = token.head();
    assert_eq!((head.cnf.jkt, head.device_id, head.sub.device), (HOLDER.key, HOLDER.device, HOLDER.device));
    assert!(text.len() <= T::MAX_LEN && token.expose() == text);
    assert!(format!("{token:?}").len() < 40, "a token is shown");
    Some(token)
}

/// A line of the daemon's local socket.
#[must_use]
pub fn local_request(bytes: &[u8]) -> bool {
    if bytes.len() > MAX_REQUEST_LINE {
        return false;
    }
    let Ok(request) = serde_json::from_slice::<Request>(bytes) else { return false };
    let written = serde_json::to_vec(&request).expect("a request can be written");
    assert!(serde_json::from_slice::<Request>(&written).is_ok_and(|again| again == request));
    if let Request::Answer { text, .. } = &request {
        assert!(text.len() < 40 || !format!("{request:?}").contains(text.as_str()), "what the user typed is shown");
    }
    true
}
