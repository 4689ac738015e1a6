// RangeOperation.swift: one Range request, in steps of bounded work.
// Belongs here: order, limits, filters, counting, encoding. Never here: transactions, threads, sending.
// Source: etcd semantics R1-R14. A list is encoded straight from the rows; a large one is measured first
// and then sent in parts, so that its size in memory does not grow with its length.

internal import Storage

/// Bounds of one step; a step of any of these takes a few milliseconds at most.
enum RangeLimits {
    /// An answer up to this size is one message; a larger one is sent in parts.
    static let singleMessageBytesMax = 1 << 20
    /// Rows looked at in one step without reading values.
    static let rowsPerStep = 5_000
    /// Keys in the first message of a stream, which is to come at once (R15).
    static let firstChunkItems = 10
    /// The size of one part of a large answer, and of one message of a stream.
    static let partBytes = 128 << 10
    /// Values held to sort by them, and an answer that can't be sent in parts: beyond, the read is refused.
    static let heldBytesMax = 128 << 20
}

/// Where a page ended, and how many keys follow it.
struct RangeContinuation: Sendable {
    let lastKey: [UInt8]
    let nextKey: [UInt8]
    let count: Int64
}

/// A Range request under way on one reader, whose transaction is open until `releasesReader`.
///
/// A key-ordered, unfiltered list goes straight from the rows into the message (`direct`). All others,
/// and lists above `singleMessageBytesMax`, first gather the places of their rows (`gathering`), sort and
/// cut them; the rows are then read by place, which needs no transaction of its own: rows of the history
/// do not change, they can only be compacted away, which ends the answer with the error for that.
final class RangeOperation {
    /// What a step achieved.
    enum Progress {
        /// There is more to do.
        case more
        /// The answer is complete, in one message.
        case message([UInt8])
        /// The answer is measured: it has this many bytes, and `nextPart` gives them.
        case parts(totalBytes: Int)
    }

    private enum Phase {
        case direct(RangeCursor)
        case counting(RangeCounter, more: Bool)
        case gathering(RangeCursor)
        case gathered
    }

    private struct Item {
        let place: PackedRevision
        let sortKey: Int64
        let size: Int32
        let ordinal: Int32
    }

    let request: RangeRequest
    private let reader: KeyReader
    private let header: ResponseHeader
    // nil reads the newest state.
    private let revision: Int64?
    private let splits: Bool
    private let streams: Bool
    private var phase: Phase
    private var writer: ProtoWriter
    private var emitted: Int64 = 0
    private var seen: Int64 = 0
    private var items: [Item] = []
    private var sortValues: [[UInt8]] = []
    private var sortValueBytes = 0
    /// The rows of an answer that is sent in parts, in its order.
    private var places: [PackedRevision] = []
    private var more = false
    private var count: Int64 = 0
    private var nextItem = 0
    private var partsHeaderSent = false
    /// Where the next page would begin, once known.
    private(set) var continuation: RangeContinuation?
    private var lastKey: [UInt8] = []
    private var nextKey: [UInt8] = []
    /// The count from the request's key on, where a former page told it.
    private let knownCount: Int64?

    /// Begins an operation.
    ///
    /// - Parameters:
    ///   - revision: The main revision to read at, checked by the caller; nil for the newest.
    ///   - splits: Whether a large answer may be sent in parts.
    ///   - streams: Whether the answer is a stream of messages, which `nextChunk` gives.
    ///   - knownCount: The number of keys in the range, where the caller knows it.
    init(
        request: RangeRequest, reader: KeyReader, revision: Int64?, header: ResponseHeader,
        splits: Bool, streams: Bool = false, knownCount: Int64?,
        writer: ProtoWriter = ProtoWriter()
    ) throws(StorageError) {
        self.request = request
        self.reader = reader
        self.revision = revision
        self.header = header
        self.splits = splits
        self.streams = streams
        self.knownCount = knownCount
        self.writer = writer
        phase = .gathered
        if request.countOnly {
            phase = .counting(try startCounter(from: request.key.array), more: false)
        } else if request.isPlain, !streams {
            let values: ValueNeed = request.keysOnly ? .none : .full
            self.writer.beginRangeResponse(header)
            phase = .direct(try startCursor(values))
        } else {
            phase = .gathering(try startCursor(gatheredValues))
        }
    }

    // Values are needed whole only to sort by them; else their length, to measure the answer.
    private var gatheredValues: ValueNeed {
        if request.sortTarget == .value { return .full }
        return request.keysOnly ? .none : .length
    }

    private func startCursor(_ values: ValueNeed) throws(StorageError) -> RangeCursor {
        try RangeCursor.make(reader: reader, bounds: request.bounds, at: revision, values: values)
    }

    private func startCounter(from start: [UInt8]) throws(StorageError) -> RangeCounter {
        try RangeCounter(
            reader: reader, start: start, end: request.bounds.end, revision: revision)
    }

