"""test_cluster_membership.py: members join, are promoted, move, leave, and stay away.

Belongs here: MemberAdd, Update, Promote, Remove and what the processes do about it, K1 to K10.
Never here: faults of members that stay (test_cluster_faults.py).
"""

from __future__ import annotations

import grpc
import pytest

from client import rejected
from cluster import Cluster, Member, wait_until
from cluster_etcdctl import ClusterEtcdctl
from history import Load

pytestmark = pytest.mark.cluster
NOT_FOUND = ("NOT_FOUND", "etcdserver: member not found")


@pytest.fixture
def three():
    with Cluster(3) as cluster:
        yield cluster


def wait_until_healthy(cluster: Cluster) -> None:
    """Takes a change and undoes it, so that the next one needs no patience."""
    reply = cluster.change(lambda c: c.member_add("http://127.0.0.1:1", learner=True))
    cluster.change(lambda c: c.member_remove(reply.member.ID))


def caught_up(cluster: Cluster, member: Member) -> None:
    revision = cluster.client(cluster.leader()).revision()
    cluster.wait_revision(revision)
    assert cluster.status(member).header.revision >= revision


# -- growing and shrinking --------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, pytest.param(5, marks=pytest.mark.soak)])
def test_K4_one_grows_and_shrinks_again_under_load(size):
    with Cluster(1) as cluster:
        first = cluster.members[0]
        with Load(cluster, writers=2) as load:
            load.warm_up()
            for count in range(2, size + 1):
                cluster.add()
                cluster.wait_agreed(cluster.members)
                load.recover()
                assert len(cluster.client(0).members().members) == count
            cluster.check_same()
            while len(cluster.members) > 1:
                status = cluster.drop(cluster.members[-1])
                assert status == 0, "a removed member must end by itself, cleanly"
                load.recover()
        print(load.verify())
        (left,) = cluster.client(0).members().members
        assert left.name == first.name


def test_a_new_member_gets_what_was_written_before_it_came(three):
    for n in range(200):
        three.client(0).put(b"before/%d" % (n % 50), b"%d" % n)
    revision = three.client(0).revision()
    three.client(0).compact(revision - 20)
    member, number = three.add()
    three.wait_agreed(three.members)
    assert three.member_id(member) == number
    caught_up(three, member)
    assert len(three.client(member).prefix(b"before/", serializable=True).kvs) == 50
    three.check_same()


def test_a_wiped_member_is_removed_and_added_again(three):
    """etcd's own procedure for a lost disk; it comes back under a new id, at the same URLs."""
    with Load(three, members=three.members[:2]) as load:
        load.warm_up()
        victim = three.members[2]
        old = three.member_id(victim)
        victim.kill()
        victim.wipe()
        three.wait_agreed()
        three.change(lambda c: c.member_remove(old))
        load.recover()
        new = three.change(lambda c: c.member_add(victim.peer_url)).member.ID
        assert new != old
        victim.state = "existing"
        victim.start(wait=False)
        three.wait_agreed(three.members)
        load.recover()
        assert three.member_id(victim) == new
    print(load.verify())


# -- removed members ----------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["leader", "follower"])
def test_K5_a_removed_member_ends_by_itself_and_says_why(three, who):
    victim = three.members[three.leader() if who == "leader" else three.follower()]
    assert three.drop(victim) == 0
    assert "removed" in victim.log()
    victim.start(wait=False)
    victim.wait_exit()
    assert "removed" in victim.log(), "the restarted member must say that it was removed"
    three.wait_agreed(three.members)
    three.client(0).put(b"after", b"v")
    three.check_same()


def test_K5_a_removed_id_never_comes_back(three):
    victim = three.members[three.follower()]
    number = three.member_id(victim)
    three.drop(victim)
    through = three.client(three.leader())
    for call in (lambda: through.member_remove(number), lambda: through.member_promote(number),
                 lambda: through.member_update(number, "http://127.0.0.1:1")):
        with rejected(*NOT_FOUND):
            call()


# -- learners -------------------------------------------------------------------------------------


