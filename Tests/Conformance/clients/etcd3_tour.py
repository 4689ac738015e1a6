"""etcd3_tour.py: the main operations of PyPI's etcd3 (synchronous, grpcio).

Run by test_clients.py as `etcd3_tour.py HOST:PORT SCRATCH_DIR check_name`, in an environment of
its own, because this library needs an old protobuf. Never imported by the tests.
"""

import io
import queue
import sys
import threading
import time

import etcd3
import etcd3.exceptions

HOST, PORT = sys.argv[1].split(":")
client = etcd3.client(host=HOST, port=int(PORT), timeout=20)


def check_put_and_get():
    client.put("a", "1")
    value, metadata = client.get("a")
    assert value == b"1" and metadata.key == b"a"
    assert metadata.version == 1 and metadata.create_revision == metadata.mod_revision
    assert metadata.response_header.revision == metadata.mod_revision
    assert client.get("absent") == (None, None)
    previous = client.put("a", "2", prev_kv=True)
    assert previous.prev_kv.value == b"1"
    assert client.get("a", serializable=True)[0] == b"2"


def check_put_if_not_exists_and_replace():
    assert client.put_if_not_exists("once", "1")
    assert not client.put_if_not_exists("once", "2")
    assert client.replace("once", "1", "3")
    assert not client.replace("once", "1", "4")
    assert client.get("once")[0] == b"3"


def check_prefix_range_and_all():
    for number in range(5):
        client.put("p/%d" % number, "v%d" % number)
    client.put("q", "other")
    assert [v for v, _ in client.get_prefix("p/")] == [b"v0", b"v1", b"v2", b"v3", b"v4"]
    down = client.get_prefix("p/", sort_order="descend", sort_target="key")
    assert [m.key for _, m in down] == [b"p/4", b"p/3", b"p/2", b"p/1", b"p/0"]
    assert [v for v, _ in client.get_prefix("p/", keys_only=True)] == [b""] * 5
    assert [v for v, _ in client.get_range("p/1", "p/3")] == [b"v1", b"v2"]
    assert len(list(client.get_all())) == 6


def check_delete():
    client.put("d", "1")
    assert client.delete("d")
    assert not client.delete("d")
    client.put("d/1", "1")
    client.put("d/2", "2")
    assert client.delete_prefix("d/").deleted == 2
    client.put("d", "old")
    gone = client.delete("d", prev_kv=True, return_response=True)
    assert gone.deleted == 1 and gone.prev_kvs[0].value == b"old"


def check_transaction():
    client.put("t", "yes")
    t = client.transactions
    done, responses = client.transaction(
        compare=[t.value("t") == "yes", t.version("t") > 0, t.create("absent") == 0],
        success=[t.put("t", "done"), t.get("t"), t.delete("absent")],
        failure=[t.put("t", "never")])
    assert done
    assert [value for value, _ in responses[1]] == [b"done"]
    done, responses = client.transaction(
        compare=[t.mod("t") > 10 ** 9], success=[], failure=[t.get("t")])
    assert not done and responses[0][0][0] == b"done"
    done, responses = client.transaction(
        compare=[t.value("t") == "done"],
        success=[t.txn(compare=[t.version("t") == 2], success=[t.put("n", "1")],
                       failure=[])], failure=[])
    assert done and responses[0].response_txn.succeeded
    assert client.get("n")[0] == b"1"


def check_watch():
    events, cancel = client.watch("w")
    client.put("w", "1")
    client.put("w", "2")
    client.delete("w")
    first, second, third = next(events), next(events), next(events)
    cancel()
    assert isinstance(first, etcd3.events.PutEvent) and first.value == b"1"
    assert second.value == b"2" and second.version == 2
    assert isinstance(third, etcd3.events.DeleteEvent) and third.key == b"w"


def check_watch_prefix_from_a_revision():
    client.put("h/1", "1")
    start = client.get("h/1")[1].mod_revision
    client.put("h/2", "2")
    client.delete("h/1")
    events, cancel = client.watch_prefix("h/", start_revision=start, prev_kv=True)
    seen = [next(events) for _ in range(3)]
    cancel()
    assert [event.key for event in seen] == [b"h/1", b"h/2", b"h/1"]
    assert seen[2].prev_value == b"1"


def check_watch_callback():
    seen = queue.Queue()
    watch = client.add_watch_callback("c", seen.put)
    client.put("c", "called")
    response = seen.get(timeout=20)
    assert [event.value for event in response.events] == [b"called"]
    client.cancel_watch(watch)
    # The cancel travels on the watch stream and the put does not: wait for a later watch's turn.
    barrier = client.add_watch_callback("barrier", seen.put)
    client.put("c", "unseen")
    client.put("barrier", "seen")
    assert seen.get(timeout=20).events[0].value == b"seen"
    client.cancel_watch(barrier)


def check_watch_once():
    threading.Timer(0.2, lambda: [client.put("o", str(i)) or time.sleep(0.02)
                                  for i in range(20)]).start()
    assert client.watch_once("o", timeout=20).key == b"o"


def check_watch_of_a_compacted_revision():
    for number in range(5):
        client.put("x", str(number))
    client.compact(client.get("x")[1].mod_revision)
    events, _ = client.watch("x", start_revision=1)
    try:
        next(events)
    except etcd3.exceptions.RevisionCompactedError as error:
        assert error.compacted_revision == client.get("x")[1].mod_revision
    else:
        raise AssertionError("the watch was not told of the compaction")


def check_lease():
    lease = client.lease(100)
    assert lease.granted_ttl == 100 and 98 <= lease.remaining_ttl <= 100
    client.put("l", "v", lease=lease)
    assert lease.keys == [b"l"]
    assert client.get("l")[1].lease_id == lease.id
    assert [reply.TTL for reply in lease.refresh()] == [100]
    lease.revoke()
    assert client.get("l") == (None, None)
    assert client.lease(60, lease_id=4711).id == 4711


def check_lease_expires():
    client.put("e", "v", lease=client.lease(2))
    deadline = time.monotonic() + 15
    while client.get("e")[0] is not None:
        assert time.monotonic() < deadline, "the key outlived its lease"
        time.sleep(0.1)


def check_lock():
    with client.lock("name", ttl=30) as lock:
        assert lock.is_acquired()
        assert not client.lock("name", ttl=30).acquire(timeout=0.2)
        assert lock.refresh()
    assert client.lock("name", ttl=30).acquire(timeout=5)


def check_status_and_members():
    (member,) = client.members
    assert member.name == "default" and member.client_urls == ["http://%s:%s" % (HOST, PORT)]
    status = client.status()
    assert status.leader.id == member.id
    assert status.db_size > 0 and status.raft_index > 0 and status.raft_term > 0
    assert len(status.version.split(".")) == 3


def check_compact_and_defragment():
    client.put("k", "1")
    client.put("k", "2")
    client.compact(client.get("k")[1].mod_revision, physical=True)
    try:
        client.compact(1)
    except Exception as error:  # the library lets this gRPC error through as it came
        assert "required revision has been compacted" in str(error)
    else:
        raise AssertionError("compacting a compacted revision succeeded")
    client.defragment()
    assert client.get("k")[0] == b"2"


def check_hash_and_alarms():
    assert isinstance(client.hash(), int)
    assert list(client.list_alarms()) == []


def check_snapshot():
    client.put("s", "v" * 10000)
    target = io.BytesIO()
    client.snapshot(target)
    assert len(target.getvalue()) % 512 == 32


if __name__ == "__main__":
    globals()[sys.argv[3]]()
