//! Versions of the admin API: the `Accept` header says which one is spoken, before anything else is looked at.
//!
//! `GET /admin/version` and `GET /admin/openapi.json` also answer to `application/json`, so that a caller can ask.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use ringwall_protocol::wire::admin::{LOWEST_VERSION, VERSION};

use crate::administration::Denial;

/// Paths that answer to whoever does not know the version yet.
const UNVERSIONED: [&str; 2] = ["/admin/version", "/admin/openapi.json"];
/// Longest header that is looked at, in bytes.
const MAX_HEADER: usize = 1_024;

/// Refuses requests for a version that is not spoken here, whatever else is wrong with them.
pub(super) async fn check(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let good = match UNVERSIONED.contains(&request.path()) {
        true => accept.is_none_or(|accept| takes_json(accept) || asked_version(accept).is_some()),
        false => accept.and_then(asked_version).is_some_and(|version| (LOWEST_VERSION..=VERSION).contains(&version)),
    };
    if !good {
        return Err(Denial::NotAcceptable.into());
    }
    next.call(request).await
}

/// The highest supported version that a header asks for, or else the first that it names.
pub(super) fn asked_version(accept: &str) -> Option<u16> {
    let accept = accept.get(..MAX_HEADER.min(accept.len())).unwrap_or_default();
    let named = || accept.split(',').filter_map(version_of);
    named().filter(|version| (LOWEST_VERSION..=VERSION).contains(version)).max().or_else(|| named().next())
}

fn version_of(media_type: &str) -> Option<u16> {
    let media_type = media_type.split(';').next()?.trim().to_ascii_lowercase();
    let version = media_type.strip_prefix("application/vnd.appgate.peer-v")?.strip_suffix("+json")?;
    version.bytes().all(|byte| byte.is_ascii_digit()).then(|| version.parse().ok())?
}

fn takes_json(accept: &str) -> bool {
    let media_type = |part: &str| part.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    accept.split(',').any(|part| matches!(media_type(part).as_str(), "application/json" | "application/*" | "*/*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_media_type_and_nothing_else() {
        assert_eq!(asked_version("application/vnd.appgate.peer-v24+json"), Some(24));
        assert_eq!(asked_version("text/html, Application/vnd.Appgate.peer-v18+json;q=0.9"), Some(18));
        assert_eq!(
            asked_version("application/vnd.appgate.peer-v5+json, application/vnd.appgate.peer-v22+json"),
            Some(22)
        );
        assert_eq!(asked_version("application/vnd.appgate.peer-v5+json"), Some(5));
        for other in [
            "application/json",
            "*/*",
            "",
            "application/vnd.appgate.peer-v+json",
            "application/vnd.appgate.peer-v+24+json",
        ] {
            assert_eq!(asked_version(other), None, "{other}");
        }
        assert!(takes_json("text/html, */*;q=0.1") && takes_json("application/json") && !takes_json("text/html"));
    }
}
