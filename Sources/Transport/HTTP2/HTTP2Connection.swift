// HTTP2Connection.swift: one HTTP/2 connection as a channel handler: its state, its bytes in, its
// end. Belongs here: the life of the connection. Elsewhere: +Receive (frames in), +Send (answers
// and frames out), +Limits (keepalive, floods, deadlines, drain). Never here: C
// (HTTP2Callbacks.swift). Owner: the connection's event loop. Invariant: `calls[i].slot == i`, and
// a call is in `calls` from its HEADERS until nghttp2 closes its stream, so pointers that nghttp2
// holds to calls stay good. @exclusivity(unchecked) marks structs changed in place several times
// per call: one thread owns them, no method of theirs calls out, and the checks cost a tenth of a
// call.

import CNGHTTP2
import NIOCore

// Guarded by the connection's event loop.
final class HTTP2Connection: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    let loop: LoopContext
    let peer: PeerInfo
    let limits: ConnectionLimits
    let methods: MethodTable
    let servesRPC: Bool

    var session: HTTP2Session?
    var context: ChannelHandlerContext?
    @exclusivity(unchecked) var calls: [RPCCall] = []
    /// The place in `loop.connections`.
    var slot = -1

    // Receiving.
    /// The stream whose request headers are being read; 0 is none.
    var headerStreamID: Int32 = 0
    @exclusivity(unchecked) var headers = RequestHeaders()
    var lastCall: RPCCall?
    var unconsumedBytes = 0
    var partialBytes = 0 {
        didSet { loop.partialBytes += partialBytes - oldValue }
    }
    var messageBytesReceived = 0
    var readWanted = false
    /// Whether nghttp2 is running: its session must not be freed then.
    var isInSession = false
    var isTorn = false

    // Sending.
    var isDirty = false
    var isFlushing = false
    var closesAfterFlush = false
    var isClosing = false
    var bufferedBytes = 0 {
        didSet { loop.bufferedBytes += bufferedBytes - oldValue }
    }
    var messageBytesSent = 0
    var drainedCalls: [RPCCall] = []

    // Limits.
    @exclusivity(unchecked) var pingPolicy = PingPolicy()
    var pings = RateWindow()
    var resets = RateWindow()
    var settings = RateWindow()
    var lastReadNanoseconds: Int64 = 0
    var keepaliveTask: Scheduled<Void>?
    var isDraining = false
    var hasSentFinalGoAway = false

    init(loop: LoopContext, peer: PeerInfo, limits: ConnectionLimits, servesRPC: Bool) {
        self.loop = loop
        self.peer = peer
        self.limits = limits
        self.servesRPC = servesRPC
        self.methods = servesRPC ? loop.methods : MethodTable.empty
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let owner = Unmanaged.passUnretained(self).toOpaque()
        guard let session = HTTP2Session(owner: owner, limits: limits) else {
            fail("no memory for an HTTP/2 session")
            return
        }
        self.session = session
        loop.register(self)
        lastReadNanoseconds = loop.nowNanoseconds
        scheduleKeepalive(after: limits.keepaliveTimeNanoseconds)
        loop.markDirty(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        tearDown()
    }

    func channelInactive(context: ChannelHandlerContext) {
        tearDown()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.reportFailure(.connectionFailed(peer: peer.address, reason: SystemErrorText.of(error)))
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is DrainEvent {
            drain()
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        guard let session, !closesAfterFlush else { return }
        lastReadNanoseconds = loop.nowNanoseconds
        isInSession = true
        let taken = buffer.withUnsafeReadableBytes { session.receive($0) }
        isInSession = false
        if isTorn {
            freeSession()
            return
        }
        // A header block may go on in the next read: `headerStreamID` stays.
        lastCall = nil
        if taken < 0 {
            loop.reportFailure(
                .protocolError(peer: peer.address, reason: HTTP2Session.text(of: taken)))
            closesAfterFlush = true
        } else if unconsumedBytes > 0 {
            nghttp2_session_consume_connection(session.pointer, unconsumedBytes)
            unconsumedBytes = 0
        }
        loop.counters.received(bytes: buffer.readableBytes, messageBytes: messageBytesReceived)
        messageBytesReceived = 0
        loop.markDirty(self)
    }

    func read(context: ChannelHandlerContext) {
        // A client that does not read its answers is not read from either. One that is blocked by
        // its own HTTP/2 windows must be read: the bytes that open them come this way.
        if !context.channel.isWritable, let session, session.queuedFrames > Limits.queuedFramesMax {
            readWanted = true
            return
        }
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            loop.markDirty(self)
            if readWanted {
                readWanted = false
                context.read()
            }
        }
        context.fireChannelWritabilityChanged()
    }

    /// Gives up the connection because of a fault of our own.
    func fail(_ reason: String) {
        loop.reportFailure(.connectionFailed(peer: peer.address, reason: reason))
        context?.close(promise: nil)
    }

    /// Ends all calls and frees the session.
    private func tearDown() {
        guard !isTorn else { return }
        isTorn = true
        keepaliveTask?.cancel()
        keepaliveTask = nil
        loop.unregister(self)
        let ended = calls
        calls = []
        loop.callCount -= ended.count
        for call in ended { end(call, .connectionClosed) }
        headerStreamID = 0
        lastCall = nil
        drainedCalls = []
        context = nil
        if !isInSession { freeSession() }
    }

    func freeSession() {
        session?.destroy()
        session = nil
    }

    /// Closes a call's books and tells the handler if it does not know yet.
    func end(_ call: RPCCall, _ reason: CancelReason) {
        let wasOpen = call.phase == .open
        call.phase = .closed
        bufferedBytes -= call.output.byteCount
        call.output.removeAll()
        partialBytes -= call.partialBytes
        call.partialBytes = 0
        call.request = nil
        if wasOpen && call.isStarted {
            loop.touchRPC()
            loop.rpc.cancelled(call, reason)
            loop.rpc.finished(call, .cancelled)
        }
        if let stream = call.http?.stream {
            call.http?.stream = nil
            stream.leave()
            if wasOpen { loop.http.closed(stream) }
        }
        call.context = nil
    }
}
