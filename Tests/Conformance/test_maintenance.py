"""test_maintenance.py: Status, alarms, quota, hashes, snapshots: rules M1 to M8, D4, T14.

Belongs here: Maintenance on one node. Never here: MoveLeader (it needs members).
Servers with alarms or quotas are the test's own.
"""

import hashlib
import threading

import pytest

from client import (COMPACTED, CORRUPT, Client, FROM_KEY, FUTURE, NO_SPACE, compare, op_delete,
                    op_put, op_range, prefix_end, rejected)
from hash_kv import crc32c, hash_of, record
from schema import pb
from server import DEFAULT_QUOTA, is_etcd

CHUNK = 32 * 1024


# -- Status -------------------------------------------------------------------------------------

def test_M1_status_of_a_single_member(client, p):
    revision = client.put(p).header.revision
    status = client.status()
    assert status.header.revision == revision
    assert status.leader == status.header.member_id != 0
    assert status.raftTerm == status.header.raft_term >= 1
    assert status.raftIndex >= status.raftAppliedIndex > 0
    assert status.dbSize >= status.dbSizeInUse > 0
    assert (status.isLearner, list(status.errors)) == (False, [])


def test_M1_version_is_three_numbers(client):
    assert [part.isdigit() for part in client.status().version.split(".")] == [True] * 3


def test_M1_indexes_grow_with_writes(client, p):
    before = client.status()
    for n in range(20):
        client.put(p, b"%d" % n)
    after = client.status()
    assert after.raftIndex > before.raftIndex
    assert after.raftAppliedIndex > before.raftAppliedIndex
    assert after.raftAppliedIndex <= after.raftIndex


@pytest.mark.newer("3.6")
def test_M1_storage_version_and_quota(client):
    status = client.status()
    assert status.storageVersion.startswith("3.") and status.storageVersion.count(".") == 2
    assert status.dbSizeQuota == DEFAULT_QUOTA
    assert not status.downgradeInfo.enabled


@pytest.mark.newer("3.6")
def test_M1_status_shows_the_configured_quota(start):
    assert start("--quota-backend-bytes=33554432")[1].status().dbSizeQuota == 33_554_432


def test_M1_db_size_grows_with_data(empty):
    before = empty.status()
    for n in range(20):
        empty.put(b"%d" % n, bytes(500_000))
    after = empty.status()
    assert after.dbSize - before.dbSize > 5_000_000
    assert after.dbSizeInUse - before.dbSizeInUse > 5_000_000


# -- alarms -------------------------------------------------------------------------------------

def listed(reply):
    return [(alarm.memberID, alarm.alarm) for alarm in reply.alarms]


NOSPACE, CORRUPTED = 1, 2


def test_M2_no_alarm_is_listed_at_first(client):
    for kind in ("NO_ALARM", "NOSPACE", "CORRUPT"):
        reply = client.alarm("GET", kind=kind)
        assert list(reply.alarms) == []
        assert reply.header.revision == client.revision()


def test_M2_activate_get_and_deactivate(empty):
    member = empty.status().header.member_id
    before = empty.revision()
    assert listed(empty.alarm("ACTIVATE", member, "NOSPACE")) == [(member, NOSPACE)]
    assert listed(empty.alarm("ACTIVATE", member, "CORRUPT")) == [(member, CORRUPTED)]
    assert sorted(listed(empty.alarm("GET"))) == [(member, NOSPACE), (member, CORRUPTED)]
    assert listed(empty.alarm("GET", kind="NOSPACE")) == [(member, NOSPACE)]
    assert listed(empty.alarm("GET", kind="CORRUPT")) == [(member, CORRUPTED)]
    assert listed(empty.alarm("DEACTIVATE", member, "CORRUPT")) == [(member, CORRUPTED)]
    assert listed(empty.alarm("GET")) == [(member, NOSPACE)]
    assert listed(empty.alarm("DEACTIVATE", member, "NOSPACE")) == [(member, NOSPACE)]
    assert listed(empty.alarm("GET")) == []
    assert empty.revision() == before


