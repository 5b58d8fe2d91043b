//! slapd with TLS, the password policy overlay, users and nested groups.

mod foreign;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::Running;
use super::authority::Authority;
use crate::harness::{free_port, until};

/// Password of every user.
pub(crate) const PASSWORD: &str = "known to the directory";
/// Password of the Controller's account.
pub(crate) const SERVICE_PASSWORD: &str = "reader secret";
/// An account with the same password, for which the server ends every search after one entry.
pub(crate) const BOUNDED_READER: &str = "cn=bounded,dc=corp,dc=example";
/// Password of whoever may change entries.
const ROOT_PASSWORD: &str = "root-secret";

/// A directory.
pub(crate) struct Slapd {
    pub(crate) ldaps: u16,
    pub(crate) plain: u16,
    pub(crate) authority: Authority,
    process: Option<Running>,
    _directory: TempDir,
}

impl Slapd {
    /// A directory with `others` users besides those that have a name.
    pub(crate) async fn start(others: usize) -> Self {
        let directory = TempDir::with_prefix("ringwall-slapd-").expect("a directory");
        let at = directory.path();
        let authority = Authority::new("directory authority");
        let server = authority.server();
        let write = |name: &str, text: &str| std::fs::write(at.join(name), text).expect("written");
        write("ca.pem", &authority.pem());
        write("cert.pem", &server.certificate);
        write("key.pem", &server.key);
        write("slapd.conf", &configuration(at));
        write("users.ldif", &entries(others));
        std::fs::create_dir(at.join("db")).expect("a directory");
        let loaded = Command::new("/usr/sbin/slapadd")
            .args(["-q", "-f"])
            .arg(at.join("slapd.conf"))
            .arg("-l")
            .arg(at.join("users.ldif"))
            .output()
            .expect("slapadd runs; scripts/setup.sh installs it");
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        let (ldaps, plain) = (free_port().port(), free_port().port());
        let process = Command::new("/usr/sbin/slapd")
            .args(["-d", "0", "-f"])
            .arg(at.join("slapd.conf"))
            .args(["-h", &format!("ldaps://127.0.0.1:{ldaps} ldap://127.0.0.1:{plain}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("slapd runs; scripts/setup.sh installs it");
        let process = Some(Running(process));
        let slapd = Self { ldaps, plain, authority, process, _directory: directory };
        until("slapd listens", async || {
            let answers = |port| tokio::net::TcpStream::connect(("127.0.0.1", port));
            answers(ldaps).await.is_ok() && answers(plain).await.is_ok()
        })
        .await;
        slapd
    }

    /// Ends it; its ports are free from then on.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Sets an attribute of a user, by its administrator.
    pub(crate) fn set(&self, user: &str, attribute: &str, value: &str) {
        let mut changer = Command::new("/usr/bin/ldapmodify")
            .args(["-x", "-H", &format!("ldap://127.0.0.1:{}", self.plain)])
            .args(["-D", "cn=root,dc=corp,dc=example", "-w", ROOT_PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("ldapmodify runs; scripts/setup.sh installs it");
        let mut input = changer.stdin.take().expect("piped");
        let dn = format!("uid={user},ou=people,dc=corp,dc=example");
        write!(input, "dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n").expect("written");
        drop(input);
        assert!(changer.wait().expect("ldapmodify ends").success(), "{attribute} of {user} is not set");
    }

    /// The provider as the admin API takes it.
    pub(crate) fn provider(&self, name: &str) -> serde_json::Value {
        serde_json::json!({
            "name": name, "type": "Ldap", "hostnames": ["127.0.0.1"], "port": self.ldaps, "sslEnabled": true,
            "trustedCertificates": [self.authority.pem()],
            "adminDistinguishedName": "cn=reader,dc=corp,dc=example", "adminPassword": SERVICE_PASSWORD,
            "baseDn": "ou=people,dc=corp,dc=example", "userFilter": "(objectClass=inetOrgPerson)",
            "usernameAttribute": "uid", "membershipFilter": "(objectClass=groupOfNames)",
            "membershipBaseDn": "ou=groups,dc=corp,dc=example",
            "passwordWarning": {"enabled": true, "thresholdDays": 5, "message": "Please change your password."},
            "claimMappings": [
                {"attributeName": "mail", "claimName": "emails", "list": true},
                {"attributeName": "sn", "claimName": "lastName"},
            ],
        })
    }
}

fn configuration(at: &Path) -> String {
    let at = at.display();
    format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/nis.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n{}\
         pidfile {at}/pid\nargsfile {at}/args\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload ppolicy\n\
         TLSCACertificateFile {at}/ca.pem\nTLSCertificateFile {at}/cert.pem\nTLSCertificateKeyFile {at}/key.pem\n\
         disallow bind_anon\nsizelimit size.soft=500 size.hard=500 size.prtotal=unlimited\n\
         database mdb\nmaxsize 268435456\nsuffix dc=corp,dc=example\ndirectory {at}/db\n\
         rootdn cn=root,dc=corp,dc=example\nrootpw {ROOT_PASSWORD}\nindex objectClass,uid,member eq\n\
         limits dn.exact={BOUNDED_READER} size.soft=1 size.hard=1 size.prtotal=1\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=cn=reader,dc=corp,dc=example read by dn.exact={BOUNDED_READER} read by * none\n\
         overlay ppolicy\nppolicy_default cn=default,ou=policies,dc=corp,dc=example\n",
        foreign::SCHEMA
    )
}

/// The directory: `alice` is in `engineers`, which is in `staff`, which is in `everyone`, which is in `engineers` again.
fn entries(others: usize) -> String {
    let mut ldif = String::from(
        "dn: dc=corp,dc=example\nobjectClass: dcObject\nobjectClass: organization\no: Corp\ndc: corp\n\n\
         dn: cn=reader,dc=corp,dc=example\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\n\
         userPassword: reader secret\n\n",
    );
    write!(
        ldif,
        "dn: {BOUNDED_READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: bounded\n\
         userPassword: {SERVICE_PASSWORD}\n\n"
    )
    .expect("text");
    for unit in ["people", "groups", "policies", "split"] {
        write!(ldif, "dn: ou={unit},dc=corp,dc=example\nobjectClass: organizationalUnit\nou: {unit}\n\n")
            .expect("text");
    }
    for (policy, more) in [
        ("default", "pwdMaxAge: 0\n"),
        // Nine and a half days: what is left of whole days ago is told alike whatever second it is.
        ("expiring", "pwdMaxAge: 820800\npwdExpireWarning: 820800\n"),
        ("reset", "pwdMustChange: TRUE\n"),
    ] {
        write!(
            ldif,
            "dn: cn={policy},ou=policies,dc=corp,dc=example\nobjectClass: pwdPolicy\nobjectClass: person\ncn: {policy}\n\
             sn: policy\npwdAttribute: userPassword\n{more}\n"
        )
        .expect("text");
    }
    let days_ago = |days: i64| {
        let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
        then.strftime("%Y%m%d%H%M%SZ").to_string()
    };
    let policy = |name: &str| format!("pwdPolicySubentry: cn={name},ou=policies,dc=corp,dc=example\n");
    user(&mut ldif, "alice", "mail: alice@corp.example\nmail: al@corp.example\n");
    user(&mut ldif, "Mixed.Case", "");
    user(&mut ldif, "expiring", &format!("{}pwdChangedTime: {}\n", policy("expiring"), days_ago(8)));
    user(&mut ldif, "expired", &format!("{}pwdChangedTime: {}\n", policy("expiring"), days_ago(11)));
    user(&mut ldif, "reset", &format!("{}pwdReset: TRUE\n", policy("reset")));
    user(&mut ldif, "locked", "pwdAccountLockedTime: 000001010000Z\n");
    for number in 0..others {
        user(&mut ldif, &format!("user{number}"), "");
    }
    let people = |name: &str| format!("uid={name},ou=people,dc=corp,dc=example");
    let group = |name: &str| format!("cn={name},ou=groups,dc=corp,dc=example");
    let mut groups = vec![
        ("engineers".to_owned(), vec![people("alice"), group("everyone")]),
        ("staff".to_owned(), vec![group("engineers")]),
        ("everyone".to_owned(), vec![group("staff")]),
        ("strangers".to_owned(), vec![people("expiring")]),
    ];
    if others > 0 {
        groups.push(("all".to_owned(), (0..others).map(|number| people(&format!("user{number}"))).collect()));
        // More groups than a page, and than the server gives without paging.
        groups.extend((0..700).map(|number| (format!("g{number}"), vec![people("user1")])));
        // More than anybody may have.
        groups.extend((0..1_001).map(|number| (format!("h{number}"), vec![people("user2")])));
    }
    for (name, members) in groups {
        write!(ldif, "dn: {}\nobjectClass: groupOfNames\ncn: {name}\n", group(&name)).expect("text");
        for member in members {
            writeln!(ldif, "member: {member}").expect("text");
        }
        ldif.push('\n');
    }
    foreign::write(&mut ldif);
    ldif
}

fn user(ldif: &mut String, name: &str, more: &str) {
    write!(
        ldif,
        "dn: uid={name},ou=people,dc=corp,dc=example\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: Person\n\
         userPassword: {PASSWORD}\n{more}\n"
    )
    .expect("text");
}
