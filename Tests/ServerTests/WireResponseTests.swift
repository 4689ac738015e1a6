// WireResponseTests.swift: answers against bytes that another protobuf implementation made.
// Belongs here: known answers of every response encoder. Never here: random ones (WireRandomTests).
// Source: Google's protobuf for Python, from definitions written after messages.tsv.

import Testing

@testable import EtcdResponses
@testable import Server

@Suite("wire responses: known answers")
struct WireResponseTests {
    private let header = ResponseHeader(
        clusterID: 0xcdf8_1819_4e3a_8c32, memberID: 0x8e9e_05c5_2164_694d, revision: 42, raftTerm: 3
    )
    private let headerHex = "0a1a08b298eaf1948386fccd0110cdd2918bd2b881cf8e01182a2003"
    private let longHex = String(repeating: "7a", count: 130)

    private let first = WireKeyValue(
        key: "foo", createRevision: 2, modRevision: 300, version: 7, value: "bar", lease: -1)
    private let second = WireKeyValue(
        key: "foo/2", createRevision: 5, modRevision: 5, version: 1)
    private let long = WireKeyValue(
        key: "k", createRevision: 1, modRevision: 1, version: 1,
        value: Bytes([UInt8](repeating: UInt8(ascii: "z"), count: 130)))

    private func expect(
        _ hex: String, sourceLocation: SourceLocation = #_sourceLocation,
        _ body: (inout ProtoWriter) -> Void
    ) {
        var writer = ProtoWriter()
        body(&writer)
        #expect(writer.take() == bytesOfHex(hex), sourceLocation: sourceLocation)
    }

    @Test("header: in front of every answer, and present even when it is empty")
    func headers() {
        expect(headerHex) { $0.headerOnlyResponse(header) }
        expect("0a00") { $0.headerOnlyResponse(.empty) }
    }

    @Test("range: keys in order between the header and the count")
    func ranges() {
        expect(
            headerHex
                + "121c0a03666f6f100218ac0220072a0362617230ffffffffffffffffff01120d"
                + "0a05666f6f2f32100518052001180120e807"
        ) { writer in
            writer.beginRangeResponse(header)
            first.withView { writer.appendRangeKV($0) }
            second.withView { writer.appendRangeKV($0) }
            writer.endRangeResponse(more: true, count: 1000)
        }
        expect(
            headerHex
                + "128e010a016b1001180120012a8201"
                + longHex
                + "2001"
        ) { writer in
            writer.beginRangeResponse(header)
            long.withView { writer.appendRangeKV($0) }
            writer.endRangeResponse(more: false, count: 1)
        }
        expect(headerHex) { writer in
            writer.beginRangeResponse(header)
            writer.endRangeResponse(more: false, count: 0)
        }
    }

    @Test("put: with and without the previous key")
    func puts() {
        expect(headerHex) { $0.putResponse(header, previous: nil) }
        expect(
            headerHex
                + "121c0a03666f6f100218ac0220072a0362617230ffffffffffffffffff01"
        ) { writer in first.withView { writer.putResponse(header, previous: $0) } }
    }

    @Test("delete: header and number go in front of the keys although they are known last")
    func deletes() {
        expect(
            headerHex
                + "10021a1c0a03666f6f100218ac0220072a0362617230ffffffffffffffffff01"
                + "1a0d0a05666f6f2f32100518052001"
        ) { writer in
            first.withView { writer.appendDeletedKV($0) }
            second.withView { writer.appendDeletedKV($0) }
            writer.endDeleteRangeResponse(from: 0, header, deleted: 2)
        }
    }

