// HTTPTests.swift: plain HTTP over HTTP/2 and HTTP/1.1, on the port that serves gRPC.
// Source: etcd semantics G15.

import NIOCore
import NIOEmbedded
import Testing

@testable import Transport

@Suite("plain HTTP")
struct HTTPTests {
    @Test("HTTP/2: a request that is not gRPC goes to the HTTP handler")
    func overHTTP2() throws {
        let harness = try Harness()
        let call = harness.client.request(
            "/v3/kv/range?a=1&b=x%20y+z&c", headers: [("content-type", "application/json")],
            body: [1, 2, 3, 4])

        try harness.pump()

        #expect(call.stream.value(":status") == "200")
        #expect(call.stream.value("content-type") == "text/plain")
        #expect(
            String(decoding: call.stream.data, as: UTF8.self)
                == "POST /v3/kv/range [a=1,b=x y z,c=] 4")
        let request = try #require(harness.http.requests.first)
        #expect(request.header("host") == "localhost")
        #expect(request.header("content-type") == "application/json")
        #expect(harness.rpc.callEvents.isEmpty)
        try harness.close()
    }

    @Test("HTTP/2: HEAD has the length of the body but no body")
    func head() throws {
        let harness = try Harness()
        let call = harness.client.request("/version", method: "HEAD", headers: [])

        try harness.pump()

        #expect(call.stream.value(":status") == "200")
        #expect(call.stream.value("content-length") == "18")
        #expect(call.stream.data.isEmpty)
        #expect(call.stream.closeCode == 0)
        try harness.close()
    }

    @Test("HTTP/2: a body over the limit is 413, and the client is told to stop")
    func bodyTooLarge() throws {
        var limits = ConnectionLimits()
        limits.httpBodyBytesMax = 100_000
        let harness = try Harness(limits: limits)
        let call = harness.client.request(
            "/v3/kv/put", headers: [], body: [UInt8](repeating: 0, count: 200_000))

        try harness.pump()

        #expect(call.stream.value(":status") == "413")
        #expect(harness.http.requests.isEmpty)
        #expect(harness.connection.partialBytes == 0)
        try harness.close()
    }

    @Test("HTTP/2: a listener without gRPC gives every request to the HTTP handler")
    func withoutRPC() throws {
        let harness = try Harness(servesRPC: false)
        let call = harness.client.request("/test.Echo/Unary", body: framed([]))

        try harness.pump()

        #expect(call.stream.value(":status") == "200")
        #expect(harness.http.requests.map(\.path) == ["/test.Echo/Unary"])
        #expect(harness.rpc.callEvents.isEmpty)
        try harness.close()
    }

    @Test("HTTP/2: an answer for a request the client has reset is dropped")
    func lateAnswer() throws {
        let harness = try Harness()
        var respond: (@Sendable (HTTPResponse) -> Void)?
        harness.http.onRequest = { respond = $1 }
        let call = harness.client.request("/slow", method: "GET", headers: [])
        try harness.pump()
        harness.client.reset(call.id)
        try harness.pump()

        let answer = try #require(respond)
        answer(HTTPResponse(status: 200))
        try harness.pump()

        #expect(call.stream.headers.isEmpty)
        #expect(harness.connection.calls.isEmpty)
        try harness.close()
    }

    @Test("HTTP/1.1: requests on one connection are answered in order, pipelined or not")
    func keepAlive() throws {
        let server = try TestListener()
        let client = try BlockingClient(port: server.listener.localPort)

        try client.write(Array("GET /one HTTP/1.1\r\nhost: x\r\n\r\n".utf8))
        #expect(try client.read(until: "GET /one [] 0").hasPrefix("HTTP/1.1 200 OK\r\n"))
        let put = "PUT /two?q=%41 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
        let last = "GET /three HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        try client.write(Array((put + last).utf8))
        let answers = String(decoding: try client.readToEnd(), as: UTF8.self)

        let bodies = answers.split(separator: "\r\n").compactMap { line in
            line.hasPrefix("PUT /two [q=A] 3") || line.hasPrefix("GET /three [] 0")
                ? line.prefix(8) : nil
        }
        #expect(bodies == ["PUT /two", "GET /thr"])
        #expect(answers.contains("connection: close"))
        try server.stop()
        #expect(server.log.all.isEmpty)
    }

    @Test("HTTP/1.1: a body over the limit is 413 and ends the connection")
    func bodyTooLargeHTTP1() throws {
        var limits = ConnectionLimits()
        limits.httpBodyBytesMax = 10
        let server = try TestListener(limits: limits)
        let client = try BlockingClient(port: server.listener.localPort)

        try client.write(
            Array("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n0123456789a".utf8))

        let answer = String(decoding: try client.readToEnd(), as: UTF8.self)
        #expect(answer.hasPrefix("HTTP/1.1 413 "))
        try server.stop()
    }

    @Test("HTTP/1.1: garbage after a refused body gets no second answer")
    func garbageAfterRefusal() throws {
        var limits = ConnectionLimits()
        limits.httpBodyBytesMax = 4
        let server = try TestListener(limits: limits)
        let client = try BlockingClient(port: server.listener.localPort)
        let chunked = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"

        try client.write(Array((chunked + "5\r\n12345\r\nnonsense\r\n\r\nGET /\r\n").utf8))

        let answer = String(decoding: try client.readToEnd(), as: UTF8.self)
        #expect(answer.hasPrefix("HTTP/1.1 413 "))
        #expect(!answer.contains(" 400 "))
        try server.stop()
    }

    @Test("HTTP/2: headers of requests that are not complete count against the bound")
    func headersCount() throws {
        var limits = ConnectionLimits()
        limits.partialBytesMax = 5_000
        let harness = try Harness(limits: limits)
        let long = String(repeating: "x", count: 3_000)
        let first = harness.client.request("/a", headers: [("a", long)], ends: false)
        let second = harness.client.request("/b", headers: [("a", long)], ends: false)

        try harness.pump()

        #expect(first.stream.headers.isEmpty)
        #expect(second.stream.value(":status") == "503")
        try harness.close()
        #expect(harness.connection.partialBytes == 0)
    }

    @Test("HTTP/1.1: headers over the limit are 431")
    func headersTooLarge() throws {
        var limits = ConnectionLimits()
        limits.headerListBytesMax = 1_000
        let server = try TestListener(limits: limits)
        let client = try BlockingClient(port: server.listener.localPort)
        let long = String(repeating: "x", count: 1_000)

        try client.write(Array("GET / HTTP/1.1\r\nhost: x\r\na: \(long)\r\n\r\n".utf8))

        let answer = String(decoding: try client.readToEnd(), as: UTF8.self)
        #expect(answer.hasPrefix("HTTP/1.1 431 "))
        try server.stop()
    }

    @Test("HTTP/1.1: what is no HTTP is 400 and ends the connection")
    func malformed() throws {
        let server = try TestListener()
        let client = try BlockingClient(port: server.listener.localPort)

        try client.write(Array("NONSENSE\r\n\r\n".utf8))

        let answer = String(decoding: try client.readToEnd(), as: UTF8.self)
        #expect(answer.hasPrefix("HTTP/1.1 400 "))
        try server.stop()
        #expect(server.log.all.count == 1)
    }

    @Test("HTTP/1.1: an answer may come later and from another thread")
    func answerFromAnotherThread() throws {
        let loop = EmbeddedEventLoop()
        let http = DescribingHTTP()
        var respond: (@Sendable (HTTPResponse) -> Void)?
        http.onRequest = { respond = $1 }
        let channel = EmbeddedChannel(loop: loop)
        let context = LoopContext(
            eventLoop: loop, index: 0, methods: MethodTable([]), rpc: RecordingRPC(), http: http,
            counters: TransportCounters(), report: { _ in })
        try channel.pipeline.syncOperations.addHandler(
            ProtocolDetector(
                loop: context, peer: PeerInfo(address: "x"), limits: ConnectionLimits(),
                servesRPC: true))
        try channel.connect(to: SocketAddress(ipAddress: "10.0.0.1", port: 1)).wait()

        try channel.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\nhost: x\r\n\r\n"))
        loop.run()
        #expect(try channel.readOutbound(as: ByteBuffer.self) == nil)
        let answerLater = try #require(respond)
        answerLater(HTTPResponse(status: 503, body: [65]))
        loop.run()

        var answer = ""
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
            answer += String(buffer: buffer)
        }
        #expect(answer.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
        #expect(answer.hasSuffix("\r\n\r\nA"))
        _ = try channel.finish()
    }
}
