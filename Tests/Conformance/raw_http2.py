"""raw_http2.py: HTTP/2 frames by hand, for what a well-behaved gRPC library cannot be made to send.

Belongs here: frames, one connection, headers by hpack. Source of truth: RFC 9113, gRPC over HTTP2.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
MAX_CONCURRENT_STREAMS = 3


@dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes


class Connection:
    """One connection after the preface; reading acknowledges the peer's settings by itself."""

    def __init__(self, host: str, port: int, seconds: float = 10.0) -> None:
        self.socket = socket.create_connection((host, port), timeout=seconds)
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.settings: dict[int, int] = {}
        self.next_stream = 1
        self.socket.sendall(PREFACE)
        self.send(SETTINGS)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> None:
        header = struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream)
        self.socket.sendall(header + payload)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError("the server closed the connection")
            data += piece
        return data

    def read(self) -> Frame:
        """The next frame of any kind; EOFError when the server has closed."""
        header = self._exactly(9)
        length = int.from_bytes(header[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", header[3:])
        frame = Frame(kind, flags, stream & 0x7FFF_FFFF, self._exactly(length))
        if kind == SETTINGS and not flags & ACK:
            for offset in range(0, length, 6):
                name, value = struct.unpack_from(">HI", frame.payload, offset)
                self.settings[name] = value
            self.send(SETTINGS, ACK)
        return frame

    def read_until(self, kind: int) -> Frame:
        while (frame := self.read()).kind != kind:
            pass
        return frame

    def ping(self, data: bytes) -> None:
        self.send(PING, payload=data)

    def open_stream(self, path: str, headers: list[tuple[str, bytes]] = ()) -> int:
        """Sends a gRPC request's headers and leaves the stream open."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        fields = [(":method", "POST"), (":scheme", "http"), (":path", path),
                  (":authority", "test"), ("content-type", "application/grpc"),
                  ("te", "trailers"), *headers]
        self.send(HEADERS, END_HEADERS, stream, self.encoder.encode(fields))
        return stream

    def call(self, path: str, message: bytes, headers: list[tuple[str, bytes]] = ()) -> dict:
        """One unary gRPC call; the trailers, header names to values."""
        stream = self.open_stream(path, headers)
        self.send(DATA, END_STREAM, stream, struct.pack(">BI", 0, len(message)) + message)
        answer: dict = {}
        while True:
            frame = self.read()
            if frame.kind == HEADERS:
                fields = self.decoder.decode(frame.payload)
                if frame.stream == stream:
                    answer.update(fields)
                    if frame.flags & END_STREAM:
                        return answer
            if frame.kind == RST_STREAM and frame.stream == stream:
                raise ConnectionError(f"stream reset, code {int.from_bytes(frame.payload, 'big')}")
