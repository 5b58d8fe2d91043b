//! The table of routes: each is registered and described by the same line, so that none is served undescribed.

use actix_web::web::{self, ServiceConfig};
use ringwall_protocol::object::ObjectKind;

use super::{collective, devices, objects, profiles, providers, questions, sign_in};
use crate::api::openapi::{Operation, Shape};

macro_rules! routes {
    ($($method:ident $path:literal $handler:path, $tag:literal, $summary:literal, $body:expr => $answer:expr;)*) => {
        /// Registers everything but the generic routes of objects.
        fn special(routes: &mut ServiceConfig) {
            $(routes.route($path, web::$method().to($handler));)*
        }

        /// Everything but the generic routes of objects.
        pub(crate) const SPECIAL: &[Operation] = &[$(Operation {
            method: stringify!($method),
            path: $path,
            tag: $tag,
            summary: $summary,
            body: $body,
            answer: $answer,
        },)*];
    };
}

routes! {
    get "/version" sign_in::version, "Version", "Versions of this API.", Shape::Nothing => Shape::Named("Version");
    get "/openapi.json" questions::openapi, "Version", "This description.", Shape::Nothing => Shape::Any;
    get "/identity-providers/names" sign_in::providers, "Login", "Providers at which administrators sign in.", Shape::Nothing => Shape::ListOf("ProviderOffer");
    post "/login" sign_in::login, "Login", "Sign in without another factor.", Shape::Named("Login") => Shape::Named("LoginAnswer");
    post "/authentication" sign_in::authenticate, "Login", "Sign in, first step.", Shape::Named("Login") => Shape::Named("LoginAnswer");
    post "/authentication/otp/initialize" sign_in::initialize, "Login", "Which other factor is wanted; an enrolment code brings a seed.", Shape::Named("Initialize") => Shape::Named("FactorOffer");
    post "/authentication/otp" sign_in::otp, "Login", "The other factor.", Shape::Named("Otp") => Shape::Named("LoginAnswer");
    get "/authorization" sign_in::authorization, "Login", "Last step; 412 while another factor is missing.", Shape::Nothing => Shape::Named("LoginAnswer");
    post "/authorization" sign_in::authorization, "Login", "The same.", Shape::Any => Shape::Named("LoginAnswer");
    post "/authentication/logout" sign_in::logout, "Login", "End the session.", Shape::Any => Shape::Nothing;
    post "/authentication/knock-key" sign_in::knock_key, "Login", "The caller's own key for knocking on the admin port, made anew.", Shape::Any => Shape::Named("KnockKey");
    get "/administrator-sessions" sign_in::sessions, "Administrator Sessions", "Live sessions of administrators; one's own without the privilege to see all.", Shape::Nothing => Shape::ListOf("AdministratorSession");
    delete "/administrator-sessions/{id}" sign_in::end_session, "Administrator Sessions", "End a session at once.", Shape::Nothing => Shape::Nothing;
    get "/approvals" collective::approvals, "Approvals", "Orders that wait for a second administrator.", Shape::Nothing => Shape::ListOf("WaitingOrder");
    post "/approvals/{id}" collective::approve, "Approvals", "Approve what another administrator asked for: it is carried out.", Shape::Any => Shape::Named("ApprovedOrder");
    delete "/approvals/{id}" collective::withdraw, "Approvals", "Take an order back that waits.", Shape::Nothing => Shape::Nothing;
    post "/break-glass/renew" sign_in::renew_break_glass, "Break-glass", "A new break-glass code, shown once; the former one is void.", Shape::Nothing => Shape::Named("BreakGlassCode");
    get "/global-settings" collective::settings, "Global Settings", "Read the settings.", Shape::Nothing => Shape::Named("GlobalSettings");
    put "/global-settings" collective::change_settings, "Global Settings", "Replace the settings.", Shape::Named("GlobalSettings") => Shape::Named("GlobalSettings");
    delete "/global-settings" collective::reset_settings, "Global Settings", "Back to the defaults.", Shape::Nothing => Shape::Nothing;
    get "/on-boarded-devices" devices::list, "Registered Devices", "Registered devices.", Shape::Nothing => Shape::ListOf("OnBoardedDevice");
    post "/on-boarded-devices/revoke-tokens" devices::revoke, "Registered Devices", "Revoke tokens.", Shape::Named("RevokeRequest") => Shape::Named("RevokeAnswer");
    post "/on-boarded-devices/reevaluate/{dn}" devices::reevaluate, "Registered Devices", "Evaluate live sessions anew.", Shape::Any => Shape::Any;
    post "/on-boarded-devices/revoke-spa-key/{dn}" devices::revoke_spa_key, "Registered Devices", "Revoke a device's own SPA key; its registration stays.", Shape::Any => Shape::Nothing;
    get "/on-boarded-devices/{dn}" devices::read, "Registered Devices", "One registered device.", Shape::Nothing => Shape::Named("OnBoardedDevice");
    delete "/on-boarded-devices/{dn}" devices::remove, "Registered Devices", "Remove a registration; its tokens are revoked.", Shape::Nothing => Shape::Nothing;
    get "/blacklist" devices::blacklist, "Blacklisted Users", "Blocked users.", Shape::Nothing => Shape::ListOf("BlacklistEntry");
    post "/blacklist" devices::block, "Blacklisted Users", "Block a user.", Shape::Named("BlacklistEntry") => Shape::Named("BlacklistEntry");
    delete "/blacklist/{dn}" devices::unblock, "Blacklisted Users", "Let a user sign in again.", Shape::Nothing => Shape::Nothing;
    get "/stats/active-sessions/dn" devices::sessions, "Active Sessions", "Live sessions.", Shape::Nothing => Shape::ListOf("ActiveSession");
    get "/stats/active-sessions/dashboard" devices::session_figures, "Active Sessions", "How many sessions there are, and where.", Shape::Nothing => Shape::Any;
    get "/session-info/{dn}" devices::session, "Active Sessions", "One live session.", Shape::Nothing => Shape::Named("SessionInfo");
    get "/otp/seeds" devices::seeds, "One-Time Password Seeds", "Users with a seed.", Shape::Nothing => Shape::ListOf("OtpSeed");
    post "/otp/seeds" devices::make_seed, "One-Time Password Seeds", "A new seed, shown once.", Shape::Named("OtpSeed") => Shape::Named("OtpSeed");
    delete "/otp/seeds/{dn}" devices::remove_seed, "One-Time Password Seeds", "Take a seed away.", Shape::Nothing => Shape::Nothing;
    post "/otp/enrolments" devices::permit_seed, "One-Time Password Seeds", "A code with which its user enrols a seed, shown once.", Shape::Named("OtpPermit") => Shape::Named("OtpCode");
    get "/fido2-devices" devices::security_keys, "FIDO2 Devices", "Security keys, and users who may register one.", Shape::Nothing => Shape::ListOf("Fido2Device");
    post "/fido2-devices/registrations" devices::permit_security_key, "FIDO2 Devices", "A code with which its user registers a security key, shown once.", Shape::Named("Fido2Permit") => Shape::Named("Fido2Code");
    delete "/fido2-devices/{dn}" devices::remove_security_keys, "FIDO2 Devices", "Take all security keys of a user away.", Shape::Nothing => Shape::Nothing;
    get "/client-profiles/{id}/url" profiles::url, "Client Profiles", "The link of a profile.", Shape::Nothing => Shape::Named("ProfileUrl");
    get "/client-profiles/{id}/barcode" profiles::barcode, "Client Profiles", "The link as a picture; ?format=png or svg.", Shape::Nothing => Shape::Named("ProfileBarcode");
    get "/client-profiles/{id}/email" profiles::email, "Client Profiles", "The link in a message to its users.", Shape::Nothing => Shape::Named("ProfileEmail");
    get "/client-profiles/{id}/page" profiles::page, "Client Profiles", "The on-boarding page as a file.", Shape::Nothing => Shape::Named("ProfilePage");
    post "/client-profiles/{id}/on-boarding" profiles::on_boarding, "Client Profiles", "Serve the on-boarding page for some time.", Shape::Named("OnBoardingRequest") => Shape::Named("OnBoarding");
    get "/appliances/status" collective::appliances, "Appliances", "Appliances with their status.", Shape::Nothing => Shape::ListOf("Appliance");
    post "/appliances/{id}/export" collective::export, "Appliances", "The seed with which it joins.", Shape::Named("ExportRequest") => Shape::Any;
    post "/appliances/{id}/suspend" collective::suspend, "Appliances", "A Gateway takes no new sessions.", Shape::Any => Shape::Named("Appliance");
    post "/appliances/{id}/resume" collective::resume, "Appliances", "A Gateway takes sessions again.", Shape::Any => Shape::Named("Appliance");
    post "/appliances/{id}/retire" collective::retire, "Appliances", "A Controller signs nothing new, hands over, and is removed when what it signed has ended.", Shape::Any => Shape::Named("Appliance");
    get "/sites/status" collective::sites, "Sites", "Sites with their status.", Shape::Nothing => Shape::ListOf("Site");
    get "/collective/status" collective::status, "Collective", "Controllers, Gateways, leader, lag.", Shape::Nothing => Shape::Any;
    get "/collective/waiting" collective::waiting, "Collective", "Controllers that ask to join.", Shape::Nothing => Shape::ListOf("WaitingController");
    post "/collective/waiting/{id}/admit" collective::admit, "Collective", "Admit a Controller whose key was compared.", Shape::Named("AdmitRequest") => Shape::Any;
    delete "/collective/waiting/{id}" collective::turn_away, "Collective", "Turn a Controller away that asks to join.", Shape::Nothing => Shape::Nothing;
    post "/collective/transfer" collective::transfer, "Collective", "Make another Controller the leader.", Shape::Any => Shape::Any;
    post "/explain" questions::explain, "Questions", "Why a user reaches a host, or does not.", Shape::Named("ExplainRequest") => Shape::Any;
    post "/identity-providers/test" providers::test_identity, "Questions", "Whether a provider as described answers.", Shape::Named("IdentityProvider") => Shape::Any;
    post "/identity-providers/{id}/attributes" providers::attributes, "Questions", "What a provider knows of a user.", Shape::Any => Shape::Any;
    post "/mfa-providers/test" providers::test_factor, "Questions", "Whether an MFA provider as described answers.", Shape::Named("MfaProvider") => Shape::Any;
    post "/simulate" questions::simulate, "Questions", "Who would gain or lose what if objects were written; nothing is changed.", Shape::Any => Shape::Any;
    get "/lint" questions::lint, "Questions", "What the API accepts and that cannot work.", Shape::Nothing => Shape::Any;
    post "/lint" questions::lint, "Questions", "The same, as if the objects of a draft were written.", Shape::Any => Shape::Any;
    post "/conditions/test" questions::rehearse, "Questions", "Try an expression.", Shape::Any => Shape::Any;
    get "/claims/names" questions::claim_names, "Questions", "Names of claims.", Shape::Nothing => Shape::Any;
}

/// Registers every route. Special ones come first: their paths would also be ids.
pub(super) fn register(routes: &mut ServiceConfig) {
    special(routes);
    for kind in ObjectKind::ALL {
        objects::register(routes, *kind);
    }
}
