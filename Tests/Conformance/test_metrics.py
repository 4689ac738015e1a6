"""test_metrics.py: /metrics: which series there are, of which type, and that their values are true.

Belongs here: names, labels and numbers (http.md 2 and 3). Never here: the endpoint itself
(test_http.py). What alert rules and dashboards read must be there under etcd's name.
"""

import threading

import grpc
import pytest
import requests

from client import prefix_end
from cluster import Cluster, wait_until
from schema import pb
from server import Server

# Read by the alert rules and the dashboard of etcd's mixin (A), or by other dashboards (B).
READ = {
    "counter": """etcd_debugging_lease_granted_total etcd_mvcc_delete_total etcd_mvcc_put_total
        etcd_mvcc_range_total etcd_mvcc_txn_total etcd_network_client_grpc_received_bytes_total
        etcd_network_client_grpc_sent_bytes_total etcd_server_health_failures
        etcd_server_heartbeat_send_failures_total etcd_server_leader_changes_seen_total
        etcd_server_proposals_failed_total etcd_server_read_indexes_failed_total
        etcd_server_slow_apply_total etcd_server_slow_read_indexes_total grpc_server_handled_total
        grpc_server_started_total process_cpu_seconds_total""",
    "gauge": """etcd_cluster_version etcd_debugging_mvcc_keys_total
        etcd_debugging_mvcc_pending_events_total etcd_debugging_mvcc_slow_watcher_total
        etcd_debugging_mvcc_watcher_total etcd_mvcc_db_total_size_in_bytes
        etcd_mvcc_db_total_size_in_use_in_bytes etcd_server_has_leader etcd_server_id
        etcd_server_is_leader etcd_server_proposals_applied_total
        etcd_server_proposals_committed_total etcd_server_proposals_pending
        etcd_server_quota_backend_bytes etcd_server_version process_max_fds process_open_fds
        process_resident_memory_bytes process_start_time_seconds""",
    "histogram": """etcd_debugging_mvcc_db_compaction_total_duration_milliseconds
        etcd_disk_backend_commit_duration_seconds etcd_disk_backend_defrag_duration_seconds
        etcd_disk_backend_snapshot_duration_seconds etcd_disk_wal_fsync_duration_seconds""",
}


