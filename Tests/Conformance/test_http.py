"""test_http.py: the HTTP/1.1 endpoints of the client port and the metrics listener (http.md 1).

Belongs here: /health, /livez, /readyz, /version, /metrics, CORS, unknown paths, on one node.
Never here: the JSON gateway. Each test names the row of the table of endpoints that it proves.
"""

import http.client
import time

import pytest
import requests

from client import Client
from server import DEFAULT_QUOTA, HOST, Server, free_port

HEALTHY = '{"health":"true","reason":""}'
CORS = {
    "Access-Control-Allow-Methods": "POST, GET, OPTIONS, PUT, DELETE",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "accept, content-type, authorization",
}


@pytest.fixture
def get(server):
    return lambda path, **options: requests.get(server.url + path, timeout=20, **options)


def check_names(text):
    return sorted(line.split()[0] for line in text.splitlines() if line.startswith("["))


# -- /health ------------------------------------------------------------------------------------

@pytest.mark.parametrize("query", [
    "", "?serializable=true", "?serializable=false", "?exclude=NOSPACE",
    "?exclude=NOSPACE&exclude=CORRUPT", "?exclude=NOSPACE&serializable=true", "?unknown=x"])
def test_health_of_a_healthy_server(get, query):
    reply = get("/health" + query)
    assert (reply.status_code, reply.text) == (200, HEALTHY)
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/version"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
def test_other_methods_are_not_allowed(server, path, method):
    reply = requests.request(method, server.url + path, timeout=20)
    assert (reply.status_code, reply.headers["Allow"]) == (405, "GET")
    assert reply.text == ("" if method == "HEAD" else "Method Not Allowed\n")


@pytest.fixture
def alarmed(start):
    """Raises one alarm at a time; gives a getter of (status, body)."""
    server, client = start()
    member = client.status().header.member_id

    def use(kind):
        client.alarm("ACTIVATE", member, kind)

        def fetch(path):
            reply = requests.get(server.url + path, timeout=20)
            return reply.status_code, reply.text

        return fetch

    return use


def test_health_names_the_nospace_alarm(alarmed):
    fetch = alarmed("NOSPACE")
    unhealthy = (503, '{"health":"false","reason":"ALARM NOSPACE"}\n')
    for query in ("", "?exclude=CORRUPT", "?serializable=true"):
        assert fetch("/health" + query) == unhealthy
    for query in ("?exclude=NOSPACE", "?exclude=NOSPACE&exclude=CORRUPT",
                  "?exclude=NOSPACE&serializable=true"):
        assert fetch("/health" + query) == (200, HEALTHY)
    assert fetch("/livez") == fetch("/readyz") == (200, "ok\n")


def test_health_and_readyz_name_the_corrupt_alarm(alarmed):
    fetch = alarmed("CORRUPT")
    assert fetch("/health") == (503, '{"health":"false","reason":"ALARM CORRUPT"}\n')
    assert fetch("/health?exclude=NOSPACE")[0] == 503
    assert fetch("/health?exclude=CORRUPT") == (200, HEALTHY)
    assert fetch("/livez") == (200, "ok\n")
    failed = "[-]data_corruption failed: alarm activated: CORRUPT"
    for path in ("/readyz", "/readyz?verbose", "/readyz?exclude=serializable_read"):
        status, text = fetch(path)
        assert status == 503
        assert failed in text.splitlines() and "ok" not in text.splitlines()
    assert fetch("/readyz?exclude=data_corruption") == (200, "ok\n")
    assert fetch("/readyz/data_corruption") == (503, failed + "\n\n")
    assert fetch("/readyz/serializable_read") == (200, "ok\n")


# -- /livez, /readyz ----------------------------------------------------------------------------

@pytest.mark.parametrize("path", [
    "/livez", "/readyz", "/livez/serializable_read", "/readyz/serializable_read",
    "/readyz/linearizable_read", "/readyz/data_corruption", "/livez?exclude=serializable_read",
    "/readyz?exclude=linearizable_read&exclude=data_corruption", "/readyz?exclude=unknown",
    "/livez?exclude=unknown"])
def test_live_and_ready(get, path):
    reply = get(path)
    assert (reply.status_code, reply.text) == (200, "ok\n")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_livez_verbose_lists_its_check(get):
    assert get("/livez?verbose").text == "[+]serializable_read ok\nok\n"


def test_readyz_verbose_lists_its_checks_in_any_order(get):
    text = get("/readyz?verbose").text
    assert text.endswith("\nok\n")
    assert set(check_names(text)) - {"[+]non_learner"} == {
        "[+]data_corruption", "[+]serializable_read", "[+]linearizable_read"}
    assert all(line.endswith(" ok") or line == "ok" for line in text.splitlines())


@pytest.mark.newer("3.6")
def test_readyz_has_the_check_non_learner(get):
    assert "[+]non_learner ok" in get("/readyz?verbose").text.splitlines()
    assert get("/readyz/non_learner").text == "ok\n"


# -- /version -----------------------------------------------------------------------------------

def test_version_is_json_and_agrees_with_status(client, get):
    deadline = time.monotonic() + 15
    while get("/version").json()["etcdcluster"] == "not_decided":
        assert time.monotonic() < deadline
        time.sleep(0.1)  # the cluster version is decided some time after the start
    reply = get("/version")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "application/json"
    version = client.status().version
    assert reply.json()["etcdserver"] == version
    assert reply.json()["etcdcluster"] == ".".join([*version.split(".")[:2], "0"])


@pytest.mark.newer("3.6")
def test_version_has_the_storage_version(client, get):
    assert get("/version").json()["storage"] == client.status().storageVersion


