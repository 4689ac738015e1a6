"""test_gateway.py: JSON over HTTP on the client port (services.tsv, head comments).

Belongs here: paths, forms of fields, errors, streams, WebSockets; that JSON says what gRPC says.
Never here: what a method does. The texts of errors in JSON itself are not compared.
"""

import hashlib
import json
import subprocess
import threading
import time

import pytest
import requests
from google.protobuf import json_format

from client import Client, prefix_end
from gateway import CLOSE, PING, PONG, TEXT, Gateway, b64, unb64
from schema import pb
from server import HOST, Server, make_certificates


@pytest.fixture
def gateway(server):
    return Gateway(server)


def parsed(answer, kind):
    """A JSON answer as the message it stands for; unknown names fail."""
    return json_format.ParseDict(answer, kind())


# -- shape of answers ---------------------------------------------------------------------------

def test_put_and_range_look_as_documented(gateway, client, p):
    put = gateway.call("kv/put", {"key": b64(p), "value": b64(b"bar")})
    revision = put["header"]["revision"]
    assert set(put) == {"header"}
    assert set(put["header"]) == {"cluster_id", "member_id", "revision", "raft_term"}
    assert all(isinstance(value, str) for value in put["header"].values())
    got = gateway.call("kv/range", {"key": b64(p)})
    assert got["count"] == "1"  # 64-bit numbers are texts, zero fields are left out
    assert got["kvs"] == [{"key": b64(p), "create_revision": revision, "mod_revision": revision,
                           "version": "1", "value": b64(b"bar")}]
    assert "more" not in got


def test_json_and_grpc_say_the_same(gateway, client, p, grant):
    lease = grant()
    client.put(p + b"a", bytes(range(256)), lease=lease)
    client.put(p + b"b", b"")
    request = {"key": b64(p), "range_end": b64(prefix_end(p)), "limit": 1}
    assert parsed(gateway.call("kv/range", request), pb.RangeResponse) == \
        client.range(p, prefix_end(p), limit=1)
    assert parsed(gateway.call("cluster/member/list"), pb.MemberListResponse).members == \
        client.call("MemberList", pb.MemberListRequest(), pb.MemberListResponse).members
    assert parsed(gateway.call("maintenance/hashkv"), pb.HashKVResponse) == \
        client.call("HashKV", pb.HashKVRequest(), pb.HashKVResponse)
    keys = gateway.call("lease/timetolive", {"ID": lease, "keys": True})["keys"]
    assert [unb64(key) for key in keys] == [p + b"a"]
    status = parsed(gateway.call("maintenance/status"), pb.StatusResponse)
    assert status.version == client.status().version and status.leader


def test_every_kind_of_field_in_a_transaction(gateway, client, p):
    client.put(p + b"d")
    answer = gateway.call("kv/txn", {
        "compare": [
            {"key": b64(p), "target": "VERSION", "result": "EQUAL", "version": "0"},
            {"key": b64(p), "target": 1, "result": "LESS", "create_revision": 5}],
        "success": [
            {"requestPut": {"key": b64(p), "value": b64(b"1")}},
            {"request_txn": {"success": [{"request_range": {"key": b64(p)}}]}},
            {"request_delete_range": {"key": b64(p + b"d"), "prev_kv": True}}],
        "failure": [{"request_range": {"key": b64(p)}}]})
    assert answer["succeeded"] is True
    put, nested, deleted = answer["responses"]
    assert list(put) == ["response_put"]
    inner = nested["response_txn"]["responses"][0]["response_range"]
    assert unb64(inner["kvs"][0]["value"]) == b"1"
    assert deleted["response_delete_range"]["deleted"] == "1"
    assert unb64(deleted["response_delete_range"]["prev_kvs"][0]["key"]) == p + b"d"
    again = gateway.call("kv/txn", {"compare": [{"key": b64(p), "version": 7}]})
    assert "succeeded" not in again and "responses" not in again


# -- forms of requests --------------------------------------------------------------------------

