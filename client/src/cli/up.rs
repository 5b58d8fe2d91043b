//! `ringwall up` and `ringwall down`

use std::fs::OpenOptions;
use std::io::{self, IsTerminal};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use ringwall_trust::secret::SystemRandom;

use super::credentials::CredentialOptions;
use super::daemon_answer::{done, local_failure};
use super::{KeyType, ProfileChoice, block_on, output};
use crate::clock;
use crate::daemon::{self, UpOptions};
use crate::failure::{Exit, Failure};
use crate::held_token::Holder;
use crate::local::{Answer, LocalClient, LocalError, Request};
use crate::status::ClientState;
use crate::store::{StateDirectory, StoredProfile};

/// A detached daemon must be up within this time; a sign-in that waits for a prompt counts as up.
const UP_TIME: Duration = Duration::from_secs(60);

#[derive(Args)]
#[command(after_help = "\
Examples:
  ringwall up
  ringwall up --detach --username alice --password-file p.txt
  ringwall up --reconnect --username alice --password-file p.txt   # for unattended machines
  ringwall up --reconnect --certificate machine.pem --key machine.key

Without --reconnect the daemon never signs in again by itself: when an administrator revokes this device, or the sign-in
has expired, it waits for `ringwall sign-in`. With it, the given password or certificate is used again; a refused one is
never used twice.")]
pub(super) struct UpCommand {
    #[command(flatten)]
    choice: ProfileChoice,
    #[command(flatten)]
    credentials: CredentialOptions,
    /// Kind of this device's key, when it is created
    #[arg(long, value_enum, default_value_t)]
    key_type: KeyType,
    /// Run in the background once connected; the log is in the state directory
    #[arg(long)]
    detach: bool,
    /// Sign in again with the given credentials when the session cannot be renewed
    #[arg(long, requires = "who")]
    reconnect: bool,
    /// Sign in even if the last sign-in is still valid
    #[arg(long)]
    sign_in: bool,
    /// Do not prompt on the terminal; prompts wait for `ringwall answer`
    #[arg(long)]
    no_prompt: bool,
    /// Print the URLs of browser pages instead of opening them
    #[arg(long)]
    no_browser: bool,
    /// Name of the tunnel device
    #[arg(long, default_value = "ringwall0", value_name = "NAME", value_parser = device_name)]
    device: String,
    /// Leave the system's resolver unchanged: names of the Sites are not resolved
    #[arg(long)]
    no_dns: bool,
    /// The system's resolver file
    #[arg(long, default_value = crate::dns::RESOLV_CONF, value_name = "FILE")]
    resolv_conf: PathBuf,
    /// Trust any Controller certified by the profile's root, not only those named at the last sign-in
    #[arg(long)]
    forget_controllers: bool,
    /// Made by --detach: leave the terminal's session
    #[arg(long, hide = true)]
    leave_terminal: bool,
}

impl UpCommand {
    pub(super) fn run(self, state: StateDirectory, log: &str) -> Result<(), Failure> {
        let stored = state.choose(self.choice.profile.as_deref())?;
        if !self.no_dns {
            super::resolver::put_back(&state);
        }
        if self.detach {
            return block_on(self.detach(&state, &stored, log));
        }
        if self.leave_terminal {
            // Fails only for one who leads a session already.
            let _leader = rustix::process::setsid();
        }
        let device = state.store(&stored.slot).device(&SystemRandom)?;
        let asks = io::stdin().is_terminal() && !self.no_prompt && !self.leave_terminal;
        let given = self.credentials.is_enough();
        let mut fresh = self.sign_in;
        let needed = fresh || !signed_in(&state, &stored, &device)?;
        let credentials = if given || (self.reconnect && needed && asks) {
            Some(self.credentials.read(device.username.as_deref())?)
        } else {
            if needed && asks {
                // Whatever the provider wants, a browser included; the daemon goes on with what comes of it.
                drop(state.lock()?);
                block_on(self.as_sign_in(&stored).sign_in(&state, &stored))?;
                fresh = false;
            }
            None
        };
        block_on(daemon::run(UpOptions {
            state,
            stored,
            key_kind: self.key_type.into(),
            credentials,
            reconnect: self.reconnect,
            fresh,
            forget_controllers: self.forget_controllers,
            no_browser: self.no_browser,
            device: self.device,
            resolv_conf: (!self.no_dns).then_some(self.resolv_conf),
            interactive: asks,
        }))
    }

    /// Starts the same program in the background and waits until it is up.
    async fn detach(&self, state: &StateDirectory, stored: &StoredProfile, log: &str) -> Result<(), Failure> {
        // Another daemon and a machine without tunnels are told of from here, not from a log.
        daemon::check_machine()?;
        drop(state.lock()?);
        let device = state.store(&stored.slot).device(&SystemRandom)?;
        let mut fresh = self.sign_in;
        if !self.credentials.is_enough() && (fresh || !signed_in(state, stored, &device)?) {
            self.as_sign_in(stored).sign_in(state, stored).await?;
            fresh = false;
        }
        let mut child = self.spawn(state, stored, log, fresh)?;
        wait_until_up(state, &mut child).await
    }

