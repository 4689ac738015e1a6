"""client.py: a thin gRPC client of etcd's v3 API, with every request field in the test's hand.

Belongs here: calls, streams, builders of requests, one way to expect an error.
Never here: retries, caching, or anything else that could hide what the server did.
Source of truth for the messages: schema.py.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from schema import health, pb

CALL_SECONDS = 20.0
STREAM_SECONDS = 10.0
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]
FROM_KEY = b"\x00"  # as range_end: every key from the given one on
ALARMS = {"NO_ALARM": 0, "NOSPACE": 1, "CORRUPT": 2}

_SERVICES = {
    "Range": "KV", "Put": "KV", "DeleteRange": "KV", "Txn": "KV", "RangeStream": "KV",
    "Compact": "KV", "LeaseGrant": "Lease", "LeaseRevoke": "Lease", "LeaseTimeToLive": "Lease",
    "LeaseLeases": "Lease", "Status": "Maintenance", "Hash": "Maintenance",
    "HashKV": "Maintenance", "Defragment": "Maintenance", "Alarm": "Maintenance",
    "Snapshot": "Maintenance", "MoveLeader": "Maintenance", "MemberList": "Cluster",
    "MemberAdd": "Cluster", "MemberRemove": "Cluster", "MemberUpdate": "Cluster",
    "MemberPromote": "Cluster",
}


def prefix_end(prefix: bytes) -> bytes:
    """The range_end that makes `prefix` a prefix range (R1)."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else FROM_KEY


# -- operations and compares of a Txn ---------------------------------------------------------

def op_range(key: bytes, range_end: bytes = b"", **fields: object) -> pb.RequestOp:
    return pb.RequestOp(request_range=pb.RangeRequest(key=key, range_end=range_end, **fields))


def op_put(key: bytes, value: bytes = b"", **fields: object) -> pb.RequestOp:
    return pb.RequestOp(request_put=pb.PutRequest(key=key, value=value, **fields))


def op_delete(key: bytes, range_end: bytes = b"", **fields: object) -> pb.RequestOp:
    return pb.RequestOp(
        request_delete_range=pb.DeleteRangeRequest(key=key, range_end=range_end, **fields))


def op_txn(compare: list = (), success: list = (), failure: list = ()) -> pb.RequestOp:
    return pb.RequestOp(
        request_txn=pb.TxnRequest(compare=compare, success=success, failure=failure))


RESULTS = {"=": 0, ">": 1, "<": 2, "!=": 3}
TARGETS = {"version": 0, "create_revision": 1, "mod_revision": 2, "value": 3, "lease": 4}


def compare(key: bytes, target: str, result: str, given: int | bytes,
            range_end: bytes = b"") -> pb.Compare:
    """Reads as: the stored TARGET of `key` is RESULT `given`."""
    return pb.Compare(key=key, range_end=range_end, result=RESULTS[result],
                      target=TARGETS[target], **{target: given})


# -- errors -----------------------------------------------------------------------------------

@contextmanager
def rejected(code: str, text: str) -> Iterator[None]:
    """The block must end with exactly this gRPC status, as rejected("OUT_OF_RANGE", "etc...")."""
    try:
        yield
    except grpc.RpcError as error:
        assert (error.code().name, error.details()) == (code, text)
        return
    raise AssertionError(f"no error, expected {code} {text!r}")


COMPACTED = ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted")
FUTURE = ("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision")
NO_KEY = ("INVALID_ARGUMENT", "etcdserver: key is not provided")
KEY_NOT_FOUND = ("INVALID_ARGUMENT", "etcdserver: key not found")
VALUE_GIVEN = ("INVALID_ARGUMENT", "etcdserver: value is provided")
LEASE_GIVEN = ("INVALID_ARGUMENT", "etcdserver: lease is provided")
DUPLICATE_KEY = ("INVALID_ARGUMENT", "etcdserver: duplicate key given in txn request")
TOO_MANY_OPS = ("INVALID_ARGUMENT", "etcdserver: too many operations in txn request")
TOO_LARGE = ("INVALID_ARGUMENT", "etcdserver: request is too large")
LEASE_NOT_FOUND = ("NOT_FOUND", "etcdserver: requested lease not found")
LEASE_EXISTS = ("FAILED_PRECONDITION", "etcdserver: lease already exists")
LEASE_TOO_LONG = ("OUT_OF_RANGE", "etcdserver: too large lease TTL")
NO_SPACE = ("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded")
CORRUPT = ("DATA_LOSS", "etcdserver: corrupt cluster")


# -- streams ----------------------------------------------------------------------------------

