#!/usr/bin/env bash
# Installs what a fresh Debian machine lacks for building Ringwall and running its lab. Safe to repeat; when everything is
# there it only looks and takes a fraction of a second. `setup.sh bench` also installs what Ringwall is compared with, as
# far as it can be had.
set -euo pipefail

# Programs, and the Debian packages that bring them.
declare -A package_of=(
    [cc]=gcc
    [c++]=g++
    [make]=make
    [pkg-config]=pkg-config
    [nft]=nftables
    [ip]=iproute2
    [iperf3]=iperf3
    [nginx]=nginx-light
    [conntrack]=conntrack
    [jq]=jq
    [curl]=curl
    [setpriv]=util-linux
    [ping]=iputils-ping
    [sysctl]=procps
    [openssl]=openssl
    [slapd]=slapd
    [ldapadd]=ldap-utils
    [freeradius]=freeradius
    [radclient]=freeradius-utils
    [dnsmasq]=dnsmasq-base
    [chromium]=chromium
    [chromedriver]=chromium-driver
    [node]=nodejs
    [npm]=npm
)

# What the benchmark compares with: programs, and their packages. Never needed by the product or its tests.
declare -A peer_of=(
    [fwknopd]=fwknop-server
)

have_libclang() {
    compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || ldconfig -p | grep -q 'libclang'
}

missing=()
PATH="$PATH:/usr/sbin:/sbin"
for program in "${!package_of[@]}"; do
    command -v "$program" >/dev/null || missing+=("${package_of[$program]}")
done
peers=()
if [ "${1:-}" = bench ]; then
    for program in "${!peer_of[@]}"; do
        command -v "$program" >/dev/null || peers+=("${peer_of[$program]}")
    done
fi
# `nft` names protocols from it.
[ -e /etc/protocols ] || missing+=(netbase)
# RocksDB's bindings are made at build time.
have_libclang || missing+=(libclang-dev)

if [ "$((${#missing[@]} + ${#peers[@]}))" -gt 0 ]; then
    printf 'setup: installing %s\n' "${missing[*]} ${peers[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        printf 'setup: needs root to install packages\n' >&2
        exit 1
    fi
    if ! command -v apt-get >/dev/null; then
        printf 'setup: this is not Debian; install these yourself: %s\n' "${missing[*]}" >&2
        exit 1
    fi
    # The packages' services are not wanted on this machine, only their programs.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    if [ "${#missing[@]}" -gt 0 ]; then
        apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
    fi
    for peer in "${peers[@]}"; do
        apt-get -qq install --yes --no-install-recommends "$peer" >/dev/null ||
            printf 'setup: %s is not to be had; the benchmark will say so\n' "$peer" >&2
    done
fi

# The lab's kernel parts; built in, or loaded here.
if [ ! -c /dev/net/tun ] && command -v modprobe >/dev/null; then
    modprobe tun || true
fi
if [ ! -c /dev/net/tun ]; then
    printf 'setup: no /dev/net/tun: the lab needs it, builds do not\n' >&2
fi

if ! command -v cargo >/dev/null; then
    printf 'setup: no Rust toolchain; see https://rustup.rs\n' >&2
    exit 1
fi
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
have=$(rustc --version | cut -d' ' -f2)
if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n1)" != "$wanted" ]; then
    printf 'setup: Rust %s is too old, %s is needed (rustup update)\n' "$have" "$wanted" >&2
    exit 1
fi
for component in clippy fmt; do
    cargo "$component" --version >/dev/null 2>&1 || {
        printf 'setup: no cargo %s (rustup component add clippy rustfmt)\n' "$component" >&2
        exit 1
    }
done
