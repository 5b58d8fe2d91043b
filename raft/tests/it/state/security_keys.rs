//! Security keys: registered once per permission, used in one order only.

use std::time::Duration;

use ringwall_raft::Rejection;
use ringwall_raft::state::secret::Sealed;
use ringwall_raft::state::security_key::{
    AddSecurityKey, Permission, PermitSecurityKey, RegistrationCode, RemoveSecurityKeys, SecurityKey, UseSecurityKey,
};

use crate::fixture::*;

fn permit(code: u8, life: u64) -> PermitSecurityKey {
    let permission =
        Permission { code: RegistrationCode::new([code; 32]), not_after: START.plus(Duration::from_secs(life)) };
    PermitSecurityKey { user: user(1), dn: user_dn(1), permission }
}

fn add(id: &str, code: u8) -> AddSecurityKey {
    let key = SecurityKey {
        id: id.to_owned(),
        name: "blue".to_owned(),
        record: Sealed::new(1, "record"),
        counter: 0,
        registered_at: START,
        used_at: None,
    };
    AddSecurityKey { user: user(1), key, code: RegistrationCode::new([code; 32]) }
}

fn touch(id: &str, counter: u32) -> UseSecurityKey {
    UseSecurityKey { user: user(1), key: id.to_owned(), counter, record: Sealed::new(1, "record") }
}

#[test]
fn a_code_registers_one_key_and_only_in_its_time() {
    let mut replica = Replica::founded();
    assert!(matches!(replica.refusal(add("k1", 1)), Rejection::NotFound { .. }), "nobody permitted it");
    replica.apply(permit(1, 60)).accepted().unwrap();
    assert_eq!(replica.refusal(add("k1", 2)), Rejection::CodeUsed, "another code");
    replica.apply(add("k1", 1)).accepted().unwrap();
    assert_eq!(replica.refusal(add("k2", 1)), Rejection::CodeUsed, "a second key with the same code");
    replica.apply(permit(3, 60)).accepted().unwrap();
    replica.now = replica.now.plus(Duration::from_secs(60));
    assert_eq!(replica.refusal(add("k2", 3)), Rejection::CodeUsed, "too late");
    assert_eq!(replica.state.security_keys_of(user(1)).map(|known| known.keys.len()), Some(1));
    replica.apply(permit(4, 600)).accepted().unwrap();
    assert!(matches!(replica.refusal(add("k1", 4)), Rejection::Exists { .. }), "a key belongs to one user once");
}

#[test]
fn a_copied_security_key_is_noticed() {
    let mut replica = Replica::founded();
    replica.apply(permit(1, 60)).accepted().unwrap();
    replica.apply(add("k1", 1)).accepted().unwrap();
    replica.apply(touch("k1", 0)).accepted().expect("keys without a counter always say 0");
    replica.apply(touch("k1", 7)).accepted().unwrap();
    for old in [7, 6, 0] {
        assert_eq!(replica.refusal(touch("k1", old)), Rejection::CodeUsed, "{old}: the same answer, or a copy");
    }
    replica.apply(touch("k1", 8)).accepted().unwrap();
    replica.apply(RemoveSecurityKeys { user: user(1) }).accepted().unwrap();
    assert!(matches!(replica.refusal(touch("k1", 9)), Rejection::NotFound { .. }));
}