def test_names_numbers_enums_and_base64_in_every_form(gateway, client, p):
    for key in (b"a", b"b", b"c"):
        client.put(p + key, key)
    base = {"key": b64(p), "range_end": b64(prefix_end(p))}
    last_two = [
        {**base, "sort_order": "DESCEND", "sort_target": "KEY", "limit": 2},
        {**base, "sortOrder": 2, "sortTarget": 0, "limit": "2"},
        {"key": b64(p).rstrip("="), "rangeEnd": b64(prefix_end(p)), "sort_order": "DESCEND",
         "limit": 2, "unknown": {"nested": [1, None, {"x": "y"}]}},
        '{"key":"%s","range_end":"%s","sort_order":"DESCEND","limit":2.0,"revision":null}'
        % (b64(p), b64(prefix_end(p))),
    ]
    for request in last_two:
        kvs = gateway.call("kv/range", request)["kvs"]
        assert [unb64(kv["key"]) for kv in kvs] == [p + b"c", p + b"b"], request


def test_base64_of_either_alphabet(gateway, client, p):
    raw = p + b"\xfb\xff\xfe>?"
    client.put(raw, b"found")
    for text in (b64(raw), b64(raw).replace("+", "-").replace("/", "_")):
        assert gateway.call("kv/range", {"key": text})["count"] == "1"


def test_an_empty_body_is_an_empty_message(gateway):
    for body in (b"", b"{}", b" \n"):
        assert gateway.refusal("kv/range", body) == (400, 3, "etcdserver: key is not provided")
    assert "members" in gateway.call("cluster/member/list", b"")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "nonsense"])
def test_the_content_type_does_not_matter(gateway, p, content_type):
    headers = {"Content-Type": content_type}
    assert "header" in gateway.call("kv/put", {"key": b64(p)}, headers=headers)


@pytest.mark.parametrize("body", [
    '{"key":', "[1]", "null", "1", '"x"', "nonsense", '{"key":5}', '{"key":"Z!9v"}',
    '{"key":"Zm 9v"}', '{"key":["Zm9v"]}', '{"key":"Zm9v","limit":"x"}',
    '{"key":"Zm9v","limit":1.5}', '{"key":"Zm9v","limit":true}', '{"key":"Zm9v","limit":{}}',
    '{"key":"Zm9v","limit":9223372036854775808}', '{"key":"Zm9v","serializable":"true"}',
    '{"key":"Zm9v","serializable":1}', '{"key":"Zm9v","key":"Zm9v"}',
    '{"range_end":"Zm9v","rangeEnd":"Zm9v"}', "{key:1}", '{"key":"Zm9v",}',
    '{"key":"Zm9v","limit":01}'])
def test_what_is_no_request_is_refused(gateway, body):
    status, code, _ = gateway.refusal("kv/range", body)
    assert (status, code) == (400, 3)


@pytest.mark.martlet
@pytest.mark.parametrize("body", [
    '{"key":"Zm9v","sort_order":"NOPE"}', '{"key":"Zm9v"} trailing', '{"key":"Zm9v"}{}'])
def test_stricter_than_etcd(gateway, body):
    assert gateway.refusal("kv/range", body)[:2] == (400, 3)


def test_deep_and_wide_bodies_end_with_an_error(gateway, server):
    def nested(levels):
        return '{"success":[{"request_txn":' * levels + "{}" + "}]}" * levels

    assert gateway.call("kv/txn", nested(60))["succeeded"] is True
    assert gateway.refusal("kv/txn", nested(200))[:2] == (400, 3)
    assert gateway.refusal("kv/txn", nested(20000))[:2] == (400, 3)
    unknown = '{"x":' + "[" * 100000
    assert gateway.refusal("kv/txn", unknown)[:2] == (400, 3)
    many = '{"compare":[' + ",".join(["{}"] * 100000) + "]}"
    assert gateway.refusal("kv/txn", many)[:2] == (400, 3)
    assert server.running


# -- errors -------------------------------------------------------------------------------------

