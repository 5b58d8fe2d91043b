//! Encodings that were ever written stay readable: one file for each version, decoded for ever.
//!
//! `RINGWALL_WRITE_GOLDEN=1` writes the files of the present version, once, when a version is new.

use std::path::PathBuf;

use ringwall_raft::{CommandEnvelope, State, codec};

use crate::fixture::*;
use crate::replicas::world;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn commands() -> Vec<CommandEnvelope> {
    use ringwall_protocol::name::DnScope;
    use ringwall_protocol::revocation::{RevocationMode, RevocationScope, TokenKind};
    use ringwall_raft::Command;
    use ringwall_raft::state::address::AllocateAddresses;
    use ringwall_raft::state::blocklist::BlockUser;
    use ringwall_raft::state::lockout::{LockOut, LockoutSubject};
    use ringwall_raft::state::revocation::Revoke;
    use ringwall_raft::state::secret::{PutSecret, Sealed};
    use ringwall_raft::state::signing_key::AddKey;
    use ringwall_raft::state::totp::{PutTotpSeed, UseTotpStep};
    let public_key = data_encoding::BASE64URL_NOPAD.encode(&[1; 32]);
    let commands: Vec<Command> = vec![
        register(1, 1).into(),
        AllocateAddresses { user_id: user(1), provider_id: provider(), device_id: device(1) }.into(),
        AddKey { kid: "one".to_owned(), controller: NODE, public_key }.into(),
        BlockUser { user: user_dn(2), reason: "golden".to_owned() }.into(),
        PutTotpSeed { user: user(1), dn: user_dn(1), seed: Sealed::new(1, "seed") }.into(),
        UseTotpStep { user: user(1), step: 7 }.into(),
        LockOut { subject: LockoutSubject { user: user_dn(1), device: None }, base_minutes: 1 }.into(),
        Revoke {
            scope: RevocationScope::Dn(DnScope::User(user_dn(1))),
            kinds: TokenKind::ALL.into(),
            site: Some(site()),
            mode: RevocationMode::RenewWindow { delay_seconds: 30, slices: 2 },
            reason: "golden".to_owned(),
        }
        .into(),
        Command::Group(vec![PutSecret { name: "kek".to_owned(), sealed: Sealed::new(1, "sealed") }.into()]),
    ];
    (0u128..)
        .zip(commands)
        .map(|(number, command)| {
            let command_id = ringwall_protocol::id::CommandId::new(id(0x601d_0000 + number));
            CommandEnvelope::new(command_id, NODE, START, command)
        })
        .collect()
}

/// Commands that version 1 got later: a file of their own, so that the first one stays as it was written.
fn batches() -> Vec<CommandEnvelope> {
    use ringwall_protocol::object::ObjectKind;
    use ringwall_raft::state::object::PutObject;
    use ringwall_raft::state::object::batch::{AppliedFields, ApplyObjects, FieldDigest, NoteApplied, RevokeOwed};
    let fields = AppliedFields([("name".to_owned(), FieldDigest([7; 8]))].into());
    let note = NoteApplied { kind: ObjectKind::Site, id: site().uuid(), fields };
    let parts = vec![PutObject::new(site_object()).into(), note.into()];
    let commands: [ringwall_raft::Command; 2] =
        [ApplyObjects { parts }.into(), RevokeOwed { batch: ringwall_protocol::id::LogIndex(7), nth: 1 }.into()];
    (0u128..)
        .zip(commands)
        .map(|(number, command)| {
            let command_id = ringwall_protocol::id::CommandId::new(id(0xba7c_0000 + number));
            CommandEnvelope::new(command_id, NODE, START, command)
        })
        .collect()
}

/// The same whatever other tests ran before.
fn state() -> State {
    let mut replica = Replica::empty();
    let founding =
        CommandEnvelope::new(ringwall_protocol::id::CommandId::new(id(0x601d)), NODE, START, founding().into());
    replica.apply_envelope(&founding);
    for envelope in commands() {
        let reply = replica.apply_envelope(&envelope).outcome.reply;
        assert!(reply.clone().accepted().is_ok(), "{reply:?}");
    }
    replica.state
}

#[test]
fn state_of_version_1_is_still_read() {
    let file = path("state-1.bin");
    if std::env::var_os("RINGWALL_WRITE_GOLDEN").is_some() {
        std::fs::write(&file, state().to_bytes().unwrap()).unwrap();
    }
    let read = State::from_bytes(&std::fs::read(file).unwrap()).expect("decoded");
    assert_eq!(read, state());
    assert_eq!(read.digest(), state().digest());
}

#[test]
fn commands_of_version_1_are_still_read() {
    let file = path("commands-1.bin");
    if std::env::var_os("RINGWALL_WRITE_GOLDEN").is_some() {
        std::fs::write(&file, codec::encode(&commands()).unwrap()).unwrap();
    }
    let read: Vec<CommandEnvelope> = codec::decode(&std::fs::read(file).unwrap()).expect("decoded");
    assert_eq!(read, commands());
}

#[test]
fn batches_of_version_1_are_still_read() {
    let file = path("batches-1.bin");
    if std::env::var_os("RINGWALL_WRITE_GOLDEN").is_some() {
        std::fs::write(&file, codec::encode(&batches()).unwrap()).unwrap();
    }
    let read: Vec<CommandEnvelope> = codec::decode(&std::fs::read(file).unwrap()).expect("decoded");
    assert_eq!(read, batches());
}

#[test]
fn a_newer_or_damaged_state_is_refused_with_the_reason() {
    let bytes = world().state.to_bytes().unwrap();
    let newer: Vec<u8> = {
        let at = bytes.windows(7).position(|window| window == b"version").unwrap() + 7;
        let mut newer = bytes.clone();
        newer[at] = 2;
        newer
    };
    let why = State::from_bytes(&newer).expect_err("newer").to_string();
    assert!(why.contains("version 2"), "{why}");
    assert!(State::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    assert!(State::from_bytes(&[&bytes[..], &[0]].concat()).is_err(), "trailing bytes");
    assert!(State::from_bytes(&[0x91; 200]).is_err(), "deep nesting");
}
