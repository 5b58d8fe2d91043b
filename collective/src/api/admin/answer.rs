//! Denials as HTTP says them: a status, and the body `{id, message, …}` that every refusal has.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use ringwall_protocol::wire::admin::{AdminError, LOWEST_VERSION, VERSION};
use serde_json::Value;

use crate::administration::Denial;
use crate::api::refusal::status_of;

impl ResponseError for Denial {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::NotSignedIn { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) | Self::Contradiction(_) => StatusCode::CONFLICT,
            Self::FactorMissing => StatusCode::PRECONDITION_FAILED,
            Self::ApprovalWanted { .. } => StatusCode::ACCEPTED,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Refused(refusal) => status_of(refusal.code),
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Self::Refused(refusal) = self
            && let Some(wait) = refusal.retry_after
        {
            response.insert_header((header::RETRY_AFTER, wait.as_secs().max(1).to_string()));
        }
        if let Self::MethodNotAllowed(allowed) = self {
            response.insert_header((header::ALLOW, allowed.as_str()));
        }
        response.json(body(self))
    }
}

/// The body of a denial.
fn body(denial: &Denial) -> AdminError {
    let (min_supported_version, max_supported_version) = match denial {
        Denial::NotAcceptable => (Some(LOWEST_VERSION), Some(VERSION)),
        _ => (None, None),
    };
    let errors = match denial {
        Denial::Invalid(errors) | Denial::Contradiction(errors) => errors.clone(),
        _ => Vec::new(),
    };
    let approval = match denial {
        Denial::ApprovalWanted { id } => Some(*id),
        _ => None,
    };
    let message = match denial {
        Denial::Refused(refusal) => refusal.message.clone(),
        other => other.to_string(),
    };
    AdminError { id: id(denial), message, errors, min_supported_version, max_supported_version, approval }
}

fn id(denial: &Denial) -> String {
    let id = match denial {
        Denial::Malformed(_) => "malformed",
        Denial::TooLarge(_) => "tooLarge",
        Denial::NotAcceptable => "notAcceptable",
        Denial::NotSignedIn { id, .. } => id,
        Denial::Forbidden(_) => "forbidden",
        Denial::NotFound(_) => "notFound",
        Denial::MethodNotAllowed(_) => "methodNotAllowed",
        Denial::Conflict(_) => "conflict",
        Denial::Contradiction(_) => "contradiction",
        Denial::FactorMissing => "mfaRequired",
        Denial::ApprovalWanted { .. } => "approvalWanted",
        Denial::Invalid(_) => "validation",
        Denial::Refused(refusal) => {
            let code = serde_json::to_value(refusal.code).unwrap_or_default();
            return code.as_str().map_or_else(|| "internal".to_owned(), str::to_owned);
        }
    };
    id.to_owned()
}

/// A JSON answer.
pub(super) fn json(value: &impl serde::Serialize) -> HttpResponse {
    HttpResponse::Ok().json(value)
}

/// An object's answer: its version is its `ETag` (RFC 9110 §8.8.3), which `If-Match` takes.
pub(super) fn versioned(value: &Value, version: u64) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::ETAG, format!("\"{version}\""))).json(value)
}

/// 204.
pub(super) fn nothing() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::wire::error::ErrorCode;

    use super::*;
    use crate::refusal::Refusal;

    #[test]
    fn denials_have_the_vendors_statuses_and_bodies() {
        for (denial, status, id) in [
            (Denial::Malformed("x".to_owned()), 400, "malformed"),
            (Denial::NotSignedIn { id: "tokenExpired", message: String::new() }, 401, "tokenExpired"),
            (Denial::Forbidden(String::new()), 403, "forbidden"),
            (Denial::NotFound(String::new()), 404, "notFound"),
            (Denial::MethodNotAllowed("GET".to_owned()), 405, "methodNotAllowed"),
            (Denial::NotAcceptable, 406, "notAcceptable"),
            (Denial::Conflict(String::new()), 409, "conflict"),
            (Denial::contradiction("site", "there is none"), 409, "contradiction"),
            (Denial::FactorMissing, 412, "mfaRequired"),
            (Denial::ApprovalWanted { id: uuid::Uuid::nil() }, 202, "approvalWanted"),
            (Denial::TooLarge(1), 413, "tooLarge"),
            (Denial::field("name", "is missing"), 422, "validation"),
            (Refusal::no_quorum().into(), 503, "noQuorum"),
            (Refusal::new(ErrorCode::Conflict, "").into(), 409, "conflict"),
        ] {
            assert_eq!((denial.status_code().as_u16(), super::id(&denial).as_str()), (status, id));
        }
        let told = body(&Denial::NotAcceptable);
        assert_eq!((told.min_supported_version, told.max_supported_version), (Some(18), Some(24)));
        assert_eq!(body(&Denial::field("name", "is missing")).errors[0].field, "name");
    }
}
