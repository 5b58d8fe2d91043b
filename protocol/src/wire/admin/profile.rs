//! Bodies about client profiles: a profile's link in its five forms (S3, S4).
//!
//! All of them hold the link, and with it perhaps a key for knocking: whoever asks needs the privilege `Export`, and none
//! of these types shows it in `Debug`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::form::Within;
use crate::time::{Rfc3339, UnixMillis, rfc3339};

/// Longest validity of an on-boarding page, in hours: 30 days.
pub const MAX_ON_BOARDING_HOURS: u32 = 30 * 24;

/// `GET /admin/client-profiles/{id}/url`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileUrl {
    /// `ringwall://host/…`.
    pub url: String,
}

/// Forms of a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BarcodeFormat {
    /// Pixels.
    #[default]
    Png,
    /// Lines.
    Svg,
}

/// `GET /admin/client-profiles/{id}/barcode?format=png|svg`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileBarcode {
    /// The picture in base64.
    pub barcode: String,
    /// What it is.
    #[serde(default)]
    pub format: BarcodeFormat,
}

/// `GET /admin/client-profiles/{id}/email`: a message to those who are to use the profile.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileEmail {
    /// One line.
    pub subject: String,
    /// For every reader.
    pub text: String,
    /// The same for readers that show HTML.
    pub html: String,
}

/// `GET /admin/client-profiles/{id}/page`: the on-boarding page as a file, to be published elsewhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfilePage {
    /// One self-contained document.
    pub html: String,
}

/// `POST /admin/client-profiles/{id}/on-boarding`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OnBoardingRequest {
    /// Hours until the page is gone, 1 to [`MAX_ON_BOARDING_HOURS`].
    #[schemars(transform = Within(1..=MAX_ON_BOARDING_HOURS))]
    pub validity_hours: u32,
}

impl Default for OnBoardingRequest {
    fn default() -> Self {
        Self { validity_hours: 72 }
    }
}

/// Where an on-boarding page is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnBoarding {
    /// The same page at each active Controller's admin port, where those are known.
    pub urls: Vec<String>,
    /// What follows the host in all of them.
    pub path: String,
    /// Until when.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub expires: UnixMillis,
}

macro_rules! secret {
    ($($name:ident)*) => {
        $(impl fmt::Debug for $name {
            /// Without the link.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        })*
    };
}

secret!(ProfileUrl ProfileBarcode ProfileEmail ProfilePage OnBoarding);
