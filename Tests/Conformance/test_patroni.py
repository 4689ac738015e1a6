"""test_patroni.py: Patroni with its etcd3 backend fails a real PostgreSQL over.

Belongs here: two PostgreSQL instances guarded by three members with TLS and auth, what each failure
does to them and what it must not do. Never here: running PostgreSQL (postgres.py).
Patroni 3.0 asks for the list of members before it logs in, which etcd's newest releases refuse;
with `use_proxies` it takes the members from its configuration.
"""

from __future__ import annotations

import itertools
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import grpc
import pytest

from auth import READWRITE, ROOT_PASSWORD, Auth
from certs import make_cluster_certificates
from cluster import Cluster, wait_until
from postgres import NAMESPACE, SCOPE, TTL, Instances
from server import HOST, is_etcd
from test_auth_cluster import GuardedCluster, settled

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
USER, PASSWORD = "patroni", "patroni-secret"
LEADER_KEY = f"{NAMESPACE}{SCOPE}/leader".encode()
# etcd's gateway refuses calls whose client certificate has a common name while that names users.
FLAGS = ("--bcrypt-cost=4", *(("--client-cert-auth=false",) if is_etcd() else ()))


class Guarded:
    """The members, and the instances that they guard."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.users = GuardedCluster(cluster)
        self.users.auth().make(
            USER, PASSWORD, (READWRITE, NAMESPACE.encode(), NAMESPACE.encode()[:-1] + b"0"))
        self.postgres = Instances(cluster, cluster.certificates.client, USER, PASSWORD)
        self.postgres.wait_healthy().sql("CREATE TABLE rows (number int PRIMARY KEY)")
        self._last = 0

    def insert(self) -> int:
        """A new row, written through the primary."""
        self._last += 1
        self.postgres.wait_primary().sql(f"INSERT INTO rows VALUES ({self._last})")
        return self._last

    def check_rows(self) -> None:
        """Every row that was acknowledged is there, on the primary and in time on the replica."""
        wanted = [str(number) for number in range(1, self._last + 1)]
        read = "SELECT number FROM rows ORDER BY number"
        assert self.postgres.wait_primary().sql(read) == wanted
        replica = self.postgres.replica()
        wait_until(lambda: replica.sql(read) == wanted, "every row on the replica")

    def leader_key(self) -> tuple[str, int, int]:
        """Who holds Patroni's leader key, since which revision, by which lease."""
        def read() -> list | None:
            member = self.cluster.running[0]
            try:  # with a login of its own: in etcd none outlives its member
                with self.cluster.connect(member, metadata=[]) as fresh:
                    token = Auth(fresh).authenticate(USER, PASSWORD)
                with self.cluster.connect(member, metadata=[("token", token)]) as user:
                    return user.range(LEADER_KEY).kvs
            except grpc.RpcError as error:  # none leads at this moment
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                return None
        found = wait_until(read, "Patroni's leader key")
        assert len(found) == 1, found
        return found[0].value.decode(), found[0].create_revision, found[0].lease

    def close(self) -> None:
        self.postgres.close()
        self.users.close()


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    certificates = make_cluster_certificates(tmp_path_factory.mktemp("certs"), [HOST, "localhost"])
    with Cluster(3, certificates=certificates, flags=FLAGS) as cluster:
        made = Guarded(cluster)
        try:
            yield made
            assert len(cluster.running) == 3
        finally:
            made.close()


@pytest.fixture
def guarded(module: Guarded) -> Guarded:
    """All members run; one primary, its replica streaming, each seen by Patroni as such."""
    for ended in [*module.cluster.members, *module.postgres.all]:
        if not ended.running:  # left so by a test that failed
            ended.start()
    module.cluster.wait_agreed()
    primary = module.postgres.wait_healthy()
    wait_until(lambda: module.leader_key()[0] == primary.name, "the primary holds the leader key")
    return module


def test_the_members_want_a_login(guarded: Guarded) -> None:
    """That what follows is guarded: a caller with the same certificate and no login is refused."""
    certificates = guarded.cluster.certificates
    context = ssl.create_default_context(cafile=certificates.ca)
    context.load_cert_chain(certificates.client.cert, certificates.client.key)
    for member in guarded.cluster.members:
        request = urllib.request.Request(
            f"{member.url}/v3/kv/range", json.dumps({"key": "L3NlcnZpY2Uv"}).encode())
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, context=context, timeout=20)
        assert refused.value.code == 400
        assert json.load(refused.value)["message"] == "etcdserver: user name is empty"


