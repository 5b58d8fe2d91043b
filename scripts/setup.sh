#!/usr/bin/env bash
# Installs what a Debian machine lacks. Safe to repeat: when everything is there, it only looks, for about a second.
#
#   setup.sh build    what `cargo build` needs
#   setup.sh demo     the same, and what `make demo` needs
#   setup.sh test     the same, and what `make test` needs (the default)
#   setup.sh bench    the same, and what the benchmark compares Ringwall with, as far as it can be had
#   setup.sh pentest  what `make test` needs, and the scanners and packet makers of `make pentest`
#
# Each thing is tried and not looked up by its name: compilers compile, libclang parses a header, programs tell a version that
# is new enough. Before anything is installed, this says what and how large it is.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-test}
case $purpose in build | demo | test | bench | pentest) ;; *)
    printf 'setup: unknown purpose %q: one of build, demo, test, bench, pentest\n' "$purpose" >&2
    exit 64
    ;;
esac

PATH="$PATH:/usr/sbin:/sbin"
scratch=$(mktemp -d)
undo=()
finish() {
    local command
    for command in "${undo[@]}"; do eval "$command"; done
    rm -rf "$scratch"
}
trap finish EXIT

# --- Checks. Each succeeds, or prints why the thing cannot be used. -----------------------------------------------------------

# version_at_least WANTED COMMAND...: the first number with a dot in what the command prints is WANTED or newer.
version_at_least() {
    local wanted=$1 have
    shift
    command -v "$1" >/dev/null || { echo 'not installed'; return 1; }
    have=$(timeout 60 "$@" 2>&1 </dev/null | grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)*' | head -n 1 || true)
    [ -n "$have" ] || { echo "cannot be run (\`$*\` tells no version)"; return 1; }
    [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ] ||
        { echo "version $have at $(command -v "$1") is too old: $wanted is needed"; return 1; }
}

# runs COMMAND...: it is installed, and succeeds.
runs() {
    command -v "$1" >/dev/null || { echo 'not installed'; return 1; }
    timeout 60 "$@" >"$scratch/why" 2>&1 </dev/null ||
        { echo "cannot be run (\`$*\`): $(head -n 1 "$scratch/why")"; return 1; }
}

check_cc() {
    command -v cc >/dev/null || { echo 'not installed'; return 1; }
    printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' >"$scratch/c.c"
    cc "$scratch/c.c" -o "$scratch/c" 2>"$scratch/why" && "$scratch/c" >/dev/null ||
        { echo "cannot compile and link: $(head -n 1 "$scratch/why")"; return 1; }
}

# RocksDB is C++20; the compiler is the one that .cargo/config.toml names.
check_cxx() {
    local compiler=${CXX:-clang++}
    command -v "$compiler" >/dev/null || { echo 'not installed'; return 1; }
    printf '#include <concepts>\n#include <memory>\n#include <string>\nint main() { return *std::make_unique<int>(0); }\n' >"$scratch/cxx.cc"
    "$compiler" -std=c++20 "$scratch/cxx.cc" -o "$scratch/cxx" 2>"$scratch/why" && "$scratch/cxx" ||
        { echo "cannot compile C++20: $(head -n 1 "$scratch/why")"; return 1; }
}

# Where the bindings' generator looks for libclang, in its order: the newest counts, also if it cannot be used.
libclang_candidates() {
    if [ -n "${LIBCLANG_PATH:-}" ]; then
        find -L "$LIBCLANG_PATH" -maxdepth 1 -name 'libclang*.so*' ! -name '*-cpp.*'
    else
        find -L /usr/lib/llvm-*/lib /usr/lib/"$(uname -m)"-linux-gnu /usr/lib64 /usr/lib /usr/local/lib -maxdepth 1 \
            \( -name 'libclang.so*' -o -name 'libclang-[0-9]*.so*' \) 2>/dev/null || true
    fi | sort -rV
}

check_libclang() {
    command -v cc >/dev/null || { echo 'cannot be tried without a C compiler'; return 1; }
    cc scripts/probe/libclang.c -o "$scratch/libclang" -ldl 2>"$scratch/why" ||
        { echo "cannot be tried: $(head -n 1 "$scratch/why")"; return 1; }
    local candidates
    mapfile -t candidates < <(libclang_candidates)
    [ "${#candidates[@]}" -gt 0 ] || { echo 'not installed'; return 1; }
    "$scratch/libclang" "${candidates[0]}" >/dev/null 2>"$scratch/why" || { head -n 1 "$scratch/why"; return 1; }
}

check_rust() {
    local wanted
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    version_at_least "$wanted" rustc --version && runs cargo --version
}

check_lint_tools() {
    runs cargo clippy --version && runs cargo fmt --version
}

check_protocols() { [ -e /etc/protocols ] || { echo 'no /etc/protocols'; return 1; }; }