def test_M2_deactivating_an_unset_alarm_is_ok_and_empty(empty):
    member = empty.status().header.member_id
    assert listed(empty.alarm("DEACTIVATE", member, "NOSPACE")) == []
    empty.alarm("ACTIVATE", member, "NOSPACE")
    assert listed(empty.alarm("DEACTIVATE", member, "CORRUPT")) == []
    assert listed(empty.alarm("GET")) == [(member, NOSPACE)]


def test_M2_member_0_is_a_value_and_no_wildcard(empty):
    member = empty.status().header.member_id
    empty.alarm("ACTIVATE", member, "NOSPACE")
    assert listed(empty.alarm("DEACTIVATE", 0, "NOSPACE")) == []
    assert listed(empty.alarm("GET", 0)) == [(member, NOSPACE)]
    assert listed(empty.alarm("ACTIVATE", 0, "NOSPACE")) == [(0, NOSPACE)]
    assert sorted(listed(empty.alarm("GET"))) == sorted([(0, NOSPACE), (member, NOSPACE)])


def test_M2_alarms_survive_a_restart(start):
    server, client = start()
    member = client.status().header.member_id
    client.put(b"k", b"v")
    client.alarm("ACTIVATE", member, "NOSPACE")
    server.restart()
    with Client(server.endpoint) as again:
        assert listed(again.alarm("GET")) == [(member, NOSPACE)]
        with rejected(*NO_SPACE):
            again.put(b"k")
        assert again.get(b"k").value == b"v"


def test_M1_status_names_the_alarms(empty):
    member = empty.status().header.member_id
    empty.alarm("ACTIVATE", member, "NOSPACE")
    assert list(empty.status().errors) == [f"memberID:{member} alarm:NOSPACE "]


# -- no space -----------------------------------------------------------------------------------

@pytest.fixture
def no_space(empty):
    """A server with a key, a leased key and the NOSPACE alarm on."""
    empty.put(b"k", b"v")
    empty.grant(600, 7)
    empty.put(b"leased", lease=7)
    empty.alarm("ACTIVATE", empty.status().header.member_id, "NOSPACE")
    return empty


def test_M3_puts_and_grants_are_refused(no_space):
    before = no_space.revision()
    with rejected(*NO_SPACE):
        no_space.put(b"k", b"")
    with rejected(*NO_SPACE):
        no_space.put(b"k", ignore_value=True)
    with rejected(*NO_SPACE):
        no_space.grant(600)
    assert no_space.revision() == before


@pytest.mark.parametrize("request_of", [
    {"success": [op_put(b"x")]},
    {"failure": [op_put(b"x")]},
    {"success": [op_delete(b"k")], "failure": [op_put(b"x")]},
    {"compare": [compare(b"k", "version", "=", 99)], "success": [op_put(b"x")]},
], ids=["put", "put not taken", "delete taken", "compare fails"])
def test_T14_a_txn_with_a_put_in_either_list_is_refused(no_space, request_of):
    with rejected(*NO_SPACE):
        no_space.txn(**request_of)
    assert no_space.get(b"k").value == b"v"


def test_T14_D4_reads_and_deletes_pass(no_space):
    assert no_space.get(b"k").value == b"v"
    assert no_space.txn(success=[op_range(b"k")]).succeeded
    assert no_space.txn(success=[op_delete(b"k"), op_range(b"k")]).succeeded
    assert no_space.delete(b"\x00", FROM_KEY).deleted == 1


def test_M3_compaction_revoke_keepalive_and_defragment_pass(no_space):
    no_space.compact(no_space.revision())
    with no_space.keepalive() as stream:
        assert stream.ping(7).TTL == 600
    before = no_space.revision()
    assert no_space.revoke(7).header.revision == before + 1
    no_space.defragment()
    assert no_space.hash_kv().hash
    with no_space.watch() as watch:
        watch.create(b"k")
        no_space.delete(b"k")
        assert watch.events(1)[0].type == 1


