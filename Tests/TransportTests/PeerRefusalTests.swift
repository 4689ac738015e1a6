// PeerRefusalTests.swift: who may not connect, who breaks the protocol, who falls silent; both ways.
// Raw sockets play the other side where a member of ours would not misbehave.

import NIOCore
import NIOEmbedded
import NIOPosix
import Synchronization
import Testing

@testable import Transport

@Suite("peer refusals")
struct PeerRefusalTests {
    private func refusal(
        _ result: Result<PeerConnection, PeerError>?
    ) -> (code: PeerRefusal, text: String)? {
        guard case .failure(.refusedByPeer(_, let code, let text)) = result else { return nil }
        return (code, text)
    }

    @Test("cluster: a member of another is refused, and both logs say what to compare")
    func wrongCluster() throws {
        let one = try PeerTestMember(1, cluster: 8)
        let two = try PeerTestMember(2)
        let answer = try refusal(one.dial(two.listen(), to: 2))
        #expect(answer?.code == .wrongCluster)
        #expect(answer?.text.contains("in cluster 7, the other in 8") == true)
        #expect(two.events.has("refused a snapshot connection from member 1"))
        #expect(two.handler.connected.isEmpty && two.handler.state.withLock { $0.hellos }.isEmpty)
        try one.stop()
        try two.stop()
    }

    @Test("cluster: only on the bootstrap channel may it be unknown")
    func unknownCluster() throws {
        let new = try PeerTestMember(0, cluster: 0)
        let two = try PeerTestMember(2)
        let url = try two.listen()
        let connection = try #require(new.dial(url, to: 0, .bootstrap)).get()
        #expect(connection.member == 2)
        #expect(refusal(new.dial(url, to: 0, .log))?.code == .malformed)
        try new.stop()
        try two.stop()
    }

