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
  # A whole member for each input wears the allocator out, by 1 MB each: there a process makes way for the next.
  case $target in FuzzAccess) mode=-fork=1 ;; *) mode=-fork=0 ;; esac
  ".build/release/$target" -max_total_time="${1:-60}" -max_len=4096 -timeout=10 \
    -rss_limit_mb=2048 "$mode" "$found/$target" "Corpus/$target" >"$found/log" 2>&1 ||
    { tail -n 40 "$found/log"; exit 1; }
  tail -n 1 "$found/log"
done
