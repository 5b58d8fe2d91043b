//! What a Site's link does after something ended it (`docs/token-flow.md` "At the Gateway").

use std::time::Duration;

use ringwall_protocol::wire::error::ErrorCode;

/// How a connection to a Gateway ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkEnd {
    /// The websocket broke; the session may still be there.
    WebsocketLost,
    /// The Gateway answers nothing any more, or its tunnel cannot be had.
    Dead,
    /// The Gateway said why.
    Ended(ErrorCode),
    /// The Gateway asked for something that the signed token does not allow, or broke the protocol.
    Untrustworthy,
    /// The device has a new certificate and shows it.
    NewCertificate,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same Gateway first, with the session's id; the tunnel may still carry packets.
    Resume,
    /// Another Gateway; this one is passed over for a while.
    OtherGateway,
    /// New tokens from a Controller, then again.
    RenewTokens,
    /// Nothing before this long has passed.
    Wait(Duration),
    /// Nothing until the user does something.
    Stop,
}

/// Decides.
#[must_use]
pub(crate) const fn after(end: &LinkEnd) -> Next {
    use ErrorCode as C;
    let code = match end {
        LinkEnd::WebsocketLost | LinkEnd::NewCertificate => return Next::Resume,
        LinkEnd::Dead | LinkEnd::Untrustworthy => return Next::OtherGateway,
        LinkEnd::Ended(code) => *code,
    };
    match code {
        C::TokenExpired
        | C::TokenRevoked
        | C::TokenMismatch
        | C::TokenInvalid
        | C::Revoked
        | C::NotEntitled
        | C::Unauthorized => Next::RenewTokens,
        // It was ended on purpose and must not reconnect at once.
        C::AdministratorEnded | C::Superseded | C::VersionUnsupported => Next::Stop,
        C::Flapping => Next::Wait(Duration::from_mins(1)),
        _ => Next::OtherGateway,
    }
}

/// When to try a lost tunnel again while the websocket lives: 0, 0.2, 1, 3 s; `None` gives the Gateway up.
#[must_use]
pub(crate) const fn reattach_after(failures: u32) -> Option<Duration> {
    match failures {
        0 => Some(Duration::ZERO),
        1 => Some(Duration::from_millis(200)),
        2 => Some(Duration::from_secs(1)),
        3 | 4 => Some(Duration::from_secs(3)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_websocket_is_resumed_and_a_dead_gateway_is_left() {
        assert_eq!(after(&LinkEnd::WebsocketLost), Next::Resume);
        assert_eq!(after(&LinkEnd::Dead), Next::OtherGateway);
        assert_eq!(after(&LinkEnd::Untrustworthy), Next::OtherGateway);
    }

    #[test]
    fn void_tokens_are_renewed_before_anything_else_is_tried() {
        for code in [ErrorCode::TokenExpired, ErrorCode::TokenRevoked, ErrorCode::Revoked] {
            assert_eq!(after(&LinkEnd::Ended(code)), Next::RenewTokens);
        }
    }

    #[test]
    fn every_retryable_code_leads_to_another_gateway() {
        for code in [ErrorCode::MovedAway, ErrorCode::Suspended, ErrorCode::LeaseLapsed, ErrorCode::FeedBehind] {
            assert!(code.retryable());
            assert_eq!(after(&LinkEnd::Ended(code)), Next::OtherGateway);
        }
    }

    #[test]
    fn a_superseded_link_stops() {
        assert_eq!(after(&LinkEnd::Ended(ErrorCode::Superseded)), Next::Stop);
        assert_eq!(after(&LinkEnd::Ended(ErrorCode::AdministratorEnded)), Next::Stop);
    }

    #[test]
    fn a_tunnel_is_tried_again_five_times() {
        let waits: Vec<_> = (0..).map_while(reattach_after).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [0, 200, 1_000, 3_000, 3_000]);
    }
}