    @Test("txn: one answer of each kind, one of them nested")
    func txns() {
        expect(
            headerHex
                + "10011a0612040a02182b1a9a010a97010a02182b128e010a016b100118012001"
                + "2a8201"
                + longHex
                + "20011a261a240a02182b10011a1c0a03666f6f100218ac0220072a0362617230"
                + "ffffffffffffffffff011a0c220a0a001a060a040a02182b"
        ) { writer in
            let inner = ResponseHeader.inTxn(revision: 43)
            let put = writer.openResponseOp(.put)
            writer.putResponse(inner, previous: nil)
            writer.close(put)
            let range = writer.openResponseOp(.range)
            writer.beginRangeResponse(inner)
            long.withView { writer.appendRangeKV($0) }
            writer.endRangeResponse(more: false, count: 1)
            writer.close(range)
            let delete = writer.openResponseOp(.deleteRange)
            let deleteStart = writer.count
            first.withView { writer.appendDeletedKV($0) }
            writer.endDeleteRangeResponse(from: deleteStart, inner, deleted: 1)
            writer.close(delete)
            let txn = writer.openResponseOp(.txn)
            let txnStart = writer.count
            let nested = writer.openResponseOp(.range)
            writer.beginRangeResponse(inner)
            writer.close(nested)
            writer.endTxnResponse(from: txnStart, .empty, succeeded: false)
            writer.close(txn)
            writer.endTxnResponse(from: 0, header, succeeded: true)
        }
    }

    @Test("watch: created, refused, and with events that were encoded before")
    func watches() {
        expect(
            headerHex
                + "10051801"
        ) { writer in
            writer.beginWatchResponse(.init(header: header, watchID: 5, created: true))
        }
        expect(
            "0a02100110ffffffffffffffffff01180120012809321c6d7663633a20776174"
                + "636865722072616e676520697320656d707479"
        ) { writer in
            writer.beginWatchResponse(
                .init(
                    header: ResponseHeader(memberID: 1), watchID: -1, created: true,
                    canceled: true, compactRevision: 9, cancelReason: WatchCancelReason.emptyRange))
        }
        let put = first.withView { kv in
            second.withView { EncodedEvent(.put, kv, previous: $0) }
        }
        let deleted = WireKeyValue(key: "foo", modRevision: 301)
        let delete = deleted.withView { EncodedEvent(.delete, $0, previous: nil) }
        expect(
            headerHex
                + "100138015a2d121c0a03666f6f100218ac0220072a0362617230ffffffffffff"
                + "ffffff011a0d0a05666f6f2f321005180520015a0c080112080a03666f6f18ad"
                + "02"
        ) { writer in
            writer.beginWatchResponse(.init(header: header, watchID: 1, fragment: true))
            writer.appendEvent(put)
            writer.appendEvent(delete)
        }
    }

    @Test("lease: every answer, empty keys and id 0 included")
    func leases() {
        expect(
            headerHex
                + "10f9ffffffffffffffff01183c"
        ) { $0.leaseGrantResponse(header, id: -7, ttl: 60) }
        expect(headerHex) { $0.leaseRevokeResponse(header) }
        expect(
            headerHex
                + "1085fae6ccf48be0a669183c"
        ) { $0.leaseKeepAliveResponse(header, id: 7_587_862_093_934_214_405, ttl: 60) }
        expect(
            headerHex
                + "100518ffffffffffffffffff01203c2a01612a002a0162"
        ) { writer in
            writer.beginLeaseTimeToLiveResponse(header, id: 5, ttl: -1, grantedTTL: 60)
            for key: Bytes in ["a", "", "b"] { key.withUnsafeBytes { writer.appendLeaseKey($0) } }
        }
        expect(
            headerHex
                + "120208011200120b08ffffffffffffffffff01"
        ) { $0.leaseLeasesResponse(header, ids: [1, 0, -1]) }
    }