@pytest.mark.parametrize("path,body,expected", [
    ("kv/range", {}, (400, 3, "etcdserver: key is not provided")),
    ("kv/range", {"key": "YQ==", "revision": 1 << 40},
     (400, 11, "etcdserver: mvcc: required revision is a future revision")),
    ("kv/put", {"key": "YQ==", "lease": "123456789"},
     (404, 5, "etcdserver: requested lease not found")),
    ("lease/revoke", {"ID": 123456789}, (404, 5, "etcdserver: requested lease not found")),
    ("lease/grant", {"TTL": "9000000001"}, (400, 11, "etcdserver: too large lease TTL")),
    ("cluster/member/remove", {"ID": 1}, (404, 5, "etcdserver: member not found")),
    ("maintenance/transfer-leadership", {"targetID": 1},
     (400, 9, "etcdserver: bad leader transferee")),
    ("maintenance/downgrade", {"action": "VALIDATE", "version": "3.4.5.6"},
     (400, 3, "etcdserver: wrong downgrade target version format")),
    ("maintenance/downgrade", {"action": "ENABLE", "version": "3.3"},
     (400, 3, "etcdserver: invalid downgrade target version")),
    ("maintenance/downgrade", {"action": "CANCEL", "version": "3.5"},
     (400, 9, "etcdserver: no inflight downgrade job")),
    ("maintenance/downgrade", {"action": 7, "version": "3.5"},
     (500, 2, "etcdserver: unknown method")),
    ("lock/unlock", {}, (500, 2, "etcdserver: key is not provided")),
])
def test_errors_have_the_http_status_of_their_code(gateway, path, body, expected):
    assert gateway.refusal(path, body) == expected


def test_requests_that_are_too_large(gateway, p):
    assert gateway.refusal("kv/put", {"key": b64(p), "value": b64(b"x" * 1_600_000)}) == \
        (400, 3, "etcdserver: request is too large")
    status, code, text = gateway.refusal(
        "kv/put", {"key": b64(p), "value": b64(b"x" * 2_200_000)})
    assert (status, code) == (429, 8)
    assert text.startswith("grpc: received message larger than max (22000")
    assert "header" in gateway.call("kv/put", {"key": b64(p), "value": b64(b"x" * 1_500_000)})


def test_paths_and_methods(gateway, client, p):
    client.put(p, b"v")
    assert gateway.call("kv/range", {"key": b64(p)}, prefix="/v3beta/")["count"] == "1"
    for path in ("nothing", "kv/range/", "kv", "KV/Range", ""):
        assert gateway.refusal(path, {}) == (404, 5, "Not Found")
    for method in ("GET", "PUT", "DELETE"):
        status, code, _ = gateway.refusal("kv/range", {}, method=method)
        assert (status, code) == (501, 12)
    assert gateway.post("kv/range", {}, prefix="/v3alpha/").status_code == 404


def test_aliases_of_the_lease_paths(gateway, grant):
    lease = grant()
    assert gateway.call("kv/lease/timetolive", {"ID": lease})["grantedTTL"] == "600"
    assert {"ID": str(lease)} in gateway.call("kv/lease/leases")["leases"]
    assert "header" in gateway.call("kv/lease/revoke", {"ID": str(lease)})


SERVED = [
    "kv/range", "kv/put", "kv/deleterange", "kv/txn", "kv/compaction", "lease/grant",
    "lease/revoke", "lease/timetolive", "lease/leases", "cluster/member/add",
    "cluster/member/remove", "cluster/member/update", "cluster/member/list",
    "cluster/member/promote", "maintenance/alarm", "maintenance/status",
    "maintenance/defragment", "maintenance/hash", "maintenance/hashkv",
    "maintenance/transfer-leadership", "maintenance/downgrade", "auth/enable", "auth/disable",
    "auth/status", "auth/authenticate", "auth/user/add", "auth/user/get", "auth/user/list",
    "auth/user/delete", "auth/user/changepw", "auth/user/grant", "auth/user/revoke",
    "auth/role/add", "auth/role/get", "auth/role/list", "auth/role/delete", "auth/role/grant",
    "auth/role/revoke", "lock/unlock", "election/proclaim", "election/leader",
    "election/resign"]


