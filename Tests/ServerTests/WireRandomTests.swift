// WireRandomTests.swift: the codec under random messages and random bytes, with fixed seeds.
// Belongs here: properties that hold for all input. Never here: single cases.
// Source: what is written is read back the same; no bytes make a decoder trap.

import Testing

@testable import EtcdResponses
@testable import Server

@Suite("wire: random")
struct WireRandomTests {
    private func roundTrip<Message: WireMessage>(_ message: Message) throws {
        #expect(try Message(decoding: message.encoded()) == message)
    }

    @Test("requests come back as they were", arguments: 0..<8 as Range<UInt64>)
    func requests(seed: UInt64) throws {
        var random = WireRandom(seed: seed)
        for _ in 0..<100 {
            try roundTrip(random.rangeRequest())
            try roundTrip(random.putRequest())
            try roundTrip(random.deleteRangeRequest())
            try roundTrip(random.compare())
            try roundTrip(random.txnRequest())
            try roundTrip(random.watchRequest())
            try roundTrip(CompactionRequest(revision: random.int64(), physical: random.bool()))
            try roundTrip(LeaseGrantRequest(ttl: random.int64(), id: random.int64()))
            try roundTrip(LeaseTimeToLiveRequest(id: random.int64(), keys: random.bool()))
            try roundTrip(
                AlarmRequest(
                    action: .init(rawValue: random.int32()), memberID: random.uint64(),
                    alarm: .init(rawValue: random.int32())))
            try roundTrip(
                MemberUpdateRequest(
                    id: random.uint64(), peerURLs: random.list(upTo: 4) { $0.text() }))
            try roundTrip(
                PublishMemberRequest(
                    id: random.uint64(), name: random.text(),
                    clientURLs: random.list(upTo: 4) { $0.text() }))
            try roundTrip(
                MemberReplaceRequest(oldID: random.uint64(), name: random.text()))
            try roundTrip(BootstrapRequest(memberID: random.uint64()))
            try roundTrip(
                BootstrapResponse(
                    clusterID: random.uint64(), answererID: random.uint64(),
                    members: random.list(upTo: 4) {
                        WireMember(
                            id: $0.uint64(), name: $0.text(),
                            peerURLs: $0.list(upTo: 3) { $0.text() },
                            clientURLs: $0.list(upTo: 3) { $0.text() }, isLearner: $0.bool())
                    }, isRemoved: random.bool()))
            try roundTrip(
                DowngradeRequest(action: .init(rawValue: random.int32()), version: random.text()))
        }
    }

    private func keyValue(_ random: inout WireRandom) -> WireKeyValue {
        WireKeyValue(
            key: random.bytes(), createRevision: random.int64(), modRevision: random.int64(),
            version: random.int64(), value: random.bytes(), lease: random.int64())
    }

    @Test("range answers come back as they were, and their length is known beforehand")
    func ranges() throws {
        var random = WireRandom(seed: 21)
        for _ in 0..<300 {
            let expected = DecodedRange(
                header: DecodedHeader(value: random.header()),
                kvs: random.list(upTo: 20) { keyValue(&$0) }, more: random.bool(),
                count: random.int64())
            let header = try #require(expected.header).value
            var size = RangeResponseSize(header)
            var writer = ProtoWriter()
            writer.beginRangeResponse(header)
            for kv in expected.kvs {
                kv.withView { view in
                    size.add(view)
                    writer.appendRangeKV(view)
                }
            }
            size.end(more: expected.more, count: expected.count)
            writer.endRangeResponse(more: expected.more, count: expected.count)
            #expect(writer.count == size.bytes)
            #expect(try DecodedRange(decoding: writer.take()) == expected)
        }
    }