    @Test("status: all fields of 3.6, and an empty downgrade is present")
    func statuses() {
        expect(
            headerHex
                + "1205332e362e301880a00120ffffffffffffffffff012880013002387f421565"
                + "7463647365727665723a206e6f206c656164657242004880800150015a05332e"
                + "362e306080808080086a0708011203332e35"
        ) { writer in
            writer.statusResponse(
                StatusResponse(
                    header: header, version: "3.6.0", dbSize: 20480, leader: .max, raftIndex: 128,
                    raftTerm: 2, raftAppliedIndex: 127,
                    errors: [EtcdError.noLeader.rawValue, ""], dbSizeInUse: 16384,
                    isLearner: true, storageVersion: "3.6.0", dbSizeQuota: 2_147_483_648,
                    downgradeInfo: .init(enabled: true, targetVersion: "3.5")))
        }
        expect(
            headerHex
                + "6a00"
        ) { writer in
            writer.statusResponse(StatusResponse(header: header, downgradeInfo: .init()))
        }
    }

    @Test("maintenance and health: the other answers")
    func maintenance() {
        expect(
            headerHex
                + "120508ac02100112021002"
        ) { writer in
            writer.alarmResponse(
                header,
                alarms: [
                    AlarmMember(memberID: 300, alarm: .noSpace),
                    AlarmMember(memberID: 0, alarm: .corrupt),
                ])
        }
        expect(
            headerHex
                + "10ffffffff0f"
        ) { $0.hashResponse(header, hash: .max) }
        expect(
            headerHex
                + "10aad5aad50a18ffffffffffffffffff01202a"
        ) { writer in
            writer.hashKVResponse(
                header, hash: 2_863_311_530, compactRevision: -1, hashRevision: 42)
        }
        expect("108080021a030102032205332e362e30") { writer in
            let blob: Bytes = [1, 2, 3]
            blob.withUnsafeBytes {
                writer.snapshotResponse(remainingBytes: 32768, blob: $0, version: "3.6.0")
            }
        }
        expect(
            headerHex
                + "1205332e362e30"
        ) { $0.downgradeResponse(header, version: "3.6.0") }
        expect("0801") { $0.healthCheckResponse(.serving) }
    }

    @Test("cluster: the member list, and the answer to an added member")
    func clusters() {
        let n1 = WireMember(
            id: 1 << 63, name: "n1", peerURLs: ["http://a:2380"],
            clientURLs: ["http://a:2379", "http://b:2379"])
        expect(
            headerHex
                + "123c088080808080808080800112026e311a0d687474703a2f2f613a32333830"
                + "220d687474703a2f2f613a32333739220d687474703a2f2f623a323337391204"
                + "08012801"
        ) { $0.memberListResponse(header, members: [n1, WireMember(id: 1, isLearner: true)]) }
        let added = WireMember(id: 9, peerURLs: ["p"])
        expect(
            headerHex
                + "120508091a01701a0508091a0170"
        ) { $0.memberAddResponse(header, added: added, members: [added]) }
    }

    @Test("cluster: members read the answers that clients get")
    func readClusters() throws {
        let header = ResponseHeader(clusterID: 1 << 63, memberID: 2, raftTerm: 3)
        let members = [
            WireMember(id: 1, name: "n", peerURLs: ["p", "q"], clientURLs: ["c"]),
            WireMember(id: .max, peerURLs: [""], isLearner: true),
        ]
        var writer = ProtoWriter()
        writer.memberAddResponse(header, added: members[1], members: members)
        #expect(
            try MemberAddResponse(decoding: writer.take())
                == MemberAddResponse(header: header, added: members[1], members: members))
        writer.memberListResponse(header, members: members)
        #expect(
            try BootstrapResponse(decoding: writer.take())
                == BootstrapResponse(clusterID: 1 << 63, answererID: 2, members: members))
    }

    @Test("records under HashKV: a key's version, and the deletion of a key")
    func records() {
        expect(
            "0a03666f6f100218ac0220072a0362617230ffffffffffffffffff01"
        ) { writer in first.withView { writer.keyValueRecord($0) } }
        expect("0a03666f6f") { writer in first.withView { writer.tombstoneRecord(key: $0.key) } }
    }
}