def test_M3_P6_the_alarm_is_checked_after_the_request_itself(no_space):
    with rejected("INVALID_ARGUMENT", "etcdserver: key is not provided"):
        no_space.put(b"")
    with rejected(*NO_SPACE):
        no_space.put(b"k", lease=99)
    with rejected(*NO_SPACE):
        no_space.put(b"missing", ignore_value=True)


def fill(client, size=400_000, most=200):
    """Puts new keys until the quota says no."""
    for n in range(most):
        try:
            client.put(b"fill%04d" % n, bytes(size))
        except Exception as error:
            assert (error.code().name, error.details()) == NO_SPACE
            return n
    raise AssertionError(f"{most * size} bytes fitted into the quota")


QUOTA = "--quota-backend-bytes=16777216"


def test_M3_reaching_the_quota_raises_the_alarm_until_it_is_deactivated(start):
    client = start(QUOTA)[1]
    member = client.status().header.member_id
    stored = fill(client)
    assert stored >= 5
    assert listed(client.alarm("GET")) == [(member, NOSPACE)]
    with rejected(*NO_SPACE):
        client.put(b"tiny", b"")
    assert client.prefix(b"fill", count_only=True).count == stored
    assert client.delete(b"fill", prefix_end(b"fill")).deleted == stored
    with rejected(*NO_SPACE):
        client.put(b"tiny", b"")
    if is_etcd():  # else test_space.py tells how it ends by itself
        client.compact(client.revision(), physical=True)
        client.defragment()
        with rejected(*NO_SPACE):
            client.put(b"tiny", b"")
    assert listed(client.alarm("DEACTIVATE", member, "NOSPACE")) == [(member, NOSPACE)]
    if not is_etcd():
        client.compact(client.revision(), physical=True)
    client.put(b"tiny", b"")
    client.grant(600)


def test_P6_the_quota_is_checked_before_the_request_itself(start):
    """Unlike an alarm that is on: see test_M3_P6 above."""
    client = start(QUOTA)[1]
    fill(client)
    with rejected(*NO_SPACE):
        client.put(b"", bytes(400_000))
    with rejected("INVALID_ARGUMENT", "etcdserver: key is not provided"):
        client.range(b"")


def test_M3_a_txn_that_does_not_fit_raises_the_alarm(start):
    client = start(QUOTA)[1]
    with rejected(*NO_SPACE):
        for n in range(200):
            client.txn(success=[op_put(b"a%d" % n, bytes(300_000)), op_put(b"b%d" % n)])
    assert [alarm.alarm for alarm in client.alarm("GET").alarms] == [NOSPACE]


@pytest.mark.martlet
def test_S4_deleting_and_compacting_makes_room_without_defragment(start):
    """etcd compares the allocated file size, Martlet the bytes in use."""
    client = start(QUOTA)[1]
    member = client.status().header.member_id
    fill(client)
    client.delete(b"fill", prefix_end(b"fill"))
    client.compact(client.revision(), physical=True)
    client.alarm("DEACTIVATE", member, "NOSPACE")
    assert client.put(b"again", bytes(400_000))


# -- corrupt ------------------------------------------------------------------------------------

def test_M4_D4_corrupt_refuses_every_write_and_reads_go_on(empty):
    revision = empty.put(b"k", b"v").header.revision
    empty.grant(600, 7)
    empty.alarm("ACTIVATE", empty.status().header.member_id, "CORRUPT")
    for write in (lambda: empty.put(b"k"), lambda: empty.delete(b"k"),
                  lambda: empty.delete(b"nothing"), lambda: empty.compact(revision),
                  lambda: empty.grant(600), lambda: empty.revoke(7),
                  lambda: empty.txn(success=[op_put(b"k")]),
                  lambda: empty.txn(success=[op_delete(b"k")])):
        with rejected(*CORRUPT):
            write()
    assert empty.get(b"k").value == b"v"
    assert empty.get(b"k", serializable=True).value == b"v"
    assert empty.txn(success=[op_range(b"k")]).succeeded
    assert empty.revision() == revision
    empty.alarm("DEACTIVATE", empty.status().header.member_id, "CORRUPT")
    assert empty.put(b"k").header.revision == revision + 1


