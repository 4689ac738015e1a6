"""history.py: load on every member of a cluster, and the proof that the cluster kept its word.

    with Load(cluster) as load:
        load.warm_up()
        ... faults ...
        load.recover()          # writes are acknowledged through every member again
    load.verify()               # after the block: nobody writes any more

What `verify` demands, of the recorded calls alone:
1. No acknowledged write is lost: it is in the history at its revision with its value.
2. Each key's history is a chain: counters grow, versions count up by one, and each value was
   really sent, whether acknowledged or of unknown outcome.
3. No stale linearizable read: a read returns at least the newest write acknowledged, and at least
   the revision seen by anybody, before it began. Checked as the reads come.
4. Watches, one a member, resumed after each break: every event in order, once, the same on all.
5. At the end every member gives the same HashKV.

A key has one writer, and each write compares the key's mod revision (etcd's own way to lock), so a
write of unknown outcome that arrives late can never undo a later one.
Belongs here: recording and judging. Never here: faults (the tests), processes (cluster.py).
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass

import grpc

from client import Client, compare, op_put, op_range, prefix_end
from cluster import Cluster, Member, wait_until

_serial = itertools.count(1)
KEYS_PER_WRITER = 4
PACE_SECONDS = 0.005
CALL_SECONDS = 4.0
WATCH_SECONDS = 60.0


class Broken(AssertionError):
    """The cluster broke a promise."""


def demand(condition: bool, *what: object) -> None:
    if not condition:
        raise Broken(" ".join(str(part) for part in what))


@dataclass(frozen=True)
class Event:
    """One change as a watch reported it."""

    revision: int
    key: bytes
    value: bytes
    version: int


class Record:
    """What was sent, acknowledged and seen, shared by all threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.revision = 0  # the newest that any finished call has shown
        self.floor: dict[bytes, int] = {}  # per key the newest acknowledged counter
        self.sent: dict[bytes, set[int]] = {}
        self.acknowledged: list[tuple[bytes, int, int]] = []  # key, counter, revision
        self.times: list[tuple[float, Member]] = []  # of each acknowledged write
        self.unknown = 0
        self.reads = 0
        self.broken: list[str] = []

    def fail(self, what: str) -> None:
        with self.lock:
            self.broken.append(what)

    def seen(self, revision: int) -> None:
        with self.lock:
            self.revision = max(self.revision, revision)


