// WireReaderTests.swift: what decoders do with odd, old, new and broken bytes.
// Belongs here: the rules of the wire format. Never here: field numbers (WireRequestTests.swift).
// Source: protobuf encoding; semantics.md T6.

import Testing

@testable import Server

@Suite("wire reader")
struct WireReaderTests {
    private func decode<Message: WireDecodable>(
        _ type: Message.Type, _ hex: String
    ) throws(WireError) -> Message {
        try Message(decoding: bytesOfHex(hex))
    }

    // MARK: what is accepted

    @Test("unknown fields of every wire type are passed over, in requests without fields too")
    func unknownFields() throws {
        let unknown =
            "f8ff01" + "ffffffffffffffffff01"  // field 4095, varint
            + "f101" + "0102030405060708"  // field 30, eight bytes
            + "f201" + "03aabbcc"  // field 30, length-delimited
            + "f501" + "01020304"  // field 30, four bytes
            + "f8ffffff0f" + "00"  // field 2^29 - 1
        let put = PutRequest(key: "k", value: "v")
        #expect(try decode(PutRequest.self, unknown + "0a016b" + unknown + "120176") == put)
        #expect(try decode(StatusRequest.self, unknown) == StatusRequest())
    }

    @Test("the last value of a field wins")
    func lastWins() throws {
        let put = try decode(PutRequest.self, "0a0161" + "1805" + "0a0162" + "1800")
        #expect(put == PutRequest(key: "b", lease: 0))
    }

    @Test("an embedded message that comes twice is merged, another member replaces it")
    func merging() throws {
        let twice = try decode(RequestOp.self, "12030a0161" + "1203120162" + "12021807")
        #expect(twice == .put(PutRequest(key: "a", value: "b", lease: 7)))
        let replaced = try decode(RequestOp.self, "12030a0161" + "0a03120162")
        #expect(replaced == .range(RangeRequest(rangeEnd: "b")))
        let back = try decode(RequestOp.self, "12030a0161" + "0a00" + "1203120162")
        #expect(back == .put(PutRequest(value: "b")))
        let txn = try decode(RequestOp.self, "22021200" + "22021a00" + "22021200")
        #expect(txn == .txn(TxnRequest(success: [.none, .none], failure: [.none])))
        let watch = try decode(WatchRequest.self, "0a022801" + "0a030a0161" + "0a022800")
        #expect(watch == .create(WatchCreateRequest(key: "a", filters: [1, 0])))
        #expect(try decode(WatchRequest.self, "0a00" + "1a00") == .progress)
    }

    @Test("a compare keeps the member of target_union that came last")
    func compareOperand() throws {
        #expect(try decode(Compare.self, "2005" + "3a0161").operand == .value("a"))
        #expect(try decode(Compare.self, "3a0161" + "2000").operand == .version(0))
    }

    @Test("repeated numbers are accepted packed, one by one, and mixed")
    func packed() throws {
        let filters: [Int32] = [0, 1, 300]
        let forms = [
            "2a040001ac02", "2800280128ac02", "28002a0301ac02", "2a002a0100280128ac02",
        ]
        for hex in forms {
            #expect(try decode(WatchCreateRequest.self, hex).filters == filters)
        }
    }

    @Test("numbers: ten bytes for negatives, padded forms, and the low 32 bits of an enum")
    func numbers() throws {
        #expect(try decode(LeaseRevokeRequest.self, "08ffffffffffffffffff01").id == -1)
        #expect(try decode(LeaseRevokeRequest.self, "0880808080808080808001").id == .min)
        #expect(try decode(LeaseRevokeRequest.self, "0881808000").id == 1)
        #expect(try decode(LeaseRevokeRequest.self, "8880000f").id == 15)
        #expect(try decode(RangeRequest.self, "28ffffffff0f").sortOrder.rawValue == -1)
        #expect(try decode(RangeRequest.self, "288280808010").sortOrder == .descend)
        #expect(try decode(RangeRequest.self, "388080808080808001").serializable)
    }

    // MARK: what is refused

