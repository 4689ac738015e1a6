#!/usr/bin/env python3
"""cluster.py: three nodes with TLS on this machine, for trying things out; `make cluster`.

    cluster.py [--binary .build/release/martlet] [--folder cluster.martlet] [--port 23790] [--plain]

Makes certificates once, starts the nodes, prints commands to paste, runs until Ctrl-C and then
stops every node. Run again, it goes on with the same data. A node that ends meanwhile is not
started again: that is for you to try, with the command printed.
Belongs here: what a first look needs. Never here: anything for production (Documentation/).
Standard library only.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/Conformance"))
from certs import Authority  # noqa: E402

HOST = "127.0.0.1"
SIZE = 3
START_SECONDS = 30.0
STOP_SECONDS = 20.0


class Node:
    """One process: its ports, its command, its log."""

    def __init__(self, given: argparse.Namespace, number: int) -> None:
        self.given, self.number = given, number
        self.folder = given.folder / f"n{number}"
        self.scheme = "http" if given.plain else "https"
        self.client_port = given.port + 2 * (number - 1)
        self.log_path = given.folder / f"n{number}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{HOST}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        return f"{self.scheme}://{HOST}:{self.client_port + 1}"

    def command(self, nodes: list[Node]) -> list[str]:
        tls = self.given.folder / "tls"
        line = [
            str(self.given.binary), f"--name=n{self.number}", f"--data-dir={self.folder}",
            f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={self.peer_url}",
            f"--initial-advertise-peer-urls={self.peer_url}",
            "--initial-cluster=" + ",".join(f"n{n.number}={n.peer_url}" for n in nodes),
            "--initial-cluster-state=new", "--initial-cluster-token=make-cluster",
        ]
        if not self.given.plain:
            line += [
                f"--cert-file={tls}/server.pem", f"--key-file={tls}/server.key",
                f"--trusted-ca-file={tls}/ca.pem", "--client-cert-auth",
                f"--peer-cert-file={tls}/peer.pem", f"--peer-key-file={tls}/peer.key",
                f"--peer-trusted-ca-file={tls}/ca.pem", "--peer-client-cert-auth"]
        return line

    def start(self, nodes: list[Node]) -> None:
        with open(self.log_path, "ab") as log:
            # A session of its own: Ctrl-C comes to this script alone, which stops them in order.
            self.process = subprocess.Popen(
                self.command(nodes), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)

    def answers(self) -> bool:
        try:
            socket.create_connection((HOST, self.client_port), timeout=0.2).close()
        except OSError:
            return False
        return True


def make_certificates(folder: Path) -> None:
    if (folder / "peer.pem").exists():
        return
    authority = Authority(folder)
    for name in ("server", "client", "peer"):
        authority.issue(name, [HOST, "localhost"])


def wait_ready(nodes: list[Node]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not all(node.answers() for node in nodes):
        for node in nodes:
            if node.process.poll() is not None:
                lines = node.log_path.read_text(errors="replace").splitlines()
                # Others may follow while it stops; the one that says why is of this level.
                why = [line for line in lines if '"level":"fatal"' in line][-1:] or lines[-8:]
                raise SystemExit(f"cluster: n{node.number} ended with status "
                                 f"{node.process.returncode}; from {node.log_path}:\n"
                                 + "\n".join(why))
        if time.monotonic() > deadline:
            raise SystemExit(f"cluster: not ready after {START_SECONDS:g} s; the logs are "
                             f"{nodes[0].log_path.parent}/n*.log")
        time.sleep(0.1)


def explain(given: argparse.Namespace, nodes: list[Node]) -> None:
    tls = shlex.quote(str(given.folder / "tls"))
    print("\nThree nodes run" + (":" if given.plain else " with TLS:"))
    for node in nodes:
        print(f"    n{node.number}  {node.url}  process {node.process.pid}  log {node.log_path}")
    print("\nIn another terminal (etcdctl is in the Debian package etcd-client):")
    print("    export ETCDCTL_API=3")
    print(f"    export ETCDCTL_ENDPOINTS={','.join(node.url for node in nodes)}")
    if not given.plain:
        print(f"    export ETCDCTL_CACERT={tls}/ca.pem "
              f"ETCDCTL_CERT={tls}/client.pem ETCDCTL_KEY={tls}/client.key")
    print("    etcdctl put greeting hello && etcdctl get greeting")
    print("    etcdctl endpoint status --cluster -w table")
    print("\nTo see a node fail and come back:")
    print(f"    kill -9 {nodes[0].process.pid}")
    print(f"    {shlex.join(nodes[0].command(nodes))} \\\n"
          f"        >>{shlex.quote(str(nodes[0].log_path))} 2>&1 &")
    print("\nCtrl-C stops all three; run again, it goes on with the data in "
          f"{given.folder}.", flush=True)


def stop(nodes: list[Node]) -> None:
    running = [node for node in nodes if node.process and node.process.poll() is None]
    for node in running:
        node.process.terminate()
    for node in running:
        try:
            node.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"cluster: n{node.number} still ran {STOP_SECONDS:g} s after SIGTERM; killed")
            node.process.kill()
            node.process.wait()


def watch(nodes: list[Node], ended: threading.Event) -> None:
    """Tells of a node that ends, until the script is told to end."""
    told: set[int] = set()
    while not ended.wait(0.2):
        for node in nodes:
            if node.process.poll() is not None and node.number not in told:
                told.add(node.number)
                print(f"cluster: n{node.number} ended (status {node.process.returncode}); "
                      "if you start it yourself, stop it yourself", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / ".build/release/martlet")
    parser.add_argument("--folder", type=Path, default=Path("cluster.martlet"))
    parser.add_argument("--port", type=int, default=23790, help="the first of six")
    parser.add_argument("--plain", action="store_true", help="without TLS")
    given = parser.parse_args()
    if not given.binary.exists():
        sys.exit(f"cluster: no {given.binary}: run make build first, or name it with --binary")
    given.binary, given.folder = given.binary.resolve(), given.folder.resolve()
    given.folder.mkdir(parents=True, exist_ok=True)
    if not given.plain:
        make_certificates(given.folder / "tls")
    nodes = [Node(given, number) for number in range(1, SIZE + 1)]
    if busy := [node.url for node in nodes if node.answers()]:
        sys.exit(f"cluster: something listens on {', '.join(busy)} already; choose --port")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        for node in nodes:
            node.start(nodes)
        wait_ready(nodes)
        explain(given, nodes)
        watch(nodes, ended)
        print("cluster: stopping", flush=True)
    finally:
        stop(nodes)


if __name__ == "__main__":
    main()
