// WireBytesTests.swift: byte strings that share a message's storage.
// Belongs here: order, equality, slices. Never here: messages.
// Source: semantics.md R3, keys are ordered by unsigned bytes.

import Testing

@testable import Server

@Suite("wire bytes")
struct WireBytesTests {
    @Test("order and equality agree with the slow comparison of arrays")
    func order() {
        var random = WireRandom(seed: 5)
        for _ in 0..<5_000 {
            // A common prefix of up to 20 bytes makes differences fall inside and behind words.
            let prefix = random.array(upTo: 20)
            let left = prefix + random.array(upTo: 3)
            let right = prefix + random.array(upTo: 3)
            #expect((Bytes(left) == Bytes(right)) == (left == right))
            #expect((Bytes(left) < Bytes(right)) == left.lexicographicallyPrecedes(right))
        }
        #expect(Bytes([0x7f]) < Bytes([0x80]))
        #expect(Bytes() < Bytes([0]))
        #expect(!(Bytes("a") < Bytes("a")))
    }

    @Test("a slice is equal to its copy, hashes like it, and does not see its neighbours")
    func slices() {
        let storage = [UInt8](0..<100)
        let slice = Bytes(storage: storage, range: 10..<13)
        let copy = Bytes([10, 11, 12])
        #expect(slice == copy)
        #expect(Set([slice, copy]).count == 1)
        #expect(slice.count == 3)
        #expect(slice[2] == 12)
        #expect(slice.array == [10, 11, 12])
        #expect(slice.withUnsafeBytes { Array($0) } == [10, 11, 12])
        #expect(Bytes(storage: storage, range: 100..<100).isEmpty)
    }

    @Test("decoded fields share the message's storage")
    func sharing() throws {
        let message = PutRequest(key: "key", value: "value").encoded()
        let put = try PutRequest(decoding: message)
        let base = message.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
        #expect(put.key.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } == base + 2)
        #expect(put.value.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } == base + 7)
    }

    @Test("reading past the end is a programmer's mistake, although the storage goes on")
    func bounds() async {
        await #expect(processExitsWith: .failure) {
            _ = Bytes(storage: [1, 2, 3], range: 0..<1)[1]
        }
        await #expect(processExitsWith: .failure) {
            _ = Bytes(storage: [1, 2, 3], range: 0..<4)
        }
    }
}