class Scrape:
    """The samples of one /metrics, and the types of its families."""

    def __init__(self, server):
        text = requests.get(server.url + "/metrics", timeout=20).text
        self.types, self.samples = {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                name, kind = line.split()[2:4]
                self.types[name] = kind
            elif not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                self.samples[name] = float(value)

    def __getitem__(self, name):
        return self.samples[name]

    def of(self, method, name="started_total", service="etcdserverpb.KV", kind="unary", code=""):
        code = f'grpc_code="{code}",' if code else ""
        return self.samples[f'grpc_server_{name}{{{code}grpc_method="{method}",'
                            f'grpc_service="{service}",grpc_type="{kind}"}}']


@pytest.fixture
def fresh(start):
    """A server of the test's own, and its client: what is counted is the test's own doing."""
    return start()


def test_everything_that_is_read_is_there_with_its_type(server):
    types = Scrape(server).types
    for kind, names in READ.items():
        assert {name: types.get(name) for name in names.split()} == dict.fromkeys(
            names.split(), kind)


def test_keys_and_writes(fresh):
    server, client = fresh
    for number in range(5):
        client.put(b"k%d" % number)
    client.put(b"k0", b"again")
    client.delete(b"k3", prefix_end(b"k"))
    client.compact(client.revision())
    scrape = Scrape(server)
    assert scrape["etcd_debugging_mvcc_keys_total"] == 3
    assert scrape["etcd_mvcc_put_total"] == 6
    assert scrape["etcd_debugging_mvcc_current_revision"] == 8
    put = 'etcd_server_apply_duration_seconds_count{op="Put",success="true",version="v3"}'
    assert scrape[put] == 6
    assert scrape["etcd_server_has_leader"] == scrape["etcd_server_is_leader"] == 1
    assert scrape["etcd_server_leader_changes_seen_total"] >= 1
    client.delete(b"k", prefix_end(b"k"))
    assert Scrape(server)["etcd_debugging_mvcc_keys_total"] == 0


def test_watches_and_their_events(fresh):
    server, client = fresh
    with client.watch() as stream:
        ids = [stream.create(b"k").watch_id for _ in range(3)]
        scrape = Scrape(server)
        assert scrape["etcd_debugging_mvcc_watcher_total"] == 3
        assert scrape["etcd_debugging_mvcc_watch_stream_total"] == 1
        for _ in range(4):
            client.put(b"k")
        stream.events(12)
        stream.cancel_watch(ids[0])
        assert stream.receive().canceled
        scrape = Scrape(server)
        assert scrape["etcd_debugging_mvcc_watcher_total"] == 2
        assert scrape["etcd_debugging_mvcc_slow_watcher_total"] == 0
        assert scrape["etcd_debugging_mvcc_pending_events_total"] == 0
        assert scrape["etcd_debugging_mvcc_events_total"] >= 12
        watch = {"service": "etcdserverpb.Watch", "kind": "bidi_stream"}
        assert scrape.of("Watch", **watch) == 1
        assert scrape.of("Watch", "msg_received_total", **watch) == 4
        assert scrape.of("Watch", "msg_sent_total", **watch) >= 3 + 3 + 1
        assert scrape.of("Watch", "handled_total", code="OK", **watch) == 0
    wait_until(lambda: Scrape(server)["etcd_debugging_mvcc_watcher_total"] == 0, "no watch is left")
    wait_until(lambda: Scrape(server)["etcd_debugging_mvcc_watch_stream_total"] == 0, "no stream")


def test_leases(fresh):
    server, client = fresh
    kept = client.grant(100).ID
    client.grant(2)
    client.revoke(kept)
    wait_until(lambda: Scrape(server)["etcd_debugging_server_lease_expired_total"] == 1, "expired")
    scrape = Scrape(server)
    assert scrape["etcd_debugging_lease_granted_total"] == 2
    assert scrape['etcd_debugging_lease_ttl_total_bucket{le="64"}'] == 1
    assert scrape["etcd_debugging_lease_ttl_total_count"] == 2


def test_maintenance_is_timed(fresh):
    server, client = fresh
    for number in range(20):
        client.put(b"k", b"%d" % number)
    client.compact(client.revision(), physical=True)
    client.call("HashKV", pb.HashKVRequest(), pb.HashKVResponse)
    client.call("Defragment", pb.DefragmentRequest(), pb.DefragmentResponse)
    list(client.server_stream("/etcdserverpb.Maintenance/Snapshot",
                              pb.SnapshotRequest(), pb.SnapshotResponse))
    for name in ("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
                 "etcd_mvcc_hash_rev_duration_seconds", "etcd_disk_backend_defrag_duration_seconds",
                 "etcd_disk_backend_snapshot_duration_seconds"):
        wait_until(lambda name=name: Scrape(server)[f"{name}_count"] >= 1, name)


def test_client_releases_and_kinds_of_calls(fresh):
    server, client = fresh
    before = Scrape(server).samples
    client.metadata = [("client-api-version", "3.5")]
    for _ in range(3):
        client.put(b"k")
    with client.watch() as stream:
        stream.create(b"k")
    after = Scrape(server).samples
    grew = {labels: after[labels] - before.get(labels, 0) for labels in after
            if labels.startswith("etcd_server_client_requests_total")}
    name = 'etcd_server_client_requests_total{client_api_version="3.5",type="%s"}'
    assert grew[name % "unary"] == 3 and grew[name % "stream"] == 1


def test_probes_are_counted(fresh):
    server, _ = fresh
    for path in ("/readyz", "/livez", "/health"):
        assert requests.get(server.url + path, timeout=20).ok
    scrape = Scrape(server)
    for check, probe in (("serializable_read", "livez"), ("linearizable_read", "readyz"),
                         ("data_corruption", "readyz")):
        series = (f'etcd_server_healthchecks_total{{name="{check}",status="success",'
                  f'type="{probe}"}}')
        assert scrape[series] >= 1
    assert scrape["etcd_server_health_success"] >= 1


def test_failed_calls_by_code_and_failed_applies(fresh):
    server, client = fresh
    with pytest.raises(grpc.RpcError):
        client.put(b"k", lease=123456789)
    scrape = Scrape(server)
    assert scrape.of("Put", "handled_total", code="NotFound") == 1
    assert scrape.of("Put", "handled_total", code="OK") == 0


def test_extensive_metrics_time_each_call(start):
    server, client = start("--metrics=extensive")
    for _ in range(5):
        client.put(b"k")
    labels = '{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}'
    assert Scrape(server)["grpc_server_handling_seconds_count" + labels] == 5


def test_the_gateway_counts_as_grpc(fresh):
    server, client = fresh
    reply = requests.post(server.url + "/v3/kv/put", data='{"key":"aw=="}', timeout=20)
    assert reply.ok
    client.put(b"k")
    scrape = Scrape(server)
    assert scrape.of("Put") == scrape.of("Put", "handled_total", code="OK") == 2


def test_traffic_of_clients_is_that_of_messages(fresh):
    server, client = fresh
    before = Scrape(server)["etcd_network_client_grpc_received_bytes_total"]
    client.put(b"k", b"x" * 100_000)
    grown = Scrape(server)["etcd_network_client_grpc_received_bytes_total"] - before
    assert 100_000 < grown < 110_000


@pytest.mark.parametrize("path", ["/debug/vars"])
def test_expvars(server, path):
    values = requests.get(server.url + path, timeout=20).json()
    assert {"cmdline", "memstats", "raft.status", "file_descriptor_limit"} <= set(values)
    assert values["file_descriptor_limit"] > 0 and values["memstats"]["Sys"] > 0


@pytest.mark.cluster
def test_members_of_a_cluster():
    with Cluster(3) as cluster:
        leader = cluster.leader()
        client = cluster.client(leader)
        others = [n for n in range(3) if n != leader]
        ids = {n: f"{cluster.member_id(cluster.members[n]):x}" for n in range(3)}
        for number in range(200):
            client.put(b"k%d" % number, b"v" * 1000)
        scrape = Scrape(cluster.members[leader])
        for other in others:
            assert scrape[f'etcd_network_peer_sent_bytes_total{{To="{ids[other]}"}}'] > 1000
            assert scrape[f'etcd_network_peer_received_bytes_total{{From="{ids[other]}"}}'] > 0
        own = ids[leader]

        def active(other):
            labels = f'{{Local="{own}",Remote="{ids[other]}"}}'
            return Scrape(cluster.members[leader]).samples.get("etcd_network_active_peers" + labels)

        def trips(other):
            name = f'etcd_network_peer_round_trip_time_seconds_count{{To="{ids[other]}"}}'
            return Scrape(cluster.members[leader]).samples.get(name, 0)

        wait_until(lambda: all(active(n) == 1 and trips(n) > 0 for n in others), "all are measured")
        victim = others[0]
        cluster.members[victim].kill()
        failures = f'etcd_network_peer_sent_failures_total{{To="{ids[victim]}"}}'
        threading.Thread(target=lambda: [client.put(b"x") for _ in range(20)], daemon=True).start()
        wait_until(lambda: Scrape(cluster.members[leader]).samples.get(failures, 0) > 0,
                   "what can't be sent is counted")
        wait_until(lambda: active(victim) == 0, "the dead member is not active")
        assert active(others[1]) == 1



@pytest.mark.cluster
def test_a_follower_knows_that_it_does_not_lead():
    with Cluster(3) as cluster:
        leader = cluster.leader()
        for number, member in enumerate(cluster.members):
            scrape = Scrape(member)
            assert scrape["etcd_server_has_leader"] == 1
            assert scrape["etcd_server_is_leader"] == (1 if number == leader else 0)
            assert scrape["etcd_server_is_learner"] == 0


def test_the_metrics_of_a_restarted_member_begin_anew(tmp_path):
    with Server() as server:
        requests.post(server.url + "/v3/kv/put", data='{"key":"aw=="}', timeout=20)
        server.restart()
        scrape = Scrape(server)
        assert scrape["etcd_mvcc_put_total"] == 0
        assert scrape["etcd_debugging_mvcc_keys_total"] == 1
