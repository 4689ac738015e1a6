"""test_kv_txn_form.py: which transactions are refused before they run, rules T5 to T7.

Belongs here: duplicate keys, the number of operations, malformed operations, and the quirks that
let a key be put and deleted in one revision. Each test names its rule.
"""

import pytest

from client import (DUPLICATE_KEY, FROM_KEY, KEY_NOT_FOUND, LEASE_GIVEN, NO_KEY, TOO_LARGE,
                    TOO_MANY_OPS, VALUE_GIVEN, compare, op_delete, op_put, op_range, op_txn,
                    rejected)
from schema import pb


# -- duplicate keys -----------------------------------------------------------------------------

A, B, C = b"a", b"b", b"c"


def duplicate_cases():
    put, delete = op_put, op_delete
    yield "put twice", lambda k: [put(k(A)), put(k(A))], True
    yield "put two keys", lambda k: [put(k(A)), put(k(B))], False
    yield "put then deleted", lambda k: [put(k(A)), delete(k(A))], True
    yield "deleted then put", lambda k: [delete(k(A)), put(k(A))], True
    yield "put inside a deleted range", lambda k: [put(k(B)), delete(k(A), k(C))], True
    yield "put at a deleted range's end", lambda k: [put(k(C)), delete(k(A), k(C))], False
    yield "put at a deleted range's start", lambda k: [delete(k(A), k(C)), put(k(A))], True
    yield "deletes overlap", lambda k: [delete(k(A), k(C)), delete(k(B))], False
    yield "deleted twice", lambda k: [delete(k(A)), delete(k(A))], False
    yield "put and read", lambda k: [put(k(A)), op_range(k(A))], False
    yield "put, and put in nested then", lambda k: [put(k(A)), op_txn(success=[put(k(A))])], True
    yield "put, and put in nested else", lambda k: [put(k(A)), op_txn(failure=[put(k(A))])], True
    yield "nested then and else", lambda k: [
        op_txn(success=[put(k(A))], failure=[put(k(A))])], False
    yield "sibling nested txns", lambda k: [
        op_txn(success=[put(k(A))]), op_txn(success=[put(k(A))])], True
    yield "siblings, then and else", lambda k: [
        op_txn(success=[put(k(A))]), op_txn(failure=[put(k(A))])], True
    yield "siblings, different keys", lambda k: [
        op_txn(success=[put(k(A))]), op_txn(success=[put(k(B))])], False
    yield "nested put, outer delete", lambda k: [
        op_txn(success=[put(k(A))]), delete(k(A))], True
    yield "nested delete, outer put", lambda k: [
        op_txn(failure=[delete(k(A), k(C))]), put(k(B))], True
    yield "siblings, delete then put", lambda k: [
        op_txn(success=[delete(k(A))]), op_txn(success=[put(k(A))])], True
    yield "siblings, put then delete: a quirk", lambda k: [
        op_txn(success=[put(k(A))]), op_txn(success=[delete(k(A))])], False
    yield "nested then puts, else deletes", lambda k: [
        op_txn(success=[put(k(A))], failure=[delete(k(A))])], False
    yield "nested then deletes, else puts", lambda k: [
        op_txn(success=[delete(k(A))], failure=[put(k(A))])], False
    yield "nested twice", lambda k: [
        op_txn(success=[op_txn(success=[put(k(A))])]), put(k(A))], True


@pytest.mark.parametrize("ops, refused", [pytest.param(ops, refused, id=name)
                                          for name, ops, refused in duplicate_cases()])
@pytest.mark.parametrize("branch", ["success", "failure"])
def test_T5_duplicate_keys_in_one_path(client, p, ops, refused, branch):
    before = client.revision()
    request = {branch: ops(lambda key: p + key)}
    if refused:
        with rejected(*DUPLICATE_KEY):
            client.txn(**request)
        assert client.revision() == before
    else:
        assert client.txn(**request).succeeded


def test_T5_success_and_failure_are_separate_paths(client, p):
    assert client.txn(success=[op_put(p + b"k", b"1")], failure=[op_put(p + b"k", b"2")]).succeeded
    assert client.get(p + b"k").value == b"1"


def test_T5_the_path_not_taken_is_checked_too(client, p):
    with rejected(*DUPLICATE_KEY):
        client.txn(success=[op_put(p + b"a")], failure=[op_put(p + b"k"), op_put(p + b"k")])


def test_T5_quirk_a_delete_from_key_on_is_not_seen_as_overlapping(empty):
    empty.put(b"x")
    reply = empty.txn(success=[op_put(b"k", b"1"), op_delete(b"a", FROM_KEY)])
    assert reply.responses[1].response_delete_range.deleted == 2
    assert empty.range(b"\x00", FROM_KEY).count == 0


def test_T5_quirk_a_key_put_and_deleted_in_one_revision(empty):
    empty.put(b"ab", b"old")
    reply = empty.txn(success=[op_txn(success=[op_put(b"a", b"1"), op_put(b"ab", b"2")]),
                               op_txn(success=[op_delete(b"a")])])
    revision = reply.header.revision
    empty.put(b"a", b"3")
    with empty.watch() as watch:
        watch.create(b"\x00", FROM_KEY, start_revision=revision)
        assert [(event.type, event.kv.key) for event in watch.events(4)] == [
            (0, b"a"), (0, b"ab"), (1, b"a"), (0, b"a")]
    for compacting in (False, True):
        if compacting:
            empty.compact(revision, physical=True)
        state = empty.range(b"\x00", FROM_KEY, revision=revision)
        assert [(kv.key, kv.value) for kv in state.kvs] == [(b"ab", b"2")]
        assert empty.get(b"a").version == 1


