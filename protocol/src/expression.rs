//! CEL expressions: criteria of policies and conditions, compiled once, evaluated within limits, with the claims that
//! they read noted.