def test_K6_K8_a_learner_follows_does_not_count_and_is_promoted(three):
    for n in range(50):
        three.client(0).put(b"k%d" % n, b"v")
    learner, number = three.add(learner=True)
    wait_until(lambda: three.status(learner), "the learner answers")
    assert three.status(learner).isLearner
    told = {m.ID: m.isLearner for m in three.client(0).members().members}
    assert [n for n, learns in told.items() if learns] == [number]
    wait_until(lambda: three.client(learner).get(b"k49", serializable=True), "the learner follows")
    for call in (lambda c: c.put(b"x", b"y"), lambda c: c.get(b"x")):
        with pytest.raises(grpc.RpcError) as caught:
            call(three.client(learner))
        assert caught.value.details() == "etcdserver: rpc not supported for learner"
        assert caught.value.code().name in ("UNAVAILABLE", "FAILED_PRECONDITION")  # 3.5, 3.6

    def promoted():
        try:
            return three.client(three.leader()).member_promote(number)
        except grpc.RpcError as error:
            assert "in sync with leader" in error.details(), error
            return None
    wait_until(promoted, "the learner is in sync", 20)
    three.wait_agreed(three.members)
    assert not three.status(learner).isLearner
    three.client(learner).put(b"from the new voter", b"v")
    three.check_same()
    with rejected("FAILED_PRECONDITION", "etcdserver: can only promote a learner member"):
        three.client(0).member_promote(number)


def test_K2_one_learner_at_a_time(three):
    three.change(lambda c: c.member_add("http://127.0.0.1:1", learner=True))
    through = three.client(three.leader())
    with rejected("FAILED_PRECONDITION", "etcdserver: too many learner members in cluster"):
        through.member_add("http://127.0.0.1:2", learner=True)


def test_K6_a_learner_that_never_started_is_not_promoted(three):
    three.client(0).put(b"k", b"v")
    reply = three.change(lambda c: c.member_add("http://127.0.0.1:1", learner=True))
    through, number = three.client(three.leader()), reply.member.ID
    with rejected("FAILED_PRECONDITION", "etcdserver: can only promote a learner member which is"
                  " in sync with leader"):
        through.member_promote(number)


# -- refusals -------------------------------------------------------------------------------------


def test_K2_the_same_peer_url_twice_and_a_bad_one(three):
    wait_until_healthy(three)
    through = three.client(three.leader())
    with rejected("FAILED_PRECONDITION", "etcdserver: Peer URLs already exists"):
        through.member_add(three.members[1].peer_url)
    for url in ("127.0.0.1:2380", "ftp://127.0.0.1:1", "http://127.0.0.1"):
        with rejected("INVALID_ARGUMENT", "etcdserver: given member URLs are invalid"):
            through.member_add(url)


def test_K3_a_change_is_refused_while_a_member_is_down(three):
    """Of four voters only two would be there."""
    victim = three.members[three.follower()]
    victim.kill()
    with rejected("UNAVAILABLE", "etcdserver: unhealthy cluster"):
        three.client(three.leader()).member_add("http://127.0.0.1:1")


def test_K3_members_that_never_start_cannot_take_the_quorum(three):
    """The first is taken; etcd 3.5 refuses the second, 3.6 the third (three of six started)."""
    three.change(lambda c: c.member_add("http://127.0.0.1:1"))
    through = three.client(three.leader())
    with pytest.raises(grpc.RpcError) as caught:
        for port in (2, 3):
            through.member_add(f"http://127.0.0.1:{port}")
    assert caught.value.details() in (
        "etcdserver: unhealthy cluster",
        "etcdserver: re-configuration failed due to not enough started members")
    through.put(b"still", b"writable")


def test_K10_a_member_that_nobody_added_is_refused(three):
    stranger = three.new_member()
    stranger.initial_cluster = f"{three.initial_cluster()},{stranger.name}={stranger.peer_url}"
    try:
        stranger.start(wait=False)
        assert stranger.wait_exit() != 0
        assert "member" in stranger.log_tail(3), "it must say why"
    finally:
        stranger.close()
    three.check_same()


