"""guarded.py: what the *_guarded.py tours share: the cluster they are pointed at, and failing over.

Run as `LIBRARY_guarded.py SETTING.json check_name`; the setting is test_clients_cluster.py's.
Belongs here: the setting, the talk with the test. Never here: calls of a library.
Standard library only: each tour runs in an environment of its own.
"""

import asyncio
import json
import ssl
import sys
import time

with open(sys.argv[1]) as file:
    SETTING = json.load(file)
ENDPOINTS = [tuple(endpoint.split(":")) for endpoint in SETTING["endpoints"]]
CA, CERT, KEY = SETTING["ca"], SETTING["cert"], SETTING["key"]
ROOT = ("root", SETTING["root_password"])
USER = ("app", SETTING["password"])  # reads and writes app/ and /locks/
SECONDS = 30


def leader_is_killed():
    """Asks the test to kill -9 the first endpoint, which leads; returns when it is done."""
    print("kill", flush=True)
    assert sys.stdin.readline() == "killed\n"


def until(attempt, what):
    """The first answer of `attempt` that does not raise."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return attempt()
        except Exception as error:
            assert time.monotonic() < deadline, f"{what}: {error!r}"
            time.sleep(0.1)


async def until_async(attempt, what):
    """The same for coroutines."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return await attempt()
        except Exception as error:
            assert time.monotonic() < deadline, f"{what}: {error!r}"
            await asyncio.sleep(0.1)


async def forwarder(host, port):
    """The port of a plain loopback listener that passes all on to a member over TLS."""
    context = ssl.create_default_context(cafile=CA)
    context.load_cert_chain(CERT, KEY)
    context.set_alpn_protocols(["h2"])

    async def pump(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader, writer):
        try:
            inner = await asyncio.open_connection(host, int(port), ssl=context)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, inner[1]), pump(inner[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server.sockets[0].getsockname()[1]
