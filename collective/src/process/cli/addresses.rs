//! From the addresses of a command line to a configuration file.

use std::path::Path;

use super::arguments::Addresses;
use crate::setup::config::{RawAdmin, RawAdvertise, RawConfig, RawListen};

/// The configuration that the command line describes.
pub(super) fn configuration(data_dir: &Path, addresses: &Addresses) -> RawConfig {
    RawConfig {
        data_dir: std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned()),
        listen: RawListen {
            client: addresses.listen_client.to_string(),
            admin: addresses.listen_admin.to_string(),
            peer: addresses.listen_peer.to_string(),
            metrics: addresses.listen_metrics.map(|address| address.to_string()),
        },
        advertise: RawAdvertise {
            client: addresses.advertise_client.clone(),
            admin: addresses.advertise_admin.clone(),
            peer: addresses.advertise_peer.clone(),
        },
        admin: if addresses.admin_source.is_empty() {
            RawAdmin::default()
        } else {
            RawAdmin { allow_sources: addresses.admin_source.clone() }
        },
        ..RawConfig::default()
    }
}
