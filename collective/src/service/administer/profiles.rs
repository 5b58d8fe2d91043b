//! Links of client profiles: how a Client gets to know the Collective (S3). With a key for knocking in it a link is a
//! secret: it wants the privilege `Export`, and that it was shown is written down.

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::ProfileId;
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::settings::SpaMode;
use ringwall_trust::identity::Fingerprint;
use uuid::Uuid;

use super::authority::Administrator;
use super::denial::Denial;
use super::objects::not_found;
use super::picture::barcode;
use super::trail;
use crate::controller::Controller;
use crate::profile_link::{ProfileLink, ProfileSpa};
use crate::refusal::Refusal;
use crate::service::check;
use crate::spa;

impl Controller {
    /// The link of a profile.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` while nobody said where the Controllers are.
    pub fn profile_link(&self, who: &Administrator, id: Uuid) -> Result<String, Denial> {
        who.authority.require_some(PrivilegeType::Export, PrivilegeTarget::ClientProfile)?;
        let missing = || not_found(ObjectKind::ClientProfile, id);
        let profile = who.state.client_profile(ProfileId::new(id)).ok_or_else(missing)?;
        let scoped = Some((id, &profile.base.tags));
        who.authority.require(PrivilegeType::Export, PrivilegeTarget::ClientProfile, scoped)?;
        let collective = check::collective(&who.state)?;
        let settings = &collective.settings;
        let host = profile.hostname.as_deref().unwrap_or(&settings.profile_hostname);
        if host.is_empty() {
            return Err(Denial::Conflict(
                "global settings do not say where the Controllers are (profileHostname)".to_owned(),
            ));
        }
        let provider = who.state.identity_provider(profile.identity_provider).ok_or_else(Refusal::internal)?;
        let root = BASE64URL_NOPAD.decode(collective.root_certificate.as_bytes()).map_err(|error| {
            tracing::error!(%error, "the root certificate in the state is damaged");
            Refusal::internal()
        })?;
        // A packet too many is dropped unread; one too few leaves the Client before a closed door.
        let controllers = who.state.controllers().map(|one| who.state.spa_mode_of(one.appliance));
        let knock = match controllers.chain([settings.spa_mode]).max().unwrap_or_default() {
            SpaMode::Open => None,
            mode => Some(ProfileSpa {
                mode,
                name: spa::key_name(profile).to_owned(),
                key: spa::profile_key(&who.state, &self.vault, profile)?,
            }),
        };
        trail::secret_read(who, "client-profiles", &profile.base.name);
        let root = Fingerprint::of(&root);
        Ok(ProfileLink::new(host, &profile.base.name, &provider.base.name, root, knock.as_ref()).to_string())
    }

    /// The link of a profile as a picture: PNG, base64.
    ///
    /// # Errors
    /// As for [`Controller::profile_link`]; `Conflict` if the link is too long for a QR code.
    pub fn profile_barcode(&self, who: &Administrator, id: Uuid) -> Result<String, Denial> {
        let link = self.profile_link(who, id)?;
        barcode(&link).ok_or_else(|| Denial::Conflict("the link is too long for a QR code".to_owned()))
    }
}
