"""test_audit.py: the audit log and the log of slow requests.

Belongs here: which calls are written down, with what, and what never is. Never here: how lines are
encoded and files rotated (AuditTests.swift).
"""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from pathlib import Path

import grpc
import pytest

from auth import guarded
from certs import Authority
from client import Client, compare, op_put, op_range
from cluster import wait_until
from server import HOST, Server
from test_tls_files import Secured

pytestmark = pytest.mark.martlet

HANDLED = "/etcdserverpb."


class Audited(Server):
    def __init__(self, *flags: str, **more) -> None:
        self.flags_given = flags
        super().__init__(flags, start=False, **more)
        self.audit = self.folder / "audit.log"
        self.flags = [f"--martlet-audit-log={self.audit}", *flags]
        self.start()

    def records(self, path: Path | None = None) -> list[dict]:
        return [json.loads(line) for line in (path or self.audit).read_text().splitlines()]

    def wait_for(self, rpc: str, count: int = 1, event: str = "call") -> list[dict]:
        def found() -> list[dict]:
            return [r for r in self.records()
                    if r["event"] == event and r["rpc"] == HANDLED + rpc]
        return wait_until(lambda: (f := found()) if len(found()) >= count else None,
                          f"{count} records of {rpc}", 10)


@pytest.fixture(scope="module")
def server():
    with Audited() as running:
        yield running


@pytest.fixture
def client(server):
    with Client(server.endpoint) as made:
        yield made


def test_every_call_is_one_line(server, client):
    client.put(b"k", b"the-value", prev_kv=True)
    client.range(b"k", b"l", serializable=True)
    with pytest.raises(grpc.RpcError):
        client.put(b"")
    put, refused = server.wait_for("KV/Put", 2)
    assert put["key"] == "k" and put["value_bytes"] == 9 and put["code"] == "OK"
    assert put["request_bytes"] > 9 and put["response_bytes"] > 0 and put["micros"] >= 0
    assert put["remote"].startswith(f"{HOST}:") and "user" not in put
    assert refused["code"] == "InvalidArgument" and "key is not provided" in refused["error"]
    [got] = server.wait_for("KV/Range")
    assert (got["key"], got["range_end"], got["serializable"]) == ("k", "l", True)


def test_values_are_never_written_down(server, client):
    client.put(b"a", b"secret-1")
    client.txn([compare(b"a", "value", "=", b"secret-2")], [op_put(b"b", b"secret-3")],
               [op_range(b"c")])
    [txn] = server.wait_for("KV/Txn")
    assert [op["op"] for op in txn["success"]] == ["put"]
    assert txn["failure"] == [{"op": "range", "key": "c"}]
    assert "secret" not in server.audit.read_text()


def test_streams_tell_what_was_asked_for_and_how_they_ended(server, client):
    with client.watch() as watch:
        watch.create(b"w", b"x", start_revision=1)
    [begun] = server.wait_for("Watch/Watch", event="watch")
    assert (begun["key"], begun["range_end"], begun["revision"]) == ("w", "x", 1)
    [ended] = server.wait_for("Watch/Watch")
    assert ended["code"] == "Canceled" and ended["response_bytes"] > 0
    lease = client.grant(60).ID
    with client.keepalive() as stream:
        stream.ping(lease)
    [kept] = server.wait_for("Lease/LeaseKeepAlive")
    assert kept["lease"] == lease
    snapshot = b"".join(part.blob for part in client.snapshot())
    [sent] = server.wait_for("Maintenance/Snapshot")
    assert sent["response_bytes"] >= len(snapshot)


def test_health_checks_are_left_out(server, client):
    client.health()
    client.put(b"after")
    server.wait_for("KV/Put")
    assert "grpc.health" not in server.audit.read_text()


