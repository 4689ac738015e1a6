"""test_kv_txn.py: what a Txn runs and answers, rules T1 to T4, T11, T13 (T14: test_maintenance.py).

Belongs here: branches, order, nested transactions, what is checked before anything is written.
Never here: which txns are refused unread (test_kv_txn_form.py), compares (test_kv_compare.py).
"""

import threading

import pytest

from client import (COMPACTED, DUPLICATE_KEY, FUTURE, KEY_NOT_FOUND, LEASE_NOT_FOUND, Client,
                    compare, op_delete, op_put, op_range, op_txn, prefix_end, rejected)
from schema import pb

UNKNOWN_LEASE = 0x5EED_0000_0000_0002


def kind(response):
    return response.WhichOneof("response")


# -- branches -----------------------------------------------------------------------------------

def test_T1_true_compares_run_the_success_list(client, p):
    client.put(p + b"k", b"v")
    reply = client.txn([compare(p + b"k", "value", "=", b"v"),
                        compare(p + b"k", "version", "=", 1)],
                       success=[op_put(p + b"yes"), op_range(p + b"k")],
                       failure=[op_put(p + b"no")])
    assert reply.succeeded
    assert [kind(r) for r in reply.responses] == ["response_put", "response_range"]
    assert client.get(p + b"yes") and not client.get(p + b"no")


def test_T1_one_false_compare_runs_the_failure_list(client, p):
    client.put(p + b"k", b"v")
    reply = client.txn([compare(p + b"k", "value", "=", b"v"),
                        compare(p + b"k", "version", "=", 2)],
                       success=[op_put(p + b"yes")],
                       failure=[op_delete(p + b"k"), op_put(p + b"no"), op_range(p + b"no")])
    assert not reply.succeeded
    assert [kind(r) for r in reply.responses] == [
        "response_delete_range", "response_put", "response_range"]
    assert client.get(p + b"no") and not client.get(p + b"yes")


def test_T1_no_compare_is_true(client, p):
    assert client.txn(success=[op_put(p + b"k")], failure=[op_put(p + b"no")]).succeeded
    assert client.get(p + b"no") is None


def test_T13_an_empty_txn_succeeds_and_changes_nothing(client):
    before = client.revision()
    reply = client.txn()
    assert (reply.succeeded, list(reply.responses), reply.header.revision) == (True, [], before)


def test_G2_a_failed_txn_without_writes_keeps_the_revision(client, p):
    before = client.revision()
    reply = client.txn([compare(p + b"k", "version", ">", 0)], success=[op_put(p + b"k")])
    assert (reply.succeeded, list(reply.responses), reply.header.revision) == (False, [], before)
    assert client.revision() == before


# -- order and revisions inside -----------------------------------------------------------------

def test_T2_ops_see_earlier_ops_of_the_same_txn(client, p):
    client.put(p + b"a", b"old")
    reply = client.txn(success=[
        op_range(p + b"a"), op_put(p + b"a", b"new", prev_kv=True), op_range(p, prefix_end(p)),
        op_delete(p + b"b", prev_kv=True), op_put(p + b"c", b"c"),
        op_range(p, prefix_end(p), count_only=True)])
    first, put, second, delete, _, count = reply.responses
    assert first.response_range.kvs[0].value == b"old"
    assert put.response_put.prev_kv.value == b"old"
    assert [kv.value for kv in second.response_range.kvs] == [b"new"]
    assert delete.response_delete_range.deleted == 0
    assert count.response_range.count == 2


def test_T2_a_range_sees_a_delete_before_it(client, p):
    client.put(p + b"a")
    client.put(p + b"b")
    reply = client.txn(success=[op_delete(p + b"a"), op_range(p, prefix_end(p))])
    assert [kv.key for kv in reply.responses[1].response_range.kvs] == [p + b"b"]


def test_T2_a_kv_written_in_the_txn_has_the_txn_revision(client, p):
    reply = client.txn(success=[op_put(p + b"k", b"v"), op_range(p + b"k")])
    kv = reply.responses[1].response_range.kvs[0]
    revision = reply.header.revision
    assert (kv.create_revision, kv.mod_revision, kv.version) == (revision, revision, 1)