@pytest.mark.parametrize("path", SERVED)
def test_every_path_leads_to_its_method(gateway, path):
    # A body of the wrong kind is refused by the method's own message, not by the path.
    reply = gateway.post(path, "[")
    assert (reply.status_code, reply.json()["code"]) in ((400, 3), (501, 12))
    assert path.startswith("auth/") or reply.status_code == 400


def test_many_requests_on_one_connection(gateway, server, p):
    with requests.Session() as session:
        for number in range(30):
            body = json.dumps({"key": b64(p), "value": b64(b"%d" % number)})
            assert session.post(server.url + "/v3/kv/put", data=body, timeout=20).ok
            bad = session.post(server.url + "/v3/kv/put", data="{", timeout=20)
            assert bad.status_code == 400
            reply = session.post(server.url + "/v3/kv/range", data=body.replace('"value"', '"x"'),
                                 timeout=20)
            assert unb64(reply.json()["kvs"][0]["value"]) == b"%d" % number


def test_answers_carry_the_cors_headers(gateway, p):
    for reply in (gateway.post("kv/put", {"key": b64(p)}), gateway.post("kv/put", "["),
                  gateway.post("nothing")):
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in reply.headers["Access-Control-Allow-Methods"]


def test_an_authorization_header_is_passed_on_and_ignored_without_auth(gateway, p):
    for header in ("nonsense", "Bearer x"):
        assert gateway.call("kv/put", {"key": b64(p)}, headers={"Authorization": header})


def test_grpc_timeout_is_the_deadline(gateway, client, p, grant):
    gateway.call("lock/lock", {"name": b64(p), "lease": grant()})
    began = time.monotonic()
    refusal = gateway.refusal("lock/lock", {"name": b64(p)}, headers={"Grpc-Timeout": "200m"})
    assert refusal == (504, 4, "context deadline exceeded")
    assert time.monotonic() - began < 10
    assert gateway.refusal("kv/put", {"key": b64(p)}, headers={"Grpc-Timeout": "zz"})[0] == 400


# -- streams ------------------------------------------------------------------------------------

def watch_request(key, **fields):
    return {"create_request": {"key": b64(key), **fields}}


def test_watch_history_and_live(gateway, client, p):
    first = client.put(p, b"1").header.revision
    with gateway.stream("watch", watch_request(p, start_revision=first)) as lines:
        created = lines.result()
        assert created["created"] is True and "watch_id" not in created
        event = lines.result()["events"][0]
        assert "type" not in event and unb64(event["kv"]["value"]) == b"1"
        client.put(p, b"2")
        assert unb64(lines.result()["events"][0]["kv"]["value"]) == b"2"
        client.delete(p)
        event = lines.result()["events"][0]
        assert event["type"] == "DELETE" and set(event["kv"]) == {"key", "mod_revision"}


def test_watch_options_and_refusals(gateway, client, p):
    request = watch_request(p, filters=["NODELETE"], prev_kv=True, watch_id="7")
    with gateway.stream("watch", request) as lines:
        assert lines.result()["watch_id"] == "7"
        client.put(p, b"1")
        client.delete(p)
        client.put(p, b"2")
        client.put(p, b"3")
        values = []
        while len(values) < 3:
            values += [(unb64(event["kv"]["value"]), "prev_kv" in event)
                       for event in lines.result()["events"]]
        assert values == [(b"1", False), (b"2", False), (b"3", True)]
    with gateway.stream("watch", watch_request(p, range_end=b64(p))) as lines:
        refused = lines.result()
        assert refused["canceled"] and refused["watch_id"] == "-1"
        assert refused["cancel_reason"] == "mvcc: watcher range is empty"


def test_watch_sends_every_event_to_a_slow_reader(gateway, client, p):
    with gateway.stream("watch", watch_request(p, range_end=b64(prefix_end(p)))) as lines:
        lines.result()
        for number in range(300):
            client.put(p + b"%03d" % number, b"v" * 20_000)
        seen = []
        while len(seen) < 300:
            seen += [unb64(event["kv"]["key"]) for event in lines.result()["events"]]
    assert seen == [p + b"%03d" % number for number in range(300)]


