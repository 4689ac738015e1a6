"""test_general.py: rules G1 to G20 of etcd's behaviour that one node shows and no other file tests.

Belongs here: revisions, headers, metadata, sizes of the connection, keepalive, health, unknown
methods. Cluster-only: G8, G14, G18, G20; ids: test_cluster.py; sizes: test_kv_put.py (G12).
"""

import threading
import time

import grpc
import pytest

import raw_http2
from client import Client, LEASE_NOT_FOUND, compare, op_put, op_range, prefix_end, rejected
from schema import health, pb

HOST = "127.0.0.1"


# -- revisions ----------------------------------------------------------------------------------

def test_G1_an_empty_store_is_at_revision_1(empty):
    assert empty.revision() == 1
    assert empty.put(b"k").header.revision == 2


def test_G1_revisions_survive_a_restart(start):
    server, client = start()
    for n in range(10):
        client.put(b"k", b"%d" % n)
    client.delete(b"k")
    client.put(b"l", b"last")
    revision = client.revision()
    kept = client.prefix(b"l")
    server.restart()
    with Client(server.endpoint) as again:
        assert again.revision() == revision
        assert list(again.prefix(b"l").kvs) == list(kept.kvs)
        assert again.get(b"k", revision=revision - 2).value == b"9"
        assert again.put(b"k").header.revision == revision + 1


def test_G1_revisions_and_the_compacted_revision_survive_compaction_and_restart(start):
    server, client = start()
    for n in range(10):
        client.put(b"k", b"%d" % n)
    client.compact(8, physical=True)
    revision = client.revision()
    server.restart()
    with Client(server.endpoint) as again:
        assert again.revision() == revision
        assert again.get(b"k", revision=8).value == b"6"
        for old in (7, 1):
            with rejected("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted"):
                again.get(b"k", revision=old)
        assert again.hash_kv().compact_revision == 8


def test_G2_each_write_raises_the_revision_by_exactly_1(client, p, grant):
    lease = grant()
    before = client.revision()
    replies = [
        client.put(p + b"a"), client.put(p + b"b", lease=lease), client.delete(p + b"a"),
        client.txn(success=[op_put(p + b"c%d" % n) for n in range(10)]),
        client.delete(p + b"c", prefix_end(p + b"c")), client.revoke(lease)]
    assert [r.header.revision for r in replies] == [before + 1 + n for n in range(len(replies))]
    assert client.revision() == before + len(replies)


def test_G2_requests_that_change_nothing_leave_the_revision(empty):
    before = empty.put(b"k").header.revision
    lease = empty.grant(600).ID
    with empty.keepalive() as stream:
        stream.ping(lease)
    empty.time_to_live(lease, keys=True)
    empty.revoke(lease)
    empty.delete(b"nothing")
    empty.txn()
    empty.txn([compare(b"k", "version", "=", 99)], success=[op_put(b"k")])
    empty.alarm("ACTIVATE", 1, "NOSPACE")
    empty.alarm("DEACTIVATE", 1, "NOSPACE")
    empty.compact(before)
    empty.defragment()
    empty.members()
    empty.hash_kv()
    with rejected(*LEASE_NOT_FOUND):
        empty.put(b"k", lease=99)
    assert empty.revision() == before


def test_G1_G2_concurrent_writers_share_out_the_revisions_without_gap_or_repeat(server, client, p):
    before = client.revision()
    revisions, lock = [], threading.Lock()

    def write(worker):
        with Client(server.endpoint) as own:
            mine = [own.put(p + b"%d" % worker).header.revision for _ in range(100)]
        assert mine == sorted(mine)
        with lock:
            revisions.extend(mine)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(revisions) == list(range(before + 1, before + 601))
    assert sum(kv.version for kv in client.prefix(p).kvs) == 600


# -- headers ------------------------------------------------------------------------------------

def test_G4_headers_carry_ids_revision_and_term(client, p, grant):
    lease = grant()
    revision = client.put(p).header.revision
    status = client.status().header
    assert status.cluster_id and status.member_id and status.raft_term
    with client.keepalive() as stream:
        replies = [
            client.range(p), client.delete(p + b"nothing"), client.txn(),
            client.txn(success=[op_range(p)]), client.time_to_live(lease), client.leases(),
            stream.ping(lease), client.alarm("GET"), client.status(), client.hash(),
            client.hash_kv(), client.compact(client.revision())]
    for reply in replies:
        header = reply.header
        assert (header.cluster_id, header.member_id, header.raft_term, header.revision) == (
            status.cluster_id, status.member_id, status.raft_term, revision), type(reply)


