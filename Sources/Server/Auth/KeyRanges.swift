// KeyRanges.swift: a set of keys, as ranges that neither overlap nor touch.
// Belongs here: merging and asking. Never here: whose keys they are (AuthState.swift).
// Source: etcd semantics A7: adjacent ranges count as one. Invariant: starts ascend, and each range ends before
// the next begins; so a range of keys lies in the set if and only if it lies in one of them.

/// A set of keys made of half-open ranges.
struct KeyRanges: Equatable {
    fileprivate struct Range: Equatable {
        let start: Bytes
        /// The first key behind it; nil: there is none.
        var end: Bytes?
    }

    private var ranges: [Range] = []

    /// The union of ranges as permissions name them.
    init(_ permissions: [(key: [UInt8], rangeEnd: [UInt8])]) {
        let sorted = permissions.map { Range(Bytes($0.key), rangeEnd: $0.rangeEnd) }
            .sorted { $0.start < $1.start }
        for range in sorted {
            // Old releases of etcd granted such permissions; there they are permissions on nothing.
            guard !range.start.isEmpty else { continue }
            // Nothing can lie in it, and it must not join its neighbours.
            if let end = range.end, !(range.start < end) { continue }
            guard let last = ranges.last, last.reaches(range.start) else {
                ranges.append(range)
                continue
            }
            ranges[ranges.count - 1].end = Range.later(last.end, range.end)
        }
    }

    var isEmpty: Bool { ranges.isEmpty }

    /// Whether every key of a request's range is in the set.
    ///
    /// A range that holds no key asks for its first one all the same: who may not see it learns nothing.
    func covers(_ bounds: KeyBounds) -> Bool {
        guard let range = last(notAfter: bounds.start), range.holds(bounds.start) else {
            return false
        }
        switch bounds.end {
        case .single: return true
        case .unbounded: return range.end == nil
        case .before(let end):
            #if SIMULATION
                if ServerBug.rangeEndIgnored.isPlanted { return true }
            #endif
            return range.end.map { !($0 < end) } ?? true
        }
    }

    private func last(notAfter key: Bytes) -> Range? {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if key < ranges[middle].start { high = middle } else { low = middle + 1 }
        }
        return low == 0 ? nil : ranges[low - 1]
    }
}

extension KeyRanges.Range {
    /// A permission's range: empty end one key, "\0" all keys from there on.
    fileprivate init(_ key: Bytes, rangeEnd: [UInt8]) {
        start = key
        switch KeyBounds(key: key, rangeEnd: Bytes(rangeEnd)).end {
        case .single: end = Bytes(key.array + [0])
        case .unbounded: end = nil
        case .before(let bytes): end = bytes
        }
    }

    fileprivate func holds(_ key: Bytes) -> Bool {
        !(key < start) && end.map { key < $0 } ?? true
    }

    /// Whether a range that begins at `start`, not before this one, leaves no gap behind this one.
    fileprivate func reaches(_ start: Bytes) -> Bool {
        end.map { !($0 < start) } ?? true
    }

    fileprivate static func later(_ left: Bytes?, _ right: Bytes?) -> Bytes? {
        guard let left, let right else { return nil }
        return left < right ? right : left
    }
}
