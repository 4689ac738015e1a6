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
PYTHON = $(MARTLET_TOOLS)/venv/bin/python
PYTEST = ./as_root.sh $(PYTHON) -m pytest
JOBS ?= 2
ROUNDS ?= 200
SECONDS_PER_TARGET ?= 60
# A world gives back its memory, and the next one wants as much: fresh pages are dear.
SIM := GLIBC_TUNABLES=glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296 \
    .build-sim/release/martlet-sim
TIME ?= 60
SEED ?=
SCENARIO ?=
COUNT ?= 1000
# Worlds have one thread: references are counted without atomic instructions, and calls into Swift's runtime are
# direct. Overlapping accesses to one variable are looked for in the debug builds of the tests, not here
# (EXCLUSIVITY=checked looks for them here, too).
EXCLUSIVITY ?= unchecked
SIM_FLAGS := -Xswiftc -enable-testing -Xswiftc -DSIMULATION --static-swift-stdlib \
    -Xswiftc -Xfrontend -Xswiftc -assume-single-threaded \
    -Xswiftc -enforce-exclusivity=$(EXCLUSIVITY) -Xswiftc -cross-module-optimization

.PHONY: help setup build run cluster format lint unit conformance test crash soak patroni \
        fuzz fuzz-short bench bench-cluster failover sim sim-build sim-figures \
        sim-ledger sim-twice clean

help:
	@echo 'make run     build and start one node on 127.0.0.1:2379 (FLAGS="--name=n" adds flags)'
	@echo 'make cluster start three nodes with TLS on 127.0.0.1, and say how to use them'
	@echo 'make test    format check, unit tests, conformance tests with real clients'
	@echo 'make build   the release binary $(MARTLET)'
	@echo 'make unit    the unit tests alone; make conformance: the others alone'
	@echo 'make crash   kill -9 under load, ROUNDS=200 times, checking that nothing is lost'
	@echo 'make soak    every fault of a cluster in long loops (MARTLET_SOAK_SECONDS=600)'
	@echo 'make patroni Patroni fails a real PostgreSQL over (installs both from Debian)'
	@echo 'make fuzz    fuzz parsers and permissions, SECONDS_PER_TARGET=60'
	@echo 'make sim     whole clusters under virtual time, TIME=60 seconds of fresh seeds'
	@echo '             (SEED=7 SCENARIO=Simulation/Scenarios/kv.txt replays one)'
	@echo 'make sim-ledger  which planted bugs the simulator finds, and after how many seeds'
	@echo 'make sim-twice  whether COUNT=1000 short worlds run the same a second time'
	@echo 'make sim-figures  how fast the simulator is'
	@echo 'make bench   Martlet and etcd side by side (BENCH="-r 1 -s 0.2 -k 0": a quick look)'
	@echo 'make bench-cluster, make failover   the same with three nodes and TLS'
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

# Data and certificates stay in ./cluster.martlet for the next time.
cluster: build
	@exec Tools/cluster.py --binary=$(MARTLET) $(FLAGS)

format:
	swift format --in-place --recursive --parallel $(SOURCES)

lint:
	swift format lint --strict --recursive --parallel $(SOURCES)

# Debug: preconditions, assertions and @testable; the binary that real clients meet is release.
unit: setup lint
	swift build --build-tests $(IMPORTS)
	swift test --skip-build

conformance: build
	Tests/Conformance/tools.sh --etcd
	cd Tests/Conformance && $(PYTEST) -q -n $(JOBS)

# A short run of the fuzzers: what breaks at once must not land; `make fuzz` looks further.
fuzz-short: setup
	Fuzz/run.sh 15

test: unit fuzz-short conformance

crash: build
	Tests/Conformance/tools.sh
	$(PYTHON) Tests/Conformance/crash.py --rounds $(ROUNDS)

soak: build
	Tests/Conformance/tools.sh
	cd Tests/Conformance && $(PYTEST) -q -s -m soak

# Not by as_root.sh: as root PostgreSQL runs as the user `postgres`, whom a user namespace lacks.
patroni: build
	Tests/Conformance/tools.sh --patroni
	cd Tests/Conformance && $(PYTHON) -m pytest -q -m slow test_patroni.py

fuzz: setup
	Fuzz/run.sh $(SECONDS_PER_TARGET)

# Release code with its inner parts in reach, and with the switches for planted bugs.
sim-build: setup
	swift build -c release --product martlet-sim --scratch-path .build-sim $(SIM_FLAGS)

sim: sim-build
	$(SIM) --time $(TIME) $(if $(SEED),--seed $(SEED)) $(if $(SCENARIO),--scenario $(SCENARIO)) \
	    --output .build-sim

sim-figures: sim-build
	$(SIM) --figures

sim-twice: sim-build
	$(SIM) --short --twice --keep-going --no-minimise --no-files --count $(COUNT) \
	    $(if $(SEED),--from $(SEED))

sim-ledger: sim-build
	$(SIM) --ledger Documentation/Ledger.md --time $(TIME)

bench: setup
	Benchmarks/run.sh $(BENCH)

bench-cluster: setup
	Benchmarks/run.sh -c 3ntls-split $(BENCH)

failover: setup
	Benchmarks/failover.sh $(FAILOVER)

clean:
	rm -rf .build .build-* .venv default.martlet cluster.martlet
	find . -name __pycache__ -prune -exec rm -rf {} +
