#!/usr/bin/env python3
"""failover.py: how long three nodes take no writes when their leader goes; etcd and Martlet in turn.

    failover.py --server etcd=BIN --server martlet=BIN [--signals KILL,STOP,TERM] [--runs 5]
                [--writers 6] [--pace-ms 10] [--deadline 10] [--plain] [--folder DIR] [--out FILE]

Each server runs as three nodes with TLS for clients and peers (cluster.sh), a fresh cluster for
each signal. Each writer issues one put every pace-ms, to the endpoints in turn, open loop: a put
that hangs does not hold back the next. Every put has a key of its own. After 1.5 s the leader gets
the signal; STOP pauses it for 5 s. Then it comes back and all nodes must agree.

gap: ms, the longest time without any acknowledged write that ends after the signal.
survivor: the same on the worst endpoint that was not signalled.
failed: puts that ended in an error or at the deadline; "there": those not sent to the leader.
lost: acknowledged puts that a linearizable read, or a node's own data, does not have afterwards.
diverged: nodes whose keys differ at the end. One JSON line a run in --out, then one table.
Exit status 1 when anything was lost or diverged. Needs grpcio (setup.sh: venv).
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import grpc
from grpc import aio

import rpc
from bench import weigh

HERE = Path(__file__).resolve().parent
PAD = b"x" * 230
WARM_SECONDS = 1.5
STEADY_SECONDS = 1.5  # of writes as before, after which the outage is over
WATCH_SECONDS = 25.0
PAUSE_SECONDS = 5.0
SETTLE_SECONDS = 60.0


def channel(cluster, node):
    credentials = cluster.creds(grpc)
    if credentials:
        return aio.secure_channel(cluster.target(node), credentials, options=rpc.MAXMSG)
    return aio.insecure_channel(cluster.target(node), options=rpc.MAXMSG)


async def call(cluster, node, method, request, seconds):
    """One unary call on a connection of its own."""
    async with channel(cluster, node) as link:
        return await link.unary_unary(method)(request, timeout=seconds)


async def status(cluster, node):
    try:
        return rpc.status(await call(cluster, node, rpc.STATUS, b"", 2))
    except grpc.RpcError:
        return None


async def settle(cluster):
    """Waits until every node answers, names one leader and has applied the same; the leader."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        told = [await status(cluster, node) for node in range(len(cluster.urls))]
        if all(told) and told[0]["leader"] and (
                len({(one["leader"], one["applied"]) for one in told}) == 1):
            return [one["member"] for one in told].index(told[0]["leader"])
        await asyncio.sleep(0.2)
    raise SystemExit("failover: the nodes did not agree in %g s: %s" % (SETTLE_SECONDS, told))


class Load:
    """The writers, and what became of each of their puts."""

    def __init__(self, cluster, options, prefix):
        self.options, self.prefix = options, prefix
        self.channels = [channel(cluster, node) for node in range(len(cluster.urls))]
        self.puts = [link.unary_unary(rpc.PUT) for link in self.channels]
        self.acknowledged = []  # (time, node, key, value)
        self.failed = []        # (time, node, code)
        self.running, self.stopped = set(), asyncio.Event()

    async def start(self):
        for put in self.puts:
            await put(rpc.put_request(self.prefix + b"warm", b"x"), timeout=5, wait_for_ready=True)
        self.writers = [asyncio.ensure_future(self.write(number))
                        for number in range(self.options.writers)]

    async def put(self, number, count, node):
        key = self.prefix + b"%d/%d" % (number, count)
        value = key + b"=" + PAD
        try:
            await self.puts[node](rpc.put_request(key, value), timeout=self.options.deadline)
            self.acknowledged.append((time.monotonic(), node, key, value))
        except grpc.RpcError as error:
            self.failed.append((time.monotonic(), node, error.code().name))

    async def write(self, number):
        pace = self.options.pace_ms / 1000
        begin, count = time.monotonic() + number * pace / self.options.writers, 0
        while not self.stopped.is_set():
            await asyncio.sleep(max(0.0, begin + count * pace - time.monotonic()))
            task = asyncio.ensure_future(self.put(number, count, (number + count) % len(self.puts)))
            self.running.add(task)
            task.add_done_callback(self.running.discard)
            count += 1

    async def until_steady(self, since):
        """Goes on until the surviving nodes took writes at their pace for a while."""
        rate = self.options.writers * 1000 / self.options.pace_ms
        wanted = 0.5 * STEADY_SECONDS * rate * (len(self.puts) - 1) / len(self.puts)
        while (now := time.monotonic()) - since < WATCH_SECONDS:
            await asyncio.sleep(0.1)
            recent = sum(1 for ack in self.acknowledged if ack[0] > now - STEADY_SECONDS)
            if now - since > 2 * STEADY_SECONDS and recent > wanted:
                return

    async def end(self):
        self.stopped.set()
        await asyncio.gather(*self.writers)
        if self.running:
            await asyncio.wait(set(self.running), timeout=self.options.deadline + 2)
        for link in self.channels:
            await link.close()

    def gap_ms(self, since, node=None):
        """The longest time without an acknowledgement (of that node) that ended after `since`."""
        times = sorted(ack[0] for ack in self.acknowledged if node in (None, ack[1]))
        return max(((b - a) * 1000 for a, b in zip(times, times[1:]) if b > since), default=0.0)


