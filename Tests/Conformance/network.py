"""network.py: one network namespace per member, so that any direction between two can be cut.

Belongs here: namespaces, addresses, cuts. Never here: processes (cluster.py).
Linux, the `ip` command and root, or as_root.sh; without them `Network()` fails and says so: a test
of partitions that cuts nothing would prove nothing. Addresses are of 198.18.0.0/15, which is set
aside for tests.

A cut is a routing rule of the receiver ("drop what comes from X"), so it is silent and one-way:
packets vanish as on a broken link, and no socket sees an error but by time.
"""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
from pathlib import Path
from typing import IO

SUBNETS = range(1, 250)


class NetworkFailed(AssertionError):
    """The `ip` command refused; namespaces need root."""


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise NetworkFailed(
            f"ip {' '.join(arguments)}: {done.stderr.strip()}: cluster tests with cuts need root or"
            " as_root.sh; to leave them out: pytest -m 'not netns and not slow and not soak'")
    return done.stdout


class Network:
    """A bridge and its namespaces; the tests' own side is reached by every member, uncut."""

    def __init__(self) -> None:
        self.number, self._lock = self._free_subnet()
        self.bridge = f"mtbr{self.number}"
        self.nodes = 0
        self.cuts: set[tuple[int, int]] = set()
        self._sweep()
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"198.18.{self.number}.254/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")

    @staticmethod
    def _free_subnet() -> tuple[int, IO[str]]:
        """A number that no other run holds; the lock lasts as long as the file is open."""
        for number in SUBNETS:
            try:
                lock = open(Path(tempfile.gettempdir()) / f"martlet-subnet-{number}", "w")
            except PermissionError:
                continue  # another user's
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return number, lock
            except BlockingIOError:
                lock.close()
        raise NetworkFailed("every subnet for tests is in use")

    def _sweep(self) -> None:
        """Removes what a killed run with this number left."""
        # Links first: a namespace's own links live on for a while after its name is gone.
        for line in _ip("-o", "link", "show").splitlines():
            link = line.split()[1].split("@")[0].rstrip(":")
            if link == self.bridge or link.startswith(f"mt{self.number}v"):
                _ip("link", "del", link)
        for line in _ip("netns", "list").splitlines():
            if line.startswith(f"mt{self.number}-"):
                _ip("netns", "del", line.split()[0])

    def add(self) -> int:
        """A namespace more; its number, counting from 0."""
        node = self.nodes
        self.nodes += 1
        name, outside = self.name(node), f"mt{self.number}v{node}"
        _ip("netns", "add", name)
        _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", outside, "master", self.bridge, "up")
        _ip("-n", name, "addr", "add", f"{self.host(node)}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "link", "set", "eth0", "up")
        # Cuts must come before local delivery, and hold for sockets that are open already.
        _ip("-n", name, "rule", "add", "pref", "100", "lookup", "local")
        _ip("-n", name, "rule", "del", "pref", "0")
        _ip("netns", "exec", name, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_early_demux")
        return node

    def name(self, node: int) -> str:
        return f"mt{self.number}-{node}"

    def host(self, node: int) -> str:
        return f"198.18.{self.number}.{node + 1}"

    def launcher(self, node: int) -> list[str]:
        """What a command must begin with to run there; the process keeps its id."""
        return ["ip", "netns", "exec", self.name(node)]

    def cut(self, source: int, target: int) -> None:
        """Nothing that `source` sends reaches `target`; the other direction stays."""
        if (source, target) not in self.cuts:
            self._rule("add", source, target)
            self.cuts.add((source, target))

    def isolate(self, node: int) -> None:
        """Cuts both directions between the node and every other one."""
        for other in range(self.nodes):
            if other != node:
                self.cut(node, other)
                self.cut(other, node)

    def heal(self) -> None:
        """Ends every cut."""
        for source, target in sorted(self.cuts):
            self._rule("del", source, target)
        self.cuts.clear()

    def _rule(self, action: str, source: int, target: int) -> None:
        _ip("-n", self.name(target), "rule", action, "pref", str(10 + source),
            "from", self.host(source), "iif", "eth0", "blackhole")

    def close(self) -> None:
        """Removes everything; call it once the processes in it are gone."""
        self._sweep()
        self._lock.close()
