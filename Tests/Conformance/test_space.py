"""test_space.py: the quota, its alarm, and compactions that run by themselves.

Belongs here: what an operator sees of space. Never here: the alarm's RPCs (test_maintenance.py).
"""

from __future__ import annotations

import json
import random

import pytest
import requests

from client import NO_SPACE, Client, prefix_end, rejected
from cluster import Cluster, wait_until
from server import is_etcd

QUOTA = 4 << 20
FLAGS = (f"--quota-backend-bytes={QUOTA}",)
VALUE = b"x" * (64 << 10)


def fill(client: Client) -> int:
    """Puts until there is no room; how many went in."""
    for number in range(1000):
        try:
            client.put(b"fill/%d" % number, VALUE)
        except Exception as error:  # the text is looked at by the caller's next put
            assert "database space exceeded" in str(error)
            return number
    raise AssertionError("the quota was never reached")


def alarms(client: Client) -> list[tuple[int, int]]:
    return [(alarm.memberID, alarm.alarm) for alarm in client.alarm("GET").alarms]


def test_M3_the_quota_counts_and_refuses_cleanly(start):
    server, client = start(*FLAGS)
    count = fill(client)
    assert QUOTA // 2 < count * len(VALUE) and (is_etcd() or count * len(VALUE) <= QUOTA)
    member = client.status().header.member_id
    assert alarms(client) == [(member, 1)]
    for refused in (lambda: client.put(b"small"), lambda: client.grant(60)):
        with rejected(*NO_SPACE):
            refused()
    assert len(client.range(b"fill/", prefix_end(b"fill/"), keys_only=True).kvs) == count
    health = requests.get(server.url + "/health", timeout=20)
    assert (health.status_code, "ALARM NOSPACE" in health.text) == (503, True)


@pytest.mark.martlet
def test_M3_deleting_and_compacting_ends_the_alarm(start):
    server, client = start(*FLAGS)
    fill(client)
    client.delete(b"fill/", prefix_end(b"fill/"))
    with rejected(*NO_SPACE):  # history still counts
        client.put(b"k")
    client.compact(client.revision(), physical=True)
    wait_until(lambda: not alarms(client), "the alarm is over", 20)
    client.put(b"k", b"v")
    assert client.status().dbSizeInUse < QUOTA * 0.9
    log = [json.loads(line)["msg"] for line in server.log().splitlines() if line.startswith("{")]
    assert any(text.startswith("the quota is nearly used up") for text in log)
    assert any(text.startswith("the quota is used up") for text in log)
    assert "there is room below the quota again" in log


@pytest.mark.martlet
def test_M3_automatic_compaction_is_enough_to_end_it(start):
    _, client = start(*FLAGS, "--auto-compaction-mode=periodic", "--auto-compaction-retention=2s")
    fill(client)
    client.delete(b"fill/", prefix_end(b"fill/"))
    wait_until(lambda: not alarms(client), "the alarm is over", 30)
    client.put(b"k", b"v")


@pytest.mark.martlet
def test_M3_an_alarm_that_an_operator_raised_stays(start):
    _, client = start(*FLAGS)
    fill(client)
    member = client.status().header.member_id
    client.alarm("ACTIVATE", member, "NOSPACE")
    client.delete(b"fill/", prefix_end(b"fill/"))
    client.compact(client.revision(), physical=True)
    assert client.status().dbSizeInUse < QUOTA * 0.9
    assert alarms(client) == [(member, 1)]
    with rejected(*NO_SPACE):
        client.put(b"k")
    client.alarm("DEACTIVATE", member, "NOSPACE")
    client.put(b"k")


@pytest.mark.martlet
@pytest.mark.cluster
def test_M3_another_leader_ends_the_alarm_of_the_one_before():
    with Cluster(3, flags=FLAGS) as cluster:
        leader = cluster.leader()
        fill(cluster.client(leader))
        for member in cluster.members:
            assert len(alarms(cluster.client(member))) == 1
        cluster.members[leader].kill()
        following = cluster.client(cluster.leader())
        with rejected(*NO_SPACE):
            following.put(b"k")
        following.delete(b"fill/", prefix_end(b"fill/"))
        following.compact(following.revision(), physical=True)
        wait_until(lambda: not alarms(following), "the alarm is over", 20)
        following.put(b"k", b"v")
        cluster.members[leader].start(wait=False)
        cluster.wait_agreed()
        cluster.check_same()


def test_C6_periodic_compaction_keeps_what_is_younger(start):
    _, client = start("--auto-compaction-mode=periodic", "--auto-compaction-retention=3s")
    client.put(b"k", b"1")
    client.put(b"k", b"2")
    old = client.revision()

    def is_compacted() -> bool:
        return client.hash_kv().compact_revision >= old

    wait_until(is_compacted, "old revisions are compacted", 40)
    client.put(b"k", b"3")
    new = client.revision()
    # What is younger than the retention is there: two revisions written now can both be read.
    assert client.range(b"k", revision=new).kvs[0].value == b"3"
    assert client.range(b"k").kvs[0].version == 3


@pytest.mark.martlet
def test_free_space_goes_back_to_the_file_system(start):
    _, client = start()
    for number in range(300):
        client.put(b"fill/%d" % number, VALUE)
    before = client.status().dbSize
    client.delete(b"fill/", prefix_end(b"fill/"))
    client.compact(client.revision(), physical=True)
    wait_until(lambda: client.status().dbSize < before / 2, "the file shrinks", 30)
    client.defragment()


def log_bytes(server) -> int:
    return sum(file.stat().st_size for file in (server.data_dir / "log").iterdir())


@pytest.mark.martlet
def test_an_only_member_keeps_no_log_behind_its_checkpoints(start):
    server, client = start()
    value = random.Random(1).randbytes(1 << 20)
    for number in range(320):
        client.put(b"k%d" % (number % 8), value[number:] + bytes(number))
    # Three segments of 64 MiB: what no checkpoint has yet, and one that is prepared for what comes.
    wait_until(lambda: log_bytes(server) <= 192 << 20, "checkpoints give the log back", 30)


@pytest.mark.martlet
@pytest.mark.cluster
def test_members_keep_log_for_those_that_are_behind():
    with Cluster(3) as cluster:
        client = cluster.client(cluster.leader())
        value = random.Random(1).randbytes(1 << 20)
        for number in range(320):
            client.put(b"k%d" % (number % 8), value[number:] + bytes(number))
        cluster.wait_agreed()
        for member in cluster.members:
            assert log_bytes(member) >= 256 << 20
