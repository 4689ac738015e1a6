// KeepaliveTests.swift: pings, floods, deadlines and drain, with a clock the test moves.
// Source: etcd semantics G13.

import NIOCore
import NIOEmbedded
import Testing

@testable import Transport

@Suite("limits in time")
struct KeepaliveTests {
    private func ping(_ harness: Harness, after seconds: Int64) throws {
        harness.loop.advanceTime(by: .seconds(seconds))
        harness.client.ping()
        try harness.pump()
    }

    @Test("keepalive: the third ping too soon ends the connection with too_many_pings")
    func strikes() throws {
        let harness = try Harness()
        harness.client.request("/test.Echo/Chat", ends: false)
        try harness.pump()

        try ping(harness, after: 1)
        for _ in 0..<2 {
            try ping(harness, after: 4)
            #expect(harness.client.goAwayCode == nil)
        }
        try ping(harness, after: 4)

        #expect(harness.client.goAwayCode == 11)
        #expect(harness.client.goAwayText == "too_many_pings")
        #expect(!harness.channel.isActive)
        #expect(harness.rpc.callEvents.last == .cancelled(.connectionClosed))
        #expect(
            harness.log.all == [
                .enhanceYourCalm(
                    peer: "10.0.0.1:1234", reason: "pings more often than allowed")
            ])
        try harness.close()
    }

    @Test("keepalive: pings five seconds apart with a stream open are welcome")
    func slowPings() throws {
        let harness = try Harness()
        harness.client.request("/test.Echo/Chat", ends: false)
        try harness.pump()

        for _ in 0..<10 { try ping(harness, after: 5) }

        #expect(harness.client.goAwayCode == nil)
        #expect(harness.client.pingAnswers == 10)
        try harness.close()
    }

    @Test("keepalive: pings without a stream are strikes, however slow")
    func pingsWithoutStream() throws {
        let harness = try Harness()
        try harness.pump()

        for _ in 0..<3 { try ping(harness, after: 60) }
        #expect(harness.client.goAwayCode == nil)
        try ping(harness, after: 60)

        #expect(harness.client.goAwayCode == 11)
        try harness.close()
    }

    @Test("keepalive: answers between pings forgive all strikes")
    func forgiven() throws {
        let harness = try Harness()
        let call = harness.client.request("/test.Echo/Chat", ends: false)
        try harness.pump()

        for _ in 0..<10 {
            harness.client.send(framed([1]), on: call.id)
            try harness.pump()
            try ping(harness, after: 0)
        }

        #expect(harness.client.goAwayCode == nil)
        try harness.close()
    }

    @Test("keepalive: the server pings after silence and closes when no answer comes")
    func serverPings() throws {
        let harness = try Harness()
        try harness.pump()

        harness.loop.advanceTime(by: .hours(2))
        let ping = try harness.take()
        #expect(ping.count == 17)
        #expect(harness.channel.isActive)
        harness.loop.advanceTime(by: .seconds(20))

        #expect(!harness.channel.isActive)
        #expect(
            harness.log.all == [
                .connectionTimedOut(
                    peer: "10.0.0.1:1234", phase: "no answer to a keepalive ping")
            ])
        try harness.close()
    }

    @Test("keepalive: a client that answers the server's ping stays connected")
    func serverPingAnswered() throws {
        let harness = try Harness()
        try harness.pump()

        for _ in 0..<3 {
            harness.loop.advanceTime(by: .hours(2))
            try harness.pump()
            harness.loop.advanceTime(by: .seconds(20))
        }

        #expect(harness.channel.isActive)
        #expect(harness.log.all.isEmpty)
        try harness.close()
    }

    @Test("flood: more pings in a second than allowed end the connection")
    func pingFlood() throws {
        var limits = ConnectionLimits()
        limits.pingIntervalMinNanoseconds = 0
        let harness = try Harness(limits: limits)
        harness.client.request("/test.Echo/Chat", ends: false)
        for _ in 0...limits.pingsPerSecondMax { harness.client.ping() }

        try harness.pump()

        #expect(harness.client.goAwayCode == 11)
        #expect(!harness.channel.isActive)
        try harness.close()
    }

    // Go clients ping once a round trip while data flows; under load the limit on floods once cut them off.
    @Test("flood: pings that each follow an answer are no flood, however many")
    func pingsBetweenAnswers() throws {
        let harness = try Harness()
        let count = ConnectionLimits().pingsPerSecondMax * 3

        for number in 0..<count {
            let call = harness.client.request("/test.Echo/Unary", body: framed([1]))
            try harness.pump()
            #expect(call.stream.messages == [[1]], "answer \(number)")
            harness.client.ping()
            try harness.pump()
        }

        #expect(harness.client.goAwayCode == nil)
        try harness.close()
    }

    @Test("flood: more settings in a second than allowed end the connection")
    func settingsFlood() throws {
        let harness = try Harness()
        for _ in 0...ConnectionLimits().settingsPerSecondMax { harness.client.submitSettings() }

        try harness.pump()

        #expect(harness.client.goAwayCode == 11)
        #expect(harness.client.goAwayText == "too_many_settings")
        try harness.close()
    }

    @Test("flood: more resets in a second than allowed end the connection")
    func resetFlood() throws {
        var limits = ConnectionLimits()
        limits.resetsPerSecondMax = 10
        let harness = try Harness(limits: limits)
        for _ in 0...10 {
            let call = harness.client.request("/test.Echo/Chat", ends: false)
            try harness.pump()
            harness.client.reset(call.id)
            try harness.pump()
        }

        #expect(harness.client.goAwayCode == 11)
        #expect(harness.client.goAwayText == "too_many_resets")
        #expect(!harness.channel.isActive)
        try harness.close()
    }

    @Test("flood: a stream that was answered may be reset as often as it is opened")
    func answeredResets() throws {
        var limits = ConnectionLimits()
        limits.resetsPerSecondMax = 10
        let harness = try Harness(limits: limits)
        harness.rpc.onReceived = { call, message in call.send(message) }
        for _ in 0..<30 {
            let call = harness.client.request(
                "/test.Echo/Chat", body: framed([1, 2, 3]), ends: false)
            try harness.pump()
            harness.client.reset(call.id)
            try harness.pump()
        }

        #expect(harness.client.goAwayCode == nil)
        #expect(harness.channel.isActive)
        try harness.close()
    }

    @Test("flood: as many resets, spread over time, are accepted")
    func slowResets() throws {
        var limits = ConnectionLimits()
        limits.resetsPerSecondMax = 10
        let harness = try Harness(limits: limits)
        for _ in 0..<30 {
            let call = harness.client.request("/test.Echo/Chat", ends: false)
            try harness.pump()
            harness.client.reset(call.id)
            try harness.pump()
            harness.loop.advanceTime(by: .milliseconds(200))
        }

        #expect(harness.client.goAwayCode == nil)
        try harness.close()
    }

    @Test("deadline: a call the server does not finish in time is DeadlineExceeded")
    func deadline() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { _, _ in }
        let headers = [("content-type", "application/grpc"), ("grpc-timeout", "1S")]
        let late = harness.client.request("/test.Echo/Unary", headers: headers, body: framed([]))
        let patient = harness.client.request(
            "/test.Echo/Unary", headers: [("content-type", "application/grpc")], body: framed([]))
        try harness.pump()

        harness.loop.advanceTime(by: .milliseconds(999))
        try harness.pump()
        #expect(late.stream.grpcStatus == nil)
        harness.loop.advanceTime(by: .milliseconds(1))
        try harness.pump()

        #expect(late.stream.grpcStatus == 4)
        #expect(late.stream.grpcMessage == "context deadline exceeded")
        #expect(patient.stream.grpcStatus == nil)
        #expect(harness.rpc.callEvents.last == .cancelled(.deadline))
        try harness.close()
    }

    @Test("deadline: each of many calls ends at its own deadline")
    func manyDeadlines() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { _, _ in }
        let calls = (1...20).reversed().map { tenths in
            harness.client.request(
                "/test.Echo/Unary",
                headers: [
                    ("content-type", "application/grpc"), ("grpc-timeout", "\(tenths * 100)m"),
                ], body: framed([]))
        }
        try harness.pump()

        for tenths in 1...20 {
            harness.loop.advanceTime(by: .milliseconds(100))
            try harness.pump()
            let ended = calls.filter { $0.stream.grpcStatus == 4 }.count
            #expect(ended == tenths)
        }
        try harness.close()
    }

    @Test("deadline: a call finished in time is left alone")
    func finishedInTime() throws {
        let harness = try Harness()
        let call = harness.client.request(
            "/test.Echo/Unary",
            headers: [("content-type", "application/grpc"), ("grpc-timeout", "1S")],
            body: framed([1]))
        try harness.pump()

        harness.loop.advanceTime(by: .seconds(2))
        try harness.pump()

        #expect(call.stream.grpcStatus == 0)
        #expect(harness.rpc.callEvents == [.start(0), .received([1])])
        try harness.close()
    }

    @Test("deadline: one that has passed on arrival is answered without the handler")
    func passedOnArrival() throws {
        let harness = try Harness()
        let call = harness.client.request(
            "/test.Echo/Unary",
            headers: [("content-type", "application/grpc"), ("grpc-timeout", "0n")],
            body: framed([1]))

        try harness.pump()

        #expect(call.stream.grpcStatus == 4)
        #expect(harness.rpc.callEvents.isEmpty)
        try harness.close()
    }

    @Test("deadline: a message half sent in parts is broken off by a reset")
    func deadlineInParts() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { call, _ in
            call.beginMessage(length: 100)
            call.sendPart([1])
        }
        let call = harness.client.request(
            "/test.Echo/Unary",
            headers: [("content-type", "application/grpc"), ("grpc-timeout", "1S")],
            body: framed([]))
        try harness.pump()

        harness.loop.advanceTime(by: .seconds(1))
        try harness.pump()

        #expect(call.stream.closeCode == 2)
        #expect(harness.rpc.callEvents.last == .cancelled(.deadline))
        try harness.close()
    }

    @Test("drain: open calls finish, then the connection closes")
    func drain() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { _, _ in }
        let call = harness.client.request("/test.Echo/Unary", body: framed([1]))
        try harness.pump()

        harness.channel.pipeline.fireUserInboundEventTriggered(DrainEvent())
        try harness.pump()
        #expect(harness.client.goAwayCode == 0)
        #expect(harness.channel.isActive)
        harness.rpc.calls.first?.send([9])
        harness.rpc.calls.first?.finish(.ok)
        try harness.pump()

        #expect(call.stream.messages == [[9]])
        #expect(call.stream.grpcStatus == 0)
        #expect(!harness.channel.isActive)
        try harness.close()
    }

    @Test("drain: an idle connection closes at once")
    func drainIdle() throws {
        let harness = try Harness()
        try harness.pump()

        harness.channel.pipeline.fireUserInboundEventTriggered(DrainEvent())
        try harness.pump()

        #expect(harness.client.goAwayCode == 0)
        #expect(!harness.channel.isActive)
        try harness.close()
    }

    @Test("protocol: bytes that are no HTTP/2 frames end the connection, not the process")
    func garbage() throws {
        let harness = try Harness()
        harness.client.request("/test.Echo/Chat", ends: false)
        try harness.pump()

        try harness.feed([UInt8](repeating: 0xFF, count: 64))
        harness.loop.run()
        harness.client.input(try harness.take())

        #expect(harness.client.goAwayCode != nil)
        #expect(!harness.channel.isActive)
        #expect(harness.rpc.callEvents.last == .cancelled(.connectionClosed))
        try harness.close()
    }
}