# -- Defragment ---------------------------------------------------------------------------------

def test_M5_G4_defragment_has_an_empty_reply_and_changes_nothing(client, p):
    for n in range(50):
        client.put(p + b"%d" % n, b"%d" % n)
    before = client.prefix(p)
    assert not client.defragment().HasField("header")
    assert client.prefix(p) == before


# -- hashes -------------------------------------------------------------------------------------

def stored_records(client):
    """Every stored record, read back through a watch of everything from the first revision."""
    records, revision, sub = [], 0, 0
    target = client.revision()
    with client.watch() as watch:
        watch.create(b"\x00", FROM_KEY, start_revision=1)
        while revision < target:
            for event in watch.receive().events:
                sub = sub + 1 if event.kv.mod_revision == revision else 0
                revision = event.kv.mod_revision
                tombstone = event.type == 1
                if tombstone:
                    event.kv.mod_revision = 0
                records.append(record(revision, sub, tombstone, event.kv))
    return records


@pytest.fixture
def history(empty):
    """Revisions 2..: puts, a txn, leases, deletes, a key that comes back."""
    empty.put(b"a", b"1")
    empty.put(b"b", bytes(300), lease=empty.grant(600, 5).ID)
    empty.txn(success=[op_put(b"c", b"3"), op_delete(b"a"), op_put(b"d", b"\xff\x00")])
    empty.put(b"a", b"again")
    empty.delete(b"c", prefix_end(b"d"))
    for n in range(5):
        empty.put(b"b", b"%d" % n)
    empty.delete(b"b")
    empty.put(b"last", b"")
    return empty


def test_M6_hash_kv_is_the_checksum_of_all_stored_records(history):
    records = stored_records(history)
    current = history.revision()
    for revision in range(2, current + 1):
        reply = history.hash_kv(revision)
        assert (reply.hash, reply.compact_revision) == (hash_of(records, revision), -1)
        assert reply.header.revision == current
    assert history.hash_kv(0).hash == hash_of(records, current)


def test_M6_hash_kv_after_a_compaction(history):
    """At the compacted revision itself etcd may answer from before the compaction: not asked."""
    records = stored_records(history)
    current = history.revision()
    for compacted in (4, 6, current - 3, current - 1):
        history.compact(compacted, physical=True)
        for revision in range(compacted + 1, current + 1):
            reply = history.hash_kv(revision)
            assert (reply.hash, reply.compact_revision) == (
                hash_of(records, revision, compacted), compacted)


def test_M6_hash_kv_of_an_empty_store(empty):
    reply = empty.hash_kv()
    assert (reply.hash, reply.compact_revision, reply.header.revision) == (crc32c(b"key"), -1, 1)


def test_M6_hash_kv_of_compacted_and_future_revisions(client, p):
    old = client.put(p).header.revision
    compacted = client.put(p).header.revision
    current = client.put(p).header.revision
    client.compact(compacted)
    with rejected(*COMPACTED):
        client.hash_kv(old)
    with rejected(*FUTURE):
        client.hash_kv(current + 1)


@pytest.mark.newer("3.6")
def test_M6_hash_revision(client, p):
    old = client.put(p).header.revision
    current = client.put(p).header.revision
    assert client.hash_kv(old).hash_revision == old
    assert client.hash_kv(0).hash_revision == current


def test_M6_hash_kv_survives_a_restart(start):
    server, client = start()
    for n in range(20):
        client.put(b"%d" % (n % 3), b"%d" % n)
    client.compact(10, physical=True)
    before = client.hash_kv()
    server.restart()
    with Client(server.endpoint) as again:
        after = again.hash_kv()
        assert (after.hash, after.compact_revision) == (before.hash, before.compact_revision)


