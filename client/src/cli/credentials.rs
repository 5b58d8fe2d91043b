//! Name and password, or certificate and key, from the command line's options, files, descriptors or the terminal. A
//! password is never an argument: those are for everybody to see.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgGroup, Args};
use ringwall_protocol::id::TransactionId;
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::wire::client::Challenge;
use zeroize::Zeroizing;

use super::output;
use super::paste::answer_of;
use crate::browser::{self, BrowserError, Page};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::sign_in::{AskFactor, Credentials};
use crate::user_key::UserKey;

/// Longest password, in bytes, as a Controller takes it.
const MAX_PASSWORD: usize = 1_024;

/// Options that give credentials.
#[derive(Args, Clone, Default)]
#[command(group = ArgGroup::new("who").args(["username", "certificate"]).multiple(true))]
pub(super) struct CredentialOptions {
    /// Name at the identity provider
    #[arg(long, value_name = "NAME", env = "RINGWALL_USERNAME")]
    pub(super) username: Option<String>,
    /// File whose first line is the password
    #[arg(long, value_name = "FILE", conflicts_with = "password_fd")]
    pub(super) password_file: Option<PathBuf>,
    /// Open file descriptor whose first line is the password
    #[arg(long, value_name = "N")]
    pub(super) password_fd: Option<RawFd>,
    /// File with the user's own certificate, PEM, for providers whose users sign in with one; intermediates may follow
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["password_file", "password_fd"])]
    pub(super) certificate: Option<PathBuf>,
    /// File with the certificate's key, PEM, readable by its owner only
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(super) key: Option<PathBuf>,
}

impl CredentialOptions {
    /// True if nobody has to be asked: a password or a certificate is given.
    pub(super) const fn is_enough(&self) -> bool {
        self.password_file.is_some() || self.password_fd.is_some() || self.certificate.is_some()
    }

    /// The credentials; asks on the terminal for what is missing. `remembered` is offered as the name.
    pub(super) fn read(&self, remembered: Option<&str>) -> Result<Credentials, Failure> {
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            let read = UserKey::read(certificate, key, clock::now());
            let key = read.map_err(|error| {
                let next_step = error.next_step();
                Failure::new(Exit::Usage, error, next_step)
            })?;
            return Ok(Credentials::Certificate(Arc::new(key)));
        }
        let username = match (&self.username, remembered) {
            (Some(name), _) => name.clone(),
            (None, Some(name)) if self.is_enough() => name.to_owned(),
            (None, remembered) => ask_name(remembered)?,
        };
        let password = match (&self.password_file, self.password_fd) {
            (Some(file), _) => first_line(file)?,
            // The kernel gives open descriptors names.
            (None, Some(number)) => first_line(Path::new(&format!("/proc/self/fd/{number}")))?,
            (None, None) => ask_secret("Password")?,
        };
        if password.is_empty() || password.len() > MAX_PASSWORD {
            let cause = format!("expected a password of 1 to {MAX_PASSWORD} bytes, got {}", password.len());
            return Err(usage(cause));
        }
        Ok(Credentials::Password { username, password })
    }
}

/// Asks on the terminal, or reads a line of standard input where there is none; pages go to the browser.
pub(super) struct StdinFactors {
    /// Pages are only told, not opened.
    pub(super) no_browser: bool,
}

impl AskFactor for StdinFactors {
    async fn ask_factor(
        &self,
        _: TransactionId,
        kind: InteractionKind,
        message: &str,
        challenge: &Challenge,
        again: bool,
    ) -> Result<Zeroizing<String>, Failure> {
        if again {
            output::note("The answer was not accepted.");
            if !io::stdin().is_terminal() {
                return Err(Failure::message(
                    Exit::Refused,
                    "the further factor was refused",
                    "try again with a new one",
                ));
            }
        }
        let message: String = message.chars().filter(|c| !c.is_control()).collect();
        let fallback = if kind == InteractionKind::OtpAuthentication { "One-time password" } else { "Answer" };
        let prompt = if message.is_empty() { fallback.to_owned() } else { message };
        if matches!(challenge, Challenge::Push {}) {
            output::note(&format!("{prompt} (waiting for your answer elsewhere)"));
            return Ok(Zeroizing::new(String::new()));
        }
        if let Some(page) = Page::of(challenge, None).await.map_err(browser_failure)? {
            output::note(&prompt);
            show_page(&page, self.no_browser);
            return answer_of(page, self.no_browser).await;
        }
        let read = tokio::task::spawn_blocking(move || {
            if io::stdin().is_terminal() {
                return ask_secret(&prompt);
            }
            output::note(&prompt);
            line_of(io::stdin().lock(), MAX_PASSWORD)
        });
        read.await.map_err(|error| Failure::new(Exit::Unexpected, error, "try again"))?
    }
}

/// Opens a page in the user's browser, and tells where it is.
pub(super) fn show_page(page: &Page, no_browser: bool) {
    let url = page.url();
    let opened = !no_browser && browser::open(&url);
    let how = if opened { "Your browser opens this page" } else { "Open this page in a browser on this machine" };
    output::note(&format!("{how}:\n\n  {url}\n"));
}

/// A browser step that came to nothing.
pub(super) fn browser_failure(error: BrowserError) -> Failure {
    let (exit, next_step) = match &error {
        BrowserError::Refused(_) => (Exit::Refused, "try again, as the user that you are at the identity provider"),
        BrowserError::Time => (Exit::Refused, "try again, and open the page at once"),
        BrowserError::Pasted => (Exit::Usage, "give the whole address that the browser came to from this very page"),
        BrowserError::Listen(_) => (Exit::Unexpected, "look for a program that keeps the loopback's ports"),
        BrowserError::Page | BrowserError::Options => {
            (Exit::Refused, "ask an administrator: this Controller misbehaves")
        }
    };
    Failure::new(exit, error, next_step)
}

/// The first line of some input, without its end.
pub(super) fn line_of(input: impl Read, longest: usize) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(Vec::with_capacity(longest + 2));
    // A byte at a time into one wiped buffer: a buffered reader would leave copies behind.
    #[expect(clippy::unbuffered_bytes, reason = "a password is short, and a reader's buffer is not wiped")]
    for byte in input.bytes().take(longest + 2) {
        match byte.map_err(|error| usage(format!("cannot read it: {error}")))? {
            b'\n' => break,
            byte => text.push(byte),
        }
    }
    let line = std::str::from_utf8(&text).map_err(|_| usage("expected UTF-8 text"))?;
    Ok(Zeroizing::new(line.trim_end_matches('\r').to_owned()))
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let file = File::open(path).map_err(|error| usage(format!("cannot read {}: {error}", path.display())))?;
    line_of(file, MAX_PASSWORD).map_err(|failure| failure.while_doing(path.display().to_string()))
}

fn ask_name(remembered: Option<&str>) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(usage("no user name was given, and there is no terminal to ask on"));
    }
    let mut input = dialoguer::Input::<String>::new().with_prompt("User name");
    if let Some(name) = remembered {
        input = input.default(name.to_owned());
    }
    input.interact_text().map_err(|error| usage(error.to_string()))
}

fn ask_secret(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    if !io::stdin().is_terminal() {
        return Err(usage("no password was given, and there is no terminal to ask on"));
    }
    let answer = dialoguer::Password::new().with_prompt(prompt).interact();
    answer.map(Zeroizing::new).map_err(|error| usage(error.to_string()))
}

fn usage(cause: impl std::fmt::Display) -> Failure {
    Failure::message(
        Exit::Usage,
        cause,
        "give --username and --password-file or --password-fd; users with a certificate give --certificate and --key",
    )
}