def test_several_requests_in_one_body(gateway, client, p, grant):
    two = json.dumps(watch_request(p)) + json.dumps(watch_request(p + b"b"))
    with gateway.stream("watch", two) as lines:
        assert "watch_id" not in lines.result()
        assert lines.result()["watch_id"] == "1"
    lease = grant()
    with gateway.stream("lease/keepalive", ('{"ID":"%d"}' % lease) * 3 + '{"ID":1}') as lines:
        replies = [line["result"] for line in lines.rest()]
    assert [reply.get("TTL") for reply in replies] == ["600"] * 3 + [None]
    assert replies[0]["ID"] == str(lease) and replies[3]["ID"] == "1"


@pytest.mark.martlet
def test_a_stream_that_fails_ends_with_an_error_line(gateway):
    reply = gateway.post("lease/keepalive", '{"ID":')
    assert reply.status_code == 400 and reply.json()["error"]["code"] == 3
    with gateway.stream("watch", json.dumps(watch_request(b"k")) + '{"') as lines:
        assert lines.result()["created"] is True
        error = lines.next()["error"]
        assert (error["code"], error["grpc_code"], error["http_code"]) == (3, 3, 400)
        assert lines.rest() == []


def test_snapshot_is_a_stream_of_chunks_and_its_checksum(gateway, client, p):
    client.put(p, b"x" * 100_000)
    with gateway.stream("maintenance/snapshot") as lines:
        chunks = [line["result"] for line in lines.rest()]
    data = b"".join(unb64(chunk["blob"]) for chunk in chunks)
    assert len(data) % 512 == 32
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    remaining = [int(chunk.get("remaining_bytes", "0")) for chunk in chunks]
    assert remaining == sorted(remaining, reverse=True) and remaining[-1] == 0


def test_a_client_that_leaves_a_stream_leaves_nothing_behind(gateway, client, server, p):
    for _ in range(20):
        with gateway.stream("watch", watch_request(p)) as lines:
            lines.result()
    client.put(p, b"after")
    deadline = time.monotonic() + 20
    while True:
        text = requests.get(server.url + "/metrics", timeout=20).text
        watchers = next(float(line.split()[1]) for line in text.splitlines()
                        if line.startswith("etcd_debugging_mvcc_watcher_total "))
        if watchers == 0:
            break
        assert time.monotonic() < deadline, watchers
        time.sleep(0.1)


def test_a_long_list_comes_whole_and_the_connection_goes_on(gateway, server, client, p):
    for number in range(40):
        client.put(p + b"%03d" % number, bytes([number]) * 100_000)
    body = json.dumps({"key": b64(p), "range_end": b64(prefix_end(p))})
    with requests.Session() as session:
        for _ in range(2):
            reply = session.post(server.url + "/v3/kv/range", data=body, timeout=60)
            assert reply.status_code == 200
            answer = parsed(reply.json(), pb.RangeResponse)
            assert answer == client.prefix(p)


# -- other ways to the gateway ------------------------------------------------------------------

def test_over_tls_with_client_certificates(tmp_path):
    certificates = make_certificates(tmp_path)
    with Server(certificates=certificates, client_cert_auth=True) as server:
        options = {"verify": str(certificates.ca),
                   "cert": (str(certificates.client_cert), str(certificates.client_key))}
        gateway = Gateway(server, **options)
        gateway.call("kv/put", {"key": b64(b"k"), "value": b64(b"v")})
        assert gateway.call("kv/range", {"key": b64(b"k")})["count"] == "1"
        with pytest.raises(requests.exceptions.RequestException):
            Gateway(server, verify=str(certificates.ca)).post("kv/range", {"key": b64(b"k")})
        curl = subprocess.run(
            ["curl", "-sS", "--http2", "--cacert", certificates.ca, "--cert",
             certificates.client_cert, "--key", certificates.client_key, "-H",
             "Content-Type: application/json", "-d", json.dumps({"key": b64(b"k")}), "-w",
             "\n%{http_version}", server.url + "/v3/kv/range"],
            capture_output=True, text=True, timeout=30, check=True)
        answer, version = curl.stdout.rsplit("\n", 1)
        assert (json.loads(answer)["count"], version) == ("1", "2")


