// RangeCounter.swift: how many keys a range holds, counted in steps.
// Belongs here: counting, now or at an old revision. Never here: remembering counts (CountCache.swift).
// Source: etcd semantics R5, R6.

internal import Storage

extension RangeCursor {
    /// A pass over a request's bounds.
    static func make(
        reader: KeyReader, bounds: KeyBounds, at revision: Int64?, values: ValueNeed
    ) throws(StorageError) -> RangeCursor {
        try bounds.withBounds { (key, end) throws(StorageError) -> RangeCursor in
            try RangeCursor(reader: reader, from: key, to: end, at: revision, values: values)
        }
    }
}

/// Counts the keys of a range from a start on.
final class RangeCounter {
    private let reader: KeyReader
    /// Where counting began.
    let start: [UInt8]
    private let end: KeyBounds.End
    private var next: Bytes
    private let cursor: RangeCursor?
    /// Keys counted so far.
    private(set) var count: Int64 = 0

    init(
        reader: KeyReader, start: [UInt8], end: KeyBounds.End, revision: Int64?
    ) throws(StorageError) {
        self.reader = reader
        self.start = start
        self.end = end
        next = Bytes(start)
        guard let revision else {
            cursor = nil
            return
        }
        cursor = try RangeCursor.make(
            reader: reader, bounds: KeyBounds(start: next, end: end), at: revision, values: .none)
    }

    /// Frees the statement of a count that is given up.
    func close() {
        cursor?.close()
    }

    /// Counts a bounded number of keys; true when all are counted.
    func step() throws(StorageError) -> Bool {
        let limit = RangeLimits.rowsPerStep
        if let cursor {
            for _ in 0..<limit {
                guard try cursor.next() else { return true }
                count += 1
            }
            return false
        }
        let bounds = KeyBounds(start: next, end: end)
        let part = try bounds.withBounds { (key, end) throws(StorageError) in
            try reader.countLive(from: key, to: end, limit: limit)
        }
        count += Int64(part.count)
        next = Bytes(part.lastKey + [0])
        return part.count < limit
    }
}
