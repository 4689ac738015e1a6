"""test_badinput.py: bad bytes on the client port end a request or a connection, never the process.

Belongs here: malformed HTTP/2 and gRPC, floods, slow clients. HTTP/1 and TLS: test_badhttp.py.
Never here: bad disks and flags (test_faults.py), wrong requests in good messages (test_kv_*.py).
Every test ends with `serves`: the same process still answers a healthy client.
"""

from __future__ import annotations

import random
import re
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from client import Client, rejected
from wire import (
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, HELLO, PADDED,
    PING, PREFACE, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, RANGE_FOO, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, Wire, exchange, frame, goaway_code, headers, message, request_headers, settings,
)
from server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running
        assert running.stop() in (0, -15)


@pytest.fixture(autouse=True)
def serves(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test the process is the same one and serves."""
    if "server" not in request.fixturenames:
        yield
        return
    server: Server = request.getfixturevalue("server")
    pid = server.pid
    yield
    server.check_alive()
    assert server.pid == pid
    with Client(server.endpoint) as client:
        client.put(b"healthy", b"yes")
        assert client.get(b"healthy").value == b"yes"


# -- bytes that are no HTTP ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_random_bytes(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    with Wire(server) as wire:
        wire.send(chance.randbytes(chance.choice((1, 23, 24, 100, 5000, 100_000))))
        if seed % 2:
            wire.half_close()


@pytest.mark.parametrize("seed", range(20))
def test_random_frames_after_a_good_preface(server: Server, seed: int) -> None:
    chance = random.Random(f"frames {seed}")
    with Wire(server) as wire:
        wire.send(HELLO)
        for _ in range(50):
            wire.send(frame(chance.randrange(12), chance.randrange(256), chance.randrange(6),
                            chance.randbytes(chance.choice((0, 1, 4, 5, 8, 40, 300)))))


@pytest.mark.parametrize("seed", range(20))
def test_a_good_request_with_one_byte_changed(server: Server, seed: int) -> None:
    chance = random.Random(f"bytes {seed}")
    good = HELLO + headers() + frame(DATA, END_STREAM, 1, RANGE_FOO)
    for _ in range(20):
        bad = bytearray(good)
        bad[chance.randrange(len(PREFACE), len(bad))] = chance.randrange(256)
        with Wire(server) as wire:
            wire.send(bytes(bad))
            wire.half_close()


def test_a_connection_cut_at_every_byte_of_a_request(server: Server) -> None:
    good = HELLO + headers() + frame(DATA, END_STREAM, 1, RANGE_FOO)
    for length in range(len(good)):
        with Wire(server) as wire:
            wire.send(good[:length])


def test_a_connection_reset_in_the_middle_of_a_request(server: Server) -> None:
    for _ in range(50):
        with Wire(server) as wire:
            wire.send(HELLO + headers())
            linger = struct.pack("ii", 1, 0)
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def test_a_tls_hello_on_the_plain_port(server: Server) -> None:
    context = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(plain, server_hostname="localhost")


# -- HTTP/2 that breaks the rules ---------------------------------------------------------------

STREAM_1 = headers(1, flags=END_HEADERS)
BAD_CONNECTIONS = {
    "settings of odd length": frame(SETTINGS, payload=b"12345"),
    "settings on a stream": frame(SETTINGS, 0, 1, b""),
    "settings acknowledged with a payload": frame(SETTINGS, 1, 0, b"123456"),
    "window of more than 2^31-1": settings((4, 0x80000000)),
    "largest frame of 1 byte": settings((5, 1)),
    "data on stream 0": frame(DATA, 0, 0, b"x"),
    "data on a stream never opened": frame(DATA, 0, 5, b"x"),
    "headers on stream 0": headers(0),
    "headers on an even stream": headers(2),
    "ping of 7 bytes": frame(PING, payload=b"1234567"),
    "ping on a stream": frame(PING, 0, 1, b"12345678"),
    "reset of a stream never opened": frame(RST_STREAM, 0, 7, b"\0\0\0\x08"),
    "reset of 3 bytes": STREAM_1 + frame(RST_STREAM, 0, 1, b"\0\0\0"),
    "window update of 3 bytes": frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"),
    "window update of 0 for the connection": frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
    "window of the connection overflows": frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2,
    "continuation of nothing": frame(CONTINUATION, 4, 1, b""),
    "headers cut by data": headers(1, flags=0) + frame(DATA, 0, 1, b"x"),
    "headers cut by a ping": headers(1, flags=0) + frame(PING, payload=b"12345678"),
    "headers that no decoder can read": frame(HEADERS, END_HEADERS, 1, b"\xff" * 20),
    "padding longer than the frame":
        STREAM_1 + frame(DATA, PADDED, 1, bytes([200]) + b"x"),
    "a push promise from a client": frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2"),
    "a frame of 16 MB": b"\xff\xff\xff\0\0\0\0\0\1",
    "no settings first": None,
}


# RFC 9113 asks for all of these; etcd lets them pass.
ETCD_LETS_PASS = {
    "largest frame of 1 byte", "data on a stream never opened", "reset of a stream never opened",
    "window of the connection overflows", "a push promise from a client",
}


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[pytest.mark.martlet] if name in ETCD_LETS_PASS else [])
    for name in BAD_CONNECTIONS
])
def test_a_broken_connection_is_closed(server: Server, name: str) -> None:
    bad = BAD_CONNECTIONS[name]
    with Wire(server) as wire:
        wire.send(HELLO + bad if bad is not None else PREFACE + frame(PING, payload=b"12345678"))
        assert goaway_code(wire.frames()) != 0, "closed as if all were well"


BAD_STREAMS = {
    "a stream that depends on itself":
        frame(HEADERS, 0x24, 1, b"\0\0\0\x01\x10" + headers()[9:]),
    "an upper-case field": headers(1, [*request_headers(), ("Upper", "x")]),
    "no path": headers(1, request_headers("")),
    "two paths": headers(1, [(":path", "/x"), *request_headers()]),
    "a pseudo field after a field": headers(1, [*request_headers(), (":scheme", "http")]),
    "a connection field": headers(1, [*request_headers(), ("connection", "close")]),
    "window of the stream overflows":
        STREAM_1 + frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff") * 2,
    "a priority that depends on itself": STREAM_1 + frame(PRIORITY, 0, 1, b"\0\0\0\x01\x10"),
    "data after the end of the stream":
        headers(1, flags=END_HEADERS | END_STREAM) + frame(DATA, 0, 1, b"x"),
    "a content-length that lies":
        headers(1, request_headers(content_length="3")) + frame(DATA, END_STREAM, 1, RANGE_FOO),
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_a_broken_stream_does_not_get_an_answer_of_another(server: Server, name: str) -> None:
    """The server may end the stream or the connection; a later good stream is either served
    whole or never answered."""
    with Wire(server, seconds=3) as wire:
        wire.send(HELLO + BAD_STREAMS[name])
        wire.send(headers(9) + frame(DATA, END_STREAM, 9, RANGE_FOO))
        try:
            answer = wire.until(DATA, 9)
        except (AssertionError, TimeoutError):
            return
        assert answer[3][0] == 0 and len(answer[3]) > 5


def test_an_unknown_frame_is_ignored(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(HELLO + frame(0xEE, 0xFF, 3, b"what") + headers()
                  + frame(0xAB, 0, 1, b"ever") + frame(DATA, END_STREAM, 1, RANGE_FOO))
        assert wire.until(DATA, 1)[3][0] == 0


# -- floods and sloth -----------------------------------------------------------------------------


def memory(server: Server) -> int:
    """Resident MiB."""
    text = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) // 1024


@pytest.mark.martlet
def test_headers_without_end(server: Server) -> None:
    """CONTINUATION frames for ever: the connection goes, the memory stays."""
    before = memory(server)
    with Wire(server) as wire:
        wire.send(HELLO + headers(1, flags=0))
        for _ in range(4000):
            wire.send(frame(CONTINUATION, 0, 1, b"\0\x01a\x7f\xa1\x1e" + b"x" * 4000))
            if wire.cut:
                break
        assert wire.cut, "16 MB of header fields were taken"
    assert memory(server) < before + 64


@pytest.mark.martlet
def test_one_huge_header_field(server: Server) -> None:
    with Wire(server, seconds=5) as wire:
        block = headers(1, [*request_headers(), ("x", "y" * 1_000_000)])[9:]
        wire.send(HELLO + frame(HEADERS, 0, 1, block[:16384]))
        for at in range(16384, len(block), 16384):
            last = at + 16384 >= len(block)
            wire.send(frame(CONTINUATION, END_HEADERS if last else 0, 1, block[at:at + 16384]))
        wire.send(frame(DATA, END_STREAM, 1, RANGE_FOO))
        with pytest.raises((AssertionError, TimeoutError)):
            wire.until(DATA, 1)


def test_streams_opened_and_reset(server: Server) -> None:
    """The rapid reset of 2023."""
    before = memory(server)
    with Wire(server) as wire:
        wire.send(HELLO)
        for first in range(1, 20_000, 200):
            wire.send(b"".join(headers(s) + frame(RST_STREAM, 0, s, b"\0\0\0\x08")
                               for s in range(first, first + 200, 2)))
    assert memory(server) < before + 64


def test_settings_and_pings_never_read(server: Server) -> None:
    """Each asks for an answer that this client never reads."""
    before = memory(server)
    with Wire(server, seconds=5) as wire:
        try:
            wire.send(HELLO)
            for _ in range(200):
                wire.send((settings() + frame(PING, payload=b"12345678")) * 500)
        except TimeoutError:
            pass  # the server stopped reading, which is one way to bound what it owes
    assert memory(server) < before + 64


def test_empty_data_frames(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(HELLO + headers())
        for _ in range(100):
            wire.send(frame(DATA, 0, 1, b"") * 200)


@pytest.mark.parametrize("start", [
    b"", b"P", PREFACE[:10], HELLO, HELLO + headers(), HELLO + headers() + frame(DATA, 0, 1, b"\0"),
    b"GET /health HTTP/1.1\r\nHost: x\r\n", b"POST /health HTTP/1.1\r\nContent-Length: 99\r\n\r\n1",
])
def test_slow_clients_do_not_hold_others(server: Server, start: bytes) -> None:
    slow = [Wire(server).send(start) for _ in range(100)]
    with Client(server.endpoint) as client:
        for number in range(20):
            client.put(b"quick", b"%d" % number)
    for wire in slow:
        wire.close()


def test_a_reader_that_never_reads(server: Server) -> None:
    """A large answer for a client with a full window: kept within bounds, others are served."""
    with Client(server.endpoint) as client:
        for number in range(64):
            client.put(b"large/%02d" % number, random.Random(number).randbytes(500_000))
        before = memory(server)
        asked = [Wire(server) for _ in range(8)]
        body = message(b"\x0a\x06large/\x12\x06large0")
        for wire in asked:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.send(HELLO + headers() + frame(DATA, END_STREAM, 1, body))
        for number in range(20):
            client.put(b"quick", b"%d" % number)
        for wire in asked:
            wire.close()
        client.delete(b"large/", b"large0")
    assert memory(server) < before + 8 * 32 * 3


def test_many_connections_at_once(server: Server) -> None:
    wires = [Wire(server).send(HELLO) for _ in range(500)]
    for wire in wires:
        wire.until(SETTINGS)
        wire.close()


# -- gRPC that breaks the rules -------------------------------------------------------------------

HAS_CODES = {
    # name: (path, header fields, body, HTTP status, gRPC status, exact text or None)
    "not a gRPC content type": ("", {"content-type": "text/plain"}, RANGE_FOO, 415, 3,
                                'invalid gRPC request content-type "text/plain"'),
    "grpc-web": ("", {"content-type": "application/grpc-web"}, RANGE_FOO, 415, 3,
                 'invalid gRPC request content-type "application/grpc-web"'),
    "unknown method": ("/etcdserverpb.KV/Nope", {}, RANGE_FOO, 200, 12,
                       "unknown method Nope for service etcdserverpb.KV"),
    "unknown service": ("/nobody.Knows/It", {}, RANGE_FOO, 200, 12,
                        "unknown service nobody.Knows"),
    "path without a method": ("/etcdserverpb.KV", {}, RANGE_FOO, 200, 12, None),
    "bytes that are no message": ("", {}, message(b"\xff" * 5), 200, 13, None),
    "a field cut short": ("", {}, message(b"\x0a\x7ffoo"), 200, 13, None),
    "a message cut short": ("", {}, message(b"abc", length=9), 200, None, None),
    "a prefix cut short": ("", {}, b"\0\0", 200, None, None),
    "no message": ("", {}, b"", 200, None, None),
    "a message of 4 GB": ("", {}, message(b"abc", length=0xFFFFFFFF), 200, 8,
                          "grpc: received message larger than max (4294967295 vs. 2097152)"),
    "compressed by nothing": ("", {}, message(b"\x0a\x03foo", compressed=1), 200, 13,
                              "grpc: compressed flag set with identity or empty encoding"),
    "compressed by something unknown":
        ("", {"grpc-encoding": "snappy"}, message(b"x", compressed=1), 200, 12,
         'grpc: Decompressor is not installed for grpc-encoding "snappy"'),
    "a deadline of 5 parsecs": ("", {"grpc-timeout": "5parsecs"}, RANGE_FOO, None, 13, None),
}


@pytest.mark.parametrize("name", HAS_CODES)
def test_broken_grpc_has_its_status(server: Server, name: str) -> None:
    path, fields, body, http, code, text = HAS_CODES[name]
    status, answer = exchange(server, path or "/etcdserverpb.KV/Range", fields, body)
    assert "grpc-status" in answer, answer
    said = int(answer["grpc-status"])
    assert said != 0 if code is None else said == code, answer
    assert http in (None, status), answer
    assert text in (None, answer.get("grpc-message")), answer


def test_a_get_is_no_grpc_call(server: Server) -> None:
    fields = {":method": "GET"}
    status, answer = exchange(server, "/etcdserverpb.KV/Range", fields, b"")
    assert (status, answer["grpc-status"]) == (405, "13")


def test_an_oversize_message(server: Server) -> None:
    """semantics G12: the gRPC layer's limit and text, then the proposal's."""
    with Client(server.endpoint) as client:
        # 3 bytes of key field and tag, 1 of the value's tag, 4 of its length.
        size = len(b"\x0a\x03big") + 1 + 4 + 3_000_000
        text = f"grpc: received message larger than max ({size} vs. 2097152)"
        with rejected("RESOURCE_EXHAUSTED", text):
            client.put(b"big", b"v" * 3_000_000)
        with rejected("INVALID_ARGUMENT", "etcdserver: request is too large"):
            client.put(b"big", b"v" * 1_572_844)
        client.put(b"big", b"v" * 1_572_834)
        assert len(client.get(b"big").value) == 1_572_834


def test_oversize_on_a_stream_ends_that_stream_only(server: Server) -> None:
    with Client(server.endpoint) as client, client.watch() as good, client.watch() as bad:
        good.create(b"k")
        bad.create(b"k")
        bad.request_create(b"k" * 3_000_000)
        with pytest.raises(grpc.RpcError) as caught:
            bad.receive()
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        client.put(b"k", b"still watched")
        assert good.events(1)[0].kv.value == b"still watched"


@pytest.mark.parametrize("path", ["/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseKeepAlive"])
def test_garbage_on_a_stream(server: Server, path: str) -> None:
    with Wire(server) as wire:
        wire.send(HELLO + headers(1, request_headers(path))
                  + frame(DATA, 0, 1, message(b"\xff" * 9)))
        assert wire.until(HEADERS, 1)[1] & END_STREAM or wire.until(HEADERS, 1)[1] & END_STREAM


def test_h2load(server: Server, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(RANGE_FOO)
    done = subprocess.run(
        ["h2load", "-n", "20000", "-c", "20", "-m", "20", "-H", "content-type: application/grpc",
         "-H", "te: trailers", "-d", f"{tmp_path}/body", f"{server.url}/etcdserverpb.KV/Range"],
        capture_output=True, text=True, timeout=120)
    assert "20000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert "20000 2xx" in done.stdout


def test_a_protocol_error_has_its_code(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(HELLO + frame(DATA, 0, 0, b"x"))
        assert goaway_code(wire.frames()) in (PROTOCOL_ERROR, None)