@pytest.mark.martlet
def test_over_http2_without_tls(server, client, p):
    first = client.put(p, b"v").header.revision
    body = json.dumps(watch_request(p, start_revision=first))
    curl = subprocess.run(
        ["curl", "-sS", "-N", "--http2-prior-knowledge", "-m", "2", "-d", body,
         server.url + "/v3/watch"], capture_output=True, text=True, timeout=30, check=False)
    assert curl.returncode == 28  # the stream stays open until curl has waited long enough
    created, events = [json.loads(line)["result"] for line in curl.stdout.splitlines()]
    assert created["created"] and unb64(events["events"][0]["kv"]["key"]) == p


def test_it_can_be_switched_off(start):
    server, client = start("--enable-grpc-gateway=false")
    reply = requests.post(server.url + "/v3/kv/range", data="{}", timeout=20)
    assert (reply.status_code, reply.text) == (404, "404 page not found\n")
    assert requests.get(server.url + "/health", timeout=20).ok
    assert client.put(b"k").header.revision == 2


# -- WebSocket ----------------------------------------------------------------------------------

def test_websocket_watch_with_several_requests(gateway, client, p):
    with gateway.websocket("watch") as socket:
        assert socket.status == 101
        socket.send(watch_request(p))
        assert socket.receive()["result"]["created"] is True
        socket.send(watch_request(p + b"2"))
        assert socket.receive()["result"]["watch_id"] == "1"
        client.put(p, b"v")
        event = socket.receive()["result"]["events"][0]
        assert unb64(event["kv"]["value"]) == b"v"
        socket.send({"cancel_request": {"watch_id": 1}})
        canceled = socket.receive()["result"]
        assert canceled["canceled"] is True and canceled["watch_id"] == "1"
        socket.send({"progress_request": {}})
        assert socket.receive()["result"]["watch_id"] == "-1"


def test_websocket_ping_fragments_and_close(gateway, client, p, grant):
    with gateway.websocket("lease/keepalive") as socket:
        socket.send(b"hello", PING)
        assert socket.frame() == (PONG, b"hello")
        lease = b'{"ID":"%d"}' % grant()
        socket.send(lease[:4], TEXT, final=False)
        socket.send(b"between", PING)
        socket.send(lease[4:], 0)
        frames = [socket.frame(), socket.frame()]
        assert (PONG, b"between") in frames
        answer = next(payload for opcode, payload in frames if opcode == TEXT)
        assert json.loads(answer)["result"]["TTL"] == "600"
        socket.send(b"\x03\xe8", CLOSE)
        assert socket.frame()[0] == CLOSE
        with pytest.raises(EOFError):
            socket.frame()


def test_websocket_carries_unary_calls_and_errors(gateway, client, p):
    client.put(p, b"v")
    with gateway.websocket("kv/range") as socket:
        socket.send({"key": b64(p)})
        assert socket.receive()["count"] == "1"
    with gateway.websocket("kv/range") as socket:
        socket.send({})
        assert socket.receive()["message"] == "etcdserver: key is not provided"
    with gateway.websocket("nothing") as socket:
        socket.send({})
        assert socket.receive()["code"] == 5


@pytest.mark.martlet
def test_websocket_frames_that_break_the_rules_end_the_connection(gateway, server):
    for broken in (lambda s: s.send(b"{}", masked=False), lambda s: s.send(b"{}", 5),
                   lambda s: s.send(b"x" * 200, PING),
                   lambda s: s.socket.sendall(b"\x81\xff" + b"\xff" * 12)):
        with gateway.websocket("watch") as socket:
            broken(socket)
            with pytest.raises(EOFError):
                while True:
                    assert socket.frame()[0] == CLOSE
    assert server.running


