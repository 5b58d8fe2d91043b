//! Refusals of services as HTTP says them: a status, and the body with the code that the Client's program looks at.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use ringwall_protocol::wire::error::ErrorCode;

use crate::refusal::Refusal;

/// The HTTP status of a code.
#[must_use]
pub(super) const fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::SignInRefused
        | ErrorCode::MfaRequired
        | ErrorCode::MfaRefused
        | ErrorCode::Unauthorized
        | ErrorCode::TokenExpired
        | ErrorCode::TokenRevoked
        | ErrorCode::TokenMismatch
        | ErrorCode::TokenInvalid => StatusCode::UNAUTHORIZED,
        ErrorCode::DeviceConflict | ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::DeviceLimit
        | ErrorCode::NotEntitled
        | ErrorCode::Forbidden
        | ErrorCode::Revoked
        | ErrorCode::AdministratorEnded => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Invalid
        | ErrorCode::PolicyTooLarge
        | ErrorCode::UnsupportedAction
        | ErrorCode::VersionUnsupported
        | ErrorCode::ProtocolError => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::Busy => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        status_of(self.code)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(wait) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, wait.as_secs().max(1).to_string()));
        }
        response.json(self.body())
    }
}
