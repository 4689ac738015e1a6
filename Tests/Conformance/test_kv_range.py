"""test_kv_range.py: Range on one node, rules R1 to R16 of etcd's behaviour.

Belongs here: what a Range answers. Never here: Range inside a Txn (test_kv_txn.py), what a
compaction removes (test_kv_compact.py). Each test names its rule.
"""

import grpc
import pytest

from client import FROM_KEY, FUTURE, COMPACTED, NO_KEY, op_put, prefix_end, rejected
from gateway import Gateway, b64
from schema import pb

NONE, ASCEND, DESCEND = 0, 1, 2
KEY, VERSION, CREATE, MOD, VALUE = 0, 1, 2, 3, 4
RANGE_STREAM = "/etcdserverpb.KV/RangeStream"


def names(reply, prefix):
    return [kv.key[len(prefix):].decode() for kv in reply.kvs]


@pytest.fixture
def five(client, p):
    """Keys a..e, created in this order, one revision each."""
    for key in b"abcde":
        client.put(p + bytes([key]), b"first")
    return p


# -- which keys ---------------------------------------------------------------------------------

def test_R1_empty_key_is_refused(client):
    with rejected(*NO_KEY):
        client.range(b"")
    with rejected(*NO_KEY):
        client.range(b"", FROM_KEY)
    with rejected(*NO_KEY):
        client.range(b"", b"z")


def test_R1_no_range_end_is_that_one_key(client, p):
    client.put(p + b"a", b"1")
    client.put(p + b"ab", b"2")
    reply = client.range(p + b"a")
    assert names(reply, p) == ["a"]
    assert (reply.count, reply.more) == (1, False)


def test_R1_missing_key_is_an_empty_reply(client, p):
    reply = client.range(p + b"nothing")
    assert (list(reply.kvs), reply.count, reply.more) == ([], 0, False)


def test_R1_range_end_is_excluded(client, five):
    assert names(client.range(five + b"b", five + b"d"), five) == ["b", "c"]


def test_R1_range_end_nul_is_all_keys_from_key_on(empty):
    for key in (b"a", b"m", b"\xff", b"\xff\xff"):
        empty.put(key)
    assert [kv.key for kv in empty.range(b"m", FROM_KEY).kvs] == [b"m", b"\xff", b"\xff\xff"]


def test_R1_key_nul_and_range_end_nul_is_every_key(empty):
    keys = [b"\x00", b"\x00\x00", b"a", b"\xff\xff"]
    for key in keys:
        empty.put(key)
    assert [kv.key for kv in empty.range(b"\x00", FROM_KEY).kvs] == keys


def test_R1_prefix_ends_at_the_last_byte_raised(client, p):
    for key in (b"x\xfe", b"x\xff", b"x\xff\xff", b"y"):
        client.put(p + key)
    assert prefix_end(p + b"x\xff") == p + b"y"
    assert [kv.key for kv in client.prefix(p + b"x\xff").kvs] == [p + b"x\xff", p + b"x\xff\xff"]


@pytest.mark.parametrize("end", [b"b", b"a", b"\x00\x00"])
def test_R2_range_end_not_above_key_is_empty_without_error(client, p, end):
    client.put(p + b"b")
    target = end if end == b"\x00\x00" else p + end
    reply = client.range(p + b"b", target)
    assert (list(reply.kvs), reply.count, reply.more) == ([], 0, False)


def test_R3_default_order_is_bytes_of_the_key(client, p):
    keys = [b"", b"\x00", b"\x00\xff", b"0", b"A", b"a", b"a\x00", b"aa", b"\x7f", b"\x80", b"\xff"]
    for key in reversed(keys):
        client.put(p + key)
    assert [kv.key for kv in client.prefix(p).kvs] == [p + key for key in keys]


# -- limit, more, count, keys only --------------------------------------------------------------

@pytest.mark.parametrize("limit", [0, -1, -(2**63)])
def test_R4_limit_not_above_zero_is_no_limit(client, five, limit):
    reply = client.prefix(five, limit=limit)
    assert (names(reply, five), reply.more, reply.count) == (list("abcde"), False, 5)


