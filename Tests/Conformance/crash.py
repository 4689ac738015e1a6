#!/usr/bin/env python3
"""crash.py: kills a server under load, again and again, and checks that nothing acknowledged is lost.

    crash.py [--rounds 200] [--writers 10] [--seed N] [--plant value|revision|rollback]

Each round: writers put, delete, run transactions, take and revoke leases, each on keys of its own
with one call in flight; at a random moment SIGKILL (seldom SIGTERM); start again (sometimes
killed while it starts); then the checks of `Verifier`. Every few rounds the server is also stopped cleanly:
HashKV must stay, and `PRAGMA integrity_check` of Martlet's database must say ok.
--plant spoils the last round and must make the run fail: `value` and `revision` alter one
acknowledged write in this program's memory, `rollback` really puts old files back.
The seed decides what is written and when to kill; threads still interleave as they like.

Belongs here: the load, the model of what must be there, the checks. Never here: pytest.
Which server: server.py. Exit status 1 and the kept data directory's path when something is lost.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from client import Client, WatchStream, compare, op_delete, op_put
from server import Server, is_etcd

KEYS_PER_WRITER = 30
TTL = 100_000
SIZES = (0, 1, 10, 100, 256, 256, 256, 1000, 1000, 4096, 40_000, 200_000)  # of values
ROUND_SECONDS = (0.02, 0.7)
TERM_SHARE = 0.15  # of the rounds end by SIGTERM, still under load
CLEAN_STOP_EVERY = 5
PREFIX = b"crash/"
HISTORY = (PREFIX, b"crash0")


class Lost(AssertionError):
    """Something acknowledged is gone or altered, or something half done is there."""


def demand(condition: bool, *what: object) -> None:
    if not condition:
        raise Lost(" ".join(str(part) for part in what))


def digest(value: bytes) -> bytes:
    return hashlib.sha1(value).digest()


# -- what must be there -------------------------------------------------------------------------


@dataclass
class Operation:
    """One request that changes keys: all of `changes` at one revision, or nothing."""

    kind: str
    changes: dict[bytes, bytes | None]  # None: deleted
    lease: int = 0
    revision: int | None = None  # None: not acknowledged

    def __str__(self) -> str:
        keys = b" ".join(self.changes).decode()
        return f"{self.kind} of {keys}, revision {self.revision}, lease {self.lease}"


@dataclass
class Stored:
    value: bytes
    create: int
    mod: int
    version: int
    lease: int


@dataclass
class Model:
    """The store as the acknowledgements describe it."""

    revision: int = 1
    compacted: int = 0
    keys: dict[bytes, Stored] = field(default_factory=dict)
    leases: set[int] = field(default_factory=set)
    # Every put that may still be read at its revision: (revision, key, digest of the value).
    written: list[tuple[int, bytes, bytes]] = field(default_factory=list)

    def apply(self, operation: Operation, revision: int) -> None:
        for key, value in operation.changes.items():
            if value is None:
                self.keys.pop(key, None)
                continue
            old = self.keys.get(key)
            self.keys[key] = Stored(value, old.create if old else revision, revision,
                                    old.version + 1 if old else 1, operation.lease)
            self.written.append((revision, key, digest(value)))
        if operation.kind == "revoke":
            self.leases.discard(operation.lease)
        self.revision = revision


# -- load -----------------------------------------------------------------------------------------


class FailFast(Client):
    """A call to a dead server fails at once and is never sent twice."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, options=[
            ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", -1)])


