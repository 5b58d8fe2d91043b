//! What the operating system can refuse at the start of a program, and what to do about it.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// A condition of the machine that keeps a program from starting, as an operator can change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// There is no such file or directory.
    NoFile,
    /// The file belongs to somebody else.
    NotPermitted,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The file system, or the user's quota, is full.
    DiskFull,
    /// A file is where a directory should be, or the other way round.
    WrongKind,
    /// Another program listens on the port.
    AddressInUse,
    /// The machine does not have the address.
    NoSuchAddress,
    /// The port is below `net.ipv4.ip_unprivileged_port_start`.
    PortPrivileged,
    /// The capability `CAP_NET_ADMIN` is missing.
    NoNetworkAdmin,
    /// There is no TUN driver, or no `/dev/net/tun`.
    NoTun,
    /// Another program holds the TUN device of this name.
    TunInUse,
    /// The kernel has no `nf_tables`.
    NoNftables,
    /// The kernel has `nf_tables` and refuses what was asked for.
    NftablesRefused,
    /// An error that none of the others stands for.
    Other,
}

impl Obstacle {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::NoFile,
        Self::NotPermitted,
        Self::ReadOnly,
        Self::DiskFull,
        Self::WrongKind,
        Self::AddressInUse,
        Self::NoSuchAddress,
        Self::PortPrivileged,
        Self::NoNetworkAdmin,
        Self::NoTun,
        Self::TunInUse,
        Self::NoNftables,
        Self::NftablesRefused,
        Self::Other,
    ];

    /// What to do about it: the last part of every message.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NoFile => "check the path on the command line and in the configuration file",
            Self::NotPermitted => {
                "start the program as the user who owns the file, or give the file to this user (chown)"
            }
            Self::ReadOnly => {
                "mount the file system read-write, or name a directory on another one; under systemd, add the directory \
                 to ReadWritePaths= of the unit"
            }
            Self::DiskFull => {
                "free space on this file system (df -h and df -i show it), then start the program again if it has ended; \
                 everything that was acknowledged is kept"
            }
            Self::WrongKind => "move away what stands there, or name another path",
            Self::AddressInUse => {
                "another program listens there, and `ss -lntup` shows which; stop it, or configure another port"
            }
            Self::NoSuchAddress => {
                "this machine does not have that address; `ip address` shows those that it has; configure one of them, or \
                 0.0.0.0 for all"
            }
            Self::PortPrivileged => {
                "a port this low needs CAP_NET_BIND_SERVICE: run the program as root, or with \
                 AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit, or configure a port above 1023"
            }
            Self::NoNetworkAdmin => {
                "run the program as root, or with AmbientCapabilities=CAP_NET_ADMIN in its unit; in a container, \
                 --cap-add NET_ADMIN"
            }
            Self::NoTun => {
                "load the driver with `modprobe tun`; in a container, pass the device: --device /dev/net/tun"
            }
            Self::TunInUse => {
                "another program holds a TUN device of this name, and `ip -d link` shows it; stop it, or choose another \
                 name (network.tun of a Gateway, --device of a Client)"
            }
            Self::NoNftables => {
                "the kernel has no nf_tables: load it with `modprobe nf_tables`, or start a kernel of 6.9 or newer that \
                 has it"
            }
            Self::NftablesRefused => {
                "a kernel of 6.9 or newer is needed (`uname -r`), and no other process may own the table (`nft list tables`)"
            }
            Self::Other => "the system's log (`journalctl -k`) may say more",
        }
    }

    /// The condition behind a refusal of a file or directory.
    #[must_use]
    pub fn of_file(error: &io::Error) -> Self {
        use io::ErrorKind as E;
        match error.kind() {
            E::NotFound => Self::NoFile,
            E::PermissionDenied => Self::NotPermitted,
            E::ReadOnlyFilesystem => Self::ReadOnly,
            E::StorageFull | E::QuotaExceeded => Self::DiskFull,
            E::NotADirectory | E::IsADirectory => Self::WrongKind,
            _ => Self::Other,
        }
    }

    /// The condition behind a refusal of a port.
    #[must_use]
    pub fn of_port(error: &io::Error) -> Self {
        use io::ErrorKind as E;
        match error.kind() {
            E::AddrInUse => Self::AddressInUse,
            E::AddrNotAvailable => Self::NoSuchAddress,
            E::PermissionDenied => Self::PortPrivileged,
            _ => Self::Other,
        }
    }

    /// The condition behind a refusal of a TUN device.
    #[must_use]
    pub fn of_tun(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => Self::NoTun,
            Some(Errno::BUSY | Errno::EXIST) => Self::TunInUse,
            Some(Errno::ACCESS | Errno::PERM) => Self::NoNetworkAdmin,
            _ => Self::Other,
        }
    }

    /// The condition behind a refusal of a netlink socket or of a transaction of `nf_tables`.
    #[must_use]
    pub fn of_nftables(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT | Errno::OPNOTSUPP) => Self::NoNftables,
            Some(Errno::ACCESS | Errno::PERM) => Self::NoNetworkAdmin,
            Some(Errno::INVAL | Errno::NOENT | Errno::BUSY) => Self::NftablesRefused,
            _ => Self::Other,
        }
    }
}

