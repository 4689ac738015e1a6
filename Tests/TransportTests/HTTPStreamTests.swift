// HTTPStreamTests.swift: answers in parts over HTTP/1.1 and HTTP/2, and WebSockets.
// Source: RFC 9112 section 7.1 (chunks), RFC 6455 (WebSocket).

import NIOCore
import NIOEmbedded
import NIOPosix
import Testing

@testable import Transport

/// Hands each request to the test, which answers by the stream.
final class StreamingHTTP: HTTPHandler {
    var opened: [(request: HTTPRequest, stream: HTTPStream)] = []
    var received: [String] = []
    var events: [String] = []

    func handle(_ request: HTTPRequest, respond: @escaping @Sendable (HTTPResponse) -> Void) {
        respond(HTTPResponse(status: 418))
    }

    func open(_ request: HTTPRequest, _ stream: HTTPStream) -> Bool {
        guard request.path != "/whole" else { return false }
        opened.append((request, stream))
        return true
    }

    func accepts(webSocket request: HTTPRequest) -> Bool { request.path == "/socket" }

    func received(_ stream: HTTPStream, _ message: [UInt8]) {
        received.append(String(decoding: message, as: UTF8.self))
    }

    func halfClosed(_ stream: HTTPStream) { events.append("halfClosed") }
    func drained(_ stream: HTTPStream) { events.append("drained") }
    func closed(_ stream: HTTPStream) { events.append("closed") }
}

/// One connection of a client that writes bytes, on a loop that the test turns.
final class StreamHarness {
    let loop = EmbeddedEventLoop()
    let channel: EmbeddedChannel
    let http = StreamingHTTP()

    init() throws {
        channel = EmbeddedChannel(loop: loop)
        let context = LoopContext(
            eventLoop: loop, index: 0, methods: MethodTable([]), rpc: RecordingRPC(), http: http,
            counters: TransportCounters(), report: { _ in })
        var limits = ConnectionLimits()
        limits.httpBodyBytesMax = 1_000
        try channel.pipeline.syncOperations.addHandler(
            ProtocolDetector(
                loop: context, peer: PeerInfo(address: "x"), limits: limits, servesRPC: true))
        try channel.connect(to: SocketAddress(ipAddress: "10.0.0.1", port: 1)).wait()
    }

    func write(_ text: String) throws { try write(Array(text.utf8)) }

    func write(_ bytes: [UInt8]) throws {
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        loop.run()
    }

    func read() throws -> String {
        loop.run()
        var text = ""
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
            text += String(decoding: buffer.readableBytesView, as: UTF8.self)
        }
        return text
    }

    func readBytes() throws -> [UInt8] {
        loop.run()
        var bytes: [UInt8] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
            bytes += Array(buffer.readableBytesView)
        }
        return bytes
    }
}

