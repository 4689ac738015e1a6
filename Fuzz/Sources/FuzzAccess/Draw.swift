// Draw.swift: an input, byte by byte, as choices; what is missing reads as 0.
// Belongs here: choices of numbers, keys, requests. Never here: what becomes of them (AccessStory.swift).

@testable import Server

struct Draw {
    private var bytes: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) {
        self.bytes = bytes[...]
    }

    var isAtEnd: Bool { bytes.isEmpty }

    /// A number below `count`.
    mutating func number(_ count: Int) -> Int { Int(bytes.popFirst() ?? 0) % count }

    mutating func flag() -> Bool { number(2) == 1 }

    mutating func one<Value>(of values: [Value]) -> Value { values[number(values.count)] }

    /// Up to 40 bytes as they are.
    mutating func raw() -> [UInt8] {
        let count = number(41)
        defer { bytes = bytes.dropFirst(count) }
        return Array(bytes.prefix(count))
    }

    // One byte chooses key and end, so that mutations change one thing at a time.
    mutating func key() -> Bytes { Self.key(number(12)) }

    private static func key(_ number: Int) -> Bytes {
        let letters = ModelKeys.letters
        return Bytes(
            number < 3 ? [letters[number]] : [letters[number / 3 - 1], letters[number % 3]])
    }

    mutating func rangeEnd() -> Bytes {
        let choice = number(18)
        return choice < 12 ? Self.key(choice) : choice < 15 ? Bytes([0]) : Bytes()
    }

    mutating func permission() -> WirePermission {
        WirePermission(kind: Int32(number(3)), key: key(), rangeEnd: rangeEnd())
    }

    // MARK: requests

    /// A value that tells of which key it is, wherever it turns up.
    static func value(of key: Bytes) -> Bytes {
        let digits = Array("0123456789abcdef".utf8)
        let text = key.array.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return Bytes(marker + text + [UInt8(ascii: ";")])
    }

    static let marker = Array("value-of:".utf8)

    mutating func range() -> RangeRequest {
        RangeRequest(
            key: key(), rangeEnd: rangeEnd(), serializable: flag(), countOnly: number(8) == 1)
    }

    mutating func put() -> PutRequest {
        let key = key()
        return PutRequest(
            key: key, value: Self.value(of: key), lease: Int64(number(6) / 2), prevKV: flag())
    }

    mutating func delete() -> DeleteRangeRequest {
        DeleteRangeRequest(key: key(), rangeEnd: rangeEnd(), prevKV: flag())
    }

    mutating func txn(depth: Int) -> TxnRequest {
        var compares: [Compare] = []
        if flag() {
            compares.append(
                Compare(
                    target: .version, key: key(), operand: .version(Int64(number(3))),
                    rangeEnd: rangeEnd()))
        }
        return TxnRequest(
            compare: compares, success: list(depth: depth), failure: list(depth: depth))
    }

    private mutating func list(depth: Int) -> [RequestOp] {
        (0..<number(3)).map { _ in
            switch number(depth > 0 ? 5 : 3) {
            case 0: .range(range())
            case 1: .put(put())
            case 2: .deleteRange(delete())
            default: .txn(txn(depth: depth - 1))
            }
        }
    }
}
