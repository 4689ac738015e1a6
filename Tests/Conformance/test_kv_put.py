"""test_kv_put.py: Put on one node, rules P1 to P6 and the general rules that a Put shows.

Belongs here: what a Put answers and stores. Never here: leases' own life (test_lease.py), quota
(test_maintenance.py). Each test names its rule.
"""

import pytest

from client import (KEY_NOT_FOUND, LEASE_GIVEN, LEASE_NOT_FOUND, NO_KEY, TOO_LARGE, VALUE_GIVEN,
                    rejected)

UNKNOWN_LEASE = 0x5EED_0000_0000_0001


def test_P1_first_put_creates_version_1(client, p):
    before = client.revision()
    reply = client.put(p + b"k", b"v")
    assert reply.header.revision == before + 1
    assert not reply.HasField("prev_kv")
    kv = client.get(p + b"k")
    assert (kv.key, kv.value, kv.lease) == (p + b"k", b"v", 0)
    assert (kv.create_revision, kv.mod_revision, kv.version) == (before + 1, before + 1, 1)


def test_P1_next_put_raises_version_and_mod_revision(client, p):
    created = client.put(p + b"k", b"1").header.revision
    client.put(p + b"other")
    changed = client.put(p + b"k", b"2").header.revision
    kv = client.get(p + b"k")
    assert (kv.value, kv.create_revision, kv.mod_revision, kv.version) == (
        b"2", created, changed, 2)
    assert changed == created + 2


def test_G3_the_same_value_again_is_a_new_revision(client, p):
    first = client.put(p + b"k", b"same").header.revision
    second = client.put(p + b"k", b"same").header.revision
    assert second == first + 1
    assert client.get(p + b"k").version == 2


def test_P2_prev_kv_is_the_old_kv(client, p, grant):
    lease = grant()
    client.put(p + b"k", b"old", lease=lease)
    old = client.get(p + b"k")
    reply = client.put(p + b"k", b"new", prev_kv=True)
    assert reply.prev_kv == old
    assert (old.lease, client.get(p + b"k").lease) == (lease, 0)


def test_P2_prev_kv_is_absent_for_a_new_or_deleted_key(client, p):
    assert not client.put(p + b"k", prev_kv=True).HasField("prev_kv")
    client.delete(p + b"k")
    assert not client.put(p + b"k", prev_kv=True).HasField("prev_kv")


def test_P2_prev_kv_is_only_given_when_asked(client, p):
    client.put(p + b"k", b"old")
    assert not client.put(p + b"k", b"new").HasField("prev_kv")


def test_P3_unknown_lease_is_refused_and_nothing_is_written(client, p):
    before = client.revision()
    with rejected(*LEASE_NOT_FOUND):
        client.put(p + b"k", lease=UNKNOWN_LEASE)
    assert client.get(p + b"k") is None
    assert client.revision() == before


def test_P3_a_live_lease_is_stored(client, p, grant):
    lease = grant()
    client.put(p + b"k", lease=lease)
    assert client.get(p + b"k").lease == lease
    assert list(client.time_to_live(lease, keys=True).keys) == [p + b"k"]


def test_P3_lease_0_detaches(client, p, grant):
    lease = grant()
    client.put(p + b"k", lease=lease)
    client.put(p + b"k", b"2")
    assert client.get(p + b"k").lease == 0
    assert list(client.time_to_live(lease, keys=True).keys) == []
    client.revoke(lease)
    assert client.get(p + b"k").value == b"2"


def test_P4_ignore_value_keeps_the_value(client, p, grant):
    lease = grant()
    client.put(p + b"k", b"kept", lease=lease)
    client.put(p + b"k", ignore_value=True)
    kv = client.get(p + b"k")
    assert (kv.value, kv.lease, kv.version) == (b"kept", 0, 2)
    client.put(p + b"k", ignore_value=True, lease=lease)
    kv = client.get(p + b"k")
    assert (kv.value, kv.lease, kv.version) == (b"kept", lease, 3)


def test_P4_ignore_lease_keeps_the_lease(client, p, grant):
    lease = grant()
    client.put(p + b"k", b"1", lease=lease)
    client.put(p + b"k", b"2", ignore_lease=True)
    kv = client.get(p + b"k")
    assert (kv.value, kv.lease) == (b"2", lease)
    assert list(client.time_to_live(lease, keys=True).keys) == [p + b"k"]


