//! Forms of texts that several kinds of objects have.

use ringwall_protocol::object::Object;

/// The notes of any object.
pub(super) fn notes(object: &Object) -> &str {
    match object {
        Object::Site(one) => &one.base.notes,
        Object::Appliance(one) => &one.base.notes,
        Object::Entitlement(one) => &one.base.notes,
        Object::Condition(one) => &one.base.notes,
        Object::CriteriaScript(one) => &one.base.notes,
        Object::Policy(one) => &one.base.notes,
        Object::IdentityProvider(one) => &one.base.notes,
        Object::MfaProvider(one) => &one.base.notes,
        Object::LocalUser(one) => &one.base.notes,
        Object::IpPool(one) => &one.base.notes,
        Object::ClientProfile(one) => &one.base.notes,
        Object::AdministrativeRole(one) => &one.base.notes,
    }
}

/// A name that an expression can write: letters, digits and `_`, no digit first, at most 64 bytes.
pub(super) fn is_identifier(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The suffix of a claim: 1 to 64 letters, digits, `-`, `_` and `.`.
pub(super) fn is_suffix(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A DNS domain: labels of 1–63 letters, digits, `-` and `_`, at most 253 bytes (RFC 1123 §2.1).
pub(super) fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.len() <= 253 && text.trim_end_matches('.').split('.').all(label)
}

/// Something that can be a mail address: one `@` between texts without blanks.
pub(super) fn is_mail_address(text: &str) -> bool {
    let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    plain && text.len() <= 320 && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && is_domain(host))
}

/// One line for people: no control characters, at most `limit` bytes.
pub(super) fn is_line(text: &str, limit: usize) -> bool {
    text.len() <= limit && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_take_what_they_should_and_nothing_else() {
        assert!(is_identifier("admins_2") && !is_identifier("2admins") && !is_identifier("a-b") && !is_identifier(""));
        assert!(is_suffix("payroll-1.x") && !is_suffix("") && !is_suffix("a b"));
        assert!(is_domain("corp.example") && !is_domain("corp..example") && !is_domain("a b"));
        assert!(is_mail_address("a@b.example") && !is_mail_address("@b") && !is_mail_address("a b@c"));
    }
}
