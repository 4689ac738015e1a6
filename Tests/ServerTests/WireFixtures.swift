// WireFixtures.swift: what the tests of the codec share: hex, a seeded generator, random requests.
// Belongs here: making input. Never here: expectations.
// Source: none of the code under test is used to make known answers; see WireRequestTests.swift.

@testable import Server

/// The bytes that a string of hexadecimal digits stands for.
func bytesOfHex(_ hex: String) -> [UInt8] {
    let digits = hex.utf8.map { byte -> UInt8 in
        byte <= UInt8(ascii: "9") ? byte - UInt8(ascii: "0") : byte - UInt8(ascii: "a") + 10
    }
    precondition(digits.count.isMultiple(of: 2), "odd number of hexadecimal digits")
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// A generator whose sequence is fixed by its seed (SplitMix64).
struct WireRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func chance(_ outOf: Int) -> Bool {
        Int.random(in: 0..<outOf, using: &self) == 0
    }

    /// A number of any magnitude: each bit width, 0 included, is as likely as another.
    mutating func uint64() -> UInt64 {
        let width = Int.random(in: 0...64, using: &self)
        return width == 0 ? 0 : next() >> UInt64(64 - width)
    }

    mutating func int64() -> Int64 { Int64(bitPattern: uint64()) }

    mutating func int32() -> Int32 { Int32(truncatingIfNeeded: int64()) }

    mutating func bool() -> Bool { chance(2) }

    mutating func array(upTo count: Int) -> [UInt8] {
        (0..<Int.random(in: 0...count, using: &self)).map { _ in UInt8(truncatingIfNeeded: next()) }
    }

    mutating func bytes() -> Bytes { Bytes(array(upTo: chance(10) ? 400 : 12)) }

    mutating func text() -> String {
        let scalars: [Character] = ["a", "/", "0", "é", "🐦", "\u{0}"]
        return String(
            (0..<Int.random(in: 0...9, using: &self)).map { _ in
                scalars[Int.random(in: 0..<scalars.count, using: &self)]
            })
    }

    mutating func list<Item>(upTo count: Int, _ item: (inout WireRandom) -> Item) -> [Item] {
        (0..<Int.random(in: 0...count, using: &self)).map { _ in item(&self) }
    }
}

extension WireRandom {
    mutating func rangeRequest() -> RangeRequest {
        RangeRequest(
            key: bytes(), rangeEnd: bytes(), limit: int64(), revision: int64(),
            sortOrder: .init(rawValue: int32()), sortTarget: .init(rawValue: int32()),
            serializable: bool(), keysOnly: bool(), countOnly: bool(), minModRevision: int64(),
            maxModRevision: int64(), minCreateRevision: int64(), maxCreateRevision: int64())
    }

    mutating func putRequest() -> PutRequest {
        PutRequest(
            key: bytes(), value: bytes(), lease: int64(), prevKV: bool(), ignoreValue: bool(),
            ignoreLease: bool())
    }

    mutating func deleteRangeRequest() -> DeleteRangeRequest {
        DeleteRangeRequest(key: bytes(), rangeEnd: bytes(), prevKV: bool())
    }

    mutating func compare() -> Compare {
        let operands: [Compare.Operand] = [
            .none, .version(int64()), .createRevision(int64()), .modRevision(int64()),
            .value(bytes()), .lease(int64()),
        ]
        return Compare(
            result: .init(rawValue: int32()), target: .init(rawValue: int32()), key: bytes(),
            operand: operands[Int.random(in: 0..<operands.count, using: &self)], rangeEnd: bytes())
    }

    mutating func requestOp(depth: Int) -> RequestOp {
        switch Int.random(in: 0..<(depth > 0 ? 5 : 4), using: &self) {
        case 0: .none
        case 1: .range(rangeRequest())
        case 2: .put(putRequest())
        case 3: .deleteRange(deleteRangeRequest())
        default: .txn(txnRequest(depth: depth - 1))
        }
    }

    mutating func txnRequest(depth: Int = 3) -> TxnRequest {
        TxnRequest(
            compare: list(upTo: 3) { $0.compare() },
            success: list(upTo: 3) { $0.requestOp(depth: depth) },
            failure: list(upTo: 3) { $0.requestOp(depth: depth) })
    }

    mutating func watchRequest() -> WatchRequest {
        switch Int.random(in: 0..<4, using: &self) {
        case 0: .none
        case 1: .cancel(WatchCancelRequest(watchID: int64()))
        case 2: .progress
        default:
            .create(
                WatchCreateRequest(
                    key: bytes(), rangeEnd: bytes(), startRevision: int64(),
                    progressNotify: bool(), filters: list(upTo: 3) { $0.int32() }, prevKV: bool(),
                    watchID: int64(), fragment: bool()))
        }
    }

    mutating func header() -> ResponseHeader {
        ResponseHeader(
            clusterID: uint64(), memberID: uint64(), revision: int64(), raftTerm: uint64())
    }
}
