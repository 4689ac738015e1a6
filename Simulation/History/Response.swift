// Response.swift: what the cluster answered.
// Belongs here: answers and refusals. Never here: what was asked (Request.swift).
// Source: etcd rpc.proto; semantics G2, G5, R, P, D, T, C, L.

/// An answer with the revision of its header.
package struct Response: Hashable, Sendable {
    /// The header's revision (G2, G5).
    package var revision: Int64
    package var body: ResponseBody

    package init(revision: Int64, _ body: ResponseBody) {
        self.revision = revision
        self.body = body
    }
}

/// What an answer says beside its header.
package indirect enum ResponseBody: Hashable, Sendable {
    /// `previous` is nil where none was asked for, or none was there.
    case put(previous: KeyValue?)
    case range(RangeAnswer)
    /// `previous` is empty where none was asked for.
    case deleteRange(deleted: Int, previous: [KeyValue])
    /// One answer for each step of the path that was taken.
    case txn(succeeded: Bool, answers: [ResponseBody])
    case compact
    /// The lease's number and its true time to live, in seconds.
    case leaseGrant(id: Int64, ttl: Int64)
    case leaseRevoke
    /// `ttl` is 0 where the lease is gone (L3).
    case leaseKeepAlive(ttl: Int64)
    /// `ttl` is -1 where the lease is gone (L4).
    case leaseTimeToLive(ttl: Int64, granted: Int64)
}

/// What a read found.
package struct RangeAnswer: Hashable, Sendable {
    /// In key order; empty for a count.
    package var keyValues: [KeyValue]
    /// How many keys the span holds, whatever the limit (R5).
    package var count: Int
    /// Whether the limit left some out (R4).
    package var more: Bool

    package init(_ keyValues: [KeyValue], count: Int, more: Bool = false) {
        self.keyValues = keyValues
        self.count = count
        self.more = more
    }
}

/// Why a call certainly did nothing.
///
/// An error after which the call may have been applied is no refusal but an unknown outcome.
package enum Refusal: Hashable, Sendable {
    /// "required revision has been compacted" (R8, C1).
    case compacted
    /// "required revision is a future revision" (R8, C1).
    case futureRevision
    /// "requested lease not found" (P3, L2).
    case leaseNotFound
    /// "lease already exists" (L1).
    case leaseExists
    /// "key not found": a put that keeps what is not there (P4).
    case keyNotFound
    /// Anything else: overload, a full store, no leader, a form that is not allowed.
    case other(String)
}