def test_G4_grant_and_revoke_have_headers(client):
    status = client.status().header
    granted = client.grant(600)
    for reply in (granted, client.revoke(granted.ID)):
        assert reply.header == status


# -- metadata -----------------------------------------------------------------------------------

def test_G9_hasleader_is_met_by_a_member_with_a_leader(server, p):
    with Client(server.endpoint, metadata=[("hasleader", "true")]) as client:
        revision = client.put(p).header.revision
        assert client.get(p).mod_revision == revision
        with client.watch() as watch, client.keepalive() as keepalive:
            watch.create(p)
            client.put(p)
            assert len(watch.events(1)) == 1
            assert keepalive.ping(99).TTL == 0


@pytest.mark.parametrize("metadata", [
    [("token", "nobody.7")], [("authorization", "nobody.7")], [("authorization", "Bearer x")],
], ids=["token", "authorization", "bearer"])
def test_A15_tokens_are_ignored_while_auth_is_off(server, p, metadata):
    with Client(server.endpoint, metadata=metadata) as client:
        client.put(p, b"v")
        assert client.get(p).value == b"v"
        with client.watch() as watch:
            watch.create(p)
            client.put(p)
            assert len(watch.events(1)) == 1


@pytest.mark.parametrize("metadata", [
    [("client-api-version", "3.5")], [("client-api-version", "")],
    [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
    [("unheard-of", "value"), ("binary-bin", bytes(range(256)))],
], ids=["version", "empty version", "tracing", "unknown"])
def test_G11_other_metadata_changes_nothing(server, p, metadata):
    with Client(server.endpoint, metadata=metadata) as client:
        client.put(p, b"v")
        assert client.get(p).value == b"v"


@pytest.mark.newer("3.6")
def test_G11_an_api_version_that_is_not_utf8_is_refused(server):
    request = pb.RangeRequest(key=b"k").SerializeToString()
    with raw_http2.Connection(HOST, server.port) as connection:
        answer = connection.call("/etcdserverpb.KV/Range", request,
                                 [("client-api-version", b"\xff\xfe")])
    assert (answer["grpc-status"], answer["grpc-message"]) == (
        "3", "etcdserver: invalid client api version")


# -- the connection -----------------------------------------------------------------------------

def test_G13_concurrent_streams_are_not_limited(server):
    with raw_http2.Connection(HOST, server.port) as connection:
        connection.read_until(raw_http2.SETTINGS)
        limit = connection.settings.get(raw_http2.MAX_CONCURRENT_STREAMS, 2**32 - 1)
    assert limit == 2**32 - 1


def test_G13_a_thousand_streams_on_one_connection(client, p):
    """More than the 100 that HTTP/2 servers commonly allow."""
    streams = [client.watch() for _ in range(1000)]
    try:
        for stream in streams:
            stream.request_create(p)
        for stream in streams:
            assert stream.receive(30).created
        client.put(p)
        for stream in streams:
            assert len(stream.events(1, seconds=30)) == 1
    finally:
        for stream in streams:
            stream.close()


def test_G13_pings_without_a_stream_end_the_connection(server):
    with raw_http2.Connection(HOST, server.port) as connection:
        connection.read_until(raw_http2.SETTINGS)
        for _ in range(2):
            connection.ping(b"tolerate")
            assert connection.read_until(raw_http2.PING).payload == b"tolerate"
        for _ in range(3):
            connection.ping(b"too many")
        goaway = connection.read_until(raw_http2.GOAWAY)
        with pytest.raises((EOFError, ConnectionResetError)):
            while True:
                connection.read()
    assert int.from_bytes(goaway.payload[4:8], "big") == 11
    assert goaway.payload[8:] == b"too_many_pings"


def test_G13_pings_too_close_with_a_stream_open_end_the_connection(server):
    with raw_http2.Connection(HOST, server.port) as connection:
        connection.open_stream("/etcdserverpb.Watch/Watch")
        for _ in range(6):
            connection.ping(b"too many")
        goaway = connection.read_until(raw_http2.GOAWAY)
    assert int.from_bytes(goaway.payload[4:8], "big") == 11
    assert goaway.payload[8:] == b"too_many_pings"


def test_G13_the_ping_interval_is_a_flag(start):
    server = start("--grpc-keepalive-min-time=1ms")[0]
    with raw_http2.Connection(HOST, server.port) as connection:
        connection.open_stream("/etcdserverpb.Watch/Watch")
        for n in range(20):
            connection.ping(b"welcome%d" % (n % 10))
            assert connection.read_until(raw_http2.PING).flags == raw_http2.ACK
            time.sleep(0.003)  # the rule is about time between pings


def test_G12_the_request_limit_is_a_flag(start):
    client = start("--max-request-bytes=10000")[1]
    client.put(b"k", bytes(9_000))
    with rejected("INVALID_ARGUMENT", "etcdserver: request is too large"):
        client.put(b"k", bytes(11_000))
    size = 600_000
    with rejected("RESOURCE_EXHAUSTED", "grpc: received message larger than max "
                  f"({size + 7} vs. {10_000 + 524_288})"):
        client.put(b"k", bytes(size))


# -- health, unknown methods --------------------------------------------------------------------

def test_G16_health_of_the_server_is_serving(client):
    assert client.health("") == 1


@pytest.mark.parametrize("service", ["etcdserverpb.KV", "no.such.Service"])
def test_G16_health_of_any_other_name_is_not_found(client, service):
    with rejected("NOT_FOUND", "unknown service"):
        client.health(service)


def test_G16_health_watch_says_serving_first(client):
    for service, status in (("", 1), ("no.such.Service", 3)):
        stream = client.server_stream(
            "/grpc.health.v1.Health/Watch", health.HealthCheckRequest(service=service),
            health.HealthCheckResponse)
        assert next(stream).status == status
        stream.cancel()


@pytest.mark.newer("3.6")
def test_G16_health_list_has_the_server_itself(client):
    reply = client.unary("/grpc.health.v1.Health/List", health.HealthListRequest(),
                         health.HealthListResponse)
    assert [(entry.key, entry.value.status) for entry in reply.statuses] == [("", 1)]


@pytest.mark.parametrize("path, text", [
    ("/etcdserverpb.KV/Nothing", "unknown method Nothing for service etcdserverpb.KV"),
    ("/etcdserverpb.Nothing/Range", "unknown service etcdserverpb.Nothing"),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
     "unknown service grpc.reflection.v1.ServerReflection"),
])
def test_G16_unknown_methods_and_services_are_unimplemented(client, path, text):
    with rejected("UNIMPLEMENTED", text):
        client.unary(path, pb.RangeRequest(key=b"k"), pb.RangeResponse)


