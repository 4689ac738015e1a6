// Footprint.swift: which keys a call may read or write.
// Belongs here: sets of key numbers. Never here: what is done with them.
// Why: a contradiction about some keys is only cured by another choice about the same keys.

/// A set of key numbers, kept as ranges that do not touch.
struct Footprint: Equatable {
    private(set) var ranges: [Range<Int>] = []

    init() {}

    init(_ ranges: [Range<Int>]) { self.ranges = Self.merge(ranges) }

    init(_ request: Request, keys: KeyTable) {
        switch request {
        case .put(let put): self.init([keys.numbers(in: KeySpan(put.key))])
        case .range(let read): self.init([keys.numbers(in: read.span)])
        case .deleteRange(let delete): self.init([keys.numbers(in: delete.span)])
        case .txn(let txn): self.init(Self.ranges(of: txn, keys))
        case .compact, .leaseGrant, .leaseRevoke, .leaseKeepAlive, .leaseTimeToLive: self.init()
        }
    }

    /// Only the keys that the call may hang on a lease.
    init(leased request: Request, keys: KeyTable) {
        switch request {
        case .put(let put):
            self.init(put.lease == 0 ? [] : [keys.numbers(in: KeySpan(put.key))])
        case .txn(let txn): self.init(Self.leased(txn, keys))
        default: self.init()
        }
    }

    private static func leased(_ txn: Txn, _ keys: KeyTable) -> [Range<Int>] {
        (txn.success + txn.failure).flatMap { step -> [Range<Int>] in
            switch step {
            case .put(let put) where put.lease != 0: [keys.numbers(in: KeySpan(put.key))]
            case .txn(let inner): leased(inner, keys)
            case .put, .range, .deleteRange: []
            }
        }
    }

    mutating func formUnion(_ other: Footprint) {
        guard !other.ranges.isEmpty, other != self else { return }
        ranges = Self.merge(ranges + other.ranges)
    }

    func overlaps(_ other: Footprint) -> Bool {
        var mine = ranges[...]
        var theirs = other.ranges[...]
        while let one = mine.first, let two = theirs.first {
            if one.overlaps(two) { return true }
            if one.upperBound <= two.lowerBound { mine.removeFirst() } else { theirs.removeFirst() }
        }
        return false
    }

    private static func merge(_ ranges: [Range<Int>]) -> [Range<Int>] {
        var merged: [Range<Int>] = []
        let sorted = ranges.filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
        for range in sorted {
            if let last = merged.last, range.lowerBound <= last.upperBound {
                merged[merged.count - 1] =
                    last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }

    private static func ranges(of txn: Txn, _ keys: KeyTable) -> [Range<Int>] {
        var found = txn.compares.map { keys.numbers(in: $0.span) }
        for step in txn.success + txn.failure {
            switch step {
            case .put(let put): found.append(keys.numbers(in: KeySpan(put.key)))
            case .range(let read): found.append(keys.numbers(in: read.span))
            case .deleteRange(let delete): found.append(keys.numbers(in: delete.span))
            case .txn(let inner): found += ranges(of: inner, keys)
            }
        }
        return found
    }
}