@Suite("HTTP streams")
struct HTTPStreamTests {
    @Test("HTTP/1.1: an answer in parts comes in chunks, and the connection goes on")
    func chunks() throws {
        let harness = try StreamHarness()
        try harness.write("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi")
        let (request, stream) = try #require(harness.http.opened.first)
        #expect(request.body == Array("hi".utf8) && stream.isOpen && !stream.isWebSocket)

        stream.begin(status: 200, headers: [("content-type", "x/y")])
        stream.write(Array("one".utf8))
        stream.write(Array("two!".utf8))
        let head = try harness.read()
        #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(head.contains("transfer-encoding: chunked"))
        #expect(head.hasSuffix("3\r\none\r\n4\r\ntwo!\r\n"))
        stream.end()
        #expect(try harness.read() == "0\r\n\r\n")
        #expect(!stream.isOpen && harness.http.events.isEmpty)

        try harness.write("GET /whole HTTP/1.1\r\nhost: x\r\n\r\n")
        #expect(try harness.read().hasPrefix("HTTP/1.1 418 "))
        try harness.write("POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        harness.http.opened[1].stream.respond(HTTPResponse(status: 400, body: [65]))
        #expect(try harness.read().hasSuffix("content-length: 1\r\n\r\nA"))
        _ = try harness.channel.finish()
    }

    @Test("HTTP/1.0: the end of the connection is the end of the answer")
    func http10() throws {
        let harness = try StreamHarness()
        try harness.write("POST /a HTTP/1.0\r\ncontent-length: 0\r\n\r\n")
        let stream = harness.http.opened[0].stream
        stream.begin(status: 200, headers: [])
        stream.write([65])
        stream.end()
        let answer = try harness.read()
        #expect(answer.hasSuffix("\r\n\r\nA") && !answer.contains("chunked"))
        #expect(!harness.channel.isActive)
    }

    @Test("HTTP/1.1: a client that leaves ends the stream; what is said later is ignored")
    func clientLeaves() throws {
        let harness = try StreamHarness()
        try harness.write("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        let stream = harness.http.opened[0].stream
        stream.begin(status: 200, headers: [])
        _ = try harness.channel.finish()
        #expect(harness.http.events == ["closed"])
        #expect(!stream.isOpen)
        stream.write([1])
        stream.end()
        stream.abort()
    }

    @Test("HTTP/1.1: an answer that is broken off ends the connection without its end")
    func aborted() throws {
        let harness = try StreamHarness()
        try harness.write("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        let stream = harness.http.opened[0].stream
        stream.begin(status: 200, headers: [])
        stream.write([65])
        _ = try harness.read()
        stream.abort()
        #expect(try harness.read() == "")
        #expect(!harness.channel.isActive && harness.http.events.isEmpty)
    }

    @Test("HTTP/2: an answer in parts, and one that is broken off")
    func overHTTP2() throws {
        let harness = try Harness()
        var streams: [HTTPStream] = []
        harness.http.onOpen = { _, stream in
            streams.append(stream)
            return true
        }
        let call = harness.client.request("/a", headers: [], body: [1])
        try harness.pump()
        streams[0].begin(status: 200, headers: [("content-type", "x/y")])
        streams[0].write([1, 2])
        try harness.pump()
        #expect(call.stream.value(":status") == "200" && call.stream.data == [1, 2])
        #expect(call.stream.closeCode == nil)
        streams[0].write([3])
        streams[0].end()
        try harness.pump()
        #expect(call.stream.data == [1, 2, 3] && call.stream.closeCode == 0)

        let broken = harness.client.request("/b", headers: [], body: [1])
        try harness.pump()
        streams[1].begin(status: 200, headers: [])
        streams[1].write([9])
        streams[1].abort()
        try harness.pump()
        #expect(broken.stream.closeCode == 2)

        let left = harness.client.request("/c", headers: [], body: [1])
        try harness.pump()
        streams[2].begin(status: 200, headers: [])
        harness.client.reset(left.id)
        try harness.pump()
        #expect(!streams[2].isOpen && harness.http.closedStreams == 1)
        try harness.close()
        #expect(harness.connection.bufferedBytes == 0)
    }

    // MARK: WebSocket

    private static let upgrade =
        "GET /socket HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        + "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

    private func socket() throws -> (StreamHarness, HTTPStream) {
        let harness = try StreamHarness()
        try harness.write(Self.upgrade)
        let answer = try harness.read()
        #expect(answer.hasPrefix("HTTP/1.1 101 "))
        // RFC 6455 section 1.3 has this very key.
        #expect(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        return (harness, try #require(harness.http.opened.first).stream)
    }

    private func frame(_ first: UInt8, _ text: String, masked: Bool = true) -> [UInt8] {
        let data = Array(text.utf8)
        guard masked else { return [first, UInt8(data.count)] + data }
        let mask: [UInt8] = [1, 2, 3, 4]
        return [first, 0x80 | UInt8(data.count)] + mask
            + data.enumerated().map { $1 ^ mask[$0 % 4] }
    }

    @Test("WebSocket: messages both ways, in parts too; pings are answered")
    func messages() throws {
        let (harness, stream) = try socket()
        #expect(stream.isWebSocket)
        try harness.write(frame(0x81, "one"))
        try harness.write(frame(0x01, "tw") + frame(0x89, "ping") + frame(0x80, "o"))
        #expect(harness.http.received == ["one", "two"])
        #expect(try harness.readBytes() == [0x8a, 4] + Array("ping".utf8))
        stream.write(Array("answer".utf8))
        #expect(try harness.readBytes() == [0x81, 6] + Array("answer".utf8))
        try harness.write(frame(0x88, "\u{3}\u{78}"))
        #expect(harness.http.events == ["halfClosed", "closed"])
        #expect(try harness.readBytes().first == 0x88)
        #expect(!harness.channel.isActive)
    }

    @Test("WebSocket: the server's end is a closing frame")
    func serverEnds() throws {
        let (harness, stream) = try socket()
        stream.respond(HTTPResponse(status: 400, body: Array("no".utf8)))
        #expect(try harness.readBytes() == [0x81, 2] + Array("no".utf8) + [0x88, 2, 0x03, 0xe8])
        #expect(!harness.channel.isActive && harness.http.events.isEmpty)
    }

    @Test("WebSocket: frames that break the rules end the connection")
    func broken() throws {
        let long = String(repeating: "x", count: 100)
        let tooLong: [UInt8] = (0..<11).reduce(into: []) { bytes, place in
            bytes += frame(place == 0 ? 0x01 : 0x00, long)
        }
        let cases: [[UInt8]] = [
            frame(0x81, "x", masked: false), frame(0x80, "x"), frame(0x83, "x"),
            frame(0x01, "x") + frame(0x81, "y"), frame(0x09, "x"),
            [0x89, 0xfe, 0x00, 0xc8, 1, 2, 3, 4], tooLong,
        ]
        for bytes in cases {
            let (harness, stream) = try socket()
            try harness.write(bytes)
            #expect(try harness.readBytes().first == 0x88, "\(bytes.prefix(12))")
            #expect(!harness.channel.isActive && !stream.isOpen)
            #expect(harness.http.received.isEmpty)
        }
    }

    @Test("WebSocket: a path that has none answers the request as any other")
    func notAccepted() throws {
        let harness = try StreamHarness()
        try harness.write(Self.upgrade.replacing("/socket", with: "/whole"))
        #expect(try harness.read().hasPrefix("HTTP/1.1 418 "))
        #expect(harness.channel.isActive)
        _ = try harness.channel.finish()
    }
}