def test_T2_header_revisions_inside(client, p):
    client.put(p + b"d")
    before = client.put(p + b"a").header.revision
    reply = client.txn(success=[
        op_range(p + b"a"), op_delete(p + b"nothing"), op_put(p + b"a"), op_range(p + b"a"),
        op_delete(p + b"nothing"), op_delete(p + b"d"), op_range(p + b"a")])
    inner = [getattr(r, kind(r)).header.revision for r in reply.responses]
    assert inner == [before, before] + [before + 1] * 5
    assert reply.header.revision == before + 1


def test_G6_inner_headers_carry_only_a_revision_and_a_nested_txn_none(client, p):
    reply = client.txn(success=[op_put(p + b"k"), op_range(p + b"k"), op_delete(p + b"x"),
                                op_txn(success=[op_range(p + b"k")])])
    assert reply.header.member_id and reply.header.cluster_id and reply.header.raft_term
    for response in reply.responses[:3]:
        header = getattr(response, kind(response)).header
        assert (header.cluster_id, header.member_id, header.raft_term) == (0, 0, 0)
        assert header.revision == reply.header.revision
    nested = reply.responses[3].response_txn
    assert nested.HasField("header") and nested.header == pb.ResponseHeader()
    assert nested.responses[0].response_range.header.revision == reply.header.revision


def test_T3_S2_a_txn_is_one_revision_and_its_events_keep_the_order(client, p):
    client.put(p + b"d")
    before = client.revision()
    with client.watch() as watch:
        watch.create(p, prefix_end(p))
        reply = client.txn(success=[op_put(p + b"z"), op_put(p + b"a"), op_delete(p + b"d"),
                                    op_txn(success=[op_put(p + b"m")]), op_put(p + b"b")])
        events = watch.events(5)
    assert reply.header.revision == before + 1 == client.revision()
    assert [event.kv.key[-1:] for event in events] == [b"z", b"a", b"d", b"m", b"b"]
    assert {event.kv.mod_revision for event in events} == {before + 1}


