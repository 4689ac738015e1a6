// StreamingTests.swift: calls with many messages, their ends, and push-back in both directions.
// Belongs here: one call. Never here: what calls of a connection do to each other.

import NIOCore
import NIOEmbedded
import Testing

@testable import Transport

@Suite("streaming calls")
struct StreamingTests {
    @Test("bidi: messages flow both ways before and after half close")
    func chat() throws {
        let harness = try Harness()
        harness.rpc.onHalfClosed = { call in
            call.send([99])
            call.finish(.ok)
        }
        let call = harness.client.request("/test.Echo/Chat", body: framed([1]), ends: false)
        try harness.pump()
        #expect(call.stream.messages == [[1]])

        harness.client.send(framed([2]) + framed([3]), on: call.id, ends: true)
        try harness.pump()

        #expect(call.stream.messages == [[1], [2], [3], [99]])
        #expect(call.stream.grpcStatus == 0)
        #expect(
            harness.rpc.callEvents
                == [.start(2), .received([1]), .received([2]), .received([3]), .halfClosed])
        try harness.close()
    }

    @Test("bidi: the call starts with its headers, before any message")
    func startsAtOnce() throws {
        let harness = try Harness()
        harness.rpc.onStart = { $0.send([42]) }
        let call = harness.client.request("/test.Echo/Chat", ends: false)

        try harness.pump()

        #expect(call.stream.messages == [[42]])
        #expect(call.stream.grpcStatus == nil)
        try harness.close()
    }

    @Test("bidi: the server ends a stream the client keeps open")
    func serverEnds() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { call, _ in call.finish(RPCStatus(.aborted, "enough")) }
        let call = harness.client.request("/test.Echo/Chat", body: framed([1]), ends: false)

        try harness.pump()

        #expect(call.stream.grpcStatus == 10)
        #expect(call.stream.closeCode == 0)
        #expect(harness.connection.calls.isEmpty)
        #expect(harness.rpc.callEvents == [.start(2), .received([1])])
        try harness.close()
    }

    @Test("server stream: one request, several replies, then the status")
    func list() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { call, message in
            for _ in 0..<3 { call.send(message) }
        }
        let call = harness.client.request("/test.Echo/List", body: framed([5]))

        try harness.pump()

        #expect(call.stream.messages == [[5], [5], [5]])
        #expect(call.stream.grpcStatus == 0)
        #expect(harness.rpc.callEvents == [.start(1), .received([5]), .halfClosed])
        try harness.close()
    }

    @Test("stream: a message sent in parts arrives as one")
    func parts() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { call, _ in
            call.beginMessage(length: 5)
            call.sendPart([1, 2])
            call.sendPart([])
            call.sendPart([3, 4, 5])
            call.send([6])
            call.finish(.ok)
        }
        let call = harness.client.request("/test.Echo/Unary", body: framed([]))

        try harness.pump()

        #expect(call.stream.messages == [[1, 2, 3, 4, 5], [6]])
        #expect(call.stream.grpcStatus == 0)
        try harness.close()
    }

    @Test("stream: a reset by the client cancels the call once, and later sends are ignored")
    func reset() throws {
        let harness = try Harness()
        let call = harness.client.request("/test.Echo/Chat", body: framed([1]), ends: false)
        try harness.pump()
        let serverCall = try #require(harness.rpc.calls.first)

        harness.client.reset(call.id)
        try harness.pump()
        serverCall.send([2])
        serverCall.finish(.ok)
        try harness.pump()

        #expect(!serverCall.isOpen)
        #expect(
            harness.rpc.callEvents == [.start(2), .received([1]), .cancelled(.reset)])
        #expect(harness.connection.calls.isEmpty)
        try harness.close()
    }

    @Test("stream: a lost connection cancels every open call")
    func connectionLost() throws {
        let harness = try Harness()
        harness.client.request("/test.Echo/Chat", ends: false)
        harness.client.request("/test.Echo/Chat", ends: false)
        try harness.pump()

        try harness.close()

        let cancelled = harness.rpc.callEvents.filter { $0 == .cancelled(.connectionClosed) }
        #expect(cancelled.count == 2)
        #expect(harness.connection.session == nil)
        #expect(harness.context.connections.isEmpty)
    }

    @Test("stream: a broken message on a stream the handler knows cancels it")
    func brokenMessage() throws {
        let harness = try Harness()
        let call = harness.client.request(
            "/test.Echo/Chat", body: framed([1], flag: 9), ends: false)

        try harness.pump()

        #expect(call.stream.grpcStatus == 13)
        #expect(harness.rpc.callEvents == [.start(2), .cancelled(.reset)])
        try harness.close()
    }

    @Test("stream: a paused call gets no more than a window, and goes on when resumed")
    func pauseReceiving() throws {
        let harness = try Harness()
        var received = 0
        harness.rpc.onStart = { $0.pauseReceiving() }
        harness.rpc.onReceived = { _, message in received += message.count }
        let message = framed([UInt8](repeating: 0, count: 10_000))
        let messages = Array(repeatElement(message, count: 100).joined())
        let call = harness.client.request("/test.Echo/Chat", body: messages, ends: false)

        try harness.pump()
        #expect(received > 0)
        #expect(received <= Int(Limits.streamWindowBytes))
        let serverCall = try #require(harness.rpc.calls.first)
        serverCall.resumeReceiving()
        try harness.pump()

        #expect(received == 1_000_000)
        harness.client.reset(call.id)
        try harness.close()
    }

    @Test("stream: one paused call does not block the others of its connection")
    func pausedNeighbour() throws {
        let harness = try Harness()
        harness.rpc.onStart = { if $0.methodIndex == 2 { $0.pauseReceiving() } }
        let message = framed([UInt8](repeating: 0, count: 1_000_000))
        for _ in 0..<8 { harness.client.request("/test.Echo/Chat", body: message, ends: false) }
        try harness.pump()

        let unary = harness.client.request("/test.Echo/Unary", body: framed([4]))
        try harness.pump()

        #expect(unary.stream.messages == [[4]])
        try harness.close()
    }

    @Test("send: a call is reported drained once after it was above the high-water mark")
    func drained() throws {
        let client = ClientSession(grantsWindow: false)
        let harness = try Harness(client: client)
        let size = 100_000
        harness.rpc.onStart = { call in
            for _ in 0..<4 { call.send([UInt8](repeating: 1, count: size)) }
        }
        let call = harness.client.request("/test.Echo/Chat", ends: false)
        try harness.pump()
        let serverCall = try #require(harness.rpc.calls.first)
        #expect(serverCall.bufferedBytes == 4 * (size + 5) - 65_535)
        #expect(!harness.rpc.events.contains(.drained))

        while serverCall.bufferedBytes >= Limits.callWaterMarks.low {
            harness.client.grant(60_000, on: call.id)
            try harness.pump()
        }

        #expect(harness.rpc.callEvents == [.start(2), .drained])
        try harness.close()
    }

    @Test("turn: answers given in one task leave in one write per connection")
    func coalesced() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { _, _ in }
        for index in 0..<100 {
            harness.client.request("/test.Echo/Unary", body: framed([UInt8(index)]))
        }
        try harness.pump()
        let before = harness.writes.count

        harness.loop.execute {
            for call in harness.rpc.calls {
                call.send([1, 2, 3])
                call.finish(.ok)
            }
        }
        try harness.pump()

        #expect(harness.writes.count == before + 1)
        #expect(harness.client.streams.values.allSatisfy { $0.grpcStatus == 0 })
        try harness.close()
    }

    @Test("turn: endOfTurn comes once after all calls of a read, and its answers leave with them")
    func endOfTurn() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { _, _ in }
        harness.rpc.onEndOfTurn = {
            for call in harness.rpc.calls where call.isOpen {
                call.send([7])
                call.finish(.ok)
            }
        }
        try harness.pump()
        for _ in 0..<3 { harness.client.request("/test.Echo/Unary", body: framed([])) }
        let before = harness.writes.count

        try harness.feed(harness.client.output())
        harness.loop.run()
        harness.client.input(try harness.take())

        #expect(harness.writes.count == before + 1)
        #expect(harness.rpc.events.filter { $0 == .endOfTurn }.count == 1)
        #expect(harness.rpc.events.last == .endOfTurn)
        #expect(harness.client.streams.values.allSatisfy { $0.messages == [[7]] })
        try harness.close()
    }

    @Test("stream: a failure in the middle of a message in parts resets the stream")
    func failureInParts() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { call, _ in
            call.beginMessage(length: 10)
            call.sendPart([1, 2, 3])
            call.finish(RPCStatus(.internal, "disk"))
        }
        let call = harness.client.request("/test.Echo/Unary", body: framed([]))

        try harness.pump()

        #expect(call.stream.closeCode == 2)
        #expect(harness.connection.bufferedBytes == 0)
        #expect(harness.connection.calls.isEmpty)
        #expect(harness.rpc.callEvents == [.start(0), .received([])])
        try harness.close()
    }

    @Test("stream: an answer that comes after the deadline is ignored")
    func answerAfterDeadline() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { _, _ in }
        let call = harness.client.request(
            "/test.Echo/Unary",
            headers: [("content-type", "application/grpc"), ("grpc-timeout", "1S")],
            body: framed([]))
        try harness.pump()
        let serverCall = try #require(harness.rpc.calls.first)
        harness.loop.advanceTime(by: .seconds(1))

        serverCall.send([1])
        serverCall.finish(.ok)
        try harness.pump()
        serverCall.send([1])

        #expect(call.stream.grpcStatus == 4)
        #expect(call.stream.messages.isEmpty)
        try harness.close()
    }

    @Test("stream: a slow client still gets everything when the connection is drained")
    func drainedSlowly() throws {
        let server = try TestListener()
        let client = try BlockingClient(port: server.listener.localPort)
        let session = ClientSession(windowBytes: 64 << 20)
        let message = [UInt8](repeating: 5, count: 2_000_000)
        let calls = (0..<8).map { _ in
            session.request("/test.Echo/Unary", body: framed(message))
        }
        try client.run(session) { !session.dataOrder.isEmpty }

        server.listener.drain()
        try client.run(session) { false }

        #expect(calls.allSatisfy { $0.stream.messages == [message] })
        #expect(session.goAwayCode == 0)
        try server.stop()
    }
}
