//! `init`: make a Collective and its first Controller.

use std::path::Path;

use anyhow::{Context, bail};
use ringwall_protocol::object::settings::SpaMode;
use ringwall_trust::ca::SealedRoot;
use ringwall_trust::identity::Fingerprint;
use ringwall_trust::password::Cost;
use ringwall_trust::secret::{SystemRandom, write_private};
use zeroize::Zeroizing;

use super::addresses::configuration;
use super::arguments::Init;
use super::secret;
use crate::administration::access::break_glass::BreakGlassCode;
use crate::clock;
use crate::setup::config::{ConfigError, is_host_and_port};
use crate::setup::data_dir::DataDir;
use crate::setup::founding::{self, Founded, FoundingOptions, LOCAL_PROVIDER, found, one_time_password};
use crate::setup::profile_link::{ProfileLink, ProfileSpa};

pub(super) fn execute(arguments: &Init) -> anyhow::Result<()> {
    let raw = configuration(&arguments.data_dir, &arguments.addresses);
    let config = raw.validate()?;
    check(arguments, &config)?;
    let given = secret(arguments.admin_password_file.as_deref(), arguments.admin_password_fd)?;
    let passphrase = secret(arguments.root_passphrase_file.as_deref(), arguments.root_passphrase_fd)?;
    let password = given.clone().unwrap_or_else(|| one_time_password(&SystemRandom));
    let options = FoundingOptions {
        name: arguments.collective.clone(),
        hostname: arguments.hostname.clone(),
        admin: arguments.admin.clone(),
        advertise: config.advertise.clone(),
        keep_root: arguments.keep_root_sealed,
        spa_mode: if arguments.open { SpaMode::Open } else { SpaMode::UdpTcp },
    };
    let founded = found(&options, &password, clock::now(), &SystemRandom)?;
    let fingerprint = founded.root.fingerprint();
    let break_glass = founded.break_glass.clone();
    let spa = (!arguments.open).then(|| ProfileSpa {
        mode: options.spa_mode,
        name: founding::DEFAULT_PROFILE.to_owned(),
        key: founded.profile_key.clone(),
    });
    let profile =
        ProfileLink::new(&arguments.hostname, founding::DEFAULT_PROFILE, LOCAL_PROVIDER, fingerprint, spa.as_ref());
    let knock = founded.administrator_key.expose_text();
    let directory = DataDir::create(&arguments.data_dir)?;
    if let (Some(path), Some(passphrase)) = (&arguments.root_key_out, &passphrase) {
        write_root(path, &founded, passphrase)?;
    }
    directory.write_configuration(&toml::to_string_pretty(&raw).context("writing the configuration")?)?;
    directory.write_keys(&founded.keys, &SystemRandom)?;
    begin(&directory, &config, founded)?;
    let password = given.is_none().then_some(&password);
    let secrets = Shown { password, knock: &knock, break_glass: &break_glass };
    announce(arguments, &secrets, fingerprint, &profile);
    Ok(())
}

fn check(arguments: &Init, config: &crate::setup::config::Config) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    if !is_host_and_port(&arguments.hostname) {
        faults.push(format!("--hostname: expected host:port, got {:?}", arguments.hostname));
    }
    if arguments.collective.trim().is_empty() || arguments.collective.len() > 256 {
        faults.push("--collective: expected a name of 1 to 256 bytes".to_owned());
    }
    for (what, addresses) in [("client", &config.advertise.client), ("peer", &config.advertise.peer)] {
        if addresses.is_empty() {
            faults.push(format!(
                "--advertise-{what}: expected host:port, because --listen-{what} is no address that others can dial"
            ));
        }
    }
    if faults.is_empty() { Ok(()) } else { bail!(ConfigError(faults)) }
}

fn write_root(path: &Path, founded: &Founded, passphrase: &str) -> anyhow::Result<()> {
    if path.exists() {
        bail!("expected {} not to exist; move it away, or name another file: --root-key-out", path.display());
    }
    let sealed = SealedRoot::seal(&founded.root, passphrase, Cost::ROOT_KEY, &SystemRandom);
    write_private(path, sealed.to_json().as_bytes())?;
    Ok(())
}

/// Begins the log with the founding, so that `run` finds a complete Collective.
fn begin(directory: &DataDir, config: &crate::setup::config::Config, founded: Founded) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(crate::setup::bootstrap::begin(directory, config, &founded.identity, founded.command))?;
    // Last: a directory without it is no node.
    directory.write_identity(&founded.identity)?;
    Ok(())
}

/// Secrets that are shown once.
struct Shown<'a> {
    password: Option<&'a Zeroizing<String>>,
    knock: &'a Zeroizing<String>,
    break_glass: &'a BreakGlassCode,
}

#[expect(clippy::print_stdout, reason = "what the operator must keep goes to his terminal, and nowhere else")]
fn announce(arguments: &Init, shown: &Shown<'_>, fingerprint: Fingerprint, profile: &ProfileLink) {
    println!("collective        {}", arguments.collective);
    println!("data directory    {}", arguments.data_dir.display());
    println!("CA fingerprint    {fingerprint}");
    println!("administrator     {}", arguments.admin);
    if let Some(password) = shown.password {
        println!("password          {}   (shown once; change it after the first sign-in)", password.as_str());
    }
    println!(
        "break-glass code  {}   (shown once; keep it sealed, for when no administrator can sign in: \
         ringctl sign-in --break-glass)",
        shown.break_glass.expose()
    );
    println!(
        "knock key         {}   (for ringctl sign-in --knock-key-file, from another machine)",
        shown.knock.as_str()
    );
    println!("client profile    {profile}");
    if arguments.open {
        println!(
            "ports             open: they answer TLS to anybody (--open). Weaker; `spaMode: UDP-TCP` in the global \
             settings makes them dark."
        );
    }
    if arguments.keep_root_sealed {
        println!(
            "root key          kept in the data directory, sealed under its key: joining Controllers are signed \
             automatically. Who takes this disk can make certificates for the Collective."
        );
    }
    if let Some(path) = &arguments.root_key_out {
        println!("root key          {} (keep it offline, with its passphrase elsewhere)", path.display());
    }
    println!("\nnext: ringwall-controller run --data-dir {}", arguments.data_dir.display());
}
