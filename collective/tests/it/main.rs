//! Controllers as others see them: in-process, over loopback, with real TLS and HTTP.

mod admin;
mod attacks;
mod audit_disk;
mod bad_input;
mod blocklist;
mod certificate;
mod client;
mod cluster;
mod crowding;
mod dark;
mod devices;
mod doors;
mod entitlements;
mod feed;
mod fields;
mod gateway;
mod guessing;
mod harness;
mod ldap;
mod mfa;
mod radius;
mod revocation;
mod servers;
mod shared_keys;
mod sign_in;
mod spa;
