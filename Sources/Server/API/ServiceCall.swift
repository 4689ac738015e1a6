// ServiceCall.swift: a call as the services see it, whoever carries it: a connection, or the simulator.
// Belongs here: the seam. Never here: HTTP/2 (Transport).

internal import Transport

/// One call, confined to its event loop.
protocol ServiceCall: AnyObject {
    /// What it brings along to prove who makes it.
    var credentials: Credentials { get }
    /// What the services keep with the call.
    var held: AnyObject? { get set }
    /// Bytes accepted by `send` that the client has not taken yet.
    var bufferedBytes: Int { get }
    /// Whether the call can still be answered.
    var isOpen: Bool { get }
    /// Queues one message.
    func send(_ message: consuming [UInt8])
    /// Begins one message that follows in parts.
    func beginMessage(length: Int)
    /// Queues the next part.
    func sendPart(_ bytes: consuming [UInt8])
    /// Ends the call after what is queued.
    func finish(_ status: RPCStatus)
    /// Stops taking messages from the client, who is held back by flow control.
    func pauseReceiving()
    /// Takes messages again.
    func resumeReceiving()
}

extension RPCCall: ServiceCall {
    var credentials: Credentials {
        Credentials(
            token: metadata.token ?? metadata.authorization,
            commonName: peer.certificateCommonName)
    }

    var held: AnyObject? {
        get { context }
        set { context = newValue }
    }
}
