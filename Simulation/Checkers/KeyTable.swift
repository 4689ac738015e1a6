// KeyTable.swift: small numbers for all keys of a history, in the order of the keys.
// Belongs here: numbering. Never here: what the keys hold (ModelStore.swift).
// Why: a span becomes a range of numbers, and the store an array; a million calls are cheap so.

/// All keys that a history may write, each with its number.
package struct KeyTable: Sendable {
    package let keys: [[UInt8]]
    /// Numbers of keys by the hash of the key, each at the first place from there on that was free; -1 for none.
    private let slots: [Int32]

    package init(history: History) {
        var found: Set<[UInt8]> = []
        for operation in history.operations {
            switch operation.request {
            case .put(let put): found.insert(put.key)
            case .txn(let txn): Self.collect(txn, into: &found)
            default: continue
            }
        }
        keys = found.sorted { $0.lexicographicallyPrecedes($1) }
        var count = 4
        while count < 2 * keys.count { count *= 2 }
        var slots = [Int32](repeating: -1, count: count)
        for (number, key) in keys.enumerated() {
            var slot = Self.hash(key) & (count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (count - 1) }
            slots[slot] = Int32(number)
        }
        self.slots = slots
    }

    // A dictionary would hash the bytes one by one.
    private static func hash(_ key: [UInt8]) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return Int(truncatingIfNeeded: hash ^ hash >> 32)
    }

    private static func collect(_ txn: Txn, into found: inout Set<[UInt8]>) {
        for step in txn.success + txn.failure {
            switch step {
            case .put(let put): found.insert(put.key)
            case .txn(let inner): collect(inner, into: &found)
            case .range, .deleteRange: continue
            }
        }
    }

    /// A key's number; nil if nobody ever asked to write it.
    package func number(of key: [UInt8]) -> Int? {
        var slot = Self.hash(key) & (slots.count - 1)
        while slots[slot] >= 0 {
            let number = Int(slots[slot])
            if keys[number] == key { return number }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// The numbers of all keys inside a span.
    package func numbers(in span: KeySpan) -> Range<Int> {
        if span.end.isEmpty {
            guard let number = number(of: span.key) else { return 0..<0 }
            return number..<number + 1
        }
        let first = lowerBound(span.key)
        let last = span.end == [0] ? keys.count : lowerBound(span.end)
        return first..<max(first, last)
    }

    private func lowerBound(_ key: [UInt8]) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle].lexicographicallyPrecedes(key) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}
