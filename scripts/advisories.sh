#!/usr/bin/env bash
# Checks the dependencies against the RustSec advisory database. RINGWALL_ADVISORY_DB names a local copy (a git checkout);
# without one cargo-deny fetches it. What cannot be checked is said and is no failure: a machine without the network is not at
# fault; an advisory is.
set -euo pipefail
cd "$(dirname "$0")/.."

unchecked() {
    printf 'advisories: NOT CHECKED: %s\n' "$1"
    exit 0
}

cargo deny --version >/dev/null 2>&1 || unchecked 'cargo-deny is not installed (cargo install --locked cargo-deny)'
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ -n "${RINGWALL_ADVISORY_DB:-}" ]; then
    [ -d "$RINGWALL_ADVISORY_DB/.git" ] || [ -f "$RINGWALL_ADVISORY_DB/HEAD" ] || {
        printf 'advisories: RINGWALL_ADVISORY_DB=%s is not a git repository\n' "$RINGWALL_ADVISORY_DB" >&2
        exit 66
    }
    url="file://$(realpath "$RINGWALL_ADVISORY_DB")"
else
    url=https://github.com/RustSec/advisory-db
    GIT_TERMINAL_PROMPT=0 timeout 30 git ls-remote --exit-code "$url" HEAD >/dev/null 2>&1 </dev/null || unchecked "the database at $url cannot be reached"
fi
# cargo-deny takes the database from its configuration only.
{ cat deny.toml; printf '\n[advisories]\ndb-urls = ["%s"]\ndb-path = "%s/db"\nyanked = "warn"\n' "$url" "$scratch"; } >"$scratch/deny.toml"
cargo deny --workspace check --config "$scratch/deny.toml" advisories
printf 'advisories: checked against %s\n' "$url"