@pytest.mark.parametrize("limit", [1, 4])
def test_R4_more_is_true_when_keys_are_left(client, five, limit):
    reply = client.prefix(five, limit=limit)
    assert (names(reply, five), reply.more) == (list("abcde")[:limit], True)


@pytest.mark.parametrize("limit", [5, 6, 2**63 - 1])
def test_R4_more_is_false_when_nothing_is_left(client, five, limit):
    reply = client.prefix(five, limit=limit)
    assert (names(reply, five), reply.more) == (list("abcde"), False)


def test_R5_count_is_the_whole_range_whatever_limit_and_filters_say(client, five):
    first = client.get(five + b"a")
    assert client.prefix(five, limit=2).count == 5
    filtered = client.prefix(five, max_mod_revision=first.mod_revision)
    assert (names(filtered, five), filtered.count) == (["a"], 5)
    nothing = client.prefix(five, min_mod_revision=2**62)
    assert (names(nothing, five), nothing.count) == ([], 5)
    both = client.prefix(five, limit=1, min_create_revision=first.create_revision + 1)
    assert (names(both, five), both.count) == (["b"], 5)


def test_R5_count_is_taken_at_the_read_revision(client, five):
    before = client.revision()
    client.put(five + b"f")
    client.delete(five + b"a", five + b"d")
    assert client.prefix(five, limit=1).count == 3
    assert client.prefix(five, limit=1, revision=before).count == 5


def test_R5_count_starts_at_the_asked_key(client, five):
    assert client.range(five + b"c", prefix_end(five), limit=1).count == 3


def test_R6_count_only_has_no_kvs_and_ignores_limit(client, five):
    for limit in (0, 1):
        reply = client.prefix(five, count_only=True, limit=limit)
        assert (list(reply.kvs), reply.count, reply.more) == ([], 5, False)
    assert client.range(five + b"a", count_only=True).count == 1
    assert client.range(five + b"nothing", count_only=True).count == 0


def test_R6_count_only_reads_history_too(client, five):
    before = client.revision()
    client.delete(five + b"a")
    assert client.prefix(five, count_only=True, revision=before).count == 5
    assert client.prefix(five, count_only=True).count == 4


def test_R7_keys_only_leaves_out_nothing_but_the_value(client, p):
    client.put(p + b"k", b"value")
    client.put(p + b"k", b"value 2")
    full = client.get(p + b"k")
    bare = client.get(p + b"k", keys_only=True)
    assert bare.value == b""
    full.value = b""
    assert bare == full


def test_R7_keys_only_keeps_the_lease(client, p, grant):
    lease = grant()
    client.put(p + b"k", b"value", lease=lease)
    assert client.get(p + b"k", keys_only=True).lease == lease


# -- revisions ----------------------------------------------------------------------------------

def test_R8_reads_at_every_revision_since_the_first(client, p):
    revisions = [client.put(p + b"k", b"%d" % n).header.revision for n in range(5)]
    deleted = client.delete(p + b"k").header.revision
    for n, revision in enumerate(revisions):
        kv = client.get(p + b"k", revision=revision)
        assert (kv.value, kv.mod_revision, kv.version) == (b"%d" % n, revision, n + 1)
    assert client.get(p + b"k", revision=revisions[0] - 1) is None
    assert client.get(p + b"k", revision=deleted) is None
    assert client.get(p + b"k", revision=deleted - 1).value == b"4"


def test_R8_negative_revision_is_the_current_one(client, p):
    client.put(p + b"k", b"now")
    assert client.get(p + b"k", revision=-1).value == b"now"
    assert client.get(p + b"k", revision=-(2**63)).value == b"now"


def test_R8_revision_above_the_current_one_is_refused(client, p):
    current = client.revision()
    assert client.range(p, revision=current).count == 0
    for ahead in (1, 1000, 2**63 - 1 - current):
        with rejected(*FUTURE):
            client.range(p, revision=current + ahead)
    with rejected(*FUTURE):
        client.prefix(p, revision=current + 1, count_only=True)
    with rejected(*FUTURE):
        client.range(p, revision=current + 1, serializable=True)