def test_G16_a_call_after_an_unimplemented_one_works(client, p):
    with pytest.raises(grpc.RpcError):
        client.unary("/no.Service/Method", pb.RangeRequest(), pb.RangeResponse)
    client.put(p)


# -- acknowledged means applied -----------------------------------------------------------------

def test_G7_a_write_is_seen_by_every_connection_once_it_is_acknowledged(server, p):
    clients = [Client(server.endpoint) for _ in range(4)]
    try:
        for n in range(40):
            revision = clients[n % 4].put(p, b"%d" % n).header.revision
            for other in clients:
                assert other.get(p).value == b"%d" % n
                assert other.get(p, serializable=True).mod_revision == revision
    finally:
        for each in clients:
            each.close()


def test_S3_acknowledged_writes_survive_a_kill(start):
    server, client = start()
    last = 0
    for n in range(200):
        last = client.put(b"%03d" % n, b"%d" % n).header.revision
    server.kill()
    server.start()
    with Client(server.endpoint) as again:
        assert again.revision() == last
        assert [kv.value for kv in again.range(b"\x00", b"\x00").kvs] == [
            b"%d" % n for n in range(200)]


@pytest.mark.martlet
def test_S3_T11_a_refused_txn_stays_refused_after_a_kill(start):
    """etcd 3.5.16 replays its log against a store that is not compacted yet, and runs it."""
    server, client = start()
    compacted = client.put(b"k", b"1").header.revision
    client.compact(compacted)
    with rejected("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted"):
        client.txn(success=[op_put(b"k", b"refused"), op_range(b"k", revision=-1)])
    last = client.put(b"l", b"2").header.revision
    server.kill()
    server.start()
    with Client(server.endpoint) as again:
        assert again.revision() == last
        assert (again.get(b"k").value, again.get(b"k").version) == (b"1", 1)
        assert again.get(b"l").mod_revision == last
