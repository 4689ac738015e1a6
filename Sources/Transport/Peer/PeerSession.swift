// PeerSession.swift: the life of one connection after its hello, as a channel handler.
// Belongs here: frames in, frames out, pings, the end. Never here: the hello (PeerHandshake.swift).
// Frames out wait in the outbox until the loop wakes; then they are joined into buffers of about
// 1 MiB and written while the socket takes them, with one flush for all that fits.
// Silence is counted in pings, so that a loop which stood still for long does not take the silence
// for the other side's.

import NIOCore

// Guarded by the connection's event loop.
final class PeerSession: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let eventLoop: any EventLoop
    let outbox: PeerOutbox
    let frameBytesMax: Int

    private let nioChannel: any Channel
    private let settings: PeerSettings
    private let greeter: any PeerGreeter
    private let trouble: PeerTrouble
    private var decoder: PeerFrameDecoder
    /// Nil before the hello and after the end.
    private var connection: PeerConnection?
    private var context: ChannelHandlerContext?

    /// Frames taken from the outbox, from `sent` on not written yet.
    private var sending: [PeerOutgoing] = []
    private var sent = 0
    private var isWriting = false
    private var hasSent = false
    private var hasReceived = false
    private var silentPings = 0
    private var timer: RepeatedTask?
    private var isPaused = false
    private var isDelivering = false
    private var isOpening = false

    init(
        channel: any Channel, kind: PeerChannel, settings: PeerSettings,
        greeter: any PeerGreeter, trouble: PeerTrouble
    ) {
        nioChannel = channel
        eventLoop = channel.eventLoop
        outbox = PeerOutbox(bytesMax: settings.limits.queueBytesMax[kind])
        frameBytesMax = settings.limits.frameBytesMax[kind]
        decoder = PeerFrameDecoder(frameBytesMax: frameBytesMax)
        self.settings = settings
        self.greeter = greeter
        self.trouble = trouble
    }

    /// Begins with what was read behind the hello.
    ///
    /// The channel may be closed already, or be closed by what is called here: the end is told only
    /// after the beginning.
    func open(_ connection: PeerConnection, rest: ByteBuffer) {
        self.connection = connection
        // All connections of a loop tick at the same moments: one wake-up serves them all.
        let interval = settings.limits.pingNanoseconds
        let now = Int64(clamping: NIODeadline.now().uptimeNanoseconds)
        timer = eventLoop.scheduleRepeatedTask(
            initialDelay: .nanoseconds(2 * interval - now % interval),
            delay: .nanoseconds(interval)
        ) { _ in
            self.tick()
        }
        isOpening = true
        greeter.opened(connection)
        settings.report(
            .connected(
                member: connection.member, channel: connection.channel,
                address: connection.address, isDialed: connection.isDialed))
        settings.handler.peerConnected(connection)
        isOpening = false
        decoder.append(rest)
        deliver()
        if !nioChannel.isActive { finish() }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        // What was read before the end is delivered even to a handler that paused.
        isPaused = false
        deliver()
        finish()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(reason: SystemErrorText.of(error))
    }

    // MARK: Receiving

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        hasReceived = true
        decoder.append(unwrapInboundIn(data))
        deliver()
    }

    private func deliver() {
        // A handler that resumes reading inside `peerReceived` is already being served.
        guard !isDelivering, !isOpening else { return }
        isDelivering = true
        defer { isDelivering = false }
        do throws(PeerFault) {
            while let connection, !isPaused, trouble.text == nil, let frame = try decoder.next() {
                guard frame.kind != PeerWire.pingKind else { continue }
                settings.handler.peerReceived(
                    connection, kind: frame.kind, payload: frame.payload)
            }
        } catch {
            close(reason: "\(error)")
        }
    }

    func pause() {
        guard connection != nil, !isPaused else { return }
        isPaused = true
        setAutoRead(false)
    }

    func resume() {
        guard connection != nil, isPaused else { return }
        isPaused = false
        silentPings = 0
        deliver()
        if !isPaused { setAutoRead(true) }
    }

    private func setAutoRead(_ isOn: Bool) {
        // On a channel that is closing this fails, and means nothing any more.
        nioChannel.setOption(.autoRead, value: isOn).whenFailure { _ in }
    }

    // MARK: Sending

    /// Frames were put into the outbox.
    func wake() {
        let frames = outbox.take()
        if sent == sending.count {
            sending = frames
            sent = 0
        } else {
            // A queue that is never empty must not keep what it has sent.
            if sent > sending.count / 2 {
                sending.removeFirst(sent)
                sent = 0
            }
            sending += frames
        }
        write()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { write() }
        context.fireChannelWritabilityChanged()
    }

    private func write() {
        // Flushing may make the channel writable again and so lead back here.
        guard !isWriting, let context, connection != nil else { return }
        isWriting = true
        var isDrained = false
        var bytesLeft = PeerBounds.writeBytesPerTurn
        while sent < sending.count, bytesLeft > 0, context.channel.isWritable {
            var count = 0
            var end = sent
            while end < sending.count, end == sent || count < PeerBounds.writeBytes {
                count += PeerFrameEncoder.count(sending[end])
                end += 1
            }
            var buffer = context.channel.allocator.buffer(capacity: count)
            for index in sent..<end {
                PeerFrameEncoder.write(sending[index], to: &buffer)
                // The payload is copied: its memory need not wait for the rest of the queue.
                sending[index].payload = []
            }
            sent = end
            hasSent = true
            bytesLeft -= count
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
            if outbox.gone(bytes: count) { isDrained = true }
        }
        if sent == sending.count {
            sending.removeAll(keepingCapacity: sending.count <= 1_024)
            sent = 0
        }
        isWriting = false
        // The loop's other connections have their turn; an unwritable channel calls back itself.
        if sent < sending.count, context.channel.isWritable {
            eventLoop.execute { self.write() }
        }
        if isDrained, let connection { settings.handler.peerDrained(connection) }
    }

    // MARK: Pings

    private func tick() {
        guard let context else { return }
        if hasReceived || isPaused {
            silentPings = 0
        } else {
            silentPings += 1
        }
        hasReceived = false
        guard silentPings < settings.limits.silentPingsMax else {
            let milliseconds = settings.limits.pingNanoseconds * Int64(silentPings) / 1_000_000
            close(reason: "nothing came for \(milliseconds) ms: its host or the network is down")
            return
        }
        // A socket that takes nothing has enough to say already.
        if !hasSent, context.channel.isWritable {
            var ping = context.channel.allocator.buffer(capacity: PeerWire.frameHeadBytes + 1)
            PeerFrameEncoder.write((PeerWire.pingKind, []), to: &ping)
            context.writeAndFlush(wrapOutboundOut(ping), promise: nil)
        }
        hasSent = false
    }

    // MARK: The end

    /// Closes the connection; the first reason given is the one reported.
    ///
    /// The channel is closed in a task of its own, so that a handler which closes is not told of
    /// the end before it has returned.
    func close(reason: String) {
        guard connection != nil else { return }
        trouble.note(reason)
        outbox.close()
        eventLoop.execute { self.nioChannel.close(promise: nil) }
    }

    private func finish() {
        guard !isOpening, let connection else { return }
        self.connection = nil
        timer?.cancel()
        timer = nil
        outbox.close()
        sending = []
        sent = 0
        greeter.closed(connection)
        settings.handler.peerClosed(connection)
        let usual =
            decoder.isInsideFrame
            ? "the other side closed it in the middle of a frame" : "the other side closed it"
        settings.report(
            .lost(
                member: connection.member, channel: connection.channel,
                address: connection.address, reason: trouble.text ?? usual))
        decoder = PeerFrameDecoder(frameBytesMax: frameBytesMax)
    }
}

/// Why a connection ends, told by whichever of its handlers knows first; confined to its loop.
final class PeerTrouble {
    private(set) var text: String?

    func note(_ reason: String) {
        if text == nil { text = reason }
    }
}