    @Test("watch answers come back as they were, and their length is known beforehand")
    func watches() throws {
        var random = WireRandom(seed: 22)
        for _ in 0..<300 {
            let head = WatchResponseHead(
                header: random.header(), watchID: random.int64(), created: random.bool(),
                canceled: random.bool(), compactRevision: random.int64(),
                cancelReason: random.text(), fragment: random.bool())
            let events = random.list(upTo: 5) { random in
                DecodedEvent(
                    type: random.bool() ? 1 : 0, kv: keyValue(&random),
                    prevKV: random.bool() ? keyValue(&random) : nil)
            }
            let encoded = try events.map { event in
                let type = try #require(EventType(rawValue: event.type))
                return try #require(event.kv).withView { kv in
                    event.prevKV?.withView { EncodedEvent(type, kv, previous: $0) }
                        ?? EncodedEvent(type, kv, previous: nil)
                }
            }
            var writer = ProtoWriter()
            writer.beginWatchResponse(head)
            for event in encoded { writer.appendEvent(event) }
            #expect(writer.count == encoded.reduce(head.encodedSize) { $0 + $1.field.count })
            let expected = DecodedWatch(
                header: DecodedHeader(value: head.header), watchID: head.watchID,
                created: head.created, canceled: head.canceled,
                compactRevision: head.compactRevision, cancelReason: head.cancelReason,
                fragment: head.fragment, events: events)
            #expect(try DecodedWatch(decoding: writer.take()) == expected)
        }
    }

    @Test("transaction answers come back as they were, with any nesting")
    func txns() throws {
        var random = WireRandom(seed: 23)
        for _ in 0..<300 {
            let expected = txn(&random, depth: 3)
            var writer = ProtoWriter()
            write(expected, &writer, &random)
            #expect(try DecodedTxn(decoding: writer.take()) == expected)
        }
    }

    private func txn(_ random: inout WireRandom, depth: Int) -> DecodedTxn {
        DecodedTxn(
            header: DecodedHeader(value: random.header()), succeeded: random.bool(),
            responses: random.list(upTo: 4) { random in
                let header = DecodedHeader(value: random.header())
                switch Int.random(in: 0..<(depth > 0 ? 4 : 3), using: &random) {
                case 0:
                    return .range(
                        DecodedRange(
                            header: header, kvs: random.list(upTo: 3) { keyValue(&$0) },
                            count: random.int64()))
                case 1:
                    return .put(DecodedPut(header: header, prevKV: keyValue(&random)))
                case 2:
                    return .deleteRange(
                        DecodedDeleteRange(
                            header: header, deleted: random.int64(),
                            prevKVs: random.list(upTo: 3) { keyValue(&$0) }))
                default:
                    return .txn(txn(&random, depth: depth - 1))
                }
            })
    }

    private func write(
        _ txn: DecodedTxn, _ writer: inout ProtoWriter, _ random: inout WireRandom
    ) {
        let start = writer.count
        for response in txn.responses {
            let expectedBytes = Int.random(in: 0..<400, using: &random)
            switch response {
            case .none:
                Issue.record("a transaction without an answer")
            case .range(let range):
                let open = writer.openResponseOp(.range, expectedBytes: expectedBytes)
                writer.beginRangeResponse(range.header?.value ?? .empty)
                for kv in range.kvs { kv.withView { writer.appendRangeKV($0) } }
                writer.endRangeResponse(more: range.more, count: range.count)
                writer.close(open)
            case .put(let put):
                let open = writer.openResponseOp(.put, expectedBytes: expectedBytes)
                put.prevKV?.withView {
                    writer.putResponse(put.header?.value ?? .empty, previous: $0)
                }
                writer.close(open)
            case .deleteRange(let delete):
                let open = writer.openResponseOp(.deleteRange, expectedBytes: expectedBytes)
                let deleteStart = writer.count
                for kv in delete.prevKVs { kv.withView { writer.appendDeletedKV($0) } }
                writer.endDeleteRangeResponse(
                    from: deleteStart, delete.header?.value ?? .empty, deleted: delete.deleted)
                writer.close(open)
            case .txn(let nested):
                let open = writer.openResponseOp(.txn, expectedBytes: expectedBytes)
                write(nested, &writer, &random)
                writer.close(open)
            }
        }
        writer.endTxnResponse(
            from: start, txn.header?.value ?? .empty, succeeded: txn.succeeded)
    }

    @Test("no bytes make a decoder trap", arguments: 0..<4 as Range<UInt64>)
    func noise(seed: UInt64) {
        var random = WireRandom(seed: seed)
        var accepted = 0
        for _ in 0..<800 {
            // Small bytes are likely tags and lengths, so decoders get further than into the first.
            let bytes = random.array(upTo: 40).map { random.bool() ? $0 & 0x1f : $0 }
            for selector in 0..<decodeAnySelectorCount {
                if decodeAny(bytes, selector: UInt8(selector)) { accepted += 1 }
            }
        }
        #expect(accepted > 0)
    }

    @Test("no damage to a real message makes a decoder trap", arguments: 0..<4 as Range<UInt64>)
    func damage(seed: UInt64) {
        var random = WireRandom(seed: seed)
        var accepted = 0
        var refused = 0
        for _ in 0..<300 {
            let messages = [
                random.txnRequest().encoded(), random.watchRequest().encoded(),
                random.rangeRequest().encoded(),
            ]
            for var bytes in messages where !bytes.isEmpty {
                for _ in 0...Int.random(in: 0..<3, using: &random) {
                    let position = Int.random(in: 0..<bytes.count, using: &random)
                    bytes[position] = UInt8(truncatingIfNeeded: random.next())
                }
                for selector: UInt8 in [0, 1, 3, 5] {
                    if decodeAny(bytes, selector: selector) {
                        accepted += 1
                    } else {
                        refused += 1
                    }
                }
            }
        }
        #expect(accepted > 0)
        #expect(refused > 0)
    }
}