def test_T3_nobody_ever_sees_half_a_txn(server, client, p):
    """Readers of the current and of old revisions, and a watch, beside a writer of two keys."""
    def both(n):
        return [op_put(p + b"a", b"%d" % n), op_put(p + b"b", b"%d" % n)]

    first = client.txn(success=both(0)).header.revision
    stop = threading.Event()
    failures = []

    def read():
        try:
            with Client(server.endpoint) as own:
                while not stop.is_set():
                    for fields in ({}, {"serializable": True}):
                        now = own.prefix(p, **fields)
                        assert now.kvs[0].value == now.kvs[1].value
                        old = own.prefix(p, revision=now.header.revision)
                        assert list(old.kvs) == list(now.kvs)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    with client.watch() as watch:
        watch.create(p, prefix_end(p), start_revision=first)
        for thread in threads:
            thread.start()
        for n in range(1, 301):
            client.txn(success=both(n))
        stop.set()
        for thread in threads:
            thread.join()
        seen = 0
        while seen < 602:
            events = watch.receive().events
            assert [event.kv.key[-1:] for event in events] == [b"a", b"b"] * (len(events) // 2)
            seen += len(events)
    assert failures == []


def test_G2_a_txn_that_deletes_nothing_keeps_the_revision(client, p):
    before = client.revision()
    reply = client.txn(success=[op_delete(p + b"a"), op_delete(p, prefix_end(p))])
    assert reply.header.revision == before == client.revision()


# -- read-only txns -----------------------------------------------------------------------------

def test_T4_a_read_only_txn_keeps_the_revision(client, p):
    before = client.put(p + b"k", b"v").header.revision
    for serializable in (False, True):
        reply = client.txn([compare(p + b"k", "value", "=", b"v")],
                           success=[op_range(p + b"k", serializable=serializable)],
                           failure=[op_range(p + b"x", serializable=serializable)])
        assert reply.succeeded
        assert reply.responses[0].response_range.kvs[0].value == b"v"
        assert reply.header.revision == before


def test_T4_a_read_only_txn_never_touches_the_log(client, p):
    """Other members of the log are rare on an idle server: one of a few tries must show none."""
    client.put(p + b"k", b"v")
    grown = []
    for _ in range(5):
        before = client.status().raftIndex
        client.txn([compare(p + b"k", "version", ">", 0)], success=[op_range(p + b"k")],
                   failure=[op_range(p + b"x")])
        grown.append(client.status().raftIndex - before)
    assert 0 in grown


def test_T4_a_nested_txn_that_only_reads_keeps_the_revision(client, p):
    before = client.put(p + b"k", b"v").header.revision
    reply = client.txn(success=[op_txn(success=[op_range(p + b"k")])])
    assert reply.header.revision == before == client.revision()
    nested = reply.responses[0].response_txn
    assert nested.succeeded
    assert nested.responses[0].response_range.kvs[0].value == b"v"


def test_T4_a_read_only_txn_reads_history_and_checks_revisions(client, p):
    old = client.put(p + b"k", b"1").header.revision
    client.put(p + b"k", b"2")
    reply = client.txn(success=[op_range(p + b"k", revision=old), op_range(p + b"k")])
    assert [r.response_range.kvs[0].value for r in reply.responses] == [b"1", b"2"]
    with rejected(*FUTURE):
        client.txn(success=[op_range(p + b"k", revision=client.revision() + 1)])


# -- nested txns --------------------------------------------------------------------------------

def test_T1_nested_txns_choose_their_own_branch(client, p):
    client.put(p + b"k", b"v")
    reply = client.txn(
        [compare(p + b"k", "value", "=", b"v")],
        success=[
            op_txn([compare(p + b"k", "value", "=", b"no")], success=[op_put(p + b"wrong")],
                   failure=[op_put(p + b"right"), op_range(p + b"right")]),
            op_txn([compare(p + b"k", "version", "=", 1)], success=[op_range(p + b"k")])])
    first, second = (r.response_txn for r in reply.responses)
    assert (first.succeeded, [kind(r) for r in first.responses]) == (
        False, ["response_put", "response_range"])
    assert (second.succeeded, second.responses[0].response_range.kvs[0].value) == (True, b"v")
    assert client.get(p + b"right") and not client.get(p + b"wrong")


def test_T2_nested_compares_do_not_see_earlier_ops(client, p):
    """The whole path is chosen before the first op runs."""
    reply = client.txn(success=[
        op_put(p + b"k", b"v"),
        op_txn([compare(p + b"k", "version", "=", 0)], success=[op_range(p + b"k")])])
    nested = reply.responses[1].response_txn
    assert nested.succeeded
    assert nested.responses[0].response_range.kvs[0].value == b"v"


def test_T1_an_empty_nested_txn(client, p):
    before = client.revision()
    reply = client.txn(success=[op_txn(), op_txn([compare(p, "version", ">", 0)])])
    assert [r.response_txn.succeeded for r in reply.responses] == [True, False]
    assert [len(r.response_txn.responses) for r in reply.responses] == [0, 0]
    assert client.revision() == before


# -- checked before anything is written ---------------------------------------------------------

def bad_ops(client, p):
    current = client.revision()
    return {
        "future": (op_range(p, revision=current + 1), FUTURE),
        "far future": (op_range(p, revision=current + 100), FUTURE),
        "lease": (op_put(p + b"l", lease=UNKNOWN_LEASE), LEASE_NOT_FOUND),
        "ignore_value": (op_put(p + b"missing", ignore_value=True), KEY_NOT_FOUND),
        "ignore_lease": (op_put(p + b"missing", ignore_lease=True), KEY_NOT_FOUND),
    }


@pytest.mark.parametrize("case", ["future", "far future", "lease", "ignore_value", "ignore_lease"])
@pytest.mark.parametrize("nested", [False, True])
def test_T11_a_bad_op_undoes_the_whole_txn(client, p, case, nested):
    client.put(p + b"d", b"kept")
    before = client.revision()
    op, error = bad_ops(client, p)[case]
    with rejected(*error):
        client.txn(success=[op_put(p + b"k"), op_delete(p + b"d"),
                            op_txn(success=[op]) if nested else op])
    assert client.get(p + b"k") is None
    assert client.get(p + b"d").value == b"kept"
    assert client.revision() == before


def test_T11_a_compacted_revision_undoes_the_whole_txn(client, p):
    old = client.put(p + b"k", b"1").header.revision
    current = client.put(p + b"k", b"2").header.revision
    client.compact(current)
    with rejected(*COMPACTED):
        client.txn(success=[op_put(p + b"x"), op_range(p + b"k", revision=old)])
    assert client.get(p + b"x") is None
    assert client.revision() == current


@pytest.mark.parametrize("case", ["future", "lease", "ignore_value", "ignore_lease"])
def test_T11_the_path_not_taken_is_not_checked(client, p, case):
    op, _ = bad_ops(client, p)[case]
    assert client.txn(success=[op_put(p + b"k")], failure=[op]).succeeded
    reply = client.txn([compare(p + b"k", "version", "=", 9)], success=[op],
                       failure=[op_range(p + b"k")])
    assert not reply.succeeded
    reply = client.txn(success=[op_put(p + b"n"), op_txn(failure=[op])])
    assert reply.succeeded


def test_T11_ignore_value_does_not_see_a_put_of_the_same_txn(client, p):
    """Only a sibling's put could create the key; T5 refuses that first."""
    with rejected(*DUPLICATE_KEY):
        client.txn(success=[op_put(p + b"k", b"v"), op_put(p + b"k", ignore_value=True)])


def test_T11_the_txn_revision_itself_is_still_the_future(client, p):
    before = client.revision()
    with rejected(*FUTURE):
        client.txn(success=[op_put(p + b"k"), op_range(p + b"k", revision=before + 1)])
    reply = client.txn(success=[op_put(p + b"k"), op_range(p + b"k", revision=before)])
    assert list(reply.responses[1].response_range.kvs) == []


def test_T11_every_put_is_checked_before_any_range(client, p):
    with rejected(*LEASE_NOT_FOUND):
        client.txn(success=[op_range(p, revision=client.revision() + 9),
                            op_put(p, lease=UNKNOWN_LEASE)])


def test_T11_in_a_txn_the_previous_key_is_checked_before_the_lease(client, p):
    """The other way round than in a plain Put (P6)."""
    with rejected(*KEY_NOT_FOUND):
        client.txn(success=[op_put(p, lease=UNKNOWN_LEASE, ignore_value=True)])


@pytest.mark.parametrize("more", [[], [op_put(b"x")], [op_txn()]],
                         ids=["read-only", "writing", "nested"])
def test_T11_a_negative_revision_in_a_txn_is_compacted(client, p, more):
    """A plain Range takes it as the current one (R8); a Txn compares it with the compacted one."""
    client.compact(client.put(p, b"v").header.revision)
    before = client.revision()
    for revision in (-1, -(2**63)):
        with rejected(*COMPACTED):
            client.txn(success=[op_range(p, revision=revision), *more])
    assert client.revision() == before


def test_R9_R10_sorting_and_filters_work_inside_a_txn(client, p):
    for key in b"bca":
        client.put(p + bytes([key]), bytes([0xFF - key]))
    reply = client.txn(success=[
        op_range(p, prefix_end(p), sort_order=2, sort_target=0, limit=2),
        op_range(p, prefix_end(p), sort_order=1, sort_target=4, keys_only=True),
        op_range(p, prefix_end(p), min_create_revision=client.get(p + b"c").create_revision)])
    found = [[kv.key[-1:] for kv in r.response_range.kvs] for r in reply.responses]
    assert found == [[b"c", b"b"], [b"c", b"b", b"a"], [b"a", b"c"]]
    assert [r.response_range.more for r in reply.responses] == [True, False, False]
    assert [r.response_range.count for r in reply.responses] == [3, 3, 3]
