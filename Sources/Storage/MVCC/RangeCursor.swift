// RangeCursor.swift: one pass over the keys of a range, now or at an old revision.
// Belongs here: stepping. Never here: limits, sorting, encoding (Server).
// Source: etcd semantics R3 (key order), R8 (history), R14 (deleted keys are not returned).

/// What a pass brings along of each value.
public enum ValueNeed: Sendable {
    /// Nothing.
    case none
    /// Its length, without reading it.
    case length
    /// All of it.
    case full
}

/// A pass over a range in ascending key order; its bytes are valid until the next `next()`.
///
/// A cursor uses the reader's prepared statement: one cursor of
/// a kind at a time on a reader.
public final class RangeCursor {
    private let reader: KeyReader
    private let statement: Statement
    private let values: ValueNeed
    // nil reads the newest state; else the last place that counts.
    private let place: PackedRevision?
    private var oldValue: [UInt8] = []
    private var oldValueCount = 0
    private(set) var isDone = false
    /// The record of the key under the cursor.
    public private(set) var record = KeyRecord.missing

    /// Begins a pass.
    ///
    /// - Parameter revision: a main revision at or after the compacted one, or nil for the newest state.
    public init(
        reader: KeyReader, from key: UnsafeRawBufferPointer, to end: RangeEnd,
        at revision: Int64?, values: ValueNeed
    ) throws(StorageError) {
        self.reader = reader
        self.values = values
        place = revision.map { PackedRevision.last(of: $0) }
        let shape: KeyReader.Shape =
            switch values {
            case _ where place != nil: .allRecords
            case .none: .liveRecords
            case .length: .liveLengths
            case .full: .liveValues
            }
        statement = try reader.scan(shape, from: key, to: end)
    }

    deinit {
        close()
    }

    /// Ends the pass and frees the statement.
    public func close() {
        guard !isDone else { return }
        isDone = true
        statement.reset()
    }

    /// The key under the cursor.
    public var key: UnsafeRawBufferPointer { statement.bytes(0) }

    /// Passes the value under the cursor; empty where values were not asked for.
    @inline(__always)
    public func withValue<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        if place != nil { return oldValue.withUnsafeBytes { body($0) } }
        guard case .full = values else {
            return body(UnsafeRawBufferPointer(start: nil, count: 0))
        }
        return body(statement.bytes(5))
    }

    /// The length of the value under the cursor; 0 where values were not asked for.
    public var valueCount: Int {
        if place != nil { return oldValueCount }
        switch values {
        case .none: return 0
        case .length: return Int(statement.integer(5))
        case .full: return statement.count(5)
        }
    }

    /// Moves to the next key of the range; false at the end.
    public func next() throws(StorageError) -> Bool {
        precondition(!isDone, "a finished cursor was moved")
        while try statement.step() {
            let newest = PackedRevision(rawValue: statement.integer(1))
            guard let place else {
                record = KeyRecord(
                    revision: newest, createRevision: statement.integer(2),
                    version: statement.integer(3) - Schema.versionBias,
                    lease: statement.integer(4))
                return true
            }
            if try load(newest, asOf: place) { return true }
        }
        close()
        return false
    }

    // Finds the change that counted then; false if the key did not exist.
    private func load(
        _ newest: PackedRevision, asOf place: PackedRevision
    ) throws(StorageError) -> Bool {
        guard let then = try reader.revision(of: newest, asOf: place) else { return false }
        let found = try reader.withChange(at: then) { _, record, value in
            guard record.isLive else { return false }
            self.record = record
            switch values {
            case .none: break
            case .length: oldValueCount = value.count
            case .full:
                oldValueCount = value.count
                oldValue.removeAll(keepingCapacity: true)
                oldValue.append(contentsOf: value)
            }
            return true
        }
        return found ?? false
    }
}