def test_the_certificates_name_is_told(tmp_path):
    ours = Authority(tmp_path / "ca")
    pair, who = ours.issue("server", [HOST]), ours.issue("alice", [HOST])
    audit = tmp_path / "audit.log"
    with Secured(tmp_path, f"--martlet-audit-log={audit}", ca=ours, pair=pair) as server:
        assert server.lets_in(who, ours)
        wait_until(lambda: audit.read_text(), "a line", 10)
        assert json.loads(audit.read_text().splitlines()[0])["certificate"] == "alice"
        assert oct(audit.stat().st_mode & 0o777) == "0o600"


def test_the_user_is_told_and_no_password(tmp_path):
    audit = tmp_path / "audit.log"
    with guarded(f"--martlet-audit-log={audit}") as (guard, _):
        guard.make("alice", ("READWRITE", b"a", b"b")).put(b"a1", b"v")
        wait_until(lambda: '"key":"a1"' in audit.read_text(), "the line", 10)
    records = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [r["user"] for r in records if r.get("key") == "a1"] == ["alice"]
    added = [r for r in records if r["rpc"].endswith("Auth/UserAdd") and r["name"] == "alice"]
    assert [r["user"] for r in added] == ["root"]
    assert "alice-secret" not in audit.read_text() and "token" not in audit.read_text()


def test_failed_logins_are_logged_counted_and_audited(tmp_path):
    audit = tmp_path / "audit.log"
    with guarded(f"--martlet-audit-log={audit}") as (guard, server):
        guard.auth.make("alice", "alice-secret")
        guard.auth.add_user("certificate", no_password=True)
        for name, password in [("alice", "a-guess"), ("mallory", "a-guess"),
                               ("certificate", "a-guess"), ("a\nb" + "x" * 1000, "a-guess")]:
            with pytest.raises(grpc.RpcError):
                guard.user(name, password)
        # No failures of a login: it succeeds, and what is no login.
        guard.user("alice", "alice-secret")
        with pytest.raises(grpc.RpcError):
            guard.client("no.1").put(b"k")
        wait_until(lambda: audit.read_text().count('"rpc":"/etcdserverpb.Auth/Authenticate"') >= 6,
                   "the lines", 10)
        assert "martlet_auth_failed_logins_total 4\n" in metrics(server)
        lines = [json.loads(text) for text in server.log().splitlines()
                 if '"a login failed"' in text]
        assert len(lines) == 4 and all(line["level"] == "warn" for line in lines)
        assert ['"name":"alice"' in line["login"] for line in lines] == [True, False, False, False]
        assert all(line["remote"].startswith(f"{HOST}:") and line["error"] for line in lines)
        assert max(len(line["login"]) for line in lines) < 300
        records = [json.loads(line) for line in audit.read_text().splitlines()]
        failed = [r for r in records
                  if r["rpc"].endswith("/Authenticate") and r["code"] != "OK"]
        assert [r["name"] for r in failed][:3] == ["alice", "mallory", "certificate"]
        assert all(r["remote"] and r["error"] for r in failed)
        assert "a-guess" not in server.log() + audit.read_text()


def test_a_storm_of_failed_logins_does_not_fill_the_log():
    with guarded() as (guard, server):
        for _ in range(100):
            with pytest.raises(grpc.RpcError):
                guard.user("mallory", "a-guess")
        assert "martlet_auth_failed_logins_total 100\n" in metrics(server)
        # Ten a second of each event loop; a hash of cost 10 for a name that there is not takes its time.
        assert 1 <= server.log().count('"a login failed"') <= 100


def metrics(server: Server) -> str:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        return answer.read().decode()


def test_a_file_that_was_moved_is_opened_anew_on_SIGHUP():
    with Audited() as server, Client(server.endpoint) as client:
        client.put(b"1")
        server.wait_for("KV/Put")
        moved = server.audit.with_suffix(".1")
        os.rename(server.audit, moved)
        server.process.send_signal(signal.SIGHUP)
        wait_until(server.audit.exists, "a new file", 10)
        client.put(b"2")
        assert [r["key"] for r in server.wait_for("KV/Put")] == ["2"]
        assert [r["key"] for r in server.records(moved) if "key" in r] == ["1"]
        server.check_alive()


