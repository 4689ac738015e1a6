"""test_cluster_basic.py: three members without a fault: what each of them, and etcdctl, says.

Belongs here: reads, writes, watches, leases through any member; endpoint and member commands;
moving the lead. Never here: faults (test_cluster_faults.py), change of members.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from client import compare, op_put, prefix_end, rejected
from cluster import Cluster, wait_until
from cluster_etcdctl import ClusterEtcdctl
from history import Load

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(3) as three:
        yield three
        assert len(three.running) == 3


@pytest.fixture(params=["3.4", "3.5"])
def ctl(request: pytest.FixtureRequest, cluster: Cluster) -> ClusterEtcdctl:
    return ClusterEtcdctl(request.param, cluster)


# -- what a client sees -----------------------------------------------------------------------


def test_G7_a_write_through_any_member_is_read_through_any_other(cluster, p):
    for number in range(3):
        for other in range(3):
            key = p + b"%d%d" % (number, other)
            revision = cluster.client(number).put(key, b"v").header.revision
            reply = cluster.client(other).range(key)
            assert reply.kvs[0].value == b"v"
            assert reply.header.revision >= revision


def test_G4_headers_tell_the_member_and_the_one_cluster(cluster, p):
    headers = [cluster.client(n).put(p + b"%d" % n).header for n in range(3)]
    assert len({header.cluster_id for header in headers}) == 1
    assert len({header.raft_term for header in headers}) == 1
    assert [h.member_id for h in headers] == [cluster.member_id(m) for m in cluster.members]
    assert [b.revision - a.revision for a, b in zip(headers, headers[1:], strict=False)] == [1, 1]


def test_M1_every_member_names_the_same_leader(cluster):
    cluster.wait_agreed()
    states = cluster.statuses()
    assert len({state.leader for state in states}) == 1
    assert states[0].leader in [state.header.member_id for state in states]
    assert not any(state.isLearner or state.errors for state in states)


def test_K1_every_member_lists_the_same_members(cluster):
    lists = [list(cluster.client(n).members().members) for n in range(3)]
    assert lists[0] == lists[1] == lists[2]
    assert [m.ID for m in lists[0]] == sorted(cluster.member_id(m) for m in cluster.members)
    told = {(m.name, *m.peerURLs, *m.clientURLs) for m in lists[0]}
    assert told == {(m.name, m.peer_url, m.url) for m in cluster.members}


def test_M6_hash_kv_is_the_same_on_every_member(cluster, p):
    for n in range(30):
        cluster.client(n % 3).put(p + b"%d" % (n % 7), b"%d" % n)
    cluster.client(1).delete(p + b"3")
    cluster.check_same()


def test_C5_a_compaction_through_one_member_compacts_all(cluster, p):
    revisions = [cluster.client(n % 3).put(p, b"%d" % n).header.revision for n in range(6)]
    cluster.client(0).compact(revisions[3], physical=True)
    cluster.wait_revision(revisions[-1])
    for n in range(3):
        with rejected("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted"):
            cluster.client(n).get(p, revision=revisions[1])
        assert cluster.client(n).get(p, revision=revisions[4]).value == b"4"
    wait_until(lambda: len(set(cluster.hashes(revisions[-1]))) == 1, "the same HashKV everywhere")


@pytest.mark.martlet
def test_the_pages_are_the_same_on_every_member(cluster, p):
    """Maintenance.Hash: etcd's files differ from member to member, Martlet's pages must not."""
    for n in range(100):
        cluster.client(n % 3).put(p + b"%d" % n, b"x" * 100)
    revision = cluster.check_same()
    wait_until(lambda: len({cluster.client(n).hash().hash for n in range(3)}) == 1,
               f"the same Hash on all members at revision {revision}")


def test_watches_on_every_member_see_every_write(cluster, p):
    streams = [cluster.client(n).watch() for n in range(3)]
    try:
        for stream in streams:
            stream.create(p, prefix_end(p))
        for n in range(30):
            cluster.client(n % 3).put(p + b"%d" % (n % 4), b"%d" % n)
        seen = [[(e.kv.mod_revision, e.kv.value) for e in s.events(30)] for s in streams]
    finally:
        for stream in streams:
            stream.close()
    assert seen[0] == seen[1] == seen[2]
    assert [value for _, value in seen[0]] == [b"%d" % n for n in range(30)]


def test_L_a_lease_lives_on_every_member(cluster, p):
    follower, leader = cluster.follower(), cluster.leader()
    lease = cluster.client(follower).grant(600).ID
    cluster.client(leader).put(p, b"v", lease=lease)
    for n in range(3):
        reply = cluster.client(n).time_to_live(lease, keys=True)
        assert (reply.grantedTTL, list(reply.keys)) == (600, [p])
        assert 590 <= reply.TTL <= 600
        with cluster.client(n).keepalive() as stream:
            assert stream.ping(lease).TTL == 600
    cluster.client(cluster.follower(1)).revoke(lease)
    assert cluster.client(leader).get(p) is None
    assert cluster.client(follower).time_to_live(lease).TTL == -1


def test_transactions_on_different_members_exclude_each_other(cluster, p):
    """Each raises a counter by a compare of what it read: no step may be lost or done twice."""
    cluster.client(0).put(p, b"0")

    def raise_it(number):
        client, done = cluster.client(number), 0
        while done < 10:
            kv = client.get(p)
            done += client.txn([compare(p, "mod_revision", "=", kv.mod_revision)],
                               [op_put(p, b"%d" % (int(kv.value) + 1))]).succeeded
    threads = [threading.Thread(target=raise_it, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [cluster.client(n).get(p).value for n in range(3)] == [b"30"] * 3


def test_load_on_every_member_keeps_every_promise(cluster):
    with Load(cluster) as load:
        load.warm_up(300)
    print(load.verify())
    assert load.record.unknown == 0, "a healthy cluster refused a write"
    assert load.record.reads > 10


# -- etcdctl ------------------------------------------------------------------------------------


def test_etcdctl_endpoint_status(cluster, ctl):
    cluster.check_same()
    rows = ctl.table("endpoint", "status", "--cluster")
    assert {row["ENDPOINT"]: row["ID"] for row in rows} == {
        ctl.known[f"url{n}"]: ctl.known[f"id{n}"] for n in range(3)}
    leads = {row["ENDPOINT"]: row["IS LEADER"] for row in rows}
    assert leads == {m.url: str(n == cluster.leader()).lower()
                     for n, m in enumerate(cluster.members)}
    assert {row["IS LEARNER"] for row in rows} == {"false"}
    assert {row["ERRORS"] for row in rows} == {""}
    told = ctl.json("endpoint", "status", "--cluster")
    assert {one["Status"]["leader"] for one in told} == {
        cluster.member_id(cluster.members[cluster.leader()])}
    assert len({one["Status"]["header"]["revision"] for one in told}) == 1


def test_etcdctl_endpoint_health(cluster, ctl):
    done = ctl.run("endpoint", "health", "--cluster")
    assert done.returncode == 0
    for member in cluster.members:
        assert f"{member.url} is healthy: successfully committed" in done.stdout + done.stderr
    told = ctl.json("endpoint", "health", "--cluster")
    assert {one["endpoint"]: one["health"] for one in told} == {
        member.url: True for member in cluster.members}


def test_etcdctl_endpoint_hashkv(cluster, ctl):
    cluster.check_same()
    lines = [line.split(", ") for line in ctl.lines("endpoint", "hashkv", "--cluster")]
    assert sorted(url for url, _ in lines) == sorted(m.url for m in cluster.members)
    assert len({number for _, number in lines}) == 1


def test_etcdctl_member_list(cluster, ctl):
    assert ctl.lines("member", "list") == sorted(
        f"{ctl.known[f'id{n}']}, started, {m.name}, {m.peer_url}, {m.url}, false"
        for n, m in enumerate(cluster.members))
    assert {row["NAME"] for row in ctl.table("member", "list")} == {"n0", "n1", "n2"}


def test_etcdctl_move_leader(cluster, ctl):
    old, new = cluster.leader(), cluster.follower()
    ctl.transcript(f"""
$ move-leader <id{new}>
Leadership transferred from <id{old}> to <id{new}>
$ move-leader 3039
!1 Error: etcdserver: bad leader transferee
""")
    wait_until(lambda: cluster.agreed() == new, f"member {new} leads")
    cluster.client(old).put(b"after the move", b"v")


# -- moving the lead ----------------------------------------------------------------------------


def test_move_leader_goes_to_the_leader_only(cluster):
    follower = cluster.follower()
    with rejected("FAILED_PRECONDITION", "etcdserver: not leader"):
        cluster.client(follower).move_leader(cluster.member_id(cluster.members[follower]))


def test_move_leader_under_load_loses_nothing(cluster):
    with Load(cluster) as load:
        for _ in range(3):
            load.warm_up(30)
            old, new = cluster.leader(), cluster.follower()
            target = cluster.member_id(cluster.members[new])
            cluster.client(old).move_leader(target)
            wait_until(lambda new=new: cluster.agreed() == new, f"member {new} leads")
        load.recover()
    print(load.verify())
