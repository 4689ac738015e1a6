// WireRequestTests.swift: requests against bytes that another protobuf implementation made.
// Belongs here: known answers. Never here: malformed input (WireReaderTests.swift).
// Source: Google's protobuf for Python, from definitions written after messages.tsv.

import Testing

@testable import Server

@Suite("wire requests: known answers")
struct WireRequestTests {
    private let long = Bytes([UInt8](repeating: UInt8(ascii: "z"), count: 130))
    private let longHex = String(repeating: "7a", count: 130)

    /// Both ways: the bytes mean the message, and the message becomes the bytes.
    private func knownAnswer<Message: WireMessage>(
        _ message: Message, _ hex: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let bytes = bytesOfHex(hex)
        #expect(try Message(decoding: bytes) == message, sourceLocation: sourceLocation)
        #expect(message.encoded() == bytes, sourceLocation: sourceLocation)
    }

    @Test("range: every field, and numbers this version does not know")
    func ranges() throws {
        try knownAnswer(RangeRequest(), "")
        try knownAnswer(RangeRequest(key: "foo"), "0a03666f6f")
        try knownAnswer(
            RangeRequest(
                key: [0, 255, 128], rangeEnd: [0], limit: 500, revision: 1 << 40,
                sortOrder: .descend,
                sortTarget: .mod, serializable: true, keysOnly: true, countOnly: true,
                minModRevision: 1,
                maxModRevision: 128, minCreateRevision: 16384, maxCreateRevision: .max),
            "0a0300ff8012010018f40320808080808020280230033801400148015001588001608080"
                + "0168ffffffffffffffff7f")
        try knownAnswer(
            RangeRequest(limit: -1, revision: .min, sortOrder: .init(rawValue: 77)),
            "18ffffffffffffffffff012080808080808080808001284d")
        try knownAnswer(RangeRequest(sortTarget: .init(rawValue: -3)), "30fdffffffffffffffff01")
    }

    @Test("put, delete and compaction: every field")
    func writes() throws {
        try knownAnswer(PutRequest(key: "foo", value: "bar"), "0a03666f6f1203626172")
        try knownAnswer(
            PutRequest(
                key: "k", value: long, lease: -2, prevKV: true, ignoreValue: true,
                ignoreLease: true),
            "0a016b128201"
                + longHex
                + "18feffffffffffffffff01200128013001")
        try knownAnswer(
            DeleteRangeRequest(key: "a", rangeEnd: "b", prevKV: true),
            "0a01611201621801")
        try knownAnswer(CompactionRequest(revision: 300, physical: true), "08ac021001")
    }

    @Test("txn: every compare operand, every operation, nested and unset ones")
    func txns() throws {
        try knownAnswer(TxnRequest(), "")
        try knownAnswer(
            TxnRequest(
                compare: [
                    Compare(result: .notEqual, target: .value, key: "k", operand: .value("")),
                    Compare(key: "k", operand: .version(0), rangeEnd: "l"),
                    Compare(result: .init(rawValue: 9), target: .create, key: "k", operand: .none),
                    Compare(result: .less, target: .mod, operand: .modRevision(-1)),
                    Compare(result: .greater, target: .lease, key: "k", operand: .lease(7)),
                    Compare(target: .init(rawValue: 8), operand: .createRevision(150)),
                ],
                success: [
                    .put(PutRequest(key: "k", value: "v")), .range(RangeRequest(key: "k")), .none,
                    .deleteRange(DeleteRangeRequest(key: "k")),
                ],
                failure: [
                    .txn(TxnRequest(success: [.put(PutRequest())])), .txn(TxnRequest()),
                ]),
            "0a09080310031a016b3a000a091a016b20008204016c0a07080910011a016b0a0f080210"
                + "0230ffffffffffffffffff010a09080110041a016b40070a051008289601120812060a01"
                + "6b12017612050a030a016b120012051a030a016b1a062204120212001a022200")
    }

    @Test("watch: create, cancel, progress and an unset member")
    func watches() throws {
        try knownAnswer(WatchRequest.none, "")
        try knownAnswer(
            WatchRequest.create(
                WatchCreateRequest(
                    key: "a", rangeEnd: [0], startRevision: 9, progressNotify: true,
                    filters: [0, 1, 300, -1], prevKV: true, watchID: -5, fragment: true)),
            "0a290a0161120100180920012a0e0001ac02ffffffffffffffffff01300138fbffffffff"
                + "ffffffff014001")
        try knownAnswer(WatchRequest.create(WatchCreateRequest()), "0a00")
        try knownAnswer(WatchRequest.cancel(WatchCancelRequest(watchID: 3)), "12020803")
        try knownAnswer(WatchRequest.progress, "1a00")
    }

    @Test("lease: every request")
    func leases() throws {
        try knownAnswer(LeaseGrantRequest(ttl: 60, id: -1), "083c10ffffffffffffffffff01")
        try knownAnswer(LeaseRevokeRequest(id: 1 << 62), "08808080808080808040")
        try knownAnswer(
            LeaseKeepAliveRequest(id: 7_587_862_093_934_214_405),
            "0885fae6ccf48be0a669")
        try knownAnswer(LeaseTimeToLiveRequest(id: 5, keys: true), "08051001")
        try knownAnswer(LeaseLeasesRequest(), "")
    }

    @Test("maintenance and health: every request")
    func maintenance() throws {
        try knownAnswer(
            AlarmRequest(action: .deactivate, memberID: .max, alarm: .corrupt),
            "080210ffffffffffffffffff011802")
        try knownAnswer(StatusRequest(), "")
        try knownAnswer(HashKVRequest(revision: 127), "087f")
        try knownAnswer(MoveLeaderRequest(targetID: 128), "088001")
        try knownAnswer(DowngradeRequest(action: .cancel, version: "3.5"), "08021203332e35")
        try knownAnswer(HealthCheckRequest(service: "größe"), "0a076772c3b6c39f65")
    }

    @Test("cluster: every request")
    func cluster() throws {
        try knownAnswer(MemberListRequest(linearizable: true), "0801")
        try knownAnswer(
            MemberAddRequest(peerURLs: ["http://a:1", ""], isLearner: true),
            "0a0a687474703a2f2f613a310a001001")
        try knownAnswer(MemberRemoveRequest(id: 1), "0801")
        try knownAnswer(MemberUpdateRequest(id: 2, peerURLs: ["x"]), "0802120178")
        try knownAnswer(MemberPromoteRequest(id: 3), "0803")
    }
}