# -- /metrics -----------------------------------------------------------------------------------

def samples(text):
    """Sample name with labels -> value; every line must be a comment or a sample."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


ALERTED = [  # http.md 2: what the alert rules and the dashboard read of one node
    "etcd_server_has_leader", "etcd_server_leader_changes_seen_total",
    "etcd_server_proposals_failed_total", "etcd_server_proposals_committed_total",
    "etcd_server_proposals_applied_total", "etcd_server_proposals_pending",
    "etcd_disk_wal_fsync_duration_seconds_count", "etcd_disk_backend_commit_duration_seconds_count",
    "etcd_mvcc_db_total_size_in_bytes", "etcd_mvcc_db_total_size_in_use_in_bytes",
    "etcd_server_quota_backend_bytes", "process_resident_memory_bytes",
    "etcd_network_client_grpc_received_bytes_total", "etcd_network_client_grpc_sent_bytes_total",
]


def test_metrics_is_prometheus_text(get):
    reply = get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4; charset=utf-8")
    assert reply.text.endswith("\n")
    assert samples(reply.text)


def test_metrics_that_alerts_and_dashboards_read(client, get, p):
    client.put(p)
    before = client.status().dbSize
    found = samples(get("/metrics").text)
    after = client.status().dbSize
    assert [name for name in ALERTED if name not in found] == []
    assert found["etcd_server_has_leader"] == 1
    assert found["etcd_server_proposals_committed_total"] > 0
    assert found["etcd_server_quota_backend_bytes"] == DEFAULT_QUOTA
    assert before <= found["etcd_mvcc_db_total_size_in_bytes"] <= after


def test_metrics_count_requests_by_service_method_and_code(client, get, p):
    series = ('grpc_server_handled_total{grpc_code="OK",grpc_method="Put",'
              'grpc_service="etcdserverpb.KV",grpc_type="unary"}')
    before = samples(get("/metrics").text)
    for _ in range(7):
        client.put(p)
    after = samples(get("/metrics").text)
    assert after[series] - before[series] == 7


def test_metrics_name_the_version_and_the_member(client, get):
    found = samples(get("/metrics").text)
    status = client.status()
    assert found[f'etcd_server_version{{server_version="{status.version}"}}'] == 1
    assert found[f'etcd_server_id{{server_id="{status.header.member_id:x}"}}'] == 1


# -- everything else ----------------------------------------------------------------------------

@pytest.mark.parametrize("path", [
    "/", "/nothing", "/v2/keys/a", "/health/", "/readyz/", "/readyz/nothing", "/livez/nothing",
    "/livez/linearizable_read", "/version/", "/debug/pprof/", "/v3alpha/kv/range"])
def test_unknown_paths_are_not_found(get, path):
    reply = get(path)
    assert reply.status_code == 404
    if not path.startswith("/v3"):
        assert reply.text == "404 page not found\n"


@pytest.mark.parametrize("path", ["/health", "/livez", "/version", "/metrics", "/nothing"])
def test_cors_headers_on_every_answer(get, path):
    reply = get(path, headers={"Origin": "http://any.example"})
    assert {name: reply.headers.get(name) for name in CORS} == CORS


@pytest.mark.parametrize("path", ["/health", "/version", "/v3/kv/range", "/nothing"])
def test_options_is_200_and_empty_on_any_path(server, path):
    reply = requests.options(server.url + path, timeout=20)
    assert (reply.status_code, reply.content) == (200, b"")
    assert {name: reply.headers.get(name) for name in CORS} == CORS


def test_cors_origins_are_a_flag(start):
    server = start("--cors=http://a.example:80")[0]

    def allowed(origin):
        headers = {"Origin": origin} if origin else {}
        reply = requests.get(server.url + "/version", headers=headers, timeout=20)
        assert reply.status_code == 200
        return reply.headers.get("Access-Control-Allow-Origin")

    assert allowed("http://a.example:80") == "http://a.example:80"
    assert allowed("http://b.example:80") is None


def test_host_whitelist_refuses_other_hosts_over_plain_http(start):
    server, client = start("--host-whitelist=localhost,good.example")
    for host, status in (("localhost", 200), ("good.example", 200), ("bad.example", 421),
                         ("127.0.0.1", 421)):
        reply = requests.get(server.url + "/version", headers={"Host": host}, timeout=20)
        assert reply.status_code == status, host
    assert client.put(b"k").header.revision == 2


def test_G15_grpc_and_http_share_the_port(server, client, get, p):
    for n in range(20):
        client.put(p, b"%d" % n)
        assert get("/health").text == HEALTHY


def test_G15_many_requests_on_one_http_connection(server):
    connection = http.client.HTTPConnection(HOST, server.port, timeout=20)
    try:
        for _ in range(50):
            for path, status in (("/health", 200), ("/nothing", 404), ("/version", 200)):
                connection.request("GET", path)
                reply = connection.getresponse()
                assert reply.status == status
                assert reply.read()
    finally:
        connection.close()


def test_metrics_listener_serves_only_metrics_and_health():
    port = free_port()
    with Server([f"--listen-metrics-urls=http://{HOST}:{port}"]) as server:
        base = f"http://{HOST}:{port}"
        for path in ("/metrics", "/health", "/livez", "/readyz"):
            assert requests.get(base + path, timeout=20).status_code == 200
        for path in ("/version", "/", "/v3/kv/range", "/debug/vars"):
            reply = requests.get(base + path, timeout=20)
            assert (reply.status_code, reply.text) == (404, "404 page not found\n")
        assert requests.get(server.url + "/metrics", timeout=20).status_code == 200
        with Client(server.endpoint) as client:
            client.put(b"k")
