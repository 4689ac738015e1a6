// WireWriterTests.swift: sizes, length prefixes that are filled in late, and reuse of a writer.
// Belongs here: the writer itself. Never here: messages (WireResponseTests.swift).
// Source: protobuf encoding.

import Testing

@testable import Server

@Suite("wire writer")
struct WireWriterTests {
    /// The obvious encoding, bit group by bit group.
    private func slowVarint(_ value: UInt64) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value % 128) + 128] + slowVarint(value / 128)
    }

    @Test("varint: every bit width is written and measured as the slow version does")
    func varints() throws {
        var random = WireRandom(seed: 3)
        var values: [UInt64] = [0, .max]
        for width in 0..<64 {
            let power = UInt64(1) << UInt64(width)
            values += [power - 1, power, power | 1, power | random.next() % power]
        }
        for value in values {
            var writer = ProtoWriter()
            writer.uint64(1, value, keepsDefault: true)
            let expected = slowVarint(value)
            #expect(writer.bytes == [0x08] + expected)
            #expect(WireSize.varint(value) == expected.count)
            let request = try LeaseRevokeRequest(decoding: writer.bytes)
            #expect(request.id == Int64(bitPattern: value))
        }
    }

    @Test("tags: fields above 15 take two bytes, and are measured so")
    func tags() {
        for (field, size) in [(1, 1), (15, 1), (16, 2), (64, 2), (2047, 2), (2048, 3)] {
            #expect(WireSize.tag(field) == size)
            var writer = ProtoWriter()
            writer.bool(field, true)
            #expect(writer.count == size + 1)
        }
    }

    @Test("defaults are left out unless asked for")
    func defaults() {
        var writer = ProtoWriter()
        writer.uint64(1, 0)
        writer.int32(2, 0)
        writer.bool(3, false)
        writer.bytes(4, Bytes())
        writer.string(5, "")
        writer.int32s(6, [])
        #expect(writer.take() == [])
        writer.int64(1, 0, keepsDefault: true)
        writer.bytes(4, Bytes(), keepsDefault: true)
        writer.string(5, "", keepsDefault: true)
        writer.int32s(6, [0])
        #expect(writer.take() == [0x08, 0, 0x22, 0, 0x2a, 0, 0x32, 1, 0])
    }

    @Test(
        "an open message gets the shortest prefix, whatever length was expected",
        arguments: [0, 1, 127, 128, 300, 16_383, 16_384, 40_000])
    func backPatching(length: Int) {
        let content = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
        let before: [UInt8] = [0x08, 0x05]
        for expected in [0, length, 100, 200, 1 << 22] {
            var writer = ProtoWriter()
            writer.append(encoded: before)
            let outer = writer.openMessage(2)
            let inner = writer.openMessage(3, expectedBytes: expected)
            writer.append(encoded: content)
            writer.close(inner)
            writer.close(outer)
            writer.bool(4, true)
            let innerField = [0x1a] + slowVarint(UInt64(length)) + content
            let outerField = [0x12] + slowVarint(UInt64(innerField.count)) + innerField
            #expect(writer.take() == before + outerField + [0x20, 0x01])
        }
    }

    @Test("insert puts late fields in front of what follows a position, and only there")
    func inserting() {
        var writer = ProtoWriter()
        writer.int64(1, 1)
        let start = writer.count
        writer.int64(3, 3)
        writer.insert(at: start) { $0.int64(2, 2) }
        #expect(writer.bytes == [0x08, 1, 0x10, 2, 0x18, 3])
    }

    @Test("a writer is empty again after its bytes were taken or removed")
    func reuse() {
        var writer = ProtoWriter(capacity: 100)
        writer.int64(1, 1)
        #expect(writer.take() == [0x08, 1])
        #expect(writer.count == 0)
        writer.int64(1, 2)
        writer.removeAll()
        writer.int64(1, 3)
        #expect(writer.take() == [0x08, 3])
    }

    @Test("closing an outer message before its inner one is a programmer's mistake")
    func closingOrder() async {
        await #expect(processExitsWith: .failure) {
            var writer = ProtoWriter()
            let outer = writer.openMessage(1)
            _ = writer.openMessage(1)
            writer.close(outer)
        }
    }

    @Test("taking the bytes of an unfinished message is a programmer's mistake")
    func takingTooEarly() async {
        await #expect(processExitsWith: .failure) {
            var writer = ProtoWriter()
            _ = writer.openMessage(1)
            _ = writer.take()
        }
    }
}
