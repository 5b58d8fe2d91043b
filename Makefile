# The commands of this repository. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One profile for everything: what the demo runs is what the tests tested, and RocksDB is compiled once.
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
BINARIES := $(TARGET)/debug
DEMO_FLAGS := $(if $(filter 1 yes true,$(KEEP)),--keep)

.PHONY: help setup build demo test lint fmt bench clean-lab

help: ## Shows this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Installs what the machine lacks (Debian, root).
	@scripts/setup.sh

build: setup
	cargo build --workspace --all-targets --locked

demo: setup ## Runs the whole product in a lab on this machine (root). KEEP=1 leaves it up.
	cargo build --workspace --bins --locked
	$(BINARIES)/ringwall-demo run $(DEMO_FLAGS)

test: setup lint ## Checks, builds and tests everything (root).
	cargo build --workspace --all-targets --locked
	if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run --workspace --locked; \
	else \
	  cargo test --workspace --locked --no-fail-fast; \
	fi

lint: setup ## Formatting, clippy, documentation, licences, direction of dependencies, unused dependencies.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet
	cargo test --workspace --locked --quiet --test dependency_direction
	if cargo deny --version >/dev/null 2>&1; then cargo deny --workspace check licenses bans sources; fi

fmt: ## Formats the code.
	cargo fmt --all

bench: ## Measures the figures of the design and compares them with those of others (root). QUICK=1: fewer runs.
	@scripts/setup.sh bench
	cargo build --workspace --bins --locked
	$(BINARIES)/ringwall-bench

clean-lab: ## Removes what a kept or interrupted lab left.
	cargo build --workspace --bins --locked
	$(BINARIES)/ringwall-demo clean
