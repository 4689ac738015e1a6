"""test_watch_delivery.py: how a watch stream delivers, rules W10 to W19 except auth and clusters.

Belongs here: order, batches, fragments, cancel, progress, slow readers, many watches. "Nothing
comes" is shown by what comes next, not by waiting. Each test names its rule.
"""

import threading

from client import Client, op_put, prefix_end
from schema import pb
from server import is_etcd

PUT, DELETE = 0, 1


def keys(events, prefix):
    return [event.kv.key[len(prefix):].decode() for event in events]


# -- order and batches --------------------------------------------------------------------------

def test_W10_a_revision_comes_in_one_response_in_txn_order(client, p, watch):
    watch.create(p, prefix_end(p))
    client.txn(success=[op_put(p + b"%03d" % n) for n in reversed(range(128))])
    response = watch.receive()
    assert keys(response.events, p) == ["%03d" % n for n in reversed(range(128))]


def test_W10_history_never_splits_a_revision(client, p, watch):
    first = None
    for _ in range(60):
        reply = client.txn(success=[op_put(p + b"%d" % n, bytes(200)) for n in range(50)])
        first = first or reply.header.revision
    watch.create(p, prefix_end(p), start_revision=first)
    responses = watch.responses_with(3000)
    revisions = [[event.kv.mod_revision for event in r.events] for r in responses]
    flat = [revision for batch in revisions for revision in batch]
    assert flat == sorted(flat) == [first + n // 50 for n in range(3000)]
    for batch in revisions:
        assert all(batch.count(revision) == 50 for revision in set(batch))


def test_W10_history_comes_in_batches_of_at_most_1000_revisions(client, p, watch):
    revisions = [client.put(p, b"%d" % n).header.revision for n in range(2500)]
    watch.create(p, start_revision=revisions[0])
    responses = watch.responses_with(2500)
    assert max(len(r.events) for r in responses) <= 1000
    assert [e.kv.mod_revision for r in responses for e in r.events] == revisions


def test_W11_header_revision_of_live_events_is_their_own(client, p, watch):
    watch.create(p)
    for _ in range(20):
        revision = client.put(p).header.revision
        response = watch.receive()
        assert response.header.revision == response.events[-1].kv.mod_revision == revision


def test_W11_header_revision_of_history_is_the_store_revision(client, p, watch):
    first = client.put(p).header.revision
    client.put(p)
    current = client.put(p + b"/other").header.revision
    watch.create(p, start_revision=first)
    for response in watch.responses_with(2):
        assert response.header.revision == current


def test_W11_header_has_the_members_ids(client, p, watch):
    watch.create(p)
    client.put(p)
    header = watch.receive().header
    status = client.status().header
    assert (header.cluster_id, header.member_id, header.raft_term) == (
        status.cluster_id, status.member_id, status.raft_term)


def test_W12_without_fragment_a_large_response_is_one_message(client, p, watch):
    value = bytes(1_200_000)
    first = client.put(p + b"1", value).header.revision
    client.put(p + b"2", value)
    client.put(p + b"3", value)
    watch.create(p, prefix_end(p), start_revision=first)
    events = watch.events(3)
    assert [len(event.kv.value) for event in events] == [1_200_000] * 3


def test_W12_a_large_revision_is_one_message_without_fragment(client, p, watch):
    """One revision of 128 keys with prev_kv: 2.8 MB in one response."""
    keep = [op_put(p + b"%03d" % n, bytes(11_000)) for n in range(128)]
    client.txn(success=keep)
    watch.create(p, prefix_end(p), prev_kv=True)
    client.txn(success=keep)
    response = watch.receive()
    assert (len(response.events), response.fragment) == (128, False)
    assert response.ByteSize() > 2_500_000


def test_W12_fragments_split_one_revision(client, p, watch):
    keep = [op_put(p + b"%03d" % n, bytes(11_000)) for n in range(128)]
    client.txn(success=keep)
    watch.create(p, prefix_end(p), prev_kv=True, fragment=True)
    revision = client.txn(success=keep).header.revision
    responses = watch.responses_with(128)
    assert len(responses) >= 2
    assert [r.fragment for r in responses] == [True] * (len(responses) - 1) + [False]
    assert max(r.ByteSize() for r in responses) <= 2_097_152 + 64
    events = [event for r in responses for event in r.events]
    assert keys(events, p) == ["%03d" % n for n in range(128)]
    assert {event.kv.mod_revision for event in events} == {revision}
    assert {r.watch_id for r in responses} == {0}


def test_W12_a_small_response_is_no_fragment(client, p, watch):
    watch.create(p, fragment=True)
    client.put(p)
    response = watch.receive()
    assert (len(response.events), response.fragment) == (1, False)


# -- cancel, progress, end ----------------------------------------------------------------------

def test_W13_cancel(client, p, watch):
    watch.create(p)
    watch.cancel_watch(0)
    reply = watch.receive()
    assert (reply.canceled, reply.watch_id, reply.created) == (True, 0, False)
    assert (reply.cancel_reason, reply.compact_revision) == ("", 0)


def test_W13_no_event_after_the_cancel_reply(client, p, watch):
    watch.create(p)
    watch.create(p, watch_id=8)
    watch.cancel_watch(0)
    assert watch.receive().canceled
    client.put(p)
    client.put(p)
    assert {response.watch_id for response in watch.responses_with(2)} == {8}


def test_W13_cancel_of_an_unknown_id_has_no_reply(client, p, watch):
    watch.create(p)
    watch.cancel_watch(77)
    watch.cancel_watch(-1)
    watch.create(p, watch_id=3)
    watch.cancel_watch(0)
    assert watch.receive().canceled
    watch.cancel_watch(0)
    client.put(p)
    assert [response.watch_id for response in watch.responses_with(1)] == [3]


INTERVAL = "--experimental-watch-progress-notify-interval=500ms" if is_etcd() else (
    "--watch-progress-notify-interval=500ms")


def test_W14_progress_notify_comes_per_watch_while_nothing_happens(start):
    client = start(INTERVAL)[1]
    revision = client.put(b"k").header.revision
    with client.watch() as watch:
        watch.create(b"silent")
        notified = watch.create(b"silent", progress_notify=True).watch_id
        for _ in range(2):
            reply = watch.receive()
            assert (reply.watch_id, list(reply.events), reply.created, reply.canceled) == (
                notified, [], False, False)
            assert reply.header.revision == revision


def test_W14_a_progress_reply_follows_all_events_up_to_its_revision(start):
    client = start(INTERVAL)[1]
    with client.watch() as watch:
        watch.create(b"k", progress_notify=True)
        seen, last = 0, 0
        while seen < 2:
            current = client.put(b"k").header.revision
            last = watch.receive()
            while not last.events:
                assert last.header.revision < current
                last = watch.receive()
            assert last.events[0].kv.mod_revision == current
            reply = watch.receive()
            assert (list(reply.events), reply.header.revision) == ([], current)
            seen += 1


def test_W15_progress_request_is_answered_on_a_caught_up_stream(client, p, watch):
    watch.create(p)
    watch.create(p + b"other")
    current = client.revision()
    watch.request_progress()
    reply = watch.receive()
    assert (reply.watch_id, list(reply.events), reply.created, reply.canceled) == (
        -1, [], False, False)
    assert reply.header.revision == current


def test_W15_one_answer_to_each_of_several_requests(client, p, watch):
    watch.create(p)
    for _ in range(3):
        current = client.put(p + b"elsewhere").header.revision
        watch.request_progress()
        reply = watch.receive()
        assert (reply.watch_id, reply.header.revision) == (-1, current)


def test_W15_without_a_watch_there_is_no_answer(client, p, watch):
    watch.request_progress()
    watch.create(p)
    client.put(p)
    assert watch.events(1)
    watch.request_progress()
    assert watch.receive().watch_id == -1


def test_W15_a_cancelled_watch_does_not_count(client, p, watch):
    watch.create(p)
    watch.cancel_watch(0)
    assert watch.receive().canceled
    watch.request_progress()
    watch.create(p)
    client.put(p)
    assert watch.events(1)


def test_W16_every_event_up_to_a_progress_revision_came_before_it(server, client, p, watch):
    watch.create(p, prefix_end(p))
    count = 600

    def write():
        with Client(server.endpoint) as writer:
            for n in range(count):
                writer.put(p + b"%d" % (n % 5), b"%d" % n)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        sent, progress, newest = 0, 0, 0
        while sent < count or progress == 0:
            watch.request_progress()
            response = watch.receive()
            if response.events:
                sent += len(response.events)
                assert response.events[0].kv.mod_revision > newest
                newest = response.events[-1].kv.mod_revision
            else:
                assert response.watch_id == -1
                progress += 1
                newest = max(newest, response.header.revision)
        assert sent == count
    finally:
        thread.join()


def test_W17_half_closing_keeps_the_watches_going(client, p, watch):
    watch.create(p)
    watch.half_close()
    for _ in range(3):
        revision = client.put(p).header.revision
        assert [e.kv.mod_revision for e in watch.events(1)] == [revision]


def test_W18_revoke_shows_as_delete_events(client, p, grant, watch):
    lease = grant()
    for key in b"ba":
        client.put(p + bytes([key]), lease=lease)
    watch.create(p, prefix_end(p), prev_kv=True)
    revision = client.revoke(lease).header.revision
    events = watch.events(2)
    assert [(e.type, e.kv.key[-1:], e.kv.mod_revision) for e in events] == [
        (DELETE, b"a", revision), (DELETE, b"b", revision)]
    assert {event.prev_kv.lease for event in events} == {lease}


def test_W18_expiry_shows_as_a_delete_event(client, p, grant, watch):
    client.put(p, b"v", lease=grant(2))
    watch.create(p)
    (event,) = watch.events(1)
    assert (event.type, event.kv.key) == (DELETE, p)


# -- slow readers -------------------------------------------------------------------------------

def test_W19_a_reader_that_stalls_loses_nothing(client, p):
    value = bytes(20_000)
    count = 1500
    with client.watch() as watch, client.watch() as awake:
        watch.request_create(p)
        awake.create(p)
        for n in range(count):
            client.put(p, value + b"%d" % n)
        assert len(awake.events(count)) == count
        assert watch.receive().created
        assert [int(event.kv.value[20_000:]) for event in watch.events(count)] == list(range(count))


def test_W19_a_stalled_reader_overtaken_by_compaction_is_told(client, p):
    """All events, or an unbroken run of them and then the cancel with compact_revision."""
    value = bytes(20_000)
    count = 1500
    with client.watch() as watch:
        watch.request_create(p)
        for n in range(count):
            last = client.put(p, value + b"%d" % n).header.revision
        client.compact(last, physical=True)
        assert watch.receive().created
        seen = []
        while len(seen) < count:
            response = watch.receive()
            if response.canceled:
                assert (response.compact_revision, list(response.events)) == (last, [])
                break
            seen += [int(event.kv.value[20_000:]) for event in response.events]
        assert seen == list(range(len(seen)))


def test_W19_a_stalled_watch_does_not_hold_others_on_its_server_back(client, p):
    with client.watch() as stalled, client.watch() as awake:
        stalled.request_create(p, prefix_end(p))
        awake.create(p + b"small")
        for _ in range(300):
            client.put(p + b"large", bytes(100_000))
        client.put(p + b"small")
        assert len(awake.events(1)) == 1


def test_W1_a_thousand_watches_on_one_key(client, p):
    """kubernetes.md 9: many watches of one prefix on several streams all see each event."""
    streams = [client.watch() for _ in range(10)]
    try:
        for stream in streams:
            for n in range(100):
                assert stream.create(p, prefix_end(p)).watch_id == n
        for _ in range(5):
            revision = client.put(p + b"k").header.revision
            for stream in streams:
                responses = stream.responses_with(100)
                assert sorted(r.watch_id for r in responses) == list(range(100))
                assert {e.kv.mod_revision for r in responses for e in r.events} == {revision}
    finally:
        for stream in streams:
            stream.close()


def test_W1_an_empty_request_is_ignored(client, p, watch):
    watch.send(pb.WatchRequest())
    assert watch.create(p).watch_id == 0
