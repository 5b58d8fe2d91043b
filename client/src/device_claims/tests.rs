//! What is answered, what is never answered, and what counts as a change.

use ringwall_protocol::object::identity_provider::OnDemandParameters;

use super::inspection::{FileHashes, Request};
use super::*;

fn claim(command: &str, name: Option<&str>, path: Option<&str>) -> OnDemandClaim {
    OnDemandClaim {
        command: command.into(),
        claim_name: "asked".into(),
        parameters: OnDemandParameters { name: name.map(Into::into), path: path.map(Into::into) },
        platform: "all".into(),
    }
}

fn asked(command: &str, name: Option<&str>, path: Option<&str>) -> Value {
    let request = Request { questions: vec![claim(command, name, path)], hashes: FileHashes::default() };
    request.answer().claims.0["asked"].clone()
}

#[test]
fn files_are_described_and_their_content_is_not_sent() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("agent.conf");
    std::fs::write(&path, b"abc").expect("written");
    let path = path.to_str().expect("text");
    assert_eq!(asked("fileExists", None, Some(path)), json!(true));
    assert_eq!(asked("fileSize", None, Some(path)), json!(3));
    let hash = asked("fileSha512", None, Some(path));
    assert!(hash.as_str().is_some_and(|hash| hash.starts_with("ddaf35a193617aba") && hash.len() == 128), "{hash}");
    let updated = asked("fileUpdated", None, Some(path));
    assert!(updated.as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')), "{updated}");
}

#[test]
fn absent_things_are_absent_and_no_error() {
    assert_eq!(asked("fileExists", None, Some("/nowhere/at/all")), json!(false));
    assert_eq!(asked("fileSize", None, Some("/nowhere/at/all")), Value::Null);
    assert_eq!(asked("fileSha512", None, Some("/dev/zero")), Value::Null, "no regular file");
    assert_eq!(asked("fileSize", None, Some("relative")), Value::Null);
    assert_eq!(asked("processRunning", Some("no-such-process"), None), json!(false));
    assert_eq!(asked("serviceRunning", Some("../../../etc"), None), Value::Null);
}

#[test]
fn only_regular_files_of_this_machines_disks_are_opened() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("file"), b"abc").expect("written");
    std::os::unix::fs::symlink(at("file"), at("link")).expect("linked");
    std::os::unix::fs::symlink("/proc/self", at("kernel")).expect("linked");
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    let hash = |path: std::path::PathBuf| asked("fileSha512", None, path.to_str());
    assert!(hash(at("file")).is_string());
    for refused in
        [at("link"), at("pipe"), at("kernel/status"), "/proc/self/status".into(), "/sys/kernel/vmcoreinfo".into()]
    {
        assert_eq!(hash(refused.clone()), Value::Null, "{}", refused.display());
    }
}

#[test]
fn commands_that_are_not_on_the_list_are_never_carried_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let trace = directory.path().join("trace");
    let script = format!("touch {}", trace.display());
    for command in ["runScript", "regQuery", "exec", script.as_str()] {
        assert_eq!(asked(command, Some(&script), Some("/bin/sh")), Value::Null);
    }
    assert!(!trace.exists());
}

#[test]
fn this_process_is_seen_running() {
    let own = std::fs::read_to_string("/proc/self/comm").expect("readable");
    assert_eq!(asked("processRunning", Some(own.trim_end()), None), json!(true));
}

#[test]
fn a_changed_file_gets_a_new_hash() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    let mut hashes = FileHashes::default();
    let mut look = |content: &[u8]| {
        std::fs::write(&path, content).expect("written");
        let questions = vec![claim("fileSha512", None, path.to_str())];
        let answer = Request { questions, hashes: std::mem::take(&mut hashes) }.answer();
        hashes = answer.hashes;
        answer.claims.0["asked"].clone()
    };
    let first = look(b"one");
    assert_ne!(first, look(b"three"));
    assert_eq!(first, look(b"one"));
}

#[test]
fn claims_for_other_platforms_are_left_out() {
    let mut other = claim("fileExists", None, Some("/etc/passwd"));
    other.platform = "desktop.windows.all".into();
    assert!(!collect_with(&[other], &[], &mut Inspector::default()).0.0.contains_key("asked"));
}

#[test]
fn on_demand_claims_do_not_override_what_the_client_says_itself() {
    let mut forged = claim("fileExists", None, Some("/"));
    forged.claim_name = "hostname".into();
    let claims = collect_with(&[forged], &[], &mut Inspector::default());
    assert!(claims.0.0["hostname"].is_string());
    claims.0.check().expect("within the limits");
}

#[test]
fn time_passing_is_no_change_but_an_address_is() {
    let before = collect(&[]);
    let mut after = before.clone();
    after.0.0.insert(VOLATILE.into(), json!(u64::MAX));
    assert!(!differs(&before, &after));
    after.0.0.insert("addresses".into(), json!(["192.0.2.1"]));
    assert!(differs(&before, &after));
}

#[test]
fn os_release_is_read_with_and_without_quotes() {
    let os = system::parse_os_release("PRETTY_NAME=\"x\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nID=debian\n");
    assert_eq!((os.id.as_str(), os.name.as_str(), os.version.as_str()), ("debian", "Debian GNU/Linux", "12"));
}
