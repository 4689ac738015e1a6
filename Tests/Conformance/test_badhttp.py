"""test_badhttp.py: the plain HTTP of probes and scripts, broken HTTP/1, and what is no TLS on a TLS port.

Belongs here: curl and raw bytes against both kinds of client port; the process must go on.
Never here: what the endpoints say in detail (test_http.py), HTTP/2 and gRPC (test_badinput.py).
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator

import grpc
import pytest

from client import Client
from server import Server, make_certificates
from wire import DATA, HELLO, PREFACE, Wire, frame, headers


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running
        running.check_alive()
        with Client(running.endpoint) as client:
            client.put(b"healthy", b"yes")
        assert running.stop() in (0, -15)


# -- the HTTP of probes and scripts -----------------------------------------------------------------


def curl(*arguments: str) -> tuple[int, str, str]:
    """Status, content type and body."""
    done = subprocess.run(["curl", "-sS", "-m", "10", "-w", "\n%{http_code} %{content_type}",
                           *arguments], capture_output=True, text=True)
    body, _, last = done.stdout.rpartition("\n")
    status, _, kind = last.partition(" ")
    return int(status or 0), kind, body + done.stderr


@pytest.mark.parametrize("http", ["--http1.1", "--http1.0"])
def test_http_endpoints(server: Server, http: str) -> None:
    text = "text/plain; charset=utf-8"
    assert curl(http, f"{server.url}/health") == (200, text, '{"health":"true","reason":""}')
    assert curl(http, f"{server.url}/health?serializable=true&exclude=NOSPACE")[0] == 200
    assert curl(http, f"{server.url}/livez") == (200, text, "ok\n")
    assert curl(http, f"{server.url}/readyz") == (200, text, "ok\n")
    assert curl(http, f"{server.url}/nothing") == (404, text, "404 page not found\n")
    status, kind, body = curl(http, f"{server.url}/version")
    assert (status, kind) == (200, "application/json")
    assert {"etcdserver", "etcdcluster"} <= set(json.loads(body))
    status, kind, body = curl(http, f"{server.url}/metrics")
    assert status == 200 and kind.startswith("text/plain; version=0.0.4")
    for name in ("etcd_server_has_leader 1", "process_resident_memory_bytes "):
        assert re.search(f"^{name}", body, re.MULTILINE), name
    assert curl(http, "-X", "POST", f"{server.url}/health")[0] == 405


def test_http_on_one_kept_connection(server: Server) -> None:
    urls = [f"{server.url}/{path}" for path in ("health", "livez", "readyz", "version")] * 5
    done = subprocess.run(["curl", "-sS", "-m", "10", "--http1.1", "-w", "%{num_connects}\n",
                           *(part for url in urls for part in ("-o", "/dev/null", url))],
                          capture_output=True, text=True)
    assert done.stdout.split() == ["1"] + ["0"] * (len(urls) - 1)


def test_http_over_plain_http2_gets_some_answer(server: Server) -> None:
    """etcd says 415 here (only TLS tells HTTP/2 probes and gRPC apart); an answer is what counts."""
    for path in ("health", "livez", "readyz", "version", "metrics"):
        assert curl("--http2-prior-knowledge", f"{server.url}/{path}")[0] in (200, 415), path


@pytest.mark.parametrize("request_text", [
    b"GET /health HTTP/1.1\r\n\r\n", b"GET /health HTTP/9.9\r\nHost: x\r\n\r\n", b"\r\n\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n", b"DELETE * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 2_000_000 + b"\r\n\r\n",
    b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /%zz%00 HTTP/1.1\r\nHost: x\r\n\r\n",
])
def test_broken_http1(server: Server, request_text: bytes) -> None:
    with Wire(server, seconds=3) as wire:
        wire.send(request_text)
        try:
            wire.read_all()
        except TimeoutError:
            pass  # it may wait for the rest of the request
        assert not wire.buffer.startswith(b"HTTP/1.1 5"), wire.buffer[:200]


# -- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(certificates=make_certificates(tmp_path_factory.mktemp("tls"))) as running:
        yield running
        running.check_alive()


def secure_client(server: Server) -> Client:
    ca = server.certificates.ca.read_bytes()
    return Client(server.endpoint, credentials=grpc.ssl_channel_credentials(ca))


@pytest.mark.parametrize("bad", [
    b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", HELLO + headers(), b"\x16\x03\x01\xff\xff" + b"x" * 50,
    b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01\x00\x02", b"\0" * 1000, b"\x16\x03\x01\x02\x00\x01",
])
def test_no_tls_on_the_tls_port(secure: Server, bad: bytes) -> None:
    with Wire(secure, seconds=5) as wire:
        wire.send(bad)
        wire.half_close()
        said = wire.read_all()
        assert b"grpc" not in said and b'"health"' not in said
    secure.check_alive()
    with secure_client(secure) as client:
        client.put(b"healthy", b"yes")


def test_garbage_after_the_handshake(secure: Server) -> None:
    context = ssl.create_default_context(cafile=str(secure.certificates.ca))
    context.set_alpn_protocols(["h2"])
    for after in (b"nonsense" * 100, HELLO + frame(DATA, 0, 0, b"x"), PREFACE[:12]):
        with socket.create_connection(("127.0.0.1", secure.port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                assert tls.selected_alpn_protocol() == "h2"
                tls.sendall(after)
    with socket.create_connection(("127.0.0.1", secure.port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(HELLO)
            plain_bytes = tls.detach()
            socket.socket(fileno=plain_bytes).sendall(b"not a TLS record at all")
    with secure_client(secure) as client:
        client.put(b"healthy", b"yes")


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_http_endpoints_over_tls(secure: Server, http: str) -> None:
    """ALPN offers both; over HTTP/2 the content type tells probes and gRPC apart (G15)."""
    ca = ["--cacert", str(secure.certificates.ca)]
    assert curl(http, *ca, f"{secure.url}/health")[::2] == (200, '{"health":"true","reason":""}')
    assert curl(http, *ca, f"{secure.url}/version")[0] == 200
    assert curl(http, *ca, f"{secure.url}/metrics")[0] == 200
    assert curl(http, *ca, f"{secure.url}/readyz")[::2] == (200, "ok\n")


def test_old_tls_is_refused(secure: Server) -> None:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", secure.endpoint, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        input="", capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    secure.check_alive()
