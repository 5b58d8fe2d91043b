//! What to start: a program with its arguments, and the name its log gets.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// The variable that says where the product's binaries are, if they are not beside the running one.
pub(crate) const BINARIES: &str = "RINGWALL_BIN_DIR";

/// A program to start, with everything needed to start the same one again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    name: String,
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    directory: Option<PathBuf>,
    input: Option<String>,
}

impl Program {
    /// A shell script in a mount namespace of its own, made by `unshare` with these further options: what it mounts is seen
    /// by what it starts and by nobody else. Arguments that are added are the script's.
    #[must_use]
    pub fn with_own_mounts(name: &str, options: &[&str], script: &str) -> Self {
        // A root that is no mount point (in a chroot) has no propagation that could be changed.
        let script = format!("if mountpoint --quiet /; then mount --make-rprivate /; fi && {script}");
        let options = options.iter().copied().chain(["--", "sh", "-c", script.as_str(), name]);
        Self::system(name, "unshare").args(["--mount", "--propagation", "unchanged"]).args(options)
    }

    /// A program of the machine, found by `PATH`; `name` names its log.
    #[must_use]
    pub fn system(name: &str, program: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: program.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            directory: None,
            input: None,
        }
    }

    /// One of the product's own binaries.
    pub fn product(name: &str, binary: &str) -> Result<Self> {
        Ok(Self::system(name, binary_path(binary)?.to_str().context("the path of the binaries is not text")?))
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(key.into(), value.into());
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Gives a text on standard input; without it the program reads an empty one.
    #[must_use]
    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    /// The name of the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text for standard input.
    #[must_use]
    pub(crate) fn input_text(&self) -> Option<&str> {
        self.input.as_deref()
    }

    /// The command line, for people.
    #[must_use]
    pub fn line(&self) -> String {
        let mut words = vec![self.path.display().to_string()];
        words.extend(self.arguments.iter().map(|argument| argument.to_string_lossy().into_owned()));
        words.join(" ")
    }

    /// The command as the operating system takes it. With `dies_with_lab` the kernel kills the program as soon as the
    /// thread that started it ends, so that not even a SIGKILL of the lab leaves programs behind.
    pub(super) fn command(&self, dies_with_lab: bool) -> Command {
        let mut command = if dies_with_lab {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--"]).arg(&self.path);
            command
        } else {
            Command::new(&self.path)
        };
        command.args(&self.arguments).envs(&self.environment);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }
}

/// Finds a binary of the product: in the directory that `BINARIES` names, else where cargo put the running program.
pub fn binary_path(binary: &str) -> Result<PathBuf> {
    let directory = match env::var_os(BINARIES) {
        Some(directory) => directory.into(),
        None => directory_of_this_build()?,
    };
    let path = directory.join(binary);
    path.canonicalize().with_context(|| {
        format!("no {binary} in {}: build it first (cargo build --workspace --bins)", directory.display())
    })
}

/// Cargo puts binaries into `<target>/<profile>` and tests into `<target>/<profile>/deps`.
fn directory_of_this_build() -> Result<PathBuf> {
    let executable = env::current_exe().context("find the running program")?;
    let directory = executable.parent().context("the running program is in a directory")?;
    let built = if directory.ends_with("deps") { directory.parent().unwrap_or(directory) } else { directory };
    Ok(built.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_binary_says_how_to_get_it() {
        let error = Program::product("x", "ringwall-no-such-binary").unwrap_err();
        assert!(error.to_string().contains("cargo build"), "{error}");
    }

    #[test]
    fn the_line_shows_what_is_run() {
        assert_eq!(Program::system("x", "iperf3").args(["-s", "-1"]).line(), "iperf3 -s -1");
    }
}
