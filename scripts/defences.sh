#!/usr/bin/env bash
# Takes each defence out, in a scratch checkout of the present commit, and runs the test that guards it: the test has to fail.
# Writes what was seen into docs/defences.md.
#
#   defences.sh              all patches of chaos-tests/defences, in the order of their names
#   defences.sh NAME…        these, with or without .patch
#   defences.sh --table      only writes docs/defences.md anew, and runs nothing
#   defences.sh --renew      makes patches anew that do not apply any more, as far as git can merge them, and runs nothing
#
# Patches are read from this checkout, everything else is that of the commit. A patch begins with the lines
#
#   Claim: <beginning of a promise of docs/security.md, or a number of docs/threats.md>   (one or more)
#   Taken out: <one sentence>
#   Test: package(=ringwall-NAME) and kind(lib) and test(=PATH)      or  … and binary(=NAME) and test(=PATH)
#
# The third is a filter expression of cargo-nextest, for whoever runs the test by hand.
#
# What is built. `--workspace --all-targets` chooses the same features of all packages as `make build` does; `-p` would choose
# others and compile RocksDB again. But after a patch of a package near the leaves that would build everything anew, with every
# test program. So cargo is given `only-wanted-rustc.sh` in place of rustc (RUSTC_WRAPPER is no part of what cargo tells builds
# apart by) and `--keep-going`: units of ours that the wanted test does not need are refused at once, all others are compiled.
#
# Where it is built. Hashes of our packages are the same in every checkout, and cargo judges by the times of files: in the
# directory of `make test` it would take a program that a patch spoiled for a good one, since the files there are older. So
# there is a directory of its own, into which what is not ours (RocksDB) is linked from the one of `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(pwd -P)
patches=$root/chaos-tests/defences table=$root/docs/defences.md

shared=${CARGO_TARGET_DIR:-$HOME/.cache/ringwall/target}
mkdir -p "$shared"
shared=$(cd "$shared" && pwd -P)
target=$shared/defences
checkout=$shared/defences-checkout
test_seconds=600 # a test that takes longer is ended, and that is no failure by an assertion

fail() { echo "defences: $*" >&2; exit 1; }
header() { sed -n "/^diff --git/q; s/^$2: //p" "$patches/$1.patch"; } # of a patch: one of its first lines

