#!/usr/bin/env bash
# Runs the fuzz targets for some minutes in all, and says of each what it did (docs/fuzzing.md).
#
#   fuzz.sh 10               all targets share ten minutes
#   fuzz.sh 10 expression    one target; with its package where two have the name: protocol/expression
#   KEEP=1 fuzz.sh 10        adds to the corpora of the repository what reached code that their files do not reach
set -euo pipefail
cd "$(dirname "$0")/.."

longest_input=4096 # bytes; no file of a corpus is longer
most_files=64      # of a corpus in the repository
input_seconds=2    # a longer one is a finding
memory=2048        # MiB

minutes=${1:-1} wanted=${2:-}
[[ $minutes =~ ^[0-9]+$ && $minutes -ge 1 ]] || { echo "fuzz: MINUTES is a number from 1, got '$minutes'" >&2; exit 64; }
cargo fuzz --version >/dev/null 2>&1 || {
    echo 'fuzz: cargo-fuzz is not installed; cargo install --locked cargo-fuzz' >&2
    exit 69
}

# Instrumentation is not stable in the compiler; what is built here is never run in earnest.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/ringwall/target}/fuzz
PATH=$PWD/scripts/compiler:$PATH
kept=$CARGO_TARGET_DIR/corpora
# Our code has no `unsafe` that a sanitizer could look into, and without one a target is twice as fast.
options=(--sanitizer none --fuzz-dir)

targets=()
for program in fuzz/*/fuzz_targets/*.rs; do
    package=${program#fuzz/} package=${package%%/*} name=$(basename "$program" .rs)
    case $wanted in '' | "$name" | "$package/$name") targets+=("$package/$name") ;; esac
done
[ ${#targets[@]} -gt 0 ] || { echo "fuzz: there is no target '$wanted'" >&2; exit 64; }
seconds=$((minutes * 60 / ${#targets[@]}))
[ "$seconds" -ge 1 ] || seconds=1

built=''
build() { # a package, or one of its targets
    [[ " $built " == *" $1 "* ]] && return
    echo "fuzz: building $1"
    cargo fuzz build "${options[@]}" "fuzz/${1%%/*}" $([[ $1 == */* ]] && echo "${1#*/}")
    built+=" $1"
}

value() { sed -nE "s/^stat::$1: *([0-9]+).*/\1/p" "$log" | tail -1; }

failed=0 log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in "${targets[@]}"; do
    package=${target%/*} name=${target#*/}
    if [ -n "$wanted" ]; then build "$target"; else build "$package"; fi
    mkdir -p "$kept/$target"
    corpus=fuzz/$package/corpus/$name dictionary=fuzz/$package/dictionaries/$name
    arguments=(-max_total_time="$seconds" -max_len="$longest_input" -timeout="$input_seconds" -rss_limit_mb="$memory"
        -print_final_stats=1)
    [ ! -f "$dictionary" ] || arguments+=(-dict="$dictionary")
    outcome=0
    # New files go into the first folder.
    cargo fuzz run "${options[@]}" "fuzz/$package" "$name" "$kept/$target" "$corpus" -- "${arguments[@]}" >"$log" 2>&1 || outcome=$?
    covered=$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' "$log" | tail -1)
    printf '%-32s %9s inputs  %6s places  %4s new files  %s\n' "$target" "$(value number_of_executed_units)" \
        "${covered:-?}" "$(value new_units_added)" "$([ "$outcome" -eq 0 ] && echo good || echo FAILED)"
    if [ "$outcome" -ne 0 ]; then
        failed=$((failed + 1))
        grep -E "panicked at|assertion|^ALARM|^==.*ERROR|Test unit written to" -A2 "$log" | head -12 | sed 's/^/    /' || tail -5 "$log"
        echo "    again: RUSTC_BOOTSTRAP=1 cargo fuzz run ${options[*]} fuzz/$package $name FILE"
    elif [ "${KEEP:-}" = 1 ]; then
        cargo fuzz run "${options[@]}" "fuzz/$package" "$name" "$corpus" "$kept/$target" -- -merge=1 -max_len="$longest_input" >"$log" 2>&1
        files=$(find "$corpus" -type f | wc -l)
        [ "$files" -le "$most_files" ] || echo "    $corpus has $files files and may have $most_files: cargo fuzz cmin ${options[*]} fuzz/$package $name"
    fi
done
echo "fuzz: ${#targets[@]} targets, $failed failed; what was found is kept in $kept"
[ "$failed" -eq 0 ]
