//! Users, their devices and their sessions, as administrators see and end them.

pub mod blacklist;
pub mod devices;
pub mod fido2;
pub mod live;
pub mod otp;
