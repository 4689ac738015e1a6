"""test_etcdctl_more.py: etcdctl's leases, maintenance, locks, elections, mirror and TLS.

Belongs here: what a person or a script sees, with the exact answers of etcd 3.5.16. Keys and
watches: test_etcdctl.py. Source of truth: etcdctl itself, run against etcd.
Every test has a server of its own, so revisions in the answers are exact.
"""

from __future__ import annotations

import hashlib
import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdctl import Etcdctl
from server import Certificates, Server, make_certificates


@pytest.fixture(params=["3.4", "3.5"])
def ctl(request: pytest.FixtureRequest) -> Iterator[Etcdctl]:
    with Server() as server:
        yield Etcdctl(request.param, server)
        server.check_alive()


# -- lease ----------------------------------------------------------------------------------


def test_lease(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ lease grant 1000
lease <lease> granted with TTL(1000s)
$ lease grant 1
lease <short> granted with TTL(2s)
$ lease list
found 2 leases
<short>
<lease>
$ lease revoke <short>
lease <short> revoked
$ put one v --lease=<lease>
OK
$ put two v --lease=<lease>
OK
$ get one -w json
{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"revision":3,"raft_term":<n>},"kvs":[{"key":"b25l","create_revision":2,"mod_revision":2,"version":1,"value":"dg==","lease":<#id>}],"count":1}
$ put two w
OK
$ put one x --ignore-lease
OK
$ lease timetolive <lease> --keys
lease <lease> granted with TTL(1000s), remaining(<seconds>s), attached keys([one])
$ lease timetolive <lease> --keys -w json
{"cluster_id":<#cluster>,"member_id":<#member>,"revision":5,"raft_term":<n>,"id":<#id>,"ttl":<n>,"granted-ttl":1000,"keys":["b25l"]}
$ lease timetolive <lease>
lease <lease> granted with TTL(1000s), remaining(<seconds>s)
$ lease keep-alive --once <lease>
lease <lease> keepalived with TTL(1000)
$ lease keep-alive --once <lease> -w json
{"cluster_id":<#cluster>,"member_id":<#member>,"revision":5,"raft_term":<n>,"ID":<#id>,"TTL":1000}
$ lease list -w json
{"cluster_id":<#cluster>,"member_id":<#member>,"revision":5,"raft_term":<n>,"leases":[{"id":<#id>}]}
$ lease revoke <lease>
lease <lease> revoked
$ get one
$ get two
two
w
$ lease timetolive <lease>
lease <lease> already expired
$ lease list
found 0 leases
$ lease revoke 123
!1 Error: failed to revoke lease (etcdserver: requested lease not found)
$ lease keep-alive --once 123
!2 Error: etcdserver: requested lease not found
$ lease timetolive 123
lease 0000000000000123 already expired
$ lease grant 60 -w json
{"cluster_id":<#cluster>,"member_id":<#member>,"revision":6,"raft_term":<n>,"ID":<n>,"TTL":60,"Error":""}
""")


def test_lease_is_kept_alive_until_it_is_revoked(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ lease grant 2
lease <lease> granted with TTL(2s)
""")
    lease = ctl.known["lease"]
    with ctl.follow("lease", "keep-alive", lease) as kept:
        # Six renewals, one each 2/3 s, outlive the first TTL.
        assert kept.lines(6) == [f"lease {lease} keepalived with TTL(2)"] * 6
        ctl.ok("lease", "revoke", lease)
        assert kept.wait() == 0
        assert kept.output.endswith(f"lease {lease} expired or revoked.\n")


def test_lease_expiry_deletes_its_keys(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ lease grant 2
lease <lease> granted with TTL(2s)
""")
    granted = time.monotonic()
    with ctl.follow("watch", "k", "--prefix", "--rev", "1") as watch:
        ctl.ok("put", "k1", "v", f"--lease={ctl.known['lease']}")
        ctl.ok("put", "k2", "v", f"--lease={ctl.known['lease']}")
        assert watch.lines(12)[6:] == ["DELETE", "k1", "", "DELETE", "k2", ""]
    assert time.monotonic() - granted > 1.5, "expired before its time"
    ctl.transcript("""
$ get k --prefix
$ lease list
found 0 leases
$ lease timetolive <lease>
lease <lease> already expired
""")


# -- maintenance ----------------------------------------------------------------------------


def test_compaction(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ put k 1
OK
$ put k 2
OK
$ put k 3
OK
$ compaction 3
compacted revision 3
$ get k --rev 2
!1 Error: etcdserver: mvcc: required revision has been compacted
$ get k --rev 3
k
2
$ get k
k
3
$ compaction 3
!1 Error: etcdserver: mvcc: required revision has been compacted
$ compaction 99
!1 Error: etcdserver: mvcc: required revision is a future revision
$ compaction 4 --physical
compacted revision 4
$ compaction 4
!1 Error: etcdserver: mvcc: required revision has been compacted
""")


def test_defrag(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ put k v
OK
$ defrag
Finished defragmenting etcd member[<endpoint>]
$ defrag --cluster
Finished defragmenting etcd member[http://<endpoint>]
$ get k
k
v
""")


def test_endpoint_status(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ put k v
OK
$ endpoint status
<endpoint>, <member>, <version>, <size>, true, false, <n>, <n>, <n>, \n\
$ endpoint status --cluster
http://<endpoint>, <member>, <version>, <size>, true, false, <n>, <n>, <n>, \n\
$ endpoint status -w json
[{"Endpoint":"<endpoint>","Status":{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"revision":2,"raft_term":<n>},"version":"<version>","dbSize":<n>,"leader":<#member>,"raftIndex":<n>,"raftTerm":<n>,"raftAppliedIndex":<n>,"dbSizeInUse":<n>}}]
$ endpoint status -w fields
"ClusterID" : <#cluster>
"MemberID" : <#member>
"Revision" : 2
"RaftTerm" : <n>
"Version" : "<version>"
"DBSize" : <n>
"Leader" : <#member>
"IsLearner" : false
"RaftIndex" : <n>
"RaftTerm" : <n>
"RaftAppliedIndex" : <n>
"Errors" : []
"Endpoint" : "<endpoint>"

""")
    assert int(ctl.known["member"], 16) == int(ctl.known["#member"])


def test_endpoint_status_as_a_table(ctl: Etcdctl) -> None:
    table = ctl.ok("endpoint", "status", "-w", "table").splitlines()
    assert [cell.strip() for cell in table[1].split("|")[1:-1]] == [
        "ENDPOINT", "ID", "VERSION", "DB SIZE", "IS LEADER", "IS LEARNER", "RAFT TERM",
        "RAFT INDEX", "RAFT APPLIED INDEX", "ERRORS"]
    cells = [cell.strip() for cell in table[3].split("|")[1:-1]]
    assert cells[0] == ctl.server.endpoint
    assert cells[4:6] == ["true", "false"]
    assert cells[7] == cells[8], "applied is not the last index on an idle member"


def test_the_revision_scripts_take_from_status(ctl: Etcdctl) -> None:
    for value in range(5):
        ctl.ok("put", "k", str(value))
    found = re.findall(r'"revision":[0-9]*', ctl.ok("endpoint", "status", "-w", "json"))
    assert found == ['"revision":6']
    ctl.transcript("""
$ compaction 6
compacted revision 6
$ defrag
Finished defragmenting etcd member[<endpoint>]
$ alarm disarm
""")


def test_endpoint_health(ctl: Etcdctl) -> None:
    healthy = r"is healthy: successfully committed proposal: took = [0-9.]+[mµ]?s\n"
    for arguments, where in ((), ctl.server.endpoint), (("--cluster",), ctl.server.url):
        done = ctl.run("endpoint", "health", *arguments)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(f"{where} {healthy}", done.stdout + done.stderr)  # 3.4: stderr
    (reply,) = json.loads(ctl.ok("endpoint", "health", "-w", "json"))
    assert set(reply) == {"endpoint", "health", "took"}
    assert (reply["endpoint"], reply["health"]) == (ctl.server.endpoint, True)


def test_endpoint_hashkv(ctl: Etcdctl) -> None:
    """The hash is a CRC over etcd's own record encoding, so its value is part of the interface."""
    ctl.transcript("""
$ endpoint hashkv
<endpoint>, 1084519789
$ put foo bar
OK
$ put foo baz
OK
$ put gone v
OK
$ del gone
1
$ endpoint hashkv
<endpoint>, 332879441
$ endpoint hashkv --cluster
http://<endpoint>, 332879441
$ endpoint hashkv --rev 3 -w json
[{"Endpoint":"<endpoint>","HashKV":{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"revision":5,"raft_term":<n>},"hash":2020292994,"compact_revision":-1}}]
$ compaction 4 --physical
compacted revision 4
$ endpoint hashkv -w json
[{"Endpoint":"<endpoint>","HashKV":{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"revision":5,"raft_term":<n>},"hash":3032520700,"compact_revision":4}}]
$ endpoint hashkv --rev 99
!1 Error: etcdserver: mvcc: required revision is a future revision
$ endpoint hashkv --rev 3
!1 Error: etcdserver: mvcc: required revision has been compacted
""")


def test_snapshot_save(ctl: Etcdctl, tmp_path: Path) -> None:
    for value in range(20):
        ctl.ok("put", f"k{value}", "v" * 4096)
    target = tmp_path / "snapshot.db"
    assert ctl.ok("snapshot", "save", str(target)) == f"Snapshot saved at {target}\n"
    content = target.read_bytes()
    assert len(content) % 512 == 32
    assert hashlib.sha256(content[:-32]).digest() == content[-32:]
    assert not Path(f"{target}.part").exists()


def test_alarms(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ alarm list
$ alarm disarm
$ alarm list
""")


def test_member_list(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ member list
<member>, started, default, http://<peer>, http://<endpoint>, false
$ member list -w json
{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"raft_term":<n>},"members":[{"ID":<#member>,"name":"default","peerURLs":["http://<peer>"],"clientURLs":["http://<endpoint>"]}]}
$ member list -w fields
"ClusterID" : <#cluster>
"MemberID" : <#member>
"Revision" : 0
"RaftTerm" : <n>
"ID" : <#member>
"Name" : "default"
"PeerURL" : "http://<peer>"
"ClientURL" : "http://<endpoint>"
"IsLearner" : false

""")
    assert int(ctl.known["member"], 16) == int(ctl.known["#member"])


def test_member_and_cluster_id_are_derived_as_in_etcd(ctl: Etcdctl) -> None:
    """semantics G17: scripts and restored clusters rely on the ids of a given configuration."""
    peer = f"http://127.0.0.1:{ctl.server.peer_port}"
    member = hashlib.sha1(f"{peer}etcd-cluster".encode()).digest()[:8]
    header = json.loads(ctl.ok("member", "list", "-w", "json"))["header"]
    assert header["member_id"] == int.from_bytes(member, "big")
    assert header["cluster_id"] == int.from_bytes(hashlib.sha1(member).digest()[:8], "big")


# -- what the client library builds on leases, transactions and watches -----------------------


def test_lock_runs_a_command(ctl: Etcdctl) -> None:
    show = 'echo "$ETCD_LOCK_KEY $ETCD_LOCK_REV"; exit 7'
    done = ctl.run("lock", "name", "--", "sh", "-c", show)
    assert re.fullmatch(r"name/[0-9a-f]+ 2\n", done.stdout)
    assert done.returncode == (1 if ctl.version == "3.4" else 7), done.stderr
    assert ctl.ok("get", "name", "--prefix") == "", "the lock's key outlived it"


def test_lock_is_handed_over(ctl: Etcdctl) -> None:
    with ctl.follow("lock", "name") as holder, ctl.follow("lock", "name") as waiter:
        held = {"holder": holder, "waiter": waiter}
        deadline = time.monotonic() + 20
        while (ctl.ok("get", "name/", "--prefix", "--keys-only").count("name/") < 2
               or not (holder.output or waiter.output)):
            assert time.monotonic() < deadline, "two candidates and one holder expected"
        first = next(name for name, lock in held.items() if lock.output)
        second = held["waiter" if first == "holder" else "holder"]
        assert second.output == "", "two hold one lock"
        held[first].end()
        assert second.lines(1)[0].startswith("name/")
        assert second.lines(1) != held[first].lines(1)
        second.end()


def test_elect(ctl: Etcdctl) -> None:
    with ctl.follow("elect", "name", "candidate") as leader:
        key, value = leader.lines(2)
        assert re.fullmatch(r"name/[0-9a-f]+", key) and value == "candidate"
        with ctl.follow("elect", "-l", "name") as observer:
            assert observer.lines(2) == [key, value]
            with ctl.follow("elect", "name", "next") as later:
                deadline = time.monotonic() + 20
                while ctl.ok("get", "name/", "--prefix", "--keys-only").count("name/") < 2:
                    assert time.monotonic() < deadline, "two candidates expected"
                leader.end(signal.SIGINT)
                assert later.lines(2)[1] == "next"
                assert observer.lines(4)[3] == "next"
                later.end()


def test_make_mirror(ctl: Etcdctl) -> None:
    for number in range(30):
        ctl.ok("put", f"m/{number:02}", f"v{number}")
    with Server() as destination:
        mirrored = Etcdctl(ctl.version, destination)
        with ctl.follow("make-mirror", destination.endpoint, "--prefix=m/"):
            ctl.ok("put", "m/live", "new")
            ctl.ok("del", "m/00")
            ctl.ok("put", "m/~last", "end")
            deadline = time.monotonic() + 20
            while mirrored.ok("get", "m/~last") == "":
                assert time.monotonic() < deadline, "the mirror did not catch up"
        assert mirrored.ok("get", "m/", "--prefix") == ctl.ok("get", "m/", "--prefix")


@pytest.mark.slow
def test_check_perf(ctl: Etcdctl) -> None:
    done = ctl.run("check", "perf", "--load=s", "--auto-compact", "--auto-defrag", seconds=120)
    verdicts = [line for line in done.stdout.splitlines() if line.startswith(("PASS", "FAIL"))]
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"PASS: Throughput is \d+ writes/s", verdicts[0])
    assert re.fullmatch(r"PASS: Slowest request took [0-9.]+s", verdicts[1])
    assert re.fullmatch(r"PASS: Stddev is [0-9.]+s", verdicts[2])
    assert verdicts[3] == "PASS"


@pytest.mark.slow
def test_check_datascale(ctl: Etcdctl) -> None:
    """Reads process_resident_memory_bytes from /metrics before and after 10,000 puts."""
    done = ctl.run("check", "datascale", "--load=s", seconds=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: Approximate system memory used : " in done.stdout


# -- TLS ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("version", ["3.4", "3.5"])
@pytest.mark.parametrize("client_cert_auth", [False, True])
def test_over_tls(version: str, client_cert_auth: bool, certificates: Certificates) -> None:
    with Server(certificates=certificates, client_cert_auth=client_cert_auth) as server:
        ctl = Etcdctl(version, server)
        ctl.transcript("""
$ put foo bar
OK
$ get foo
foo
bar
$ member list
<member>, started, default, http://<peer>, https://<endpoint>, false
$ lease grant 60
lease <lease> granted with TTL(60s)
""")
        with ctl.follow("watch", "foo", "--rev", "1") as watch:
            assert watch.lines(3) == ["PUT", "foo", "bar"]


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_tls_refuses_a_client_without_a_good_certificate(version: str, certificates: Certificates) -> None:
    with Server(certificates=certificates, client_cert_auth=True) as server:
        ctl = Etcdctl(version, server)
        ca = f"--cacert={certificates.ca}"
        stranger = [f"--cert={certificates.stranger_cert}", f"--key={certificates.stranger_key}"]
        base = [ctl.command()[0], f"--endpoints={server.url}", "--command-timeout=3s", ca]
        for shown in [], stranger:
            ctl.command = lambda *arguments, shown=shown: [*base, *shown, *arguments]
            assert ctl.run("get", "foo").returncode != 0
        server.check_alive()
