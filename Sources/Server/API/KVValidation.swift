// KVValidation.swift: what can be said of a KV request without looking at the store.
// Belongs here: checks an event loop makes before a request is queued. Never here: checks against state (Replica/).
// Source: etcd semantics R1, R12, P4, P6, T5-T7, W22 (one reading of range_end, in KeyBounds).

internal import Storage

/// The one reading of a request's key and range_end (R1, W22).
struct KeyBounds: Hashable, Sendable {
    /// Where the range ends.
    enum End: Hashable, Sendable {
        case single
        case unbounded
        case before(Bytes)
    }

    let start: Bytes
    let end: End

    init(start: Bytes, end: End) {
        self.start = start
        self.end = end
    }

    init(key: Bytes, rangeEnd: Bytes) {
        start = key
        if rangeEnd.isEmpty {
            end = .single
        } else if rangeEnd.count == 1, rangeEnd[0] == 0 {
            end = .unbounded
        } else {
            end = .before(rangeEnd)
        }
    }

    /// Whether a key lies inside.
    func contains(_ key: Bytes) -> Bool {
        switch end {
        case .single: key == start
        case .unbounded: !(key < start)
        case .before(let end): !(key < start) && key < end
        }
    }

    /// Lends the bounds to a call of Storage.
    @inline(__always)
    func withBounds<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer, RangeEnd) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try start.withUnsafeBytes { (key) throws(Failure) -> Result in
            switch end {
            case .single: return try body(key, .single)
            case .unbounded: return try body(key, .unbounded)
            case .before(let bytes):
                return try bytes.withUnsafeBytes { (end) throws(Failure) -> Result in
                    try body(key, .before(end))
                }
            }
        }
    }
}

extension RangeRequest {
    var bounds: KeyBounds { KeyBounds(key: key, rangeEnd: rangeEnd) }

    func validate() throws(EtcdError) {
        guard !key.isEmpty else { throw .emptyKey }
        guard (0...2).contains(sortOrder.rawValue), (0...4).contains(sortTarget.rawValue) else {
            throw .invalidSortOption
        }
    }
}

extension PutRequest {
    func validate() throws(EtcdError) {
        guard !key.isEmpty else { throw .emptyKey }
        guard !ignoreValue || value.isEmpty else { throw .valueProvided }
        guard !ignoreLease || lease == 0 else { throw .leaseProvided }
    }
}

extension DeleteRangeRequest {
    var bounds: KeyBounds { KeyBounds(key: key, rangeEnd: rangeEnd) }

    func validate() throws(EtcdError) {
        guard !key.isEmpty else { throw .emptyKey }
    }
}

extension TxnRequest {
    /// Whether no operation, taken or not, can write (T4).
    var isReadOnly: Bool {
        for operation in success + failure {
            guard case .range = operation else { return false }
        }
        return true
    }

    /// Whether a read-only transaction may be answered from local state (T4).
    var isSerializable: Bool {
        for operation in success + failure {
            guard case .range(let range) = operation, range.serializable else { return false }
        }
        return true
    }

    /// Checks shape and keys (T5-T7).
    ///
    /// - Parameter operationsMax: `--max-txn-ops`.
    func validate(operationsMax: Int) throws(EtcdError) {
        try validateShape(operationsLeft: operationsMax)
        _ = try TouchedKeys(of: success)
        _ = try TouchedKeys(of: failure)
    }

    private func validateShape(operationsLeft: Int) throws(EtcdError) {
        let widest = max(compare.count, success.count, failure.count)
        guard widest <= operationsLeft else { throw .tooManyOperations }
        for item in compare where item.key.isEmpty { throw .emptyKey }
        for operation in success + failure {
            switch operation {
            case .none: throw .keyNotFound
            case .range(let request): try request.validate()
            case .put(let request): try request.validate()
            case .deleteRange(let request): try request.validate()
            case .txn(let nested):
                try nested.validateShape(operationsLeft: operationsLeft - widest)
            }
        }
    }
}

/// The keys that one path of a transaction puts and deletes; duplicates are refused while collecting (T5).
private struct TouchedKeys {
    private(set) var puts: Set<Bytes> = []
    private var deletes: [KeyBounds] = []

    init(of operations: [RequestOp]) throws(EtcdError) {
        for case .deleteRange(let request) in operations {
            deletes.append(request.bounds)
        }
        for case .txn(let nested) in operations {
            let taken = try TouchedKeys(of: nested.success)
            let other = try TouchedKeys(of: nested.failure)
            // Both branches of one nested transaction may put the same key: only one of them runs.
            try add(taken.puts.union(other.puts))
            deletes += taken.deletes + other.deletes
        }
        for case .put(let request) in operations {
            try add([request.key])
        }
    }

    private mutating func add(_ keys: Set<Bytes>) throws(EtcdError) {
        // The order of a set does not show: any duplicate gives the same error.
        for key in keys {
            let isDeleted = deletes.contains { Self.hasVisibleEnd($0) && $0.contains(key) }
            guard !puts.contains(key), !isDeleted else {
                throw .duplicateKey
            }
        }
        puts.formUnion(keys)
    }

    // etcd does not see a deletion up to "\0" as overlapping anything; clients may rely on it (T5).
    private static func hasVisibleEnd(_ bounds: KeyBounds) -> Bool {
        if case .unbounded = bounds.end { return false }
        return true
    }
}
