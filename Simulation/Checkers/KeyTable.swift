// KeyTable.swift: small numbers for all keys of a history, in the order of the keys.
// Belongs here: numbering. Never here: what the keys hold (ModelStore.swift).
// Why: a span becomes a range of numbers, and the store an array; a million calls are cheap so.

/// All keys that a history may write, each with its number.
package struct KeyTable: Sendable {
    package let keys: [[UInt8]]
    private let numbers: [[UInt8]: Int]

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
        var numbers: [[UInt8]: Int] = [:]
        numbers.reserveCapacity(keys.count)
        for (number, key) in keys.enumerated() { numbers[key] = number }
        self.numbers = numbers
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
    package func number(of key: [UInt8]) -> Int? { numbers[key] }

    /// The numbers of all keys inside a span.
    package func numbers(in span: KeySpan) -> Range<Int> {
        if span.end.isEmpty {
            guard let number = numbers[span.key] else { return 0..<0 }
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