class Stream:
    """A bidirectional stream: send when you like, receive with a deadline.

    Nothing is read from the stream before the first `receive`, so a test can be a slow reader.
    """

    def __init__(self, method: grpc.StreamStreamMultiCallable, metadata: list | None) -> None:
        self._outgoing: queue.SimpleQueue = queue.SimpleQueue()
        self._incoming: queue.SimpleQueue = queue.SimpleQueue()
        self._reader: threading.Thread | None = None
        self.call = method(iter(self._outgoing.get, None), metadata=metadata)

    def send(self, request: object) -> None:
        self._outgoing.put(request)

    def half_close(self) -> None:
        """Ends the request side; the server may go on answering."""
        self._outgoing.put(None)

    def _read(self) -> None:
        try:
            for message in self.call:
                self._incoming.put(message)
            self._incoming.put(EOFError("the server ended the stream"))
        except grpc.RpcError as error:
            self._incoming.put(error)

    def receive(self, seconds: float = STREAM_SECONDS) -> object:
        """The next message; raises the stream's RpcError, EOFError, or TimeoutError."""
        if self._reader is None:
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        try:
            message = self._incoming.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"nothing received within {seconds:g} s") from None
        if isinstance(message, Exception):
            raise message
        return message

    def close(self) -> None:
        self.call.cancel()
        self._outgoing.put(None)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WatchStream(Stream):
    """One Watch stream with any number of watches."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self._early: list = []

    def request_create(self, key: bytes, range_end: bytes = b"", **fields: object) -> None:
        self.send(pb.WatchRequest(create_request=pb.WatchCreateRequest(
            key=key, range_end=range_end, **fields)))

    def create(self, key: bytes, range_end: bytes = b"", **fields: object) -> pb.WatchResponse:
        """Asks for a watch; its created reply must come next, but for events of other watches."""
        self.request_create(key, range_end, **fields)
        early = []
        while (reply := super().receive()).events:
            early.append(reply)
        self._early += early
        assert reply.created and not reply.canceled, reply
        return reply

    def receive(self, seconds: float = STREAM_SECONDS) -> object:
        """The next message, beginning with those that `create` passed over."""
        return self._early.pop(0) if self._early else super().receive(seconds)

    def cancel_watch(self, watch_id: int) -> None:
        self.send(pb.WatchRequest(cancel_request=pb.WatchCancelRequest(watch_id=watch_id)))

    def request_progress(self) -> None:
        self.send(pb.WatchRequest(progress_request=pb.WatchProgressRequest()))

    def responses_with(self, count: int, seconds: float = STREAM_SECONDS) -> list:
        """The next responses, all of them with events, until `count` events have come."""
        responses: list = []
        missing = count
        while missing > 0:
            response = self.receive(seconds)
            assert response.events and not (response.created or response.canceled), response
            responses.append(response)
            missing -= len(response.events)
        assert missing == 0, f"{-missing} events more than expected: {responses[-1]}"
        return responses

    def events(self, count: int, seconds: float = STREAM_SECONDS) -> list:
        """Exactly the next `count` events."""
        return [event for response in self.responses_with(count, seconds)
                for event in response.events]


class KeepAliveStream(Stream):
    """One LeaseKeepAlive stream."""

    def ping(self, lease: int) -> pb.LeaseKeepAliveResponse:
        self.send(pb.LeaseKeepAliveRequest(ID=lease))
        return self.receive()


# -- calls ------------------------------------------------------------------------------------

class Client:
    """Calls on one channel; every reply is the message as it came."""

    def __init__(self, endpoint: str, *, credentials: grpc.ChannelCredentials | None = None,
                 metadata: list | None = None, seconds: float = CALL_SECONDS,
                 options: list[tuple[str, object]] = CHANNEL_OPTIONS) -> None:
        self.metadata = metadata
        self.seconds = seconds
        self.channel = (
            grpc.secure_channel(endpoint, credentials, options) if credentials
            else grpc.insecure_channel(endpoint, options))

    def close(self) -> None:
        self.channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_ready(self, seconds: float = CALL_SECONDS) -> Client:
        grpc.channel_ready_future(self.channel).result(seconds)
        return self

    def unary(self, path: str, request: object, reply: type, seconds: float = CALL_SECONDS):
        """Any unary method by its full path."""
        method = self.channel.unary_unary(
            path, request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString)
        return method(request, timeout=seconds, metadata=self.metadata)

    def call(self, rpc: str, request: object, reply: type):
        return self.unary(f"/etcdserverpb.{_SERVICES[rpc]}/{rpc}", request, reply, self.seconds)

    def server_stream(self, path: str, request: object, reply: type,
                      seconds: float = CALL_SECONDS):
        method = self.channel.unary_stream(
            path, request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString)
        return method(request, timeout=seconds, metadata=self.metadata)

    # KV

    def range(self, key: bytes, range_end: bytes = b"", **fields: object) -> pb.RangeResponse:
        request = pb.RangeRequest(key=key, range_end=range_end, **fields)
        return self.call("Range", request, pb.RangeResponse)

    def prefix(self, prefix: bytes, **fields: object) -> pb.RangeResponse:
        return self.range(prefix, prefix_end(prefix), **fields)

    def get(self, key: bytes, **fields: object):
        """The key's KeyValue, or None."""
        kvs = self.range(key, **fields).kvs
        return kvs[0] if kvs else None

    def put(self, key: bytes, value: bytes = b"", **fields: object) -> pb.PutResponse:
        return self.call("Put", pb.PutRequest(key=key, value=value, **fields), pb.PutResponse)

    def delete(self, key: bytes, range_end: bytes = b"",
               **fields: object) -> pb.DeleteRangeResponse:
        request = pb.DeleteRangeRequest(key=key, range_end=range_end, **fields)
        return self.call("DeleteRange", request, pb.DeleteRangeResponse)

    def txn(self, compare: list = (), success: list = (), failure: list = ()) -> pb.TxnResponse:
        request = pb.TxnRequest(compare=compare, success=success, failure=failure)
        return self.call("Txn", request, pb.TxnResponse)

    def compact(self, revision: int, physical: bool = False) -> pb.CompactionResponse:
        request = pb.CompactionRequest(revision=revision, physical=physical)
        return self.call("Compact", request, pb.CompactionResponse)

    def revision(self) -> int:
        """The store's current revision."""
        return self.range(b"\x00", count_only=True).header.revision

    # Lease

    def grant(self, ttl: int, lease: int = 0) -> pb.LeaseGrantResponse:
        request = pb.LeaseGrantRequest(TTL=ttl, ID=lease)
        return self.call("LeaseGrant", request, pb.LeaseGrantResponse)

    def revoke(self, lease: int) -> pb.LeaseRevokeResponse:
        return self.call("LeaseRevoke", pb.LeaseRevokeRequest(ID=lease), pb.LeaseRevokeResponse)

    def time_to_live(self, lease: int, keys: bool = False) -> pb.LeaseTimeToLiveResponse:
        request = pb.LeaseTimeToLiveRequest(ID=lease, keys=keys)
        return self.call("LeaseTimeToLive", request, pb.LeaseTimeToLiveResponse)

    def leases(self) -> pb.LeaseLeasesResponse:
        return self.call("LeaseLeases", pb.LeaseLeasesRequest(), pb.LeaseLeasesResponse)

    def keepalive(self) -> KeepAliveStream:
        method = self.channel.stream_stream(
            "/etcdserverpb.Lease/LeaseKeepAlive",
            request_serializer=pb.LeaseKeepAliveRequest.SerializeToString,
            response_deserializer=pb.LeaseKeepAliveResponse.FromString)
        return KeepAliveStream(method, self.metadata)

    # Watch

    def watch(self) -> WatchStream:
        method = self.channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.WatchResponse.FromString)
        return WatchStream(method, self.metadata)

    # Maintenance, Cluster, health

    def status(self) -> pb.StatusResponse:
        return self.call("Status", pb.StatusRequest(), pb.StatusResponse)

    def hash(self) -> pb.HashResponse:
        return self.call("Hash", pb.HashRequest(), pb.HashResponse)

    def hash_kv(self, revision: int = 0) -> pb.HashKVResponse:
        return self.call("HashKV", pb.HashKVRequest(revision=revision), pb.HashKVResponse)

    def defragment(self) -> pb.DefragmentResponse:
        return self.call("Defragment", pb.DefragmentRequest(), pb.DefragmentResponse)

    def alarm(self, action: str, member: int = 0, kind: str = "NO_ALARM") -> pb.AlarmResponse:
        request = pb.AlarmRequest(
            action=pb.AlarmRequest.AlarmAction.Value(action), memberID=member,
            alarm=ALARMS[kind])
        return self.call("Alarm", request, pb.AlarmResponse)

    def snapshot(self) -> Iterator:
        return self.server_stream(
            "/etcdserverpb.Maintenance/Snapshot", pb.SnapshotRequest(), pb.SnapshotResponse)

    def members(self, linearizable: bool = True) -> pb.MemberListResponse:
        request = pb.MemberListRequest(linearizable=linearizable)
        return self.call("MemberList", request, pb.MemberListResponse)

    def member_add(self, *peer_urls: str, learner: bool = False) -> pb.MemberAddResponse:
        request = pb.MemberAddRequest(peerURLs=peer_urls, isLearner=learner)
        return self.call("MemberAdd", request, pb.MemberAddResponse)

    def member_remove(self, member: int) -> pb.MemberRemoveResponse:
        request = pb.MemberRemoveRequest(ID=member)
        return self.call("MemberRemove", request, pb.MemberRemoveResponse)

    def member_update(self, member: int, *peer_urls: str) -> pb.MemberUpdateResponse:
        request = pb.MemberUpdateRequest(ID=member, peerURLs=peer_urls)
        return self.call("MemberUpdate", request, pb.MemberUpdateResponse)

    def member_promote(self, member: int) -> pb.MemberPromoteResponse:
        request = pb.MemberPromoteRequest(ID=member)
        return self.call("MemberPromote", request, pb.MemberPromoteResponse)

    def move_leader(self, target: int) -> pb.MoveLeaderResponse:
        request = pb.MoveLeaderRequest(targetID=target)
        return self.call("MoveLeader", request, pb.MoveLeaderResponse)

    def health(self, service: str = "") -> int:
        return self.unary("/grpc.health.v1.Health/Check",
                          health.HealthCheckRequest(service=service),
                          health.HealthCheckResponse).status
