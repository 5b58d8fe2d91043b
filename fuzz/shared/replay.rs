//! Replays the corpora of a package's fuzz targets, and writes their first files from real messages.
//!
//! Included by the tests of the `fuzz` module of every package that has targets: what fuzzing found once, `make test` tries
//! every time. `fuzz/<folder of the package>/` holds a file a target in `fuzz_targets/` and a folder a target in `corpus/`.
//! `UPDATE_CORPUS=1` writes the first files anew; files that fuzzing added stay.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A target: its name, and what it does with bytes. True if they were accepted by what it tries.
pub(super) type Target = (&'static str, fn(&[u8]) -> bool);

/// The first files of one target's corpus: a name and its bytes, as an encoder of ours makes them.
pub(super) type Seeds = (&'static str, Vec<(&'static str, Vec<u8>)>);

/// Most files of a corpus that are kept in the repository.
const MAX_FILES: usize = 64;
/// Longest file that is kept, in bytes.
const MAX_FILE: usize = 4 * 1024;
/// Longest that one file may take, in a build without optimisation on a busy machine. What fuzzing runs is optimised, and
/// has `input_seconds` of `scripts/fuzz.sh`.
const LONGEST: Duration = Duration::from_secs(20);

/// Gives every file of the corpora to its target, and checks that targets and corpora belong together: each target has a
/// corpus with something that it accepts, and each corpus has a target.
pub(super) fn replay(targets: &[Target], seeds: impl FnOnce() -> Vec<Seeds>) {
    let folder = folder();
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        seeds().into_iter().for_each(|(target, files)| write(&folder.join("corpus").join(target), files));
    }
    let names: BTreeSet<String> = targets.iter().map(|(name, _)| (*name).to_owned()).collect();
    let programs = list(&folder.join("fuzz_targets"));
    let programs = programs.iter().filter_map(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
    assert_eq!(programs.collect::<BTreeSet<_>>(), names, "each target has a program, and each program a target");
    assert_eq!(names_in(&folder.join("corpus")), names, "each target has a corpus, and each corpus a target");
    for (name, target) in targets {
        replay_one(&folder.join("corpus").join(name), *target);
    }
}

fn replay_one(corpus: &Path, target: fn(&[u8]) -> bool) {
    let files = list(corpus);
    assert!(files.len() <= MAX_FILES, "{}: at most {MAX_FILES} files; minimise it", corpus.display());
    let mut accepted = 0;
    for file in files {
        let bytes = fs::read(&file).expect("a readable file");
        assert!(bytes.len() <= MAX_FILE, "{}: at most {MAX_FILE} bytes", file.display());
        let told = Told(&file);
        let begun = Instant::now();
        accepted += usize::from(target(&bytes));
        let took = begun.elapsed();
        assert!(took <= LONGEST, "took {took:?}");
        std::mem::forget(told);
    }
    assert!(accepted > 0, "{}: nothing in it is accepted; write it with UPDATE_CORPUS=1", corpus.display());
}

/// Says which file it was when a target fails.
struct Told<'f>(&'f Path);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        eprintln!("the target failed with {}", self.0.display());
    }
}

/// `fuzz/<folder of this package>`.
fn folder() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = package.file_name().expect("a package has a folder");
    package.join("../fuzz").join(name)
}

/// Writes the first files of a corpus: each as it is, cut in half, and with one bit changed.
fn write(corpus: &Path, files: Vec<(&'static str, Vec<u8>)>) {
    fs::create_dir_all(corpus).expect("a folder");
    for (name, bytes) in files {
        let mut changed = bytes.clone();
        if let Some(byte) = changed.get_mut(bytes.len() / 3 * 2) {
            *byte ^= 4;
        }
        let half = bytes[..bytes.len() / 2].to_vec();
        for (name, bytes) in
            [(name.to_owned(), bytes), (format!("{name}-half"), half), (format!("{name}-bit"), changed)]
        {
            fs::write(corpus.join(name), &bytes).expect("a written file");
        }
    }
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    list(folder).iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned()).collect()
}

/// What is in a folder, sorted; nothing if there is no such folder.
fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    paths
}
