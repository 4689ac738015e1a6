// ReplicaRequest.swift: what event loops ask of the replica, and what it tells them.
// Belongs here: the messages between threads, all Sendable. Never here: their handling.

internal import Transport

/// The call that waits for an answer: an event loop and a place in its table of calls.
struct CallTicket: Hashable, Sendable {
    let loop: Int32
    let slot: UInt32
    /// Tells a call from a later one in the same slot.
    let generation: UInt32
}

/// A request on its way to the replica.
struct ReplicaRequest: Sendable {
    let ticket: CallTicket
    let body: Body
    /// The request's encoded size, which bounds of queues count.
    let byteCount: Int

    enum Body: Sendable {
        case put(PutRequest)
        case deleteRange(DeleteRangeRequest)
        case txn(TxnRequest)
        case compact(CompactionRequest)
        case leaseGrant(LeaseGrantRequest)
        case leaseRevoke(LeaseRevokeRequest)
        case leaseKeepAlive(LeaseKeepAliveRequest)
        case leaseTimeToLive(LeaseTimeToLiveRequest)
        case leaseLeases
        case alarm(AlarmRequest)
        /// Wants to know when reads that began before this may be served from local state (G7).
        case readIndex
        /// The loop has watches from now on, or has none any more.
        case subscribe(Bool)
    }
}

/// What the replica tells an event loop; order is kept.
enum LoopMessage: Sendable {
    /// The bytes of a response message; ends a unary call.
    case answer(CallTicket, [UInt8])
    /// The call failed.
    case failure(CallTicket, RPCStatus)
    /// Reads that asked under this ticket may go on.
    case readable(CallTicket)
    /// Events from `revision + 1` on will follow in order.
    case subscribed(revision: Int64)
    /// A published batch.
    case events(EventBatch)
    /// Events up to this revision were too many to hand over: read them from the store.
    case skipped(through: Int64)
}
