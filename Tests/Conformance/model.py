"""model.py: one node's key-value store as slowly and obviously as it can be written down.

Belongs here: the rules R, P, D, T, C, L of etcd's behaviour in plain Python, over lists and dicts.
Never here: anything clever; it is read to be believed. Errors are the texts of client.py.
Used by test_model.py, which runs the same requests against a server and compares every answer.
"""

from __future__ import annotations

from client import (COMPACTED, DUPLICATE_KEY, FROM_KEY, FUTURE, KEY_NOT_FOUND, LEASE_EXISTS,
                    LEASE_GIVEN, LEASE_NOT_FOUND, NO_KEY, VALUE_GIVEN)
from hash_kv import record
from schema import mvcc, pb


class Refused(Exception):
    """An answer that is an error: (code, text)."""


def inside(key: bytes, start: bytes, end: bytes) -> bool:
    """R1 and R2: is `key` in the range?"""
    if end == b"":
        return key == start
    return key >= start and (end == FROM_KEY or key < end)


def passes(result: int, stored: object, given: object) -> bool:
    """T8: stored RESULT given; an unknown result is true (T9)."""
    return {0: stored == given, 1: stored > given, 2: stored < given,
            3: stored != given}.get(result, True)


def checked_puts(ops: list) -> tuple[set[bytes], list[tuple[bytes, bytes]]]:
    """T5: the keys that one path puts and the ranges it deletes; refuses an overlap."""
    puts: set[bytes] = set()
    deletes = [(op.request_delete_range.key, op.request_delete_range.range_end)
               for op in ops if op.HasField("request_delete_range")]

    def overlaps(key: bytes) -> bool:
        # The quirk of T5: a delete with range_end "\0" overlaps nothing.
        return any(inside(key, *deletion) for deletion in deletes if deletion[1] != FROM_KEY)

    for op in ops:
        if not op.HasField("request_txn"):
            continue
        then_puts, then_deletes = checked_puts(op.request_txn.success)
        else_puts, else_deletes = checked_puts(op.request_txn.failure)
        for key in then_puts | else_puts:
            if key in puts or overlaps(key):
                raise Refused(DUPLICATE_KEY)
        puts |= then_puts | else_puts
        # Another quirk: a later sibling's delete is not held against an earlier one's put.
        deletes += then_deletes + else_deletes
    for op in ops:
        if op.HasField("request_put"):
            key = op.request_put.key
            if key in puts or overlaps(key):
                raise Refused(DUPLICATE_KEY)
            puts.add(key)
    return puts, deletes


