"""test_watch.py: watches and their events, rules W1 to W9 (W10 to W19: test_watch_delivery.py).

Belongs here: creating, ids, key ranges, start revisions, what an event holds, filters. "Nothing
comes" is shown by what comes next, not by waiting. Each test names its rule.
"""

import threading

import pytest

from client import Client, FROM_KEY, op_delete, op_put, prefix_end

PUT, DELETE = 0, 1
NOPUT, NODELETE = 0, 1


def keys(events, prefix):
    return [event.kv.key[len(prefix):].decode() for event in events]


# -- create -------------------------------------------------------------------------------------

def test_W1_created_reply(client, p, watch):
    current = client.revision()
    reply = watch.create(p)
    assert (reply.watch_id, reply.cancel_reason, reply.compact_revision) == (0, "", 0)
    assert reply.header.revision == current
    assert reply.header.member_id and reply.header.cluster_id and reply.header.raft_term


def test_W1_one_stream_carries_many_watches(client, p, watch):
    ids = [watch.create(p + b"%d" % n).watch_id for n in range(20)]
    for n in (7, 3, 19):
        client.put(p + b"%d" % n)
    seen = [watch.receive() for _ in range(3)]
    assert [(r.watch_id, len(r.events)) for r in seen] == [(ids[n], 1) for n in (7, 3, 19)]


def test_W1_events_come_only_after_the_created_reply(client, p, watch):
    first = client.put(p + b"k").header.revision
    watch.request_create(p + b"k", start_revision=first)
    created = watch.receive()
    assert created.created and not created.events
    assert watch.receive().events[0].kv.mod_revision == first


def test_W1_two_watches_of_one_key_both_get_its_events(client, p, watch):
    ids = {watch.create(p + b"k").watch_id, watch.create(p, prefix_end(p)).watch_id}
    client.put(p + b"k")
    seen = [watch.receive() for _ in range(2)]
    assert {r.watch_id for r in seen} == ids == {0, 1}
    assert all(len(r.events) == 1 for r in seen)


def test_W2_the_server_picks_ids_from_0_skipping_those_in_use(client, p, watch):
    assert watch.create(p).watch_id == 0
    assert watch.create(p, watch_id=2).watch_id == 2
    assert [watch.create(p).watch_id for _ in range(3)] == [1, 3, 4]


def test_W2_a_given_id_in_use_is_refused(client, p, watch):
    watch.create(p, watch_id=5)
    watch.request_create(p, watch_id=5)
    reply = watch.receive()
    assert (reply.created, reply.canceled, reply.watch_id) == (True, True, -1)
    assert reply.cancel_reason == "mvcc: duplicate watch ID provided on the WatchStream"
    client.put(p)
    assert watch.receive().watch_id == 5


def test_W2_a_cancelled_id_can_be_given_again(client, p, watch):
    watch.create(p, watch_id=5)
    watch.cancel_watch(5)
    assert watch.receive().canceled
    assert watch.create(p, watch_id=5).watch_id == 5


def test_W2_negative_ids_are_accepted(client, p, watch):
    assert watch.create(p, watch_id=-7).watch_id == -7
    client.put(p)
    assert watch.receive().watch_id == -7


def test_W2_ids_belong_to_their_stream(client, p, watch):
    watch.create(p, watch_id=9)
    with client.watch() as other:
        assert other.create(p, watch_id=9).watch_id == 9


# -- which keys ---------------------------------------------------------------------------------

def test_W3_a_key_a_range_a_prefix_and_from_key_on(empty):
    client = empty
    with client.watch() as watch:
        one = watch.create(b"b").watch_id
        part = watch.create(b"a", b"b\x00").watch_id
        prefix = watch.create(b"b", prefix_end(b"b")).watch_id
        rest = watch.create(b"b", FROM_KEY).watch_id
        everything = watch.create(b"\x00", FROM_KEY).watch_id
        expected = {b"a": {part, everything}, b"b": {one, part, prefix, rest, everything},
                    b"ba": {prefix, rest, everything}, b"c": {rest, everything}}
        for key, ids in expected.items():
            client.put(key)
            seen = [watch.receive() for _ in ids]
            assert {r.watch_id for r in seen} == ids
            assert {e.kv.key for r in seen for e in r.events} == {key}