@pytest.mark.martlet
def test_K10_a_wiped_founder_takes_no_part_while_the_others_are_away(three):
    """It has forgotten what it acknowledged: its vote could lose what the others agreed."""
    three.client(0).put(b"kept", b"v")
    for member in three.members:
        member.kill()
    victim = three.members[2]
    victim.wipe()
    victim.start(wait=False)
    wait_until(lambda: "waiting for the other founders" in victim.log(), "it waits", 30)
    assert three.status(victim) is None, "it must not serve"
    for member in three.members[:2]:
        member.start(wait=False)
    assert victim.wait_exit() != 0
    assert "has already been bootstrapped" in victim.log()
    three.wait_agreed(three.members[:2])
    assert three.client(0).get(b"kept").value == b"v"
    victim.state = "existing"
    victim.start(wait=False)
    wait_until(lambda: (told := three.status(victim)) and not told.isLearner, "it votes again", 30)
    three.check_same()


def test_G17_a_member_of_another_cluster_is_kept_out():
    """The same peer URLs but another token: another cluster, whose messages must not count."""
    with Cluster(3, start=False) as cluster:
        alien = cluster.members[2]
        alien.token = "another-cluster"
        for member in cluster.members:
            member.start(wait=False)
        good = cluster.members[:2]
        cluster.wait_agreed(good)
        cluster.client(0).put(b"k", b"v")
        wait_until(lambda: any("cluster" in line and "mismatch" in line for m in cluster.members
                               for line in m.log().splitlines()), "a line about the mismatch", 20)
        state = cluster.status(alien)
        assert state is None or state.leader == 0
        assert all(len(cluster.client(m).members().members) == 3 for m in good)


# -- etcdctl --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_etcdctl_adds_promotes_updates_and_removes(three, version):
    ctl = ClusterEtcdctl(version, three)
    wait_until_healthy(three)
    learner = three.new_member()
    ctl.known["peer3"] = learner.peer_url
    told = ctl.ok("member", "add", "n3", f"--peer-urls={learner.peer_url}", "--learner")
    ctl.know_id(3, next(m.ID for m in three.client(0).members().members if not m.name))
    first, _, *names = told.splitlines()
    assert first == f"Member {ctl.known['ID3']} added to cluster {ctl.known['cluster']}"
    assert names[0] == 'ETCD_NAME="n3"'
    assert names[1].startswith('ETCD_INITIAL_CLUSTER="')
    assert names[2:] == [f'ETCD_INITIAL_ADVERTISE_PEER_URLS="{learner.peer_url}"',
                         'ETCD_INITIAL_CLUSTER_STATE="existing"']
    learner.initial_cluster = names[1].split("=", 1)[1].strip('"')
    assert set(learner.initial_cluster.split(",")) == {
        f"{m.name}={m.peer_url}" for m in [*three.members, learner]}
    assert f"{ctl.known['id3']}, unstarted, , {learner.peer_url}, , true" in ctl.lines(
        "member", "list")
    three.members.append(learner)
    learner.start(wait=False)
    wait_until(lambda: ctl.run("member", "promote", ctl.known["id3"]).returncode == 0,
               "etcdctl promotes the learner", 20)
    three.wait_agreed(three.members)
    started = f"{ctl.known['id3']}, started, n3, {learner.peer_url}, {learner.url}, false"
    assert started in ctl.lines("member", "list")
    ctl.transcript("""
$ member update <id3> --peer-urls=http://127.0.0.1:1
Member <ID3> updated in cluster <cluster>
$ member update <id3> --peer-urls=<peer3>
Member <ID3> updated in cluster <cluster>
""")
    # The member that goes stops serving: whoever asks it may lose the answer.
    three.members.remove(learner)
    removal = f"Member {ctl.known['ID3']} removed from cluster {ctl.known['cluster']}\n"
    wait_until(lambda: ctl.run("member", "remove", ctl.known["id3"]).stdout == removal,
               "etcdctl removes the member", 20)
    ctl.transcript("""
$ member remove <id3>
!1 Error: etcdserver: member not found
""")
    assert learner.wait_exit() == 0
    assert len(ctl.lines("member", "list")) == 3
