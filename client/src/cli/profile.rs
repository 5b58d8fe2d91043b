//! `ringwall profile …`

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use ringwall_protocol::name::ProviderName;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_trust::identity::Fingerprint;
use serde::Serialize;

use super::output;
use crate::core::pinning::{Adoption, PinChange, adopt};
use crate::failure::{Exit, Failure};
use crate::profile::{LinkError, MAX_LINK, Profile, ProfileHost, ProfileSpa};
use crate::store::StateDirectory;

#[derive(Subcommand)]
pub(super) enum ProfileCommand {
    /// Adds a profile, or replaces the one of the same host and provider
    #[command(after_help = "\
Examples:
  ringwall profile add --file link.txt
  ringwall profile add - < link.txt
  ringwall profile add controller.example.com --ca-fingerprint 8d1f… --identity-provider local

A link can hold a key: rather give it by file or standard input than as an argument.")]
    Add(AddProfile),
    /// Lists profiles
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Deletes a profile with its key and tokens
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Args)]
pub(super) struct AddProfile {
    /// A profile link, `-` for standard input, or a host with an optional port
    #[arg(required_unless_present = "file", value_name = "LINK | - | HOST[:PORT]")]
    link: Option<String>,
    /// File that holds the link
    #[arg(long, value_name = "FILE", conflicts_with = "link")]
    file: Option<PathBuf>,
    /// Where else its Controllers answer; with a host
    #[arg(long, value_name = "HOST[:PORT]")]
    also_at: Vec<ProfileHost>,
    /// Name of the profile; with a host
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// SHA-256 of the Collective's root certificate; with a host
    #[arg(long, value_name = "HEX")]
    ca_fingerprint: Option<Fingerprint>,
    /// Name of the identity provider; with a host
    #[arg(long, value_name = "NAME")]
    identity_provider: Option<String>,
    /// File that holds the SPA key; with a host
    #[arg(long, value_name = "FILE", requires = "spa_key_name")]
    spa_key_file: Option<PathBuf>,
    /// Name of the SPA key; with a host
    #[arg(long, value_name = "NAME")]
    spa_key_name: Option<String>,
    /// Trust another certificate authority than before. Compare the fingerprints first!
    #[arg(long)]
    replace_ca: bool,
    /// Do not ask before the first profile of a Collective is trusted
    #[arg(long, short)]
    yes: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedProfile {
    name: String,
    slot: String,
    host: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    controllers: Vec<String>,
    identity_provider: String,
    ca_fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_ca_fingerprint: Option<String>,
    spa: Option<SpaMode>,
    signed_in: bool,
}

impl ProfileCommand {
    pub(super) fn run(self, state: &StateDirectory) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(state),
            Self::List { json } => list(state, json),
            Self::Remove { name } => {
                let stored = state.choose(Some(&name))?;
                state.forget(&stored.slot)?;
                output::note(&format!("Profile {name} is deleted, with its key and tokens."));
                Ok(())
            }
        }
    }
}

impl AddProfile {
    fn run(&self, state: &StateDirectory) -> Result<(), Failure> {
        let offered = self.offered()?;
        let stored = state.profile(&offered.slot())?;
        match adopt(stored.as_ref(), offered, self.replace_ca).map_err(pin_change)? {
            Adoption::Added(profile) => {
                self.confirm(&profile)?;
                state.keep(&profile)?;
                output::note(&describe(&profile, "is added"));
            }
            Adoption::Replaced(profile) => {
                state.keep(&profile)?;
                output::note(&describe(&profile, "is replaced"));
            }
            Adoption::Unchanged => output::note("This profile is there already."),
        }
        Ok(())
    }

