"""etcd_client_py_tour.py: the main operations of PyPI's etcd-client-py (asyncio over Rust's tonic).

Run by test_clients.py as `etcd_client_py_tour.py HOST:PORT SCRATCH_DIR check_name`, in an
environment of its own. Never imported by the tests.
"""

import asyncio
import sys

from etcd_client import (
    Client, Compare, CompareOp, CondVar, ConnectOptions, EtcdLockOption, GRPCStatusError, Txn,
    TxnOp, WatchEventType,
)

client = Client(["http://" + sys.argv[1]])


async def check_put_get_and_delete():
    async with client.connect() as c:
        await c.put(b"a", b"1")
        assert bytes(await c.get(b"a")) == b"1"
        assert await c.get(b"absent") is None
        await c.put(b"empty", b"")
        assert bytes(await c.get(b"empty")) == b""
        await c.delete(b"a")
        assert await c.get(b"a") is None


async def check_prefix():
    async with client.connect() as c:
        for number in range(5):
            await c.put(b"p/%d" % number, b"v%d" % number)
        found = [(bytes(k), bytes(v)) for k, v in await c.get_prefix(b"p/")]
        assert found == [(b"p/%d" % n, b"v%d" % n) for n in range(5)]
        assert [bytes(k) for k in await c.keys_prefix(b"p/")] == [k for k, _ in found]
        await c.delete_prefix(b"p/")
        assert await c.get_prefix(b"p/") == []


async def check_txn():
    async with client.connect() as c:
        await c.put(b"t", b"yes")
        right = [Compare.value(b"t", CompareOp.EQUAL, b"yes"),
                 Compare.version(b"t", CompareOp.GREATER, 0),
                 Compare.create_revision(b"absent", CompareOp.EQUAL, 0),
                 Compare.mod_revision(b"t", CompareOp.NOT_EQUAL, 1),
                 Compare.lease(b"t", CompareOp.EQUAL, 0)]
        reply = await c.txn(Txn().when(right).and_then(
            [TxnOp.put(b"t", b"done"), TxnOp.get(b"t"), TxnOp.delete(b"absent")]))
        assert reply.succeeded()
        assert bytes(await c.get(b"t")) == b"done"
        wrong = [Compare.value(b"t", CompareOp.LESS, b"a")]
        nested = Txn().when([]).and_then([TxnOp.put(b"n", b"1")])
        reply = await c.txn(Txn().when(wrong).and_then([]).or_else([TxnOp.txn(nested)]))
        assert not reply.succeeded()
        assert bytes(await c.get(b"n")) == b"1"


async def check_error_has_its_status():
    async with client.connect() as c:
        twice = [TxnOp.put(b"k", b"1"), TxnOp.put(b"k", b"2")]
        try:
            await c.txn(Txn().and_then(twice))
        except GRPCStatusError as error:
            assert "duplicate key given in txn request" in str(error)
        else:
            raise AssertionError("a duplicate key was taken")
        assert await c.get(b"k") is None


async def watched(prefix):
    """Five changes, seen by a watch that says itself when it stands."""
    ready, seen = CondVar(), []

    async def follow():
        async with client.connect() as c:
            watch = c.watch_prefix if prefix else c.watch
            async for event in watch(b"w", ready_event=ready):
                seen.append(event)
                if event.event == WatchEventType.DELETE:
                    return

    async def change():
        await ready.wait()
        async with client.connect() as c:
            for number in range(4):
                await c.put(b"w", b"%d" % number)
            await c.put(b"w/other", b"o")
            await c.delete(b"w")

    await asyncio.wait_for(asyncio.gather(follow(), change()), 30)
    return [(bytes(event.key), bytes(event.value)) for event in seen]


async def check_watch():
    assert await watched(False) == [
        (b"w", b"0"), (b"w", b"1"), (b"w", b"2"), (b"w", b"3"), (b"w", b"")]


async def check_watch_prefix():
    assert await watched(True) == [
        (b"w", b"0"), (b"w", b"1"), (b"w", b"2"), (b"w", b"3"), (b"w/other", b"o"), (b"w", b"")]


async def check_lease():
    async with client.connect() as c:
        await c.lease_grant(60)
        try:
            await c.lease_revoke(4711)
        except GRPCStatusError as error:
            assert "requested lease not found" in str(error)
        else:
            raise AssertionError("a lease that never was got revoked")


async def check_lock():
    """with_lock uses the Lock service, not transactions."""
    order = []

    async def hold(name, entered, leave):
        async with client.with_lock(EtcdLockOption(lock_name=b"name", timeout=20.0, ttl=30)) as c:
            order.append(name)
            entered.set()
            await leave.wait()
            await c.put(b"holder", name)

    first_in, second_in, leave, go = (asyncio.Event() for _ in range(4))
    go.set()
    first = asyncio.ensure_future(hold(b"first", first_in, leave))
    await asyncio.wait_for(first_in.wait(), 20)
    second = asyncio.ensure_future(hold(b"second", second_in, go))
    await asyncio.sleep(0.3)
    assert order == [b"first"], "two hold one lock"
    leave.set()
    await asyncio.wait_for(asyncio.gather(first, second), 30)
    assert order == [b"first", b"second"]


async def check_keep_alive_pings_and_timeout():
    options = ConnectOptions().with_keep_alive(1.0, 5.0).with_timeout(20.0)
    async with client.connect(options) as c:
        for number in range(25):
            await c.put(b"k", b"%d" % number)
            await asyncio.sleep(0.1)
        assert bytes(await c.get(b"k")) == b"24"


async def check_many_calls_at_once():
    async with client.connect() as c:
        await asyncio.gather(*(c.put(b"m/%d" % n, b"v" * 1000) for n in range(200)))
        assert len(await c.get_prefix(b"m/")) == 200


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[3]]())