async def keys_of(cluster, node, prefix, serializable):
    request = rpc.range_request(prefix, rpc.prefix_end(prefix), serializable=serializable)
    return rpc.range_kvs(await call(cluster, node, rpc.RANGE, request, 20))[0]


async def gone(pid):
    """The process must be dead before it comes back: until then it holds its ports."""
    for _ in range(400):
        if rpc.gone(pid):
            return
        await asyncio.sleep(0.05)
    raise SystemExit("failover: process %d still runs 20 s after its signal" % pid)


async def one_run(cluster, options, name, number):
    """One signal to the leader under load; what it cost."""
    leader = await settle(cluster)
    prefix = b"failover/%s/%d/" % (name.encode(), number)
    load = Load(cluster, options, prefix)
    await load.start()
    await asyncio.sleep(WARM_SECONDS)
    pid, since = cluster.pids[leader], time.monotonic()
    os.kill(pid, signal.Signals["SIG" + name])
    await load.until_steady(since)
    if name == "STOP":
        await asyncio.sleep(max(0.0, since + PAUSE_SECONDS - time.monotonic()))
        os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(1)
    await load.end()
    other = (leader + 1) % len(cluster.urls)
    if name != "STOP":
        await gone(pid)
    views = [await keys_of(cluster, other, prefix, serializable=False)]
    if name != "STOP":
        cluster.up(leader)
    await settle(cluster)
    views += [await keys_of(cluster, node, prefix, serializable=True)
              for node in range(len(cluster.urls))]
    survivors = [node for node in range(len(cluster.urls)) if node != leader]
    return {
        "signal": name, "run": number, "gap_ms": round(load.gap_ms(since), 1),
        "survivor_ms": round(max(load.gap_ms(since, node) for node in survivors), 1),
        "acknowledged": len(load.acknowledged), "failed": len(load.failed),
        "failed_there": sum(1 for fail in load.failed if fail[1] != leader),
        "codes": {code: sum(1 for fail in load.failed if fail[2] == code)
                  for code in sorted({fail[2] for fail in load.failed})},
        "lost": len({ack[2] for ack in load.acknowledged for view in views
                     if view.get(ack[2]) != ack[3]}),
        "diverged": sum(1 for view in views[2:] if view != views[1]),
    }


def script(folder, *arguments, binary=None):
    """Runs cluster.sh; its own words are shown when it fails."""
    environment = dict(os.environ, PEER_DIR=str(folder))
    if binary:
        environment["PEER_BIN"] = binary
    done = subprocess.run([str(HERE / "cluster.sh"), *arguments], env=environment,
                          capture_output=True, text=True)
    if done.returncode:
        raise SystemExit("failover: cluster.sh %s: %s" % (arguments[0], done.stderr.strip()))


async def measure(options, label, binary, name, say):
    """All runs of one server with one signal, on a fresh cluster."""
    folder = Path(options.folder) / ("failover-" + label)
    script(folder, "wipe")
    # Split: HTTP on a port of its own is etcd's best TLS mode, so that is what is compared with.
    tls = [] if options.plain else ["-t", "-s"]
    script(folder, "start", "-n", "3", *tls, binary=binary)
    try:
        cluster = rpc.Cluster("%s -d %s" % (HERE / "cluster.sh", folder))
        for number in range(1, options.runs + 1):
            say({"label": label, **await one_run(cluster, options, name, number)})
    finally:
        script(folder, "wipe")


def table(records):
    """One line a server and signal: median, least and greatest gap, and the sums."""
    print("\n%-10s %-6s %4s | %26s | %26s | %8s %13s %5s %8s" % (
        "server", "signal", "runs", "gap ms: median (min..max)", "survivor ms", "acked",
        "failed(there)", "lost", "diverged"))
    groups = {}
    for record in records:
        groups.setdefault((record["signal"], record["label"]), []).append(record)

    def spread(rows, key):
        values = [row[key] for row in rows]
        return "%.0f (%.0f..%.0f)" % (statistics.median(values), min(values), max(values))

    def total(rows, key):
        return sum(row[key] for row in rows)
    for (name, label), rows in groups.items():
        print("%-10s %-6s %4d | %26s | %26s | %8d %7d(%4d) %5d %8d" % (
            label, name, len(rows), spread(rows, "gap_ms"), spread(rows, "survivor_ms"),
            total(rows, "acknowledged"), total(rows, "failed"), total(rows, "failed_there"),
            total(rows, "lost"), total(rows, "diverged")))


async def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", action="append", required=True, help="NAME=BINARY")
    parser.add_argument("--signals", default="KILL,STOP,TERM")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--writers", type=int, default=6)
    parser.add_argument("--pace-ms", type=float, default=10)
    parser.add_argument("--deadline", type=float, default=10)
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--folder", default=".")
    parser.add_argument("--out")
    options = parser.parse_args()
    if os.environ.get("PEER_NICE") and os.getpid() != os.getsid(0):
        weigh()
    records = []

    def say(record):
        records.append(record)
        line = json.dumps(record)
        print(line, flush=True)
        if options.out:
            with open(options.out, "a") as out:
                out.write(line + "\n")
    for name in options.signals.split(","):
        for server in options.server:
            label, binary = server.split("=", 1)
            await measure(options, label, binary, name, say)
    table(records)
    sys.exit(1 if any(record["lost"] or record["diverged"] for record in records) else 0)


if __name__ == "__main__":
    asyncio.run(main())
