# Makefile: the commands of this repository. `make run` and `make test` need nothing prepared but
# Swift 6.3: what is missing of Debian's packages is installed first.
# Belongs here: what is run in which order. Never here: what a test expects.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PACKAGES := libsqlite3-dev libssl-dev liblz4-dev libnghttp2-dev pkg-config
MODULES := sqlite3 openssl liblz4 libnghttp2
SOURCES := $(wildcard Package.swift Sources Tests Simulation Benchmarks Fuzz)
MARTLET := .build/release/martlet
# A target may import only what it declares.
IMPORTS := --explicit-target-dependency-import-check error

# Tools and Python environments of the conformance tests; they stay between runs.
export MARTLET_TOOLS ?= $(CURDIR)/.venv
PYTEST = $(MARTLET_TOOLS)/venv/bin/python -m pytest -n $(JOBS)
JOBS ?= 2
ROUNDS ?= 200
SECONDS_PER_TARGET ?= 60

.PHONY: help setup build run format lint unit conformance test crash fuzz fuzz-short bench clean

help:
	@echo 'make run     build and start one node on 127.0.0.1:2379 (FLAGS="--name=n" adds flags)'
	@echo 'make test    format check, unit tests, conformance tests with real clients'
	@echo 'make build   the release binary $(MARTLET)'
	@echo 'make unit    the unit tests alone; make conformance: the others alone'
	@echo 'make crash   kill -9 under load, ROUNDS=200 times, checking that nothing is lost'
	@echo 'make fuzz    fuzz the parsers, SECONDS_PER_TARGET=60'
	@echo 'make bench   Martlet and etcd side by side (BENCH="-r 1 -s 0.2 -k 0": a quick look)'
	@echo 'make format  rewrite the sources in the one format'
	@echo 'make clean   remove what building and testing left here'

# Installs only what pkg-config cannot find, so a prepared machine needs no network and no root.
setup:
	@if ! pkg-config --exists $(MODULES) 2>/dev/null; then \
	    echo 'installing $(PACKAGES)'; \
	    sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    $$sudo apt-get -qq update; \
	    DEBIAN_FRONTEND=noninteractive $$sudo apt-get -qq install -y --no-install-recommends \
	        $(PACKAGES) >/dev/null; \
	fi

build: setup
	swift build -c release --product martlet

run: build
	@echo
	@echo 'Starting one node on 127.0.0.1:2379 with its data in ./default.martlet.'
	@echo 'Once it says "ready to serve client requests", try it in another terminal'
	@echo '(etcdctl is in the Debian package etcd-client):'
	@echo '    export ETCDCTL_API=3'
	@echo '    etcdctl put greeting hello'
	@echo '    etcdctl get greeting'
	@echo 'Ctrl-C stops it.'
	@echo
	@exec $(MARTLET) --data-dir=default.martlet --listen-client-urls=http://127.0.0.1:2379 \
	    --advertise-client-urls=http://127.0.0.1:2379 $(FLAGS)

format:
	swift format --in-place --recursive --parallel $(SOURCES)

lint:
	swift format lint --strict --recursive --parallel $(SOURCES)

# Debug: preconditions, assertions and @testable; the binary that real clients meet is release.
unit: setup lint
	swift build --build-tests $(IMPORTS)
	swift test --skip-build

conformance: build
	Tests/Conformance/tools.sh
	cd Tests/Conformance && $(PYTEST) -q

# A short run of the fuzzers: what breaks at once must not land; `make fuzz` looks further.
fuzz-short: setup
	Fuzz/run.sh 15

test: unit fuzz-short conformance

crash: build
	Tests/Conformance/tools.sh
	$(MARTLET_TOOLS)/venv/bin/python Tests/Conformance/crash.py --rounds $(ROUNDS)

fuzz: setup
	Fuzz/run.sh $(SECONDS_PER_TARGET)

bench: setup
	Benchmarks/run.sh $(BENCH)

clean:
	rm -rf .build .build-* .venv default.martlet
	find . -name __pycache__ -prune -exec rm -rf {} +
