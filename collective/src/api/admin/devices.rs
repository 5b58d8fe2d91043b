//! Routes of devices, blocked users, sessions and one-time password seeds.

use actix_web::HttpResponse;
use actix_web::web::Path;
use ringwall_protocol::name::{SessionDn, UserDn};
use ringwall_protocol::wire::admin::{
    BlockRequest, Fido2Permit, OtpPermit, OtpSeedRequest, ReevaluateAnswer, RevokeRequest,
};

use super::answer::{json, nothing};
use super::call::Call;
use crate::administration::Denial;
use crate::administration::repeat::Repeat;

type Answer = Result<HttpResponse, Denial>;

pub(super) async fn list(call: Call) -> Answer {
    Ok(json(&call.controller.administration.users.list_devices(&call.who, &call.wanted()?)?))
}

pub(super) async fn read(call: Call, dn: Path<String>) -> Answer {
    Ok(json(&call.controller.administration.users.read_device(&call.who, &session_dn(&dn)?)?))
}

pub(super) async fn remove(call: Call, dn: Path<String>) -> Answer {
    call.controller.administration.users.forget_device(&call.who, &session_dn(&dn)?, &call.repeat()?).await?;
    Ok(nothing())
}

pub(super) async fn revoke_spa_key(call: Call, dn: Path<String>) -> Answer {
    call.controller.administration.users.revoke_device_spa_key(&call.who, &session_dn(&dn)?, &call.repeat()?).await?;
    Ok(nothing())
}

pub(super) async fn revoke(call: Call) -> Answer {
    let request: RevokeRequest = call.strict_json()?;
    let repeat = match request.command_id {
        Some(id) => Repeat::under_id(&call.who.dn, id, &call.fingerprint()),
        None => call.repeat()?,
    };
    Ok(json(&call.controller.administration.users.revoke_tokens(&call.who, &request, &repeat).await?))
}

pub(super) async fn reevaluate(call: Call, dn: Path<String>) -> Answer {
    let dns = call.controller.administration.users.reevaluate_sessions(&call.who, &dn, &call.repeat()?).await?;
    Ok(json(&ReevaluateAnswer { reevaluated: dns.clone(), reevaluated_distinguished_names: dns }))
}

pub(super) async fn blacklist(call: Call) -> Answer {
    Ok(json(&call.controller.administration.users.list_blacklist(&call.who, &call.wanted()?)?))
}

pub(super) async fn block(call: Call) -> Answer {
    let entry: BlockRequest = call.json()?;
    Ok(json(&call.controller.administration.users.blacklist(&call.who, entry, &call.repeat()?).await?))
}

pub(super) async fn unblock(call: Call, dn: Path<String>) -> Answer {
    call.controller.administration.users.unblock_user(&call.who, user_dn(&dn)?, &call.repeat()?).await?;
    Ok(nothing())
}

pub(super) async fn sessions(call: Call) -> Answer {
    Ok(json(&call.controller.administration.users.list_sessions(&call.who, &call.wanted()?)?))
}

pub(super) async fn session_figures(call: Call) -> Answer {
    Ok(json(&call.controller.administration.users.session_figures(&call.who)?))
}

pub(super) async fn session(call: Call, dn: Path<String>) -> Answer {
    Ok(json(&call.controller.administration.users.session_info(&call.who, &session_dn(&dn)?).await?))
}

pub(super) async fn seeds(call: Call) -> Answer {
    Ok(json(&call.controller.administration.users.list_seeds(&call.who, &call.wanted()?)?))
}

pub(super) async fn make_seed(call: Call) -> Answer {
    let seed: OtpSeedRequest = call.json()?;
    // Never repeated: the first answer alone has the seed that was kept.
    let repeat = Repeat::once();
    Ok(json(&call.controller.administration.users.make_seed(&call.who, &seed.user_distinguished_name, &repeat).await?))
}

pub(super) async fn permit_seed(call: Call) -> Answer {
    let permit: OtpPermit = call.strict_json()?;
    // Never repeated: the first answer alone has the code that was kept.
    let repeat = Repeat::once();
    Ok(json(&call.controller.administration.users.permit_seed(&call.who, &permit, &repeat).await?))
}

pub(super) async fn remove_seed(call: Call, dn: Path<String>) -> Answer {
    call.controller.administration.users.remove_seed(&call.who, &user_dn(&dn)?, &call.repeat()?).await?;
    Ok(nothing())
}

pub(super) async fn security_keys(call: Call) -> Answer {
    Ok(json(&call.controller.administration.users.list_security_keys(&call.who, &call.wanted()?)?))
}

pub(super) async fn permit_security_key(call: Call) -> Answer {
    let permit: Fido2Permit = call.strict_json()?;
    // Never repeated: the first answer alone has the code that was kept.
    let repeat = Repeat::once();
    Ok(json(&call.controller.administration.users.permit_security_key(&call.who, &permit, &repeat).await?))
}

pub(super) async fn remove_security_keys(call: Call, dn: Path<String>) -> Answer {
    call.controller.administration.users.remove_security_keys(&call.who, &user_dn(&dn)?, &call.repeat()?).await?;
    Ok(nothing())
}

fn session_dn(text: &str) -> Result<SessionDn, Denial> {
    text.parse().map_err(|error| Denial::field("distinguished-name", format!("{error}")))
}

fn user_dn(text: &str) -> Result<UserDn, Denial> {
    text.parse().map_err(|error| Denial::field("distinguished-name", format!("{error}")))
}
