"""test_auth_access.py: what a caller may do, through every RPC (rules A5-A8, T12, W20, W22).

Belongs here: permissions and their limits. Never here: the Auth service itself (test_auth.py).
Where 3.5.16 leaves a call open, the newest releases are followed: marked newer("3.7").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest

from auth import BAD_TOKEN, DENIED, READ, READWRITE, USER_EMPTY, WRITE, Guarded, guarded
from client import (FROM_KEY, LEASE_NOT_FOUND, Client, compare, op_delete, op_put, op_range,
                    op_txn, rejected)
from schema import pb


@pytest.fixture(scope="module")
def guard() -> Iterator[Guarded]:
    """A server with auth on. Its user may read and write b"rw/", read b"r/", write b"w/"."""
    with guarded() as (guard, _):
        for key in [b"rw/1", b"r/1", b"w/1", b"no/1"]:
            guard.root.put(key, b"secret")
        yield guard


@pytest.fixture(scope="module")
def user(guard: Guarded) -> Client:
    return guard.make("user", (READWRITE, b"rw/", b"rw0"), (READ, b"r/", b"r0"),
                      (WRITE, b"w/", b"w0"))


@pytest.fixture(scope="module")
def others_lease(guard: Guarded) -> int:
    """A lease with a key that the user may not touch."""
    lease = guard.root.grant(3600).ID
    guard.root.put(b"no/leased", b"", lease=lease)
    return lease


# -- keys and ranges --------------------------------------------------------------------------

def test_a7_reading(user: Client) -> None:
    assert user.get(b"rw/1").value == user.get(b"r/1").value == b"secret"
    assert user.range(b"r/", b"r0").count == 1
    for key, range_end in [(b"no/1", b""), (b"w/1", b""), (b"r/", b"r1"), (b"r", b"r0"),
                           (b"r/", FROM_KEY), (FROM_KEY, FROM_KEY), (b"r0", b"")]:
        for fields in [{}, {"serializable": True}, {"count_only": True}, {"revision": 2},
                       {"keys_only": True, "limit": 1}]:
            with rejected(*DENIED):
                user.range(key, range_end, **fields)


def test_a7_writing(user: Client) -> None:
    user.put(b"rw/2")
    user.put(b"w/2")
    user.delete(b"w/", b"w0")
    for key in [b"no/1", b"r/1", b"w0", b"w"]:
        with rejected(*DENIED):
            user.put(key)
        with rejected(*DENIED):
            user.delete(key)
    for key, range_end in [(b"w/", b"w1"), (b"w/", FROM_KEY), (b"a", b"z")]:
        with rejected(*DENIED):
            user.delete(key, range_end)


def test_a7_a_range_that_holds_no_key(user: Client) -> None:
    """Its first key is asked for; 3.5.16 answers the same."""
    assert user.range(b"r/5", b"r/1").count == 0
    assert user.range(b"r/5", b"r/5").count == 0
    with rejected(*DENIED):
        user.range(b"z", b"r/1")


def test_a7_adjacent_ranges_count_as_one(guard: Guarded) -> None:
    joined = guard.make("joined", (READ, b"a", b"c"), (READ, b"c"), (READ, b"c\0", b"f"),
                        (WRITE, b"f", b"g"), (READ, b"x", FROM_KEY))
    joined.range(b"a", b"f")
    joined.range(b"b", b"e")
    joined.range(b"y", FROM_KEY)
    joined.range(b"x", b"xyz")
    for key, range_end in [(b"a", b"g"), (b"f", b""), (b"a", FROM_KEY), (b"w", FROM_KEY),
                           (b"a", b"f\0")]:
        with rejected(*DENIED):
            joined.range(key, range_end)


def test_a7_permissions_of_all_roles_add_up(guard: Guarded) -> None:
    guard.auth.make("half", "p", (READ, b"h/", b"h/5"))
    guard.auth.add_role("other-half")
    guard.auth.grant("other-half", READ, b"h/5", b"h0")
    half = guard.user("half", "p")
    with rejected(*DENIED):
        half.range(b"h/", b"h0")
    guard.auth.grant_role("half", "other-half")
    half.range(b"h/", b"h0")
    guard.auth.revoke("half", b"h/", b"h/5")
    with rejected(*DENIED):
        half.range(b"h/", b"h0")
    half.range(b"h/5", b"h0")
    guard.auth.delete_role("other-half")
    with rejected(*DENIED):
        half.range(b"h/5")


def test_a_user_without_roles_may_do_nothing(guard: Guarded) -> None:
    guard.auth.add_user("poor", "p")
    poor = guard.user("poor", "p")
    for call in [lambda: poor.range(b"a"), lambda: poor.put(b"a"), lambda: poor.delete(b"a"),
                 lambda: poor.txn(success=[op_put(b"a")])]:
        with rejected(*DENIED):
            call()


def test_a8_former_values_need_read(user: Client) -> None:
    user.put(b"w/1", b"new")
    with rejected(*DENIED):
        user.put(b"w/1", b"", prev_kv=True)
    with rejected(*DENIED):
        user.delete(b"w/1", prev_kv=True)
    assert user.put(b"rw/1", b"secret", prev_kv=True).prev_kv.value == b"secret"


# -- transactions -----------------------------------------------------------------------------

HIDDEN = [op_range(b"no/1"), op_put(b"no/1"), op_delete(b"no/1"), op_put(b"r/1"),
          op_range(b"w/1"), op_range(b"r/", FROM_KEY), op_delete(b"rw/", FROM_KEY),
          op_delete(b"w/1", prev_kv=True)]


NEVER = [compare(b"r/1", "version", "=", 99)]
FINE = op_range(b"r/1")


@pytest.mark.parametrize("operation", HIDDEN, ids=range(len(HIDDEN)))
def test_t12_both_lists_are_checked(
        user: Client, guard: Guarded, operation: pb.RequestOp) -> None:
    revision = guard.root.revision()
    for arguments in [
            {"success": [operation]}, {"failure": [operation]}, {"success": [FINE, operation]},
            {"compare": NEVER, "success": [operation], "failure": [FINE]},
            {"compare": NEVER, "success": [FINE], "failure": [operation]}]:
        with rejected(*DENIED):
            user.txn(**arguments)
    assert guard.root.revision() == revision


@pytest.mark.newer("3.7")
@pytest.mark.parametrize("operation", HIDDEN, ids=range(len(HIDDEN)))
def test_t12_everything_nested_is_checked(
        user: Client, guard: Guarded, operation: pb.RequestOp) -> None:
    """CVE-2026-33343: 3.5.16 forgets to look."""
    revision = guard.root.revision()
    for arguments in [
            {"success": [op_txn(success=[operation])]},
            {"failure": [op_txn(failure=[operation])]},
            {"compare": NEVER, "success": [op_txn(NEVER, [op_txn(success=[operation])])]},
            {"success": [op_put(b"rw/3"), op_txn(NEVER, [operation], [FINE])]}]:
        with rejected(*DENIED):
            user.txn(**arguments)
    with rejected(*DENIED):
        user.txn(success=[op_txn([compare(b"no/1", "version", "=", 1)])])
    assert guard.root.revision() == revision


def test_t12_compares_need_read(user: Client) -> None:
    hidden = [compare(b"no/1", "value", "=", b"secret"), compare(b"w/1", "version", ">", 0),
              compare(b"r/", "version", ">", 0, FROM_KEY)]
    for condition in hidden:
        for arguments in [{"compare": [condition]},
                          {"compare": [condition], "success": [op_put(b"rw/4")]},
                          {"compare": [condition], "success": [op_range(b"r/1")]}]:
            with rejected(*DENIED):
                user.txn(**arguments)


@pytest.mark.newer("3.7")
def test_t12_former_values_of_puts_inside(user: Client) -> None:
    """3.5.16 forgets to look."""
    with rejected(*DENIED):
        user.txn(success=[op_put(b"w/1", prev_kv=True)])


def test_t12_what_is_allowed_runs(user: Client) -> None:
    reply = user.txn([compare(b"r/1", "value", "=", b"secret")],
                     [op_put(b"w/9"), op_txn(success=[op_range(b"rw/1"), op_delete(b"w/8")])],
                     [op_delete(b"rw/9")])
    assert reply.succeeded and len(reply.responses) == 2
    assert user.txn(success=[op_range(b"r/", b"r0", serializable=True)]).succeeded


# -- watches ----------------------------------------------------------------------------------

def _refusal(client: Client, key: bytes, range_end: bytes = b"", **fields: object) -> str:
    with client.watch() as stream:
        stream.request_create(key, range_end, **fields)
        reply = stream.receive()
        assert (reply.created, reply.canceled, reply.watch_id) == (True, True, -1), reply
        return reply.cancel_reason


def test_w20_a_watch_needs_read(user: Client, guard: Guarded) -> None:
    denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
    for key, range_end in [(b"no/1", b""), (b"w/1", b""), (b"r/", b"r1"), (b"a", b"z")]:
        assert _refusal(user, key, range_end, start_revision=1) == denied
    assert _refusal(guard.nobody, b"r/1") == \
        "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"
    assert _refusal(guard.client("wrong"), b"r/1") == \
        "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"


@pytest.mark.newer("3.7")
def test_w22_one_key_does_not_open_all_that_follow(user: Client, guard: Guarded) -> None:
    denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
    single = guard.make("single", (READ, b"r/1"))
    for client, key in [(user, b"r/1"), (single, b"r/1"), (user, b"")]:
        assert _refusal(client, key, FROM_KEY) == denied


def test_w20_a_refused_watch_leaves_the_stream(user: Client) -> None:
    with user.watch() as stream:
        stream.request_create(b"no/1")
        assert stream.receive().canceled
        created = stream.create(b"rw/", b"rw0", prev_kv=True)
        user.put(b"rw/1", b"secret")
        assert stream.events(1)[0].kv.key == b"rw/1" and created.watch_id == 0


# -- leases -----------------------------------------------------------------------------------

def test_a8_a_lease_is_its_keys(user: Client, guard: Guarded, others_lease: int) -> None:
    with rejected(*DENIED):
        user.put(b"rw/5", lease=others_lease)
    with rejected(*DENIED):
        user.revoke(others_lease)
    with rejected(*DENIED):
        user.time_to_live(others_lease, keys=True)
    assert user.time_to_live(others_lease).TTL > 0
    own = user.grant(600).ID
    user.put(b"rw/leased", lease=own)
    assert list(user.time_to_live(own, keys=True).keys) == [b"rw/leased"]
    user.revoke(own)
    assert user.get(b"rw/leased") is None


@pytest.mark.newer("3.7")
def test_a8_the_same_inside_a_transaction(user: Client, others_lease: int) -> None:
    for arguments in [{"success": [op_put(b"rw/5", lease=others_lease)]},
                      {"failure": [op_txn(success=[op_put(b"rw/5", lease=others_lease)])]}]:
        with rejected(*DENIED):
            user.txn(**arguments)


@pytest.mark.newer("3.7")
def test_a8_listing_leases_needs_read_of_all_their_keys(
        user: Client, guard: Guarded, others_lease: int) -> None:
    with rejected(*DENIED):
        user.leases()
    assert others_lease in [lease.ID for lease in guard.root.leases().leases]


@pytest.mark.newer("3.7")
def test_a8_keeping_alive_needs_write(user: Client, others_lease: int) -> None:
    with user.keepalive() as stream, rejected(*DENIED):
        stream.ping(others_lease)
    own = user.grant(600).ID
    user.put(b"rw/kept", lease=own)
    with user.keepalive() as stream:
        assert [stream.ping(own).TTL for _ in range(3)] == [600] * 3
    user.revoke(own)


def test_a8_unknown_leases(user: Client) -> None:
    with rejected(*LEASE_NOT_FOUND):
        user.revoke(4711)
    assert user.time_to_live(4711).TTL == -1
    with user.keepalive() as stream:
        assert stream.ping(4711).TTL == 0


# -- every RPC, by what it needs --------------------------------------------------------------

def _stream_reply(stream: object, request: object) -> object:
    with stream:
        stream.send(request)
        return stream.receive()


ANY_USER: dict[str, Callable[[Client], object]] = {
    "Status": lambda client: client.status(),
    "MemberList": lambda client: client.members(),
    "MemberList of this member": lambda client: client.members(linearizable=False),
    "Alarm, to list": lambda client: client.alarm("GET"),
    "LeaseGrant": lambda client: client.grant(60),
    "LeaseTimeToLive": lambda client: client.time_to_live(4711),
    "LeaseKeepAlive": lambda client: _stream_reply(
        client.keepalive(), pb.LeaseKeepAliveRequest(ID=4711)),
}
ROOT: dict[str, Callable[[Client], object]] = {
    "Compact": lambda client: client.compact(1),
    "Alarm, to raise": lambda client: client.alarm("ACTIVATE", kind="NOSPACE"),
    "Alarm, to clear": lambda client: client.alarm("DEACTIVATE", kind="CORRUPT"),
    "Alarm of an unknown action": lambda client: client.unary(
        "/etcdserverpb.Maintenance/Alarm", pb.AlarmRequest(action=9), pb.AlarmResponse),
    "Defragment": lambda client: client.defragment(),
    "Hash": lambda client: client.hash(),
    "HashKV": lambda client: client.hash_kv(),
    "Snapshot": lambda client: next(client.snapshot()),
    "MoveLeader": lambda client: client.move_leader(1),
    "MemberAdd": lambda client: client.member_add("http://127.0.0.1:1"),
    "MemberRemove": lambda client: client.member_remove(1),
    "MemberUpdate": lambda client: client.member_update(1, "http://127.0.0.1:1"),
    "MemberPromote": lambda client: client.member_promote(1),
}


@pytest.mark.newer("3.7")
@pytest.mark.parametrize("call", ANY_USER.values(), ids=ANY_USER.keys())
def test_a6_calls_that_any_user_may_make(
        guard: Guarded, user: Client, call: Callable[[Client], object]) -> None:
    with rejected(*USER_EMPTY):
        call(guard.nobody)
    with rejected(*BAD_TOKEN):
        call(guard.client("wrong"))
    call(user)


@pytest.mark.newer("3.7")
@pytest.mark.parametrize("call", ROOT.values(), ids=ROOT.keys())
def test_a6_calls_that_need_root(
        guard: Guarded, user: Client, call: Callable[[Client], object]) -> None:
    with rejected(*USER_EMPTY):
        call(guard.nobody)
    with rejected(*BAD_TOKEN):
        call(guard.client("wrong"))
    with rejected(*DENIED):
        call(user)


@pytest.mark.newer("3.7")
def test_a6_root_may_make_them(guard: Guarded) -> None:
    for name in ["Alarm, to clear", "Defragment", "Hash", "HashKV", "Snapshot"]:
        ROOT[name](guard.root)
    with rejected("NOT_FOUND", "etcdserver: member not found"):
        guard.root.member_remove(1)


def test_a5_without_a_token(guard: Guarded) -> None:
    for call in [lambda: guard.nobody.range(b"r/1"), lambda: guard.nobody.put(b"rw/1"),
                 lambda: guard.nobody.delete(b"rw/1"),
                 lambda: guard.nobody.range(b"r/1", serializable=True),
                 lambda: guard.nobody.txn(success=[op_put(b"rw/1")]),
                 lambda: guard.nobody.txn(success=[op_range(b"r/1")]),
                 lambda: guard.nobody.member_add("http://127.0.0.1:1")]:
        with rejected(*USER_EMPTY):
            call()


def test_health_needs_no_token(guard: Guarded) -> None:
    assert guard.nobody.health() == 1


@pytest.mark.martlet
def test_who_may_not_write_raises_no_alarm(guard: Guarded, user: Client) -> None:
    """Not even by asking for more than the quota."""
    with guarded("--quota-backend-bytes=3000000") as (small, _):
        limited = small.make("limited", (READ, b"a"))
        for _ in range(4):
            with rejected(*DENIED):
                limited.put(b"b", b"x" * 1_400_000)
            with rejected(*USER_EMPTY):
                small.nobody.put(b"b", b"x" * 1_400_000)
        assert not small.root.alarm("GET").alarms


def test_permissions_change_at_once(guard: Guarded) -> None:
    changing = guard.make("changing", (READ, b"c/1"))
    for _ in range(20):
        assert changing.range(b"c/1").count == 0
        guard.auth.revoke("changing", b"c/1")
        for fields in [{}, {"serializable": True}]:
            with rejected(*DENIED):
                changing.range(b"c/1", **fields)
        guard.auth.grant("changing", READ, b"c/1")


def test_errors_of_the_request_come_first(user: Client) -> None:
    with rejected("INVALID_ARGUMENT", "etcdserver: key is not provided"):
        user.range(b"")
    with pytest.raises(grpc.RpcError) as raised:
        user.txn(success=[op_put(b"no/1"), op_put(b"no/1")])
    assert raised.value.details() == "etcdserver: duplicate key given in txn request"
