// Request.swift: what a client asked of the cluster.
// Belongs here: the calls that checkers understand. Never here: answers (Response.swift).
// Source: etcd rpc.proto; semantics R, P, D, T, C, L.

/// One unary call.
package enum Request: Hashable, Sendable {
    case put(Put)
    case range(RangeRead)
    case deleteRange(DeleteRange)
    case txn(Txn)
    /// Forget what lies below this revision.
    case compact(revision: Int64)
    /// `id` is 0 where the server chooses; `ttl` is in seconds, as asked.
    case leaseGrant(id: Int64, ttl: Int64)
    case leaseRevoke(id: Int64)
    case leaseKeepAlive(id: Int64)
    case leaseTimeToLive(id: Int64)
}

/// A write of one key (etcd rpc.proto, PutRequest).
package struct Put: Hashable, Sendable {
    package var key: [UInt8]
    package var value: [UInt8]
    /// 0 takes the key off its lease.
    package var lease: Int64
    /// Whether the answer shows what was there before.
    package var previous: Bool
    /// Keep the value that is there; refused without one (P4).
    package var ignoreValue: Bool
    /// Keep the lease that is there; refused without the key (P4).
    package var ignoreLease: Bool

    package init(
        _ key: [UInt8], _ value: [UInt8], lease: Int64 = 0, previous: Bool = false,
        ignoreValue: Bool = false, ignoreLease: Bool = false
    ) {
        self.key = key
        self.value = value
        self.lease = lease
        self.previous = previous
        self.ignoreValue = ignoreValue
        self.ignoreLease = ignoreLease
    }
}

/// A read in key order (etcd rpc.proto, RangeRequest without sorting and filters).
package struct RangeRead: Hashable, Sendable {
    package var span: KeySpan
    /// 0 reads the present; else the store as it was at that revision.
    package var revision: Int64
    /// Whether the asked member may answer from what it has, however old.
    package var serializable: Bool
    /// 0 for no limit.
    package var limit: Int
    /// Only the count is wanted (R6).
    package var countOnly: Bool
    /// Values are left out of the answer (R7).
    package var keysOnly: Bool

    package init(
        _ span: KeySpan, revision: Int64 = 0, serializable: Bool = false, limit: Int = 0,
        countOnly: Bool = false, keysOnly: Bool = false
    ) {
        self.span = span
        self.revision = revision
        self.serializable = serializable
        self.limit = limit
        self.countOnly = countOnly
        self.keysOnly = keysOnly
    }
}

/// A removal of all keys of a span (etcd rpc.proto, DeleteRangeRequest).
package struct DeleteRange: Hashable, Sendable {
    package var span: KeySpan
    /// Whether the answer shows what was removed.
    package var previous: Bool

    package init(_ span: KeySpan, previous: Bool = false) {
        self.span = span
        self.previous = previous
    }
}

/// Conditions, and what follows from them (etcd rpc.proto, TxnRequest).
package struct Txn: Hashable, Sendable {
    package var compares: [Compare]
    package var success: [TxnStep]
    package var failure: [TxnStep]

    package init(compares: [Compare] = [], success: [TxnStep], failure: [TxnStep] = []) {
        self.compares = compares
        self.success = success
        self.failure = failure
    }
}

/// One step of a transaction.
package indirect enum TxnStep: Hashable, Sendable {
    case put(Put)
    case range(RangeRead)
    case deleteRange(DeleteRange)
    case txn(Txn)
}

/// A condition of a transaction: "stored RELATION given" (T8, T10).
package struct Compare: Hashable, Sendable {
    /// How the stored is to relate to the given.
    package enum Relation: Hashable, Sendable, CaseIterable {
        case equal
        case greater
        case less
        case notEqual
    }

    /// What is compared, with what is given.
    package enum Operand: Hashable, Sendable {
        case version(Int64)
        case createRevision(Int64)
        case modRevision(Int64)
        case lease(Int64)
        case value([UInt8])
    }

    package var span: KeySpan
    package var relation: Relation
    package var operand: Operand

    package init(_ span: KeySpan, _ relation: Relation, _ operand: Operand) {
        self.span = span
        self.relation = relation
        self.operand = operand
    }
}