def test_M7_hash_changes_with_the_data(empty):
    empty.put(b"k", b"1")
    first = empty.hash()
    empty.put(b"k", b"2")
    second = empty.hash()
    assert first.hash != second.hash
    assert (first.header.revision, second.header.revision) == (2, 3)


# -- Snapshot -----------------------------------------------------------------------------------

def check_snapshot(messages):
    *chunks, last = messages
    blob = b"".join(message.blob for message in chunks)
    assert last.blob == hashlib.sha256(blob).digest()
    assert last.remaining_bytes == 0
    assert (len(blob) + len(last.blob)) % 512 == 32
    assert all(len(message.blob) == CHUNK for message in chunks[:-1])
    assert 0 < len(chunks[-1].blob) <= CHUNK
    left = len(blob)
    for message in chunks:
        left -= len(message.blob)
        assert message.remaining_bytes == left
        assert not message.HasField("header")
    return blob


def test_M8_G4_snapshot_chunks_end_with_their_sha256(client, p):
    for n in range(200):
        client.put(p + b"%d" % n, bytes(2000))
    assert len(check_snapshot(list(client.snapshot()))) > 200 * 2000 / 20


def test_M8_snapshot_of_an_empty_store(empty):
    check_snapshot(list(empty.snapshot()))


@pytest.mark.newer("3.6")
def test_M8_snapshot_version(client):
    messages = list(client.snapshot())
    assert messages[0].version == client.status().storageVersion != ""


def test_M8_snapshots_are_whole_while_writes_go_on(server, client, p):
    stop = threading.Event()

    def write():
        with Client(server.endpoint) as writer:
            n = 0
            while not stop.is_set():
                writer.put(p + b"%d" % (n % 100), bytes(1000))
                n += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            check_snapshot(list(client.snapshot()))
    finally:
        stop.set()
        thread.join()


def test_M8_a_snapshot_read_slowly_blocks_nobody(empty):
    for n in range(40):
        empty.put(b"%d" % n, bytes(500_000))
    stream = empty.snapshot()
    messages = [next(stream)]
    for n in range(100):
        empty.put(b"%d" % (n % 40), b"small")
        assert empty.get(b"%d" % (n % 40)).value == b"small"
    messages += list(stream)
    check_snapshot(messages)


# -- Downgrade ----------------------------------------------------------------------------------

def downgrade(client, action, version):
    request = pb.DowngradeRequest(action=action, version=version)
    return client.unary("/etcdserverpb.Maintenance/Downgrade", request, pb.DowngradeResponse)


@pytest.mark.parametrize("action", ["VALIDATE", "ENABLE"])
@pytest.mark.parametrize("version", ["", "3", "x", "3.4.5.6", "3.x", "-3.5", "3."])
def test_M10_a_target_that_is_no_version(client, action, version):
    with rejected("INVALID_ARGUMENT", "etcdserver: wrong downgrade target version format"):
        downgrade(client, action, version)


@pytest.mark.parametrize("action", ["VALIDATE", "ENABLE"])
@pytest.mark.parametrize("version", ["3.0", "3.3.0", "4.0", "3.99"])
def test_M10_a_target_that_is_not_one_minor_below(client, action, version):
    with rejected("INVALID_ARGUMENT", "etcdserver: invalid downgrade target version"):
        downgrade(client, action, version)


def test_M10_cancel_without_a_downgrade(client):
    with rejected("FAILED_PRECONDITION", "etcdserver: no inflight downgrade job"):
        downgrade(client, "CANCEL", "3.5")


@pytest.mark.martlet
def test_there_is_no_older_version_to_go_to(client):
    """Martlet shows 3.6, but no etcd 3.5 can read its data."""
    for action in ("VALIDATE", "ENABLE"):
        with rejected("INVALID_ARGUMENT", "etcdserver: invalid downgrade target version"):
            downgrade(client, action, "3.5")
    assert not client.status().downgradeInfo.enabled
