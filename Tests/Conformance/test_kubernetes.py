"""test_kubernetes.py: what a Kubernetes API server asks, replayed: kubernetes.md 2 to 6 and 9.

Belongs here: the request shapes of the API server's storage layer and the answers it relies on.
Never here: what plain clients ask (the other files). Each test names the part it replays.
"""

import threading

import pytest

from client import (COMPACTED, FUTURE, Client, compare, op_delete, op_put, op_range, prefix_end,
                    rejected)

PUT, DELETE = 0, 1
VALUE = b"k8s\x00" + bytes(range(256)) * 4


def create(client, key, value=VALUE, lease=0):
    """kubernetes.md 3, create: only if the key is absent."""
    return client.txn([compare(key, "mod_revision", "=", 0)],
                      success=[op_put(key, value, lease=lease)])


def update(client, key, revision, value=VALUE, lease=0):
    """kubernetes.md 3, guaranteed update: only if unchanged since `revision`."""
    return client.txn([compare(key, "mod_revision", "=", revision)],
                      success=[op_put(key, value, lease=lease)], failure=[op_range(key)])


def delete(client, key, revision):
    """kubernetes.md 3, delete: only if unchanged since `revision`."""
    return client.txn([compare(key, "mod_revision", "=", revision)],
                      success=[op_delete(key)], failure=[op_range(key)])


def fill(client, prefix, count, value=b"v"):
    keys = [prefix + b"%06d" % n for n in range(count)]
    for begin in range(0, count, 100):
        client.txn(success=[op_put(key, value) for key in keys[begin:begin + 100]])
    return keys


# -- 2. Startup feature check -------------------------------------------------------------------

def version_of(client):
    return tuple(int(part) for part in client.status().version.split("."))


def test_part2_request_watch_progress_counts_as_supported(client):
    version = version_of(client)
    assert (3, 4, 31) <= version < (3, 5, 0) or version >= (3, 5, 13)


@pytest.mark.newer("3.6")
def test_part2_kubeadm_accepts_the_version(client):
    assert version_of(client) >= (3, 6, 0)


# -- 3. Calls -----------------------------------------------------------------------------------

def test_part3_get_object(client, p):
    revision = create(client, p + b"o").header.revision
    reply = client.range(p + b"o", limit=1)
    assert (reply.kvs[0].value, reply.kvs[0].mod_revision) == (VALUE, revision)
    assert reply.header.revision == revision
    update(client, p + b"o", revision, b"new")
    assert client.range(p + b"o", limit=1, revision=revision).kvs[0].value == VALUE


def test_part3_create_and_duplicate_create(client, p):
    before = client.revision()
    first = create(client, p)
    assert first.succeeded and first.header.revision == before + 1
    assert client.get(p).mod_revision == before + 1
    second = create(client, p, b"other")
    assert not second.succeeded
    assert (list(second.responses), second.header.revision) == ([], before + 1)
    assert client.get(p).value == VALUE


def test_part3_create_after_delete(client, p):
    revision = create(client, p).header.revision
    assert delete(client, p, revision).succeeded
    again = create(client, p)
    assert again.succeeded
    assert client.get(p).create_revision == again.header.revision


def test_part3_update(client, p):
    revision = create(client, p).header.revision
    reply = update(client, p, revision, b"2")
    assert reply.succeeded and reply.header.revision == revision + 1
    assert (client.get(p).value, client.get(p).version) == (b"2", 2)


def test_part3_stale_update_returns_the_current_object(client, p):
    stale = create(client, p).header.revision
    current = update(client, p, stale, b"2").header.revision
    reply = update(client, p, stale, b"3")
    assert not reply.succeeded
    kv = reply.responses[0].response_range.kvs[0]
    assert (kv.value, kv.mod_revision) == (b"2", current)
    assert client.revision() == current


def test_part3_update_of_a_missing_object_returns_no_kv(client, p):
    reply = update(client, p, 5)
    assert not reply.succeeded
    assert list(reply.responses[0].response_range.kvs) == []


def test_part3_delete(client, p):
    revision = create(client, p).header.revision
    reply = delete(client, p, revision)
    assert reply.succeeded and reply.header.revision == revision + 1
    assert reply.responses[0].response_delete_range.deleted == 1
    assert client.get(p) is None


def test_part3_stale_delete_returns_the_current_object(client, p):
    stale = create(client, p).header.revision
    update(client, p, stale, b"2")
    reply = delete(client, p, stale)
    assert not reply.succeeded
    assert reply.responses[0].response_range.kvs[0].value == b"2"


