// PeerConnection.swift: one connection to another member, as the server holds it.
// Belongs here: what may be done with it. Never here: bytes (PeerSession.swift).

public import NIOCore

/// What is known of the other side once its hello or answer is believed.
struct PeerIntroduction {
    var channel: PeerChannel
    var member: UInt64
    var version: UInt16
    /// Nil when this side dialed.
    var hello: PeerHello?
}

/// A connection to another member, open from `peerConnected` to `peerClosed`.
public final class PeerConnection: Sendable {
    /// What the connection is for.
    public let channel: PeerChannel
    /// The member at the other end; 0 when it has no id yet.
    public let member: UInt64
    /// The protocol version both sides speak, for frames whose contents depend on it.
    public let version: UInt16
    /// What the member that connected said about itself; nil when this side dialed.
    public let hello: PeerHello?
    /// Where the other end is: its URL when dialed, else its IP address and port.
    public let address: String
    /// Whether this side asked for the connection.
    public let isDialed: Bool
    /// The loop on which everything about the connection is called.
    public let eventLoop: any EventLoop

    private let outbox: PeerOutbox
    private let session: PeerSession
    private let owned: NIOLoopBoundBox<AnyObject?>

    init(_ other: PeerIntroduction, address: String, session: PeerSession) {
        channel = other.channel
        member = other.member
        version = other.version
        hello = other.hello
        self.address = address
        isDialed = other.hello == nil
        self.session = session
        eventLoop = session.eventLoop
        outbox = session.outbox
        owned = .makeEmptyBox(valueType: AnyObject.self, eventLoop: session.eventLoop)
    }

    /// The handler's own state of the connection; only on its event loop.
    public var state: AnyObject? {
        get { owned.value }
        set { owned.value = newValue }
    }

    /// Queues frames, all or none, in order; false when the queue is full or the connection over.
    ///
    /// From any thread. Kinds are 1 to 255; a frame must not exceed the channel's limit. An empty
    /// queue takes frames of any number of bytes.
    public func send(_ frames: [(kind: UInt8, payload: [UInt8])]) -> Bool {
        for frame in frames {
            precondition(frame.kind != PeerWire.pingKind, "kind 0 is the transport's own")
            precondition(
                frame.payload.count < session.frameBytesMax,
                "a frame of \(frame.payload.count) bytes on \(channel)")
        }
        guard !frames.isEmpty else { return outbox.isOpen }
        switch outbox.put(frames) {
        case .refused: return false
        case .queued: return true
        case .wake:
            eventLoop.execute { [session] in session.wake() }
            return true
        }
    }

    /// Queues one frame; see the other `send`.
    public func send(kind: UInt8, _ payload: [UInt8]) -> Bool {
        send([(kind, payload)])
    }

    /// Whether the queue has room; after a refused `send`, `peerDrained` tells when it has.
    public var isWritable: Bool { outbox.isWritable }

    /// Whether the connection stands.
    public var isOpen: Bool { outbox.isOpen }

    /// Closes the connection, from any thread; `peerClosed` follows, never from inside this call.
    ///
    /// Frames still queued are lost: of an exchange that ends, the side that got the last frame
    /// closes. On the connection's loop no frame is delivered after this.
    public func close() {
        close(reason: "this side closed it")
    }

    func close(reason: String) {
        outbox.close()
        onLoop { $0.close(reason: reason) }
    }

    /// Reads no more until `resumeReading`, so that the sender has to wait; from any thread.
    ///
    /// Frames that were already read wait too, and come when reading goes on or the connection ends.
    /// Silence of the other side is not noticed meanwhile.
    public func pauseReading() {
        onLoop { $0.pause() }
    }

    /// Reads on; from any thread.
    ///
    /// Frames that waited follow, never from inside this call.
    public func resumeReading() {
        eventLoop.execute { [session] in session.resume() }
    }

    private func onLoop(_ body: @escaping @Sendable (PeerSession) -> Void) {
        if eventLoop.inEventLoop {
            body(session)
        } else {
            eventLoop.execute { [session] in body(session) }
        }
    }
}