class Model:
    """The store from `revision` on, where it was compacted and held only `base`."""

    def __init__(self, revision: int, base: mvcc.KeyValue) -> None:
        self.revision = revision
        self.compacted = revision
        self.states = {revision: {base.key: base}}  # every revision's live keys
        self.live = dict(self.states[revision])     # now, with the running request's changes
        self.leases: dict[int, set[bytes]] = {}
        self.events: list[mvcc.Event] = []
        self.records = [record(revision, 0, False, base)]
        self.changes = 0                            # changes of the running request

    # -- applying changes -----------------------------------------------------------------------

    def _change(self, key: bytes, kv: mvcc.KeyValue | None) -> None:
        old = self.live.get(key)
        if old is not None and old.lease:
            self.leases[old.lease].discard(key)
        event = mvcc.Event(type=0 if kv else 1)
        before = self.states[self.revision].get(key)  # not `old`: a txn may change a key twice
        if before is not None and not (kv and kv.version == 1):
            event.prev_kv.CopyFrom(before)
        if kv:
            self.live[key] = kv
            event.kv.CopyFrom(kv)
            if kv.lease:
                self.leases[kv.lease].add(key)
        else:
            del self.live[key]
            event.kv.key = key
        self.records.append(record(self.revision + 1, self.changes, kv is None, event.kv))
        event.kv.mod_revision = self.revision + 1
        self.events.append(event)
        self.changes += 1

    def _end(self) -> None:
        """G2: a request that changed something is one revision."""
        if self.changes:
            self.revision += 1
            self.states[self.revision] = dict(self.live)
            self.changes = 0

    @property
    def _running(self) -> int:
        """T2: the revision that a reply inside the running request carries."""
        return self.revision + (1 if self.changes else 0)

    # -- Range ----------------------------------------------------------------------------------

    def _check_range(self, request: pb.RangeRequest, in_txn: bool = False) -> None:
        if request.revision > self.revision:
            raise Refused(FUTURE)
        oldest_named = -1 if in_txn else 0  # negative is 0, but in a Txn it is a compacted one
        if request.revision != 0 and oldest_named <= request.revision < self.compacted:
            raise Refused(COMPACTED)

    def _range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        state = self.states[request.revision] if request.revision > 0 else self.live
        found = [state[key] for key in sorted(state)
                 if inside(key, request.key, request.range_end)]
        reply = pb.RangeResponse(count=len(found))
        reply.header.revision = self._running
        if request.count_only:
            return reply
        limit = request.limit if request.limit > 0 else len(found)
        filtered = any((request.min_mod_revision, request.max_mod_revision,
                        request.min_create_revision, request.max_create_revision))
        if not request.sort_order and not filtered:
            found = found[:limit + 1]  # R10
        found = [kv for kv in found if
                 (not request.min_mod_revision or kv.mod_revision >= request.min_mod_revision)
                 and (not request.max_mod_revision or kv.mod_revision <= request.max_mod_revision)
                 and (not request.min_create_revision
                      or kv.create_revision >= request.min_create_revision)
                 and (not request.max_create_revision
                      or kv.create_revision <= request.max_create_revision)]
        by = (lambda kv: kv.key, lambda kv: kv.version, lambda kv: kv.create_revision,
              lambda kv: kv.mod_revision, lambda kv: kv.value)[request.sort_target]
        found.sort(key=by, reverse=request.sort_order == 2)
        reply.more = len(found) > limit
        for kv in found[:limit]:
            reply.kvs.add().CopyFrom(kv)
            if request.keys_only:
                reply.kvs[-1].value = b""
        return reply

    def range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        if not request.key:
            raise Refused(NO_KEY)
        self._check_range(request)
        return self._range(request)

    # -- Put ------------------------------------------------------------------------------------

    @staticmethod
    def _check_put_form(request: pb.PutRequest) -> None:
        if not request.key:
            raise Refused(NO_KEY)
        if request.ignore_value and request.value:
            raise Refused(VALUE_GIVEN)
        if request.ignore_lease and request.lease:
            raise Refused(LEASE_GIVEN)

    def _check_lease(self, request: pb.PutRequest) -> None:
        if request.lease and request.lease not in self.leases:
            raise Refused(LEASE_NOT_FOUND)

    def _check_previous(self, request: pb.PutRequest) -> None:
        if (request.ignore_value or request.ignore_lease) and request.key not in self.live:
            raise Refused(KEY_NOT_FOUND)

    def _put(self, request: pb.PutRequest) -> pb.PutResponse:
        old = self.live.get(request.key)
        kv = mvcc.KeyValue(
            key=request.key, create_revision=old.create_revision if old else self.revision + 1,
            mod_revision=self.revision + 1, version=old.version + 1 if old else 1,
            value=old.value if request.ignore_value else request.value,
            lease=old.lease if request.ignore_lease else request.lease)
        reply = pb.PutResponse()
        if request.prev_kv and old:
            reply.prev_kv.CopyFrom(old)
        self._change(request.key, kv)
        reply.header.revision = self._running
        return reply

    def put(self, request: pb.PutRequest) -> pb.PutResponse:
        self._check_put_form(request)
        self._check_lease(request)
        self._check_previous(request)
        reply = self._put(request)
        self._end()
        return reply

    # -- DeleteRange ----------------------------------------------------------------------------

    def _delete(self, request: pb.DeleteRangeRequest) -> pb.DeleteRangeResponse:
        gone = [key for key in sorted(self.live) if inside(key, request.key, request.range_end)]
        reply = pb.DeleteRangeResponse(deleted=len(gone))
        if request.prev_kv:
            reply.prev_kvs.extend(self.live[key] for key in gone)
        for key in gone:
            self._change(key, None)
        reply.header.revision = self._running
        return reply

    def delete(self, request: pb.DeleteRangeRequest) -> pb.DeleteRangeResponse:
        if not request.key:
            raise Refused(NO_KEY)
        reply = self._delete(request)
        self._end()
        return reply

    # -- Txn ------------------------------------------------------------------------------------

    def _holds(self, compare: pb.Compare) -> bool:
        """T8 to T10."""
        kvs = [kv for key, kv in self.live.items()
               if inside(key, compare.key, compare.range_end)]
        name = ("version", "create_revision", "mod_revision", "value", "lease")[compare.target]
        if not kvs:
            return name != "value" and passes(compare.result, 0, getattr(compare, name))
        return all(passes(compare.result, getattr(kv, name), getattr(compare, name))
                   for kv in kvs)

    def _check_txn_form(self, txn: pb.TxnRequest) -> None:
        if any(not compare.key for compare in txn.compare):
            raise Refused(NO_KEY)
        for op in [*txn.success, *txn.failure]:
            kind = op.WhichOneof("request")
            if kind is None:
                raise Refused(KEY_NOT_FOUND)
            if kind == "request_txn":
                self._check_txn_form(op.request_txn)
            elif kind == "request_put":
                self._check_put_form(op.request_put)
            elif not getattr(op, kind).key:
                raise Refused(NO_KEY)

    def _path(self, txn: pb.TxnRequest) -> tuple[bool, list]:
        """The branch that will run, nested ones too, chosen before anything runs."""
        chosen = all(self._holds(compare) for compare in txn.compare)
        return chosen, [(op, self._path(op.request_txn) if op.HasField("request_txn") else None)
                        for op in (txn.success if chosen else txn.failure)]

    def _check_path(self, ops: list) -> None:
        """T11: every put of the path first, its key before its lease; then every range."""
        for op in self._flat(ops):
            if op.HasField("request_put"):
                self._check_previous(op.request_put)
                self._check_lease(op.request_put)
        for op in self._flat(ops):
            if op.HasField("request_range"):
                self._check_range(op.request_range, in_txn=True)

    def _flat(self, ops: list) -> list:
        return [plain for op, nested in ops for plain in
                (self._flat(nested[1]) if nested else [op])]

    def _run(self, chosen: bool, ops: list) -> pb.TxnResponse:
        reply = pb.TxnResponse(succeeded=chosen)
        for op, nested in ops:
            answer = reply.responses.add()
            if nested:
                answer.response_txn.CopyFrom(self._run(*nested))
                answer.response_txn.header.SetInParent()
            elif op.HasField("request_range"):
                answer.response_range.CopyFrom(self._range(op.request_range))
            elif op.HasField("request_put"):
                answer.response_put.CopyFrom(self._put(op.request_put))
            else:
                answer.response_delete_range.CopyFrom(self._delete(op.request_delete_range))
        return reply

    def txn(self, request: pb.TxnRequest) -> pb.TxnResponse:
        self._check_txn_form(request)
        checked_puts(request.success)
        checked_puts(request.failure)
        chosen, ops = self._path(request)
        self._check_path(ops)
        reply = self._run(chosen, ops)
        reply.header.revision = self._running
        self._end()
        return reply

    # -- Compact, leases ------------------------------------------------------------------------

    def compact(self, revision: int) -> int:
        if revision <= self.compacted:
            raise Refused(COMPACTED)
        if revision > self.revision:
            raise Refused(FUTURE)
        self.compacted = revision
        self.states = {at: state for at, state in self.states.items() if at >= revision}
        newest = {key: (at, sub) for at, sub, key, _, _ in self.records if at <= revision}
        self.records = [
            stored for stored in self.records if stored[0] > revision
            or (newest[stored[2]] == stored[:2] and (not stored[3] or stored[0] == revision))]
        return self.revision

    def grant(self, lease: int) -> None:
        if lease in self.leases:
            raise Refused(LEASE_EXISTS)
        self.leases[lease] = set()

    def revoke(self, lease: int) -> int:
        if lease not in self.leases:
            raise Refused(LEASE_NOT_FOUND)
        for key in sorted(self.leases[lease]):
            self._change(key, None)
        self._end()
        del self.leases[lease]
        return self.revision
