"""test_cluster_faults.py: members that die, hang, lose their disk or their network, under load.

Belongs here: one fault a test, then the whole judgement of history.py; what is said without a
quorum (G8, G9). Never here: wrong certificates (test_cluster_tls.py), change of members.
How long writes stop is measured and printed, not judged: Benchmarks/failover.py compares it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import requests

from client import rejected
from cluster import Cluster, wait_until
from history import Broken, Load
from schema import pb
from server import is_etcd

pytestmark = pytest.mark.cluster

PAUSE_SECONDS = 5.0  # minutes: see the soak
TIMED_OUT = (
    "etcdserver: request timed out",
    "etcdserver: request timed out, possibly due to previous leader failure",
    "etcdserver: request timed out, possibly due to connection lost")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(3) as three:
        yield three


@pytest.fixture
def wired() -> Iterator[Cluster]:
    """Three members whose connections can be cut."""
    with Cluster(3, network=True) as three:
        yield three


def tell(load: Load, what: str, since: float) -> None:
    print(f"{what}: no write acknowledged for {load.gap(since) * 1000:.0f} ms")


def others(cluster: Cluster, number: int) -> list:
    return [member for n, member in enumerate(cluster.members) if n != number]


# -- processes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["leader", "follower"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_member_ends_and_comes_back(cluster, who, number):
    with Load(cluster) as load:
        load.warm_up()
        victim = cluster.leader() if who == "leader" else cluster.follower()
        since = time.monotonic()
        cluster.members[victim].end(number)
        load.recover(others(cluster, victim))
        tell(load, f"{number.name} of the {who}", since)
        cluster.members[victim].start(wait=False)
        load.recover()
    print(load.verify())


@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_member_hangs_and_goes_on(cluster, who):
    """After the pause it believes for a moment that nothing happened; no read may show that."""
    with Load(cluster) as load:
        load.warm_up()
        victim = cluster.leader() if who == "leader" else cluster.follower()
        since = time.monotonic()
        cluster.members[victim].pause()
        try:
            load.recover(others(cluster, victim))
            time.sleep(max(0.0, PAUSE_SECONDS - (time.monotonic() - since)))
        finally:
            cluster.members[victim].resume()
        tell(load, f"{who} paused for {PAUSE_SECONDS:g} s", since)
        load.recover()
    print(load.verify())


def test_all_members_are_killed_at_once(cluster):
    with Load(cluster) as load:
        for _ in range(2):
            load.warm_up(50)
            since = time.monotonic()
            for member in cluster.members:
                member.process.kill()
            for member in cluster.members:
                member.wait_exit()
                member.start(wait=False)
            cluster.wait_agreed(cluster.members)
            load.recover()
            tell(load, "kill -9 of all three", since)
    print(load.verify())


def test_a_member_that_hangs_in_bursts_does_not_stop_the_others(cluster):
    """As a slow disk or a starved machine: the leader runs a tenth of the time."""
    with Load(cluster) as load:
        load.warm_up()
        victim = cluster.members[cluster.leader()]
        since = time.monotonic()
        while time.monotonic() < since + PAUSE_SECONDS:
            victim.pause()
            time.sleep(0.18)
            victim.resume()
            time.sleep(0.02)
        tell(load, "leader in bursts", since)
        load.recover()
    print(load.verify())


@pytest.mark.martlet
def test_a_wiped_member_comes_back_by_one_command(cluster):
    """etcd wants it removed and added first; Martlet must neither lose a vote nor a write."""
    with Load(cluster) as load:
        load.warm_up()
        victim = cluster.members[cluster.follower()]
        victim.kill()
        load.warm_up(50)
        victim.wipe()
        victim.state = "existing"
        victim.start(wait=False)
        load.recover()
    print(load.verify())


def test_a_member_far_behind_is_brought_up(far):
    """Its peers have cut their logs: it needs a snapshot. Its watch goes on without gap (W23)."""
    with Load(far) as load:
        load.warm_up()
        victim = far.members[far.follower()]
        victim.kill()
        leader = far.client(far.leader())
        for n in range(500):
            leader.put(b"large/%d" % (n % 50), b"%d" % n * 5000)
        far.check_same()
        victim.start(wait=False)
        load.recover()
    print(load.verify())
    assert far.client(victim).get(b"large/49", serializable=True).value == b"499" * 5000


@pytest.fixture
def far() -> Iterator[Cluster]:
    """Three members that keep as little log as their flags allow."""
    flags = ("--snapshot-count=50",)
    if is_etcd():
        flags += ("--experimental-snapshot-catchup-entries=10",)
    with Cluster(3, flags=flags) as three:
        yield three


def test_the_harness_sees_a_cluster_rolled_back(cluster, tmp_path):
    """All three come back with old files: nothing in them is wrong, but acknowledged writes are."""
    def stop_all():
        for member in cluster.members:
            member.kill()

    def start_all():
        for member in cluster.members:
            member.start(wait=False)
        cluster.wait_agreed(cluster.members)
    with pytest.raises(Broken, match="lost|stale|gone"), Load(cluster) as load:
        load.warm_up()
        stop_all()
        for member in cluster.members:
            shutil.copytree(member.data_dir, tmp_path / member.name)
        start_all()
        load.warm_up()
        stop_all()
        for member in cluster.members:
            member.wipe()
            shutil.copytree(tmp_path / member.name, member.data_dir)
        start_all()
        load.recover()
        load.stopped.set()
        load.verify()


# -- connections --------------------------------------------------------------------------------


@pytest.mark.netns
@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_member_is_cut_off(wired, who):
    with Load(wired) as load:
        load.warm_up()
        victim = wired.leader() if who == "leader" else wired.follower()
        since = time.monotonic()
        wired.network.isolate(victim)
        load.recover(others(wired, victim))
        tell(load, f"{who} cut off", since)
        time.sleep(1)
        wired.network.heal()
        load.recover()
    print(load.verify())


@pytest.mark.netns
@pytest.mark.parametrize("direction", ["from the leader", "to the leader"])
def test_one_direction_is_cut(wired, direction):
    """The leader and one follower; the third still hears both, so writes must go on or return."""
    with Load(wired) as load:
        load.warm_up()
        leader, follower = wired.leader(), wired.follower()
        ends = (leader, follower) if direction == "from the leader" else (follower, leader)
        since = time.monotonic()
        wired.network.cut(*ends)
        load.recover([wired.members[3 - leader - follower]])
        time.sleep(2)
        load.warm_up(50)
        tell(load, f"cut {direction} to one follower", since)
        wired.network.heal()
        load.recover()
    print(load.verify())


@pytest.mark.netns
@pytest.mark.parametrize("direction", ["out", "in"])
def test_the_leader_only_hears_or_only_speaks(wired, direction):
    """Cut towards both others, one way: it must step down or be replaced, whichever way."""
    with Load(wired) as load:
        load.warm_up()
        leader = wired.leader()
        since = time.monotonic()
        for other in range(3):
            if other != leader:
                wired.network.cut(*((leader, other) if direction == "out" else (other, leader)))
        load.recover(others(wired, leader))
        tell(load, f"all that the leader {'says' if direction == 'out' else 'hears'} cut", since)
        wired.network.heal()
        load.recover()
    print(load.verify())


# -- without a quorum -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone() -> Iterator[Cluster]:
    """One member of three, its fellows dead; it knows no leader. Key `k` has the value `v`."""
    with Cluster(3) as three:
        three.client(0).put(b"k", b"v")
        three.check_same()
        survivor = three.members[three.follower()]
        for member in three.members:
            if member is not survivor:
                member.kill()
        wait_until(lambda: three.status(survivor).leader == 0, "the survivor knows no leader")
        three.survivor = survivor
        yield three


def test_G8_serializable_reads_and_status_go_on(alone):
    client = alone.client(alone.survivor)
    assert client.get(b"k", serializable=True).value == b"v"
    status = client.status()
    assert (status.leader, list(status.errors)) == (0, ["etcdserver: no leader"])
    assert len(client.members(linearizable=False).members) == 3


def test_health_says_that_there_is_no_leader(alone):
    reply = requests.get(alone.survivor.url + "/health", timeout=20)
    assert (reply.status_code, reply.json()) == (
        503, {"health": "false", "reason": "RAFT NO LEADER"})


def test_G8_what_needs_a_quorum_times_out(alone):
    """Range and MemberList (linearizable), Put, keepalive: all at once, each takes seconds."""
    allowed = {("UNAVAILABLE", text) for text in TIMED_OUT}
    # A proposal while no leader is known.
    put_too = allowed | {("DEADLINE_EXCEEDED", "context deadline exceeded")}

    def keep_alive(client):
        with client.keepalive() as stream:
            stream.send(pb.LeaseKeepAliveRequest(ID=1))
            stream.receive(25)
    calls = [(lambda c: c.get(b"k"), allowed), (lambda c: c.members(), allowed),
             (lambda c: c.put(b"k", b"w"), put_too),
             (keep_alive, {("UNAVAILABLE", "etcdserver: no leader")})]

    def outcome(call):
        with alone.connect(alone.survivor, seconds=25) as client:
            with pytest.raises(grpc.RpcError) as caught:
                call(client)
        return caught.value.code().name, caught.value.details()
    with ThreadPoolExecutor(len(calls)) as pool:
        outcomes = list(pool.map(outcome, [call for call, _ in calls]))
    for told, (_, expected) in zip(outcomes, calls, strict=True):
        assert told in expected


def test_G9_hasleader_fails_at_once(alone):
    with alone.connect(alone.survivor, metadata=[("hasleader", "true")]) as client:
        since = time.monotonic()
        with rejected("UNAVAILABLE", "etcdserver: no leader"):
            client.get(b"k", serializable=True)
        assert time.monotonic() - since < 3


def test_G9_a_stream_with_hasleader_ends_and_one_without_stays():
    with Cluster(3) as three:
        survivor = three.members[three.follower()]
        with three.connect(survivor) as plain, three.connect(
                survivor, metadata=[("hasleader", "true")]) as careful:
            with plain.watch() as stays, careful.watch() as ends:
                stays.create(b"k")
                ends.create(b"k")
                for member in three.members:
                    if member is not survivor:
                        member.kill()
                with rejected("UNAVAILABLE", "etcdserver: no leader"):
                    ends.receive(15)
                with pytest.raises(TimeoutError):
                    stays.receive(1)
                for member in three.members:
                    if member is not survivor:
                        member.start(wait=False)
                three.wait_agreed(three.members)
                revision = three.client(0).put(b"k", b"again").header.revision
                assert stays.events(1)[0].kv.mod_revision == revision


# -- leases ---------------------------------------------------------------------------------------


def test_L7_a_lease_outlives_its_leader_and_then_expires(cluster):
    """Never early: the new leader gives it its full time again."""
    leader, follower = cluster.leader(), cluster.follower()
    survivor = cluster.client(follower)
    lease = survivor.grant(4).ID
    survivor.put(b"leased", b"v", lease=lease)
    granted = time.monotonic()
    cluster.members[leader].kill()
    cluster.wait_agreed()
    assert survivor.get(b"leased") is not None or time.monotonic() - granted > 4
    wait_until(lambda: survivor.get(b"leased") is None, "the lease expires", 30)
    assert time.monotonic() - granted >= 4, "expired early"
    cluster.members[leader].start(wait=False)
    cluster.wait_agreed(cluster.members)
    cluster.check_same()
    assert survivor.time_to_live(lease).TTL == -1


def test_a_lease_kept_alive_through_any_member_outlives_leaders(cluster):
    lease = cluster.client(cluster.follower()).grant(5).ID
    cluster.client(0).put(b"kept", b"v", lease=lease)
    killed = cluster.leader()
    cluster.members[killed].kill()
    cluster.wait_agreed()
    until = time.monotonic() + 8
    number = 0
    while time.monotonic() < until:
        member = cluster.running[number % 2]
        with cluster.client(member).keepalive() as stream:
            assert stream.ping(lease).TTL == 5
        number += 1
        time.sleep(0.5)
    assert cluster.client(cluster.running[0]).get(b"kept").value == b"v"


# -- the long loop --------------------------------------------------------------------------------


@pytest.mark.soak
@pytest.mark.netns
def test_soak_any_fault_again_and_again():
    """MARTLET_SOAK_SECONDS (600), MARTLET_SOAK_SEED; every ten faults the history is judged."""
    seconds = float(os.environ.get("MARTLET_SOAK_SECONDS", "600"))
    chosen = os.environ.get("MARTLET_SOAK_SEED")
    seed = int(chosen) if chosen else random.SystemRandom().getrandbits(32)
    print(f"MARTLET_SOAK_SEED={seed}")
    choose = random.Random(seed)
    until = time.monotonic() + seconds
    with Cluster(3, network=True) as cluster:
        while time.monotonic() < until:
            with Load(cluster, writers=6) as load:
                for _ in range(10):
                    load.warm_up(choose.randrange(10, 200))
                    print(one_fault(cluster, choose), flush=True)
                    load.recover()
            print(load.verify(), flush=True)


def one_fault(cluster: Cluster, choose: random.Random) -> str:
    """Does one fault to one or all members, and undoes it."""
    victim = choose.choice([cluster.leader(), choose.randrange(3)])
    member, lasts = cluster.members[victim], choose.choice([0.1, 1.0, 3.0, 10.0])
    kind = choose.choice(["KILL", "TERM", "STOP", "all", "cut", "one-way"])
    if kind in ("KILL", "TERM"):
        member.end(signal.Signals[f"SIG{kind}"])
        time.sleep(lasts)
        member.start(wait=False)
    elif kind == "STOP":
        member.pause()
        time.sleep(lasts)
        member.resume()
    elif kind == "all":
        for one in cluster.members:
            one.process.kill()
        for one in cluster.members:
            one.wait_exit()
            one.start(wait=False)
    else:
        if kind == "cut":
            cluster.network.isolate(victim)
        else:
            cluster.network.cut(*choose.sample(range(3), 2))
        time.sleep(lasts)
        cluster.network.heal()
    return f"{kind} of n{victim}, {lasts:g} s"


@pytest.mark.soak
def test_soak_the_leader_hangs_for_minutes(cluster):
    with Load(cluster) as load:
        load.warm_up()
        leader = cluster.leader()
        cluster.members[leader].pause()
        time.sleep(120)
        load.recover(others(cluster, leader))
        cluster.members[leader].resume()
        load.recover()
    print(load.verify())
