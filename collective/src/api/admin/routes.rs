//! The table of routes: each is registered and described by the same line, so that none is served undescribed.

use actix_web::web::{self, ServiceConfig};
use ringwall_protocol::explain::Explanation;
use ringwall_protocol::object::{Appliance, GlobalSettings, IdentityProvider, MfaProvider, ObjectKind};
use ringwall_protocol::wire::admin::{
    ActiveSession, AdministratorSession, AdmitRequest, ApprovedOrder, BlacklistEntry, BlockRequest, BreakGlassCode,
    CollectiveStatus, ExplainRequest, ExportRequest, Fido2Code, Fido2Device, Fido2Permit, KnockKeyAnswer, LoginAnswer,
    LoginRequest, OnBoardedDevice, OnBoarding, OnBoardingRequest, OtpCode, OtpHolder, OtpPermit, OtpSeed,
    OtpSeedRequest, ProfileBarcode, ProfileEmail, ProfilePage, ProfileUrl, ReevaluateAnswer, RevokeAnswer,
    RevokeRequest, SessionInfo, SharedKeys, VersionAnswer, WaitingController, WaitingOrder,
};
use ringwall_protocol::wire::apply::{ApplyAnswer, ApplyRequest};
use ringwall_protocol::wire::join::Seed;
use ringwall_protocol::wire::what_if::{Draft, LintAnswer, Simulation};

use super::collective::{Admitted, Transfer, Transferred};
use super::resources::Resources;
use super::sign_in::{Initialize, Otp, ProviderOffers};
use super::{collective, devices, objects, profiles, providers, questions, sign_in};
use crate::administration::access::sign_in::FactorOffer;
use crate::administration::members::status::{ApplianceStatus, SiteStatus};
use crate::administration::objects::provider_test::{AttributesRequest, Tested, UserAttributes};
use crate::administration::questions::claim_names::ClaimNames;
use crate::administration::questions::rehearsal::{Rehearsal, Rehearsed};
use crate::administration::users::live::SessionFigures;
use crate::api::openapi::{Given, Operation, Taken};

macro_rules! routes {
    ($($method:ident $path:literal $handler:path, $tag:literal, $summary:literal, $body:expr => $answer:expr;)*) => {
        /// Registers everything but the generic routes of objects.
        fn special(resources: &mut Resources) {
            $(resources.add($path, stringify!($method), web::$method().to($handler));)*
        }

        /// Everything but the generic routes of objects.
        pub(crate) const SPECIAL: &[Operation] = &[$(Operation {
            method: stringify!($method),
            path: $path,
            tag: $tag,
            summary: $summary,
            takes: $body,
            gives: $answer,
        },)*];
    };
}

