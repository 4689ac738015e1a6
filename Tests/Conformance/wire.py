"""wire.py: HTTP/2 frames byte by byte, for requests that no client library would send.

Belongs here: framing that may break any rule, and a socket that survives what comes of it.
Never here: what the server should do. raw_http2.py is for talking HTTP/2 by the rules.
Source of truth: RFC 9113 sections 4 and 6; gRPC over HTTP/2.
"""

from __future__ import annotations

import socket
import struct
import time

import hpack

from server import Server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
PROTOCOL_ERROR, ENHANCE_YOUR_CALM = 1, 11


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame, its length as it should be."""
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
            + struct.pack(">I", stream) + payload)


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in pairs))


HELLO = PREFACE + settings()


def request_headers(path: str = "/etcdserverpb.KV/Range", **more: str) -> list[tuple[str, str]]:
    """What gRPC sends; `more` adds or replaces, with _ for -; an empty value leaves it out."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost",
              "content-type": "application/grpc", "te": "trailers"}
    fields.update({name.replace("_", "-"): value for name, value in more.items()})
    return [(name, value) for name, value in fields.items() if value]


def headers(stream: int = 1, fields: list[tuple[str, str]] | None = None,
            flags: int = END_HEADERS) -> bytes:
    """A HEADERS frame that leaves the compression state alone, so it can be sent twice."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    block = encoder.encode(fields or request_headers(), huffman=False)
    return frame(HEADERS, flags, stream, block)


def message(body: bytes, compressed: int = 0, length: int | None = None) -> bytes:
    """gRPC's prefix and the body; `length` lies about it."""
    size = len(body) if length is None else length
    return struct.pack(">BI", compressed, size) + body


RANGE_FOO = message(b"\x0a\x03foo")


class Wire:
    """A TCP connection that sends bytes and reads frames."""

    def __init__(self, server: Server, seconds: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.cut = False

    def send(self, data: bytes) -> Wire:
        """Sends as much as the server takes; it may have closed already, which is its right."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.cut = True
        return self

    def half_close(self) -> Wire:
        """Says that nothing more will come; the server may have closed first."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.cut = True
        return self

    def read_all(self) -> bytes:
        """Whatever comes until the server closes; TimeoutError if it does not."""
        while self._more():
            pass
        return self.buffer

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def frames(self, seconds: float = 10.0) -> list[tuple[int, int, int, bytes]]:
        """All frames until the server closes the connection; fails if it does not."""
        found = []
        self.socket.settimeout(seconds)
        deadline = time.monotonic() + seconds
        while True:
            while (one := self.next_frame()) is not None:
                found.append(one)
            assert time.monotonic() < deadline, f"not closed after {seconds:g} s: {found[-3:]}"
            try:
                if not self._more():
                    return found
            except TimeoutError:
                raise AssertionError(f"not closed after {seconds:g} s: {found[-3:]}") from None

    def next_frame(self) -> tuple[int, int, int, bytes] | None:
        """The next frame (kind, flags, stream, payload) that is already here, if any."""
        if len(self.buffer) < 9:
            return None
        length = int.from_bytes(self.buffer[:3], "big")
        if len(self.buffer) < 9 + length:
            return None
        kind, flags = self.buffer[3], self.buffer[4]
        stream = int.from_bytes(self.buffer[5:9], "big")
        payload, self.buffer = self.buffer[9:9 + length], self.buffer[9 + length:]
        return kind, flags, stream, payload

    def until(self, kind: int, stream: int | None = None) -> tuple[int, int, int, bytes]:
        """The next frame of that kind (and stream); others are skipped."""
        while True:
            while (one := self.next_frame()) is not None:
                if one[0] == kind and stream in (None, one[2]):
                    return one
            assert self._more(), "the server closed the connection"

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def exchange(server: Server, path: str, fields: dict[str, str],
             body: bytes) -> tuple[int, dict[str, str]]:
    """One gRPC request as given; the HTTP status and all header and trailer fields of its answer."""
    decoder = hpack.Decoder()
    answer: dict[str, str] = {}
    names = {name.replace("-", "_"): value for name, value in fields.items()}
    with Wire(server) as wire:
        wire.send(HELLO + headers(1, request_headers(path, **names))
                  + frame(DATA, END_STREAM, 1, body))
        while True:
            _, flags, _, block = wire.until(HEADERS, 1)
            answer.update(decoder.decode(block))
            if flags & END_STREAM:
                return int(answer[":status"]), answer


def goaway_code(frames: list[tuple[int, int, int, bytes]]) -> int | None:
    """The error code of the last GOAWAY, None if there was none."""
    codes = [int.from_bytes(payload[4:8], "big") for kind, _, _, payload in frames
             if kind == GOAWAY]
    return codes[-1] if codes else None
