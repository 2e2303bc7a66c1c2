# Hero Logic. `make help` lists what there is; `make demo` and `make test` set up what they need under target/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := target/venv
BIN := $(VENV)/bin
WHEELS := target/wheels

# rustup's cargo looks for its toolchains in $HOME. Where HOME is another one than when it was installed
# (a container, a clean-room run), this points it back to them.
CARGO := $(shell command -v cargo)
RUSTUP_OWNER := $(patsubst %/.cargo/bin/cargo,%,$(CARGO))
ifneq ($(wildcard $(RUSTUP_OWNER)/.rustup),)
export CARGO_HOME ?= $(RUSTUP_OWNER)/.cargo
export RUSTUP_HOME ?= $(RUSTUP_OWNER)/.rustup
endif

# One profile for the demo, the tests and the programs under test: what one has built the others take. It checks
# more and builds in half the time; `pip install ./pyhero` builds for release.
export HERO_BUILD_PROFILE ?= dev

# What a developer happens to have set must not decide what a test or the demo does.
unexport HERO_HOME HERO_SOCKET_DIR HERO_PYTHON HERO_LOG VIRTUAL_ENV PYTHONPATH PYTHONHOME

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- For newcomers ------------------------------------------------------------------------------

.PHONY: demo
demo: install ## Runs a release approval to its question, answers it, and shows the result
	@examples/release_approval/demo.sh $(BIN)

.PHONY: test
test: test-rust test-types test-python test-system ## All tests, from nothing; what CI runs

# --- For developers -----------------------------------------------------------------------------

.PHONY: check
check: need-cargo $(VENV)/.tools ## What every commit passes: format, lints, quick tests
	cargo fmt --all --check
	$(BIN)/ruff format --check pyhero examples tests
	$(BIN)/ruff check pyhero examples tests
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked --quiet

.PHONY: torture
torture: install ## The faults, as often as before a release; takes hours
	HERO_TORTURE=1 cargo test --locked --quiet -p hero_core -p hero_store --tests
	HERO_TORTURE=1 $(BIN)/pytest tests/faults tests/programs tests/fuzz tests/bad_inputs

# What is fuzzed holds no unsafe code, so no sanitizer watches it, and it runs ten times as often. The flags tell
# libFuzzer which branches an input has reached; `--target` keeps them away from build scripts.
FUZZ_SECONDS ?= 120
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Clink-dead-code -Cdebug-assertions
.PHONY: fuzz
fuzz: need-cargo ## Feeds libFuzzer's inputs to what reads those of strangers (needs a nightly Rust)
	@host=$$(rustc -vV | sed -n 's/^host: //p'); \
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo +nightly build --release --locked --target $$host \
		--manifest-path tests/fuzz/Cargo.toml --target-dir target/fuzz; \
	for target in canonical frames records envelopes; do \
		echo "--- $$target"; \
		mkdir -p target/fuzz/corpus/$$target target/fuzz/failed; \
		target/fuzz/$$host/release/$$target target/fuzz/corpus/$$target tests/fuzz/corpus/$$target \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=target/fuzz/failed/$$target-; \
	done

# A wheel for release in an environment of its own: what users install is what is measured.
BENCH := target/bench
.PHONY: bench
bench: need-cargo ## Speed beside other engines, on an idle machine; QUICK=1: this project alone
	@[ -e $(BENCH)/venv/bin/python ] || $(PYTHON) -m venv $(BENCH)/venv
	@echo "building the programs for release; the first time takes some minutes"
	@HERO_BUILD_PROFILE=release $(BENCH)/venv/bin/python -m pip wheel --quiet --no-deps --wheel-dir $(BENCH)/wheels ./pyhero
	@$(BENCH)/venv/bin/python -m pip install --quiet --force-reinstall --no-deps $(BENCH)/wheels/pyhero-*.whl
	@cd tests && $(CURDIR)/$(BENCH)/venv/bin/python -m bench --programs $(CURDIR)/$(BENCH)/venv/bin \
		--output $(CURDIR)/$(BENCH) --size $(if $(QUICK),quick,full)

.PHONY: fmt
fmt: need-cargo $(VENV)/.tools ## Formats everything
	cargo fmt --all
	$(BIN)/ruff check --fix --quiet pyhero examples tests
	$(BIN)/ruff format pyhero examples tests

.PHONY: deny
deny: need-cargo ## Holds the dependencies to deny.toml (needs cargo-deny)
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing"; echo "hint: cargo install --locked cargo-deny"; exit 1; }
	cargo deny --locked check licenses bans sources

.PHONY: install
install: $(VENV)/.pyhero ## The wheel, built and installed into target/venv

.PHONY: clean
clean: ## Removes all that was built or set up here
	rm -rf target

# --- The parts of `make test` -------------------------------------------------------------------

.PHONY: test-rust
test-rust: need-cargo
	cargo test --workspace --locked --quiet

.PHONY: test-types
test-types: install
	cd pyhero && ../$(BIN)/mypy src tests/typing
	cd pyhero && ../$(BIN)/pyright --pythonpath ../$(BIN)/python
	$(BIN)/stubtest pyhero._native
	$(BIN)/mypy --strict --exclude /flows/ tests/*.py tests/support tests/faults tests/bench tests/programs tests/bad_inputs tests/fuzz
	cd tests/faults/flows && $(CURDIR)/$(BIN)/mypy --strict --explicit-package-bases *.py

.PHONY: test-python
test-python: install
	$(BIN)/python tests/every_python.py $(WHEELS) target/pythons pyhero/tests

.PHONY: test-system
test-system: install
	$(BIN)/pytest tests

# --- Setting up ---------------------------------------------------------------------------------

.PHONY: need-cargo
need-cargo:
	@[ -n "$(CARGO)" ] || { echo "cargo is not on the PATH"; echo "hint: install Rust from https://rustup.rs"; exit 1; }

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "\`$(PYTHON)\` is missing or older than 3.10"; echo "hint: make PYTHON=/path/to/python3.10-or-newer"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "\`$(PYTHON)\` cannot make virtual environments"; echo "hint: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.tools: tests/requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --requirement tests/requirements.txt
	@touch $@

# cargo knows better than make what has changed, so the wheel is asked for each time; an unchanged one is
# installed only once.
.PHONY: wheel
wheel: need-cargo $(VENV)/.tools
	@[ -e $(VENV)/.pyhero ] || echo "building the programs; the first time takes some minutes"
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir $(WHEELS) ./pyhero

$(VENV)/.pyhero: wheel
	@if ! cmp --silent $(WHEELS)/pyhero-*.whl $@; then \
		$(BIN)/python -m pip install --quiet --force-reinstall --no-deps $(WHEELS)/pyhero-*.whl; \
		cp $(WHEELS)/pyhero-*.whl $@; \
	fi