def test_P4_both_ignore_flags_only_touch_the_revision(client, p, grant):
    lease = grant()
    client.put(p + b"k", b"kept", lease=lease)
    revision = client.put(p + b"k", ignore_value=True, ignore_lease=True).header.revision
    kv = client.get(p + b"k")
    assert (kv.value, kv.lease, kv.version, kv.mod_revision) == (b"kept", lease, 2, revision)


@pytest.mark.parametrize("fields", [{"ignore_value": True}, {"ignore_lease": True},
                                    {"ignore_value": True, "ignore_lease": True}])
def test_P4_ignore_flags_need_the_key(client, p, fields):
    before = client.revision()
    with rejected(*KEY_NOT_FOUND):
        client.put(p + b"k", **fields)
    client.put(p + b"gone")
    client.delete(p + b"gone")
    with rejected(*KEY_NOT_FOUND):
        client.put(p + b"gone", **fields)
    assert client.revision() == before + 2


def test_P4_ignore_flags_need_their_field_unset(client, p, grant):
    lease = grant()
    with rejected(*VALUE_GIVEN):
        client.put(p + b"k", b"v", ignore_value=True)
    with rejected(*LEASE_GIVEN):
        client.put(p + b"k", b"v", lease=lease, ignore_lease=True)
    with rejected(*VALUE_GIVEN):
        client.put(p + b"k", b"v", lease=lease, ignore_value=True, ignore_lease=True)


def test_P4_field_checks_come_before_the_lease_check(client, p):
    with rejected(*LEASE_GIVEN):
        client.put(p + b"k", lease=UNKNOWN_LEASE, ignore_lease=True)
    with rejected(*VALUE_GIVEN):
        client.put(p + b"k", b"v", lease=UNKNOWN_LEASE, ignore_value=True)


def test_P5_an_empty_value_is_stored(client, p):
    client.put(p + b"k", b"")
    reply = client.range(p + b"k")
    assert (reply.count, reply.kvs[0].value) == (1, b"")


def test_P5_key_and_value_are_arbitrary_bytes(client, p):
    every = bytes(range(256))
    client.put(p + every, every)
    kv = client.get(p + every)
    assert (kv.key, kv.value) == (p + every, every)


def test_P5_a_long_key_is_a_key(client, p):
    key = p + bytes(100_000)
    client.put(key, b"v")
    assert client.get(key).value == b"v"
    assert client.get(key + b"\x00") is None


def test_P6_empty_key_is_refused(client):
    with rejected(*NO_KEY):
        client.put(b"", b"v")


def test_P6_empty_key_is_checked_before_the_flags_and_the_size(client):
    with rejected(*NO_KEY):
        client.put(b"", b"v", ignore_value=True)
    with rejected(*NO_KEY):
        client.put(b"", bytes(1_600_000))


def test_P6_flags_are_checked_before_the_size(client, p):
    with rejected(*VALUE_GIVEN):
        client.put(p + b"k", bytes(1_600_000), ignore_value=True)


def test_P6_size_is_checked_before_the_lease(client, p):
    with rejected(*TOO_LARGE):
        client.put(p + b"k", bytes(1_600_000), lease=UNKNOWN_LEASE)


def test_P6_lease_is_checked_before_the_previous_key(client, p):
    with rejected(*LEASE_NOT_FOUND):
        client.put(p + b"k", lease=UNKNOWN_LEASE, ignore_value=True)


def test_G12_the_largest_put_fits(client):
    client.put(b"big", bytes(1_572_834))
    assert len(client.get(b"big").value) == 1_572_834
    client.delete(b"big")


def test_G12_a_larger_put_is_refused(client):
    with rejected(*TOO_LARGE):
        client.put(b"big", bytes(1_572_844))
    assert client.get(b"big") is None


@pytest.mark.parametrize("size", [2_097_152, 3_000_000])
def test_G12_a_message_above_2_MiB_is_refused_by_the_grpc_layer(client, size):
    # key "big" costs 5 bytes, the value's own header 1 + 4.
    with rejected("RESOURCE_EXHAUSTED",
                  f"grpc: received message larger than max ({size + 10} vs. 2097152)"):
        client.put(b"big", bytes(size))
    assert client.get(b"big") is None


def test_G12_a_message_of_2_MiB_still_reaches_the_server(client):
    with rejected(*TOO_LARGE):
        client.put(b"big", bytes(2_097_152 - 10))
