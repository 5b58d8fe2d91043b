//! What a person meets in a browser: pages of the product, of its Client and of an identity provider in headless
//! Chromium, against the product's own binaries. Needs root, Chromium with its driver, Node.js with npm, and the binaries
//! beside the tests (`cargo build --workspace --bins`).

mod oidc;
mod oidc_attacks;
mod oidc_claims;
mod on_boarding;
mod pasted;
mod place;
mod provider;
mod security_key;
mod step_up;
