//! Whether a provider's servers may be where it says: only where this Controller's configuration permits it to connect.
//! Names are judged again whenever they are resolved.

use ringwall_protocol::object::Object;
use ringwall_protocol::object::identity_provider::{FactorSettings, ProviderSettings};
use ringwall_protocol::wire::admin::FieldError;

use crate::identity::outbound::Outbound;

/// Hosts of an object that must not be dialled.
pub(in crate::administration) fn forbidden_hosts(outbound: &Outbound, object: &Object) -> Vec<FieldError> {
    let fault = |(at, host): (usize, &String)| {
        let message = outbound.fault(host)?;
        Some(FieldError { field: format!("hostnames[{at}]"), message })
    };
    hosts(object).iter().enumerate().filter_map(fault).collect()
}

fn hosts(object: &Object) -> &[String] {
    match object {
        Object::IdentityProvider(provider) => match &provider.settings {
            ProviderSettings::Ldap(settings) => &settings.hostnames,
            ProviderSettings::LdapCertificate(settings) => &settings.ldap.hostnames,
            ProviderSettings::Radius(settings) => &settings.hostnames,
            _ => &[],
        },
        Object::MfaProvider(provider) => match &provider.settings {
            FactorSettings::Radius(settings) => &settings.hostnames,
            _ => &[],
        },
        _ => &[],
    }
}
