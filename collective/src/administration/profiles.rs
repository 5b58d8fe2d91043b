//! Links of client profiles: how a Client gets to know the Collective (S3, S4). With a key for knocking in it a link is a
//! secret: it wants the privilege `Export`, that it was given out is written into the audit, and when into the state.

mod email;
pub(crate) mod on_boarding;
pub(crate) mod picture;
pub(crate) mod template;

use std::sync::Arc;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ringwall_protocol::id::ProfileId;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::object::{ClientProfile, ObjectKind};
use ringwall_protocol::wire::admin::{
    BarcodeFormat, MAX_ON_BOARDING_HOURS, OnBoarding, OnBoardingRequest, ProfileBarcode, ProfileEmail, ProfilePage,
};
use ringwall_raft::State;
use ringwall_raft::state::profile_export::NoteProfileExport;
use ringwall_trust::identity::Fingerprint;
use uuid::Uuid;

use self::on_boarding::page;
use self::picture::{barcode, drawing};
use super::access::authority::Administrator;
use super::denial::Denial;
use super::objects::not_found;
use crate::audit::event as trail;
use crate::issuing::check;
use crate::listener::spa;
use crate::refusal::Refusal;
use crate::replica::Replica;
use crate::replica::vault::Vault;
use crate::setup::profile_link::{ProfileLink, ProfileSpa};
use crate::sign_in::lockout::Lockout;

/// A profile as it is told to people: what its link says, and the link.
pub(crate) struct Told {
    /// The profile's name.
    pub(crate) profile: String,
    /// Where the Controllers are.
    pub(crate) host: String,
    /// The provider's name.
    pub(crate) provider: String,
    /// The root's fingerprint.
    pub(crate) root: Fingerprint,
    /// `ringwall://…`
    pub(crate) link: String,
}

/// What gives out links.
pub(crate) struct Profiles {
    pub(crate) replica: Replica,
    pub(crate) vault: Arc<Vault>,
    pub(crate) lockout: Arc<Lockout>,
}

impl Profiles {
    /// The link of a profile.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` while nobody said where the Controllers are.
    pub(crate) async fn profile_link(&self, who: &Administrator, id: Uuid) -> Result<String, Denial> {
        self.give_out(who, id, "link").await.map(|told| told.link)
    }

    /// The link of a profile as a picture.
    ///
    /// # Errors
    /// As for [`Profiles::profile_link`]; `Conflict` if the link is too long for a QR code.
    pub(crate) async fn profile_barcode(
        &self,
        who: &Administrator,
        id: Uuid,
        format: BarcodeFormat,
    ) -> Result<ProfileBarcode, Denial> {
        let link = self.give_out(who, id, "barcode").await?.link;
        let picture = match format {
            BarcodeFormat::Png => barcode(&link),
            BarcodeFormat::Svg => drawing(&link).map(|svg| BASE64.encode(svg.as_bytes())),
        };
        let barcode = picture.ok_or_else(|| Denial::Conflict("the link is too long for a QR code".to_owned()))?;
        Ok(ProfileBarcode { barcode, format })
    }

    /// A message to those who are to use a profile.
    ///
    /// # Errors
    /// As for [`Profiles::profile_link`].
    pub(crate) async fn profile_email(&self, who: &Administrator, id: Uuid) -> Result<ProfileEmail, Denial> {
        Ok(email::write(&self.give_out(who, id, "email").await?))
    }

    /// The on-boarding page as a file.
    ///
    /// # Errors
    /// As for [`Profiles::profile_link`].
    pub(crate) async fn profile_page(&self, who: &Administrator, id: Uuid) -> Result<ProfilePage, Denial> {
        let told = self.give_out(who, id, "page").await?;
        Ok(ProfilePage { html: page::document(&told, None) })
    }

