"""test_kv_compact.py: compaction on one node, rules C1 to C4 and C6 (C5 needs a cluster).

Belongs here: what Compact answers, what stays readable, what space comes back.
Compacting the shared server is safe: no test reads revisions older than itself.
"""

import time

import grpc
import pytest

from client import COMPACTED, FUTURE, prefix_end, rejected


def test_C1_compacting_answers_the_current_revision(client, p):
    old = client.put(p + b"k", b"1").header.revision
    client.put(p + b"k", b"2")
    current = client.put(p + b"k", b"3").header.revision
    assert client.compact(old).header.revision == current
    assert client.revision() == current


def test_C1_compacting_to_the_current_revision_is_legal(client, p):
    current = client.put(p + b"k", b"1").header.revision
    client.compact(current)
    assert client.get(p + b"k").value == b"1"
    assert client.get(p + b"k", revision=current).value == b"1"


def test_C1_a_compacted_revision_is_refused(client, p):
    old = client.put(p + b"k").header.revision
    compacted = client.put(p + b"k").header.revision
    client.compact(compacted)
    for revision in (compacted, old, 1, 0, -5):
        with rejected(*COMPACTED):
            client.compact(revision)


def test_C1_a_future_revision_is_refused(client, p):
    current = client.put(p + b"k").header.revision
    for revision in (current + 1, 2**62):
        with rejected(*FUTURE):
            client.compact(revision)
    assert client.get(p + b"k", revision=current) is not None


def test_C2_compact_0_succeeds_once_on_a_store_never_compacted(empty):
    empty.put(b"k")
    empty.compact(0)
    with rejected(*COMPACTED):
        empty.compact(0)
    assert empty.get(b"k", revision=2) is not None
    empty.compact(1)


def test_C2_hash_kv_shows_minus_one_before_the_first_compaction(empty):
    empty.put(b"k")
    assert empty.hash_kv().compact_revision == -1
    empty.compact(2, physical=True)
    assert empty.hash_kv().compact_revision == 2


def test_C3_reads_at_the_compacted_revision_and_later_work(client, p):
    revisions = [client.put(p + b"k", b"%d" % n).header.revision for n in range(6)]
    client.compact(revisions[3], physical=True)
    for n in (3, 4, 5):
        assert client.get(p + b"k", revision=revisions[n]).value == b"%d" % n
    for n in (0, 2):
        with rejected(*COMPACTED):
            client.get(p + b"k", revision=revisions[n])


def test_C3_keys_unchanged_since_long_before_stay(client, p):
    client.put(p + b"old", b"value")
    created = client.get(p + b"old")
    for n in range(20):
        last = client.put(p + b"busy", b"%d" % n).header.revision
    client.compact(last, physical=True)
    assert client.get(p + b"old") == created
    assert client.get(p + b"old", revision=last) == created


def test_C3_deleted_keys_are_gone_before_and_after(client, p):
    client.put(p + b"dead", b"1")
    client.delete(p + b"dead")
    at = client.put(p + b"live", b"1").header.revision
    client.put(p + b"live", b"2")
    client.compact(at, physical=True)
    assert [kv.key for kv in client.prefix(p, revision=at).kvs] == [p + b"live"]
    assert client.get(p + b"dead") is None


def test_C3_a_key_deleted_after_the_compacted_revision_is_still_there_at_it(client, p):
    at = client.put(p + b"k", b"1").header.revision
    client.delete(p + b"k")
    client.compact(at, physical=True)
    assert client.get(p + b"k", revision=at).value == b"1"
    assert client.get(p + b"k") is None


def test_C3_a_new_generation_after_the_compacted_tombstone(client, p):
    client.put(p + b"k", b"1")
    dead = client.delete(p + b"k").header.revision
    client.compact(dead, physical=True)
    again = client.put(p + b"k", b"2").header.revision
    kv = client.get(p + b"k")
    assert (kv.version, kv.create_revision, kv.value) == (1, again, b"2")
    assert client.get(p + b"k", revision=dead) is None


def test_C3_a_watch_from_the_compacted_revision_sees_its_tombstone(client, p):
    client.put(p + b"k", b"1")
    dead = client.delete(p + b"k").header.revision
    client.compact(dead, physical=True)
    with client.watch() as watch:
        watch.create(p + b"k", start_revision=dead)
        (event,) = watch.events(1)
    assert (event.type, event.kv.mod_revision) == (1, dead)


def test_C3_versions_go_on_counting_over_a_compaction(client, p):
    for n in range(5):
        last = client.put(p + b"k", b"%d" % n).header.revision
    created = client.get(p + b"k").create_revision
    client.compact(last, physical=True)
    client.put(p + b"k", b"next")
    kv = client.get(p + b"k")
    assert (kv.version, kv.create_revision) == (6, created)


def test_C3_compacting_again_and_again(client, p):
    for n in range(10):
        at = client.put(p + b"k", b"%d" % n).header.revision
        client.compact(at, physical=n % 2 == 0)
        assert client.get(p + b"k", revision=at).version == n + 1


def test_C4_a_physical_compaction_has_removed_before_it_answers(empty):
    value = bytes(1000)
    for n in range(2000):
        last = empty.put(b"k%d" % (n % 10), value).header.revision
    full = empty.status().dbSizeInUse
    assert full > 2_000_000
    empty.compact(last, physical=True)
    assert empty.status().dbSizeInUse < full / 4
    assert empty.range(b"k", prefix_end(b"k")).count == 10


def test_C3_a_compaction_is_not_slowed_by_its_size_into_refusing_writes(empty):
    """Writes and reads go on beside a large compaction and see nothing of it."""
    for n in range(3000):
        last = empty.put(b"k%d" % (n % 100), b"%d" % n).header.revision
    empty.compact(last)
    for n in range(100):
        assert empty.put(b"new", b"%d" % n).header.revision == last + 1 + n
        assert empty.get(b"k%d" % n, revision=last).value == b"%d" % (2900 + n)


@pytest.mark.parametrize("physical", [False, True])
def test_C3_compaction_changes_no_current_answer(client, p, physical):
    for n in range(30):
        client.put(p + b"%d" % (n % 7), b"%d" % n)
    client.delete(p + b"3")
    before = client.prefix(p)
    client.compact(before.header.revision, physical=physical)
    after = client.prefix(p)
    assert (list(after.kvs), after.count) == (list(before.kvs), before.count)
    assert after.header.revision == before.header.revision


def test_C6_periodic_auto_compaction_keeps_the_retention(start):
    client = start("--auto-compaction-mode=periodic", "--auto-compaction-retention=1s")[1]
    first = client.put(b"k", b"0").header.revision
    deadline = time.monotonic() + 20
    compacted = False
    while not compacted:
        assert time.monotonic() < deadline, "nothing was compacted"
        revision = client.put(b"k", b"later").header.revision
        assert client.get(b"k", revision=revision).mod_revision == revision
        try:
            client.get(b"k", revision=first)
        except grpc.RpcError as error:
            assert (error.code().name, error.details()) == COMPACTED
            compacted = True
        time.sleep(0.05)  # the rule is about time passing
    assert client.get(b"k").value == b"later"


def test_C6_no_auto_compaction_by_default(empty):
    """Off means off: the first revision stays readable however many follow."""
    first = empty.put(b"k", b"0").header.revision
    for _ in range(2000):
        empty.put(b"k")
    assert empty.get(b"k", revision=first).value == b"0"
