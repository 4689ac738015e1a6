#!/usr/bin/env bash
# failover.sh: Martlet beside etcd 3.5, three nodes each with TLS, their leader killed, paused, stopped.
#
#   Benchmarks/failover.sh                  5 runs of each signal: about 8 minutes
#   Benchmarks/failover.sh -r 1 -s KILL     a quick look
#
#   -r N       runs of every signal                                          (default 5)
#   -s A,B     signals to the leader                                         (default KILL,STOP,TERM)
#   -m BIN     Martlet; default: build it in release mode; "none" leaves it out
#   -e BIN     etcd; default: installed by setup.sh when missing; "none" leaves it out
#   -d DIR     where the servers keep their data and the results stay        (default .build/bench)
#
# What the columns mean: failover.py. Every run is a line of DIR/failover.jsonl.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/.." && pwd)
PREFIX=${PEER_PREFIX:-$HOME/.cache/etcd-peer}
RUNS=5 SIGNALS=KILL,STOP,TERM MARTLET= ETCD= DIR=$ROOT/.build/bench
while getopts r:s:m:e:d: flag; do
  case $flag in
    r) RUNS=$OPTARG ;; s) SIGNALS=$OPTARG ;; m) MARTLET=$OPTARG ;; e) ETCD=$OPTARG ;; d) DIR=$OPTARG ;;
    *) sed -n '2,13p' "$0" >&2; exit 2 ;;
  esac
done

if [ ! -x "$PREFIX/bin/etcd" ] || [ ! -x "$PREFIX/bin/etcdctl" ] || [ ! -x "$PREFIX/venv/bin/python" ]; then
  echo "failover: installing the peer into $PREFIX" >&2
  "$HERE/setup.sh" >&2
fi
if [ -z "$MARTLET" ]; then
  echo 'failover: building Martlet in release mode' >&2
  (cd "$ROOT" && swift build -c release --product martlet >&2)
  MARTLET=$ROOT/.build/release/martlet
fi
servers=()
[ "$ETCD" = none ] || servers+=(--server "etcd=${ETCD:-$PREFIX/bin/etcd}")
[ "$MARTLET" = none ] || servers+=(--server "martlet=$MARTLET")
mkdir -p "$DIR"
DIR=$(cd "$DIR" && pwd)
rm -f "$DIR/failover.jsonl"
"$PREFIX/venv/bin/python" "$HERE/failover.py" "${servers[@]}" --runs "$RUNS" --signals "$SIGNALS" \
  --folder "$DIR" --out "$DIR/failover.jsonl" | tee "$DIR/failover.txt"