def test_W3_an_empty_key_is_the_key_nul(client, watch):
    watch.create(b"")
    client.put(b"\x00\x00")
    client.put(b"\x00")
    client.delete(b"\x00", b"\x01")
    events = watch.events(2)
    assert [(event.type, event.kv.key) for event in events] == [(PUT, b"\x00"), (DELETE, b"\x00")]


def test_W3_an_empty_key_with_from_key_on_is_everything(empty):
    with empty.watch() as watch:
        watch.create(b"", FROM_KEY)
        for key in (b"\x00", b"a", b"\xff"):
            empty.put(key)
        assert [event.kv.key for event in watch.events(3)] == [b"\x00", b"a", b"\xff"]


@pytest.mark.parametrize("end", [b"k", b"a"])
def test_W3_an_empty_range_is_refused(client, p, watch, end):
    watch.request_create(p + b"k", p + end)
    reply = watch.receive()
    assert (reply.created, reply.canceled, reply.watch_id) == (True, True, -1)
    assert reply.cancel_reason == "mvcc: watcher range is empty"
    assert watch.create(p + b"k").watch_id == 0


# -- from which revision ------------------------------------------------------------------------

def test_W4_revision_0_is_from_now(client, p, watch):
    client.put(p + b"k", b"before")
    watch.create(p + b"k")
    after = client.put(p + b"k", b"after").header.revision
    (event,) = watch.events(1)
    assert (event.kv.value, event.kv.mod_revision) == (b"after", after)


def test_W4_history_first_then_live_without_gap_or_repeat(client, p, watch):
    revisions = [client.put(p + b"k", b"%d" % n).header.revision for n in range(10)]
    watch.create(p + b"k", start_revision=revisions[3])
    revisions += [client.put(p + b"k", b"%d" % n).header.revision for n in range(10, 20)]
    events = watch.events(17)
    assert [event.kv.mod_revision for event in events] == revisions[3:]
    assert [event.kv.value for event in events] == [b"%d" % n for n in range(3, 20)]


def test_W4_history_while_writes_go_on_has_no_gap(server, client, p, watch):
    first = client.put(p, b"0").header.revision
    count = 1500

    def write():
        with Client(server.endpoint) as writer:
            for n in range(1, count):
                writer.put(p, b"%d" % n)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for n in range(5):
            watch.create(p, start_revision=first, watch_id=n + 1)
            seen = []
            while len(seen) < 50:
                response = watch.receive()
                if response.watch_id == n + 1:
                    seen += [event.kv.value for event in response.events]
            assert seen == [b"%d" % i for i in range(len(seen))]
            watch.cancel_watch(n + 1)
            while not (response := watch.receive()).canceled:
                assert response.watch_id == n + 1
        watch.create(p, start_revision=first)
        assert [event.kv.value for event in watch.events(count)] == [
            b"%d" % n for n in range(count)]
    finally:
        thread.join()


def test_W4_start_between_two_revisions_of_a_key(client, p, watch):
    client.put(p + b"k", b"1")
    gap = client.put(p + b"other").header.revision
    second = client.put(p + b"k", b"2").header.revision
    watch.create(p + b"k", start_revision=gap)
    assert [event.kv.mod_revision for event in watch.events(1)] == [second]


def test_W4_the_current_revision_is_history(client, p, watch):
    current = client.put(p + b"k").header.revision
    watch.create(p + b"k", start_revision=current)
    assert [event.kv.mod_revision for event in watch.events(1)] == [current]


def test_W4_the_next_revision_is_live(client, p, watch):
    current = client.put(p + b"k").header.revision
    watch.create(p + b"k", start_revision=current + 1)
    client.put(p + b"k")
    assert [event.kv.mod_revision for event in watch.events(1)] == [current + 1]