    @Test("member: a URL that leads to another member, or to oneself, is refused")
    func wrongMember() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let url = try two.listen()
        let answer = refusal(one.dial(url, to: 3))
        #expect(answer?.code == .wrongMember)
        #expect(answer?.text.contains("this is member 2, not 3") == true)
        #expect(refusal(two.dial(url, to: 2))?.code == .wrongMember)
        try one.stop()
        try two.stop()
    }

    @Test(
        "caller: its refusals reach the other side with their text",
        arguments: [PeerRefusal.unknownMember, .removedMember, .busy])
    func caller(code: PeerRefusal) throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        two.handler.state.withLock { $0.admission = .refuse(code, "ask the operator") }
        let answer = try refusal(one.dial(two.listen(), to: 2))
        #expect(answer?.code == code && answer?.text == "ask the operator")
        #expect(two.events.has("(\(code)): ask the operator"))
        try one.stop()
        try two.stop()
    }

    @Test("link: one that is refused keeps trying, reports once, and connects when it may")
    func refusedLink() throws {
        var limits = PeerLimits()
        limits.failureReportNanoseconds = .max
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2, limits: limits)
        two.handler.state.withLock { $0.admission = .refuse(.unknownMember, "not yet") }
        let link = one.link(to: 2, [try two.listen()])
        #expect(eventually { two.handler.state.withLock { $0.hellos.count } >= 4 })
        #expect(one.events.all.count == 1 && two.events.all.count == 1)
        two.handler.state.withLock { $0.admission = .accept }
        #expect(eventually { link.isConnected })
        try one.stop()
        try two.stop()
    }

    // MARK: Raw dialers

    private func hello(
        _ identity: PeerIdentity = PeerIdentity(clusterID: 7, memberID: 1, name: "raw"),
        to: UInt64 = 2, _ change: (inout PeerHello) -> Void = { _ in }
    ) -> [UInt8] {
        var hello = PeerHello(identity: identity, to: to, channel: .log)
        change(&hello)
        return Array(hello.encoded.readableBytesView)
    }

    private func answer(_ bytes: [UInt8]) throws -> PeerAnswer? {
        var buffer = ByteBuffer(bytes: bytes)
        return try PeerWire.openEnvelope(&buffer).map { try PeerAnswer(body: $0) }
    }

    @Test("version: members without one in common part with both ranges in the text")
    func versions() throws {
        let two = try PeerTestMember(2)
        let raw = try BlockingClient(port: two.listen().port)
        try raw.write(
            hello {
                $0.oldestVersion = 5
                $0.newestVersion = 6
            })
        let answer = try answer(raw.readToEnd())
        #expect(answer?.refusal == .versionMismatch)
        #expect(answer?.text.contains("protocol 1 to 1, the other 5 to 6") == true)
        try two.stop()
    }

    @Test("version: a newer member that still speaks ours is welcome")
    func newerMember() throws {
        let two = try PeerTestMember(2)
        let raw = try BlockingClient(port: two.listen().port)
        try raw.write(hello { $0.newestVersion = 9 })
        let answer = try answer(raw.read())
        #expect(answer?.refusal == nil && answer?.version == 1 && answer?.memberID == 2)
        try two.stop()
    }

    @Test(
        "malformed: what is not a hello ends the connection with a report",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n", "not a Martlet member's hello"),
            ("\u{16}\u{3}\u{1}", "spoke TLS to a plain peer URL"),
            ("MARTPEER\u{1}\u{7f}aaaa", "a frame of 32513 bytes"),
            ("MARTPEER\u{1}\u{0}aaaab", "a checksum is wrong"),
        ])
    func malformed(text: String, report: String) throws {
        let two = try PeerTestMember(2)
        let raw = try BlockingClient(port: two.listen().port)
        try raw.write(Array(text.utf8))
        _ = try raw.readToEnd()
        #expect(two.events.has(report), "\(two.events.all)")
        #expect(two.handler.connected.isEmpty)
        try two.stop()
    }

    @Test(
        "malformed: bad frames end the connection with a report, and reach nobody",
        arguments: [
            ([1, 0, 0, 0, 9, 9, 9, 9, 1], "a checksum is wrong"),
            ([0xFF, 0xFF, 0xFF, 0x7F], "a frame of 2147483647 bytes; 20971520 are allowed"),
            ([0, 0, 0, 0], "a frame without a kind"),
        ] as [([UInt8], String)])
    func badFrames(bytes: [UInt8], report: String) throws {
        let two = try PeerTestMember(2)
        let raw = try BlockingClient(port: two.listen().port)
        try raw.write(hello() + bytes)
        _ = try raw.readToEnd()
        #expect(two.events.has(report), "\(two.events.all)")
        #expect(eventually { two.handler.closed.count == 1 })
        #expect(two.handler.frames.isEmpty)
        try two.stop()
    }

    @Test("malformed: a second hello ends the connection with a report")
    func secondHello() throws {
        let two = try PeerTestMember(2)
        let raw = try BlockingClient(port: two.listen().port)
        try raw.write(hello() + hello())
        _ = try raw.readToEnd()
        #expect(two.events.has("a hello in the middle of the connection"))
        try two.stop()
    }

    @Test("frames sent together with the hello arrive; a frame cut by the end is reported")
    func early() throws {
        let two = try PeerTestMember(2)
        do {
            let raw = try BlockingClient(port: two.listen().port)
            var buffer = ByteBuffer()
            PeerFrameEncoder.write((3, [1, 2]), to: &buffer)
            PeerFrameEncoder.write((4, [1, 2]), to: &buffer)
            try raw.write(hello() + Array(buffer.readableBytesView).dropLast())
            #expect(try !raw.read().isEmpty)
            #expect(eventually { two.handler.frames.count == 1 })
        }
        #expect(two.events.has("closed it in the middle of a frame"))
        try two.stop()
    }

    @Test("loss: a connection that is reset, as by a process that died, is over at once")
    func reset() throws {
        let two = try PeerTestMember(2)
        do {
            // Closed with the answer unread, which TCP tells by a reset.
            let raw = try BlockingClient(port: two.listen().port)
            try raw.write(hello())
            #expect(eventually { two.handler.connected.count == 1 })
        }
        #expect(eventually { two.handler.closed.count == 1 })
        #expect(two.events.has("log connection with member 1 at 127.0.0.1:"))
        #expect(eventually { two.listener?.connectionCount == 0 })
        try two.stop()
    }

    @Test("time: whoever does not finish the hello is disconnected with a report")
    func helloTimeout() throws {
        var limits = PeerLimits()
        limits.handshakeNanoseconds = 50_000_000
        let two = try PeerTestMember(2, limits: limits)
        let raw = try BlockingClient(port: two.listen().port)
        try raw.write(hello().dropLast())
        #expect(try raw.readToEnd().isEmpty)
        #expect(two.events.has("the hello was not finished within 50 ms"))
        try two.stop()
    }

    @Test("silence: a connection on which nothing comes is closed; pings keep a quiet one up")
    func silence() throws {
        var limits = PeerLimits()
        limits.pingNanoseconds = 100_000_000
        limits.silentPingsMax = 5
        let two = try PeerTestMember(2, limits: limits)
        let url = try two.listen()
        let raw = try BlockingClient(port: url.port)
        try raw.write(hello())
        let one = try PeerTestMember(3, limits: limits)
        let link = one.link(to: 2, [url])
        #expect(eventually { link.isConnected })
        let quiet = link.connection

        let heard = try raw.readToEnd()

        #expect(two.events.has("nothing came for 500 ms"))
        // Its answer, then pings: 9 bytes each.
        #expect(heard.count > 14 + 9)
        pass(milliseconds: 600)
        #expect(link.connection === quiet && quiet?.isOpen == true)
        #expect(two.handler.frames.isEmpty && one.handler.frames.isEmpty)
        try one.stop()
        try two.stop()
    }

    @Test("door: of connections that say nothing only so many are kept")
    func greetingBound() throws {
        var limits = PeerLimits()
        limits.greetingMax = 2
        let two = try PeerTestMember(2, limits: limits)
        let url = try two.listen()
        let idle = try [BlockingClient(port: url.port), BlockingClient(port: url.port)]
        let third = try BlockingClient(port: url.port)
        #expect(try third.readToEnd().isEmpty)
        #expect(two.events.has("too many connections at once"))
        try idle[0].write(hello())
        #expect(try !idle[0].read().isEmpty)
        // A place is free again.
        let fourth = try BlockingClient(port: url.port)
        try fourth.write(hello { $0.from = 4 })
        #expect(try !fourth.read().isEmpty)
        try two.stop()
    }

    @Test("end: a connection that closed before its handlers stood fails once, not never or twice")
    func closedBeforeHandlers() throws {
        let one = try PeerTestMember(1)
        let results = ResultBox()
        let url = PeerURL(isTLS: false, host: "a", port: 1)
        let dial = PeerDial(
            url: url, member: 2, channel: .log, opened: { results.set(.success($0)) },
            failed: { results.set(.failure($0)) }, closed: { _ in })
        let channel = EmbeddedChannel()
        let handshake = try PeerSockets.install(
            PeerDialingGreeter(dial, settings: one.settings), on: channel,
            settings: one.settings, address: "a", role: nil, remoteIP: nil)
        #expect(results.value == nil)

        handshake.end()
        channel.pipeline.fireChannelInactive()

        guard case .failure(.handshake(url.description, _)) = results.value else {
            Issue.record("no failure")
            return
        }
        try one.stop()
    }

    @Test("end: the handler hears of it in the very call in which the channel is known closed")
    func sameTurn() throws {
        let loop = EmbeddedEventLoop()
        let handler = PeerRecorder()
        let settings = PeerSettings(
            identity: PeerIdentity(clusterID: 7, memberID: 2, name: ""), tls: nil, group: loop,
            handler: handler, report: { _ in })
        let registry = PeerRegistry(limits: settings.limits)
        #expect(registry.beginGreeting())
        let channel = EmbeddedChannel(loop: loop)
        _ = try PeerSockets.install(
            PeerAcceptingGreeter(settings: settings, registry: registry, address: "a", host: "a"),
            on: channel, settings: settings, address: "a", role: nil, remoteIP: nil)
        try channel.connect(to: SocketAddress(ipAddress: "10.0.0.1", port: 1)).wait()
        try channel.writeInbound(ByteBuffer(bytes: hello()))
        #expect(handler.connected.count == 1 && registry.count == 1)

        channel.pipeline.fireChannelInactive()

        #expect(handler.closed.count == 1 && registry.count == 0)
        #expect(handler.connected.first?.isOpen == false)
    }

    // MARK: Raw acceptors

    /// Answers the first bytes of every connection with the given ones.
    private final class Canned: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let bytes: [UInt8]

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
        }
    }

    private func error(
        to answer: [UInt8], limits: PeerLimits = PeerLimits()
    ) throws -> PeerError? {
        let one = try PeerTestMember(1, limits: limits)
        let server = try ServerBootstrap(group: one.settings.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Canned(answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
        let url = PeerURL(isTLS: false, host: "127.0.0.1", port: server.localAddress?.port ?? 0)
        let result = one.dial(url, to: 2, .log)
        try server.close().wait()
        try one.stop()
        guard case .failure(let error) = result else { return nil }
        return error
    }

    private func reply(cluster: UInt64 = 7, member: UInt64 = 2, version: UInt16 = 1) -> [UInt8] {
        let identity = PeerIdentity(clusterID: cluster, memberID: member, name: "")
        let answer = PeerAnswer(refusal: nil, version: version, identity: identity, text: "")
        return Array(answer.encoded.readableBytesView)
    }

    private func refusedByUs(_ error: PeerError?) -> PeerRefusal? {
        guard case .refusedByUs(_, let code, _) = error else { return nil }
        return code
    }

    @Test("dialer: an acceptor that is not the one meant is not used")
    func wrongAcceptor() throws {
        #expect(try error(to: reply()) == nil)
        #expect(try refusedByUs(error(to: reply(cluster: 8))) == .wrongCluster)
        #expect(try refusedByUs(error(to: reply(cluster: 0))) == .wrongCluster)
        #expect(try refusedByUs(error(to: reply(member: 3))) == .wrongMember)
        #expect(try refusedByUs(error(to: reply(version: 2))) == .versionMismatch)
    }

    @Test("dialer: garbage, half an answer and silence are errors that say so")
    func brokenAcceptor() throws {
        #expect(
            try error(to: Array("HTTP/1.1 400\r\n".utf8))?.description.contains(
                "is the URL a peer URL?") == true)
        var limits = PeerLimits()
        limits.handshakeNanoseconds = 200_000_000
        var bad = reply()
        bad[20] ^= 1
        #expect(try error(to: bad)?.description.contains("a checksum is wrong") == true)
        #expect(
            try error(to: reply().dropLast(), limits: limits)?.description.contains(
                "the hello was not finished within 200 ms") == true)
    }

    @Test("dialer: no listener, no name and no certificate are errors that say so")
    func unreachable() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let url = try two.listen()
        try two.stopListening()
        func text(_ url: PeerURL) -> String {
            guard case .failure(let error) = one.dial(url, to: 2) else { return "" }
            return error.description
        }
        #expect(text(url).hasSuffix(": Connection refused"))
        #expect(
            text(PeerURL(isTLS: false, host: "no-such-host.invalid", port: 1)).contains(
                "does DNS know it?"))
        #expect(text(PeerURL(isTLS: true, host: "a", port: 1)).contains("set a peer certificate"))
        #expect(throws: TransportError.self) { try two.listen(isTLS: true) }
        try one.stop()
        try two.stop()
    }
}
