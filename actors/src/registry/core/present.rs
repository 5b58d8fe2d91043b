//! Newer tokens of a live session: checked again like the first ones, and never older than what it has (T36).

use super::parking::Request;
use super::{Effect, RegistryCore, Ticket};
use crate::registry::admission::{Binding, Held, Presentation, Refusal, addresses, check_pair, mismatch};
use crate::support::clock::Moment;
use ringwall_protocol::wire::error::ErrorCode;

impl RegistryCore {
    /// Accepts, parks or refuses newer tokens.
    pub(crate) fn present(&mut self, ticket: Ticket, presentation: Box<Presentation>, now: Moment) -> Vec<Effect> {
        let claims = presentation.claims.as_ref().map(|token| token.head.idx);
        let entitlement = presentation.entitlement.as_ref().map(|token| token.head.idx);
        let outcome = match claims.max(entitlement) {
            None => Err(mismatch("no token was presented")),
            Some(needs) if needs > self.complete => {
                match self.parking.park(ticket, Request::Presentation(presentation), needs, now.instant) {
                    Ok(()) => return vec![],
                    Err(refusal) => Err(refusal),
                }
            }
            Some(_) => self.accept(&presentation, now).map(|()| presentation),
        };
        vec![match outcome {
            Ok(presentation) => Effect::Accept { ticket, presentation, checked_at: self.complete },
            Err(refusal) => Effect::Refuse { ticket, refusal },
        }]
    }

    fn accept(&mut self, presentation: &Presentation, now: Moment) -> Result<(), Refusal> {
        let ended = || Refusal::new(ErrorCode::TokenMismatch, "the session has ended");
        let view = self.view.as_ref().ok_or_else(ended)?;
        let entry = self.sessions.get(&presentation.session).ok_or_else(ended)?;
        let (mut claims, mut entitlement, mut claims_idx) =
            (entry.claims.clone(), entry.entitlement.clone(), entry.claims_idx);
        if let Some(token) = &presentation.claims {
            check_binding(Binding::of(&token.head), &entry.binding)?;
            if addresses(token, view)? != entry.addresses {
                return Err(mismatch("the tunnel addresses changed; connect anew"));
            }
            let newer = Held::of(token);
            check_newer(&newer, &claims)?;
            self.check_standing(&newer, &entry.binding, view, now)?;
            claims = newer;
        }
        if let Some(token) = &presentation.entitlement {
            check_binding(Binding::of(&token.head), &entry.binding)?;
            check_pair(claims.idx, token, view)?;
            let newer = Held::of(token);
            check_newer(&newer, &entitlement)?;
            self.check_standing(&newer, &entry.binding, view, now)?;
            entitlement = newer;
            claims_idx = token.claims_idx;
        }
        let entry = self.sessions.get_mut(&presentation.session).ok_or_else(ended)?;
        (entry.claims, entry.entitlement, entry.claims_idx) = (claims, entitlement, claims_idx);
        Ok(())
    }
}

fn check_binding(token: Binding, session: &Binding) -> Result<(), Refusal> {
    if token == *session {
        Ok(())
    } else {
        Err(mismatch("the token is of another sign-in, user, device or key than the session"))
    }
}

fn check_newer(newer: &Held, present: &Held) -> Result<(), Refusal> {
    if newer.idx >= present.idx { Ok(()) } else { Err(mismatch("the session has a newer token of this kind")) }
}
