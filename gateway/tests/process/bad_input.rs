//! What a Client with a certificate may say that is no `hello` of its own: it is refused by its code, on its own connection,
//! and nobody else notices.

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{FromClient, FromGateway, Hello};
use serde_json::Value;

use crate::client::{Tunnel, Websocket};
use crate::collective::{self, Collective, SignedIn};
use crate::gateway::Gateway;
use crate::inside;

/// Deeper than any message of ours, and than the decoder goes.
const DEEP: usize = 10_000;

/// The token with one character of a part exchanged: 1 content, 2 signature.
fn altered(token: &str, part: usize) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let middle = parts[part].len() / 2;
    let other = if parts[part].as_bytes()[middle] == b'A' { "B" } else { "A" };
    parts[part].replace_range(middle..=middle, other);
    parts.join(".")
}

/// The token with another value in its header.
fn with_header(token: &str, field: &str, value: &str) -> String {
    let (header, rest) = token.split_once('.').expect("a token");
    let header = BASE64URL_NOPAD.decode(header.as_bytes()).expect("base64url");
    let mut header: Value = serde_json::from_slice(&header).expect("JSON");
    header[field] = value.into();
    format!("{}.{rest}", BASE64URL_NOPAD.encode(header.to_string().as_bytes()))
}

async fn refusal(collective: &Collective, who: &SignedIn, text: String) -> FromGateway {
    let mut websocket = Websocket::connect(collective, who).await;
    websocket.try_say(text).await;
    let answer = websocket.hear().await;
    assert!(websocket.is_ended().await, "{answer:?}");
    answer
}

fn text(hello: Hello) -> String {
    serde_json::to_string(&FromClient::Hello(hello)).expect("serialises")
}

#[test]
fn a_hello_with_tokens_that_are_not_its_own_is_refused_by_its_code() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let gateway = Gateway::start(&collective).await;
        let (alice, mallory) = (collective.sign_in("alice"), collective.sign_in("mallory"));
        let (_alices, welcome) = Websocket::admitted(&collective, &alice, 1).await;

        let own = || collective.hello(&mallory, 1);
        let theirs = || collective.hello(&alice, 2);
        let claims = |claims_token: String| Hello { claims_token, ..own() };
        let entitlement = |entitlement_token: String| Hello { entitlement_token, ..own() };
        let cases = [
            ("altered content", claims(altered(&own().claims_token, 1)), ErrorCode::TokenInvalid),
            ("an altered signature", entitlement(altered(&own().entitlement_token, 2)), ErrorCode::TokenInvalid),
            ("no algorithm", claims(with_header(&own().claims_token, "alg", "none")), ErrorCode::TokenInvalid),
            ("another algorithm", claims(with_header(&own().claims_token, "alg", "HS256")), ErrorCode::TokenInvalid),
            ("a key that nobody has", claims(with_header(&own().claims_token, "kid", "nobody")), ErrorCode::FeedBehind),
            ("the other kind", claims(own().entitlement_token), ErrorCode::TokenInvalid),
            ("somebody else's tokens", theirs(), ErrorCode::TokenMismatch),
            ("somebody else's claims", claims(theirs().claims_token), ErrorCode::TokenMismatch),
            ("somebody else's entitlements", entitlement(theirs().entitlement_token), ErrorCode::TokenMismatch),
            ("a proof of another number", Hello { connect_seq: 7, ..own() }, ErrorCode::TokenMismatch),
            ("no version of ours", Hello { versions: vec![u16::MAX], ..own() }, ErrorCode::VersionUnsupported),
        ];
        for (what, hello, expected) in cases {
            let FromGateway::End { code, message } = refusal(&collective, &mallory, text(hello)).await else {
                panic!("{what} is not refused")
            };
            assert_eq!(code, expected, "{what}: {message}");
            assert!(!message.is_empty(), "{what}");
        }

        // The user of these tokens goes on, and so does who was refused, with what is his own.
        let mut tunnel = Tunnel::attach(&collective, &alice, &welcome.attach_token).await.expect("attached");
        tunnel.send(&alice.datagram(collective::OPEN_PORT)).await;
        gateway.protected_side_hears().await.expect("the packet");
        let (_websocket, _) = Websocket::admitted(&collective, &mallory, 8).await;
    });
}

#[test]
fn messages_that_are_cut_nested_or_of_no_kind_end_their_own_connection_only() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let gateway = Gateway::start(&collective).await;
        let mallory = collective.sign_in("mallory");
        let right = text(collective.hello(&mallory, 1));
        let texts = [
            right[..right.len() / 2].to_owned(),
            format!("{{\"type\":\"hello\",\"deviceClaims\":{}{}}}", "[".repeat(DEEP), "]".repeat(DEEP)),
            "[".repeat(DEEP),
            "null".to_owned(),
            String::new(),
            "{\"type\":\"nothing\"}".to_owned(),
            "{\"type\":\"hello\"}".to_owned(),
        ];
        for said in texts {
            let answer = refusal(&collective, &mallory, said.clone()).await;
            let start = said.get(..40).unwrap_or(&said);
            assert!(matches!(answer, FromGateway::End { code: ErrorCode::ProtocolError, .. }), "{start}: {answer:?}");
        }
        let mut websocket = Websocket::connect(&collective, &mallory).await;
        websocket.try_say(right).await;
        assert!(matches!(websocket.hear().await, FromGateway::Welcome(_)));
        // The same after the welcome.
        websocket.try_say("{\"type\":\"deviceClaims\",\"claims\":".to_owned() + &"[".repeat(DEEP)).await;
        assert!(websocket.is_ended().await, "a message that is cut");
        assert!(gateway.is_healthy());
    });
}