class Worker(threading.Thread):
    """Calls until told to stop; a failed call is recorded, any other exception breaks the test."""

    def __init__(self, load: Load, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.load, self.record, self.stop = load, load.record, load.stopped

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.turn()
        except Exception as error:
            self.record.fail(f"{self.name}: {type(error).__name__}: {error}")

    def turn(self) -> None:
        raise NotImplementedError


class Writer(Worker):
    """Raises the counters of its own keys: the first few at home on one member each, so that a
    member that hangs does not stop them all, the rest through one member after the other."""

    def __init__(self, load: Load, number: int) -> None:
        super().__init__(load, f"writer {number}")
        self.keys = itertools.cycle(
            load.prefix + b"%02d/%d" % (number, k) for k in range(KEYS_PER_WRITER))
        self.number = self.step = number
        self.roams = number >= len(load.members)
        self.counter = 0
        self.at: dict[bytes, int] = {}  # the mod revision this writer believes in

    def turn(self) -> None:
        key = next(self.keys)
        member = self.load.member(self.step if self.roams else self.number)
        self.step += 1
        self.counter += 1
        with self.record.lock:
            self.record.sent.setdefault(key, set()).add(self.counter)
        try:
            reply = self.load.client(member).txn(
                [compare(key, "mod_revision", "=", self.at.get(key, 0))],
                [op_put(key, b"%d" % self.counter)], [op_range(key)])
        except grpc.RpcError:
            with self.record.lock:
                self.record.unknown += 1
            self.stop.wait(0.02)
            return
        self.answered(member, key, reply)
        self.stop.wait(PACE_SECONDS)

    def answered(self, member: Member, key: bytes, reply: object) -> None:
        revision = reply.header.revision
        if not reply.succeeded:  # an earlier write of unknown outcome was done after all
            kvs = reply.responses[0].response_range.kvs
            if not kvs:
                self.record.fail(f"{key}: gone, although it was acknowledged")
                return
            counter, self.at[key] = int(kvs[0].value), kvs[0].mod_revision
        else:
            counter, self.at[key] = self.counter, revision
        with self.record.lock:
            if reply.succeeded:
                self.record.acknowledged.append((key, counter, revision))
                self.record.times.append((time.monotonic(), member))
            self.record.floor[key] = max(self.record.floor.get(key, 0), counter)
            self.record.revision = max(self.record.revision, revision)


class Reader(Worker):
    """Reads all counters, linearizably, from one member."""

    def __init__(self, load: Load, member: Member) -> None:
        super().__init__(load, f"reader of {member.name}")
        self.member = member

    def turn(self) -> None:
        with self.record.lock:
            floor, revision = dict(self.record.floor), self.record.revision
        try:
            reply = self.load.client(self.member).prefix(self.load.prefix)
        except grpc.RpcError:
            self.stop.wait(0.05)
            return
        found = {kv.key: int(kv.value) for kv in reply.kvs}
        for key, counter in floor.items():
            if found.get(key, 0) < counter:
                self.record.fail(f"stale read on {self.member.name}: {key} is "
                                 f"{found.get(key)} after {counter} was acknowledged")
        if reply.header.revision < revision:
            self.record.fail(f"stale read on {self.member.name}: revision "
                             f"{reply.header.revision} after {revision} was seen")
        self.record.seen(reply.header.revision)
        with self.record.lock:
            self.record.reads += 1
        self.stop.wait(0.02)


class Watcher(Worker):
    """All events of one member, resumed after each break behind the last one received."""

    def __init__(self, load: Load, member: Member) -> None:
        super().__init__(load, f"watcher of {member.name}")
        self.stop = load.all_seen
        self.member, self.events = member, []
        self.next = load.first_revision
        self.resumed = -1

    def turn(self) -> None:
        self.resumed += 1
        try:
            with self.load.client(self.member).watch() as stream:
                stream.request_create(self.load.prefix, prefix_end(self.load.prefix),
                                      start_revision=self.next)
                while not self.stop.is_set():
                    self.take(stream)
        except (grpc.RpcError, EOFError):
            self.stop.wait(0.1)

    def take(self, stream: object) -> None:
        try:
            reply = stream.receive(0.2)
        except TimeoutError:
            return
        if reply.canceled:
            raise EOFError(f"watch cancelled: {reply.cancel_reason}")
        newest = self.next
        for event in reply.events:
            kv = event.kv
            demand(kv.mod_revision >= newest, "event again or out of order:", kv)
            newest = kv.mod_revision
            self.events.append(Event(kv.mod_revision, kv.key, kv.value, kv.version))
        if reply.events:  # a revision never spans two responses, so what follows is newer
            self.next = newest + 1


class Load:
    """Writers on all members, a reader and a watcher on each; see the head of this file."""

    def __init__(self, cluster: Cluster, writers: int = 5,
                 members: list[Member] | None = None) -> None:
        self.cluster = cluster
        self.members = list(members or cluster.members)  # those that stay to the end
        self.prefix = b"history/%d/" % next(_serial)  # another load may have been here before
        self.record = Record()
        self.stopped, self.all_seen = threading.Event(), threading.Event()
        self._clients: dict[Member, Client] = {
            m: cluster.connect(m, CALL_SECONDS) for m in self.members}
        self.first_revision = cluster.client(cluster.leader()).revision() + 1
        self.watchers = [Watcher(self, member) for member in self.members]
        self.workers = [Writer(self, number) for number in range(writers)]
        self.workers += [Reader(self, member) for member in self.members]

    def member(self, step: int) -> Member:
        return self.members[step % len(self.members)]

    def client(self, member: Member) -> Client:
        return self._clients[member]

    def __enter__(self) -> Load:
        for worker in self.watchers + self.workers:
            worker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stopped.set()
        for worker in self.workers:
            worker.join()
        if kind is not None:
            self._end()

    def _end(self) -> None:
        self.all_seen.set()
        for watcher in self.watchers:
            watcher.join()
        for client in self._clients.values():
            client.close()

    # -- progress ---------------------------------------------------------------------------

    def check(self) -> None:
        with self.record.lock:
            demand(not self.record.broken, *self.record.broken[:5])

    def acknowledged(self) -> int:
        self.check()
        return len(self.record.acknowledged)

    def warm_up(self, count: int = 100) -> None:
        """Waits for `count` more acknowledged writes."""
        wanted = self.acknowledged() + count
        wait_until(lambda: self.acknowledged() >= wanted, f"{count} more acknowledged writes")

    def recover(self, members: list[Member] | None = None) -> None:
        """Waits until writes are acknowledged through each of `members` (all), from now on."""
        since = time.monotonic()

        def all_answer() -> bool:
            self.check()
            with self.record.lock:
                recent = {member for at, member in self.record.times if at > since}
            return recent >= set(members or self.members)
        wait_until(all_answer, "writes through every member again")

    def gap(self, since: float) -> float:
        """Seconds: the longest time without any acknowledgement that ended after `since`."""
        with self.record.lock:
            times = sorted(at for at, _ in self.record.times)
        return max((b - a for a, b in itertools.pairwise(times) if b > since), default=0.0)

    # -- judgement --------------------------------------------------------------------------

    def verify(self, same_hash: bool = True) -> str:
        """Fails when a promise was broken; else a line of figures. All members must run."""
        try:
            self.check()
            if same_hash:
                self.cluster.check_same()
            final = self.cluster.client(self.cluster.leader()).revision()
            newest = max((r for _, _, r in self.record.acknowledged), default=0)
            demand(newest <= final, f"revision {newest} acknowledged, the store is at {final}")
            self._wait_for_watchers()
        finally:
            self._end()
        self.check()
        history = self.watchers[0].events
        for watcher in self.watchers[1:]:
            demand(watcher.events == history, f"{watcher.name} saw other events than "
                   f"{self.watchers[0].name}: {_difference(watcher.events, history)}")
        judge(self.record, history)
        return (f"{len(self.record.acknowledged)} writes acknowledged, {self.record.unknown} of "
                f"unknown outcome, {self.record.reads} linearizable reads, {len(history)} events, "
                f"watches resumed {sum(w.resumed for w in self.watchers)} times")

    def _wait_for_watchers(self) -> None:
        """Until each has the newest change that any key shows."""
        leader = self.cluster.client(self.cluster.leader())
        kvs = leader.prefix(self.prefix).kvs
        last = max((kv.mod_revision for kv in kvs), default=0)
        wait_until(lambda: all(w.next > last or not w.is_alive() for w in self.watchers),
                   f"every watch at revision {last}", WATCH_SECONDS)


def _difference(ours: list[Event], theirs: list[Event]) -> str:
    for one, other in itertools.zip_longest(ours, theirs):
        if one != other:
            return f"{one} and {other}"
    return "none"


def judge(record: Record, history: list[Event]) -> None:
    """Rules 1 and 2 over the whole history."""
    at = {(event.key, event.revision): int(event.value) for event in history}
    for key, counter, revision in record.acknowledged:
        demand(at.get((key, revision)) == counter, f"lost: {key} = {counter} was acknowledged at "
               f"revision {revision}, the history has {at.get((key, revision))}")
    last: dict[bytes, tuple[int, int]] = {}
    for event in history:
        counter, (before, version) = int(event.value), last.get(event.key, (0, 0))
        demand(counter in record.sent.get(event.key, ()), f"never sent: {event}")
        demand(counter > before, f"not a chain: {event} after {before}")
        demand(event.version == version + 1, f"version after {version}: {event}")
        last[event.key] = (counter, event.version)