def test_R8_compacted_revision_is_allowed_and_below_is_refused(client, p):
    old = client.put(p + b"k", b"old").header.revision
    at = client.put(p + b"k", b"at").header.revision
    client.put(p + b"k", b"new")
    client.compact(at)
    assert client.get(p + b"k", revision=at).value == b"at"
    for revision in (old, 1):
        with rejected(*COMPACTED):
            client.range(p + b"k", revision=revision)
    with rejected(*COMPACTED):
        client.range(p + b"k", revision=old, serializable=True, count_only=True)


def test_G5_header_revision_is_the_current_one_also_for_an_old_read(client, p):
    old = client.put(p + b"k", b"1").header.revision
    current = client.put(p + b"k", b"2").header.revision
    assert client.range(p + b"k", revision=old).header.revision == current


# -- filters ------------------------------------------------------------------------------------

def test_R9_revision_filters_are_inclusive_and_zero_is_off(client, p):
    created, changed = {}, {}
    for key in "abcd":
        created[key] = client.put(p + key.encode()).header.revision
    for key in "dbca":
        changed[key] = client.put(p + key.encode()).header.revision

    def kept(**filters):
        return names(client.prefix(p, **filters), p)

    assert kept(min_create_revision=created["b"]) == ["b", "c", "d"]
    assert kept(max_create_revision=created["b"]) == ["a", "b"]
    assert kept(min_create_revision=created["b"], max_create_revision=created["c"]) == ["b", "c"]
    assert kept(min_mod_revision=changed["b"]) == ["a", "b", "c"]
    assert kept(max_mod_revision=changed["b"]) == ["b", "d"]
    assert kept(min_mod_revision=changed["c"], max_mod_revision=changed["c"]) == ["c"]
    assert kept(max_mod_revision=created["d"]) == []
    assert kept(min_mod_revision=0, max_mod_revision=0) == ["a", "b", "c", "d"]


def test_R13_filters_are_a_conjunction(client, p):
    created, changed = {}, {}
    for key in "abcd":
        created[key] = client.put(p + key.encode()).header.revision
    for key in "dbca":
        changed[key] = client.put(p + key.encode()).header.revision
    reply = client.prefix(p, max_mod_revision=changed["c"], min_mod_revision=changed["b"],
                          max_create_revision=created["c"], min_create_revision=created["c"])
    assert names(reply, p) == ["c"]


def test_R9_limit_is_applied_after_the_filter(client, five):
    first = client.get(five + b"a")
    reply = client.prefix(five, min_create_revision=first.create_revision + 2, limit=2)
    assert (names(reply, five), reply.more) == (["c", "d"], True)
    exact = client.prefix(five, min_create_revision=first.create_revision + 3, limit=2)
    assert (names(exact, five), exact.more) == (["d", "e"], False)


def test_R9_filters_work_on_a_read_of_history(client, p):
    first = client.put(p + b"a").header.revision
    second = client.put(p + b"b").header.revision
    client.put(p + b"a")
    assert names(client.prefix(p, revision=second, max_mod_revision=first), p) == ["a"]


# -- order --------------------------------------------------------------------------------------

@pytest.fixture
def sortable(client, p):
    """a..e whose orders by key, version, create, mod and value all differ (see `by`)."""
    for key in b"abcde":
        client.put(p + bytes([key]), b"")
    for key, times in (("c", 3), ("d", 4), ("e", 2), ("b", 5)):
        for _ in range(times):
            client.put(p + key.encode(), bytes([0xFF - ord(key)]))
    client.delete(p + b"a")
    client.put(p + b"a", b"\xf0")
    return p


def by(target, kvs):
    fields = {KEY: "key", VERSION: "version", CREATE: "create_revision", MOD: "mod_revision",
              VALUE: "value"}
    return sorted(kvs, key=lambda kv: getattr(kv, fields[target]))


@pytest.mark.parametrize("target", [KEY, VERSION, CREATE, MOD, VALUE])
@pytest.mark.parametrize("order", [ASCEND, DESCEND])
def test_R10_ascend_and_descend_sort_everything(client, sortable, order, target):
    expected = by(target, client.prefix(sortable).kvs)
    if order == DESCEND:
        expected.reverse()
    reply = client.prefix(sortable, sort_order=order, sort_target=target)
    assert list(reply.kvs) == expected


