//! Client profiles in every form.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

/// `profile`. Every form holds the link, which can be a secret: it wants the privilege `Export`, and is audited.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  ringctl profile link staff                                  # the link alone
  ringctl profile qr staff                                    # drawn here, to be scanned from the screen
  ringctl profile qr staff --svg staff.svg
  ringctl profile email staff --to alice@example.com | sendmail -t
  ringctl profile on-boarding staff --hours 24                # a page at the admin port, for who may reach it
  ringctl profile page staff staff.html                       # the same page as a file, for a web server of yours
  ringctl profile rotate staff --now                          # another key; existing links stop working")]
pub enum Profile {
    /// Print the link.
    Link {
        /// Name or id.
        name: String,
    },
    /// Draw the link as a QR code on the terminal, or write it as a picture.
    Qr {
        /// Name or id.
        name: String,
        /// Write an SVG file instead, mode 0600.
        #[arg(long, value_name = "FILE", conflicts_with = "png")]
        svg: Option<PathBuf>,
        /// Write a PNG file instead, mode 0600.
        #[arg(long, value_name = "FILE")]
        png: Option<PathBuf>,
        /// What the terminal's background is; only needed where colours are off.
        #[arg(long, value_enum, default_value_t)]
        background: Background,
    },
    /// Write the message that brings the link to its users.
    Email {
        /// Name or id.
        name: String,
        /// Recipient address: prints a whole message for a mail program, text and HTML.
        #[arg(long, value_name = "ADDRESS")]
        to: Vec<String>,
        /// Sender address; default: set by the mail program.
        #[arg(long, value_name = "ADDRESS", requires = "to")]
        from: Option<String>,
        /// Print the HTML form alone.
        #[arg(long, conflicts_with = "to")]
        html: bool,
    },
    /// Have Controllers serve the on-boarding page for some time, under a name that nobody can guess.
    OnBoarding {
        /// Name or id.
        name: String,
        /// For how long.
        #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: u32,
    },
    /// Replace the key: its links must be given out again. Registered devices have keys of their own.
    Rotate {
        /// Name or id.
        name: String,
        /// The former key is refused from now on: its link has leaked.
        #[arg(long, conflicts_with = "former_hours")]
        now: bool,
        /// The former key is accepted for so many hours; default: as the profile says, a month at first.
        #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(0..=8_760))]
        former_hours: Option<u32>,
    },
    /// Write the on-boarding page to a file, mode 0600, to be served elsewhere.
    Page {
        /// Name or id.
        name: String,
        /// The file.
        file: PathBuf,
    },
}

/// A terminal's background.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Background {
    /// Light text on it.
    #[default]
    Dark,
    /// Dark text on it.
    Light,
}
