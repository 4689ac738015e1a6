"""test_overload.py: a server under a storm: what is kept alive, what is refused, what it costs.

Belongs here: floods of writes and of big reads by many connections, with bounds on memory.
Never here: malformed traffic (test_badinput.py), speed (Benchmarks).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from client import CHANNEL_OPTIONS, Client, prefix_end
from cluster import Cluster, wait_until
from schema import pb
from server import Server

pytestmark = pytest.mark.martlet

TOO_MANY = "etcdserver: too many requests"


def resident(server: Server) -> int:
    """Bytes of memory that the process holds now."""
    with open(f"/proc/{server.pid}/status") as status:
        [line] = [each for each in status if each.startswith("VmRSS:")]
    return int(line.split()[1]) << 10


class Storm:
    """Puts in flight on many connections, with no regard for answers."""

    def __init__(self, endpoint: str, connections: int, in_flight: int, value: bytes) -> None:
        self.outcomes: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.peak = 0
        self.channels = [
            grpc.insecure_channel(endpoint, [*CHANNEL_OPTIONS, ("storm", n)])
            for n in range(connections)]
        self.request = pb.PutRequest(key=b"storm", value=value).SerializeToString()
        self.threads = [threading.Thread(target=self._run, args=(channel, in_flight))
                        for channel in self.channels]
        for thread in self.threads:
            thread.start()

    def _run(self, channel: grpc.Channel, in_flight: int) -> None:
        put = channel.unary_unary("/etcdserverpb.KV/Put")
        room = threading.Semaphore(in_flight)

        def done(call: grpc.Future) -> None:
            error = call.exception()
            with self.lock:
                self.outcomes["ok" if error is None else error.details()] += 1
            room.release()

        while not self.stopping.is_set():
            room.acquire()
            put.future(self.request, timeout=60).add_done_callback(done)
        for _ in range(in_flight):
            room.acquire(timeout=60)

    def __enter__(self) -> Storm:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        for channel in self.channels:
            channel.close()


def test_a_lease_is_kept_alive_through_a_storm_of_writes():
    with Server() as server, Client(server.endpoint) as client:
        lease = client.grant(5).ID
        client.put(b"mine", lease=lease)
        with client.keepalive() as stream, Storm(server.endpoint, 4, 2000, b"v" * 100) as storm:
            slowest = 0.0
            for _ in range(12):
                began = time.monotonic()
                assert stream.ping(lease).TTL == 5
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.5)
            print(f"slowest keepalive {slowest * 1000:.0f} ms; {dict(storm.outcomes)}")
        assert client.get(b"mine").lease == lease
        assert storm.outcomes["ok"] > 1000
        assert set(storm.outcomes) <= {"ok", TOO_MANY}
        server.check_alive()


def test_G14_memory_is_bounded_under_a_storm_of_large_writes():
    with Server() as server, Client(server.endpoint, seconds=60) as client:
        client.put(b"k", b"v")
        # 2.4 GB of requests would be in flight if all were taken.
        with Storm(server.endpoint, 8, 300, b"v" * (1 << 20)) as storm:
            peak = 0
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                peak = max(peak, resident(server))
                time.sleep(0.05)
            client.put(b"after", b"v")
        print(f"peak {peak >> 20} MiB; {dict(storm.outcomes)}")
        assert peak < 1300 << 20
        assert storm.outcomes["ok"] > 10
        assert client.get(b"after").value == b"v"
        server.check_alive()


def test_memory_is_bounded_when_many_list_everything_and_do_not_read():
    with Server() as server, Client(server.endpoint, seconds=60) as client:
        value = b"v" * (500 << 10)
        for number in range(100):  # 50 MB
            client.put(b"list/%03d" % number, value)
        request = pb.RangeRequest(
            key=b"list/", range_end=prefix_end(b"list/")).SerializeToString()
        before = resident(server)
        channels = [grpc.insecure_channel(server.endpoint, [*CHANNEL_OPTIONS, ("reader", n)])
                    for n in range(40)]
        # 2 GB of answers. Python's client takes them in as fast as they come, so that what the
        # server holds at any time is what counts.
        calls = [channel.unary_unary("/etcdserverpb.KV/Range").future(request, timeout=60)
                 for channel in channels]
        peak = 0
        while not all(call.done() for call in calls[:8]):
            peak = max(peak, resident(server))
            time.sleep(0.02)
        for call in calls:
            call.cancel()
        print(f"before {before >> 20} MiB, peak {peak >> 20} MiB")
        assert peak - before < 300 << 20
        assert client.get(b"list/000").value == value
        for channel in channels:
            channel.close()


@pytest.mark.cluster
def test_L9_a_lease_is_kept_alive_through_a_follower_under_a_storm():
    with Cluster(3) as cluster:
        follower = cluster.members[cluster.follower()]
        client = cluster.client(follower)
        lease = client.grant(5).ID
        client.put(b"mine", lease=lease)
        with client.keepalive() as stream, Storm(follower.endpoint, 4, 2500, b"v" * 100) as storm:
            for _ in range(10):
                assert stream.ping(lease).TTL == 5
                time.sleep(0.5)
        assert client.get(b"mine").lease == lease
        assert storm.outcomes["ok"] > 500
        cluster.wait_agreed()
        cluster.check_same()
