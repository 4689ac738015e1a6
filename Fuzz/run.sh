#!/bin/sh
# Builds the fuzzers and runs each for a bounded time: run.sh [seconds each]. New inputs are kept outside the tree; an
# input that breaks something is written to the current directory as crash-*.
set -eu
cd "$(dirname "$0")"
swift build -c release
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
for target in FuzzTransport FuzzWire FuzzJSON FuzzBolt FuzzAccess; do
  mkdir -p "$found/$target" "Corpus/$target"
  echo "fuzz: $target for ${1:-60} s"
  ".build/release/$target" -max_total_time="${1:-60}" -max_len=4096 -timeout=10 \
    -rss_limit_mb=2048 "$found/$target" "Corpus/$target" >"$found/log" 2>&1 ||
    { tail -n 40 "$found/log"; exit 1; }
  grep '^Done' "$found/log"
done
