"""test_auth_cluster.py: three members with TLS and auth (rules A2, A4, A12, A13).

Belongs here: that every member knows the same users, roles and logins, through failures.
Never here: single rules (test_auth*.py of one member).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from auth import (BAD_TOKEN, DENIED, FAILED, OLD_REVISION, READ, READWRITE, ROOT_PASSWORD,
                  USER_NOT_FOUND, Auth)
from certs import make_cluster_certificates
from client import Client, rejected
from cluster import Cluster, wait_until
from server import HOST

pytestmark = pytest.mark.cluster
_names = (f"user-{number}" for number in itertools.count())


def settled(call: Callable[[], object]) -> object:
    """What a call comes to once it is known on this member what changed elsewhere.

    A member that has yet to hear of it is told so by the leader; clients then log in and try again.
    """
    for _ in range(100):
        try:
            return call()
        except grpc.RpcError as error:
            if (error.code().name, error.details()) != OLD_REVISION:
                raise
        time.sleep(0.01)
    raise AssertionError("the member does not catch up")


class GuardedCluster:
    """Clients of each member, with and without tokens."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._clients: list[Client] = []
        setup = Auth(self.at(0))
        setup.add_user("root", ROOT_PASSWORD)
        setup.grant_role("root", "root")
        setup.enable()
        self.token = setup.authenticate("root", ROOT_PASSWORD)
        cluster.metadata = [("token", self.token)]

    def at(self, number: int, token: str | None = None) -> Client:
        metadata = [("token", token)] if token else []
        client = self.cluster.connect(self.cluster.members[number], metadata=metadata)
        self._clients.append(client)
        return client

    def root(self, number: int) -> Client:
        return self.at(number, self.token)

    def auth(self, number: int = 0) -> Auth:
        return Auth(self.root(number))

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedCluster]:
    certificates = make_cluster_certificates(
        tmp_path_factory.mktemp("certs"), [HOST, "localhost"])
    with Cluster(3, certificates=certificates, flags=("--bcrypt-cost=4",)) as cluster:
        guarded = GuardedCluster(cluster)
        yield guarded
        guarded.close()
        assert len(cluster.running) == 3


def test_a_login_counts_on_every_member(three: GuardedCluster) -> None:
    for number in range(3):
        token = Auth(three.at(number)).authenticate("root", ROOT_PASSWORD)
        for other in range(3):  # at once, also where it has yet to arrive
            client = three.at(other, token)
            client.put(b"a")
            assert client.range(b"a").count == 1
            client.range(b"a", serializable=True)
            client.status()
            with client.watch() as stream:
                stream.create(b"a")
            with client.keepalive() as stream:
                assert stream.ping(4711).TTL == 0


def test_changes_are_known_where_they_are_asked_for(three: GuardedCluster) -> None:
    """Whichever member changes something, a linearizable call on another one goes by it."""
    for here, there in [(0, 1), (1, 2), (2, 0), (1, 0)]:
        name = next(_names)
        auth, other = three.auth(here), three.auth(there)
        auth.make(name, "p", (READ, name.encode()))
        user = three.at(there, Auth(three.at(there)).authenticate(name, "p"))
        user.range(name.encode())
        for call in [lambda: user.put(name.encode()), lambda: user.range(b"other")]:
            with rejected(*DENIED):
                settled(call)
        auth.grant(name, READWRITE, name.encode())
        settled(lambda: user.put(name.encode()))
        assert other.role(name) == [(READWRITE, name.encode(), b"")]
        auth.revoke(name, name.encode())
        for call in [lambda: user.put(name.encode()), lambda: user.range(name.encode())]:
            with rejected(*DENIED):
                settled(call)
        auth.delete_user(name)
        with rejected(*BAD_TOKEN):
            user.range(name.encode())
        with rejected(*BAD_TOKEN):
            user.put(name.encode())
        assert name not in other.users()
        auth.delete_role(name)


def test_a13_nobody_gets_in_by_another_member(three: GuardedCluster) -> None:
    """The certificate makes the caller a user, "client", whom nobody has added."""
    for number in range(3):
        nobody = three.at(number)
        for call in [lambda: nobody.put(b"a"), lambda: nobody.range(b"a"),
                     lambda: nobody.range(b"a", serializable=True)]:
            with rejected(*DENIED):
                call()
        with rejected(*USER_NOT_FOUND):
            Auth(nobody).disable()
        wrong = three.at(number, "abcdefghijklmnop.17")
        for call in [lambda: wrong.put(b"a"), lambda: wrong.range(b"a")]:
            with rejected(*BAD_TOKEN):
                call()
        with rejected(*FAILED):
            Auth(nobody).authenticate("root", "wrong")