routes! {
    get "/version" sign_in::version, "Version", "Versions of this API.", Taken::Nothing => Given::one::<VersionAnswer>();
    get "/openapi.json" questions::openapi, "Version", "This description.", Taken::Nothing => Given::Anything;
    get "/identity-providers/names" sign_in::providers, "Login", "Providers at which administrators sign in.", Taken::Nothing => Given::one::<ProviderOffers>();
    post "/login" sign_in::login, "Login", "Sign in without another factor.", Taken::lenient::<LoginRequest>() => Given::one::<LoginAnswer>();
    post "/authentication" sign_in::authenticate, "Login", "Sign in, first step.", Taken::lenient::<LoginRequest>() => Given::one::<LoginAnswer>();
    post "/authentication/otp/initialize" sign_in::initialize, "Login", "Which other factor is wanted; an enrolment code brings a seed.", Taken::lenient::<Initialize>() => Given::one::<FactorOffer>();
    post "/authentication/otp" sign_in::otp, "Login", "The other factor.", Taken::lenient::<Otp>() => Given::one::<LoginAnswer>();
    get "/authorization" sign_in::authorization, "Login", "Last step; 412 while another factor is missing.", Taken::Nothing => Given::one::<LoginAnswer>();
    post "/authorization" sign_in::authorization, "Login", "The same.", Taken::Nothing => Given::one::<LoginAnswer>();
    post "/authentication/logout" sign_in::logout, "Login", "End the session.", Taken::Nothing => Given::Nothing;
    post "/authentication/knock-key" sign_in::knock_key, "Login", "The caller's own key for knocking on the admin port, made anew.", Taken::Nothing => Given::one::<KnockKeyAnswer>();
    get "/administrator-sessions" sign_in::sessions, "Administrator Sessions", "Live sessions of administrators; one's own without the privilege to see all.", Taken::Nothing => Given::many::<AdministratorSession>();
    delete "/administrator-sessions/{id}" sign_in::end_session, "Administrator Sessions", "End a session at once.", Taken::Nothing => Given::Nothing;
    get "/approvals" collective::approvals, "Approvals", "Orders that wait for a second administrator.", Taken::Nothing => Given::many::<WaitingOrder>();
    post "/approvals/{id}" collective::approve, "Approvals", "Approve what another administrator asked for: it is carried out.", Taken::Nothing => Given::one::<ApprovedOrder>();
    delete "/approvals/{id}" collective::withdraw, "Approvals", "Take an order back that waits.", Taken::Nothing => Given::Nothing;
    post "/break-glass/renew" sign_in::renew_break_glass, "Break-glass", "A new break-glass code, shown once; the former one is invalid.", Taken::Nothing => Given::one::<BreakGlassCode>();
    get "/global-settings" collective::settings, "Global Settings", "Read the settings.", Taken::Nothing => Given::one::<GlobalSettings>();
    put "/global-settings" collective::change_settings, "Global Settings", "Replace the settings.", Taken::strict::<GlobalSettings>() => Given::one::<GlobalSettings>();
    delete "/global-settings" collective::reset_settings, "Global Settings", "Back to the defaults.", Taken::Nothing => Given::Nothing;
    post "/apply" objects::apply, "Apply", "Write and delete objects together, all or none; `dryRun` tells what that would do.", Taken::strict::<ApplyRequest>() => Given::one::<ApplyAnswer>();
    get "/on-boarded-devices" devices::list, "Registered Devices", "Registered devices.", Taken::Nothing => Given::many::<OnBoardedDevice>();
    post "/on-boarded-devices/revoke-tokens" devices::revoke, "Registered Devices", "Revoke tokens.", Taken::strict::<RevokeRequest>() => Given::one::<RevokeAnswer>();
    post "/on-boarded-devices/reevaluate/{dn}" devices::reevaluate, "Registered Devices", "Evaluate live sessions anew.", Taken::Nothing => Given::one::<ReevaluateAnswer>();
    post "/on-boarded-devices/revoke-spa-key/{dn}" devices::revoke_spa_key, "Registered Devices", "Revoke a device's own SPA key; its registration stays.", Taken::Nothing => Given::Nothing;
    get "/on-boarded-devices/{dn}" devices::read, "Registered Devices", "One registered device.", Taken::Nothing => Given::one::<OnBoardedDevice>();
    delete "/on-boarded-devices/{dn}" devices::remove, "Registered Devices", "Remove a registration; its tokens are revoked.", Taken::Nothing => Given::Nothing;
    get "/blacklist" devices::blacklist, "Blacklisted Users", "Blocked users.", Taken::Nothing => Given::many::<BlacklistEntry>();
    post "/blacklist" devices::block, "Blacklisted Users", "Block a user.", Taken::lenient::<BlockRequest>() => Given::one::<BlacklistEntry>();
    delete "/blacklist/{dn}" devices::unblock, "Blacklisted Users", "Let a user sign in again.", Taken::Nothing => Given::Nothing;
    get "/stats/active-sessions/dn" devices::sessions, "Active Sessions", "Live sessions.", Taken::Nothing => Given::many::<ActiveSession>();
    get "/stats/active-sessions/dashboard" devices::session_figures, "Active Sessions", "How many sessions there are, and where.", Taken::Nothing => Given::one::<SessionFigures>();
    get "/session-info/{dn}" devices::session, "Active Sessions", "One live session.", Taken::Nothing => Given::one::<SessionInfo>();
    get "/otp/seeds" devices::seeds, "One-Time Password Seeds", "Users with a seed.", Taken::Nothing => Given::many::<OtpHolder>();
    post "/otp/seeds" devices::make_seed, "One-Time Password Seeds", "A new seed, shown once.", Taken::lenient::<OtpSeedRequest>() => Given::one::<OtpSeed>();
    delete "/otp/seeds/{dn}" devices::remove_seed, "One-Time Password Seeds", "Take a seed away.", Taken::Nothing => Given::Nothing;
    post "/otp/enrolments" devices::permit_seed, "One-Time Password Seeds", "A code with which its user enrols a seed, shown once.", Taken::strict::<OtpPermit>() => Given::one::<OtpCode>();
    get "/fido2-devices" devices::security_keys, "FIDO2 Devices", "Security keys, and users who may register one.", Taken::Nothing => Given::many::<Fido2Device>();
    post "/fido2-devices/registrations" devices::permit_security_key, "FIDO2 Devices", "A code with which its user registers a security key, shown once.", Taken::strict::<Fido2Permit>() => Given::one::<Fido2Code>();
    delete "/fido2-devices/{dn}" devices::remove_security_keys, "FIDO2 Devices", "Take all security keys of a user away.", Taken::Nothing => Given::Nothing;
    get "/client-profiles/{id}/url" profiles::url, "Client Profiles", "The link of a profile.", Taken::Nothing => Given::one::<ProfileUrl>();
    get "/client-profiles/{id}/barcode" profiles::barcode, "Client Profiles", "The link as a picture; ?format=png or svg.", Taken::Nothing => Given::one::<ProfileBarcode>();
    get "/client-profiles/{id}/email" profiles::email, "Client Profiles", "The link in a message to its users.", Taken::Nothing => Given::one::<ProfileEmail>();
    get "/client-profiles/{id}/page" profiles::page, "Client Profiles", "The on-boarding page as a file.", Taken::Nothing => Given::one::<ProfilePage>();
    post "/client-profiles/{id}/on-boarding" profiles::on_boarding, "Client Profiles", "Serve the on-boarding page for some time.", Taken::strict::<OnBoardingRequest>() => Given::one::<OnBoarding>();
    get "/appliances/status" collective::appliances, "Appliances", "Appliances with their status.", Taken::Nothing => Given::many::<ApplianceStatus>();
    post "/appliances/{id}/export" collective::export, "Appliances", "The seed with which it joins.", Taken::strict::<ExportRequest>() => Given::one::<Seed>();
    post "/appliances/{id}/suspend" collective::suspend, "Appliances", "A Gateway takes no new sessions.", Taken::Nothing => Given::versioned::<Appliance>();
    post "/appliances/{id}/resume" collective::resume, "Appliances", "A Gateway takes sessions again.", Taken::Nothing => Given::versioned::<Appliance>();
    post "/appliances/{id}/retire" collective::retire, "Appliances", "A Controller signs nothing new, hands over, and is removed when what it signed has ended.", Taken::Nothing => Given::versioned::<Appliance>();
    get "/sites/status" collective::sites, "Sites", "Sites with their status.", Taken::Nothing => Given::many::<SiteStatus>();
    get "/collective/status" collective::status, "Collective", "Controllers, Gateways, leader, lag.", Taken::Nothing => Given::one::<CollectiveStatus>();
    get "/collective/waiting" collective::waiting, "Collective", "Controllers that ask to join.", Taken::Nothing => Given::many::<WaitingController>();
    post "/collective/waiting/{id}/admit" collective::admit, "Collective", "Admit a Controller whose key was compared.", Taken::strict::<AdmitRequest>() => Given::one::<Admitted>();
    delete "/collective/waiting/{id}" collective::turn_away, "Collective", "Turn a Controller away that asks to join.", Taken::Nothing => Given::Nothing;
    post "/collective/transfer" collective::transfer, "Collective", "Make another Controller the leader.", Taken::lenient::<Transfer>() => Given::one::<Transferred>();
    post "/collective/rotate-keys" collective::rotate_keys, "Collective", "Replace the keys that all Controllers share; the removal of a Controller does it by itself.", Taken::Nothing => Given::one::<SharedKeys>();
    post "/collective/end-former-keys" collective::end_former_keys, "Collective", "End keys for knocking from before the last rotation at once.", Taken::Nothing => Given::one::<SharedKeys>();
    post "/explain" questions::explain, "Questions", "Why a user reaches a host, or does not.", Taken::strict::<ExplainRequest>() => Given::one::<Explanation>();
    post "/identity-providers/test" providers::test_identity, "Questions", "Whether a provider as described answers.", Taken::strict::<IdentityProvider>() => Given::one::<Tested>();
    post "/identity-providers/{id}/attributes" providers::attributes, "Questions", "What a provider knows of a user.", Taken::lenient::<AttributesRequest>() => Given::one::<UserAttributes>();
    post "/mfa-providers/test" providers::test_factor, "Questions", "Whether an MFA provider as described answers.", Taken::strict::<MfaProvider>() => Given::one::<Tested>();
    post "/simulate" questions::simulate, "Questions", "Who would gain or lose what if objects were written; nothing is changed.", Taken::strict::<Draft>() => Given::one::<Simulation>();
    get "/lint" questions::lint, "Questions", "What the API accepts and that cannot work.", Taken::Nothing => Given::one::<LintAnswer>();
    post "/lint" questions::lint, "Questions", "The same, as if the objects of a draft were written.", Taken::strict::<Draft>() => Given::one::<LintAnswer>();
    post "/conditions/test" questions::rehearse, "Questions", "Try an expression.", Taken::lenient::<Rehearsal>() => Given::one::<Rehearsed>();
    get "/claims/names" questions::claim_names, "Questions", "Names of claims.", Taken::Nothing => Given::one::<ClaimNames>();
}

/// Registers every route. Special ones come first: their paths would also be ids.
pub(super) fn register(routes: &mut ServiceConfig) {
    let mut resources = Resources::default();
    special(&mut resources);
    for kind in ObjectKind::ALL {
        objects::register(&mut resources, *kind);
    }
    resources.register(routes);
}
