//! The Client's program against a Controller and Gateways that are made for the test: real TLS, real certificates and
//! tokens, real packets through a real TUN device. Every test runs in a network namespace of its own.

mod controller;
mod gateway;
mod namespace;
mod program;
mod prompts;
mod resolver_file;
mod restoring;
mod sessions;
mod sign_in;
mod split_dns;
mod wire;
mod world;
