// KVResponses.swift: the answers of the KV service, written straight into a message's bytes.
// Belongs here: fields and their order. Never here: where keys come from, what a header holds.
// Source: messages.tsv. The same functions write an answer of its own and one inside a transaction.

extension ProtoWriter {
    // MARK: Range: begin, then each key in order, then end

    /// Begins a RangeResponse.
    mutating func beginRangeResponse(_ header: ResponseHeader) {
        self.header(header)
    }

    /// Appends one key of a RangeResponse.
    @inline(__always)
    mutating func appendRangeKV(_ kv: KeyValueView) {
        keyValue(2, kv)
    }

    /// Ends a RangeResponse.
    mutating func endRangeResponse(more: Bool, count: Int64) {
        let moreNumber: UInt64 = more ? 1 : 0
        append(exactly: WireSize.uint64(3, moreNumber) + WireSize.int64(4, count)) { cursor in
            cursor.uint64(3, moreNumber)
            cursor.int64(4, count)
        }
    }

    // MARK: Put

    /// A whole PutResponse; `previous` only if the client asked for it and the key was there.
    mutating func putResponse(_ header: ResponseHeader, previous: KeyValueView?) {
        self.header(header)
        if let previous { keyValue(2, previous) }
    }

    // MARK: DeleteRange: each deleted key in order, if asked for, then end

    /// Appends one deleted key of a DeleteRangeResponse.
    @inline(__always)
    mutating func appendDeletedKV(_ kv: KeyValueView) {
        keyValue(3, kv)
    }

    /// Ends the DeleteRangeResponse that began at `start`; revision and number are known only now.
    mutating func endDeleteRangeResponse(
        from start: Int, _ header: ResponseHeader, deleted: Int64
    ) {
        insert(at: start) { front in
            front.header(header)
            front.int64(2, deleted)
        }
    }

    // MARK: Txn: each operation's answer in order, then end

    /// Begins the answer of one operation; `close` ends it.
    ///
    /// Between them stands one whole answer of the kind named, also a nested transaction's.
    ///
    /// - Parameters:
    ///   - kind: Which operation is answered.
    ///   - expectedBytes: A guess of the answer's length, which saves moving it in `close`.
    mutating func openResponseOp(
        _ kind: ResponseOpKind, expectedBytes: Int = 0
    ) -> OpenResponseOp {
        let outer = openMessage(
            3, expectedBytes: WireSize.lengthDelimited(kind.rawValue, expectedBytes))
        return OpenResponseOp(
            outer: outer, inner: openMessage(kind.rawValue, expectedBytes: expectedBytes))
    }

    /// Ends the innermost open answer of a transaction.
    mutating func close(_ open: OpenResponseOp) {
        close(open.inner)
        close(open.outer)
    }

    /// Ends the TxnResponse that began at `start`; its revision is known only now.
    mutating func endTxnResponse(from start: Int, _ header: ResponseHeader, succeeded: Bool) {
        insert(at: start) { front in
            front.header(header)
            front.bool(2, succeeded)
        }
    }
}

/// The member of ResponseOp that answers an operation; the raw value is its field number.
enum ResponseOpKind: Int, Sendable {
    case range = 1
    case put = 2
    case deleteRange = 3
    case txn = 4
}

/// An answer inside a transaction that is still being written.
struct OpenResponseOp: Sendable {
    fileprivate let outer: ProtoWriter.OpenMessage
    fileprivate let inner: ProtoWriter.OpenMessage
}

/// The length of a RangeResponse, counted in a first pass so that a second can send it in parts.
struct RangeResponseSize: Sendable {
    private(set) var bytes: Int

    init(_ header: ResponseHeader) {
        bytes = header.fieldSize
    }

    @inline(__always)
    mutating func add(_ kv: KeyValueView) {
        bytes += kv.fieldSize(2)
    }

    mutating func end(more: Bool, count: Int64) {
        bytes += WireSize.uint64(3, more ? 1 : 0) + WireSize.int64(4, count)
    }
}
