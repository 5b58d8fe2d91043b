//! slapd on a host: a directory over TLS with a few users and groups in groups.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::lab::{Lab, command::Program, process::Process};

/// Port of LDAPS.
pub const PORT: u16 = 636;
/// Password of every user of the directory.
pub const PASSWORD: &str = "known to the directory";
/// Users, with the groups that they are in by themselves. `engineers` is in `staff`.
pub const USERS: [(&str, &str); 3] = [("lena", "engineers"), ("milo", "staff"), ("nora", "guests")];
/// Password of the Collective's account.
pub const READER_PASSWORD: &str = "may read the directory";
const SUFFIX: &str = "dc=corp,dc=example";
/// How long loading and listening may take.
const START: Duration = Duration::from_secs(10);

/// A running directory.
#[derive(Debug)]
pub struct Slapd {
    _process: Process,
    authority: String,
}

impl Slapd {
    /// Loads and starts it on a host that has `address`.
    ///
    /// # Errors
    /// If slapd is not installed, or does not take what it is given.
    pub fn start(lab: &Lab, host: &str, address: IpAddr) -> Result<Self> {
        let name = format!("slapd-{host}");
        let home = lab.directory().join(&name);
        fs::create_dir_all(home.join("db")).with_context(|| format!("create {}", home.display()))?;
        let authority = certificates(&home, address)?;
        fs::write(home.join("slapd.conf"), configure(&home))?;
        fs::write(home.join("users.ldif"), entries())?;
        let configuration = home.join("slapd.conf");
        let load = Program::system(&format!("slapadd-{host}"), "/usr/sbin/slapadd")
            .args(["-q", "-f"])
            .arg(&configuration)
            .arg("-l")
            .arg(home.join("users.ldif"));
        lab.run(host, &load, START)?.success().context("load the directory")?;
        let program = Program::system(&name, "/usr/sbin/slapd")
            .args(["-d", "0", "-h", &format!("ldaps://{}:{PORT}", bracketed(address)), "-f"])
            .arg(&configuration);
        let mut process = lab.spawn(host, program)?;
        process.wait_listening(PORT, START)?;
        Ok(Self { _process: process, authority })
    }

    /// The certificate of the authority that vouches for it, PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => four.to_string(),
        IpAddr::V6(six) => format!("[{six}]"),
    }
}

/// Writes an authority's certificate, and a server's with its key; answers the authority's.
fn certificates(home: &Path, address: IpAddr) -> Result<String> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority of the directory");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let mut params = CertificateParams::new(vec![address.to_string()])?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &authority)?;
    fs::write(home.join("authority.pem"), authority.pem())?;
    fs::write(home.join("certificate.pem"), certificate.pem())?;
    fs::write(home.join("key.pem"), key.serialize_pem())?;
    Ok(authority.pem())
}

fn configure(home: &Path) -> String {
    let home = home.display();
    format!(
        "include /etc/ldap/schema/core.schema\n\
         include /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         pidfile {home}/pid\n\
         argsfile {home}/args\n\
         modulepath /usr/lib/ldap\n\
         moduleload back_mdb\n\
         TLSCACertificateFile {home}/authority.pem\n\
         TLSCertificateFile {home}/certificate.pem\n\
         TLSCertificateKeyFile {home}/key.pem\n\
         disallow bind_anon\n\
         database mdb\n\
         suffix {SUFFIX}\n\
         directory {home}/db\n\
         rootdn cn=root,{SUFFIX}\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=cn=reader,{SUFFIX} read by * none\n"
    )
}

fn entries() -> String {
    let mut ldif = format!(
        "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Corp\ndc: corp\n\n\
         dn: cn=reader,{SUFFIX}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\n\
         userPassword: {READER_PASSWORD}\n\n\
         dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=groups,{SUFFIX}\nobjectClass: organizationalUnit\nou: groups\n\n"
    );
    for (user, _) in USERS {
        ldif += &format!(
            "dn: uid={user},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {user}\ncn: {user}\nsn: Person\n\
             mail: {user}@corp.example\nuserPassword: {PASSWORD}\n\n"
        );
    }
    for group in ["engineers", "staff", "guests"] {
        ldif += &format!("dn: cn={group},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: {group}\n");
        for (user, _) in USERS.iter().filter(|(_, of)| *of == group) {
            ldif += &format!("member: uid={user},ou=people,{SUFFIX}\n");
        }
        if group == "staff" {
            ldif += &format!("member: cn=engineers,ou=groups,{SUFFIX}\n");
        }
        ldif.push('\n');
    }
    ldif
}