/// What the operating system said, and what to do about it.
#[derive(Debug)]
pub struct Refusal {
    obstacle: Obstacle,
    error: io::Error,
}

impl Refusal {
    /// A refusal whose condition is known from elsewhere.
    #[must_use]
    pub const fn new(obstacle: Obstacle, error: io::Error) -> Self {
        Self { obstacle, error }
    }

    /// A refusal of a file or directory.
    #[must_use]
    pub fn of_file(error: io::Error) -> Self {
        Self { obstacle: Obstacle::of_file(&error), error }
    }

    /// A refusal of a port.
    #[must_use]
    pub fn of_port(error: io::Error) -> Self {
        Self { obstacle: Obstacle::of_port(&error), error }
    }

    /// A refusal of a TUN device.
    #[must_use]
    pub fn of_tun(error: io::Error) -> Self {
        Self { obstacle: Obstacle::of_tun(&error), error }
    }

    /// A refusal of a netlink socket or of a transaction of `nf_tables`.
    #[must_use]
    pub fn of_nftables(error: io::Error) -> Self {
        Self { obstacle: Obstacle::of_nftables(&error), error }
    }

    /// The condition that the error stands for at the place where it was met.
    #[must_use]
    pub const fn obstacle(&self) -> Obstacle {
        self.obstacle
    }

    /// The kind of the system's error.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.error.kind()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.error, self.obstacle.advice())
    }
}

// The system's error stands in the text: as a source it would be told twice.
impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn the_same_errno_means_another_thing_at_another_place() {
        assert_eq!(Obstacle::of_file(&error(Errno::ACCESS)), Obstacle::NotPermitted);
        assert_eq!(Obstacle::of_port(&error(Errno::ACCESS)), Obstacle::PortPrivileged);
        assert_eq!(Obstacle::of_tun(&error(Errno::PERM)), Obstacle::NoNetworkAdmin);
        assert_eq!(Obstacle::of_nftables(&error(Errno::PERM)), Obstacle::NoNetworkAdmin);
        assert_eq!(Obstacle::of_file(&error(Errno::NOENT)), Obstacle::NoFile);
        assert_eq!(Obstacle::of_tun(&error(Errno::NOENT)), Obstacle::NoTun);
        assert_eq!(Obstacle::of_nftables(&error(Errno::PROTONOSUPPORT)), Obstacle::NoNftables);
    }

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
        let text = Refusal::of_file(error(Errno::NOSPC)).to_string();
        assert!(text.starts_with("No space left on device (os error 28); free space"), "{text}");
    }

    #[test]
    fn a_quota_that_is_used_up_is_a_disk_that_is_full() {
        let refusal = Refusal::of_file(error(Errno::DQUOT));
        assert_eq!(refusal.obstacle(), Obstacle::DiskFull);
        let text = refusal.to_string();
        assert!(text.starts_with("Disk quota exceeded (os error 122); free space"), "{text}");
    }

    #[test]
    fn no_two_conditions_have_the_same_advice() {
        let advice: std::collections::BTreeSet<_> = Obstacle::ALL.iter().map(|obstacle| obstacle.advice()).collect();
        assert_eq!(advice.len(), Obstacle::ALL.len());
    }
}