# The driver speaks only to a browser of its own major version.
check_chromium() {
    runs chromium --version && runs chromedriver --version || return 1
    local browser driver
    browser=$(chromium --version 2>/dev/null </dev/null | grep -oE '[0-9]+\.' | head -n 1)
    driver=$(chromedriver --version 2>/dev/null | grep -oE '[0-9]+\.' | head -n 1)
    [ "$browser" = "$driver" ] || { echo "chromium is version $browser but chromedriver is $driver"; return 1; }
}

check_slapd() {
    runs slapd -VV || return 1
    [ -x /usr/sbin/slapadd ] || { echo 'no /usr/sbin/slapadd'; return 1; }
}

# Debian splits what makes virtual environments from the interpreter.
check_python() {
    version_at_least 3.10 python3 --version && runs python3 -c 'import ensurepip, venv'
}

# The distribution's interpreter, which sees the distribution's packages.
check_scapy() { runs /usr/bin/python3 -c 'import scapy.all'; }

# --- What is wanted: purpose | what | packages | check ------------------------------------------------------------------------

wanted=(
    'build|C compiler|gcc libc6-dev|check_cc'
    'build|C++ compiler clang++|clang|check_cxx'
    'build|libclang with its headers|clang|check_libclang'
    'build|make|make|runs make --version'
    'demo|nft|nftables|version_at_least 1.0.2 nft --version'
    'demo|protocol names|netbase|check_protocols'
    'demo|ip|iproute2|runs tc -V'
    'demo|setpriv, unshare, nsenter|util-linux|runs setpriv --version'
    'demo|sysctl|procps|runs sysctl --version'
    'demo|iperf3|iperf3|version_at_least 3.1 iperf3 --version'
    'demo|nginx|nginx-light|runs nginx -v'
    'demo|slapd|slapd|check_slapd'
    'demo|dnsmasq|dnsmasq-base|runs dnsmasq --version'
    'demo|curl|curl|runs curl --version'
    'test|git|git|runs git --version'
    'test|ping|iputils-ping|runs ping -V'
    'test|ldapwhoami, ldapmodify|ldap-utils|runs ldapwhoami -VV'
    'test|openssl|openssl|version_at_least 1.1.1 openssl version'
    'test|freeradius|freeradius|version_at_least 3.0 freeradius -v'
    'test|chromium with its driver|chromium chromium-driver|check_chromium'
    'test|node|nodejs|version_at_least 18.0 node --version'
    'test|npm|npm|runs npm --version'
    'test|python3 with venv|python3 python3-venv|check_python'
    'pentest|nmap|nmap|runs nmap --version'
    'pentest|hping3|hping3|runs hping3 --version'
    'pentest|scapy|python3-scapy|check_scapy'
)
case $purpose in build) levels='build' ;; demo) levels='build demo' ;; pentest) levels='build demo test pentest' ;; *) levels='build demo test' ;; esac

# Programs that the benchmark compares Ringwall with. Never needed by the product or its tests.
peers=('fwknopd|fwknop-server|runs fwknopd --version')

# missing: fills `packages` and `reasons` with what fails its check.
look() {
    packages=() reasons=()
    local row level what names check why name
    for row in "${wanted[@]}"; do
        IFS='|' read -r level what names check <<<"$row"
        [[ " $levels " == *" $level "* ]] || continue
        why=$($check 2>&1) && continue
        reasons+=("$what: ${why:-cannot be used}")
        for name in $names; do
            [[ " ${packages[*]} " == *" $name "* ]] || packages+=("$name")
        done
        # The newest libclang is used; its headers have to be of the same version.
        if [ "$check" = check_libclang ]; then
            name=$(libclang_candidates | head -n 1 | grep -oE 'llvm-[0-9]+|libclang-[0-9]+' | grep -oE '[0-9]+' | head -n 1 || true)
            [ -z "$name" ] || packages+=("libclang-common-$name-dev")
        fi
    done
}

# What keeps packages from starting their services: only their programs are wanted on this machine. Removed at the end; what an
# interrupted run left is known by its second line.
policy=/usr/sbin/policy-rc.d
mark='# Made by scripts/setup.sh of Ringwall for the time of an installation.'
own_policy() { [ -e "$policy" ] && grep -qxF "$mark" "$policy"; }

# One installation at a time; held until this script ends.
lock_installation() {
    exec 8>/run/lock/ringwall-setup.lock
    flock --nonblock 8 || {
        printf 'setup: another setup installs packages; waiting for it\n'
        flock 8
    }
}

