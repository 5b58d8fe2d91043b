# The commands of this repository. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One profile and one directory for everything: what the demonstration runs is what the tests tested, and RocksDB is compiled
# once, also by .ci/run and by other clones. Outside the checkout, so that a clean clone compiles only what changed.
ifeq ($(HOME)$(CARGO_TARGET_DIR),)
$(error neither HOME nor CARGO_TARGET_DIR is set: say where to build, e.g. make demo CARGO_TARGET_DIR=/var/tmp/ringwall)
endif
export CARGO_TARGET_DIR ?= $(HOME)/.cache/ringwall/target
BINARIES := $(CARGO_TARGET_DIR)/debug
DEMO_FLAGS := $(if $(filter 1 yes true,$(KEEP)),--keep)

.PHONY: help setup build demo test lint advisories fmt bench fuzz defences pentest clean-lab

help: ## Shows this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Installs what the machine lacks (Debian, root).
	@scripts/setup.sh test

build: ## Builds everything, tests included.
	@scripts/setup.sh build
	@scripts/build.sh build --workspace --all-targets --locked

demo: ## Runs the whole product in a lab on this machine (root). KEEP=1 leaves it up.
	@scripts/setup.sh demo
	@scripts/build.sh build --workspace --bins --locked
	"$(BINARIES)/ringwall-demo" run $(DEMO_FLAGS)

test: lint ## Checks, builds and tests everything (root).
	@scripts/build.sh build --workspace --all-targets --locked
	if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run --workspace --locked; \
	else \
	  cargo test --workspace --locked --no-fail-fast; \
	fi

lint: ## Formatting, clippy, documentation, licences, advisories, direction and use of dependencies.
	@scripts/setup.sh test
	cargo fmt --all --check
	@scripts/build.sh clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet
	cargo test --workspace --locked --quiet --test dependency_direction
	if cargo deny --version >/dev/null 2>&1; then cargo deny --workspace check licenses bans sources; fi
	@scripts/advisories.sh

advisories: ## Known vulnerabilities of dependencies, where a database can be had; says so where it cannot.
	@scripts/advisories.sh

fmt: ## Formats the code.
	cargo fmt --all

bench: ## Measures the figures of the design and compares them with those of others (root). QUICK=1: fewer runs.
	@scripts/setup.sh bench
	@scripts/build.sh build --workspace --bins --locked
	"$(BINARIES)/ringwall-bench"

fuzz: ## Runs the fuzz targets, for MINUTES=10 in all; TARGET=name: one of them.
	@scripts/fuzz.sh $(or $(MINUTES),10) $(TARGET)

defences: ## Takes each defence out and sees its test fail (root); ONLY=name: one of them. Writes docs/defences.md.
	@scripts/setup.sh test
	@scripts/defences.sh $(ONLY)

pentest: ## Attacks the product in a lab, and the admin API for MINUTES=10; a table of what held (root).
	@scripts/setup.sh pentest
	@scripts/build.sh build --workspace --bins --locked
	"$(BINARIES)/ringwall-pentest" --minutes $(or $(MINUTES),10)

clean-lab: ## Removes what a kept or interrupted lab left.
	@scripts/build.sh build --workspace --bins --locked
	"$(BINARIES)/ringwall-demo" clean
