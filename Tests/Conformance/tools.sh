#!/usr/bin/env bash
# tools.sh: installs what the conformance tests run with, once; running it again costs nothing.
#   tools.sh           etcdctl 3.4 and 3.5, the Python environments, h2load, curl, sqlite3, openssl, ip
#   tools.sh --etcd    also the etcd 3.4 and 3.5 servers and etcdutl 3.5: for the tests of import and
#                      export, and for those that validate themselves on etcd (ETCD_BIN)
#   tools.sh --patroni also Patroni and PostgreSQL of this machine's own suite: for test_patroni.py
# Binaries come from Debian packages (3.4: bookworm, 3.5: trixie), Python packages from PyPI; the
# machine's apt configuration is not touched. MARTLET_TOOLS names the place, default below.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
TOOLS=${MARTLET_TOOLS:-$HOME/.cache/martlet-tools}
WITH_ETCD=0 WITH_PATRONI=0
case ${1:-} in
  '') ;; --etcd) WITH_ETCD=1 ;; --patroni) WITH_PATRONI=1 ;; *) sed -n '2,8p' "$0" >&2; exit 2 ;;
esac
mkdir -p "$TOOLS/bin"
TOOLS=$(cd "$TOOLS" && pwd)
exec 9>"$TOOLS/lock"
flock 9
say() { printf 'tools: %s\n' "$*" >&2; }
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# ---- commands of this machine's own suite -------------------------------------------------------
missing=()
for pair in ip:iproute2 h2load:nghttp2-client curl:curl sqlite3:sqlite3 openssl:openssl; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if [ $WITH_PATRONI = 1 ]; then
  command -v patroni >/dev/null || missing+=(patroni)
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
  # Patroni's connections over TLS want it, and its package does not.
  /usr/bin/python3 -c 'import idna' 2>/dev/null || missing+=(python3-idna)
fi
if [ ${#missing[@]} -gt 0 ]; then
  say "installing ${missing[*]}"
  SUDO=; [ "$(id -u)" = 0 ] || SUDO=sudo
  $SUDO apt-get -qq update
  DEBIAN_FRONTEND=noninteractive $SUDO apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

# ---- etcdctl of two suites ----------------------------------------------------------------------
# A suite gets apt lists, cache and status of its own below $WORK, so any suite can be asked.
archive() {
  apt-get indextargets --format '$(REPO_URI)' "$@" 'Component: main' 2>/dev/null | head -n 1
}
unpack() { # SUITE PACKAGE...: their files below $WORK/SUITE/root
  local suite=$1 place=$WORK/$1 mirror
  shift
  mirror=${MARTLET_MIRROR:-$(archive 'Codename: bookworm')}
  [ -n "$mirror" ] || { apt-get -qq update || true; mirror=$(archive 'Origin: Debian'); }
  [ -n "$mirror" ] || { say 'no Debian archive is configured for apt: name one in MARTLET_MIRROR'; exit 1; }
  mkdir -p "$place"/{lists/partial,cache/archives/partial,debs,root}
  echo "deb $mirror $suite main" >"$place/sources.list"
  : >"$place/status"
  local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$place/sources.list" -o Dir::Etc::sourceparts=/nonexistent
    -o Dir::Etc::preferencesparts=/nonexistent -o Dir::Etc::preferences=/dev/null
    -o "Dir::State::lists=$place/lists" -o "Dir::State::status=$place/status" -o "Dir::Cache=$place/cache"
    -o Debug::NoLocking=1 -o APT::Sandbox::User=root)
  "${apt[@]}" update >"$place/log" 2>&1 && (cd "$place/debs" && "${apt[@]}" download "$@") >>"$place/log" 2>&1 ||
    { say "cannot get $* of $suite from $mirror:"; tail -n 20 "$place/log" >&2; exit 1; }
  for deb in "$place"/debs/*.deb; do dpkg-deb -x "$deb" "$place/root"; done
}
place_binary() { # SUITE NAME TARGET
  install -m 755 "$WORK/$1/root/usr/bin/$2" "$TOOLS/bin/$3.new"
  mv "$TOOLS/bin/$3.new" "$TOOLS/bin/$3"
}
if [ ! -x "$TOOLS/bin/etcdctl-3.4" ] ||
  { [ $WITH_ETCD = 1 ] && [ ! -x "$TOOLS/bin/etcd-3.4" ]; }; then
  say 'etcdctl 3.4 of bookworm'
  packages=(etcd-client)
  [ $WITH_ETCD = 0 ] || packages+=(etcd-server)
  unpack bookworm "${packages[@]}"
  place_binary bookworm etcdctl etcdctl-3.4
  [ $WITH_ETCD = 0 ] || place_binary bookworm etcd etcd-3.4
fi
if [ ! -x "$TOOLS/bin/etcdctl-3.5" ] ||
  { [ $WITH_ETCD = 1 ] && [ ! -x "$TOOLS/bin/etcdutl-3.5" ]; }; then
  say 'etcdctl 3.5 of trixie'
  packages=(etcd-client)
  [ $WITH_ETCD = 0 ] || packages+=(etcd-server)
  unpack trixie "${packages[@]}"
  place_binary trixie etcdctl etcdctl-3.5
  [ $WITH_ETCD = 0 ] || place_binary trixie etcd etcd-3.5
  [ $WITH_ETCD = 0 ] || place_binary trixie etcdutl etcdutl-3.5
fi

# ---- Python environments: the tests' own, and one per client library ----------------------------
environment() { # NAME REQUIREMENT...: made again when the list of requirements changed
  local place=$TOOLS/$1 wanted
  shift
  wanted=$(printf '%s\n' "$@")
  [ "$(cat "$place/requirements" 2>/dev/null)" != "$wanted" ] || return 0
  say "Python environment $place"
  rm -rf "$place"
  python3 -m venv "$place"
  "$place/bin/pip" install -q --disable-pip-version-check "$@"
  echo "$wanted" >"$place/requirements"
}
mapfile -t wanted < <(grep -v '^#' "$HERE/requirements.txt")
environment venv "${wanted[@]}"
# etcd3 is of 2020: its stubs refuse protobuf 4, its lock the wait functions of tenacity 7.
environment venv-etcd3 etcd3==0.12.0 protobuf==3.20.3 tenacity==6.3.1 grpcio==1.85.1
environment venv-etcd-client-py etcd-client-py==0.5.1
environment venv-aetcd aetcd==1.0.0 protobuf==7.36.2 grpcio==1.85.1
environment venv-etcd3gw etcd3gw==2.7.0
echo "$TOOLS"