install() {
    if ! command -v apt-get >/dev/null; then
        printf 'setup: cannot install packages: this is not Debian; install what is listed above yourself\n' >&2
        exit 69
    fi
    if [ "$(id -u)" -ne 0 ]; then
        printf 'setup: cannot install packages: not root; run this as root, or install them yourself:\n' >&2
        printf 'setup:   apt-get install --no-install-recommends %s\n' "$*" >&2
        exit 77
    fi
    lock_installation
    if [ ! -e "$policy" ] || own_policy; then
        printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
        chmod 755 "$policy"
        undo+=('rm -f "$policy"')
    fi
    export DEBIAN_FRONTEND=noninteractive
    # Another apt may be at work, as on a new machine that updates itself; questions are answered with what is there.
    local apt=(apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold)
    "${apt[@]}" -qq update </dev/null >"$scratch/apt" 2>&1 || {
        tail -n 5 "$scratch/apt" >&2
        printf 'setup: the lists of packages cannot be brought up to date; going on with those that are here\n' >&2
    }
    printf 'setup: installing %s\n' "$*"
    apt-get install --assume-no --no-install-recommends "$@" 2>/dev/null | grep -E '^(Need to get|After this)' | sed 's/^/setup: /' || true
    "${apt[@]}" -qq install --yes --no-install-recommends "$@" </dev/null >"$scratch/apt" 2>&1 || {
        tail -n 5 "$scratch/apt" >&2
        return 1
    }
}

# First what no package brings: nobody should wait for an installation to hear of it.
why=$(check_rust) || {
    printf 'setup: Rust: %s; see https://rustup.rs, or run: rustup update\n' "$why" >&2
    [ -z "${SUDO_USER:-}" ] || printf 'setup: if %s has it: sudo env "PATH=$PATH" make …\n' "$SUDO_USER" >&2
    exit 69
}
if [ "$purpose" != build ] && { [ "$(id -u)" -ne 0 ] || ! unshare --net true 2>/dev/null; }; then
    lacks='needs root and the right to make network namespaces (CAP_SYS_ADMIN, CAP_NET_ADMIN)'
    if [ "$purpose" != test ]; then
        printf 'setup: the lab %s; `make build` does not\n' "$lacks" >&2
        exit 77
    fi
    printf 'setup: the lab %s: tests on real packets will fail here; `make lint` and `make build` do without\n' "$lacks" >&2
fi
if [ "$(id -u)" -eq 0 ] && own_policy; then
    lock_installation
    printf 'setup: removing %s, which an interrupted setup left\n' "$policy"
    rm -f "$policy"
fi

look
if [ "${#packages[@]}" -gt 0 ]; then
    printf 'setup: %s\n' "${reasons[@]}"
    install "${packages[@]}" || { printf 'setup: packages cannot be installed; see the lines above\n' >&2; exit 69; }
    look
    if [ "${#reasons[@]}" -gt 0 ]; then
        printf 'setup: still cannot be used after its package was installed: %s\n' "${reasons[@]}" >&2
        printf 'setup: perhaps another program of that name stands earlier in PATH (%s)\n' "$PATH" >&2
        exit 69
    fi
fi

if [ "$purpose" = bench ]; then
    for row in "${peers[@]}"; do
        IFS='|' read -r what name check <<<"$row"
        $check >/dev/null 2>&1 || install "$name" ||
            printf 'setup: %s (package %s) cannot be had; the benchmark will say so\n' "$what" "$name" >&2
    done
fi

# --- What is not a package ----------------------------------------------------------------------------------------------------

if [ "$purpose" != build ]; then
    if [ ! -c /dev/net/tun ] && command -v modprobe >/dev/null; then modprobe tun || true; fi
    [ -c /dev/net/tun ] ||
        printf 'setup: no /dev/net/tun: the demonstration and the tests need it (kernel module tun), the build does not\n' >&2
fi
# schemathesis, which holds the admin API against its description: every package in the version and with the hash that
# chaos-tests/pentest/requirements.txt names. Made anew when that file changes.
make_python_environment() {
    local place=${RINGWALL_PENTEST_VENV:-${HOME:?is not set}/.cache/ringwall/pentest} wanted=chaos-tests/pentest/requirements.txt
    mkdir -p "$(dirname "$place")"
    exec 9>"$place.lock"
    flock 9
    # It breaks when the system's Python is another: that it is there says nothing.
    cmp -s "$wanted" "$place/requirements.txt" && runs "$place/bin/schemathesis" --version >/dev/null && return
    if [ -e "$place" ] && [ ! -e "$place/pyvenv.cfg" ] && [ -n "$(ls -A "$place")" ]; then
        printf 'setup: %s is no Python environment; name another directory in RINGWALL_PENTEST_VENV\n' "$place" >&2
        return 1
    fi
    printf 'setup: installing schemathesis into %s\n' "$place"
    rm -rf "$place"
    python3 -m venv "$place" || return 1
    "$place/bin/pip" install --quiet --disable-pip-version-check --no-input --require-hashes --requirement "$wanted" || return 1
    cp "$wanted" "$place/requirements.txt"
}
if [[ $purpose == test || $purpose == pentest ]]; then
    make_python_environment || {
        printf 'setup: schemathesis cannot be installed; see the lines above\n' >&2
        exit 69
    }
    why=$(check_lint_tools) || {
        printf 'setup: clippy and rustfmt: %s; run: rustup component add clippy rustfmt\n' "$why" >&2
        exit 69
    }
fi