    /// The first link of a Collective decides whom this machine believes: somebody at a terminal is asked (T21).
    fn confirm(&self, profile: &Profile) -> Result<(), Failure> {
        // With the link on standard input nobody can answer there; such a link was not clicked on.
        if self.yes || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(());
        }
        output::note(&format!(
            "This link is new here. It wants to be believed:\n  Controllers        {}\n  identity provider  {}\n  CA fingerprint     {}",
            profile.host,
            profile.identity_provider.as_str(),
            profile.ca
        ));
        let asked = dialoguer::Confirm::new().with_prompt("Is that what you were told?").default(false).interact();
        match asked {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::message(Exit::Refused, "the profile was not added", "ask an administrator")),
            Err(error) => Err(usage(error)),
        }
    }

    fn offered(&self) -> Result<Profile, Failure> {
        let text = match (&self.file, self.link.as_deref()) {
            (Some(file), _) => {
                let file = std::fs::File::open(file).map_err(|error| usage(format!("{}: {error}", file.display())))?;
                read_link(file)?
            }
            (None, Some("-")) => read_link(io::stdin().lock())?,
            (None, Some(text)) if text.starts_with("ringwall:") => zeroize::Zeroizing::new(text.to_owned()),
            (None, Some(host)) => return self.by_hand(host),
            (None, None) => return Err(usage("no link was given")),
        };
        Profile::parse_link(&text).map_err(link_error)
    }

    fn by_hand(&self, host: &str) -> Result<Profile, Failure> {
        let host: ProfileHost = host.parse().map_err(|error| link_error(LinkError::Host(error)))?;
        let (Some(ca), Some(provider)) = (self.ca_fingerprint, &self.identity_provider) else {
            return Err(usage(
                "a host needs --ca-fingerprint and --identity-provider; nothing is trusted on first use",
            ));
        };
        let identity_provider = ProviderName::parse(provider.clone()).map_err(usage)?;
        let name = self.name.clone().unwrap_or_else(|| host.name().to_owned());
        let (controllers, spa) = (self.also_at.clone(), self.spa_by_hand()?);
        Ok(Profile { name, host, controllers, identity_provider, ca, next_ca: None, spa })
    }

    fn spa_by_hand(&self) -> Result<Option<ProfileSpa>, Failure> {
        let (Some(file), Some(name)) = (&self.spa_key_file, &self.spa_key_name) else { return Ok(None) };
        let text = std::fs::read_to_string(file).map_err(|error| usage(format!("{}: {error}", file.display())))?;
        let text = zeroize::Zeroizing::new(text);
        let key = text.trim().parse().map_err(usage)?;
        Ok(Some(ProfileSpa { mode: SpaMode::UdpTcp, name: name.clone(), key }))
    }
}

fn list(state: &StateDirectory, json: bool) -> Result<(), Failure> {
    let mut listed = Vec::new();
    for stored in state.profiles()? {
        let signed_in = state.store(&stored.slot).session()?.is_some();
        let profile = stored.profile;
        listed.push(ListedProfile {
            slot: stored.slot.to_string(),
            host: profile.host.to_string(),
            controllers: profile.controllers.iter().map(ToString::to_string).collect(),
            identity_provider: profile.identity_provider.as_str().to_owned(),
            ca_fingerprint: profile.ca.to_string(),
            next_ca_fingerprint: profile.next_ca.map(|pin| pin.to_string()),
            spa: profile.spa.as_ref().map(|spa| spa.mode),
            name: profile.name,
            signed_in,
        });
    }
    if json {
        return output::json(&listed);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["NAME", "HOST", "PROVIDER", "CA FINGERPRINT", "SIGNED IN"]);
    for profile in listed {
        let signed_in = if profile.signed_in { "yes" } else { "no" }.to_owned();
        table.add_row([profile.name, profile.host, profile.identity_provider, profile.ca_fingerprint, signed_in]);
    }
    output::line(&table.to_string())
}

fn read_link(input: impl Read) -> Result<zeroize::Zeroizing<String>, Failure> {
    let mut text = zeroize::Zeroizing::new(String::new());
    let read = input.take(MAX_LINK as u64 + 1).read_to_string(&mut text);
    read.map_err(|error| usage(format!("cannot read the link: {error}")))?;
    Ok(text)
}

fn describe(profile: &Profile, what: &str) -> String {
    let next = if io::stderr().is_terminal() { "\nNext: ringwall up" } else { "" };
    format!(
        "Profile {} {what}: users of {} at {}, vouched for by {}.{next}",
        profile.name,
        profile.identity_provider.as_str(),
        profile.host,
        profile.ca
    )
}

fn pin_change(change: PinChange) -> Failure {
    Failure::new(
        Exit::PinChange,
        change,
        "ask an administrator by another way for the fingerprint; only if it is the offered one: \
         ringwall profile add --replace-ca …",
    )
}

fn link_error(error: LinkError) -> Failure {
    Failure::new(Exit::Usage, error, "copy the whole link once more from where it came")
}

fn usage(cause: impl std::fmt::Display) -> Failure {
    Failure::message(Exit::Usage, cause, "ringwall profile add --help")
}
