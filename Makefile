# banger's make targets. Each gets what it needs by itself (scripts/setup.sh), so any of them works
# in a fresh clone. `make help` lists them.
.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory

DENO := .tools/bin/deno
export DENO_DIR := $(CURDIR)/.tools/deno-dir
export DENO_NO_UPDATE_CHECK := 1
export DENO_TLS_CA_STORE ?= system,mozilla
export PATH := $(CURDIR)/.tools/bin:$(PATH)

.PHONY: help setup build test lint coverage faults demo clean release

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## Get Deno, the npm packages and the Debian packages
	@scripts/setup.sh

build: setup ## Build build/bin/banger and build/bin/banger-agent
	@flock .tools/build.lock $(DENO) run --allow-all scripts/build.ts

test: ## Run every test: the gate, then the built program, then virtual machines
	@scripts/setup.sh --tests
	@$(MAKE) build
	@$(DENO) run --allow-all tests/run.ts

lint: setup ## Check format, lint rules and types
	@$(DENO) task check

coverage: setup ## Run the unit tests and report the lines that they cover
	@rm -rf coverage
	@$(DENO) task test:unit --coverage=coverage
	@$(DENO) coverage coverage

faults: ## Have every effect of every operation go wrong once, in every way
	@scripts/setup.sh --tests
	@$(MAKE) build
	@$(DENO) run --allow-all --no-check tests/faults/matrix.ts

demo: build ## Run a command in a fresh virtual machine, inside this repository
	@build/bin/banger vm run --rm -- sh -c 'uname -a; git log --oneline | head -3; ls'

release: setup ## Compile both programs for x86_64 and aarch64 (needs the denort base binaries)
	@flock .tools/build.lock $(DENO) run --allow-all scripts/build.ts --release

clean: ## Remove what was built and downloaded
	@rm -rf build coverage .tools
