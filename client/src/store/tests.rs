//! Everything survives being written, nobody else can read it, and counters only go up.

use std::os::unix::fs::PermissionsExt;

use ringwall_protocol::name::ProviderName;
use ringwall_startup::LockError;
use ringwall_trust::identity::{Fingerprint, KeyKind};
use ringwall_trust::secret::SystemRandom;

use super::*;

fn state() -> (tempfile::TempDir, StateDirectory) {
    let directory = tempfile::tempdir().expect("a directory");
    let state = StateDirectory::open(directory.path().join("state")).expect("opened");
    (directory, state)
}

fn profile(name: &str, host: &str) -> Profile {
    Profile {
        name: name.into(),
        host: host.parse().expect("a host"),
        identity_provider: ProviderName::parse("local").expect("a name"),
        ca: Fingerprint([1; 32]),
        next_ca: None,
        controllers: vec![],
        spa: None,
    }
}

fn modes(path: &Path, seen: &mut Vec<(PathBuf, u32)>) {
    for entry in std::fs::read_dir(path).expect("listed") {
        let path = entry.expect("an entry").path();
        let metadata = std::fs::metadata(&path).expect("exists");
        seen.push((path.clone(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            modes(&path, seen);
        }
    }
}

#[test]
fn every_file_is_its_owners_alone() {
    let (directory, state) = state();
    let work = profile("work", "c.example");
    state.keep(&work).expect("kept");
    let store = state.store(&work.slot());
    store.device(&SystemRandom).expect("a device");
    store.key(KeyKind::P256).expect("a key");
    store.next_connect_seq().expect("a number");
    let session = StoredSession {
        claims_token: String::from("secret").into(),
        chain: vec![],
        sites: vec![],
        no_entitlements: None,
        controllers: vec![],
        on_demand_claims: vec![],
        notices: vec![],
    };
    store.keep_session(&session).expect("kept");
    let _lock = state.lock().expect("locked");
    let mut seen = Vec::new();
    modes(directory.path(), &mut seen);
    assert_eq!(seen.len(), 9, "{seen:?}");
    for (path, mode) in seen {
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let (_directory, state) = state();
    let work = profile("work", "c.example");
    state.keep(&work).expect("kept");
    let link = state.path().join("profiles").join(work.slot().to_string()).join("profile.link");
    std::fs::set_permissions(&link, std::fs::Permissions::from_mode(0o644)).expect("changed");
    assert!(matches!(state.profiles(), Err(StoreError::File(FileError::Exposed { mode: 0o644, .. }))));
}

#[test]
fn device_and_key_stay_the_same_and_outlive_a_sign_out() {
    let (_directory, state) = state();
    let work = profile("work", "c.example");
    state.keep(&work).expect("kept");
    let store = state.store(&work.slot());
    let (device, key) = (store.device(&SystemRandom).expect("made"), store.key(KeyKind::P256).expect("made"));
    store.forget_session().expect("nothing to forget");
    assert_eq!(store.device(&SystemRandom).expect("read").device_id, device.device_id);
    assert_eq!(store.key(KeyKind::Rsa3072).expect("read").thumbprint(), key.thumbprint());
}

#[test]
fn connect_numbers_only_go_up_and_a_damaged_counter_is_not_restarted() {
    let (_directory, state) = state();
    let work = profile("work", "c.example");
    state.keep(&work).expect("kept");
    let store = state.store(&work.slot());
    assert_eq!((store.next_connect_seq().ok(), store.next_connect_seq().ok()), (Some(1), Some(2)));
    let path = state.path().join("profiles").join(work.slot().to_string()).join("connect_seq");
    write_private_for_test(&path, "x");
    assert!(matches!(store.next_connect_seq(), Err(StoreError::Damaged { .. })));
}

fn write_private_for_test(path: &Path, content: &str) {
    ringwall_trust::secret::write_private(path, content.as_bytes()).expect("written");
}

#[test]
fn the_meant_profile_is_found_or_the_choice_is_named() {
    let (_directory, state) = state();
    assert!(matches!(state.choose(None), Err(StoreError::NoProfile)));
    state.keep(&profile("work", "c.example")).expect("kept");
    assert_eq!(state.choose(None).expect("the only one").profile.name, "work");
    let lab = profile("lab", "lab.example");
    state.keep(&lab).expect("kept");
    assert!(matches!(state.choose(None), Err(StoreError::WhichProfile(names)) if names.len() == 2));
    assert_eq!(state.choose(Some("lab")).expect("by name").slot, lab.slot());
    assert_eq!(state.choose(Some(&lab.slot().to_string())).expect("by slot").slot, lab.slot());
    assert!(matches!(state.choose(Some("home")), Err(StoreError::NoSuchProfile(_))));
    state.forget(&lab.slot()).expect("forgotten");
    assert_eq!(state.profiles().expect("listed").len(), 1);
}

#[test]
fn one_daemon_at_a_time() {
    let (_directory, state) = state();
    let lock = state.lock().expect("locked");
    let pid = std::process::id().to_string();
    assert!(matches!(state.lock(), Err(StoreError::Locked(LockError::InUse { holder, .. })) if holder == pid));
    drop(lock);
    assert!(state.lock().is_ok());
}
