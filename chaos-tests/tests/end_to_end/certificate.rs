//! A user who signs in with a certificate: the product's programs, an authority of the test, a key in a file.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        command::Program,
        process::Finished,
        topology::{Host, Topology},
    },
    product::{Administrator, Client, Controller, Founding, Ringctl, client::state_directory},
};

const CONTROLLER: &str = "controller";
const ALICE: &str = "alice";
const PASSWORD: &str = "the operator has a long password";
const END: Duration = Duration::from_secs(60);

/// An authority of users, and files as a user has them.
struct Office<'lab> {
    lab: &'lab Lab,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl<'lab> Office<'lab> {
    fn open(lab: &'lab Lab) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "users");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok(Self { lab, authority: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    fn objects(&self) -> String {
        let pem: String = self.authority.pem().lines().map(|line| format!("    {line}\n")).collect();
        format!(
            "kind: IdentityProvider\nname: cards\ntype: Certificate\nusernameFrom: email\ncaCertificates:\n  - |\n{pem}---\n\
             kind: ClientProfile\nname: cards\nidentityProvider: cards\n"
        )
    }

    /// A certificate and its key for a user, who is its owner alone.
    fn issue(&self, email: &str) -> Result<(PathBuf, PathBuf)> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::Rfc822Name(email.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let pair = KeyPair::generate()?;
        let certificate = params.signed_by(&pair, &self.authority)?;
        let path = |end: &str| self.lab.directory().join(format!("{email}.{end}"));
        let (file, key) = (path("pem"), path("key"));
        fs::write(&file, certificate.pem())?;
        fs::write(&key, pair.serialize_pem())?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        Ok((file, key))
    }
}

fn sign_in(lab: &Lab, more: &[&str]) -> Result<Finished> {
    let program = Program::product("alice-sign-in", "ringwall")?;
    let program = program.arg("--state-dir").arg(state_directory(lab, ALICE)).args(["sign-in", "--key-type", "p256"]);
    lab.run(ALICE, &program.args(more.iter().copied()), END)
}

#[test]
fn a_user_signs_in_with_a_certificate_and_its_key() -> Result<()> {
    let topology = Topology::new()
        .network("wan", "10.77.1.0/24", "fd77:1::/64")
        .host(Host::new(CONTROLLER).on("wan", 11))
        .host(Host::new(ALICE).on("wan", 101));
    let lab = Lab::start(topology)?;
    let founding = Founding { collective: "cards", administrator: "operator", password: PASSWORD };
    let (controller, founded) = Controller::found(&lab, CONTROLLER, &founding)?;
    let administrator = Administrator { name: "operator", password: PASSWORD, ca_fingerprint: &founded.ca_fingerprint };
    let operator = Ringctl::sign_in(&lab, CONTROLLER, &administrator)?;
    let office = Office::open(&lab)?;
    let file = lab.directory().join("cards.yaml");
    fs::write(&file, office.objects())?;
    operator.apply(&file)?;
    Client::new(&lab, ALICE).add_profile(&operator.profile_link("cards")?)?;

    // Without one the user reads what is wanted, and no password is asked for.
    let without = sign_in(&lab, &[])?;
    assert_eq!(without.status.code(), Some(64), "{}", without.stderr);
    ensure!(without.stderr.contains("with a certificate") && without.stderr.contains("--key"), "{}", without.stderr);

    let (certificate, key) = office.issue("Alice@corp.example")?;
    let given = |certificate: &PathBuf, key: &PathBuf| -> Result<Finished> {
        let text = |path: &PathBuf| path.to_str().map(str::to_owned).context("text");
        sign_in(&lab, &["--certificate", &text(certificate)?, "--key", &text(key)?])
    };
    given(&certificate, &key)?.success()?;
    let dn = operator.read(&["device", "list"])?[0]["distinguishedName"].as_str().context("a device")?.to_owned();
    assert!(dn.ends_with(",CN=alice@corp.example,OU=cards"), "{dn}");

    // Another authority's is refused as everything is, and another user's on the same device is another user.
    let stranger = Office::open(&lab)?.issue("Alice@corp.example.evil")?;
    let refused = given(&stranger.0, &stranger.1)?;
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
    ensure!(refused.stderr.contains("signInRefused"), "{}", refused.stderr);
    ensure!(!controller.log().lines_with("a certificate proves nobody").is_empty(), "the operator reads why");
    let bob = office.issue("bob@corp.example")?;
    let mixed = given(&certificate, &bob.1)?;
    ensure!(mixed.status.code() == Some(64) && mixed.stderr.contains("is not that of"), "{}", mixed.stderr);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640))?;
    let exposed = given(&certificate, &key)?;
    ensure!(exposed.status.code() == Some(64) && exposed.stderr.contains("chmod 600"), "{}", exposed.stderr);
    assert_eq!(lab.errors(&[])?, Vec::<String>::new());
    Ok(())
}
