"""test_sockets.py: where clients connect: Unix sockets, several URLs, shared ports.

Belongs here: places to listen at. Never here: what is said there.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from certs import Authority
from client import Client
from etcdctl import TOOLS
from server import HOST, Server, ServerFailed, free_port, is_etcd


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a short name: the path of a socket has few bytes."""
    path = Path(tempfile.mkdtemp(prefix="m-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


class AtSocket(Server):
    """A server that listens at a Unix socket and at its port."""

    def __init__(self, path: Path, *flags: str, scheme: str = "unix") -> None:
        self.path, self.kind = path, scheme
        super().__init__(flags)

    def command(self) -> list[str]:
        return [f"{word},{self.kind}://{self.path}" if word.startswith("--listen-client-urls=")
                else word for word in super().command()]


def test_a_unix_socket_serves_what_the_port_serves(folder):
    with AtSocket(folder / "m.sock") as server:
        with Client(f"unix:{server.path}") as client, Client(server.endpoint) as other:
            client.put(b"k", b"v")
            assert other.get(b"k").value == b"v"
            with client.watch() as watch:
                watch.create(b"k")
                other.put(b"k", b"2")
                assert watch.events(1)[0].kv.value == b"2"
        with socket.socket(socket.AF_UNIX) as plain:
            plain.connect(str(server.path))
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert plain.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_etcdctl_speaks_to_a_unix_socket(folder):
    with AtSocket(folder / "m.sock") as server:
        def run(*words: str) -> str:
            done = subprocess.run(
                [TOOLS / "bin" / "etcdctl-3.5", f"--endpoints=unix://{server.path}", *words],
                capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, done.stderr
            return done.stdout
        assert run("put", "k", "v") == "OK\n"
        assert run("get", "k") == "k\nv\n"


def test_a_socket_left_by_a_crash_makes_room(folder):
    with AtSocket(folder / "m.sock") as server:
        server.kill()
        assert server.path.exists()
        server.start()
        with Client(f"unix:{server.path}") as client:
            client.put(b"k")
        server.stop()
        if not is_etcd():  # which ends by its own signal, and leaves it
            assert not server.path.exists()


@pytest.mark.martlet
def test_a_socket_in_use_and_a_file_are_left_alone(folder):
    taken = folder / "taken"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(taken))
        other.listen()
        with pytest.raises(ServerFailed, match="another process listens there"):
            AtSocket(taken)
    plain = folder / "plain"
    plain.write_text("keep me")
    with pytest.raises(ServerFailed, match="a file that is not a socket"):
        AtSocket(plain)
    assert plain.read_text() == "keep me"


def test_tls_on_a_unix_socket(folder):
    ca = Authority(folder)
    pair = ca.issue("server", [HOST, "localhost"])
    flags = (f"--cert-file={pair.cert}", f"--key-file={pair.key}")
    with AtSocket(folder / "m.sock", *flags, scheme="unixs") as server:
        credentials = grpc.ssl_channel_credentials(ca.cert.read_bytes())
        with Client(f"unix:{server.path}", credentials=credentials,
                    options=[("grpc.ssl_target_name_override", "localhost")]) as client:
            client.put(b"k", b"v")
            assert client.get(b"k").value == b"v"


def test_several_client_urls_serve_the_same(folder):
    more = free_port()
    class Two(Server):
        def command(self) -> list[str]:
            return [f"{word},http://{HOST}:{more}" if word.startswith("--listen-client-urls=")
                    else word for word in super().command()]
    with Two() as server:
        with Client(server.endpoint) as one, Client(f"{HOST}:{more}") as other:
            one.put(b"k", b"v")
            assert other.get(b"k").value == b"v"


def test_two_processes_share_a_port_only_when_both_ask_for_it(folder):
    with Server(["--socket-reuse-port"]) as first:
        class Same(Server):
            def _new_ports(self) -> None:
                self.port, self.peer_port = first.port, first.peer_port
        with Same(["--socket-reuse-port"]) as second:
            second.check_alive()
        with pytest.raises(ServerFailed):
            Same()
