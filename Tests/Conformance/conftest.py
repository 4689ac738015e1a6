"""conftest.py: the server under test and clean ground for each test.

    pip install -r Tests/Conformance/requirements.txt; python -m pytest -n 2 Tests/Conformance

One server a session (a worker, with xdist); a test works under a prefix of its own. Tests that
count leases, raise alarms or need an empty store start servers of their own with `start`.
Marks: newer("3.6") is skipped only on an etcd older than that, never on Martlet; martlet is
where Martlet keeps a stronger promise than etcd and is skipped on every etcd.
Never here: what etcd should answer (the tests). Which binary: server.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from client import Client, WatchStream
from server import Server, is_etcd

_serial = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "newer(version): behaviour of etcd since that release")
    config.addinivalue_line("markers", "martlet: a stronger promise than etcd's")


class Shared:
    """The session's server and a client of it; started again for the next test if it died."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.server = Server()
        self.client = Client(self.server.endpoint)

    def close(self) -> None:
        self.client.close()
        self.server.close()


@pytest.fixture(scope="session")
def shared() -> Iterator[Shared]:
    session = Shared()
    yield session
    try:
        session.server.check_alive()
        session.server.stop()
    finally:
        session.close()


@pytest.fixture(scope="session")
def server_version(shared: Shared) -> tuple[int, ...]:
    return tuple(int(part) for part in shared.client.status().version.split(".")[:2])


@pytest.fixture(autouse=True)
def _marks(request: pytest.FixtureRequest) -> None:
    newer = request.node.get_closest_marker("newer")
    if newer and is_etcd():
        since = tuple(int(part) for part in newer.args[0].split("."))
        if request.getfixturevalue("server_version") < since:
            pytest.skip(f"etcd answers so since {newer.args[0]}")
    if request.node.get_closest_marker("martlet") and is_etcd():
        pytest.skip("a promise of Martlet only")


@pytest.fixture
def server(shared: Shared) -> Iterator[Server]:
    """The shared server; a test that ends it fails with the server's log."""
    if not shared.server.running:
        shared.close()
        shared.start()
    yield shared.server
    shared.server.check_alive()


@pytest.fixture
def client(server: Server, shared: Shared) -> Client:
    return shared.client


@pytest.fixture
def p(request: pytest.FixtureRequest) -> bytes:
    """A key prefix that no other test uses."""
    return b"%s-%d/" % (request.node.originalname.encode(), next(_serial))


@pytest.fixture
def watch(client: Client) -> Iterator[WatchStream]:
    """A Watch stream without a watch."""
    with client.watch() as stream:
        yield stream


@pytest.fixture
def grant(client: Client) -> Iterator[Callable[..., int]]:
    """Grants leases on the shared server; revoked afterwards: none expires under a later test."""
    granted: set[int] = set()

    def make(ttl: int = 600, lease: int = 0) -> int:
        reply = client.grant(ttl, lease)
        granted.add(reply.ID)
        return reply.ID

    yield make
    for lease in granted & {status.ID for status in client.leases().leases}:
        client.revoke(lease)


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[Server, Client]]]:
    """Starts a server for one test, with more flags if given, and a client of it."""
    started: list[tuple[Server, Client]] = []

    def make(*flags: str) -> tuple[Server, Client]:
        running = Server(flags)
        started.append((running, Client(running.endpoint)))
        return started[-1]

    yield make
    for running, its_client in started:
        its_client.close()
        try:
            running.check_alive()
        finally:
            running.close()


@pytest.fixture
def empty(start: Callable[..., tuple[Server, Client]]) -> Client:
    """A client of a server that nobody used before."""
    return start()[1]
