"""test_etcdctl.py: a tour of etcdctl 3.4 and 3.5 with the exact answers that etcd 3.5.16 gives.

Belongs here: keys, transactions and watches as a person or a script sees them. Leases, locks and
maintenance: test_etcdctl_more.py. Never here: rules that etcdctl cannot show (test_kv_*.py). Source of truth: etcdctl itself, run against etcd.
Every test has a server of its own, so revisions in the answers are exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from etcdctl import Etcdctl
from server import Server


@pytest.fixture(params=["3.4", "3.5"])
def ctl(request: pytest.FixtureRequest) -> Iterator[Etcdctl]:
    with Server() as server:
        yield Etcdctl(request.param, server)
        server.check_alive()


# -- put, get, del --------------------------------------------------------------------------


def test_put(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ put foo bar
OK
$ put foo baz --prev-kv
OK
foo
bar
$ put new v --prev-kv
OK
$ put empty ""
OK
$ put -- -dash -value
OK
$ put piped
> from standard input
OK
$ get piped
piped
from standard input

$ put foo --ignore-value
OK
$ put absent --ignore-value
!1 Error: etcdserver: key not found
$ put "" value
!1 Error: etcdserver: key is not provided
$ put x y --lease=123
!1 Error: etcdserver: requested lease not found
$ put foo q -w json
{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"revision":9,"raft_term":<n>}}
""")


THREE_KEYS = """
$ put foo bar
OK
$ put foo baz
OK
$ put c 1
OK
$ put a 3
OK
$ put b 2
OK
$ put a 3
OK
"""


def test_get_ranges(ctl: Etcdctl) -> None:
    ctl.transcript(THREE_KEYS, """
$ get foo
foo
baz
$ get absent
$ get a c
a
3
b
2
$ get b --from-key
b
2
c
1
foo
baz
$ get f --prefix
foo
baz
$ get "" --prefix --keys-only
a

b

c

foo

$ get "" --from-key --limit 2
a
3
b
2
$ get a d --limit 2 --print-value-only
3
2
$ get c a
$ get foo --consistency s
foo
baz
$ get foo --hex
\\x66\\x6f\\x6f
\\x62\\x61\\x7a
""")


def test_get_sorted(ctl: Etcdctl) -> None:
    ctl.transcript(THREE_KEYS, """
$ get a d --order DESCEND
c
1
b
2
a
3
$ get a d --order DESCEND --limit 1
c
1
$ get a d --sort-by KEY --order ASCEND --print-value-only
3
2
1
$ get a d --sort-by VALUE --order ASCEND --print-value-only
1
2
3
$ get a d --sort-by CREATE --order ASCEND --print-value-only
1
3
2
$ get a d --sort-by MODIFY --order DESCEND --print-value-only
3
2
1
$ get a d --sort-by VERSION --order DESCEND --limit 1
a
3
$ get a d --sort-by VALUE --keys-only
c

b

a

""")


def test_get_at_a_revision(ctl: Etcdctl) -> None:
    ctl.transcript(THREE_KEYS, """
$ get foo --rev 2
foo
bar
$ get a d --rev 5
a
3
c
1
$ get foo --rev 99
!1 Error: etcdserver: mvcc: required revision is a future revision
""")


def test_get_in_other_formats(ctl: Etcdctl) -> None:
    ctl.transcript(THREE_KEYS, """
$ get a -w json
{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"revision":7,"raft_term":<n>},"kvs":[{"key":"YQ==","create_revision":5,"mod_revision":7,"version":2,"value":"Mw=="}],"count":1}
$ get a d --limit 1 -w json
{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"revision":7,"raft_term":<n>},"kvs":[{"key":"YQ==","create_revision":5,"mod_revision":7,"version":2,"value":"Mw=="}],"more":true,"count":3}
$ get absent -w json
{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"revision":7,"raft_term":<n>}}
$ get a -w fields
"ClusterID" : <#cluster>
"MemberID" : <#member>
"Revision" : 7
"RaftTerm" : <n>
"Key" : "a"
"CreateRevision" : 5
"ModRevision" : 7
"Version" : 2
"Value" : "3"
"Lease" : 0
"More" : false
"Count" : 1
$3.5 get a d --count-only -w fields
"ClusterID" : <#cluster>
"MemberID" : <#member>
"Revision" : 7
"RaftTerm" : <n>
"More" : false
"Count" : 3
""")


def test_del(ctl: Etcdctl) -> None:
    ctl.transcript(THREE_KEYS, """
$ del absent
0
$ del foo --prev-kv
1
foo
baz
$ get foo
$ get foo --rev 7
foo
baz
$ del a c --prev-kv
2
a
3
b
2
$ del absent -w json
{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"revision":9,"raft_term":<n>}}
$ del "" --prefix
1
$ del "" --from-key
0
$ get "" --prefix
""")


# -- txn ------------------------------------------------------------------------------------


def test_txn(ctl: Etcdctl) -> None:
    ctl.transcript("""
$ put k v
OK
$ txn
> mod("k") > "0"
>
> put k2 v2
> get k
>
> get nothing
>
SUCCESS

OK

k
v
$ txn
> value("k") = "other"
>
> put k2 never
>
> get k2
> del k2
>
FAILURE

k2
v2

1
$ txn
>
> put e 1
> del k
>
>
SUCCESS

OK

1
$ txn
> version("e") = "1"
> create("e") = "5"
> value("e") = "1"
> create("k") = "0"
>
> get e
>
>
SUCCESS

e
1
$ txn
> create("e") < "5"
>
>
> put a b
>
FAILURE

OK
$ txn
> value("e") != "2"
>
> put dup 1
> put dup 2
>
>
!1 Error: etcdserver: duplicate key given in txn request
$ get "" --prefix -w json
{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"revision":6,"raft_term":<n>},"kvs":[{"key":"YQ==","create_revision":6,"mod_revision":6,"version":1,"value":"Yg=="},{"key":"ZQ==","create_revision":5,"mod_revision":5,"version":1,"value":"MQ=="}],"count":2}
""")


