// AccessModel.swift: the slow and obvious idea of permissions: sets of single keys.
// Belongs here: a model that enumerates keys. Never here: expectations, chance.
// It shares nothing with the code under test but the requests; tests and the fuzzer of permissions ask it.

@testable import Server

/// All keys there are for the model: every text of up to three letters out of three, and one behind all.
///
/// Where bounds have two letters at most, a gap between ranges begins at one of these keys, if there is one.
enum ModelKeys {
    static let letters: [UInt8] = [0, 1, 2]
    static let all: [[UInt8]] = {
        var keys: [[UInt8]] = [[0xff, 0xff, 0xff, 0xff]]
        for first in letters {
            keys.append([first])
            for second in letters {
                keys.append([first, second])
                for third in letters { keys.append([first, second, third]) }
            }
        }
        return keys
    }()

    /// The keys of a range as requests and permissions name it.
    static func keys(_ key: [UInt8], _ rangeEnd: [UInt8]) -> Set<[UInt8]> {
        if rangeEnd.isEmpty { return [key] }
        return Set(
            all.filter { candidate in
                let isBefore = rangeEnd == [0] || candidate.lexicographicallyPrecedes(rangeEnd)
                return !candidate.lexicographicallyPrecedes(key) && isBefore
            })
    }
}

/// What a user may do, as sets of keys.
struct ModelGrant {
    var readable: Set<[UInt8]> = []
    var writable: Set<[UInt8]> = []

    mutating func add(_ permission: WirePermission) {
        let keys = ModelKeys.keys(permission.key.array, permission.rangeEnd.array)
        if permission.kind != 1 { readable.formUnion(keys) }
        if permission.kind != 0 { writable.formUnion(keys) }
    }

    func allows(_ request: RangeRequest) -> Bool {
        readable.isSuperset(of: touched(request.key, request.rangeEnd))
    }

    /// - Parameter leased: the keys attached to each lease.
    func allows(_ request: PutRequest, leased: [Int64: Set<[UInt8]>]) -> Bool {
        let key = request.key.array
        return writable.contains(key) && (!request.prevKV || readable.contains(key))
            && writable.isSuperset(of: leased[request.lease] ?? [])
    }

    func allows(_ request: DeleteRangeRequest) -> Bool {
        let keys = touched(request.key, request.rangeEnd)
        return writable.isSuperset(of: keys) && (!request.prevKV || readable.isSuperset(of: keys))
    }

    func allows(_ txn: TxnRequest, leased: [Int64: Set<[UInt8]>]) -> Bool {
        txn.compare.allSatisfy { readable.isSuperset(of: touched($0.key, $0.rangeEnd)) }
            && (txn.success + txn.failure).allSatisfy { operation in
                switch operation {
                case .range(let request): allows(request)
                case .put(let request): allows(request, leased: leased)
                case .deleteRange(let request): allows(request)
                case .txn(let nested): allows(nested, leased: leased)
                case .none: false
                }
            }
    }

    // A range without keys asks for its first one.
    private func touched(_ key: Bytes, _ rangeEnd: Bytes) -> Set<[UInt8]> {
        ModelKeys.keys(key.array, rangeEnd.array).union([key.array])
    }
}