class Writer(threading.Thread):
    """Owns its keys, so it knows what each of its requests must do; one call at a time."""

    def __init__(self, number: int, endpoint: str, model: Model, seed: str) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self.random = random.Random(f"{seed}/writer {number}")
        self.keys = [b"%s%02d/%03d" % (PREFIX, number, i) for i in range(KEYS_PER_WRITER)]
        mine = self.keys[0][:-3]
        self.here = {k: s for k, s in model.keys.items() if k.startswith(mine)}
        self.own = Model(model.revision, keys=dict(self.here))
        self.base = number * 1_000_000 + 1
        self.leases = sorted(x for x in model.leases if self.base <= x < self.base + 1_000_000)
        self.next_lease = max(self.leases, default=self.base) + self.random.randrange(1, 1000)
        self.client = FailFast(endpoint)
        self.done: list[Operation] = []       # acknowledged, in order
        self.granted: list[int] = []          # acknowledged grants
        self.revoked: list[int] = []          # acknowledged revocations
        self.flying: Operation | int | None = None  # sent, no answer: a change, or a grant's id
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while True:
                self.one()
        except grpc.RpcError as error:
            # Anything but a cut connection is an answer that a healthy server must not give.
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                self.error = error
        except BaseException as error:
            self.error = error
        finally:
            self.client.close()

    def value(self) -> bytes:
        size = self.random.choice(SIZES)
        return b"%d " % self.random.getrandbits(48) + self.random.randbytes(size)

    def one(self) -> None:
        dice = self.random.random()
        if dice < 0.5:
            self.put(0)
        elif dice < 0.62:
            self.delete()
        elif dice < 0.85:
            self.transaction()
        elif dice < 0.90 or not self.leases:
            self.grant()
        elif dice < 0.97:
            self.put(self.random.choice(self.leases))
        else:
            self.revoke()

    def put(self, lease: int) -> None:
        key, value = self.random.choice(self.keys), self.value()
        operation = Operation("put", {key: value}, lease)
        self.change(operation, lambda: self.client.put(key, value, lease=lease))

    def delete(self) -> None:
        first = self.random.randrange(len(self.keys))
        last = min(first + self.random.choice((1, 1, 1, 4)), len(self.keys) - 1)
        start, end = self.keys[first], self.keys[max(last, first)]
        gone = {k: None for k in self.keys if start <= k < end and k in self.own.keys}
        reply = self.change(Operation("delete", gone), lambda: self.client.delete(start, end))
        demand(reply.deleted == len(gone), f"deleted {reply.deleted} keys, not {len(gone)}")

    def transaction(self) -> None:
        chosen = self.random.sample(self.keys, self.random.randrange(2, 6))
        stored = self.own.keys.get(chosen[0])
        changes: dict[bytes, bytes | None] = {key: self.value() for key in chosen[:-1]}
        if chosen[-1] in self.own.keys:
            changes[chosen[-1]] = None
        operations = [op_put(k, v) if v is not None else op_delete(k) for k, v in changes.items()]
        guard = [compare(chosen[0], "mod_revision", "=", stored.mod if stored else 0)]
        reply = self.change(
            Operation("txn", changes), lambda: self.client.txn(guard, operations, []))
        demand(reply.succeeded, f"{chosen[0]!r} has not the mod_revision that was acknowledged")

    def grant(self) -> None:
        self.next_lease += 1
        self.flying = self.next_lease
        self.client.grant(TTL, self.next_lease)
        self.flying = None
        self.leases.append(self.next_lease)
        self.granted.append(self.next_lease)

    def revoke(self) -> None:
        lease = self.leases.pop(self.random.randrange(len(self.leases)))
        gone = {k: None for k in sorted(self.own.keys) if self.own.keys[k].lease == lease}
        self.change(Operation("revoke", gone, lease), lambda: self.client.revoke(lease))
        self.revoked.append(lease)

    def change(self, operation: Operation, call):
        """Sends it; what comes back must say a revision that can be true."""
        self.flying = operation
        reply = call()
        revision = reply.header.revision
        if operation.changes:
            demand(revision > self.own.revision, f"{operation}: acknowledged at {revision},",
                   f"but {self.own.revision} was acknowledged before")
            operation.revision = revision
            self.own.apply(operation, revision)
            self.done.append(operation)
        else:
            demand(revision >= self.own.revision, f"revision went back to {revision}")
        self.flying = None
        return reply


# -- checks -----------------------------------------------------------------------------------------


