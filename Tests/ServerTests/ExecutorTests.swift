// ExecutorTests.swift: what each request does to the store, and what it answers.
// Belongs here: one rule a test, on a plain database in memory. Never here: batches, commits
// (ReplicaTests).
// Source: etcd semantics G2, G6, P1-P6, D1-D4, T1-T14, C1, C2, L1, L2, L10, M2-M4.

import Storage
import Testing

@testable import EtcdResponses
@testable import Server

/// An executor on a database in memory.
final class ExecutorRig {
    let connection: Connection
    let executor: Executor

    init(
        settings: ExecutorSettings = ExecutorSettings(), bytesInUse: Int64 = 0,
        members: [MemberRow] = []
    ) throws(StorageError) {
        connection = try Connection(path: ":memory:")
        try Schema.create(on: connection)
        let table = try MemberTable(connection: connection)
        for row in members { try table.set(row) }
        executor = try Executor(
            connection: connection, identity: ReplicaRig.identity, settings: settings,
            leaseIDs: LeaseIDGenerator(seed: 1), now: Tick(milliseconds: 0), leaseGrace: 1000)
        executor.beginBatch(
            now: Tick(milliseconds: 0), term: 3, bytesInUse: bytesInUse, isDiskFull: false)
    }

    /// Carries out a request that has to be refused.
    func refusal(_ body: ReplicaRequest.Body) -> RequestFailure? {
        do throws(RequestFailure) {
            _ = try executor.execute(body)
            return nil
        } catch {
            return error
        }
    }

    /// Carries out a request; its answer's bytes.
    @discardableResult
    func run(_ body: ReplicaRequest.Body, by authority: Authority = .nobody) throws -> [UInt8] {
        switch try executor.execute(body, by: authority) {
        case .answer(let bytes), .answerWhenCompacted(let bytes), .memberChange(let bytes): bytes
        }
    }

    func put(_ request: PutRequest) throws -> DecodedPut {
        try DecodedPut(decoding: run(.put(request)))
    }

    func txn(_ request: TxnRequest) throws -> DecodedTxn {
        try DecodedTxn(decoding: run(.txn(request)))
    }

    /// The live keys with values and revisions, as text.
    func content() throws -> [String] {
        let request = RangeRequest(key: [0], rangeEnd: [0])
        let bytes = try RangeOperation(
            request: request, reader: executor.keys.reader, revision: nil, header: .empty,
            splits: false, knownCount: nil
        ).run()
        return try DecodedRange(decoding: bytes).kvs.map {
            "\(String(decoding: $0.key.array, as: UTF8.self))=\($0.text)"
        }
    }
}

@Suite struct ExecutorTests {
    private static func put(_ key: Bytes, _ value: Bytes = "") -> RequestOp {
        .put(PutRequest(key: key, value: value))
    }

    private static func get(_ key: Bytes, revision: Int64 = 0) -> RequestOp {
        .range(RangeRequest(key: key, revision: revision))
    }

    private static func delete(_ key: Bytes, _ end: Bytes = "") -> RequestOp {
        .deleteRange(DeleteRangeRequest(key: key, rangeEnd: end))
    }

    // MARK: puts