    /// Where the on-boarding page of a profile can be seen for some time.
    ///
    /// # Errors
    /// As for [`Profiles::profile_link`]; `Invalid` for a time that is too long.
    pub(crate) async fn profile_on_boarding(
        &self,
        who: &Administrator,
        id: Uuid,
        request: &OnBoardingRequest,
    ) -> Result<OnBoarding, Denial> {
        if !(1..=MAX_ON_BOARDING_HOURS).contains(&request.validity_hours) {
            return Err(Denial::field("validityHours", format!("lies between 1 and {MAX_ON_BOARDING_HOURS}")));
        }
        self.give_out(who, id, "on-boarding").await?;
        let profile = who.state.client_profile(ProfileId::new(id)).ok_or_else(Refusal::internal)?;
        let life = std::time::Duration::from_secs(u64::from(request.validity_hours) * 3_600);
        let expires = who.now.plus(life);
        let path = self.on_boarding_path(profile, expires);
        let active = who.state.controllers().filter(|one| one.state == ApplianceState::Active);
        let addresses = active.flat_map(|one| &one.admin_addresses);
        let urls = addresses.map(|address| format!("https://{address}{path}")).collect();
        Ok(OnBoarding { urls, path, expires })
    }

    /// The link, once the caller may have it and it is written down that he has.
    async fn give_out(&self, who: &Administrator, id: Uuid, form: &'static str) -> Result<Told, Denial> {
        who.authority.require_some(PrivilegeType::Export, PrivilegeTarget::ClientProfile)?;
        let missing = || not_found(ObjectKind::ClientProfile, id);
        let profile = who.state.client_profile(ProfileId::new(id)).ok_or_else(missing)?;
        let scoped = Some((id, &profile.base.tags));
        who.authority.require(PrivilegeType::Export, PrivilegeTarget::ClientProfile, scoped)?;
        let told = self.tell_profile(&who.state, profile)?;
        self.replica.change(NoteProfileExport { profile: profile.base.id }).await?;
        trail::profile_exported(who, &profile.base.name, form);
        Ok(told)
    }

    /// What people are told of a profile. Whether they may be is the caller's to know.
    pub(crate) fn tell_profile(&self, state: &State, profile: &ClientProfile) -> Result<Told, Denial> {
        let collective = check::collective(state)?;
        let settings = &collective.settings;
        let host = profile.hostname.as_deref().unwrap_or(&settings.profile_hostname);
        if host.is_empty() {
            return Err(Denial::Conflict(
                "global settings do not say where the Controllers are (profileHostname)".to_owned(),
            ));
        }
        let provider = state.identity_provider(profile.identity_provider).ok_or_else(Refusal::internal)?;
        let root = BASE64URL_NOPAD.decode(collective.root_certificate.as_bytes()).map_err(|error| {
            tracing::error!(%error, "the root certificate in the state is damaged");
            Refusal::internal()
        })?;
        // A packet too many is dropped unread; one too few leaves the Client before a closed door.
        let controllers = state.controllers().map(|one| state.spa_mode_of(one.appliance));
        let knock = match controllers.chain([settings.spa_mode]).max().unwrap_or_default() {
            SpaMode::Open => None,
            mode => Some(ProfileSpa {
                mode,
                name: profile.key_name().to_owned(),
                key: spa::profile_key(state, &self.vault, profile)?,
            }),
        };
        let root = Fingerprint::of(&root);
        let link = ProfileLink::new(host, &profile.base.name, &provider.base.name, root, knock.as_ref());
        let link = link.with_controllers(&further_controllers(state, profile));
        Ok(Told {
            profile: profile.base.name.clone(),
            host: host.to_owned(),
            provider: provider.base.name.clone(),
            root,
            link: link.to_string(),
        })
    }
}

/// Where else Controllers answer: as the profile says, or as the active ones do; first addresses first.
fn further_controllers(state: &State, profile: &ClientProfile) -> Vec<String> {
    if !profile.further_hostnames.is_empty() {
        return profile.further_hostnames.clone();
    }
    let active: Vec<_> = state.controllers().filter(|one| one.state == ApplianceState::Active).collect();
    let longest = active.iter().map(|one| one.client_addresses.len()).max().unwrap_or(0);
    (0..longest).flat_map(|nth| active.iter().filter_map(move |one| one.client_addresses.get(nth).cloned())).collect()
}
