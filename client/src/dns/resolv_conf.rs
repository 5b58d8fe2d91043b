//! `/etc/resolv.conf`, while a stub of ours answers: replaced in one step, put back in one step, and put back at the next
//! start if the Client was killed meanwhile. The user's file (or link) is never without a name in the file system.
//!
//! A file that another one is mounted on (as in a network namespace of `ip netns`) cannot be replaced; it is rewritten
//! in place, and its former text is kept beside it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use super::upstream::NameServer;

/// The first line of a file of ours.
const MARK: &str = "# Written by ringwall; the former file comes back with `ringwall down` or the next `ringwall up`.";
/// Longest file that is read.
const MAX_FILE: u64 = 64 * 1024;
/// Servers that are taken over; the C library asks three.
const MAX_SERVERS: usize = 8;

/// The system's file.
#[derive(Debug, Clone)]
pub(crate) struct ResolvConf {
    path: PathBuf,
}

/// What the file said before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SystemResolvers {
    /// Its servers, in order; at most [`MAX_SERVERS`].
    pub(crate) servers: Vec<NameServer>,
    /// Its other lines that matter: search lists and options.
    pub(crate) lines: Vec<String>,
}

impl ResolvConf {
    /// The file at this place.
    #[must_use]
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its path.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the user's own file says, whether it is in its place or kept aside.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn former(&self) -> io::Result<SystemResolvers> {
        let kept = self.kept();
        let text = read(if self.is_ours()? && kept.exists() { &kept } else { &self.path })?;
        Ok(SystemResolvers::parse(&text))
    }

    /// The stub that a file of ours names; `None` if it is not ours.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn stub(&self) -> io::Result<Option<IpAddr>> {
        if !self.is_ours()? {
            return Ok(None);
        }
        Ok(SystemResolvers::parse(&read(&self.path)?).servers.first().map(|server| server.address))
    }

    /// Puts a file with this one server in the place of the user's, which is kept aside.
    ///
    /// # Errors
    /// If the directory or file cannot be written; then nothing has changed.
    pub(crate) fn put_stub(&self, server: IpAddr, former: &SystemResolvers) -> io::Result<()> {
        let mut text = format!("{MARK}\nnameserver {server}\n");
        former.lines.iter().for_each(|line| text.extend([line, "\n"]));
        if !self.is_ours()? {
            self.keep()?;
        }
        self.put(&text)
    }

    /// Puts the user's file back, if ours is in its place. Answers whether it was.
    ///
    /// # Errors
    /// If it cannot be put back; it stays kept aside then.
    pub(crate) fn restore(&self) -> io::Result<bool> {
        let kept = self.kept();
        if !self.is_ours()? {
            // Somebody has written another one: theirs counts.
            remove(&kept)?;
            return Ok(false);
        }
        if !kept.is_symlink() && !kept.exists() {
            return Err(io::Error::other(format!("{} is gone", kept.display())));
        }
        match fs::rename(&kept, &self.path) {
            Err(error) if cannot_be_replaced(&error) => {
                self.write_over(&read(&kept)?)?;
                remove(&kept)?;
            }
            other => other?,
        }
        Ok(true)
    }

    /// Whether a file of ours is in the place of the user's.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn is_ours(&self) -> io::Result<bool> {
        match read(&self.path) {
            Ok(text) => Ok(text.lines().next() == Some(MARK)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives the user's file (or link) a second name, or what it says a file.
    fn keep(&self) -> io::Result<()> {
        let (kept, new) = (self.kept(), self.beside("ringwall-new"));
        remove(&new)?;
        if let Ok(target) = fs::read_link(&self.path) {
            symlink(target, &new)?;
        } else {
            write_new(&new, &read(&self.path)?)?;
        }
        fs::rename(&new, &kept)?;
        self.settle()
    }

    fn put(&self, text: &str) -> io::Result<()> {
        let new = self.beside("ringwall-new");
        remove(&new)?;
        write_new(&new, text)?;
        match fs::rename(&new, &self.path) {
            Err(error) if cannot_be_replaced(&error) => {
                remove(&new)?;
                self.write_over(text)
            }
            other => other.and_then(|()| self.settle()),
        }
    }

    fn write_over(&self, text: &str) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).truncate(true).open(&self.path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Names last as long as their directory remembers them.
    fn settle(&self) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        fs::File::open(directory)?.sync_all()
    }

    fn kept(&self) -> PathBuf {
        self.beside("ringwall-former")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(suffix);
        name.into()
    }
}

