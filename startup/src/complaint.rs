//! What a service says last when it ends because something failed.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes `error: …` to standard error. It is no line of the log: whatever `--log` lets pass, whoever started the program
/// sees why it ended.
pub fn complain(error: &dyn Display) {
    // If even that fails nobody reads it; the exit code is left.
    let _gone = write_to(&mut io::stderr(), error);
}

fn write_to(to: &mut impl Write, error: &dyn Display) -> io::Result<()> {
    writeln!(to, "error: {error:#}")
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// An error whose causes are in the alternate form only, as those of `anyhow`.
    struct Chain;

    impl Display for Chain {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(if f.alternate() { "reading the keys: no such file" } else { "reading the keys" })
        }
    }

    #[test]
    fn the_last_line_has_all_causes() {
        let mut said = Vec::new();
        write_to(&mut said, &Chain).expect("memory takes it");
        assert_eq!(said, b"error: reading the keys: no such file\n");
    }
}
