"""test_kv_delete.py: DeleteRange on one node, rules D1 to D3 (D4: test_maintenance.py).

Belongs here: what a DeleteRange answers and removes. Each test names its rule.
"""

import pytest

from client import FROM_KEY, NO_KEY, op_delete, prefix_end, rejected


@pytest.fixture
def five(client, p):
    for key in b"abcde":
        client.put(p + bytes([key]), bytes([key]))
    return p


def left(client, prefix):
    return [kv.key[len(prefix):].decode() for kv in client.prefix(prefix).kvs]


def test_D1_one_key(client, five):
    before = client.revision()
    reply = client.delete(five + b"b")
    assert (reply.deleted, reply.header.revision) == (1, before + 1)
    assert left(client, five) == list("acde")


def test_D1_a_range_is_one_revision(client, five):
    before = client.revision()
    reply = client.delete(five + b"b", five + b"e")
    assert (reply.deleted, reply.header.revision) == (3, before + 1)
    assert client.revision() == before + 1
    assert left(client, five) == ["a", "e"]


def test_D1_a_prefix(client, five):
    assert client.delete(five, prefix_end(five)).deleted == 5
    assert left(client, five) == []


def test_D1_from_key_on(empty):
    for key in (b"a", b"b", b"\xff"):
        empty.put(key)
    assert empty.delete(b"b", FROM_KEY).deleted == 2
    assert [kv.key for kv in empty.range(b"\x00", FROM_KEY).kvs] == [b"a"]
    assert empty.delete(b"\x00", FROM_KEY).deleted == 1


@pytest.mark.parametrize("key, end", [(b"nothing", b""), (b"x", b"z"), (b"c", b"c"), (b"d", b"a")])
def test_D1_nothing_to_delete_keeps_the_revision(client, five, key, end):
    before = client.revision()
    reply = client.delete(five + key, end and five + end)
    assert (reply.deleted, reply.header.revision) == (0, before)
    assert client.revision() == before
    assert left(client, five) == list("abcde")


def test_D1_deleting_twice_is_no_error(client, five):
    assert client.delete(five + b"a").deleted == 1
    before = client.revision()
    again = client.delete(five + b"a", prev_kv=True)
    assert (again.deleted, list(again.prev_kvs), again.header.revision) == (0, [], before)


def test_D1_empty_key_is_refused(client):
    with rejected(*NO_KEY):
        client.delete(b"")
    with rejected(*NO_KEY):
        client.delete(b"", b"z")


def test_D2_prev_kv_is_every_removed_kv_in_key_order(client, p):
    for key in b"cab":
        client.put(p + bytes([key]), bytes([key]))
    client.put(p + b"b", b"second")
    expected = list(client.prefix(p).kvs)
    reply = client.delete(p, prefix_end(p), prev_kv=True)
    assert list(reply.prev_kvs) == expected
    assert [kv.version for kv in expected] == [1, 2, 1]


def test_D2_prev_kv_is_only_given_when_asked(client, five):
    assert list(client.delete(five + b"a").prev_kvs) == []


def test_D3_all_keys_of_a_request_have_one_revision_in_key_order(client, five):
    with client.watch() as watch:
        watch.create(five, prefix_end(five))
        revision = client.delete(five + b"a", five + b"d").header.revision
        events = watch.events(3)
    assert [event.kv.key[-1:] for event in events] == [b"a", b"b", b"c"]
    assert {event.kv.mod_revision for event in events} == {revision}
    assert {event.type for event in events} == {1}


def test_G2_a_delete_of_many_keys_raises_the_revision_by_one(client, p):
    for n in range(200):
        client.put(p + b"%03d" % n)
    before = client.revision()
    reply = client.delete(p, prefix_end(p))
    assert (reply.deleted, reply.header.revision, client.revision()) == (
        200, before + 1, before + 1)


def test_D1_delete_detaches_from_the_lease(client, p, grant):
    lease = grant()
    client.put(p + b"a", lease=lease)
    client.put(p + b"b", lease=lease)
    client.delete(p + b"a")
    assert list(client.time_to_live(lease, keys=True).keys) == [p + b"b"]
    client.put(p + b"a", b"free")
    client.revoke(lease)
    assert left(client, p) == ["a"]


def test_D1_D2_inside_a_txn(client, five):
    reply = client.txn(success=[op_delete(five + b"d", five + b"z", prev_kv=True)])
    deletion = reply.responses[0].response_delete_range
    assert deletion.deleted == 2
    assert [kv.value for kv in deletion.prev_kvs] == [b"d", b"e"]
