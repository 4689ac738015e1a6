"""aetcd_guarded.py: PyPI's aetcd with TLS, a client certificate and a login (guarded.py).

The library opens plain channels only: its channel function is replaced by gRPC's secure one.
Never imported by the tests.
"""

import asyncio
import sys

import aetcd
import aetcd.client
import aetcd.exceptions
import grpc
from aetcd import rpc
from guarded import CA, CERT, ENDPOINTS, KEY, ROOT, USER, leader_is_killed, until_async


def secure_channel(target, options):
    ca, key, cert = (open(path, "rb").read() for path in (CA, KEY, CERT))
    credentials = grpc.ssl_channel_credentials(ca, key, cert)
    return grpc.aio.secure_channel(target, credentials, options=list(options))


aetcd.client.rpc.insecure_channel = secure_channel


def connect(number=0, login=USER):
    host, port = ENDPOINTS[number]
    user, password = login or (None, None)
    return aetcd.Client(host=host, port=int(port), username=user, password=password, timeout=20)


async def refused(call, kind, text):
    try:
        await call
    except aetcd.exceptions.ClientError as error:
        assert type(error) is kind and text in str(error), repr(error)
    else:
        raise AssertionError("it was let in")


async def check_keys_and_transactions():
    async with connect(0) as client, connect(1) as other:
        await client.put(b"app/a/a", b"1")
        await client.put(b"app/a/b", b"2")
        assert (await other.get(b"app/a/a")).value == b"1"
        assert [kv.value for kv in await other.get_prefix(b"app/a/")] == [b"1", b"2"]
        t = client.transactions
        done, answers = await other.transaction(
            compare=[t.value(b"app/a/a") == b"1"],
            success=[t.put(b"app/a/a", b"3"), t.get(b"app/a/a")], failure=[])
        assert done and answers[1][0][0] == b"3"
        assert (await client.delete_prefix(b"app/a/")).deleted == 2


async def check_watch_through_another_member():
    async with connect(0) as client, connect(1) as other:
        watch = await other.watch_prefix(b"app/aw/")
        await client.put(b"app/aw/a", b"1")
        await client.delete(b"app/aw/a")
        seen = []
        async for event in watch:
            seen.append((event.kind, event.kv.key))
            if len(seen) == 2:
                await watch.cancel()
        assert seen == [("PUT", b"app/aw/a"), ("DELETE", b"app/aw/a")]


async def check_lease_and_lock():
    async with connect(1) as client, connect(2) as other:
        lease = await client.lease(100)
        await client.put(b"app/al", b"v", lease=lease)
        assert list(await lease.keys()) == [b"app/al"]
        assert (await lease.refresh()).TTL == 100
        await lease.revoke()
        assert await client.get(b"app/al") is None
        async with client.lock(b"/locks/aetcd", ttl=30) as lock:
            assert await lock.is_acquired()
            assert not await other.lock(b"/locks/aetcd", ttl=30).acquire(timeout=1)


async def check_what_root_may():
    async with connect(0, ROOT) as root:
        members = [member async for member in root.members()]
        assert len(members) == 3
        assert (await root.status()).leader.id in {member.id for member in members}
        put = await root.put(b"app/ac", b"1")
        await root.compact(put.header.revision)
        await root.defragment()
        stub, sent = root.auth_stub, {"metadata": root.metadata, "timeout": 20}
        await stub.UserAdd(rpc.AuthUserAddRequest(name="ua", password="p"), **sent)
        await stub.UserGrantRole(rpc.AuthUserGrantRoleRequest(user="ua", role="app"), **sent)
        async with connect(2, ("ua", "p")) as user:
            await user.put(b"app/au", b"v")
        await stub.UserDelete(rpc.AuthUserDeleteRequest(name="ua"), **sent)


async def check_denied():
    any_error, argument = aetcd.exceptions.ClientError, aetcd.exceptions.InvalidArgumentError
    async with connect() as client:
        await refused(client.get(b"secret"), any_error, "etcdserver: permission denied")
        await refused(client.put(b"secret", b"v"), any_error, "etcdserver: permission denied")
    # Without a login the user is the certificate's common name, and nobody is called so.
    async with connect(0, None) as nobody:
        await refused(nobody.get(b"app/x"), any_error, "etcdserver: permission denied")
    await refused(connect(0, ("app", "wrong")).connect(), argument, "authentication failed")


async def check_fail_over():
    """One endpoint a client: the one of the dead member fails, the others go on."""
    async with connect(0) as first, connect(1) as second, connect(2) as third:
        await first.put(b"app/af", b"before")
        leader_is_killed()
        try:
            await first.put(b"app/af", b"lost")
        except aetcd.exceptions.ConnectionFailedError:
            pass
        else:
            raise AssertionError("a dead member answered")
        await until_async(lambda: second.put(b"app/af", b"after"), "a put after the leader's end")
        assert (await third.get(b"app/af")).value == b"after"


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[2]]())