    @Test("put: the answer has the new revision, and the old value if asked")
    func put() throws {
        let rig = try ExecutorRig()
        let first = try rig.put(PutRequest(key: "a", value: "1", prevKV: true))
        #expect(
            first.header?.value
                == ResponseHeader(clusterID: 0xc1, memberID: 0xa1, revision: 2, raftTerm: 3))
        #expect(first.prevKV == nil)
        let second = try rig.put(PutRequest(key: "a", value: "2", prevKV: true))
        #expect(
            second.prevKV
                == WireKeyValue(
                    key: "a", createRevision: 2, modRevision: 2, version: 1, value: "1"))
        #expect(try rig.put(PutRequest(key: "a")).prevKV == nil)
        let events = try #require(rig.executor.takeEvents())
        #expect(events.map(\.record.version) == [1, 2, 3])
        #expect(events.map(\.previous.main) == [0, 2, 3])
    }

    @Test("put: the value or the lease can be kept, of a key that exists")
    func ignoring() throws {
        let rig = try ExecutorRig()
        try rig.run(.leaseGrant(LeaseGrantRequest(ttl: 10, id: 7)))
        let missing = RequestFailure.refused(.keyNotFound)
        #expect(rig.refusal(.put(PutRequest(key: "a", ignoreValue: true))) == missing)
        #expect(rig.refusal(.put(PutRequest(key: "a", value: "1", ignoreLease: true))) == missing)
        try rig.run(.put("a", "1", lease: 7))
        try rig.run(.put(PutRequest(key: "a", value: "2", ignoreLease: true)))
        let kept = try rig.put(PutRequest(key: "a", prevKV: true, ignoreValue: true)).prevKV
        #expect(kept?.lease == 7)
        #expect(kept?.value == "2")
        let last = try rig.put(PutRequest(key: "a", prevKV: true)).prevKV
        #expect(last?.value == "2")
        #expect(last?.lease == 0)
        try rig.run(.delete("a"))
        #expect(rig.refusal(.put(PutRequest(key: "a", ignoreValue: true))) == missing)
    }

    @Test("put: a lease must live; nothing is written for a request that is refused")
    func refusedPut() throws {
        let rig = try ExecutorRig()
        #expect(rig.refusal(.put("a", "1", lease: 9)) == .refused(.leaseNotFound))
        #expect(!rig.executor.hasChangedKeys)
        #expect(rig.executor.keys.revision == 1)
        #expect(rig.executor.takeEvents()?.isEmpty == true)
        #expect(rig.refusal(.put(PutRequest(value: "1"))) == .refused(.emptyKey))
    }

    // MARK: deletions

    @Test("delete: all of a range go in one revision, in key order; of nothing it changes nothing")
    func deleteRange() throws {
        let rig = try ExecutorRig()
        for key in ["c", "a", "b", "d"] { try rig.run(.put(key, key)) }
        _ = rig.executor.takeEvents()
        let request = DeleteRangeRequest(key: "a", rangeEnd: "d", prevKV: true)
        let answer = try DecodedDeleteRange(decoding: rig.run(.deleteRange(request)))
        #expect(answer.deleted == 3)
        #expect(answer.header?.value.revision == 6)
        #expect(answer.prevKVs.map(\.text) == ["a@3", "b@4", "c@2"])
        let events = try #require(rig.executor.takeEvents())
        #expect(events.map(\.key) == ["a", "b", "c"])
        #expect(events.map(\.record.revision) == (0..<3).map { PackedRevision(main: 6, sub: $0) })
        let nothing = try DecodedDeleteRange(decoding: rig.run(.deleteRange(request)))
        #expect(nothing.deleted == 0)
        #expect(nothing.header?.value.revision == 6)
        #expect(!rig.executor.hasChangedKeys)
    }

    // MARK: transactions

    @Test("txn: operations see those before them, and the headers inside say what they see")
    func order() throws {
        let rig = try ExecutorRig()
        try rig.run(.put("a", "1"))
        let answer = try rig.txn(
            TxnRequest(success: [
                Self.get("a"), Self.delete("none"), Self.put("a", "2"), Self.get("a"),
                Self.delete("none"), Self.delete("b", "c"),
            ]))
        #expect(answer.succeeded)
        #expect(answer.header?.value.revision == 3)
        var revisions: [Int64?] = []
        for response in answer.responses {
            switch response {
            case .range(let range):
                revisions.append(range.header?.value.revision)
                revisions.append(range.kvs.first?.modRevision)
            case .put(let put): revisions.append(put.header?.value.revision)
            case .deleteRange(let deleted): revisions.append(deleted.header?.value.revision)
            case .none, .txn: Issue.record("\(response)")
            }
        }
        #expect(revisions == [2, 2, 2, 3, 3, 3, 3, 3])
        guard case .range(let inside)? = answer.responses.first else { return }
        #expect(inside.header?.value == .inTxn(revision: 2))
    }

    @Test("txn: an empty one succeeds, answers nothing and changes nothing")
    func emptyTxn() throws {
        let rig = try ExecutorRig()
        let answer = try rig.txn(TxnRequest())
        #expect(answer.succeeded && answer.responses.isEmpty)
        #expect(answer.header?.value.revision == 1)
        #expect(!rig.executor.hasChangedKeys)
    }

    @Test("txn: nested ones take their own path, decided before anything is written")
    func nested() throws {
        let rig = try ExecutorRig()
        let isMissing = Compare(target: .version, key: "a")
        let inner = TxnRequest(
            compare: [isMissing], success: [Self.put("b", "yes")], failure: [Self.put("b", "no")])
        let answer = try rig.txn(TxnRequest(success: [Self.put("a"), .txn(inner)]))
        #expect(try rig.content() == ["a=@2", "b=yes@2"])
        guard case .txn(let nested)? = answer.responses.last else {
            Issue.record("\(answer.responses)")
            return
        }
        #expect(nested.succeeded)
        #expect(nested.header?.value == .empty)
        #expect(nested.responses.count == 1)
        let again = try rig.txn(
            TxnRequest(compare: [isMissing], success: [], failure: [.txn(inner)]))
        #expect(!again.succeeded)
        #expect(try rig.content() == ["a=@2", "b=no@3"])
    }

    @Test("txn: what the path taken cannot do refuses all of it; the other path is not looked at")
    func checks() throws {
        let rig = try ExecutorRig()
        try rig.run(.put("a", "1"))
        try rig.run(.put("a", "2"))
        try rig.run(.compact(CompactionRequest(revision: 2)))
        let bad: [(RequestOp, EtcdError)] = [
            (Self.get("a", revision: 4), .futureRevision), (Self.get("a", revision: 1), .compacted),
            (Self.get("a", revision: -1), .compacted),
            (.put(PutRequest(key: "x", lease: 5)), .leaseNotFound),
            (.put(PutRequest(key: "x", ignoreValue: true)), .keyNotFound),
            (.txn(TxnRequest(success: [.put(PutRequest(key: "x", lease: 5))])), .leaseNotFound),
        ]
        for (operation, error) in bad {
            let taken = TxnRequest(success: [Self.put("b"), operation])
            #expect(rig.refusal(.txn(taken)) == .refused(error))
            #expect(!rig.executor.hasChangedKeys)
            let other = try rig.txn(TxnRequest(success: [], failure: [operation]))
            #expect(other.succeeded)
        }
        #expect(try rig.content() == ["a=2@3"])
        // A deletion before it, which validation does not see, takes the key away
        let quirk = TxnRequest(success: [
            Self.delete("a", [0]), .put(PutRequest(key: "a", ignoreValue: true)),
        ])
        #expect(rig.refusal(.txn(quirk)) == .refused(.keyNotFound))
        #expect(try rig.content() == ["a=2@3"])
    }

    @Test("compare: each target and relation reads 'stored RESULT given'")
    func compares() throws {
        // Given a key of version 2, created at 2, changed at 3, with value "m" and lease 7
        let rig = try ExecutorRig()
        try rig.run(.leaseGrant(LeaseGrantRequest(ttl: 10, id: 7)))
        try rig.run(.put("k", "l", lease: 7))
        try rig.run(.put("k", "m", lease: 7))
        func holds(_ compare: Compare) throws -> Bool {
            try rig.txn(TxnRequest(compare: [compare])).succeeded
        }
        func check(_ target: Compare.Target, _ operands: [Compare.Operand]) throws {
            // Below, equal and above what is stored
            let wanted: [(Compare.Result, [Bool])] = [
                (.equal, [false, true, false]), (.notEqual, [true, false, true]),
                (.greater, [true, false, false]), (.less, [false, false, true]),
                (.init(rawValue: 9), [true, true, true]),
            ]
            for (result, row) in wanted {
                for (operand, value) in zip(operands, row) {
                    let compare = Compare(
                        result: result, target: target, key: "k", operand: operand)
                    #expect(try holds(compare) == value, "\(compare)")
                }
            }
        }
        try check(.version, [.version(1), .version(2), .version(3)])
        try check(.create, [.createRevision(1), .createRevision(2), .createRevision(3)])
        try check(.mod, [.modRevision(2), .modRevision(3), .modRevision(4)])
        try check(.lease, [.lease(6), .lease(7), .lease(8)])
        try check(.value, [.value("l"), .value("m"), .value("ma")])
        // An operand of another kind counts as zero
        #expect(try holds(Compare(result: .greater, target: .mod, key: "k", operand: .version(9))))
        #expect(try !holds(Compare(target: .value, key: "k", operand: .lease(1))))
        #expect(try holds(Compare(target: .init(rawValue: 9), key: "k", operand: .lease(1))))
    }

    @Test(
        "compare: a missing key is all zeros, but its value equals nothing and differs from nothing"
    )
    func compareMissing() throws {
        let rig = try ExecutorRig()
        func holds(_ compare: Compare) throws -> Bool {
            try rig.txn(TxnRequest(compare: [compare])).succeeded
        }
        for target in [.version, .create, .mod, .lease] as [Compare.Target] {
            #expect(try holds(Compare(target: target, key: "x")))
            #expect(try !holds(Compare(result: .greater, target: target, key: "x")))
        }
        for result in [.equal, .notEqual, .greater, .less] as [Compare.Result] {
            #expect(
                try !holds(Compare(result: result, target: .value, key: "x", operand: .value(""))))
        }
        // A deleted key is a missing one
        try rig.run(.put("x", "1"))
        try rig.run(.delete("x"))
        #expect(try holds(Compare(target: .create, key: "x")))
    }

    @Test("compare: over a range every key must pass; an empty range is a missing key")
    func compareRange() throws {
        let rig = try ExecutorRig()
        for key in ["a", "b", "c"] { try rig.run(.put(key, "v")) }
        try rig.run(.put("c", "w"))
        func holds(_ end: Bytes, _ key: Bytes = "a") throws -> Bool {
            let compare = Compare(target: .version, key: key, operand: .version(1), rangeEnd: end)
            return try rig.txn(TxnRequest(compare: [compare])).succeeded
        }
        #expect(try holds("c"))
        #expect(try !holds("d"))
        #expect(try !holds([0]))
        #expect(try !holds("y", "x"))
    }

    // MARK: leases

    @Test("lease: a short time is raised to the least, ids are free or refused, 0 is chosen")
    func grant() throws {
        let rig = try ExecutorRig()
        func grant(_ ttl: Int64, _ id: Int64) throws -> DecodedLease {
            try DecodedLease(decoding: rig.run(.leaseGrant(LeaseGrantRequest(ttl: ttl, id: id))))
        }
        #expect(try grant(1, 5).ttl == 2)
        #expect(try grant(-9, -5).ttl == 2)
        #expect(try grant(9_000_000_000, 6).ttl == 9_000_000_000)
        let chosen = try [grant(5, 0).id, grant(5, 0).id]
        #expect(chosen.allSatisfy { $0 > 0 } && chosen[0] != chosen[1])
        let tooLarge = LeaseGrantRequest(ttl: 9_000_000_001, id: 8)
        #expect(rig.refusal(.leaseGrant(tooLarge)) == .refused(.leaseTTLTooLarge))
        let taken = LeaseGrantRequest(ttl: 5, id: 5)
        #expect(rig.refusal(.leaseGrant(taken)) == .refused(.leaseExists))
        #expect(rig.executor.keys.revision == 1)
    }

    @Test(
        "lease: revoking takes its keys in one revision; unknown is refused; keys that moved stay")
    func revoke() throws {
        let rig = try ExecutorRig()
        for id in [5, 6] as [Int64] { try rig.run(.leaseGrant(LeaseGrantRequest(ttl: 10, id: id))) }
        for key in ["c", "a", "b", "d"] { try rig.run(.put(key, "1", lease: 5)) }
        try rig.run(.put("b", "2", lease: 6))
        try rig.run(.put("d", "2"))
        try rig.run(.leaseRevoke(LeaseRevokeRequest(id: 5)))
        #expect(rig.executor.keys.revision == 8)
        #expect(try rig.content() == ["b=2@6", "d=2@7"])
        #expect(rig.refusal(.leaseRevoke(LeaseRevokeRequest(id: 5))) == .refused(.leaseNotFound))
        try rig.run(.leaseGrant(LeaseGrantRequest(ttl: 10, id: 9)))
        try rig.run(.leaseRevoke(LeaseRevokeRequest(id: 9)))
        #expect(rig.executor.keys.revision == 8)
    }

    // MARK: maintenance

    @Test("compaction: it must lie ahead of the former one and not in the future; 0 is right once")
    func compact() throws {
        let rig = try ExecutorRig()
        for number in 0..<3 { try rig.run(.put("a", "\(number)")) }
        func compact(_ revision: Int64) -> RequestFailure? {
            rig.refusal(.compact(CompactionRequest(revision: revision)))
        }
        #expect(compact(5) == .refused(.futureRevision))
        #expect(compact(-1) == .refused(.compacted))
        #expect(compact(0) == nil)
        #expect(compact(0) == .refused(.compacted))
        #expect(compact(4) == nil)
        #expect(compact(4) == .refused(.compacted))
        #expect(rig.executor.takeNewCompaction())
        #expect(!rig.executor.takeNewCompaction())
    }

    @Test("alarms: raised, listed and cleared, by member and kind")
    func alarms() throws {
        let rig = try ExecutorRig()
        func alarm(_ action: AlarmRequest.Action, _ member: UInt64, _ kind: AlarmType) throws {
            try rig.run(.alarm(AlarmRequest(action: action, memberID: member, alarm: kind)))
        }
        for _ in 0..<2 { try alarm(.activate, 4, .noSpace) }
        try alarm(.activate, 5, .corrupt)
        try alarm(.activate, 5, .none)
        #expect(
            rig.executor.alarms == [AlarmRow(member: 4, kind: 1), AlarmRow(member: 5, kind: 2)])
        #expect(rig.executor.alarmKinds == 0b110)
        try alarm(.deactivate, 5, .noSpace)
        try alarm(.deactivate, 4, .noSpace)
        #expect(rig.executor.alarms == [AlarmRow(member: 5, kind: 2)])
    }

    @Test(
        "alarms: corrupt data refuses every change, short space only what grows"
    )
    func alarmsRefuse() throws {
        let rig = try ExecutorRig()
        try rig.run(.put("a", "1"))
        try rig.run(.leaseGrant(LeaseGrantRequest(ttl: 10, id: 5)))
        let puts = TxnRequest(success: [Self.get("a")], failure: [Self.put("b")])
        let all: [(ReplicaRequest.Body, grows: Bool)] = [
            (.put("b", "1"), true), (.txn(puts), true),
            (.leaseGrant(LeaseGrantRequest(ttl: 10, id: 6)), true),
            (.txn(TxnRequest(success: [Self.delete("x")])), false), (.delete("x"), false),
            (.leaseRevoke(LeaseRevokeRequest(id: 5)), false),
            (.compact(CompactionRequest(revision: 1)), false),
        ]
        func set(_ action: AlarmRequest.Action, _ kind: AlarmType) throws {
            try rig.run(.alarm(AlarmRequest(action: action, memberID: 1, alarm: kind)))
        }
        try set(.activate, .corrupt)
        for (body, _) in all { #expect(rig.refusal(body) == .refused(.corrupt), "\(body)") }
        try set(.deactivate, .corrupt)
        try set(.activate, .noSpace)
        for (body, grows) in all {
            #expect(rig.refusal(body) == (grows ? .refused(.noSpace) : nil), "\(body)")
        }
    }

    @Test("quota: what does not fit raises the alarm, by the cost of the larger list")
    func quota() throws {
        let settings = ExecutorSettings(quotaBytes: 10_000)
        func refusal(_ bytes: Int64, _ body: ReplicaRequest.Body) throws -> (RequestFailure?, UInt8)
        {
            let rig = try ExecutorRig(settings: settings, bytesInUse: bytes)
            return (rig.refusal(body), rig.executor.alarmKinds)
        }
        // A put of 1 + 3 bytes costs 260
        #expect(try refusal(9_740, .put("a", "123")) == (nil, 0))
        #expect(try refusal(9_741, .put("a", "123")) == (.refused(.noSpace), 0b10))
        let txn = TxnRequest(
            success: [Self.put("a", "123")], failure: [Self.put("a"), Self.put("b")])
        #expect(try refusal(9_486, .txn(txn)) == (nil, 0))
        #expect(try refusal(9_487, .txn(txn)) == (.refused(.noSpace), 0b10))
        #expect(try refusal(20_000, .txn(TxnRequest(success: [Self.delete("a")]))) == (nil, 0))
    }

    @Test("lease ids: the same seed gives the same ids, all positive")
    func leaseIDs() {
        var (one, two, other) = (
            LeaseIDGenerator(seed: 1), LeaseIDGenerator(seed: 1), LeaseIDGenerator(seed: 2)
        )
        let ids = (0..<1000).map { _ in one.next() }
        #expect(ids == (0..<1000).map { _ in two.next() })
        #expect(ids.allSatisfy { $0 > 0 } && Set(ids).count == 1000)
        #expect(other.next() != ids[0])
    }
}
