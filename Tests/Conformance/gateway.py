"""gateway.py: etcd's JSON gateway as a program without a gRPC library uses it.

Belongs here: requests, streams of lines, WebSockets, base64. Never here: what is expected.
Source of truth: the head of services.tsv. Standard library and requests only.

    gateway = Gateway(server)
    reply = gateway.call("kv/put", {"key": b64(b"k"), "value": b64(b"v")})   # the JSON, or fails
    with gateway.stream("watch", {"create_request": {"key": b64(b"k")}}) as lines:
        first = lines.next()                                                 # a decoded line
"""

from __future__ import annotations

import base64
import json
import os
import queue
import socket
import struct
import threading

import requests

from server import HOST, Server

SECONDS = 20.0


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def unb64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def encoded(body: object) -> bytes:
    """A body as it is sent: text and bytes as they are, everything else as JSON."""
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


class Lines:
    """A streaming answer, line by line, with a deadline for each."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        self._lines: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self.response.iter_lines(chunk_size=None):
                self._lines.put(json.loads(line))
            self._lines.put(EOFError("the stream ended"))
        except Exception as error:  # whatever ends the reading ends the test that waits for a line
            self._lines.put(error)

    def next(self, seconds: float = SECONDS) -> dict:
        line = self._lines.get(timeout=seconds)
        if isinstance(line, Exception):
            raise line
        return line

    def result(self, seconds: float = SECONDS) -> dict:
        line = self.next(seconds)
        assert list(line) == ["result"], line
        return line["result"]

    def rest(self) -> list[dict]:
        """The lines up to the end of the stream."""
        lines = []
        while True:
            try:
                lines.append(self.next())
            except EOFError:
                return lines

    def close(self) -> None:
        # Closing the socket wakes the reader; closing the response would wait for it.
        try:
            self.response.raw._connection.sock.shutdown(socket.SHUT_RDWR)
        except (AttributeError, OSError):
            pass

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Gateway:
    """The gateway of one server."""

    def __init__(self, server: Server, **options: object) -> None:
        self.url, self.port, self.options = server.url, server.port, options

    def post(self, path: str, body: object = b"", *, prefix: str = "/v3/", method: str = "POST",
             **options: object) -> requests.Response:
        return requests.request(method, self.url + prefix + path, data=encoded(body),
                                timeout=SECONDS, **{**self.options, **options})

    def call(self, path: str, body: object = b"", **options: object) -> dict:
        reply = self.post(path, body, **options)
        assert reply.status_code == 200, (path, reply.status_code, reply.text)
        assert reply.headers["Content-Type"] == "application/json"
        assert reply.headers["Grpc-Metadata-Content-Type"] == "application/grpc"
        return reply.json()

    def refusal(self, path: str, body: object = b"", **options: object) -> tuple[int, int, str]:
        """(HTTP status, gRPC code, text) of a call that must fail."""
        reply = self.post(path, body, **options)
        assert reply.status_code >= 400, (path, reply.text)
        answer = reply.json()
        return reply.status_code, answer["code"], answer["message"]

    def stream(self, path: str, body: object = b"", **options: object) -> Lines:
        return Lines(self.post(path, body, stream=True, **options))

    def websocket(self, path: str, headers: str = "") -> WebSocket:
        return WebSocket(self.port, "/v3/" + path, headers)


TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    """A WebSocket client that can break every rule."""

    def __init__(self, port: int, path: str, headers: str = "") -> None:
        self.socket = socket.create_connection((HOST, port), timeout=SECONDS)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((
            f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"{headers}\r\n").encode())
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])

    def _fill(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server closed the connection")
        self._buffer += data

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._fill()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def send(self, payload: object, opcode: int = TEXT, *, final: bool = True,
             masked: bool = True) -> None:
        data = encoded(payload)
        head = bytes([(0x80 if final else 0) | opcode])
        flag = 0x80 if masked else 0
        if len(data) < 126:
            head += bytes([flag | len(data)])
        elif len(data) < 65536:
            head += bytes([flag | 126]) + struct.pack(">H", len(data))
        else:
            head += bytes([flag | 127]) + struct.pack(">Q", len(data))
        if not masked:
            self.socket.sendall(head + data)
            return
        mask = os.urandom(4)
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def frame(self) -> tuple[int, bytes]:
        """The next frame: its opcode and payload."""
        first, second = self._take(2)
        count = second & 0x7F
        if count == 126:
            count = struct.unpack(">H", self._take(2))[0]
        elif count == 127:
            count = struct.unpack(">Q", self._take(8))[0]
        assert not second & 0x80, "a server must not mask"
        return first & 0x0F, self._take(count)

    def receive(self) -> dict:
        """The next message, which must be text."""
        opcode, payload = self.frame()
        assert opcode == TEXT, (opcode, payload)
        return json.loads(payload)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
