#!/usr/bin/env bash
# Runs a cargo command and says what is being built, how far it is, and about how long it takes. Cargo's own bar needs a
# terminal and knows no time; a first build is quiet for minutes while RocksDB's C++ is compiled.
#
#   build.sh build --workspace --bins --locked
#   build.sh clippy --workspace --all-targets --locked -- -D warnings
#
# A line comes every 15 s. Time left is an estimate: work that is left over work that was done, by packages, of which the large
# ones count what they took when they were measured.
set -euo pipefail
every=15
cd "$(dirname "$0")/.."
# Makes RocksDB's compilation take less than half of its time; cargo does not see the difference.
PATH=$PWD/scripts/compiler:$PATH

# Processor seconds of the packages that take longest; all others count as `light` seconds. What is checked and not built
# (clippy) is lighter, but build scripts, RocksDB's among them, are the same.
light=1.5
declare -A seconds=(
    [librocksdb-sys]=500 [ringwall-client]=142 [ringwall-gateway]=129 [ringwall-raft]=114 [aws-lc-sys]=100
    [ringwall-collective]=66 [syn]=57 [cel]=45 [ringwall-protocol]=32 [netlink-packet-route]=31
    [ringwall-actors]=31 [regex-automata]=30 [bindgen]=27 [rustls]=22 [darling_core]=21 [openraft]=20
    [regex-syntax]=18 [ringwall-trust]=18 [derive_more]=17 [derive_more-impl]=17 [tokio]=17 [thiserror-impl]=15
    [serde-saphyr]=15 [ringwall-chaos-tests]=15 [actix-web]=14 [serde_derive]=14 [clang-sys]=14 [chrono-tz]=13
    [zerofrom-derive]=13 [synstructure]=13 [jiff]=12 [ringwall-admin-cli]=12 [rustix]=12 [crypto-bigint]=11
    [async-trait]=11 [lz4-sys]=11 [zerocopy-derive]=11 [hickory-proto]=10 [yoke-derive]=10 [webauthn-rs-core]=10
    [clap_builder]=10 [cc]=10 [tracing-attributes]=9 [h2]=9 [x509-parser]=9
)

packages() {
    local edges=normal,build
    [[ " $* " == *' --all-targets '* ]] && edges=normal,build,dev
    cargo tree --workspace --edges "$edges" --prefix none --format '{p}' --locked | sed -nE 's/^([^ ]+) v([^ ]+).*/\1 \2/p' | sort -u
}

declare -A pending=() started=()
total=0 finished=0 work=0 done_work=0
weight() { weighed=${seconds[$1]:-$light}; }

while read -r name version; do
    weight "$name"
    pending["$name $version"]=$weighed
    total=$((total + 1))
done < <(packages "$@")
work=$(printf '%s\n' "${pending[@]}" | awk '{ sum += $1 } END { print sum }')

started_at=$SECONDS shown_at=$SECONDS
report() {
    local running='' one left since begun=0 spent=$((SECONDS - started_at))
    for one in "${!started[@]}"; do
        weight "${one% *}"
        running+="$weighed ${one% *}"$'\n'
        # What is under way counts for the time that it has taken, and never for all of its work.
        since=$((SECONDS - started[$one]))
        begun=$(awk -v sum="$begun" -v since="$since" -v all="$weighed" \
            'BEGIN { print sum + (since < all * 0.9 ? since : all * 0.9) }')
    done
    running=$(sort -rn <<<"$running" | awk 'NF && n < 4 { printf "%s%s", n++ ? ", " : "", $2 }')
    left=$(awk -v done="$done_work" -v begun="$begun" -v work="$work" -v spent="$spent" \
        'BEGIN { done += begun; if (done < work * 0.03) print "?"; else printf "%.0f", (spent * (work - done) / done) / 60 + 0.5 }')
    case $left in '?') left='' ;; *) left=", about $left min left" ;; esac
    printf 'build: %d of %d packages after %d min %02d s%s; now: %s\n' \
        "$finished" "$total" $((spent / 60)) $((spent % 60)) "$left" "${running:-programs and tests of our own packages}"
}

status=$(mktemp)
trap 'rm -f "$status"' EXIT
# Two short-lined streams into one: what starts (cargo's messages) and what is finished (its JSON).
events() {
    {
        { CARGO_TERM_PROGRESS_WHEN=never cargo "$1" --message-format=json-render-diagnostics "${@:2}" && echo 0 >"$status" || echo $? >"$status"; } \
            2> >(sed -u 's/^/= /' >&3) |
            sed -u -n -E 's/^\{"reason":"compiler-artifact","package_id":"([^"]*)".*"kind":\["(lib|rlib|proc-macro|bin|cdylib)".*/+ \1/p' >&3
    } 3>&1
}

name_of() { # a package id, as a name and a version
    local id=${1##*#}
    case $id in
        *@*) named="${id%@*} ${id##*@}" ;;
        *) id=${1%#*}; named="${id##*/} ${1##*#}" ;;
    esac
}

exec 4< <(events "$@")
while true; do
    code=0
    IFS= read -r -t "$every" line <&4 || code=$?
    if [ "$code" -eq 0 ]; then
        case $line in
            '+ '*)
                name_of "${line#+ }"
                unset "started[$named]"
                if [ -n "${pending[$named]:-}" ]; then
                    done_work=$(awk -v a="$done_work" -v b="${pending[$named]}" 'BEGIN { print a + b }')
                    unset "pending[$named]"
                    finished=$((finished + 1))
                fi
                ;;
            '=    Compiling '* | '=     Checking '*)
                read -r _ _ name version _ <<<"$line"
                [ -z "${pending["$name ${version#v}"]:-}" ] || started["$name ${version#v}"]=$SECONDS
                ;;
            '= '*) printf '%s\n' "${line#= }" ;;
        esac
    elif [ "$code" -le 128 ]; then
        break
    fi
    if [ $((SECONDS - shown_at)) -ge "$every" ]; then
        report
        shown_at=$SECONDS
    fi
done
# Nothing is known of a cargo that was killed, or whose result could not be written: that is no success.
result=$(cat "$status" 2>/dev/null || true)
[ -n "$result" ] || {
    printf 'build: it is not known how cargo ended: it was killed (memory?), or %s is full\n' "$(dirname "$status")" >&2
    exit 70
}
exit "$result"
