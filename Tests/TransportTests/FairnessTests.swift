// FairnessTests.swift: big answers, slow clients, and what they must not do to others.
// Belongs here: bounds in bytes and streams. Never here: bounds in time (KeepaliveTests.swift).

import NIOCore
import NIOEmbedded
import Testing

@testable import Transport

@Suite("output of a connection")
struct FairnessTests {
    private let huge = 30 << 20

    @Test("fairness: a 30 MB answer does not hold up a small one on the same connection")
    func smallOvertakesHuge() throws {
        let harness = try Harness(client: ClientSession(windowBytes: 64 << 20))
        harness.rpc.onReceived = { call, message in
            let size = message == [1] ? huge : 10
            call.send([UInt8](repeating: 3, count: size))
            call.finish(.ok)
        }
        try harness.pump()
        let big = harness.client.request("/test.Echo/Unary", body: framed([1]))
        try harness.feed(harness.client.output())
        harness.channel.isWritable = false
        harness.loop.run()
        let small = harness.client.request("/test.Echo/Unary", body: framed([2]))
        try harness.feed(harness.client.output())
        harness.loop.run()
        #expect(try harness.take().isEmpty)

        harness.channel.isWritable = true
        harness.channel.pipeline.fireChannelWritabilityChanged()
        harness.loop.run()
        harness.client.input(try harness.take())

        let place = try #require(harness.client.dataOrder.firstIndex(of: small.id))
        #expect(place <= 2)
        try harness.pump()
        #expect(big.stream.messages.first?.count == huge)
        #expect(small.stream.grpcStatus == 0)
        try harness.close()
    }

    @Test("fairness: no turn of a connection writes more than its share")
    func boundedTurns() throws {
        let harness = try Harness(client: ClientSession(windowBytes: 64 << 20))
        harness.rpc.onReceived = { call, _ in
            call.send([UInt8](repeating: 3, count: huge))
            call.finish(.ok)
        }
        let call = harness.client.request("/test.Echo/Unary", body: framed([1]))

        try harness.pump()

        #expect(call.stream.messages.first?.count == huge)
        #expect(harness.writes.allSatisfy { $0 <= Limits.outputBufferBytes })
        #expect(harness.writes.count > huge / Limits.outputBufferBytes)
        try harness.close()
    }

    @Test("push-back: nothing is produced for a channel that cannot be written")
    func unwritable() throws {
        let harness = try Harness(client: ClientSession(windowBytes: 64 << 20))
        harness.rpc.onReceived = { call, _ in
            call.send([UInt8](repeating: 3, count: 1 << 20))
            call.finish(.ok)
        }
        try harness.pump()
        harness.channel.isWritable = false
        harness.client.request("/test.Echo/Unary", body: framed([1]))

        try harness.feed(harness.client.output())
        harness.loop.run()

        #expect(try harness.take().isEmpty)
        #expect(harness.connection.bufferedBytes == 1 << 20 + 5)
        try harness.close()
        #expect(harness.connection.bufferedBytes == 0)
    }

    @Test("push-back: a client that reads nothing cannot have ever more calls answered")
    func unreadAnswers() throws {
        var limits = ConnectionLimits()
        limits.outputBytesMax = 1_000_000
        let harness = try Harness(limits: limits, client: ClientSession(windowBytes: 0))
        harness.rpc.onReceived = { call, _ in
            call.send([UInt8](repeating: 3, count: 600_000))
            call.finish(.ok)
        }
        try harness.pump()

        let calls = (0..<3).map { _ in
            harness.client.request("/test.Echo/Unary", body: framed([1]))
        }
        try harness.pump()

        #expect(harness.connection.bufferedBytes == 2 * 600_005)
        #expect(calls[2].stream.grpcStatus == 8)
        #expect(calls[2].stream.grpcMessage == "too many answers of this connection are unread")
        try harness.close()
    }

    @Test("push-back: an unwritable connection with a long queue is not read from")
    func readsStop() throws {
        let harness = try Harness()
        try harness.pump()
        harness.channel.isWritable = false
        harness.rpc.onReceived = { call, _ in call.finish(RPCStatus(.notFound, "x")) }
        for _ in 0...Limits.queuedFramesMax {
            harness.client.request("/test.Echo/Unary", body: framed([]))
        }
        try harness.feed(harness.client.output())
        harness.loop.run()

        harness.channel.pipeline.read()
        #expect(harness.connection.readWanted)

        harness.channel.isWritable = true
        harness.channel.pipeline.fireChannelWritabilityChanged()
        #expect(!harness.connection.readWanted)
        try harness.pump()
        #expect(harness.client.streams.values.allSatisfy { $0.grpcStatus == 5 })
        try harness.close()
    }

    @Test("limits: incomplete messages of one connection have a sum that is never exceeded")
    func partialMessages() throws {
        var limits = ConnectionLimits()
        limits.partialBytesMax = 100_000
        let harness = try Harness(limits: limits)
        let part = Array(framed([UInt8](repeating: 0, count: 60_000)).dropLast())
        let first = harness.client.request("/test.Echo/Unary", body: part, ends: false)

        let second = harness.client.request("/test.Echo/Unary", body: part, ends: false)
        try harness.pump()

        #expect(first.stream.grpcStatus == nil)
        #expect(second.stream.grpcStatus == 8)
        #expect(harness.connection.partialBytes == part.count - 5)
        try harness.close()
    }

    @Test("limits: more live streams than allowed are refused, so that the client may retry")
    func liveStreams() throws {
        var limits = ConnectionLimits()
        limits.liveStreamsMax = 2
        let harness = try Harness(limits: limits)
        let calls = (0..<3).map { _ in harness.client.request("/test.Echo/Chat", ends: false) }

        try harness.pump()

        #expect(calls[0].stream.closeCode == nil)
        #expect(calls[1].stream.closeCode == nil)
        #expect(calls[2].stream.closeCode == 7)
        #expect(harness.rpc.calls.count == 2)
        try harness.close()
    }

    @Test("limits: headers over the limit reset the stream and nothing else")
    func headerList() throws {
        var limits = ConnectionLimits()
        limits.headerListBytesMax = 30_000
        let harness = try Harness(limits: limits)
        let long = String(repeating: "x", count: 15_000)
        let call = harness.client.request(
            "/test.Echo/Unary",
            headers: [
                ("content-type", "application/grpc"), ("a", long), ("b", long), ("c", "d"),
            ], body: framed([]))
        let proper = harness.client.request("/test.Echo/Unary", body: framed([6]))

        try harness.pump()

        #expect(call.stream.closeCode == 11)
        #expect(proper.stream.messages == [[6]])
        try harness.close()
    }
}
