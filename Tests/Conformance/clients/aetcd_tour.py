"""aetcd_tour.py: the main operations of PyPI's aetcd (asyncio over grpc.aio).

Run by test_clients.py as `aetcd_tour.py HOST:PORT SCRATCH_DIR check_name`, in an environment of
its own. Never imported by the tests.
"""

import asyncio
import io
import sys

import aetcd
import aetcd.exceptions
import aetcd.rtypes

HOST, PORT = sys.argv[1].split(":")


async def check_put_get_and_delete(client):
    await client.put(b"a", b"1")
    found = await client.get(b"a")
    assert (found.value, found.version) == (b"1", 1)
    assert found.header.revision == found.mod_revision == found.create_revision
    assert await client.get(b"absent") is None
    assert (await client.put(b"a", b"2", prev_kv=True)).prev_kv.value == b"1"
    assert (await client.delete(b"a", prev_kv=True)).prev_kv.value == b"2"
    assert await client.delete(b"a") is None
    assert await client.replace(b"a", b"wrong", b"x") is False


async def check_prefix_range_and_all(client):
    for number in range(5):
        await client.put(b"p/%d" % number, b"v%d" % number)
    await client.put(b"q", b"other")
    found = await client.get_prefix(b"p/")
    assert found.count == 5 and not found.more
    assert [kv.value for kv in found] == [b"v0", b"v1", b"v2", b"v3", b"v4"]
    assert len(await client.get_range(b"p/1", b"p/3")) == 2
    assert len(await client.get_all(sort_order="descend", sort_target="mod")) == 6
    assert (await client.delete_prefix(b"p/")).deleted == 5
    assert len(await client.get_all()) == 1


async def check_transaction(client):
    t = client.transactions
    await client.put(b"t", b"yes")
    done, responses = await client.transaction(
        compare=[t.value(b"t") == b"yes", t.version(b"t") > 0],
        success=[t.put(b"t", b"done"), t.get(b"t")], failure=[])
    assert done and responses[1][0][0] == b"done"
    done, _ = await client.transaction(
        compare=[t.mod(b"t") < 1], success=[t.put(b"t", b"never")], failure=[t.delete(b"t")])
    assert not done and await client.get(b"t") is None


async def check_watch(client):
    watch = await client.watch_prefix(b"w/")
    await client.put(b"w/1", b"1")
    await client.put(b"w/2", b"2")
    await client.delete(b"w/1")
    seen = []
    async for event in watch:
        seen.append((event.kind, event.kv.key, event.kv.value))
        if len(seen) == 3:
            await watch.cancel()
    assert seen == [("PUT", b"w/1", b"1"), ("PUT", b"w/2", b"2"), ("DELETE", b"w/1", b"")]


async def check_watch_from_a_revision_with_a_filter(client):
    put = await client.put(b"h", b"1")
    await client.delete(b"h")
    await client.put(b"h", b"2")
    only = aetcd.rtypes.EventKind.DELETE
    event = await client.watch_once(b"h", timeout=20, start_revision=put.header.revision, kind=only)
    assert event.kind == "DELETE" and event.kv.mod_revision == put.header.revision + 1


async def check_watch_of_a_compacted_revision(client):
    for number in range(5):
        put = await client.put(b"x", b"%d" % number)
    await client.compact(put.header.revision)
    watch = await client.watch(b"x", start_revision=1)
    try:
        async for _ in watch:
            raise AssertionError("an event of a compacted revision")
    except aetcd.exceptions.RevisionCompactedError as error:
        assert error.compacted_revision == put.header.revision


async def check_lease(client):
    lease = await client.lease(100)
    assert lease.ttl == 100 and await lease.granted_ttl() == 100
    assert 98 <= await lease.remaining_ttl() <= 100
    await client.put(b"l", b"v", lease=lease)
    assert list(await lease.keys()) == [b"l"]
    assert (await lease.refresh()).TTL == 100
    await lease.revoke()
    assert await client.get(b"l") is None


async def check_lock(client):
    async with client.lock(b"name", ttl=30) as lock:
        assert await lock.is_acquired()
        assert not await client.lock(b"name", ttl=30).acquire(timeout=1)
    assert await client.lock(b"name", ttl=30).acquire(timeout=5)


async def check_status_and_members(client):
    members = [member async for member in client.members()]
    assert [member.name for member in members] == ["default"]
    status = await client.status()
    assert status.leader.id == members[0].id and status.db_size > 0 and status.raft_term > 0


async def check_maintenance(client):
    await client.put(b"k", b"1")
    put = await client.put(b"k", b"2")
    await client.compact(put.header.revision, physical=True)
    await client.defragment()
    assert isinstance(await client.hash(), int)
    assert [alarm async for alarm in client.list_alarms()] == []
    target = io.BytesIO()
    await client.snapshot(target)
    assert len(target.getvalue()) % 512 == 32


async def main():
    async with aetcd.Client(host=HOST, port=int(PORT), timeout=20) as client:
        await globals()[sys.argv[3]](client)


if __name__ == "__main__":
    asyncio.run(main())
