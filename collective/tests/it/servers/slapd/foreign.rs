//! Users and groups as other kinds of directories have them: POSIX (RFC 2307), Active Directory, eDirectory; names in
//! several scripts; and a part that is on another server.

use std::fmt::Write as _;

use data_encoding::BASE64;

use super::PASSWORD;

/// Attributes that Debian's slapd has no schema with matching rules for, with the numbers of their vendors.
pub(super) const SCHEMA: &str = "\
    attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch \
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )\n\
    attributetype ( 1.2.840.113556.1.4.98 NAME 'primaryGroupID' EQUALITY integerMatch \
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )\n\
    attributetype ( 1.2.840.113556.1.4.146 NAME 'objectSid' EQUALITY octetStringMatch \
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )\n\
    attributetype ( 1.2.840.113556.1.4.159 NAME 'accountExpires' EQUALITY integerMatch \
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )\n\
    attributetype ( 2.16.840.1.113719.1.1.4.1.33 NAME 'loginDisabled' EQUALITY booleanMatch \
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.7 SINGLE-VALUE )\n\
    objectclass ( 1.3.6.1.4.1.4203.666.11.99.1 NAME 'foreignAccount' SUP top AUXILIARY \
    MAY ( userAccountControl $ primaryGroupID $ objectSid $ accountExpires $ loginDisabled ) )\n";
/// Number of the group that `anna` is in by her own entry only.
const DOMAIN_USERS: u32 = 513;

/// S-1-5-21-1-2-4294967295-`relative`: a part of it is no UTF-8.
fn sid(relative: u32) -> String {
    let parts = [21, 1, 2, u32::MAX, relative].into_iter().flat_map(u32::to_le_bytes);
    BASE64.encode(&[1, 5, 0, 0, 0, 0, 0, 5].into_iter().chain(parts).collect::<Vec<u8>>())
}

/// Adds the users and groups.
pub(super) fn write(ldif: &mut String) {
    people(ldif);
    groups(ldif);
}

fn people(ldif: &mut String) {
    let posix = |number: u32, expires: &str| {
        format!("uidNumber: {number}\ngidNumber: 6001\nhomeDirectory: /home/{number}\nshadowExpire: {expires}\n")
    };
    let posix_classes = "objectClass: posixAccount\nobjectClass: shadowAccount\n";
    for (number, name, expires) in [(5001, "piet", "-1"), (5002, "oda", "1"), (5003, "kept", "99999")] {
        person(ldif, name, posix_classes, &posix(number, expires));
    }
    let primary = format!("primaryGroupID: {DOMAIN_USERS}\n");
    let with_sid = format!("{primary}objectSid:: {}\n", sid(1104));
    for (name, more) in [
        ("anna", with_sid.as_str()),
        ("untold", primary.as_str()),
        // 1 January 2020.
        ("past", "accountExpires: 132223104000000000\n"),
        ("endless", "accountExpires: 9223372036854775807\nuserAccountControl: 512\nloginDisabled: FALSE\n"),
        ("disabled", "userAccountControl: 514\n"),
        ("barred", "loginDisabled: TRUE\n"),
    ] {
        person(ldif, name, "objectClass: foreignAccount\n", more);
    }
    for name in ["nguyễn", "王小明", "o’brien"] {
        person(ldif, name, "", "");
    }
}

/// All values of an attribute stand together, or slapadd takes the last ones only.
fn person(ldif: &mut String, name: &str, classes: &str, more: &str) {
    write!(
        ldif,
        "dn: uid={name},ou=people,dc=corp,dc=example\nobjectClass: inetOrgPerson\n{classes}uid: {name}\ncn: {name}\n\
         sn: Person\nuserPassword: {PASSWORD}\n{more}\n"
    )
    .expect("text");
}

fn groups(ldif: &mut String) {
    let at = "ou=groups,dc=corp,dc=example";
    write!(
        ldif,
        "dn: cn=contractors,{at}\nobjectClass: posixGroup\ncn: contractors\ngidNumber: 6002\nmemberUid: piet\n\n\
         dn: cn=primary,{at}\nobjectClass: posixGroup\ncn: primary\ngidNumber: 6001\n\n\
         dn: cn=others,{at}\nobjectClass: posixGroup\ncn: others\ngidNumber: 6003\nmemberUid: pie\n\n\
         dn: cn=domain users,{at}\nobjectClass: groupOfNames\nobjectClass: foreignAccount\ncn: domain users\n\
         objectSid:: {}\nmember: cn=reader,dc=corp,dc=example\n\n\
         dn: cn=household,{at}\nobjectClass: groupOfNames\ncn: household\nmember: cn=domain users,{at}\n\n",
        sid(DOMAIN_USERS)
    )
    .expect("text");
    let split = "ou=split,dc=corp,dc=example";
    write!(
        ldif,
        "dn: cn=here,{split}\nobjectClass: groupOfNames\ncn: here\nmember: uid=piet,ou=people,dc=corp,dc=example\n\n\
         dn: ou=elsewhere,{split}\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\n\
         ref: ldap://child.corp.example/ou=elsewhere,dc=child,dc=corp,dc=example\n\n"
    )
    .expect("text");
}
