//! The codec against the RFCs' own examples, and against bytes that nobody meant.

use proptest::prelude::*;

use super::*;

const SECRET: &[u8] = b"xyzzy5461";

fn random() -> Random {
    Random { identifier: 7, authenticator: [9; 16], chap: 3 }
}

fn request(protocol: RadiusProtocol) -> Request {
    let asked = Asked { name: "alice", password: "arctangent", state: None, protocol };
    Request::new(&asked, SECRET, &random()).expect("a request")
}

/// A server's answer; without `signed` it has no Message-Authenticator.
fn answer(to: &Request, code: u8, signed: bool, secret: &[u8]) -> Vec<u8> {
    let mut bytes = vec![code, to.identifier, 0, 0];
    bytes.extend(to.authenticator);
    if signed {
        put(&mut bytes, attribute::MESSAGE_AUTHENTICATOR, &[0; 16]).expect("fits");
    }
    put(&mut bytes, attribute::REPLY_MESSAGE, b"hello").expect("fits");
    let length = u16::try_from(bytes.len()).expect("short");
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    if signed {
        let mac = signature(secret, &bytes);
        bytes[22..38].copy_from_slice(&mac);
    }
    let digest: [u8; 16] = Md5::new().chain_update(&bytes).chain_update(secret).finalize().into();
    bytes[4..20].copy_from_slice(&digest);
    bytes
}

#[test]
fn the_example_of_rfc_2865_is_hidden_as_it_says() {
    let authenticator =
        [0x0f, 0x40, 0x3f, 0x94, 0x73, 0x97, 0x80, 0x57, 0xbd, 0x83, 0xd5, 0xcb, 0x98, 0xf4, 0x22, 0x7a];
    let hidden = hide("arctangent", SECRET, &authenticator).expect("short");
    let expected = [0x0d, 0xbe, 0x70, 0x8d, 0x93, 0xd4, 0x13, 0xce, 0x31, 0x96, 0xe4, 0x3f, 0x78, 0x2a, 0x0a, 0xee];
    assert_eq!(hidden.as_slice(), expected, "RFC 2865 §7.1");
}

#[test]
fn every_request_begins_with_its_message_authenticator() {
    for protocol in [RadiusProtocol::Pap, RadiusProtocol::Chap] {
        let request = request(protocol);
        assert_eq!(request.bytes()[20..22], [80, 18]);
        let mut cleared = request.bytes().to_vec();
        cleared[22..38].fill(0);
        assert_eq!(signature(SECRET, &cleared), request.bytes()[22..38]);
        let text = String::from_utf8_lossy(request.bytes()).into_owned();
        assert!(!text.contains("arctangent"), "{protocol:?}");
    }
}

#[test]
fn an_answer_counts_only_if_it_is_authentic_in_both_ways() {
    let request = request(RadiusProtocol::Chap);
    let accept = answer(&request, ACCESS_ACCEPT, true, SECRET);
    let response = request.response(&accept, SECRET).expect("authentic");
    assert_eq!((response.decision, response.message().as_str()), (Decision::Accept, "hello"));
    let unsigned = answer(&request, ACCESS_ACCEPT, false, SECRET);
    assert_eq!(request.response(&unsigned, SECRET), Err(PacketError::Unauthenticated));
    let foreign = answer(&request, ACCESS_ACCEPT, true, b"another secret");
    assert_eq!(request.response(&foreign, SECRET), Err(PacketError::Forged));
    let mut other = answer(&request, ACCESS_ACCEPT, true, SECRET);
    other[1] ^= 1;
    assert_eq!(request.response(&other, SECRET), Err(PacketError::Stranger));
    // A rejection that a stranger on the way turns into an acceptance.
    let mut turned = answer(&request, ACCESS_REJECT, true, SECRET);
    turned[0] = ACCESS_ACCEPT;
    assert_eq!(request.response(&turned, SECRET), Err(PacketError::Forged));
    let later = Request::new(
        &Asked { name: "alice", password: "arctangent", state: None, protocol: RadiusProtocol::Chap },
        SECRET,
        &Random { authenticator: [8; 16], ..random() },
    )
    .expect("a request");
    assert_eq!(later.response(&accept, SECRET), Err(PacketError::Forged), "an old answer");
}

#[test]
fn what_does_not_fit_is_not_sent() {
    let asked = |name, password, state| Asked { name, password, state, protocol: RadiusProtocol::Pap };
    let long = "x".repeat(254);
    let longer = "x".repeat(129);
    for bad in [
        asked(&long, "p", None),
        asked("a", "", None),
        asked("a", &longer, None),
        asked("", "p", None),
        asked("a", "p", Some(&[])),
    ] {
        assert!(Request::new(&bad, SECRET, &random()).is_err());
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_no_strangers_bytes_count(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let request = request(RadiusProtocol::Pap);
        prop_assert!(request.response(&bytes, SECRET).is_err());
        let mut shaped = bytes;
        if shaped.len() >= HEADER {
            let length = u16::try_from(shaped.len()).expect("short");
            shaped[0] = ACCESS_ACCEPT;
            shaped[1] = 7;
            shaped[2..4].copy_from_slice(&length.to_be_bytes());
            prop_assert!(request.response(&shaped, SECRET).is_err());
        }
    }

    #[test]
    fn an_answer_with_one_bit_changed_does_not_count(at in 0..50_usize, bit in 0..8_u8) {
        let request = request(RadiusProtocol::Pap);
        let mut accept = answer(&request, ACCESS_ACCEPT, true, SECRET);
        let at = at % accept.len();
        accept[at] ^= 1 << bit;
        prop_assert!(request.response(&accept, SECRET).is_err());
    }
}