names() { for one in "$patches"/*.patch; do basename "$one" .patch; done; }

# --- the table -----------------------------------------------------------------------------------------------------------

declare -A seen seconds # by name, of this run

cell() { sed 's/|/\\|/g' <<<"$*"; }

row() { # a patch's row up to what was seen
    local claims test
    claims=$(header "$1" Claim | awk 'NR > 1 { printf "; " } { printf "%s", $0 }')
    test=$(header "$1" Test)
    printf '| %s | %s | %s | `%s` |' "$1" "$(cell "$claims")" "$(cell "$(header "$1" 'Taken out')")" "$(cell "$test")"
}

write_table() {
    local name begins former new hash
    new=$(mktemp)
    {
        sed -n '1,/^| --- /p' "$table"
        while read -r name; do
            begins=$(row "$name")
            hash=$(git -C "$root" hash-object "$patches/$name.patch" | cut -c1-8)
            # What an earlier run saw counts as long as the patch is the same.
            former=$(grep -F -- "$begins" "$table" | grep -F "($hash)" | head -1 | sed -E 's/.*\| ([^|]*\| [^|]*) \|$/\1/') || true
            if [ -n "${seen[$name]:-}" ]; then former="${seen[$name]} ($hash) | ${seconds[$name]}"; fi
            printf '%s %s |\n' "$begins" "${former:-not run | }"
        done < <(names)
        sed -n '/^## Promises without a patch/,$p' "$table" | sed '1i\\'
    } >"$new"
    cat "$new" >"$table"
    rm -f "$new"
}

renew=''
case ${1:-} in
    --table) write_table; exit ;;
    --renew) renew=yes; shift ;;
esac

# --- what is asked for -----------------------------------------------------------------------------------------------------

wanted=()
for one in "$@"; do
    one=$(basename "$one" .patch)
    [ -f "$patches/$one.patch" ] || fail "there is no patch $one in chaos-tests/defences"
    wanted+=("$one")
done
[ $# -gt 0 ] || mapfile -t wanted < <(names)
[ ${#wanted[@]} -gt 0 ] || fail 'there are no patches in chaos-tests/defences'

declare -A source_of path_of # by name: the test program's first file, and the test in it
for name in "${wanted[@]}"; do
    expression=$(header "$name" Test)
    form='^package\(=ringwall-([a-z-]+)\) and (kind\(lib\)|binary\(=([a-z_]+)\)) and test\(=([a-z0-9_:]+)\)$'
    [[ $expression =~ $form ]] || fail "$name: Test: has another form than $form: $expression"
    case ${BASH_REMATCH[2]} in
        'kind(lib)') source_of[$name]=${BASH_REMATCH[1]}/src/lib.rs ;;
        *) source_of[$name]=${BASH_REMATCH[1]}/tests/${BASH_REMATCH[3]}/main.rs ;;
    esac
    path_of[$name]=${BASH_REMATCH[4]}
done

# --- the scratch checkout and its directory ----------------------------------------------------------------------------------

mkdir -p "$target"
exec 9>"$target/lock"
flock -n 9 || fail 'another run is under way'
log=$(mktemp)
remove() {
    cd "$root"
    rm -f "$log" "$log.errors"
    git -C "$root" worktree remove --force "$checkout" 2>/dev/null || true
    rm -rf "$checkout"
    git -C "$root" worktree prune
}
trap remove EXIT
trap 'exit 130' INT TERM HUP
# What an interrupted run left.
git worktree remove --force "$checkout" 2>/dev/null || rm -rf "$checkout"
git worktree prune
git worktree add --quiet --detach "$checkout" HEAD
[ -z "$(git status --porcelain --untracked-files=no -- . ':!chaos-tests/defences' ':!docs/defences.md')" ] ||
    echo 'defences: what is not committed is not tested' >&2
cd "$checkout"

# A patch knows the files that it was made from, so that git can merge what was changed since.
renew_patches() {
    local name kept left=0
    for name in "${wanted[@]}"; do
        ! git apply --check "$patches/$name.patch" 2>/dev/null || continue
        kept=$(mktemp)
        if git apply --3way "$patches/$name.patch" 2>/dev/null && ! git diff --cached --quiet; then
            { sed '/^diff --git/,$d' "$patches/$name.patch" && git diff --cached --full-index; } >"$kept"
            cat "$kept" >"$patches/$name.patch"
            echo "$name: made anew; look at it"
        else
            left=$((left + 1))
            echo "$name: does not apply, and git cannot merge it: make it by hand"
        fi
        rm -f "$kept"
        git reset --quiet --hard
    done
    [ "$left" -eq 0 ]
}
if [ -n "$renew" ]; then
    renew_patches
    exit
fi
export CARGO_TARGET_DIR=$target PATH=$checkout/scripts/compiler:$PATH

# Units that are not ours. What cargo and build scripts write in place is copied, what is only replaced as a whole is linked.
link_packages_of_others() {
    local from=$shared/debug to=$target/debug units
    [ -d "$from/.fingerprint" ] || return 0
    mkdir -p "$to/.fingerprint" "$to/build" "$to/deps"
    units=$(mktemp)
    # Not while cargo writes there.
    exec 8>>"$from/.cargo-lock"
    flock -s 8
    comm -23 <(ls "$from/.fingerprint" | sort) <(ls "$to/.fingerprint" | sort) | { grep -v '^ringwall-' || true; } >"$units"
    (cd "$from/deps" && find . -type f -name '*-*') |
        awk 'NR == FNR { sub(/.*-/, ""); wanted[$0]; next }
             { hash = $0; sub(/.*-/, "", hash); sub(/\..*/, "", hash); if (hash in wanted) print }' "$units" - |
        (cd "$from/deps" && xargs -r cp -alt "$to/deps" 2>/dev/null || true)
    (cd "$from/build" && ls | grep -xFf "$units" | xargs -r cp -a --reflink=auto -t "$to/build") || true
    (cd "$from/.fingerprint" && xargs -r cp -at "$to/.fingerprint" <"$units")
    rm -f "$units"
    exec 8>&-
}
link_packages_of_others

# --- building and running ---------------------------------------------------------------------------------------------------

