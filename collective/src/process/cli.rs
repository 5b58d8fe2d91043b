//! The command line: what each sub-command does.

mod addresses;
mod arguments;
mod init;
mod join;
mod run;

use std::io::Read;
use std::path::Path;

use anyhow::bail;
use ringwall_startup::Refusal;
use zeroize::Zeroizing;

pub use arguments::{Arguments, Command, LogFormat};

/// Longest secret read from a file or descriptor.
const MAX_SECRET: u64 = 4096;

/// Carries a command out.
///
/// # Errors
/// What went wrong, for people.
pub fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Init(arguments) => init::execute(&arguments),
        Command::Join(arguments) => join::execute(&arguments),
        Command::Run(arguments) => run::execute(&arguments),
    }
}

/// A secret from a file or a descriptor that was given; without its last line end.
fn secret(file: Option<&Path>, descriptor: Option<i32>) -> anyhow::Result<Option<Zeroizing<String>>> {
    let path = match (file, descriptor) {
        (None, None) => return Ok(None),
        (Some(path), _) => path.to_owned(),
        (None, Some(descriptor)) if descriptor >= 0 => Path::new("/dev/fd").join(descriptor.to_string()),
        (None, Some(descriptor)) => bail!("expected a file descriptor, got {descriptor}"),
    };
    let unread = |error| anyhow::anyhow!("cannot read a secret from {}: {}", path.display(), Refusal::of_file(error));
    let mut text = Zeroizing::new(String::new());
    let file = std::fs::File::open(&path).map_err(unread)?;
    file.take(MAX_SECRET).read_to_string(&mut text).map_err(unread)?;
    let text = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if text.is_empty() {
        bail!("expected a secret in {}, it is empty; write one into it, on one line", path.display());
    }
    Ok(Some(text))
}
