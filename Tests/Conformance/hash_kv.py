"""hash_kv.py: HashKV computed from a known history, the slow and obvious way (rule M6).

Source of truth: what a running etcd answers; see test_maintenance.py. A record is the tuple
(revision, sub, key, is tombstone, stored bytes); sub counts the changes inside one revision.
"""

from __future__ import annotations

import struct


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """Castagnoli's CRC."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def record(revision: int, sub: int, tombstone: bool, kv: object) -> tuple:
    """The stored record of one change; of a tombstone `kv` holds the key only."""
    name = struct.pack(">qcq", revision, b"_", sub) + b"t" * tombstone
    return (revision, sub, kv.key, tombstone, name + kv.SerializeToString())


def hash_of(records: list[tuple], revision: int, compacted: int = -1) -> int:
    """M6 over the records up to `revision`, as etcd computes it.

    A compaction at `revision` itself would keep the newest put of each key. Puts up to the
    compacted revision count only if they are among those, or if there are none such; tombstones
    up to it never count; what came later always does.
    """
    newest = {key: (at, sub, tombstone) for at, sub, key, tombstone, _ in records if at <= revision}
    kept = {(at, sub) for at, sub, tombstone in newest.values() if not tombstone}
    data = b"key"
    for at, sub, _, tombstone, stored in records:
        counts = at > compacted or (not tombstone and ((at, sub) in kept or not kept))
        if at <= revision and counts:
            data += stored
    return crc32c(data)