def test_a_full_file_makes_way_and_old_ones_go():
    flags = ("--martlet-audit-log-max-bytes=20000", "--martlet-audit-log-backups=2")
    with Audited(*flags) as server, Client(server.endpoint) as client:
        for number in range(600):
            client.put(b"k%d" % number)
        server.stop()
        files = sorted(path.name for path in server.folder.glob("audit.log*"))
        assert files == ["audit.log", "audit.log.1", "audit.log.2"]
        keys = [record["key"] for name in reversed(files)
                for record in server.records(server.folder / name)]
        assert keys == [f"k{n}" for n in range(600 - len(keys), 600)] and len(keys) > 100


def test_lines_that_cannot_be_written_are_counted_and_nothing_else_suffers():
    with Server(["--martlet-audit-log=/dev/full"]) as server, Client(server.endpoint) as client:
        for _ in range(10):
            client.put(b"k")
        import requests

        def lost() -> int:
            page = requests.get(server.url + "/metrics", timeout=20).text
            [line] = [each for each in page.splitlines()
                      if each.startswith("martlet_audit_dropped_lines_total")]
            return int(float(line.split()[1]))
        wait_until(lambda: lost() >= 10, "lost lines are counted", 10)
        assert server.log().count("the audit log cannot be written") == 1


def test_the_audit_log_can_go_to_standard_error():
    with Server(["--martlet-audit-log=stderr"]) as server, Client(server.endpoint) as client:
        client.put(b"here")
        wait_until(lambda: '"key":"here"' in server.log(), "the line", 10)


def test_slow_requests_are_logged_with_their_key_and_without_the_value():
    flags = ["--warning-unary-request-duration=1ns", "--warning-apply-duration=1ns"]
    with Server(flags) as server, Client(server.endpoint) as client:
        client.put(b"slow-key", b"slow-value")
        wait_until(lambda: "request stats" in server.log(), "the line", 10)
        [line] = [json.loads(text) for text in server.log().splitlines()
                  if '"request stats"' in text and "KV/Put" in text]
        assert line["level"] == "warn" and line["response type"] == HANDLED + "KV/Put"
        assert "slow-key" in line["request content"] and line["time spent"].endswith("s")
        assert "slow-value" not in server.log()
    with Server(["--warning-unary-request-duration=0"]) as server:
        with Client(server.endpoint) as client:
            client.put(b"k")
            client.range(b"k")
            assert "request stats" not in server.log()


def test_slow_applies_are_logged():
    with Server(["--warning-apply-duration=1ms"]) as server, Client(server.endpoint) as client:
        value = b"v" * (1 << 20)

        def is_told() -> bool:
            for number in range(20):
                client.put(b"k%d" % number, value)
            return "apply request took too long" in server.log()
        wait_until(is_told, "a batch of megabytes takes more than a millisecond", 20)
        [line, *_] = [json.loads(text) for text in server.log().splitlines()
                      if "took too long" in text]
        assert line["expected-duration"] == "1ms" and line["took"].endswith("ms")


def test_log_files_rotate_by_size():
    server = Server(["--log-level=debug"], start=False)
    with server:
        path = server.folder / "own.log"
        server.flags += [f"--log-outputs=stderr,{path}", "--enable-log-rotation",
                         '--log-rotation-config-json={"maxsize": 1, "maxbackups": 2}',
                         "--warning-unary-request-duration=1ns"]
        server.start()
        path.with_suffix(".fill").write_text("")
        with open(path, "ab") as log:
            log.write(b"-" * (1 << 20) + b"\n")
        server.process.send_signal(signal.SIGHUP)  # it learns the size
        with Client(server.endpoint) as client:
            wait_until(lambda: client.put(b"k") and Path(f"{path}.1").exists(), "a new file", 20)
        assert path.stat().st_size < 1 << 20
