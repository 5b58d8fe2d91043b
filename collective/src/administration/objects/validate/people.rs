//! Rules of local users, their passwords, and administrative roles.

use ringwall_protocol::form;
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::role::{MAX_PRIVILEGES, PrivilegeType};
use ringwall_protocol::object::user::{LABEL, MAX_LABELS};
use ringwall_protocol::object::{AdministrativeRole, IdentityProvider, LocalUser, Object};
use ringwall_protocol::wire::admin::FieldError;
use ringwall_trust::password::MAX_PASSWORD;

use super::Faults;
use crate::administration::access::authority::applies;

pub(super) fn local_user(user: &LocalUser, before: Option<&Object>, faults: &mut Faults) {
    if let Err(error) = UserName::parse(user.base.name.as_str()) {
        faults.add("name", error.to_string());
    }
    if before.is_some_and(|before| before.name() != user.base.name) {
        faults.contradict("name", "cannot change: it is part of distinguished names");
    }
    for (field, text) in [("firstName", &user.first_name), ("lastName", &user.last_name), ("phone", &user.phone)] {
        faults.unless_fits(text, form::SHORT_LINE, field);
    }
    faults.unless_fits(&user.email, form::MAIL, "email");
    faults.unless(user.labels.len() <= MAX_LABELS, "labels", "are at most 64");
    for (name, value) in &user.labels {
        let good = form::IDENTIFIER.fits(name) && LABEL.fits(value);
        faults.unless(
            good,
            &format!("labels.{name}"),
            "a name of letters, digits and '_', and a line of at most 1024 characters",
        );
    }
}

/// What is wrong with a password of a user of `provider`.
#[must_use]
pub(crate) fn check_password(password: &str, provider: Option<&IdentityProvider>) -> Option<FieldError> {
    let least = provider.map_or(1, |provider| provider.min_password_length.max(1)) as usize;
    let wrong = |message: String| Some(FieldError { field: "password".to_owned(), message });
    if password.chars().count() < least {
        return wrong(format!("has at least {least} characters"));
    }
    if password.len() > MAX_PASSWORD {
        return wrong(format!("has at most {MAX_PASSWORD} bytes"));
    }
    None
}

pub(super) fn role(role: &AdministrativeRole, faults: &mut Faults) {
    faults.unless(role.privileges.len() <= MAX_PRIVILEGES, "privileges", "are at most 256");
    for (at, privilege) in role.privileges.iter().enumerate() {
        let field = |name: &str| format!("privileges[{at}].{name}");
        let scope = &privilege.scope;
        if !scope.all && scope.ids.is_empty() && scope.tags.is_empty() {
            faults.contradict(field("scope"), "covers nothing; set all, ids or tags");
        }
        if !privilege.default_tags.is_empty() && privilege.action != PrivilegeType::Create {
            faults.contradict(field("defaultTags"), "belong to Create");
        }
        if !applies(privilege.action, privilege.target) {
            faults
                .contradict(field("type"), format!("{:?} does not apply to {:?}", privilege.action, privilege.target));
        }
    }
}
