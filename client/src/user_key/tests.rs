//! What is wrong with a user's files is said before anybody is asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;

/// Makes keys and certificates as a user would.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.current_dir(self.0.path()).args(arguments.split(' ')).output().expect("openssl runs");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A key of this kind and a certificate of its own for it.
    fn pair(&self, name: &str, kind: &str) {
        let wanted =
            format!("req -x509 -newkey {kind} -nodes -keyout {name}.key -out {name}.pem -days 2 -subj /CN=alice");
        self.openssl(&wanted);
        self.private(&format!("{name}.key"));
    }

    fn private(&self, name: &str) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).expect("changed");
    }

    fn read(&self, certificate: &str, key: &str) -> Result<UserKey, UserKeyError> {
        UserKey::read(&self.path(certificate), &self.path(key), crate::clock::now())
    }
}

#[test]
fn keys_of_every_kind_that_controllers_take_sign_with_the_right_scheme() {
    let desk = Desk::new();
    for (kind, scheme) in [
        ("ec -pkeyopt ec_paramgen_curve:P-256", 0x0403),
        ("ec -pkeyopt ec_paramgen_curve:P-384", 0x0503),
        ("rsa:2048", 0x0806),
        ("ed25519", 0x0807),
    ] {
        desk.pair("alice", kind);
        let key = desk.read("alice.pem", "alice.key").unwrap_or_else(|error| panic!("{kind}: {error}"));
        let device = DeviceId::from_random([1; 16]);
        let Ok(Credential::Certificate { chain, scheme: said, signature }) =
            key.prove("cards", device, Thumbprint([2; 32]), &[3; 32])
        else {
            panic!("{kind}: no proof")
        };
        assert_eq!((chain.len(), said), (1, scheme), "{kind}");
        assert!(BASE64URL_NOPAD.decode(signature.as_bytes()).is_ok_and(|bytes| bytes.len() >= 64), "{kind}");
    }
}

#[test]
fn what_is_wrong_with_the_files_is_said_with_the_next_step() {
    let desk = Desk::new();
    let p256 = "ec -pkeyopt ec_paramgen_curve:P-256";
    desk.pair("alice", p256);
    desk.pair("other", p256);
    desk.pair("odd", "ec -pkeyopt ec_paramgen_curve:P-521");
    desk.openssl("pkey -in alice.key -aes256 -passout pass:x -out locked.key");
    desk.private("locked.key");
    desk.openssl("pkey -in alice.key -out open.key");
    fs::set_permissions(desk.path("open.key"), fs::Permissions::from_mode(0o644)).expect("changed");
    fs::write(desk.path("many.pem"), fs::read_to_string(desk.path("alice.pem")).expect("read").repeat(5))
        .expect("five");
    let next_step = |certificate: &str, key: &str| {
        let error = desk.read(certificate, key).map(drop).expect_err("refused");
        (error.to_string(), error.next_step())
    };
    let cases = [
        ("gone.pem", "alice.key", "cannot read", "--certificate"),
        ("alice.key", "alice.key", "certificates in PEM", "--certificate"),
        ("many.pem", "alice.key", "1 to 4 certificates", "--certificate"),
        ("alice.pem", "alice.pem", "private key in PEM", "--key"),
        ("alice.pem", "other.key", "is not that of the first certificate", "--key"),
        ("alice.pem", "locked.key", "pass phrase", "openssl pkey"),
        ("alice.pem", "open.key", "readable by its owner only", "chmod 600"),
        ("odd.pem", "odd.key", "P-256, P-384", "--key"),
    ];
    for (certificate, key, cause, wanted) in cases {
        if key == "alice.pem" {
            desk.private("alice.pem");
        }
        let (said, next) = next_step(certificate, key);
        assert!(said.contains(cause) && next.contains(wanted), "{certificate} {key}: {said}; {next}");
    }
    let late = crate::clock::now().plus(std::time::Duration::from_secs(3 * 86_400));
    let expired = UserKey::read(&desk.path("alice.pem"), &desk.path("alice.key"), late).map(drop);
    assert!(matches!(expired, Err(UserKeyError::NotInForce { .. })), "{expired:?}");
}
