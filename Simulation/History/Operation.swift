// Operation.swift: one call of one client, from its start to its end.
// Belongs here: the record. Never here: whether it is right (Checkers/).
// Source: Herlihy and Wing, "Linearizability" (1990): calls are intervals, not points.

/// A unary call as its client saw it.
package struct Operation: Hashable, Sendable {
    /// How a call ended.
    package enum Outcome: Hashable, Sendable {
        /// An answer, at this time.
        case answered(at: UInt64, Response)
        /// An error which says that nothing was done, at this time.
        case refused(at: UInt64, Refusal)
        /// No word, or an error that leaves open whether it was, or will be, applied (G20).
        case unknown
    }

    /// Who called; a client may have several calls in flight.
    package var client: Int
    /// The call's number, by which violations name it; each is used once in a history.
    package var number: Int
    /// The member that was asked.
    package var member: UInt64
    /// When the call left the client: microseconds of one clock for all clients.
    package var invoked: UInt64
    package var request: Request
    package var outcome: Outcome

    package init(
        client: Int, number: Int, member: UInt64, invoked: UInt64, request: Request,
        outcome: Outcome = .unknown
    ) {
        self.client = client
        self.number = number
        self.member = member
        self.invoked = invoked
        self.request = request
        self.outcome = outcome
    }

    /// The answer with its time; nil for a refusal or an unknown outcome.
    package var answer: (at: UInt64, response: Response)? {
        guard case .answered(let time, let response) = outcome else { return nil }
        return (time, response)
    }

    /// Whether the answer must be of the present: not so for serializable reads and for what the
    /// leader answers from memory (G7, L9).
    package var isLinearizable: Bool {
        switch request {
        case .range(let read): !read.serializable
        case .leaseKeepAlive, .leaseTimeToLive: false
        case .txn(let txn): !txn.isSerializable
        case .put, .deleteRange, .compact, .leaseGrant, .leaseRevoke: true
        }
    }
}

extension Txn {
    /// Whether it only reads, and every read may be old (T4).
    package var isSerializable: Bool {
        let steps = success + failure
        return !steps.isEmpty
            && steps.allSatisfy {
                guard case .range(let read) = $0 else { return false }
                return read.serializable
            }
    }
}
