"""test_service.py: what a service manager is told: systemd's Type=notify.

Belongs here: the notification socket. Never here: signals and exit statuses (test_faults.py).
Source of truth: sd_notify(3); etcd says READY=1 once it serves, and Debian's unit waits for that.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Iterator

import pytest

from client import Client
from server import Server


@pytest.fixture(params=["path", "abstract"])
def manager(request) -> Iterator[tuple[str, socket.socket]]:
    """A manager's socket, and how NOTIFY_SOCKET names it."""
    with tempfile.TemporaryDirectory(prefix="m-", dir="/tmp") as folder, socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"{folder}/notify" if request.param == "path" else f"@martlet-test-{os.getpid()}"
        listening.bind(name.replace("@", "\0"))
        listening.settimeout(30)
        yield name, listening


def test_ready_is_told_once_it_serves(manager):
    name, listening = manager
    server = Server(environment={"NOTIFY_SOCKET": name}, start=False)
    try:
        server.start(wait=False)
        assert b"READY=1" in listening.recv(1000).split(b"\n")
        with Client(server.endpoint, seconds=5) as client:
            client.put(b"k", b"served from that moment on")
    finally:
        server.close()


@pytest.mark.martlet
def test_stopping_is_told(manager):
    name, listening = manager
    server = Server(environment={"NOTIFY_SOCKET": name})
    try:
        assert listening.recv(1000) == b"READY=1"
        server.end(signal.SIGTERM)
        assert listening.recv(1000) == b"STOPPING=1"
    finally:
        server.close()


@pytest.mark.parametrize("name", ["/nonexistent/notify", "@nobody-listens", "relative", "/" + "x" * 200])
def test_a_manager_that_is_not_there_keeps_nobody_from_serving(name: str):
    server = Server(environment={"NOTIFY_SOCKET": name})
    try:
        with Client(server.endpoint, seconds=5) as client:
            client.put(b"k", b"v")
    finally:
        server.close()