def test_W4_history_holds_deletes_and_keys_that_are_gone(client, p, watch):
    first = client.put(p + b"a").header.revision
    client.put(p + b"b")
    client.delete(p, prefix_end(p))
    watch.create(p, prefix_end(p), start_revision=first)
    events = watch.events(4)
    assert [(event.type, event.kv.key[-1:]) for event in events] == [
        (PUT, b"a"), (PUT, b"b"), (DELETE, b"a"), (DELETE, b"b")]


def test_W5_a_future_revision_is_silent_until_it_is_reached(client, p, watch):
    current = client.revision()
    reply = watch.create(p, prefix_end(p), start_revision=current + 4)
    for n in range(1, 7):
        assert client.put(p + b"%d" % n).header.revision == current + n
    events = watch.events(3)
    assert reply.header.revision == current
    assert [event.kv.mod_revision for event in events] == [current + 4, current + 5, current + 6]


@pytest.mark.newer("3.6")
@pytest.mark.parametrize("ahead", [2, 3])
def test_W5_W15_a_watch_of_a_future_revision_keeps_progress_back(client, p, watch, ahead):
    """3.5.16 answers with the store's revision, which says too much; later releases do not.

    A watch from the very next revision does not count as one of the future: nothing is said too early.
    """
    current = client.revision()
    watch.create(p + b"live")
    waiting = watch.create(p, prefix_end(p), start_revision=current + ahead).watch_id
    watch.request_progress()
    fence = watch.create(p + b"fence").watch_id
    for n in range(1, ahead):
        client.put(p + b"%d" % n)
    client.put(p + b"fence")
    seen = {(r.watch_id, r.events[0].kv.mod_revision) for r in watch.responses_with(2)}
    assert seen == {(waiting, current + ahead), (fence, current + ahead)}
    watch.request_progress()
    reply = watch.receive()
    assert (reply.watch_id, reply.header.revision) == (-1, current + ahead)


def test_W6_a_compacted_start_is_created_then_cancelled(client, p, watch):
    old = client.put(p + b"k").header.revision
    compacted = client.put(p + b"k").header.revision
    client.put(p + b"k")
    client.compact(compacted)
    watch.create(p + b"alive")
    reply = watch.create(p + b"k", start_revision=old)
    cancel = watch.receive()
    assert (cancel.watch_id, cancel.canceled, cancel.created) == (reply.watch_id, True, False)
    assert (cancel.compact_revision, cancel.cancel_reason) == (compacted, "")
    assert (cancel.header.revision, list(cancel.events)) == (0, [])
    client.put(p + b"alive")
    assert watch.receive().watch_id == 0


def test_W6_the_compacted_revision_itself_is_accepted(client, p, watch):
    client.put(p + b"k", b"1")
    compacted = client.put(p + b"k", b"2").header.revision
    client.put(p + b"k", b"3")
    client.compact(compacted)
    watch.create(p + b"k", start_revision=compacted)
    assert [event.kv.value for event in watch.events(2)] == [b"2", b"3"]


@pytest.mark.newer("3.6")
def test_W7_a_negative_start_is_refused_in_one_reply(client, p, watch):
    client.put(p)
    watch.request_create(p, start_revision=-1)
    reply = watch.receive()
    assert (reply.created, reply.canceled, reply.watch_id) == (True, True, -1)
    assert reply.cancel_reason == "etcdserver: mvcc: required revision has been compacted"
    assert watch.create(p).watch_id == 0


# -- what an event holds ------------------------------------------------------------------------

def test_W8_put_has_the_full_kv(client, p, grant, watch):
    lease = grant()
    watch.create(p)
    client.put(p, b"1", lease=lease)
    first = client.get(p)
    client.put(p, b"2", ignore_lease=True)
    second = client.get(p)
    events = watch.events(2)
    assert [event.type for event in events] == [PUT, PUT]
    assert [event.kv for event in events] == [first, second]
    assert (second.version, second.lease) == (2, lease)


def test_W8_delete_has_only_key_and_mod_revision(client, p, grant, watch):
    client.put(p, b"v", lease=grant())
    watch.create(p)
    revision = client.delete(p).header.revision
    (event,) = watch.events(1)
    assert event.type == DELETE
    assert (event.kv.key, event.kv.mod_revision) == (p, revision)
    kv = event.kv
    assert (kv.value, kv.create_revision, kv.version, kv.lease) == (b"", 0, 0, 0)


