//! What fuzzers try: one function for every reader of this package that is given bytes of others: Clients, administrators,
//! appliances that join, and identity providers. Each asserts what has to hold whatever the bytes are, and tells whether they
//! were accepted. `docs/fuzzing.md` says how they are run.

#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
mod replay;
#[cfg(test)]
mod seeds;

pub use crate::api::admin::fuzz::{admin_object, list_parameters};
pub use crate::audit::fuzz::audit_records;
pub use crate::identity::directory::fuzz::{claim_script, user_name};
pub use crate::identity::directory::ldap::fuzz::{ldap_message, password_policy};
pub use crate::identity::directory::oidc::fuzz::{browser_request, id_token, provider_keys};
pub use crate::identity::directory::radius::fuzz::radius_answer;
pub use crate::peers::fuzz::join_request;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpora_are_replayed() {
        replay::replay(
            &[
                ("admin_object", admin_object),
                ("audit_records", audit_records),
                ("browser_request", browser_request),
                ("claim_script", claim_script),
                ("id_token", id_token),
                ("join_request", join_request),
                ("ldap_message", ldap_message),
                ("list_parameters", list_parameters),
                ("password_policy", password_policy),
                ("provider_keys", provider_keys),
                ("radius_answer", radius_answer),
                ("user_name", user_name),
            ],
            seeds::seeds,
        );
    }
}
