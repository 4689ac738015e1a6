"""migration.py: what the tests of data in and out share: commands, histories, and two servers compared.

Belongs here: running `martlet COMMAND`, filling a server, comparing two. Never here: expectations.
Binaries of etcd come from tools.sh --etcd: etcd-3.4, etcd-3.5, etcdutl-3.5.
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from client import Client, op_delete, op_put
from etcdctl import TOOLS
from server import Server, binary

SECONDS = 300
ALL = b"\0"


def tool(name: str) -> Path:
    path = TOOLS / "bin" / name
    if not path.exists():
        pytest.fail(f"no {path}: run Tests/Conformance/tools.sh --etcd first")
    return path


def martlet(*arguments: object, stdin: str = "", status: int | None = 0,
            ) -> subprocess.CompletedProcess[str]:
    """Runs a command that works on files; `status` None takes any."""
    done = subprocess.run(
        [str(binary()), *map(str, arguments)], input=stdin, capture_output=True, text=True,
        timeout=SECONDS)
    if status is not None:
        assert done.returncode == status, f"{arguments}: exit {done.returncode}\n{done.stderr}"
    return done


def refused(*arguments: object, saying: str, status: int = 1) -> str:
    """The standard error of a command that must fail with such words."""
    done = martlet(*arguments, status=status)
    assert re.search(saying, done.stderr), done.stderr
    return done.stderr


def etcdctl(server: Server, *arguments: str, version: str = "3.5", stdin: str = "") -> str:
    done = subprocess.run(
        [str(tool(f"etcdctl-{version}")), f"--endpoints={server.endpoint}", *arguments],
        input=stdin, capture_output=True, text=True, timeout=SECONDS,
        env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stderr}"
    return done.stdout


def etcdutl(*arguments: object, status: int = 0) -> str:
    done = subprocess.run(
        [str(tool("etcdutl-3.5")), *map(str, arguments)], capture_output=True, text=True,
        timeout=SECONDS)
    assert done.returncode == status, f"{arguments}: exit {done.returncode}\n{done.stderr}"
    return done.stdout


@contextmanager
def serving(data_dir: Path | None = None, *, etcd: str = "", flags: tuple[str, ...] = ()
            ) -> Iterator[tuple[Server, Client]]:
    """A server on a directory, Martlet's or that of an etcd release, and a client of it."""
    executable = tool(f"etcd-{etcd}") if etcd else None
    server = Server(list(flags), data_dir=data_dir, executable=executable)
    client = Client(server.endpoint)
    try:
        yield server, client
        # Tests may end it themselves, in any of these ways.
        if server.process.poll() not in (None, 0, -signal.SIGTERM, -signal.SIGKILL):
            server.check_alive()
    finally:
        client.close()
        server.close()


def restore_flags(server: Server) -> list[str]:
    """The flags by which a store becomes that of this server, which must not run."""
    peer = f"http://127.0.0.1:{server.peer_port}"
    return [f"--name={server.name}", f"--data-dir={server.data_dir}",
            f"--initial-cluster={server.name}={peer}", f"--initial-advertise-peer-urls={peer}"]


def fill(client: Client, keys: int, seed: int = 1) -> None:
    """A history with every kind of change: puts, overwrites, leases, deletes, multi-key revisions."""
    dice = random.Random(seed)
    leases = [client.grant(100_000 + n, 0x1000 * seed + n).ID for n in range(5)]
    names = [b"/registry/%08d" % n for n in range(keys)]
    for start in range(0, keys, 100):
        client.txn(success=[
            op_put(name, dice.randbytes(dice.randrange(1, 300)),
                   lease=dice.choice(leases) if dice.random() < 0.02 else 0)
            for name in names[start:start + 100]])
    for _ in range(max(20, keys // 100)):
        chosen = dice.sample(names, min(keys, 5))
        what = dice.random()
        if what < 0.5:
            client.put(chosen[0], dice.randbytes(50))
        elif what < 0.7:
            client.delete(chosen[0])
        elif what < 0.8:
            client.delete(chosen[0], chosen[0] + b"0")
        else:
            client.txn(success=[op_put(name, b"t") for name in chosen[1:]]
                       + [op_delete(chosen[0])])
    client.put(b"empty", b"")
    client.put(b"bytes\x00\xff", bytes(range(256)))


def everything(client: Client, revision: int = 0) -> list[bytes]:
    """All keys with all of their fields, in order."""
    found: list[bytes] = []
    start = ALL
    while True:
        reply = client.range(start, ALL, limit=5000, revision=revision)
        found += [kv.SerializeToString() for kv in reply.kvs]
        if not reply.more:
            return found
        start = reply.kvs[-1].key + b"\0"


def events(client: Client, first: int, last: int) -> list[bytes]:
    """Every change from one revision to another, in order."""
    found: list[bytes] = []
    with client.watch() as stream:
        stream.create(ALL, ALL, start_revision=first)
        while True:
            for event in stream.receive(60).events:
                if event.kv.mod_revision > last:
                    return found
                found.append(event.SerializeToString())
            if found and event.kv.mod_revision == last:
                return found


def leases(client: Client) -> dict[int, tuple[int, list[bytes]]]:
    """Each lease with its granted time and its keys."""
    return {
        status.ID: (reply.grantedTTL, sorted(reply.keys))
        for status in client.leases().leases
        for reply in [client.time_to_live(status.ID, keys=True)]
    }


def compacted(client: Client) -> int:
    """The compacted revision, -1 if there is none."""
    return client.hash_kv(0).compact_revision


def compare(left: Client, right: Client, *, step: int = 1, since: int = 0) -> None:
    """Fails unless two servers hold the same: now, at old revisions, and all changes between."""
    revision = left.revision()
    assert right.revision() == revision
    assert everything(left) == everything(right)
    assert leases(left) == leases(right)
    first = max(compacted(left), since, 1)
    assert compacted(left) == compacted(right)
    for at in sorted({*range(first + 1, revision + 1, step), revision}):
        one, two = left.hash_kv(at), right.hash_kv(at)
        assert (one.hash, one.compact_revision) == (two.hash, two.compact_revision), at
    for at in sorted({first + 1, (first + revision) // 2, revision}):
        assert everything(left, at) == everything(right, at), at
    assert events(left, first + 1, revision) == events(right, first + 1, revision)
