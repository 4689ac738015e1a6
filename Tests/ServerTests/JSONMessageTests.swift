// JSONMessageTests.swift: messages from their wire form into JSON and back, for every message there is.
// Source: protobuf's JSON mapping with etcd's options; shapes as 3.5.16 shows them.

import Testing

@testable import Server

@Suite("JSON of messages")
struct JSONMessageTests {
    private let table = DescriptorTable.etcd

    private func json(_ bytes: [UInt8], _ name: String) throws(WireError) -> String {
        var text: [UInt8] = []
        try MessageToJSON.whole(bytes, table.message(name), into: &text)
        return String(decoding: text, as: UTF8.self)
    }

    @Test("a range response looks as etcd's does")
    func rangeResponse() throws {
        var writer = ProtoWriter()
        writer.beginRangeResponse(
            ResponseHeader(clusterID: .max, memberID: 7, revision: 3, raftTerm: 2))
        for (key, lease): (String, Int64) in [("foo", 0), ("fop", -1)] {
            Array(key.utf8).withUnsafeBytes { bytes in
                writer.appendRangeKV(
                    KeyValueView(
                        key: bytes, createRevision: 2, modRevision: 3, version: 1, value: bytes,
                        lease: lease))
            }
        }
        writer.endRangeResponse(more: true, count: 9)

        #expect(
            try json(writer.take(), "RangeResponse") == """
                {"header":{"cluster_id":"18446744073709551615","member_id":"7","revision":"3",\
                "raft_term":"2"},"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"3",\
                "version":"1","value":"Zm9v"},{"key":"Zm9w","create_revision":"2",\
                "mod_revision":"3","version":"1","value":"Zm9w","lease":"-1"}],"more":true,\
                "count":"9"}
                """)
    }

    @Test("enums by name, those without one by number; 32 bits plain; empty messages shown")
    func scalars() throws {
        var alarm = ProtoWriter()
        alarm.alarmResponse(
            .empty,
            alarms: [
                AlarmMember(memberID: 1, alarm: .noSpace),
                AlarmMember(memberID: 2, alarm: AlarmType(rawValue: 99)),
                AlarmMember(memberID: 3, alarm: AlarmType(rawValue: -1)),
            ])
        #expect(
            try json(alarm.take(), "AlarmResponse") == """
                {"header":{},"alarms":[{"memberID":"1","alarm":"NOSPACE"},{"memberID":"2",\
                "alarm":99},{"memberID":"3","alarm":-1}]}
                """)
        var hash = ProtoWriter()
        hash.hashKVResponse(.empty, hash: .max, compactRevision: -1, hashRevision: 0)
        #expect(
            try json(hash.take(), "HashKVResponse")
                == #"{"header":{},"hash":4294967295,"compact_revision":"-1"}"#)
        #expect(try json([], "DefragmentResponse") == "{}")
    }

    @Test("texts are escaped, and only where they must be")
    func texts() throws {
        var writer = ProtoWriter()
        var head = WatchResponseHead(header: .empty, watchID: -1)
        head.cancelReason = "a\"b\\c\n\u{1}<\u{20ac}"
        writer.beginWatchResponse(head)
        #expect(
            try json(writer.take(), "WatchResponse")
                == #"{"header":{},"watch_id":"-1","cancel_reason":"a\"b\\c\n\u0001<€"}"#)
    }

    @Test("requests come back as they were, through JSON")
    func requestsRoundTrip() throws {
        var random = WireRandom(seed: 2026)
        for _ in 0..<300 {
            try roundTrip(random.rangeRequest(), "RangeRequest")
            try roundTrip(random.putRequest(), "PutRequest")
            try roundTrip(random.deleteRangeRequest(), "DeleteRangeRequest")
            try roundTrip(random.txnRequest(), "TxnRequest")
            try roundTrip(random.watchRequest(), "WatchRequest")
            try roundTrip(
                LeaseGrantRequest(ttl: random.int64(), id: random.int64()), "LeaseGrantRequest")
            try roundTrip(
                CampaignRequest(
                    name: random.bytes(), lease: random.int64(), value: random.bytes()),
                "CampaignRequest")
            let key = LeaderKey(
                name: random.bytes(), key: random.bytes(), revision: random.int64(),
                lease: random.int64())
            try roundTrip(
                ProclaimRequest(leader: random.bool() ? key : nil, value: random.bytes()),
                "ProclaimRequest")
        }
    }

    private func roundTrip<Message: WireMessage>(_ message: Message, _ name: String) throws {
        let text = try json(message.encoded(), name)
        let bytes = try MessageFromJSON.single(Array(text.utf8), table.message(name))
        #expect(try Message(decoding: bytes) == message, "\(text)")
    }

    @Test("every message of the table comes back byte by byte, also in pieces")
    func everyMessage() throws {
        var random = WireRandom(seed: 7)
        for (place, message) in table.messages.enumerated() {
            for _ in 0..<30 {
                let wire = randomBytes(place, depth: 3, &random)
                var text: [UInt8] = []
                try MessageToJSON.whole(wire, place, into: &text)
                let again = try MessageFromJSON.single(text, place)
                #expect(again == wire, "\(message.name): \(String(decoding: text, as: UTF8.self))")
                #expect(transcodeAny(text, selector: UInt8(place)))

                var writer = MessageToJSON(place)
                var pieces: [UInt8] = []
                var rest = wire[...]
                while !rest.isEmpty {
                    let count = Int(random.next() % UInt64(rest.count)) + 1
                    try writer.add(Array(rest.prefix(count)), to: &pieces)
                    rest = rest.dropFirst(count)
                }
                if wire.isEmpty { try writer.add([], to: &pieces) }
                try writer.finish(&pieces)
                #expect(pieces == text, "\(message.name)")
            }
        }
    }

    /// A message as this server's writers would send it: fields in order, no defaults.
    private func randomBytes(_ place: Int, depth: Int, _ random: inout WireRandom) -> [UInt8] {
        var writer = ProtoWriter()
        var choices: Set<String> = []
        for field in table.messages[place].fields where random.bool() {
            if let choice = field.oneof, !choices.insert(choice).inserted { continue }
            let count = field.isRepeated ? Int(random.next() % 3) : 1
            for _ in 0..<count {
                let number = random.int64()
                switch field.type {
                case .int64, .uint64: writer.int64(field.number, number == 0 ? 1 : number)
                case .uint32:
                    writer.uint64(field.number, UInt64(UInt32(truncatingIfNeeded: number) | 1))
                case .int32, .enumeration:
                    writer.int32(field.number, Int32(truncatingIfNeeded: number) | 1)
                case .bool: writer.bool(field.number, true)
                case .bytes: writer.bytes(field.number, Bytes(random.array(upTo: 20) + [1]))
                case .string: writer.string(field.number, random.text() + "x")
                case .message(let inner):
                    let bytes = depth == 0 ? [] : randomBytes(inner, depth: depth - 1, &random)
                    writer.bytes(field.number, Bytes(bytes), keepsDefault: true)
                }
            }
        }
        return writer.take()
    }

    @Test("bytes that no writer here sends are an error, not wrong JSON")
    func disordered() {
        var writer = ProtoWriter()
        writer.int64(4, 1)
        writer.bool(3, true)
        writer.int64(4, 2)
        let bytes = writer.take()
        #expect(throws: WireError.disordered(field: 4)) { try json(bytes, "RangeResponse") }
        #expect(throws: WireError.self) { try json([0x0a, 0x05, 0x01], "RangeResponse") }
        #expect(throws: WireError.self) { try json([0x0b], "RangeResponse") }
        #expect(throws: WireError.self) {
            try json([UInt8](repeating: 0xff, count: 11), "RangeResponse")
        }
    }

    @Test("random bytes, and bodies with random damage, never trap")
    func damage() throws {
        var random = WireRandom(seed: 99)
        for _ in 0..<3_000 {
            let place = Int(random.next() % UInt64(table.messages.count))
            _ = transcodeAny(random.array(upTo: 60), selector: UInt8(place))
            var text: [UInt8] = []
            try MessageToJSON.whole(
                randomBytes(place, depth: 2, &random), place, into: &text)
            for _ in 0..<3 {
                let at = Int(random.next() % UInt64(text.count))
                text[at] = UInt8(truncatingIfNeeded: random.next())
            }
            _ = transcodeAny(text, selector: UInt8(place))
            var ignored: [UInt8] = []
            let garbage = random.array(upTo: 40)
            #expect(throws: Never.self) {
                do { try MessageToJSON.whole(garbage, place, into: &ignored) } catch {}
            }
        }
    }

    @Test("every path leads to a method, and those of this version are all known")
    func routes() {
        #expect(GatewayRoutes.all.count == 51)
        let paths = Set(GatewayRoutes.all.values.map(\.path))
        #expect(paths.count == 48)
        for method in Method.allCases {
            let isServed = paths.contains(method.path)
            let isRPCOnly =
                method == .rangeStream || method.path.hasPrefix("/grpc.health.v1.Health/")
            #expect(isServed != isRPCOnly, "\(method)")
        }
        #expect(GatewayRoutes.route("/v3beta/kv/put")?.path == Method.put.path)
        #expect(GatewayRoutes.route("/v3/kv/put/") == nil)
        #expect(GatewayRoutes.route("/v3alpha/kv/put") == nil)
        #expect(!GatewayRoutes.owns("/v3alpha/kv/put") && GatewayRoutes.owns("/v3/nothing"))
    }
}
