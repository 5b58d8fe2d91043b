//! Texts that are compared with files in `tests/golden`.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};

/// Compares with `tests/golden/<name>`; `UPDATE_GOLDEN=1` writes it instead.
pub fn compare(name: &str, found: &str) -> Result<()> {
    let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect();
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().context("a file stands in a folder")?)?;
        return fs::write(&file, found).with_context(|| format!("write {}", file.display()));
    }
    ensure!(!found.is_empty(), "{name}: nothing to compare");
    let wanted = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let first = wanted.lines().zip(found.lines()).enumerate().find(|(_, (wanted, found))| wanted != found);
    ensure!(wanted == found, "{name} differs (UPDATE_GOLDEN=1 writes it anew); the first line that does: {first:#?}");
    Ok(())
}