    /// Does the next bounded piece of work.
    func step() throws(StorageError) -> Progress {
        switch phase {
        case .direct(let cursor): return try stepDirect(cursor)
        case .counting(let counter, let more):
            if request.countOnly, let knownCount {
                return finishDirect(more: false, count: knownCount)
            }
            guard try counter.step() else { return .more }
            if request.countOnly {
                writer.beginRangeResponse(header)
            } else {
                continuation = RangeContinuation(
                    lastKey: lastKey, nextKey: counter.start, count: counter.count)
            }
            return finishDirect(more: more, count: emitted + counter.count)
        case .gathering(let cursor): return try stepGathering(cursor)
        case .gathered: preconditionFailure("a finished range was stepped")
        }
    }

    /// Frees the statement of an operation that is given up.
    func close() {
        switch phase {
        case .direct(let cursor), .gathering(let cursor): cursor.close()
        case .counting(let counter, _): counter.close()
        case .gathered: break
        }
    }

    /// Runs to the end; for callers that can't wait, such as transactions.
    func run() throws(StorageError) -> [UInt8] {
        precondition(!splits, "a range that may be split was run in one go")
        while true {
            if case .message(let bytes) = try step() { return bytes }
        }
    }

    private func finishDirect(more: Bool, count: Int64) -> Progress {
        if request.countOnly, writer.count == 0 { writer.beginRangeResponse(header) }
        writer.endRangeResponse(more: more, count: count)
        phase = .gathered
        return .message(writer.take())
    }

    private func stepDirect(_ cursor: RangeCursor) throws(StorageError) -> Progress {
        while try cursor.next() {
            if request.limit > 0, emitted == request.limit { return try stopAtLimit(cursor) }
            cursor.withValue { value in
                writer.appendRangeKV(KeyValueView(cursor.key, cursor.record, value))
            }
            emitted += 1
            guard splits || writer.count <= RangeLimits.heldBytesMax else {
                cursor.close()
                throw Self.tooLarge
            }
            if emitted == request.limit { lastKey = Array(cursor.key) }
            if splits, writer.count > RangeLimits.singleMessageBytesMax {
                cursor.close()
                writer = ProtoWriter()
                emitted = 0
                phase = .gathering(try startCursor(gatheredValues))
                return .more
            }
        }
        return finishDirect(more: false, count: emitted)
    }

    private func stopAtLimit(_ cursor: RangeCursor) throws(StorageError) -> Progress {
        let start = Array(cursor.key)
        cursor.close()
        if let knownCount {
            continuation = RangeContinuation(
                lastKey: lastKey, nextKey: start, count: knownCount - emitted)
            return finishDirect(more: true, count: knownCount)
        }
        phase = .counting(try startCounter(from: start), more: true)
        return try step()
    }

    private func stepGathering(_ cursor: RangeCursor) throws(StorageError) -> Progress {
        let fetchMax = request.fetchLimit
        for _ in 0..<RangeLimits.rowsPerStep {
            guard try cursor.next() else {
                count = seen
                return try finishGathering()
            }
            if let fetchMax, seen == fetchMax {
                let start = Array(cursor.key)
                // Before counting: at an old revision both walk the same statement.
                cursor.close()
                count = try countAll(after: seen, from: start)
                return try finishGathering()
            }
            seen += 1
            if seen == request.limit { lastKey = Array(cursor.key) }
            if seen == request.limit &+ 1 { nextKey = Array(cursor.key) }
            if request.keeps(cursor.record) { gather(cursor) }
        }
        guard sortValueBytes <= RangeLimits.heldBytesMax else { throw Self.tooLarge }
        return .more
    }

    private func countAll(after seen: Int64, from start: [UInt8]) throws(StorageError) -> Int64 {
        if let knownCount { return knownCount }
        let counter = try startCounter(from: start)
        while try !counter.step() {}
        return seen + counter.count
    }

    private func gather(_ cursor: RangeCursor) {
        let record = cursor.record
        let valueCount = request.keysOnly ? 0 : cursor.valueCount
        if request.sortTarget == .value {
            let value = cursor.withValue { Array($0) }
            sortValueBytes += value.count
            sortValues.append(value)
        }
        let empty = UnsafeRawBufferPointer(start: nil, count: 0)
        let body =
            KeyValueView(cursor.key, record, empty).bodySize + WireSize.bytes(5, valueCount)
        items.append(
            Item(
                place: record.revision, sortKey: request.sortKey(of: record),
                size: Int32(WireSize.lengthDelimited(2, body)), ordinal: Int32(items.count)))
    }