def test_W8_prev_kv_only_if_asked(client, p, watch):
    client.put(p, b"1")
    watch.create(p)
    client.put(p, b"2")
    client.delete(p)
    assert not any(event.HasField("prev_kv") for event in watch.events(2))


def test_W8_prev_kv_is_the_version_before(client, p, grant, watch):
    watch.create(p, prev_kv=True)
    client.put(p, b"1", lease=grant())
    first = client.get(p)
    client.put(p, b"2")
    second = client.get(p)
    client.delete(p)
    client.put(p, b"3")
    created, changed, deleted, again = watch.events(4)
    assert not created.HasField("prev_kv")
    assert changed.prev_kv == first
    assert deleted.prev_kv == second
    assert not again.HasField("prev_kv")


def test_W8_prev_kv_in_history(client, p, watch):
    first = client.put(p, b"1").header.revision
    client.put(p, b"2")
    client.delete(p)
    watch.create(p, prev_kv=True, start_revision=first)
    created, changed, deleted = watch.events(3)
    assert not created.HasField("prev_kv")
    assert (changed.prev_kv.value, deleted.prev_kv.value) == (b"1", b"2")


def test_W8_prev_kv_that_was_compacted_is_absent(client, p, watch):
    client.put(p, b"1")
    compacted = client.put(p, b"2").header.revision
    client.put(p, b"3")
    client.compact(compacted, physical=True)
    watch.create(p, prev_kv=True, start_revision=compacted)
    first, second = watch.events(2)
    assert (first.kv.value, first.HasField("prev_kv")) == (b"2", False)
    assert (second.kv.value, second.prev_kv.value) == (b"3", b"2")


def test_W8_prev_kv_of_a_range_deleted_in_one_revision(client, p, watch):
    for key in b"abc":
        client.put(p + bytes([key]), bytes([key]))
    watch.create(p, prefix_end(p), prev_kv=True)
    client.delete(p, prefix_end(p))
    assert [event.prev_kv.value for event in watch.events(3)] == [b"a", b"b", b"c"]


def test_W9_filters_drop_events(client, p, watch):
    no_put = watch.create(p, prefix_end(p), filters=[NOPUT]).watch_id
    no_delete = watch.create(p, prefix_end(p), filters=[NODELETE]).watch_id
    client.put(p + b"a")
    client.delete(p + b"a")
    client.put(p + b"b")
    seen = [watch.receive() for _ in range(3)]
    assert [(r.watch_id, [e.type for e in r.events]) for r in seen] == [
        (no_delete, [PUT]), (no_put, [DELETE]), (no_delete, [PUT])]


def test_W9_a_batch_left_empty_is_not_sent(client, p, watch):
    watch.create(p, prefix_end(p), filters=[NOPUT, NODELETE])
    client.put(p + b"a")
    client.delete(p + b"a")
    watch.create(p + b"fence")
    client.put(p + b"fence")
    assert [response.watch_id for response in watch.responses_with(1)] == [1]


def test_W9_filters_work_in_history_and_inside_a_txn(client, p, watch):
    client.put(p + b"d")
    start = client.txn(success=[op_put(p + b"a"), op_delete(p + b"d"), op_put(p + b"b")])
    watch.create(p, prefix_end(p), filters=[NODELETE], start_revision=start.header.revision)
    watch.create(p, prefix_end(p), filters=[NOPUT], start_revision=start.header.revision)
    seen = {r.watch_id: keys(r.events, p) for r in (watch.receive(), watch.receive())}
    assert seen == {0: ["a", "b"], 1: ["d"]}


@pytest.mark.parametrize("filters", [[2], [99], [-1], [2, NODELETE]])
def test_W9_unknown_filters_are_ignored(client, p, watch, filters):
    watch.create(p, filters=filters)
    client.put(p)
    client.delete(p)
    client.put(p)
    types = [PUT, PUT] if NODELETE in filters else [PUT, DELETE, PUT]
    assert [event.type for event in watch.events(len(types))] == types