@pytest.mark.martlet
def test_a_token_of_no_login_does_not_wait(three: GuardedCluster) -> None:
    """etcd waits for the log index in it until the client gives up."""
    for number in range(3):
        wrong = three.at(number, "abcdefghijklmnop.99999999")
        for call in [lambda: wrong.put(b"a"), lambda: wrong.range(b"a"), wrong.status,
                     lambda: wrong.range(b"a", serializable=True),
                     lambda: next(wrong.snapshot())]:
            with rejected(*BAD_TOKEN):
                call()


@pytest.mark.newer("3.7")
def test_a_lease_is_kept_alive_through_any_member(three: GuardedCluster) -> None:
    name = next(_names)
    three.auth().make(name, "p", (READWRITE, name.encode()))
    token = Auth(three.at(0)).authenticate(name, "p")
    lease = three.at(0, token).grant(600).ID
    three.at(1, token).put(name.encode(), lease=lease)
    others = three.root(0).grant(600).ID
    three.root(0).put(b"secret", lease=others)
    for number in range(3):
        with three.at(number, token).keepalive() as stream:
            assert stream.ping(lease).TTL == 600
            with rejected(*DENIED):
                stream.ping(others)
        with rejected(*DENIED):
            three.at(number, token).revoke(others)
    three.root(0).revoke(others)
    three.at(2, token).revoke(lease)


def test_leases_do_not_mind_changes_of_users(three: GuardedCluster) -> None:
    """What goes by the permissions of now is never "revision of auth store is old".

    Patroni demotes its primary when a keepalive is refused.
    """
    name, passer = next(_names), next(_names)
    three.auth().make(name, "p", (READWRITE, name.encode()))
    token = Auth(three.at(0)).authenticate(name, "p")
    lease = three.at(0, token).grant(600).ID
    three.at(0, token).put(name.encode(), lease=lease)
    changes, ended = three.auth(), threading.Event()

    def change() -> None:
        while not ended.is_set():
            settled(lambda: changes.add_user(passer, "p"))
            settled(lambda: changes.delete_user(passer))

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for number in range(3):
            client = three.at(number, token)
            for _ in range(100):
                with client.keepalive() as stream:
                    assert stream.ping(lease).TTL == 600
                client.time_to_live(lease)
                client.grant(60)
    finally:
        ended.set()
        changing.join()
    three.at(2, token).revoke(lease)


@pytest.mark.martlet
def test_users_and_logins_outlive_the_leader(three: GuardedCluster) -> None:
    name = next(_names)
    three.auth().make(name, "p", (READWRITE, name.encode()))
    token = Auth(three.at(0)).authenticate(name, "p")
    for _ in range(2):
        leader = three.cluster.leader()
        member = three.cluster.members[leader]
        member.kill()
        rest = [number for number in range(3) if number != leader]
        three.cluster.wait_agreed([three.cluster.members[number] for number in rest])
        for number in rest:
            client = three.at(number, token)

            def works(client: Client = client) -> bool:
                try:
                    client.put(name.encode())
                    return True
                except grpc.RpcError as error:
                    assert error.code() is grpc.StatusCode.UNAVAILABLE, error
                    return False

            wait_until(works, "a put after the leader is gone")
            with rejected(*DENIED):
                client.put(b"other")
        member.start()
        three.cluster.wait_agreed()
        back = three.at(leader, token)
        back.wait_ready().put(name.encode())
        with rejected(*DENIED):
            back.put(b"other")


@pytest.mark.martlet
def test_a_token_lives_while_any_member_sees_it() -> None:
    with Cluster(3, flags=("--bcrypt-cost=4", "--auth-token-ttl=3")) as cluster:
        three = GuardedCluster(cluster)
        leader = cluster.leader()
        follower = three.root((leader + 1) % 3)
        idle = Auth(three.at(0)).authenticate("root", ROOT_PASSWORD)
        for _ in range(12):
            follower.range(b"a", serializable=True)
            time.sleep(0.5)
        for number in range(3):
            three.root(number).put(b"a")
            with rejected(*BAD_TOKEN):
                three.at(number, idle).put(b"a")
        three.close()


@pytest.mark.martlet
def test_a_new_member_learns_the_users() -> None:
    with Cluster(1, flags=("--bcrypt-cost=4",)) as cluster:
        three = GuardedCluster(cluster)
        three.auth().make("user", "p", (READ, b"a"))
        root = three.root(0)
        member = cluster.new_member()
        root.member_add(member.peer_url)
        cluster.members.append(member)
        member.initial_cluster = cluster.initial_cluster()
        member.start()
        number = cluster.members.index(member)
        three.at(number).wait_ready()

        def knows() -> bool:
            try:
                client = three.at(number, Auth(three.at(number)).authenticate("user", "p"))
                client.range(b"a")
            except grpc.RpcError as error:
                assert error.code() in (
                    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.FAILED_PRECONDITION), error
                return False
            with rejected(*DENIED):
                client.put(b"a")
            return True

        wait_until(knows, "the new member to serve")
        three.close()
