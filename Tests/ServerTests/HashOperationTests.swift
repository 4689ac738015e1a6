// HashOperationTests.swift: HashKV against a checksum over records that the test makes itself.
// Belongs here: HashOperation alone. Never here: the call (Front).
// Source: etcd semantics M6; etcdctl.md part 4 (record keys and values).

import Storage
import Testing
import TestSupport

@testable import Server

@Suite struct HashOperationTests {
    /// CRC-32C bit by bit.
    private static func checksum(_ bytes: [UInt8]) -> UInt64 {
        var crc: UInt32 = .max
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
        }
        return UInt64(~crc)
    }

    /// The key of a record: revision, an underscore, the order in the request, and a t for a
    /// deletion.
    private static func recordKey(_ main: UInt64, _ sub: UInt64, isDelete: Bool = false) -> [UInt8]
    {
        func bytes(_ number: UInt64) -> [UInt8] {
            (0..<8).reversed().map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        }
        return bytes(main) + [UInt8(ascii: "_")] + bytes(sub)
            + (isDelete ? [UInt8(ascii: "t")] : [])
    }

    /// A KeyValue message whose numbers are all below 128.
    private static func record(
        _ key: String, _ created: UInt8, _ modified: UInt8, _ version: UInt8, _ value: String,
        lease: UInt8 = 0
    ) -> [UInt8] {
        [0x0a, UInt8(key.utf8.count)] + key.utf8 + [0x10, created, 0x18, modified, 0x20, version]
            + (value.isEmpty ? [] : [0x2a, UInt8(value.utf8.count)] + value.utf8)
            + (lease == 0 ? [] : [0x30, lease])
    }

    private static let bucket = Array("key".utf8)

    @Test("checksum: the test's own is CRC-32C")
    func ownChecksum() {
        #expect(Self.checksum(Array("123456789".utf8)) == 0xe306_9283)
    }

    @Test("hash: every record up to the revision counts, with its key and its bytes")
    func records() throws {
        // Given puts, a deletion and a transaction
        let rig = try ReplicaRig.started()
        _ = rig.ask(.leaseGrant(LeaseGrantRequest(ttl: 100, id: 9)))
        _ = rig.ask(.put("a", "1"))
        _ = rig.ask(.put("b", "", lease: 9))
        let txn = TxnRequest(success: [
            .deleteRange(DeleteRangeRequest(key: "a")), .put(PutRequest(key: "b", value: "2")),
        ])
        _ = rig.ask(.txn(txn))
        var bytes =
            Self.bucket + Self.recordKey(2, 0) + Self.record("a", 2, 2, 1, "1")
            + Self.recordKey(3, 0) + Self.record("b", 3, 3, 1, "", lease: 9)
        #expect(try rig.hashKV(at: 3).hash == Self.checksum(bytes))
        bytes += Self.recordKey(4, 0, isDelete: true) + [0x0a, 1, UInt8(ascii: "a")]
        bytes += Self.recordKey(4, 1) + Self.record("b", 3, 4, 2, "2")
        let whole = try rig.hashKV()
        #expect(whole.hash == Self.checksum(bytes))
        #expect(whole.compactRevision == -1)
        #expect(whole.hashRevision == 4)
        #expect(try rig.hashKV(at: 4) == whole)
    }

    @Test("hash: an empty store hashes its bucket's name")
    func empty() throws {
        #expect(try ReplicaRig.started().hashKV().hash == Self.checksum(Self.bucket))
    }

    @Test("hash: of what is compacted only what is still needed counts, removed already or not")
    func compacted() throws {
        // Given a compaction of which no row, some rows, all rows are gone
        let rig = try ReplicaRig.started {
            $0.compactionBatchLimit = 1
            $0.compactionSleepMilliseconds = 10
        }
        for number in 0..<4 { _ = rig.ask(.put("a", "\(number)")) }
        _ = rig.ask(.put("gone", "1"))
        _ = rig.ask(.delete("gone"))
        _ = rig.ask(.put("b", "1"))
        _ = rig.ask(.compact(CompactionRequest(revision: 7)))
        let bytes =
            Self.bucket + Self.recordKey(5, 0) + Self.record("a", 2, 5, 4, "3")
            + Self.recordKey(8, 0) + Self.record("b", 8, 8, 1, "1")
        var isFinished = false
        var steps = 0
        while !isFinished, steps < 30 {
            let hash = try rig.hashKV()
            #expect(hash.hash == Self.checksum(bytes), "step \(steps)")
            #expect(hash.compactRevision == 7)
            isFinished = rig.output.reports.contains(.compacted(revision: 7))
            rig.settle(after: 10)
            steps += 1
        }
        #expect(isFinished && steps > 3)
    }

    @Test("hash: a long history is hashed in steps of bounded size")
    func steps() throws {
        let rig = try ReplicaRig.started()
        for _ in 0..<6 {
            for _ in 0..<1000 { rig.send(.put("k", "v")) }
            rig.settle()
        }
        let (calls, hash) = try rig.read { (reader, view) throws(StorageError) in
            let operation = try HashOperation(reader: reader, state: view, revision: 0)
            var calls = 1
            while try !operation.step() { calls += 1 }
            operation.close()
            return (calls, view.revision)
        }
        #expect(calls == 2)
        #expect(hash == 6001)
    }
}
