// ListenerTests.swift: accepting, detecting the protocol, counting, draining and closing, over real
// sockets.

import NIOCore
import NIOEmbedded
import Testing

@testable import Transport

@Suite("listener")
struct ListenerTests {
    @Test("plain: gRPC and HTTP/1.1 are served on one port")
    func bothProtocols() throws {
        let server = try TestListener()
        let grpc = try BlockingClient(port: server.listener.localPort)
        let web = try BlockingClient(port: server.listener.localPort)
        let session = ClientSession()

        let call = session.request("/test.Echo/Unary", body: framed([1, 2]))
        try grpc.run(session) { call.stream.closeCode != nil }
        try web.write(Array("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".utf8))
        let answer = try web.read(until: "GET /metrics [] 0")

        #expect(call.stream.messages == [[1, 2]])
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(server.listener.connectionCount == 2)
        let counts = server.registry.counts
        #expect(counts.connectionsAccepted == 2)
        #expect(counts.messageBytesReceived == 2)
        #expect(counts.messageBytesSent == 2)
        #expect(counts.bytesReceived > 2)
        try server.stop()
        #expect(server.registry.counts.connectionsOpen == 0)
    }

    @Test("plain: a preface that arrives in pieces is recognised")
    func splitPreface() throws {
        let server = try TestListener()
        let client = try BlockingClient(port: server.listener.localPort)
        let session = ClientSession()
        let call = session.request("/test.Echo/Unary", body: framed([1]))

        for byte in session.output() { try client.write([byte]) }
        try client.run(session) { call.stream.closeCode != nil }

        #expect(call.stream.messages == [[1]])
        try server.stop()
    }

    @Test("limit: a connection more than allowed is closed and reported")
    func connectionLimit() throws {
        var limits = ConnectionLimits()
        limits.connectionsMax = 1
        let server = try TestListener(limits: limits)
        let first = try BlockingClient(port: server.listener.localPort)
        let session = ClientSession()
        let call = session.request("/test.Echo/Unary", body: framed([1]))
        try first.run(session) { call.stream.closeCode != nil }

        let second = try BlockingClient(port: server.listener.localPort)

        #expect(try second.readToEnd().isEmpty)
        let later = session.request("/test.Echo/Unary", body: framed([2]))
        try first.run(session) { later.stream.closeCode != nil }
        #expect(later.stream.messages == [[2]])
        try server.stop()
        guard case .connectionRefused(_, limit: 1) = try #require(server.log.all.first) else {
            Issue.record("\(server.log.all)")
            return
        }
        #expect(server.registry.counts.connectionsRefused == 1)
    }

    @Test("limit: a connection that sends nothing is closed")
    func firstByteTimeout() throws {
        var limits = ConnectionLimits()
        limits.firstByteTimeoutNanoseconds = 50_000_000
        let server = try TestListener(limits: limits)
        let client = try BlockingClient(port: server.listener.localPort)

        #expect(try client.readToEnd().isEmpty)

        try server.stop()
        guard case .connectionTimedOut(_, "no request arrived") = try #require(server.log.all.first)
        else {
            Issue.record("\(server.log.all)")
            return
        }
    }

    @Test("limit: an idle HTTP/1.1 connection is closed without a report")
    func idleHTTP1() throws {
        var limits = ConnectionLimits()
        limits.httpIdleTimeoutNanoseconds = 50_000_000
        let server = try TestListener(limits: limits)
        let client = try BlockingClient(port: server.listener.localPort)

        try client.write(Array("GET /a HTTP/1.1\r\nhost: x\r\n\r\n".utf8))

        let answer = String(decoding: try client.readToEnd(), as: UTF8.self)
        #expect(answer.contains("GET /a [] 0"))
        try server.stop()
        #expect(server.log.all.isEmpty)
    }

    @Test("drain: an HTTP/2 client gets GOAWAY and its connection is closed")
    func drain() throws {
        let server = try TestListener()
        let client = try BlockingClient(port: server.listener.localPort)
        let session = ClientSession()
        let call = session.request("/test.Echo/Unary", body: framed([1]))
        try client.run(session) { call.stream.closeCode != nil }

        server.listener.drain()
        try client.run(session) { false }

        #expect(session.goAwayCode == 0)
        #expect(throws: ClientError.self) {
            try BlockingClient(port: server.listener.localPort)
        }
        try server.stop()
    }

    @Test("bind: a taken port is an error that names the address")
    func portTaken() throws {
        let server = try TestListener()
        let port = server.listener.localPort

        var caught: TransportError?
        do throws(TransportError) {
            _ = try Listener.bind(
                ListenerConfiguration(
                    address: .tcp(host: "127.0.0.1", port: port)), registry: server.registry)
        } catch {
            caught = error
        }

        #expect(
            try #require(caught).description
                == "cannot listen on 127.0.0.1:\(port): Address already in use")
        try server.stop()
    }

    @Test("push-back: large answers of many calls all arrive whole over one socket")
    func largeAnswers() throws {
        let server = try TestListener()
        let client = try BlockingClient(port: server.listener.localPort)
        let session = ClientSession(windowBytes: 64 << 20)
        let message = [UInt8](repeating: 5, count: 2_000_000)

        let calls = (0..<8).map { _ in
            session.request("/test.Echo/Unary", body: framed(message))
        }
        try client.run(session) { calls.allSatisfy { $0.stream.closeCode != nil } }

        #expect(calls.allSatisfy { $0.stream.messages == [message] })
        try server.stop()
    }
}