    /// The sign-in that comes before the daemon, where somebody has to be asked.
    fn as_sign_in(&self, stored: &StoredProfile) -> super::sign_in::SignInCommand {
        super::sign_in::SignInCommand {
            choice: ProfileChoice { profile: Some(stored.slot.to_string()) },
            credentials: CredentialOptions { username: self.credentials.username.clone(), ..Default::default() },
            key_type: self.key_type,
            forget_controllers: self.forget_controllers,
            no_browser: self.no_browser,
        }
    }

    fn spawn(&self, state: &StateDirectory, stored: &StoredProfile, log: &str, fresh: bool) -> Result<Child, Failure> {
        let failed = |error: io::Error| Failure::new(Exit::Unexpected, error, "try without --detach");
        let log_file =
            OpenOptions::new().create(true).append(true).mode(0o600).open(state.log_path()).map_err(failed)?;
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.arg("--state-dir").arg(state.path()).args(["--log", log, "up", "--leave-terminal", "--no-prompt"]);
        command.args(["--profile", &stored.slot.to_string(), "--device", &self.device]);
        command.args(["--key-type", if self.key_type == KeyType::P256 { "p256" } else { "rsa3072" }]);
        if let Some(name) = &self.credentials.username {
            command.args(["--username", name]);
        }
        if let Some(file) = &self.credentials.password_file {
            command.arg("--password-file").arg(std::path::absolute(file).map_err(failed)?);
        }
        for (option, file) in [("--certificate", &self.credentials.certificate), ("--key", &self.credentials.key)] {
            if let Some(file) = file {
                command.arg(option).arg(std::path::absolute(file).map_err(failed)?);
            }
        }
        if let Some(number) = self.credentials.password_fd {
            command.args(["--password-fd", &number.to_string()]);
        }
        command.arg("--resolv-conf").arg(std::path::absolute(&self.resolv_conf).map_err(failed)?);
        for (wanted, flag) in [
            (self.reconnect, "--reconnect"),
            (fresh, "--sign-in"),
            (self.no_dns, "--no-dns"),
            (self.forget_controllers, "--forget-controllers"),
            (true, "--no-browser"),
        ] {
            if wanted {
                command.arg(flag);
            }
        }
        let errors = log_file.try_clone().map_err(failed)?;
        command.process_group(0).stdin(Stdio::null()).stdout(log_file).stderr(errors).spawn().map_err(failed)
    }
}

/// `ringwall down`
pub(super) async fn down(state: &StateDirectory) -> Result<(), Failure> {
    let mut daemon = match LocalClient::connect(&state.socket_path()).await {
        Err(LocalError::NotRunning) if super::resolver::put_back(state) => {
            output::note(
                "No daemon runs; the system's resolver file is as it was before the last one, which was killed.",
            );
            return Ok(());
        }
        connected => connected.map_err(local_failure)?,
    };
    done(daemon.ask(&Request::Down {}).await)
}

/// Whether the sign-in on disk is still good.
fn signed_in(state: &StateDirectory, stored: &StoredProfile, device: &crate::store::Device) -> Result<bool, Failure> {
    use ringwall_protocol::token::ClaimsToken;
    let store = state.store(&stored.slot);
    let Some(session) = store.session()? else { return Ok(false) };
    // The kind does not matter: where there is a session there is a key.
    let key = store.key(ringwall_trust::identity::KeyKind::P256)?;
    let holder = Holder { device: device.device_id, key: key.thumbprint() };
    let claims = crate::held_token::HeldToken::<ClaimsToken>::take(session.claims_token.expose(), holder);
    Ok(claims.is_ok_and(|claims| clock::now() < claims.validity().until))
}

async fn wait_until_up(state: &StateDirectory, child: &mut Child) -> Result<(), Failure> {
    let log = state.log_path();
    let failed = |cause: String, exit| Failure::message(exit, cause, format!("read {}", log.display()));
    let give_up = Instant::now() + UP_TIME;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            let exit = match status.code() {
                Some(3) => Exit::NotSignedIn,
                Some(4) => Exit::Refused,
                Some(5) => Exit::Unreachable,
                Some(8) => Exit::Privilege,
                _ => Exit::Unexpected,
            };
            return Err(failed(format!("the daemon ended with {status}"), exit));
        }
        if let Ok(mut daemon) = LocalClient::connect(&state.socket_path()).await
            && let Ok(Answer::Status { status }) = daemon.ask(&Request::Status {}).await
            && (status.state != ClientState::SigningIn || !status.prompts.is_empty())
        {
            output::note(&format!("The daemon runs (process {}); its log is {}.", status.pid, log.display()));
            return Ok(());
        }
        if Instant::now() >= give_up {
            return Err(failed(format!("the daemon is not up after {} s", UP_TIME.as_secs()), Exit::Unreachable));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The kernel takes up to 15 bytes without slashes and blanks.
fn device_name(text: &str) -> Result<String, String> {
    let good = (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if good { Ok(text.to_owned()) } else { Err("expected 1 to 15 letters, digits, '-', '_' or '.'".into()) }
}