@pytest.mark.parametrize("target", [KEY, VERSION, CREATE, MOD, VALUE])
@pytest.mark.parametrize("order", [ASCEND, DESCEND])
def test_R9_R10_limit_is_cut_after_sorting(client, sortable, order, target):
    expected = by(target, client.prefix(sortable).kvs)
    if order == DESCEND:
        expected.reverse()
    reply = client.prefix(sortable, sort_order=order, sort_target=target, limit=2)
    assert list(reply.kvs) == expected[:2]
    assert (reply.more, reply.count) == (True, 5)


@pytest.mark.parametrize("target", [VERSION, CREATE, MOD, VALUE])
def test_R10_sort_without_order_is_ascending(client, sortable, target):
    expected = by(target, client.prefix(sortable).kvs)
    assert list(client.prefix(sortable, sort_target=target).kvs) == expected


@pytest.mark.parametrize("target", [VERSION, CREATE, MOD, VALUE])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_R10_sort_without_order_takes_limit_first(client, sortable, target, limit):
    taken = client.prefix(sortable).kvs[:limit + 1]
    expected = by(target, taken)[:limit]
    reply = client.prefix(sortable, sort_target=target, limit=limit)
    assert list(reply.kvs) == expected
    assert (reply.more, reply.count) == (True, 5)


def test_R11_sort_by_value_works_with_keys_only(client, sortable):
    expected = [kv.key for kv in by(VALUE, client.prefix(sortable).kvs)]
    reply = client.prefix(sortable, sort_order=ASCEND, sort_target=VALUE, keys_only=True)
    assert [kv.key for kv in reply.kvs] == expected
    assert all(kv.value == b"" for kv in reply.kvs)


def test_R11_key_ascending_is_the_default_order(client, sortable):
    plain = client.prefix(sortable, limit=3)
    asked = client.prefix(sortable, limit=3, sort_order=ASCEND, sort_target=KEY)
    assert (list(asked.kvs), asked.more) == (list(plain.kvs), plain.more)


def test_R11_ties_lose_no_key(client, p):
    for key in b"abc":
        client.put(p + bytes([key]), b"same")
    for order in (ASCEND, DESCEND):
        reply = client.prefix(p, sort_order=order, sort_target=VALUE)
        assert sorted(names(reply, p)) == ["a", "b", "c"]


@pytest.mark.newer("3.6")
@pytest.mark.parametrize("fields", [{"sort_order": 3}, {"sort_order": 99}, {"sort_order": -1},
                                    {"sort_target": 5}, {"sort_target": 99},
                                    {"sort_order": ASCEND, "sort_target": -1}])
def test_R12_unknown_sort_numbers_are_refused(client, p, fields):
    client.put(p)
    with rejected("INVALID_ARGUMENT", "etcdserver: invalid sort option"):
        client.prefix(p, **fields)


# -- generations --------------------------------------------------------------------------------

def test_R14_S1_a_key_created_again_starts_at_version_1(client, p):
    client.put(p + b"k", b"1")
    client.put(p + b"k", b"2")
    client.delete(p + b"k")
    assert client.range(p + b"k").count == 0
    again = client.put(p + b"k", b"3").header.revision
    kv = client.get(p + b"k")
    assert (kv.version, kv.create_revision, kv.mod_revision) == (1, again, again)


def test_R14_a_deleted_key_is_in_no_range_and_no_count(client, five):
    client.delete(five + b"c")
    reply = client.prefix(five)
    assert (names(reply, five), reply.count) == (["a", "b", "d", "e"], 4)


# -- linearizable and serializable --------------------------------------------------------------

def test_G7_a_read_sees_every_acknowledged_write(client, p):
    for n in range(50):
        client.put(p + b"k", b"%d" % n)
        assert client.get(p + b"k").value == b"%d" % n


def test_G7_serializable_reads_answer_from_the_applied_state(client, p):
    revision = client.put(p + b"k", b"v").header.revision
    reply = client.range(p + b"k", serializable=True)
    assert (reply.kvs[0].value, reply.header.revision) == (b"v", revision)