class Verifier:
    """Compares a restarted server with the model and the writers' notes, and updates the model."""

    def __init__(self, client: Client, model: Model, writers: list[Writer]) -> None:
        self.client = client
        self.model = model
        self.writers = writers
        self.kept = 0  # operations in flight at the kill that turned out to be done

    def check(self, chance: random.Random) -> None:
        start = self.model.revision
        revision = self.client.revision()
        acknowledged = {op.revision: op for writer in self.writers for op in writer.done}
        newest = max(acknowledged, default=start)
        demand(revision >= newest, f"the store is at revision {revision},",
               f"but {newest} was acknowledged: {acknowledged.get(newest)}")
        for writer in self.writers:
            self.model.leases.update(writer.granted)
        self.replay(start, revision, acknowledged)
        self.leases()
        self.contents(revision)
        self.past(chance)

    def events(self, start: int, revision: int) -> dict[int, dict[bytes, bytes | None]]:
        """What the history says of each revision after `start`."""
        found: dict[int, dict[bytes, bytes | None]] = {}
        if revision == start:
            return found
        with self.client.watch() as stream:
            WatchStream.create(stream, *HISTORY, start_revision=start + 1)
            while max(found, default=0) < revision:
                for event in stream.receive(60).events:
                    keys = found.setdefault(event.kv.mod_revision, {})
                    demand(event.kv.key not in keys, f"{event.kv.key!r} twice in one revision")
                    keys[event.kv.key] = None if event.type else event.kv.value
        return found

    def replay(self, start: int, revision: int, acknowledged: dict[int, Operation]) -> None:
        """Every revision since the last round is an acknowledged or an unanswered request, whole."""
        flying = [w.flying for w in self.writers
                  if isinstance(w.flying, Operation) and w.flying.changes]
        found = self.events(start, revision)
        for at in range(start + 1, revision + 1):
            demand(at in found, f"revision {at} has no event, the store is at {revision};",
                   f"acknowledged there: {acknowledged.get(at)}")
            operation = acknowledged.pop(at, None)
            if operation is None:
                operation = next((op for op in flying if op.changes == found[at]), None)
                demand(operation is not None, f"revision {at} changed {sorted(found[at])},",
                       "which nobody asked for, or not so; unanswered:", *map(str, flying))
                flying.remove(operation)
                self.kept += 1
            self.compare(operation, found[at], at)
            self.model.apply(operation, at)
        demand(not acknowledged, "lost:", *acknowledged.values())

    def compare(self, operation: Operation, found: dict[bytes, bytes | None], at: int) -> None:
        demand(set(found) == set(operation.changes),
               f"revision {at} changed {sorted(found)}, acknowledged was: {operation}")
        for key, value in operation.changes.items():
            demand(found[key] == value, f"{key!r} at revision {at} is {found[key]!r:.80},",
                   f"acknowledged was {value!r:.80}")

    def leases(self) -> None:
        alive = {status.ID for status in self.client.leases().leases}
        for writer in self.writers:
            self.model.leases.difference_update(writer.revoked)
            # An unanswered grant, or revocation of a lease without keys, may be done or not.
            unsure = None
            if isinstance(writer.flying, int):
                unsure = writer.flying
            elif writer.flying is not None and writer.flying.kind == "revoke":
                unsure = writer.flying.lease if not writer.flying.changes else None
            if unsure is not None:
                (self.model.leases.add if unsure in alive else self.model.leases.discard)(unsure)
        demand(alive == self.model.leases,
               f"leases lost: {sorted(self.model.leases - alive)},",
               f"leases too many: {sorted(alive - self.model.leases)}")

    def contents(self, revision: int) -> None:
        reply = self.client.range(*HISTORY)
        demand(reply.header.revision == revision, "the revision moved without a write")
        demand(reply.count == len(reply.kvs), "count is not the number of keys")
        there = {kv.key: Stored(kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)
                 for kv in reply.kvs}
        for key in sorted(set(there) | set(self.model.keys)):
            demand(there.get(key) == self.model.keys.get(key), f"{key!r} is {there.get(key)!r:.200},",
                   f"must be {self.model.keys.get(key)!r:.200}")
        for lease in sorted(self.model.leases)[:10]:
            reply = self.client.time_to_live(lease, keys=True)
            demand(reply.grantedTTL == TTL and 0 < reply.TTL <= TTL, f"lease {lease}: {reply}")
            keys = sorted(k for k, s in self.model.keys.items() if s.lease == lease)
            demand(sorted(reply.keys) == keys, f"lease {lease} has {reply.keys}, not {keys}")

    def past(self, chance: random.Random) -> None:
        """Old revisions, of all rounds since the last compaction, read as they were written."""
        self.model.written = [w for w in self.model.written if w[0] > self.model.compacted]
        for at, key, told in chance.sample(
                self.model.written, min(20, len(self.model.written))):
            kvs = self.client.range(key, revision=at).kvs
            demand(len(kvs) == 1 and (digest(kvs[0].value), kvs[0].mod_revision) == (told, at),
                   f"{key!r} read at revision {at} is {kvs!r:.200}")


# -- rounds -----------------------------------------------------------------------------------------


def integrity(data_dir: Path) -> None:
    """SQLite's own word on Martlet's database file."""
    files = [path for path in data_dir.glob("**/db") if path.is_file()]
    demand(len(files) == 1, f"one database file expected below {data_dir}: {files}")
    said = subprocess.run(["sqlite3", "-readonly", str(files[0]), "PRAGMA integrity_check"],
                          capture_output=True, text=True)
    demand(said.stdout == "ok\n", f"integrity_check of {files[0]}: {said.stdout}{said.stderr}")


