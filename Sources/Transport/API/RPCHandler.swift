// RPCHandler.swift: what Transport tells the server about calls.
// Belongs here: the callbacks and their order. Never here: what a call means.
// Invariant: every callback comes on the handler's own event loop, one at a time.

/// Why a call ended before the handler finished it.
public enum CancelReason: Sendable {
    /// The client reset the stream, or broke the protocol on it.
    case reset
    /// The connection is gone.
    case connectionClosed
    /// The client's deadline passed; DeadlineExceeded was sent already.
    case deadline
}

/// Answers the calls of all connections of one event loop.
///
/// Order of calls for one `RPCCall`: `start`, then `received` any number of times, then
/// `halfClosed` (not for unary methods), then nothing; `cancelled` may come at any time between
/// `start` and `RPCCall.finish`, and is the last one. A method with one request message gets
/// `start` only when that message is complete.
public protocol RPCHandler: AnyObject {
    /// A call arrived.
    func start(_ call: RPCCall)
    /// One complete message arrived, without its prefix.
    ///
    /// For unary methods this comes once, when the client has also closed its side.
    func received(_ call: RPCCall, _ message: [UInt8])
    /// The call's final status is decided, by the handler or by Transport; for calls that were started.
    func finished(_ call: RPCCall, _ code: GRPCCode)
    /// A message of a call that may have several was queued.
    func sent(_ call: RPCCall)
    /// The client will send no more messages.
    func halfClosed(_ call: RPCCall)
    /// The call is gone and can no longer be answered.
    func cancelled(_ call: RPCCall, _ reason: CancelReason)
    /// `bufferedBytes` fell below the low-water mark after having been above the high-water mark.
    func drained(_ call: RPCCall)
    /// All callbacks of this turn of the event loop were made; what is sent now leaves in the same
    /// flush.
    func endOfTurn()
}

extension RPCHandler {
    /// Does nothing: not every handler counts.
    public func finished(_ call: RPCCall, _ code: GRPCCode) {}
    /// Does nothing: not every handler counts.
    public func sent(_ call: RPCCall) {}
}