def test_G12_a_reply_may_be_larger_than_any_request(client, p):
    value = bytes(1_000_000)
    for n in range(8):
        client.put(p + b"%d" % n, value)
    reply = client.prefix(p)
    assert [len(kv.value) for kv in reply.kvs] == [1_000_000] * 8
    client.delete(p, prefix_end(p))


def test_R4_a_range_of_many_keys_comes_whole_and_in_order(client, p):
    keys = [p + b"%06d" % n for n in range(12_800)]
    for begin in range(0, len(keys), 128):
        client.txn(success=[op_put(key, key[-6:]) for key in keys[begin:begin + 128]])
    reply = client.prefix(p)
    assert [kv.key for kv in reply.kvs] == keys
    assert all(kv.value == kv.key[-6:] for kv in reply.kvs)
    assert (reply.count, reply.more) == (len(keys), False)


# -- RangeStream --------------------------------------------------------------------------------

def stream(client, key, range_end=b"", **fields):
    """The messages of a RangeStream; skips where the server has none, as releases before 3.7."""
    request = pb.RangeRequest(key=key, range_end=range_end, **fields)
    try:
        return [message.range_response for message in
                client.server_stream(RANGE_STREAM, request, pb.RangeStreamResponse)]
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNIMPLEMENTED and "unknown method" in error.details():
            pytest.skip("the server has no RangeStream")
        raise


def test_R15_a_server_without_range_stream_says_unimplemented(client, p):
    """kubernetes.md 2: the apiserver falls back to paged Ranges only on this status."""
    request = pb.RangeRequest(key=p, range_end=prefix_end(p))
    try:
        messages = list(client.server_stream(RANGE_STREAM, request, pb.RangeStreamResponse))
    except grpc.RpcError as error:
        assert (error.code(), error.details()) == (
            grpc.StatusCode.UNIMPLEMENTED,
            "unknown method RangeStream for service etcdserverpb.KV")
    else:
        assert messages[-1].range_response.header.revision > 0


def test_R15_R16_chunks_merge_into_the_range_reply(client, p):
    for begin in range(0, 1000, 100):
        client.txn(success=[op_put(p + b"%04d" % n, b"v" * 1000)
                            for n in range(begin, begin + 100)])
    chunks = stream(client, p, prefix_end(p))
    merged = pb.RangeResponse()
    for chunk in chunks:
        merged.MergeFrom(chunk)
    assert merged == client.prefix(p)
    assert len(chunks[0].kvs) <= 10
    assert all(not chunk.HasField("header") and not chunk.count and not chunk.more
               for chunk in chunks[:-1])


def test_R15_count_only_is_one_message(client, five):
    chunks = stream(client, five, prefix_end(five), count_only=True)
    assert [(len(chunk.kvs), chunk.count) for chunk in chunks] == [(0, 5)]


def test_R15_sorts_and_filters_are_unimplemented(client, five):
    stream(client, five)
    with rejected("UNIMPLEMENTED", "RangeStream does not support custom sort orders"):
        stream(client, five, prefix_end(five), sort_order=DESCEND)
    with rejected("UNIMPLEMENTED", "RangeStream does not support revision filters"):
        stream(client, five, prefix_end(five), min_mod_revision=1)


@pytest.mark.martlet
def test_R15_a_stream_shows_only_what_its_caller_may_read(start):
    server, client = start()
    gateway = Gateway(server)
    client.put(b"secret")
    for name in ("root", "guest"):
        gateway.call("auth/user/add", {"name": name, "password": "pw"})
        gateway.call("auth/role/add", {"name": name})
        gateway.call("auth/user/grant", {"user": name, "role": name})
    gateway.call("auth/role/grant", {"name": "guest", "perm": {
        "permType": "READ", "key": b64(b"open")}})
    gateway.call("auth/enable")
    token = gateway.call("auth/authenticate", {"name": "guest", "password": "pw"})["token"]
    client.metadata = [("token", token)]
    assert stream(client, b"open")[-1].count == 0
    with rejected("PERMISSION_DENIED", "etcdserver: permission denied"):
        stream(client, b"secret")
    client.metadata = None
    with rejected("INVALID_ARGUMENT", "etcdserver: user name is empty"):
        stream(client, b"secret")