def test_a_lost_member_is_no_failover(guarded: Guarded) -> None:
    """The leader for longer than Patroni's key would live unattended, then each other member."""
    postgres, cluster = guarded.postgres, guarded.cluster
    primary, held = postgres.wait_healthy(), guarded.leader_key()
    timeline = primary.state()["timeline"]
    leader = cluster.members[cluster.leader()]
    for member in [leader, *(other for other in cluster.members if other is not leader)]:
        killed = time.time()
        member.kill()
        until = time.monotonic() + (TTL + 5 if member is leader else 0)
        # Both Patronis have spoken to the rest since, for as long as that.
        while time.monotonic() < until or not all(
                instance.state().get("dcs_last_seen", 0) > killed + 1 for instance in postgres.all):
            primary.sql("SELECT 1")
            guarded.insert()
            assert guarded.leader_key() == held
            assert time.time() < killed + 120, "Patroni does not find the other members"
            time.sleep(0.2)
        member.start(wait=False)
        cluster.wait_agreed()
    assert postgres.wait_healthy() is primary
    assert primary.state()["timeline"] == timeline
    assert guarded.leader_key() == held
    guarded.check_rows()


def test_changes_of_users_are_no_failover(guarded: Guarded) -> None:
    """Others come and go on every member while Patroni keeps its lease alive and writes."""
    postgres, cluster = guarded.postgres, guarded.cluster
    primary, held = postgres.wait_healthy(), guarded.leader_key()
    started = "SELECT extract(epoch FROM pg_postmaster_start_time())"
    timeline, running_since = primary.state()["timeline"], primary.sql(started)
    began = time.time()
    with ExitStack() as stack:
        managers = []
        for member in cluster.members:
            with cluster.connect(member, metadata=[]) as fresh:
                token = Auth(fresh).authenticate("root", ROOT_PASSWORD)
            managers.append(Auth(stack.enter_context(
                cluster.connect(member, metadata=[("token", token)]))))
        for auth in itertools.cycle(managers):
            for change in [partial(auth.add_user, "passer", "p"), partial(auth.add_role, "passer"),
                           partial(auth.grant, "passer", READWRITE, b"passer"),
                           partial(auth.grant_role, "passer", "passer"),
                           partial(auth.delete_user, "passer"),
                           partial(auth.delete_role, "passer")]:
                settled(change)
            if all(instance.state().get("dcs_last_seen", 0) > began + TTL
                   for instance in postgres.all):
                break
            assert time.time() < began + 120, "Patroni does not reach the members"
    assert postgres.wait_healthy() is primary
    assert guarded.leader_key() == held
    # A primary whose lease is not kept alive once demotes itself, and may be promoted again.
    assert (primary.state()["timeline"], primary.sql(started)) == (timeline, running_since)
    guarded.insert()
    guarded.check_rows()


def test_a_switchover(guarded: Guarded) -> None:
    postgres = guarded.postgres
    primary, held = postgres.wait_healthy(), guarded.leader_key()
    timeline = primary.state()["timeline"]
    replica = postgres.replica()
    guarded.insert()
    listed = json.loads(postgres.patronictl("list", SCOPE, "--format", "json"))
    assert {row["Member"]: row["Role"] for row in listed} == {
        primary.name: "Leader", replica.name: "Replica"}
    said = postgres.patronictl("switchover", SCOPE, "--leader", primary.name,
                               "--candidate", replica.name, "--force")
    assert "Successfully switched over" in said, said
    wait_until(lambda: postgres.healthy() is replica, "the candidate is the primary", 180)
    assert replica.state()["timeline"] == timeline + 1
    holder, revision, _ = guarded.leader_key()
    assert holder == replica.name and revision > held[1]
    guarded.insert()
    guarded.check_rows()


def test_a_dead_primary_is_replaced(guarded: Guarded) -> None:
    postgres = guarded.postgres
    primary, held = postgres.wait_healthy(), guarded.leader_key()
    timeline = primary.state()["timeline"]
    replica = postgres.replica()
    guarded.insert()
    guarded.check_rows()  # on the replica too: replication is asynchronous
    primary.kill()
    assert primary.state() == {}
    wait_until(lambda: postgres.primary() is replica, "the replica is promoted", 180)
    guarded.insert()
    assert replica.sql("SELECT pg_is_in_recovery()") == ["f"]
    assert replica.state()["timeline"] == timeline + 1
    holder, revision, lease = guarded.leader_key()
    assert holder == replica.name and revision > held[1] and lease != held[2]
    primary.start()  # and comes back as a replica of what was written meanwhile
    assert wait_until(lambda: postgres.healthy(), "the old primary follows", 180) is replica
    guarded.insert()
    guarded.check_rows()