impl SystemResolvers {
    pub(super) fn parse(text: &str) -> Self {
        let mut former = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if former.servers.len() < MAX_SERVERS => {
                    former.servers.extend(words.next().and_then(NameServer::parse));
                }
                Some("search" | "domain" | "options" | "sortlist") => former.lines.push(line.trim().to_owned()),
                _ => {}
            }
        }
        former
    }
}

fn cannot_be_replaced(error: &io::Error) -> bool {
    // Mounted on (EBUSY), or kept on another file system (EXDEV).
    matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "# mine\nsearch home.example\nnameserver 192.0.2.53\nnameserver bogus\noptions edns0\n";

    fn stub() -> IpAddr {
        [127, 0, 0, 157].into()
    }

    fn place() -> (tempfile::TempDir, ResolvConf, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("resolv.conf");
        fs::write(&path, USERS).expect("a file");
        (directory, ResolvConf::new(path.clone()), path)
    }

    #[test]
    fn the_users_file_comes_back_as_it_was() {
        let (directory, conf, path) = place();
        let former = conf.former().expect("readable");
        assert_eq!(former.servers, [NameServer::from(IpAddr::from([192, 0, 2, 53]))]);
        conf.put_stub(stub(), &former).expect("written");
        let ours = fs::read_to_string(&path).expect("there");
        assert!(ours.contains("nameserver 127.0.0.157") && ours.contains("search home.example"), "{ours}");
        assert!(!ours.contains("192.0.2.53"), "nothing goes past the stub");
        assert_eq!(conf.former().expect("readable"), former, "what counts is the user's file");
        assert!(conf.restore().expect("given back"));
        assert_eq!(fs::read_to_string(&path).expect("there"), USERS);
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1, "nothing is left behind");
    }

    #[test]
    fn after_a_crash_the_next_start_finds_the_users_file() {
        let (_directory, conf, path) = place();
        let former = conf.former().expect("readable");
        conf.put_stub(stub(), &former).expect("written");
        // Killed here; the next one takes over again without losing the user's for its own.
        let next = ResolvConf::new(path.clone());
        next.put_stub(stub(), &next.former().expect("readable")).expect("written");
        assert!(next.restore().expect("given back"));
        assert_eq!(fs::read_to_string(&path).expect("there"), USERS);
        assert!(!next.restore().expect("nothing to do"));
    }

    #[test]
    fn a_link_stays_a_link() {
        let (directory, conf, path) = place();
        let real = directory.path().join("real");
        fs::rename(&path, &real).expect("moved");
        symlink("real", &path).expect("a link");
        conf.put_stub(stub(), &conf.former().expect("readable")).expect("written");
        assert_eq!(fs::read_to_string(&real).expect("there"), USERS, "the link's target is not touched");
        assert!(conf.restore().expect("given back"));
        assert_eq!(fs::read_link(&path).expect("a link"), Path::new("real"));
    }

    #[test]
    fn what_somebody_else_has_written_meanwhile_stays() {
        let (directory, conf, path) = place();
        conf.put_stub(stub(), &conf.former().expect("readable")).expect("written");
        fs::write(&path, "nameserver 198.51.100.1\n").expect("a file");
        assert!(!conf.restore().expect("looked"));
        assert_eq!(fs::read_to_string(&path).expect("there"), "nameserver 198.51.100.1\n");
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
    }
}
