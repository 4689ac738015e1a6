#!/usr/bin/env bash
# as_root.sh COMMAND...: runs it with the right to make network namespaces (network.py).
# Root has it. Anyone else becomes root of a user namespace with a network of its own: loopback and
# what the tests make, nothing else; files stay the caller's. Needs no sudo.
set -euo pipefail
[ "$(id -u)" != 0 ] || exec "$@"
exec unshare --map-root-user --net --mount sh -euc \
  'mount -t tmpfs tmpfs /run; ip link set lo up; exec "$@"' sh "$@"