    @Test("a varint of more than 64 bits is refused")
    func varintOverflow() {
        for hex in ["08ffffffffffffffffff02", "088080808080808080808000", "ffffffffffffffffffff01"]
        {
            #expect(throws: WireError.self) { try decode(LeaseRevokeRequest.self, hex) }
        }
        #expect(throws: WireError.varintOverflow(offset: 1)) {
            try decode(LeaseRevokeRequest.self, "0880808080808080808002")
        }
    }

    @Test("field number 0, and one above the greatest, are refused")
    func fieldNumbers() {
        #expect(throws: WireError.badFieldNumber(offset: 0)) {
            try decode(StatusRequest.self, "0000")
        }
        #expect(throws: WireError.badFieldNumber(offset: 3)) {
            try decode(PutRequest.self, "0a0161" + "808080801000")
        }
    }

    @Test("groups and unassigned wire types are refused", arguments: [3, 4, 6, 7] as [UInt8])
    func wireTypes(type: UInt8) {
        let error = WireError.badWireType(offset: 0, wireType: type)
        #expect(throws: error) { try PutRequest(decoding: [0x08 | type, 0x0c]) }
        #expect(throws: error) { try StatusRequest(decoding: [0x78 | type, 0x7c]) }
    }

    @Test("a known field with another wire type is refused")
    func wrongWireType() {
        for (hex, type) in [("0801", 0), ("090102030405060708", 1), ("0d01020304", 5)] {
            #expect(throws: WireError.wrongWireType(field: 1, wireType: UInt8(type))) {
                try decode(PutRequest.self, hex)
            }
        }
        #expect(throws: WireError.wrongWireType(field: 3, wireType: 2)) {
            try decode(PutRequest.self, "1a0101")
        }
        #expect(throws: WireError.wrongWireType(field: 2, wireType: 0)) {
            try decode(TxnRequest.self, "1001")
        }
        #expect(throws: WireError.wrongWireType(field: 5, wireType: 5)) {
            try decode(WatchCreateRequest.self, "2d01020304")
        }
    }

    @Test("a length past the end is refused, also past the end of the enclosing message only")
    func lengths() {
        #expect(throws: WireError.badLength(offset: 1, length: 2)) {
            try decode(PutRequest.self, "0a0261")
        }
        #expect(throws: WireError.badLength(offset: 1, length: .max)) {
            try decode(PutRequest.self, "0affffffffffffffffff01")
        }
        #expect(throws: WireError.badLength(offset: 3, length: 2)) {
            try decode(RequestOp.self, "12030a0261" + "0a00")
        }
        #expect(throws: WireError.truncated(offset: 3)) {
            try decode(WatchCreateRequest.self, "2a0180" + "2801")
        }
        #expect(throws: WireError.truncated(offset: 2)) {
            try decode(StatusRequest.self, "f101" + "01020304050607")
        }
    }

    @Test("text that is not UTF-8 is refused, bytes may be anything")
    func text() throws {
        #expect(throws: WireError.badUTF8(field: 1)) {
            try decode(HealthCheckRequest.self, "0a02c328")
        }
        #expect(try decode(PutRequest.self, "0a02c328").key == [0xc3, 0x28])
    }

    @Test("a message cut anywhere but between two fields is refused")
    func truncation() throws {
        var random = WireRandom(seed: 11)
        for _ in 0..<60 {
            try expectRefusedInsideFields(random.rangeRequest())
            try expectRefusedInsideFields(random.putRequest())
            try expectRefusedInsideFields(random.txnRequest())
            try expectRefusedInsideFields(random.watchRequest())
        }
    }

    private func expectRefusedInsideFields<Message: WireMessage>(_ message: Message) throws {
        let whole = message.encoded()
        var boundaries: Set<Int> = [0]
        var reader = ProtoReader(whole)
        while let field = try reader.nextField() {
            try reader.skip(field)
            boundaries.insert(reader.offset)
        }
        #expect(boundaries.contains(whole.count))
        for cut in 0..<whole.count {
            let part = Array(whole[..<cut])
            if boundaries.contains(cut) {
                _ = try Message(decoding: part)
            } else {
                #expect(throws: WireError.self) { try Message(decoding: part) }
            }
        }
    }

    // MARK: bounds

    @Test("nesting: as many transactions as rule T6 can allow, and no stack overflow beyond")
    func nesting() throws {
        let deepest = nestedTxns(
            WireLimits.nestedTxnsMax, around: bytesOfHex("1205" + "12030a0161"))
        var txn = try TxnRequest(decoding: deepest)
        #expect(txn.encoded() == deepest)
        var levels = 0
        while case .txn(let inner)? = txn.success.first {
            txn = inner
            levels += 1
        }
        #expect(levels == WireLimits.nestedTxnsMax)
        #expect(txn.success == [.put(PutRequest(key: "a"))])
        for levels in [WireLimits.nestedTxnsMax + 2, 100_000] {
            #expect {
                try TxnRequest(decoding: nestedTxns(levels, around: []))
            } throws: { error in
                if case .tooDeep? = error as? WireError { true } else { false }
            }
        }
    }

    /// The encoding of transactions that hold one another, built from the inside, back to front.
    private func nestedTxns(_ levels: Int, around innermost: [UInt8]) -> [UInt8] {
        var reversed = Array(innermost.reversed())
        for _ in 0..<levels {
            for tag: UInt8 in [0x22, 0x12] {
                var length = ProtoWriter()
                length.uint64(1, UInt64(reversed.count), keepsDefault: true)
                reversed += length.bytes.dropFirst().reversed()
                reversed.append(tag)
            }
        }
        return reversed.reversed()
    }

    @Test("items: an empty operation is two bytes, so their number has a bound of its own")
    func items() throws {
        let most = WireLimits.repeatedMessagesMax
        let atBound = (0..<most).flatMap { _ in [0x12, 0x00] as [UInt8] }
        #expect(try TxnRequest(decoding: atBound).success.count == most)
        #expect(throws: WireError.tooManyItems) {
            try TxnRequest(decoding: atBound + [0x0a, 0x00])
        }
        // Spread over nested transactions they count together.
        let half = [UInt8](atBound.prefix(most))
        var writer = ProtoWriter()
        for _ in 0..<2 {
            let operation = writer.openMessage(2)
            let nested = writer.openMessage(4)
            writer.append(encoded: half)
            writer.close(nested)
            writer.close(operation)
        }
        #expect(throws: WireError.tooManyItems) { try TxnRequest(decoding: writer.take()) }
    }

    @Test("repeating one member does not copy what was read before")
    func repeatedMember() throws {
        // 2 MiB of single filters; quadratic copying would take minutes.
        let filters = 500_000
        let bytes = (0..<filters).flatMap { _ in [0x0a, 0x02, 0x28, 0x01] as [UInt8] }
        guard case .create(let request) = try WatchRequest(decoding: bytes) else {
            Issue.record("not a create request")
            return
        }
        #expect(request.filters.count == filters)
    }
}