@pytest.mark.martlet
def test_T5_quirk_a_key_deleted_and_put_in_one_revision_outlives_its_compaction(empty):
    """etcd 3.5.16 loses the put when it compacts that revision, and dies of the next read."""
    empty.put(b"k", b"old")
    reply = empty.txn(success=[op_delete(b"a", FROM_KEY), op_put(b"k", b"new")])
    revision = reply.header.revision
    later = empty.put(b"other").header.revision
    for compacting in (False, True):
        if compacting:
            empty.compact(revision, physical=True)
        for at in (revision, later, 0):
            kv = empty.get(b"k", revision=at)
            assert (kv.value, kv.version, kv.create_revision) == (b"new", 1, revision)


@pytest.mark.martlet
def test_T5_T11_ignore_value_of_a_key_deleted_earlier_in_the_txn_is_refused(empty):
    """etcd 3.5.16 dies of it: the check before the txn passes, the put inside then fails."""
    before = empty.put(b"k", b"v").header.revision
    with rejected(*KEY_NOT_FOUND):
        empty.txn(success=[op_delete(b"a", FROM_KEY), op_put(b"k", ignore_value=True)])
    assert empty.get(b"k").value == b"v"
    assert empty.revision() == before


# -- how many ops -------------------------------------------------------------------------------

def puts(prefix, count):
    return [op_put(prefix + b"%d" % n) for n in range(count)]


def test_T6_128_ops_are_allowed(client, p):
    assert len(client.txn(success=puts(p, 128)).responses) == 128
    assert client.prefix(p, count_only=True).count == 128


@pytest.mark.parametrize("request_of", [
    lambda p: {"success": puts(p, 129)},
    lambda p: {"failure": puts(p, 129)},
    lambda p: {"compare": [compare(p, "version", "=", 0)] * 129},
    lambda p: {"success": [op_range(p)] * 129},
], ids=["success", "failure", "compare", "read-only"])
def test_T6_129_ops_are_too_many(client, p, request_of):
    with rejected(*TOO_MANY_OPS):
        client.txn(**request_of(p))
    assert client.prefix(p, count_only=True).count == 0


def test_T6_128_of_each_list_are_allowed(client, p):
    reply = client.txn([compare(p, "version", "=", 0)] * 128, success=puts(p, 128),
                       failure=puts(p, 128))
    assert len(reply.responses) == 128


def test_T6_a_nested_txn_gets_what_the_outer_level_left(client, p):
    assert client.txn(success=[op_txn(success=puts(p, 127))]).succeeded
    with rejected(*TOO_MANY_OPS):
        client.txn(success=[op_txn(success=puts(p, 128))])
    with rejected(*TOO_MANY_OPS):
        client.txn(success=[*puts(p + b"o", 127), op_txn(success=[op_put(p + b"n")])])
    assert client.txn(success=[*puts(p + b"o", 126), op_txn(success=[op_put(p + b"n")])]).succeeded


def test_T6_each_level_takes_from_the_rest(client, p):
    inner = op_txn(success=puts(p + b"i", 126))
    assert client.txn(success=[op_txn(success=[inner])]).succeeded
    inner = op_txn(success=puts(p + b"i", 127))
    with rejected(*TOO_MANY_OPS):
        client.txn(success=[op_txn(success=[inner])])


def test_T6_siblings_do_not_share_what_is_left(client, p):
    both = [op_txn(success=puts(p + b"a", 126)), op_txn(success=puts(p + b"b", 126))]
    assert client.txn(success=both).succeeded


def test_T6_max_txn_ops_is_a_flag(start):
    client = start("--max-txn-ops=4")[1]
    assert client.txn(success=puts(b"k", 4)).succeeded
    with rejected(*TOO_MANY_OPS):
        client.txn(success=puts(b"k", 5))


# -- malformed ----------------------------------------------------------------------------------

def test_T7_an_op_without_a_member_is_refused(client, p):
    for branch in ("success", "failure"):
        with rejected(*KEY_NOT_FOUND):
            client.txn(**{branch: [pb.RequestOp()]})
    with rejected(*KEY_NOT_FOUND):
        client.txn(success=[op_put(p + b"k"), op_txn(success=[pb.RequestOp()])])
    assert client.get(p + b"k") is None


@pytest.mark.parametrize("op", [op_put(b""), op_range(b""), op_delete(b""), op_range(b"", b"z"),
                                op_txn(success=[op_put(b"")]),
                                op_txn(compare=[compare(b"", "version", "=", 0)])],
                         ids=["put", "range", "delete", "range_end", "nested", "nested compare"])
@pytest.mark.parametrize("branch", ["success", "failure"])
def test_T7_empty_keys_are_refused_in_both_lists(client, op, branch):
    with rejected(*NO_KEY):
        client.txn(**{branch: [op]})


def test_T7_a_compare_with_an_empty_key_is_refused(client):
    with rejected(*NO_KEY):
        client.txn([compare(b"", "version", "=", 0)])


def test_T7_P4_put_flags_are_checked_in_both_lists(client, p):
    with rejected(*VALUE_GIVEN):
        client.txn(failure=[op_put(p + b"k", b"v", ignore_value=True)])
    with rejected(*LEASE_GIVEN):
        client.txn(failure=[op_put(p + b"k", lease=1, ignore_lease=True)])


def test_G12_a_txn_above_the_request_limit_is_refused(client, p):
    with rejected(*TOO_LARGE):
        client.txn(success=[op_put(p + b"a", bytes(800_000)), op_put(p + b"b", bytes(800_000))])
    assert client.prefix(p, count_only=True).count == 0


@pytest.mark.newer("3.6")
def test_T7_R12_sort_numbers_are_checked_inside_a_txn(client, p):
    with rejected("INVALID_ARGUMENT", "etcdserver: invalid sort option"):
        client.txn(success=[op_range(p, sort_order=9)])
