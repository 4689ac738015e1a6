"""etcd_client_py_guarded.py: PyPI's etcd-client-py with a login and three endpoints (guarded.py).

Its wheel is built without TLS: each endpoint is a plain listener in this process that passes all on
to a member over TLS, with the client certificate, as a sidecar would. Never imported by the tests.
"""

import asyncio
import sys

from etcd_client import (
    Client, Compare, CompareOp, CondVar, ConnectOptions, EtcdLockOption, GRPCStatusError, Txn,
    TxnOp, WatchEventType,
)
from guarded import ENDPOINTS, USER, forwarder, leader_is_killed, until_async


async def client(login=USER):
    """With all three endpoints."""
    ports = [await forwarder(*endpoint) for endpoint in ENDPOINTS]
    options = ConnectOptions().with_timeout(20.0).with_connect_timeout(5.0)
    if login:
        options = options.with_user(*login)
    return Client([f"http://127.0.0.1:{port}" for port in ports], options)


async def refused(call, text):
    try:
        await call
    except GRPCStatusError as error:
        assert text in str(error), error
    else:
        raise AssertionError("it was let in")


async def check_keys_and_transactions():
    async with (await client()).connect() as c:
        await c.put(b"app/r/a", b"1")
        await c.put(b"app/r/b", b"2")
        assert bytes(await c.get(b"app/r/a")) == b"1"
        assert [bytes(value) for _, value in await c.get_prefix(b"app/r/")] == [b"1", b"2"]
        reply = await c.txn(Txn().when([Compare.value(b"app/r/a", CompareOp.EQUAL, b"1")])
                            .and_then([TxnOp.put(b"app/r/a", b"3")]))
        assert reply.succeeded() and bytes(await c.get(b"app/r/a")) == b"3"
        await c.delete_prefix(b"app/r/")
        assert await c.get(b"app/r/a") is None


async def check_watch():
    ready, seen = CondVar(), []
    shared = await client()

    async def follow():
        async with shared.connect() as c:
            async for event in c.watch_prefix(b"app/rw/", ready_event=ready):
                seen.append((bytes(event.key), bytes(event.value)))
                if event.event == WatchEventType.DELETE:
                    return

    async def change():
        await ready.wait()
        async with shared.connect() as c:
            await c.put(b"app/rw/a", b"1")
            await c.delete(b"app/rw/a")

    await asyncio.wait_for(asyncio.gather(follow(), change()), 30)
    assert seen == [(b"app/rw/a", b"1"), (b"app/rw/a", b"")]


async def check_lease_and_lock():
    shared = await client()
    async with shared.connect() as c:
        await c.lease_grant(60)
        await refused(c.lease_revoke(4711), "requested lease not found")
    option = EtcdLockOption(lock_name=b"/locks/rust", timeout=20.0, ttl=30)
    async with shared.with_lock(option) as c:
        await c.put(b"app/rl", b"held")


async def check_denied():
    async with (await client()).connect() as c:
        await refused(c.get(b"secret"), "permission denied")
        await refused(c.put(b"secret", b"v"), "permission denied")
    # Without a login the user is the certificate's common name, and nobody is called so.
    async with (await client(None)).connect() as c:
        await refused(c.get(b"app/x"), "permission denied")

    async def wrong():
        async with (await client(("app", "wrong"))).connect():
            pass

    await refused(wrong(), "authentication failed")


async def check_fail_over():
    """Three endpoints in one client, which goes on with those that are left."""
    async with (await client()).connect() as c:
        await c.put(b"app/rf", b"before")
        await asyncio.get_running_loop().run_in_executor(None, leader_is_killed)
        await until_async(lambda: c.put(b"app/rf", b"after"), "a put after the leader's end")
        found = await until_async(lambda: c.get(b"app/rf"), "a get after the leader's end")
        assert bytes(found) == b"after"


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[2]]())