    private func finishGathering() throws(StorageError) -> Progress {
        sort()
        sortValues = []
        if request.limit > 0, items.count > request.limit {
            items.removeSubrange(Int(request.limit)...)
            more = true
            if request.isPlain {
                continuation = RangeContinuation(
                    lastKey: lastKey, nextKey: nextKey, count: count - request.limit)
            }
        }
        var size = RangeResponseSize(header)
        size.end(more: more, count: count)
        let total = items.reduce(size.bytes) { $0 + Int($1.size) }
        phase = .gathered
        places = items.map(\.place)
        items = []
        if streams || splits && total > RangeLimits.singleMessageBytesMax {
            return .parts(totalBytes: total)
        }
        guard total <= RangeLimits.heldBytesMax else { throw Self.tooLarge }
        writer = ProtoWriter(capacity: total)
        guard try appendItems(bytesMax: Int.max) else { throw RangeOperation.vanished }
        return .message(writer.take())
    }

    private func sort() {
        let descending = request.sortOrder == .descend
        switch request.sortTarget {
        case .key:
            if descending { items.reverse() }
        case .value:
            items.sort { left, right in
                let (a, b) = (sortValues[Int(left.ordinal)], sortValues[Int(right.ordinal)])
                if a == b { return left.ordinal < right.ordinal }
                return Bytes(a) < Bytes(b) ? !descending : descending
            }
        default:
            items.sort { left, right in
                if left.sortKey == right.sortKey { return left.ordinal < right.ordinal }
                return (left.sortKey < right.sortKey) != descending
            }
        }
    }

    /// The next part of an answer that is sent in parts; empty after the last.
    ///
    /// - Parameter reader: any reader inside a transaction; it need not be the one of `step`.
    /// - Returns: nil if the history was compacted away meanwhile.
    func nextPart(reader: KeyReader) throws(StorageError) -> [UInt8]? {
        guard try appendItems(bytesMax: RangeLimits.partBytes, reader: reader) else { return nil }
        return writer.take()
    }

    /// The next message of a streamed answer (R15): keys, and in the last one all else.
    ///
    /// - Parameter reader: any reader inside a transaction; it need not be the one of `step`.
    /// - Returns: nil if the history was compacted away meanwhile.
    func nextChunk(reader: KeyReader) throws(StorageError) -> [UInt8]? {
        var chunk = ProtoWriter()
        let open = chunk.openMessage(1, expectedBytes: RangeLimits.partBytes)
        let start = chunk.count
        let itemsMax = nextItem == 0 ? RangeLimits.firstChunkItems : Int.max
        var taken = 0
        while nextItem < places.count, taken < itemsMax,
            chunk.count - start < RangeLimits.partBytes
        {
            guard try append(places[nextItem], from: reader, to: &chunk) else { return nil }
            nextItem += 1
            taken += 1
        }
        if nextItem == places.count {
            partsHeaderSent = true
            chunk.insert(at: start) { $0.header(header) }
            chunk.endRangeResponse(more: more, count: count)
        }
        chunk.close(open)
        return chunk.take()
    }

    private func append(
        _ place: PackedRevision, from source: KeyReader, to writer: inout ProtoWriter
    ) throws(StorageError) -> Bool {
        let found: Void? = try source.withChange(at: place) { key, record, value in
            let kept = request.keysOnly ? UnsafeRawBufferPointer(start: nil, count: 0) : value
            writer.appendRangeKV(KeyValueView(key, record, kept))
        }
        return found != nil
    }

    /// Whether parts are left.
    var hasParts: Bool { nextItem < places.count || !partsHeaderSent }

    /// What an answer that is sent in parts takes in memory until then.
    var heldBytes: Int { places.count * MemoryLayout<PackedRevision>.stride }

    private static let tooLarge = StorageError.busy(
        what: "a read that would hold more than \(RangeLimits.heldBytesMax) bytes")

    static let vanished = StorageError.corrupt(
        file: "db", offset: 0, reason: "a row of the key index has no change")

    private func appendItems(
        bytesMax: Int, reader other: KeyReader? = nil
    ) throws(StorageError) -> Bool {
        if !partsHeaderSent {
            partsHeaderSent = true
            writer.beginRangeResponse(header)
        }
        let source = other ?? reader
        while nextItem < places.count, writer.count < bytesMax {
            guard try append(places[nextItem], from: source, to: &writer) else { return false }
            nextItem += 1
        }
        if nextItem == places.count { writer.endRangeResponse(more: more, count: count) }
        return true
    }
}

extension RangeOperation {
    /// The answer to a range within a transaction.
    ///
    /// - Parameters:
    ///   - shown: The revision in its header.
    ///   - newest: The revision at which the newest state, which is cheaper to read, is the same; nil once the
    ///     transaction has changed it.
    static func inTxn(
        _ request: RangeRequest, reader: KeyReader, shown: Int64, newest: Int64?
    ) throws(RequestFailure) -> [UInt8] {
        let isNewest = request.revision <= 0 || request.revision == newest
        return try storing { () throws(StorageError) in
            try RangeOperation(
                request: request, reader: reader, revision: isNewest ? nil : request.revision,
                header: .inTxn(revision: shown), splits: false, knownCount: nil
            ).run()
        }
    }
}
