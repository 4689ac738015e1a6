#!/usr/bin/env bash
# run.sh: Martlet beside etcd 3.5 on this machine, in turn; prints one table with ratios.
#
#   Benchmarks/run.sh                     everything: about 20 minutes on 2 cores
#   Benchmarks/run.sh -r 1 -s 0.2 -k 0    a quick look: one repeat, a fifth of the load, no big data
#
#   -r N       repeats of every workload, etcd and Martlet interleaved             (default 3)
#   -s F       multiplies the operations of every workload                         (default 1)
#   -k N       keys of the big-data part, of one node; 0 leaves it out             (default 1000000)
#   -c CONFIG  the shape of both: 1n is one node; 3ntls-split three with TLS and HTTP on a port of its
#              own, etcd's best TLS mode (matrix.sh has more); CPU is summed over nodes  (default 1n)
#   -w a,b     only these workloads (bench.py --list names them)
#   -m BIN     the binary to measure as Martlet; default: build it in release mode
#   -e BIN     the binary to measure it against; default: etcd, installed by setup.sh when missing
#   -d DIR     where the servers keep their data and the results stay  (default .build/bench)
#
# Results: DIR/results.jsonl and DIR/bigdata.jsonl, one line a run; DIR/table.txt is what is printed.
# Compare only figures of one such run: the same server moves by 10 to 40 % from hour to hour.
# PEER_PREFIX, PEER_PORT, PEER_NICE: see setup.sh and cluster.sh.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/.." && pwd)
PREFIX=${PEER_PREFIX:-$HOME/.cache/etcd-peer}
REPEATS=3 SCALE=1 KEYS=1000000 CONFIG=1n ONLY= MARTLET= ETCD= DIR=$ROOT/.build/bench
while getopts r:s:k:c:w:m:e:d: flag; do
  case $flag in
    r) REPEATS=$OPTARG ;; s) SCALE=$OPTARG ;; k) KEYS=$OPTARG ;; c) CONFIG=$OPTARG ;; w) ONLY=$OPTARG ;;
    m) MARTLET=$OPTARG ;; e) ETCD=$OPTARG ;; d) DIR=$OPTARG ;;
    *) sed -n '2,20p' "$0" >&2; exit 2 ;;
  esac
done
say() { printf 'bench: %s\n' "$*" >&2; }

if [ ! -x "$PREFIX/bin/benchmark" ] || [ ! -x "$PREFIX/bin/loadgen" ] || [ ! -x "$PREFIX/bin/etcd" ] ||
  [ ! -x "$PREFIX/venv/bin/python" ]; then
  say "installing the peer into $PREFIX"
  "$HERE/setup.sh" >&2
fi
ETCD=${ETCD:-$PREFIX/bin/etcd}
if [ -z "$MARTLET" ]; then
  say 'building Martlet in release mode'
  (cd "$ROOT" && swift build -c release --product martlet >&2)
  MARTLET=$ROOT/.build/release/martlet
fi

mkdir -p "$DIR"
DIR=$(cd "$DIR" && pwd)
RESULTS=$DIR/results.jsonl BIG=$DIR/bigdata.jsonl
rm -f "$RESULTS" "$BIG"
# What the table has targets for, and the rest of what a node does.
ONLY=${ONLY:-idle,put-seq,put-c100,put-c1000,range-lin-1,range-lin,range-ser,range-page1000,txn-put4,txn-mixed,mixed-3to1,watch-100x200,watch-100xmax,lease-keepalive,lease-cycle}
PEER_DISK=$DIR "$HERE/matrix.sh" -r "$REPEATS" -o "$RESULTS" -x "--only $ONLY --scale $SCALE" \
  -v "etcd=$ETCD" -v "martlet=$MARTLET" "$CONFIG" >"$DIR/summary.txt"

if [ "$KEYS" != 0 ] && [ "$CONFIG" = 1n ]; then
  data=$DIR/bigdata
  for server in "etcd=$ETCD" "martlet=$MARTLET"; do
    say "$KEYS keys: ${server%%=*}"
    "$HERE/cluster.sh" wipe -d "$data"
    "$HERE/cluster.sh" start -d "$data" -n 1 -b "${server#*=}" >/dev/null
    "$PREFIX/venv/bin/python" "$HERE/bigdata.py" --cluster "$HERE/cluster.sh -d $data" --keys "$KEYS" \
      --label "${server%%=*}" --out "$BIG" >/dev/null || say "the big-data part failed on ${server%%=*}"
    "$HERE/cluster.sh" wipe -d "$data"
  done
fi
{
  printf '%s cores, Linux %s; fdatasync into preallocated space: ' "$(nproc)" "$(uname -r)"
  python3 "$HERE/fsync.py" "$DIR" 500 | grep '"prealloc", "bytes": 4096'
  python3 "$HERE/compare.py" "$RESULTS" "$BIG"
} | tee "$DIR/table.txt"
