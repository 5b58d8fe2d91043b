//! Answers of RADIUS servers, and of whoever passes for one.

use md5::{Digest, Md5};
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::radius::RadiusProtocol;
use ringwall_protocol::wire::client::InputType;
use serde_json::json;

use super::packet::{Asked, MAX_PACKET, PacketError, Random, Request, attribute, signature};
use super::{Kept, further, known};

const SECRET: &[u8] = b"a secret that strangers do not have";

/// A code, then attributes. As they are, no stranger made an answer of them; signed by a server, they are read.
#[must_use]
pub fn radius_answer(bytes: &[u8]) -> bool {
    let asked = Asked { name: "alice", password: "arctangent", state: None, protocol: RadiusProtocol::Pap };
    let random = Random { identifier: 7, authenticator: [9; 16], chap: 3 };
    let request = Request::new(&asked, SECRET, &random).expect("a request");
    assert!(request.response(bytes, SECRET).is_err(), "a stranger's answer counts");
    let Some((code, attributes)) = bytes.split_first() else { return false };
    let Some(signed) = signed(&request, *code, attributes) else { return false };
    let forged = request.response(&signed, b"another secret");
    assert!(matches!(forged, Err(PacketError::Forged | PacketError::Malformed | PacketError::Stranger)));
    let Ok(response) = request.response(&signed, SECRET) else { return false };
    let values = response.attributes.iter().map(|(_, value)| value.len() + 2);
    assert_eq!(values.sum::<usize>() + 20, signed.len());
    let message = response.message();
    assert!(message.chars().count() <= 512 && !message.chars().any(char::is_control));
    if let Some(further) = further("server.example".to_owned(), &response, InputType::Masked) {
        let kept: Kept = serde_json::from_slice(&further.kept).expect("as it was kept");
        assert_eq!(Some(kept.state()), response.values(attribute::STATE).next());
    }
    let name = UserName::parse("alice").expect("a name");
    let user = known(&provider(), name, &response);
    let claims = serde_json::to_value(&user.claims).expect("JSON");
    assert_eq!((&claims["username"], &claims["identityProvider"]), (&json!("alice"), &json!("radius")));
    assert!(user.claims.0.keys().all(|claim| ["username", "identityProvider", "groups"].contains(&claim.as_str())));
    true
}

/// As a server signs: a Message-Authenticator in front of the attributes, then the authenticator over all of it.
fn signed(request: &Request, code: u8, attributes: &[u8]) -> Option<Vec<u8>> {
    let length = 38 + attributes.len();
    let [high, low] = u16::try_from(length).ok().filter(|_| length <= MAX_PACKET)?.to_be_bytes();
    let mut bytes = vec![code, request.identifier, high, low];
    bytes.extend(request.authenticator);
    bytes.extend([attribute::MESSAGE_AUTHENTICATOR, 18]);
    bytes.extend([0; 16]);
    bytes.extend_from_slice(attributes);
    let mac = signature(SECRET, &bytes);
    bytes[22..38].copy_from_slice(&mac);
    let digest: [u8; 16] = Md5::new().chain_update(&bytes).chain_update(SECRET).finalize().into();
    bytes[4..20].copy_from_slice(&digest);
    Some(bytes)
}

fn provider() -> IdentityProvider {
    serde_json::from_value(json!({
        "id": "0190a000-0000-7000-8000-000000000001", "name": "radius", "type": "Radius",
        "hostnames": ["server.example"], "port": 1812, "authenticationProtocol": "PAP",
        "claimMappings": [
            {"attributeName": "Class", "claimName": "groups", "list": true},
            {"attributeName": "Filter-Id", "claimName": "username"},
        ],
    }))
    .expect("a provider")
}