class Crash:
    """A whole run; `run()` raises Lost, or returns counts."""

    def __init__(self, rounds: int, seed: int, writers: int = 10, plant: str | None = None,
                 say=print) -> None:
        self.rounds = rounds
        self.seed = seed
        self.writers = writers
        self.plant = plant
        self.say = say
        self.random = random.Random(f"{seed}")
        self.model = Model()
        self.folder = Path(tempfile.mkdtemp(prefix="martlet-crash-"))
        self.counts = {"rounds": 0, "acknowledged": 0, "unanswered but done": 0, "compactions": 0}

    def run(self) -> dict[str, int]:
        self.say(f"crash: seed {self.seed}, {self.rounds} rounds, {self.writers} writers")
        server = Server(data_dir=self.folder / "data")
        try:
            for number in range(1, self.rounds + 1):
                self.round(server, number)
            with Client(server.endpoint) as client:
                self.stop_cleanly(server, client)
        except BaseException as error:
            self.say(f"crash: seed {self.seed}, round {self.counts['rounds'] + 1}: {error}")
            if self.plant:
                shutil.rmtree(self.folder)
            else:
                self.say(f"crash: data kept in {self.folder}\n{server.log_tail(10)}")
            raise
        finally:
            server.close()
        shutil.rmtree(self.folder)
        self.say(f"crash: seed {self.seed}: {self.counts}")
        return self.counts

    def round(self, server: Server, number: int) -> None:
        last = number == self.rounds
        if last and self.plant == "rollback":
            self.copy_aside(server)
        writers = [Writer(i, server.endpoint, self.model, f"{self.seed}/{number}")
                   for i in range(self.writers)]
        for writer in writers:
            writer.start()
        pause = self.random.uniform(*ROUND_SECONDS)
        if self.random.random() < 0.3 and self.model.revision > self.model.compacted + 1:
            time.sleep(pause / 2)
            pause /= 2
            self.compact(server)
        time.sleep(pause)
        if last and self.plant:
            self.wait_for_writes(writers)
        server.end(signal.SIGTERM if self.random.random() < TERM_SHARE else signal.SIGKILL)
        for writer in writers:
            writer.join(30)
            demand(not writer.is_alive(), f"{writer.name} hangs on a dead server")
            if writer.error is not None:
                raise Lost(f"{writer.name}: {writer.error}") from writer.error
        if last and self.plant:
            self.spoil(server, writers)
        if self.random.random() < 0.25:
            server.start(wait=False)
            time.sleep(self.random.uniform(0, 0.15))
            server.kill()
        server.start()
        with Client(server.endpoint) as client:
            verifier = Verifier(client, self.model, writers)
            verifier.check(self.random)
            if number % CLEAN_STOP_EVERY == 0:
                self.stop_cleanly(server, client)
                server.start()
        self.counts["rounds"] = number
        self.counts["acknowledged"] += sum(len(w.done) + len(w.granted) for w in writers)
        self.counts["unanswered but done"] += verifier.kept

    def compact(self, server: Server) -> None:
        """Compacts only what earlier rounds wrote: this round's history must stay readable."""
        revision = self.random.randint(self.model.compacted + 1, self.model.revision)
        with Client(server.endpoint) as client:
            client.compact(revision, physical=self.random.random() < 0.2)
        self.model.compacted = revision
        self.counts["compactions"] += 1

    def stop_cleanly(self, server: Server, client: Client) -> None:
        """A clean stop, and then a kill without load, change neither revision nor HashKV."""
        before = client.hash_kv()
        server.stop()
        if not is_etcd():
            integrity(server.data_dir)
        for ending in (server.kill, server.stop):
            server.start()
            with Client(server.endpoint) as again:
                after = again.hash_kv()
            ending()
            demand((after.hash, after.compact_revision, after.header.revision)
                   == (before.hash, before.compact_revision, before.header.revision),
                   f"HashKV changed over a restart: {before} {after}")

    # -- proof that the checks can fail ---------------------------------------------------------

    def wait_for_writes(self, writers: list[Writer]) -> None:
        deadline = time.monotonic() + 30
        while not all(any(op.kind == "put" for op in list(w.done)) for w in writers):
            demand(time.monotonic() < deadline, "the writers got no put acknowledged")
            time.sleep(0.02)

    def copy_aside(self, server: Server) -> None:
        server.stop()
        shutil.copytree(server.data_dir, self.folder / "old", symlinks=True)
        server.start()

    def spoil(self, server: Server, writers: list[Writer]) -> None:
        operation = next(op for op in reversed(writers[0].done) if op.kind == "put")
        self.say(f"crash: planting a {self.plant} fault in: {operation}")
        if self.plant == "value":
            key = next(iter(operation.changes))
            operation.changes[key] += b"altered"
        elif self.plant == "revision":
            operation.revision += 1_000_000
        else:
            shutil.rmtree(server.data_dir)
            shutil.copytree(self.folder / "old", server.data_dir, symlinks=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--writers", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--plant", choices=("value", "revision", "rollback"))
    given = parser.parse_args()
    try:
        Crash(given.rounds, given.seed, given.writers, given.plant,
              say=lambda text: print(text, flush=True)).run()
    except Lost:
        sys.exit(1)


if __name__ == "__main__":
    main()
