"""test_history.py: the judge of cluster histories notices each kind of fault it is there for.

Belongs here: made-up records and replies with one fault planted. Never here: clusters.
"""

import threading
from types import SimpleNamespace

import pytest

from history import Broken, Event, Reader, Record, Watcher, judge
from schema import mvcc, pb


def good():
    """One key: 1 and 3 acknowledged, 2 of unknown outcome and never done."""
    record = Record()
    record.sent = {b"k": {1, 2, 3}}
    record.acknowledged = [(b"k", 1, 5), (b"k", 3, 7)]
    return record, [Event(5, b"k", b"1", 1), Event(7, b"k", b"3", 2)]


def test_a_right_history_passes():
    judge(*good())


def test_a_lost_write_is_noticed():
    record, history = good()
    with pytest.raises(Broken, match="lost: .* = 3 was acknowledged at revision 7"):
        judge(record, history[:1])


def test_an_altered_write_is_noticed():
    record, history = good()
    with pytest.raises(Broken, match="lost: .* the history has 2"):
        judge(record, [history[0], Event(7, b"k", b"2", 2)])


def test_a_write_nobody_sent_is_noticed():
    record, history = good()
    with pytest.raises(Broken, match="never sent"):
        judge(record, [*history, Event(8, b"k", b"4", 3)])


def test_a_late_write_that_undoes_a_newer_one_is_noticed():
    record, history = good()
    with pytest.raises(Broken, match="not a chain"):
        judge(record, [*history, Event(8, b"k", b"2", 3)])


def test_a_missing_version_is_noticed():
    record, history = good()
    with pytest.raises(Broken, match="version after 1"):
        judge(record, [history[0], Event(7, b"k", b"3", 3)])


# -- what is judged as it comes -------------------------------------------------------------------


class FakeLoad:
    """A load whose member answers what the test says."""

    def __init__(self, reply):
        self.record, self.prefix, self.first_revision = Record(), b"", 1
        self.stopped, self.all_seen = threading.Event(), threading.Event()
        self.stopped.set()  # no pauses
        self.client = lambda _: SimpleNamespace(prefix=lambda _: reply)


MEMBER = SimpleNamespace(name="n0")


def kv(value, revision):
    return mvcc.KeyValue(key=b"k", value=value, mod_revision=revision, version=1)


@pytest.mark.parametrize("revision, value, told", [
    (7, b"2", "k' is 2 after 3 was acknowledged"), (6, b"3", "revision 6 after 7 was seen"),
    (7, b"3", None), (9, b"4", None)])
def test_a_stale_read_is_noticed(revision, value, told):
    load = FakeLoad(pb.RangeResponse(
        header=pb.ResponseHeader(revision=revision), kvs=[kv(value, revision)]))
    load.record.floor, load.record.revision = {b"k": 3}, 7
    Reader(load, MEMBER).turn()
    assert [told in fault for fault in load.record.broken] == ([True] if told else [])


@pytest.mark.parametrize("revisions, fault", [
    ([[5], [6, 6], [8]], False), ([[5], [5]], True), ([[6], [5]], True), ([[5, 6], [6]], True),
    ([[6, 5]], True)])
def test_an_event_again_or_out_of_order_is_noticed(revisions, fault):
    watcher = Watcher(FakeLoad(None), MEMBER)
    replies = iter([pb.WatchResponse(events=[mvcc.Event(kv=kv(b"1", r)) for r in reply])
                    for reply in revisions])
    stream = SimpleNamespace(receive=lambda _: next(replies))

    def take_all():
        for _ in revisions:
            watcher.take(stream)
    if not fault:
        take_all()
        assert [event.revision for event in watcher.events] == [5, 6, 6, 8]
        return
    with pytest.raises(Broken, match="again or out of order"):
        take_all()