# Folders of our packages that a test program is made of, into `needed`. What stands behind `[dev-dependencies]` counts for the
# package of the test only.
packages_for() {
    local folder=${1%%/*} last='$' known=' ' one
    # The lab of the end-to-end tests runs the programs of all packages.
    [ "$folder" != chaos-tests ] || { needed='*'; return; }
    local open=("$folder")
    while [ ${#open[@]} -gt 0 ]; do
        one=${open[0]} open=("${open[@]:1}")
        [[ $known != *" $one "* ]] || continue
        known+="$one "
        mapfile -t -O ${#open[@]} open < <(sed -nE "1,${last}s/^ringwall-([a-z-]+).*/\1/p" "$one/Cargo.toml")
        last='/^\[dev-dependencies\]/'
    done
    needed=$known
}

# Builds test programs, named by their first files, and all that they need.
build() {
    local one all=''
    for one in "$@"; do
        packages_for "$one"
        all+=" $needed"
    done
    WANTED_PACKAGES=$all WANTED_TESTS="$*" RUSTC_WRAPPER=$root/scripts/only-wanted-rustc.sh \
        cargo build --workspace --all-targets --locked --keep-going --message-format=json-render-diagnostics \
        >"$log" 2>"$log.errors" || true
    for one in "$@"; do
        [ -n "$(program_of "$one")" ] || {
            echo "$one was not built:"
            grep -v '^error: could not compile' "$log.errors" | grep -A7 '^error' | head -40 || tail -20 "$log.errors"
            rm -f "$log.errors"
            return 1
        }
    done
    rm -f "$log.errors"
}

program_of() {
    grep -F "\"src_path\":\"$checkout/$1\"" "$log" | sed -nE 's/.*"executable":"([^"]+)".*/\1/p' | tail -1
}

# Runs one test as nextest would: alone in a process, in its package's folder. `outcome` is passed, failed or what else it was.
run() { # first file of the program, the test
    local code=0 said
    said=$(cd "$checkout/${1%%/*}" && CARGO_MANIFEST_DIR=$PWD timeout --kill-after=10 "$test_seconds" \
        "$(program_of "$1")" --exact "$2" 2>&1) || code=$?
    why=$(grep -m1 -A1 'panicked at' <<<"$said" | tail -1 | cut -c1-160) || true
    [ -n "$why" ] || why=$(grep -m1 '^Error: ' <<<"$said" | cut -c1-160) || true
    if [ "$code" -eq 0 ] && grep -q '^test result: ok\. 1 passed' <<<"$said"; then
        outcome=passed
    elif [ "$code" -eq 0 ]; then
        outcome="there is no test $2"
    elif [ "$code" -eq 101 ] && grep -q '^test result: FAILED\. 0 passed; 1 failed' <<<"$said"; then
        outcome=failed
    else
        outcome="the test program ended with $code"
    fi
}

faults=0
fault() { # a patch, what is wrong
    seen[$1]="no: $(head -1 <<<"$2" | tr '|' '/')" faults=$((faults + 1))
    printf '%-36s ERROR  %s\n' "$1" "$2"
}

echo "defences: ${#wanted[@]} patches; building their tests as they are"
mapfile -t sources < <(printf '%s\n' "${source_of[@]}" | sort -u)
problem=$(build "${sources[@]}") || fail "the tests do not build without a patch: $problem"
declare -A as_it_is # by program and test
for name in "${wanted[@]}"; do
    test="${source_of[$name]} ${path_of[$name]}"
    [ -z "${as_it_is[$test]:-}" ] || continue
    run "${source_of[$name]}" "${path_of[$name]}"
    as_it_is[$test]=$outcome
done

for name in "${wanted[@]}"; do
    began=$SECONDS seconds[$name]=0
    source=${source_of[$name]} test=${path_of[$name]}
    if [ "${as_it_is["$source $test"]}" != passed ]; then
        fault "$name" "without the patch $test does not pass: ${as_it_is["$source $test"]}"
        continue
    fi
    if ! problem=$(git apply --check "$patches/$name.patch" 2>&1); then
        fault "$name" "the patch does not apply any more: $problem"
        continue
    fi
    git apply "$patches/$name.patch"
    if problem=$(build "$source"); then
        run "$source" "$test"
        seconds[$name]=$((SECONDS - began))
        case $outcome in
            failed)
                seen[$name]=yes
                printf '%-36s yes %5d s  %s\n' "$name" "${seconds[$name]}" "$why"
                ;;
            passed) fault "$name" "$test passes although the defence is taken out" ;;
            *) fault "$name" "$outcome" ;;
        esac
    else
        fault "$name" "$problem"
    fi
    git checkout --quiet -- .
done

write_table
echo "defences: ${#wanted[@]} taken out, $faults not seen to fail; docs/defences.md has the table"
[ "$faults" -eq 0 ]