@pytest.mark.martlet
def test_a_flood_of_requests_is_held_back_and_answered_in_full(gateway):
    count = 30_000
    with gateway.websocket("lease/keepalive") as socket:
        sender = threading.Thread(
            target=lambda: [socket.send(b'{"ID":"%d"}' % (n + 1)) for n in range(count)],
            daemon=True)
        sender.start()
        time.sleep(1)  # nothing is read: the server may not answer into the void for ever
        for number in range(count):
            assert socket.receive()["result"]["ID"] == str(number + 1)
        sender.join(20)
    body = "".join('{"ID":%d}' % (n + 1) for n in range(count))
    with gateway.stream("lease/keepalive", body) as lines:
        assert [line["result"]["ID"] for line in lines.rest()] == [
            str(n + 1) for n in range(count)]


@pytest.mark.martlet
def test_websocket_checks_the_origin_of_a_page(start):
    server, _ = start("--cors=http://good.example")
    gateway = Gateway(server)
    for origin, status in (("http://good.example", 101), ("http://bad.example", 501)):
        with gateway.websocket("watch", f"Origin: {origin}\r\n") as socket:
            assert socket.status == status


# -- users --------------------------------------------------------------------------------------

def test_users_and_tokens_through_json(start):
    server, _ = start()
    gateway = Gateway(server)
    for name in ("root", "reader"):
        gateway.call("auth/user/add", {"name": name, "password": "pw-" + name})
        gateway.call("auth/role/add", {"name": name})
        gateway.call("auth/user/grant", {"user": name, "role": name})
    gateway.call("auth/role/grant", {"name": "reader", "perm": {
        "permType": "READ", "key": b64(b"a"), "range_end": b64(b"b")}})
    assert gateway.call("auth/role/get", {"role": "reader"})["perm"] == [
        {"key": b64(b"a"), "range_end": b64(b"b")}]
    gateway.call("auth/enable")

    def login(name):
        reply = gateway.call("auth/authenticate", {"name": name, "password": "pw-" + name})
        return {"headers": {"Authorization": reply["token"]}}

    assert gateway.refusal("auth/authenticate", {"name": "root", "password": "x"})[:2] == (400, 3)
    root, reader = login("root"), login("reader")
    gateway.call("kv/put", {"key": b64(b"a1"), "value": b64(b"v")}, **root)
    assert gateway.call("kv/range", {"key": b64(b"a1")}, **reader)["count"] == "1"
    assert gateway.refusal("kv/put", {"key": b64(b"a1")}, **reader) == (
        403, 7, "etcdserver: permission denied")
    assert gateway.refusal("kv/range", {"key": b64(b"c")}, **reader) == (
        403, 7, "etcdserver: permission denied")
    assert gateway.refusal("kv/range", {"key": b64(b"a1")}) == (
        400, 3, "etcdserver: user name is empty")
    bad = {"headers": {"Authorization": "nonsense"}}
    assert gateway.refusal("kv/range", {"key": b64(b"a1")}, **bad) == (
        401, 16, "etcdserver: invalid auth token")
    # X8: locks and elections work with the permissions of the caller.
    assert gateway.call("lock/lock", {"name": b64(b"job")}, **root)["key"]
    assert gateway.refusal("lock/lock", {"name": b64(b"job")}, **reader) == (
        500, 2, "etcdserver: permission denied")
    assert gateway.refusal("lock/lock", {"name": b64(b"job")})[:2] == (500, 2)
    with gateway.stream("watch", watch_request(b"a1"), **reader) as lines:
        assert lines.result()["created"] is True
        gateway.call("kv/put", {"key": b64(b"a1"), "value": b64(b"w")}, **root)
        assert lines.result()["events"]
    with gateway.stream("watch", watch_request(b"c"), **reader) as lines:
        refused = lines.result()
        assert refused["canceled"] and "permission denied" in refused["cancel_reason"]
    metrics = requests.get(server.url + "/metrics", timeout=20).text
    assert "\netcd_debugging_mvcc_keys_total 2\n" in metrics
    gateway.call("auth/disable", **root)
    assert gateway.call("kv/range", {"key": b64(b"a1")})["count"] == "1"