def test_part3_9_update_race_of_50_has_one_winner_per_revision(server, client, p):
    revision = create(client, p, b"0").header.revision
    clients = [Client(server.endpoint) for _ in range(10)]
    barrier = threading.Barrier(50)
    outcomes = []

    def race(n):
        barrier.wait()
        outcomes.append((n, update(clients[n % 10], p, revision, b"%d" % n)))

    try:
        for _ in range(3):
            outcomes.clear()
            threads = [threading.Thread(target=race, args=(n,)) for n in range(50)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            winners = [(n, reply) for n, reply in outcomes if reply.succeeded]
            assert (len(outcomes), len(winners)) == (50, 1)
            winner, reply = winners[0]
            assert reply.header.revision == revision + 1
            revision += 1
            assert client.get(p).value == b"%d" % winner
            for _, lost in outcomes:
                if not lost.succeeded:
                    assert lost.responses[0].response_range.kvs[0].mod_revision == revision
    finally:
        for each in clients:
            each.close()


def test_part3_9_counter_incremented_by_racing_updates_loses_nothing(server, client, p):
    """Read, compare and swap, retry with what the failure branch returned."""
    create(client, p, b"0")

    def increment():
        with Client(server.endpoint) as own:
            kv = own.get(p)
            done = 0
            while done < 25:
                reply = update(own, p, kv.mod_revision, b"%d" % (int(kv.value) + 1))
                if reply.succeeded:
                    done += 1
                    kv = own.get(p)
                else:
                    kv = reply.responses[0].response_range.kvs[0]

    threads = [threading.Thread(target=increment) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kv = client.get(p)
    assert (kv.value, kv.version) == (b"200", 201)


def test_part3_list_pages_with_count_while_writing(client, p):
    """1051 objects in pages of 500: counts 1051, 551, 51, all at the first page's revision."""
    keys = fill(client, p, 1051)
    start, revision, seen, counts = p, 0, [], []
    while True:
        page = client.range(start, prefix_end(p), limit=500, revision=revision)
        revision = revision or page.header.revision
        seen += [kv.key for kv in page.kvs]
        counts.append(page.count)
        assert page.more == (len(page.kvs) < page.count)
        if not page.more:
            break
        start = page.kvs[-1].key + b"\x00"
        client.put(p + b"000700x", b"new")
        client.delete(p + b"000900")
    assert counts == [1051, 551, 51]
    assert seen == keys


def test_part3_9_paging_over_10000_objects_while_writes_and_compaction_go_on(server, client, p):
    keys = fill(client, p, 10_000)
    revision = client.revision()
    stop = threading.Event()

    def disturb():
        with Client(server.endpoint) as own:
            n = 0
            while not stop.is_set():
                own.put(keys[n * 37 % 10_000], b"changed")
                own.delete(keys[n * 53 % 10_000])
                n += 1
                if n == 20:
                    own.compact(revision)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for limit in (500, 3000):
            start, seen = p, []
            while True:
                page = client.range(start, prefix_end(p), limit=limit, revision=revision)
                assert page.count == 10_000 - len(seen)
                assert {kv.value for kv in page.kvs} == {b"v"}
                seen += [kv.key for kv in page.kvs]
                if not page.more:
                    break
                start = page.kvs[-1].key + b"\x00"
            assert seen == keys
    finally:
        stop.set()
        thread.join()


def test_part3_list_of_a_compacted_revision_is_expired(client, p):
    old = create(client, p + b"a").header.revision
    compacted = create(client, p + b"b").header.revision
    client.compact(compacted)
    with rejected(*COMPACTED):
        client.prefix(p, limit=500, revision=old)


def test_part4_7_a_list_of_a_future_revision_is_too_large(client, p):
    with rejected(*FUTURE):
        client.prefix(p, limit=500, revision=client.revision() + 100)


def test_part3_count_and_sizes(client, p):
    keys = fill(client, p, 300, VALUE)
    assert client.prefix(p, count_only=True).count == 300
    bare = client.prefix(p, keys_only=True).kvs
    assert [(kv.key, kv.value) for kv in bare] == [(key, b"") for key in keys]
    assert all(kv.mod_revision > 0 for kv in bare)


def test_part3_current_revision_from_the_absent_prefix_key(client, p):
    revision = create(client, p + b"o").header.revision
    reply = client.range(p, limit=1)
    assert (reply.count, reply.header.revision) == (0, revision)


def test_part3_health_key_is_absent_and_no_error(client, p):
    assert client.range(p + b"health").count == 0


def test_part3_values_up_to_1_5_MiB(client, p):
    value = bytes(1_500_000)
    revision = create(client, p, value).header.revision
    assert client.get(p).value == value
    assert update(client, p, revision, bytes(1_499_999)).succeeded


# -- 4. Watch contract --------------------------------------------------------------------------

def test_part4_1_2_3_list_then_watch_with_prev_kv(client, p):
    fill(client, p, 20)
    listed = client.prefix(p, limit=10_000)
    with client.watch() as watch:
        watch.create(p, prefix_end(p), start_revision=listed.header.revision + 1, prev_kv=True,
                     progress_notify=True)
        first = listed.kvs[0]
        changed = update(client, first.key, first.mod_revision, b"2").header.revision
        created = create(client, p + b"new", b"n").header.revision
        deleted = delete(client, first.key, changed).header.revision
        modified, added, gone = watch.events(3)
    assert (modified.type, modified.kv.mod_revision, modified.kv.version) == (PUT, changed, 2)
    assert modified.prev_kv == first
    assert (added.type, added.kv.mod_revision, added.kv.version) == (PUT, created, 1)
    assert not added.HasField("prev_kv")
    assert (gone.type, gone.kv.mod_revision) == (DELETE, deleted)
    assert (gone.prev_kv.value, gone.prev_kv.mod_revision) == (b"2", changed)


def test_part4_2_every_change_carries_prev_kv_under_compaction(client, p):
    """The watcher has seen less than what is compacted away, and must miss no prev_kv."""
    create(client, p, b"0")
    with client.watch() as watch:
        watch.create(p, prev_kv=True)
        for n in range(1, 300):
            revision = client.put(p, b"%d" % n).header.revision
            if n % 50 == 0:
                client.compact(revision - 1)
                events = watch.events(50)
                assert [event.prev_kv.value for event in events] == [
                    b"%d" % i for i in range(n - 50, n)]


def test_part4_4_progress_while_a_consistent_read_waits(server, client, p):
    """A progress answer is never ahead of the events sent: what consistent reads rely on."""
    newest = {}
    stop = threading.Event()

    def write():
        with Client(server.endpoint) as own:
            n = 0
            while not stop.is_set():
                own.put(p + b"%d" % (n % 10), b"%d" % n)
                n += 1

    with client.watch() as watch:
        watch.create(p, prefix_end(p), prev_kv=True, progress_notify=True)
        thread = threading.Thread(target=write)
        thread.start()
        try:
            answered = 0
            for _ in range(400):
                if answered >= 20:
                    break
                read = client.prefix(p)
                watch.request_progress()
                reached = 0
                while reached < read.header.revision:
                    response = watch.receive()
                    for event in response.events:
                        newest[event.kv.key] = event.kv.mod_revision
                    reached = response.header.revision
                    answered += not response.events
                for kv in read.kvs:
                    assert newest[kv.key] >= kv.mod_revision
            assert answered >= 20
        finally:
            stop.set()
            thread.join()


def test_part4_6_a_compacted_watch_is_gone(client, p):
    old = create(client, p).header.revision
    compacted = update(client, p, old, b"2").header.revision
    update(client, p, compacted, b"3")
    client.compact(compacted)
    with client.watch() as watch:
        watch.create(p, prefix_end(p), start_revision=old, prev_kv=True)
        reply = watch.receive()
        assert reply.canceled and reply.compact_revision == compacted


def test_part1_4_watches_with_hasleader(server, p):
    with Client(server.endpoint, metadata=[("hasleader", "true")]) as client:
        with client.watch() as watch:
            watch.create(p, prefix_end(p), prev_kv=True, progress_notify=True)
            watch.request_progress()
            assert watch.receive().watch_id == -1
            client.put(p)
            assert len(watch.events(1)) == 1


def test_part9_4_a_thousand_watches_of_one_prefix_with_progress_requests(client, p):
    """Every answer to a progress request comes after all events up to its revision."""
    streams = [client.watch() for _ in range(20)]
    try:
        for stream in streams:
            for _ in range(50):
                stream.create(p, prefix_end(p), prev_kv=True)
        for n in range(6):
            revision = client.put(p + b"%d" % (n % 3), b"%d" % n).header.revision
            for stream in streams:
                stream.request_progress()
            for stream in streams:
                events = 0
                while events < 50:
                    response = stream.receive()
                    if response.events:
                        assert response.events[0].kv.mod_revision == revision
                        events += 1
                    else:
                        assert response.header.revision < revision
        for stream in streams:
            stream.request_progress()
            while (response := stream.receive()).header.revision < revision:
                assert not response.events
            assert (response.watch_id, response.header.revision) == (-1, revision)
    finally:
        for stream in streams:
            stream.close()


# -- 5. Compaction by the apiserver -------------------------------------------------------------

COMPACT_KEY = b"compact_rev_key"


def claim(client, version, revision):
    """One round: (succeeded, version to expect next, current revision)."""
    reply = client.txn([compare(COMPACT_KEY, "version", "=", version)],
                       success=[op_put(COMPACT_KEY, b"%d" % revision)],
                       failure=[op_range(COMPACT_KEY)])
    if reply.succeeded:
        return True, version + 1, reply.header.revision
    kv = reply.responses[0].response_range.kvs[0]
    return False, kv.version, reply.header.revision


def test_part5_compaction_loop_of_two_api_servers(empty):
    client = empty
    expected, seen = [0, 0], [0, 0]
    compactions = 0
    with client.watch() as watch:
        watch.create(COMPACT_KEY, start_revision=client.revision() + 1)
        for turn in range(12):
            server = turn % 2
            for n in range(10):
                client.put(b"o%d" % n, b"%d" % turn)
            won, expected[server], current = claim(client, expected[server], seen[server])
            if won and seen[server]:
                client.compact(seen[server])
                compactions += 1
                with rejected(*COMPACTED):
                    client.range(b"o1", revision=seen[server] - 1)
                assert client.range(b"o1", revision=seen[server]).count == 1
            seen[server] = current
        history = watch.events(client.get(COMPACT_KEY).version)
    assert compactions >= 2
    values = [int(event.kv.value) for event in history]
    assert values == sorted(values)


def test_part5_compacting_many_dead_revisions_stalls_nothing(empty):
    client = empty
    for _ in range(100):
        client.txn(success=[op_put(b"node%03d" % n, VALUE) for n in range(100)])
    client.compact(client.revision() - 1)
    listed = client.prefix(b"node")
    for n in range(100):
        kv = listed.kvs[n]
        assert update(client, kv.key, kv.mod_revision, b"after").succeeded
        assert client.get(kv.key).version == 101


# -- 6. Leases ----------------------------------------------------------------------------------

def test_part6_events_share_a_lease(client, p):
    lease = client.grant(3660).ID
    for n in range(200):
        assert create(client, p + b"%03d" % n, VALUE, lease).succeeded
    assert len(client.time_to_live(lease, keys=True).keys) == 200
    with client.watch() as watch:
        watch.create(p, prefix_end(p), prev_kv=True)
        revision = client.revoke(lease).header.revision
        events = watch.events(200)
    assert {event.kv.mod_revision for event in events} == {revision}
    assert all(event.prev_kv.value == VALUE for event in events)
    assert client.prefix(p, count_only=True).count == 0


def test_part6_masterleases_are_rewritten_with_a_new_lease(client, p, grant):
    revision = create(client, p, b"1", grant(15)).header.revision
    for n in range(5):
        old = client.get(p).lease
        new = grant(15)
        revision = update(client, p, revision, b"%d" % n, new).header.revision
        assert list(client.time_to_live(old, keys=True).keys) == []
        assert list(client.time_to_live(new, keys=True).keys) == [p]
        client.revoke(old)
        assert client.get(p).lease == new


def test_part6_9_event_keys_on_10_leases_expire_each_lease_in_one_revision(client, p):
    ttl, per_lease = 3, 200
    leases = [client.grant(ttl).ID for _ in range(10)]
    with client.keepalive() as stream:
        for number, lease in enumerate(leases):
            client.txn(success=[op_put(p + b"%d/%03d" % (number, n), b"e", lease=lease)
                                for n in range(per_lease // 2)])
            client.txn(success=[op_put(p + b"%d/%03d" % (number, n), b"e", lease=lease)
                                for n in range(per_lease // 2, per_lease)])
            assert stream.ping(lease).TTL == ttl
    start = client.revision() + 1
    with client.watch() as watch:
        watch.create(p, prefix_end(p), start_revision=start)
        events = watch.events(10 * per_lease, seconds=ttl + 10)
    revisions = {}
    for event in events:
        assert event.type == DELETE
        revisions.setdefault(event.kv.mod_revision, set()).add(event.kv.key[len(p):len(p) + 1])
    assert len(revisions) == 10
    assert all(len(of_leases) == 1 for of_leases in revisions.values())
    assert client.prefix(p, count_only=True).count == 0