def test_txn_as_json(ctl: Etcdctl) -> None:
    names = {"3.4": ("ResponsePut", "ResponseRange", "ResponseDeleteRange"),
             "3.5": ("response_put", "response_range", "response_delete_range")}[ctl.version]
    ctl.transcript("""
$ put k v
OK
$ txn -w json
> version("k") = "1"
>
> put k w --prev-kv
> get k
> del k2
>
>
{"header":{"cluster_id":<#cluster>,"member_id":<#member>,"revision":3,"raft_term":<n>},"succeeded":true,"responses":[{"Response":{"PUT":{"header":{"revision":3},"prev_kv":{"key":"aw==","create_revision":2,"mod_revision":2,"version":1,"value":"dg=="}}}},{"Response":{"RANGE":{"header":{"revision":3},"kvs":[{"key":"aw==","create_revision":2,"mod_revision":3,"version":2,"value":"dw=="}],"count":1}}},{"Response":{"DELETE":{"header":{"revision":3}}}}]}
""".replace("PUT", names[0]).replace("RANGE", names[1]).replace("DELETE", names[2]))


# -- watch ----------------------------------------------------------------------------------

HISTORY = """
$ put a 1
OK
$ put a 2
OK
$ del a
1
$ put b x
OK
"""


def test_watch_replays_history_and_goes_on(ctl: Etcdctl) -> None:
    ctl.transcript(HISTORY)
    with ctl.follow("watch", "", "--prefix", "--rev", "1", "--prev-kv") as watch:
        assert watch.lines(16) == [
            "PUT", "a", "1", "PUT", "a", "1", "a", "2", "DELETE", "a", "2", "a", "",
            "PUT", "b", "x"]
        ctl.ok("put", "b", "y")
        assert watch.lines(21)[16:] == ["PUT", "b", "x", "b", "y"]


def test_watch_of_one_key(ctl: Etcdctl) -> None:
    ctl.transcript(HISTORY)
    with ctl.follow("watch", "a", "--rev", "3") as watch:
        ctl.ok("put", "b", "unseen")
        ctl.ok("put", "a", "seen")
        assert watch.lines(9) == ["PUT", "a", "2", "DELETE", "a", "", "PUT", "a", "seen"]


def test_watch_from_now(ctl: Etcdctl) -> None:
    """etcdctl does not say when its watch stands, so puts go on until the first one is seen."""
    with ctl.follow("watch", "k") as watch:
        puts = 0
        while not watch.output and puts < 500:
            ctl.ok("put", "k", str(puts))
            puts += 1
        ctl.ok("put", "k", "last")
        first = int(watch.lines(3)[2])
        values = [*range(first, puts), "last"]
        assert watch.lines(3 * len(values)) == [
            line for value in values for line in ("PUT", "k", str(value))]


def test_watch_as_json(ctl: Etcdctl) -> None:
    ctl.transcript(HISTORY)
    with ctl.follow("watch", "a", "--rev", "1", "--prev-kv", "-w", "json") as watch:
        reply = json.loads(watch.lines(1)[0])
    assert set(reply) == {"Header", "Events", "CompactRevision", "Canceled", "Created"}
    assert reply["Header"]["revision"] == 5
    assert (reply["CompactRevision"], reply["Canceled"], reply["Created"]) == (0, False, False)
    first = {"key": "YQ==", "create_revision": 2, "mod_revision": 2, "version": 1, "value": "MQ=="}
    second = {"key": "YQ==", "create_revision": 2, "mod_revision": 3, "version": 2, "value": "Mg=="}
    assert reply["Events"] == [
        {"kv": first}, {"kv": second, "prev_kv": first},
        {"type": 1, "kv": {"key": "YQ==", "mod_revision": 4}, "prev_kv": second}]


def test_watch_runs_a_command(ctl: Etcdctl) -> None:
    ctl.transcript(HISTORY)
    show = "echo $ETCD_WATCH_REVISION $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE"
    with ctl.follow("watch", "a", "--rev", "1", "--", "sh", "-c", show) as watch:
        # The commands run beside the printing, so only their own lines are in a fixed order.
        lines = watch.lines(12)
    assert [line for line in lines if '"' in line] == [
        '5 "PUT" "a" "1"', '5 "PUT" "a" "2"', '5 "DELETE" "a" ""']


def test_watch_interactive_has_many_watches(ctl: Etcdctl) -> None:
    ctl.transcript(HISTORY)
    with ctl.follow("watch", "-i", stdin="watch a --rev=3\nwatch b --rev=5\n") as watch:
        lines = watch.lines(9)
    text = "\n".join(lines)
    assert "PUT\na\n2\nDELETE\na\n" in text and "PUT\nb\nx" in text


def test_watch_below_the_compacted_revision(ctl: Etcdctl) -> None:
    ctl.transcript(HISTORY, """
$ compaction 4
compacted revision 4
$ watch a --rev 1
!5 watch was canceled (etcdserver: mvcc: required revision has been compacted)
""")
