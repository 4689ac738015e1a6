// UnaryTests.swift: calls with one request and one reply, and every way a request can be wrong.
// Source: gRPC over HTTP/2; etcd semantics G12, G16.

import Testing

@testable import Transport

@Suite("unary calls")
struct UnaryTests {
    @Test("unary: a message comes back with status 0 in the trailers")
    func roundTrip() throws {
        let harness = try Harness()
        let call = harness.client.request("/test.Echo/Unary", body: framed([1, 2, 3]))

        try harness.pump()

        #expect(call.stream.value(":status") == "200")
        #expect(call.stream.value("content-type") == "application/grpc")
        #expect(call.stream.messages == [[1, 2, 3]])
        #expect(call.stream.trailers.map(\.0) == ["grpc-status"])
        #expect(call.stream.grpcStatus == 0)
        #expect(call.stream.closeCode == 0)
        #expect(harness.rpc.callEvents == [.start(0), .received([1, 2, 3])])
        #expect(harness.connection.calls.isEmpty)
        try harness.close()
    }

    @Test("unary: an empty message is a message")
    func emptyMessage() throws {
        let harness = try Harness()
        let call = harness.client.request("/test.Echo/Unary", body: framed([]))

        try harness.pump()

        #expect(call.stream.messages == [[]])
        #expect(call.stream.grpcStatus == 0)
        try harness.close()
    }

    @Test("unary: a request that arrives byte by byte is put together")
    func byteByByte() throws {
        let harness = try Harness()
        let call = harness.client.request("/test.Echo/Unary", body: framed([9, 8, 7]))

        for byte in harness.client.output() { try harness.feed([byte]) }
        try harness.pump()

        #expect(call.stream.messages == [[9, 8, 7]])
        try harness.close()
    }

    // The header block was once forgotten at the end of each read: a call whose HEADERS frame lay across
    // two reads had no method, and its last DATA frame ended the process.
    @Test("unary: a request cut in two anywhere is put together, beside another one")
    func cutAnywhere() throws {
        let whole = try Harness()
        _ = whole.client.request("/test.Echo/Unary", body: framed([1]))
        _ = whole.client.request("/test.Echo/Unary", body: framed([2]))
        let count = whole.client.output().count
        try whole.close()
        for cut in 1..<count {
            let harness = try Harness()
            let first = harness.client.request("/test.Echo/Unary", body: framed([1]))
            let second = harness.client.request("/test.Echo/Unary", body: framed([2]))
            let bytes = harness.client.output()

            try harness.feed(Array(bytes[..<cut]))
            try harness.feed(Array(bytes[cut...]))
            try harness.pump()

            #expect(first.stream.messages == [[1]], "cut at \(cut)")
            #expect(second.stream.messages == [[2]], "cut at \(cut)")
            try harness.close()
        }
    }

    @Test("unary: a large message crosses the flow-control windows of both sides")
    func largeMessage() throws {
        let harness = try Harness()
        let message = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let call = harness.client.request("/test.Echo/Unary", body: framed(message))

        try harness.pump()

        #expect(call.stream.messages == [message])
        #expect(harness.connection.partialBytes == 0)
        #expect(harness.connection.bufferedBytes == 0)
        try harness.close()
    }

    @Test("unary: a failure without a message is one header block with an encoded text")
    func trailersOnly() throws {
        let harness = try Harness()
        harness.rpc.onReceived = { call, _ in
            call.finish(RPCStatus(.notFound, "50% of ünits\n"))
        }
        let call = harness.client.request("/test.Echo/Unary", body: framed([1]))

        try harness.pump()

        #expect(call.stream.trailers.isEmpty)
        #expect(call.stream.grpcStatus == 5)
        #expect(call.stream.grpcMessage == "50%25 of %C3%BCnits%0A")
        try harness.close()
    }

    @Test("unary: metadata the services read is handed over")
    func metadata() throws {
        let harness = try Harness()
        harness.client.request(
            "/test.Echo/Unary",
            headers: [
                ("content-type", "application/grpc+proto"), ("token", "abc.7"),
                ("authorization", "Bearer x"), ("hasleader", "true"),
                ("client-api-version", "3.5.16"), ("other", "ignored"),
            ], body: framed([]))

        try harness.pump()

        let call = try #require(harness.rpc.calls.first)
        #expect(call.metadata.token == "abc.7")
        #expect(call.metadata.authorization == "Bearer x")
        #expect(call.metadata.hasLeader)
        #expect(call.metadata.clientAPIVersion == "3.5.16")
        #expect(call.peer.address == "10.0.0.1:1234")
        try harness.close()
    }

    @Test("unary: a message over the limit is ResourceExhausted with both numbers")
    func oversize() throws {
        let harness = try Harness()
        let message = [UInt8](repeating: 1, count: 2_097_153)
        let call = harness.client.request("/test.Echo/Unary", body: framed(message))

        try harness.pump()

        #expect(call.stream.grpcStatus == 8)
        #expect(
            call.stream.grpcMessage
                == "grpc: received message larger than max (2097153 vs. 2097152)")
        #expect(harness.rpc.callEvents.isEmpty)
        try harness.close()
    }

    @Test("unary: a message of exactly the limit is accepted")
    func exactLimit() throws {
        let harness = try Harness()
        let message = [UInt8](repeating: 1, count: 2_097_152)
        let call = harness.client.request("/test.Echo/Unary", body: framed(message))

        try harness.pump()

        #expect(call.stream.grpcStatus == 0)
        #expect(call.stream.messages.first?.count == 2_097_152)
        try harness.close()
    }

    @Test("unary: a declared length alone reserves no memory")
    func declaredLength() throws {
        let harness = try Harness()
        harness.client.request(
            "/test.Echo/Unary", body: [0, 0, 0x1F, 0xFF, 0xFF, 1, 2], ends: false)

        try harness.pump()

        #expect(harness.connection.partialBytes == 2)
        try harness.close()
        #expect(harness.connection.partialBytes == 0)
    }

    @Test(
        "unary: a wrong request gets the status that says why",
        arguments: [
            ("/nope.Nope/Call", 12, "unknown service nope.Nope"),
            ("/test.Echo/Nope", 12, "unknown method Nope for service test.Echo"),
            ("/nope", 12, "malformed method name: \"/nope\""),
        ])
    func unknownMethods(path: String, code: Int, text: String) throws {
        let harness = try Harness()
        let call = harness.client.request(path, body: framed([]))

        try harness.pump()

        #expect(call.stream.value(":status") == "200")
        #expect(call.stream.grpcStatus == code)
        #expect(call.stream.grpcMessage == text)
        #expect(call.stream.value("grpc-accept-encoding") == "identity")
        #expect(harness.rpc.callEvents.isEmpty)
        try harness.close()
    }

    @Test(
        "unary: a body that is not one proper message is INTERNAL",
        arguments: [
            ([], "cardinality violation: received no request message"),
            (
                framed([1]) + framed([2]),
                "cardinality violation: received multiple request messages"
            ),
            ([0, 0, 0, 0, 9, 1], "unexpected EOF"),
            ([0, 0], "unexpected EOF"),
            (framed([1], flag: 1), "grpc: compressed flag set with identity or empty encoding"),
            (framed([1], flag: 7), "grpc: received unexpected payload format 7"),
        ] as [([UInt8], String)])
    func malformedBodies(body: [UInt8], text: String) throws {
        let harness = try Harness()
        let call = harness.client.request("/test.Echo/Unary", body: body)

        try harness.pump()

        #expect(call.stream.grpcStatus == 13)
        #expect(call.stream.grpcMessage == text)
        #expect(harness.rpc.callEvents.isEmpty)
        #expect(harness.connection.calls.isEmpty)
        try harness.close()
    }

    @Test("unary: an encoding we do not have is UNIMPLEMENTED and names what we have")
    func encoding() throws {
        let harness = try Harness()
        let call = harness.client.request(
            "/test.Echo/Unary",
            headers: [("content-type", "application/grpc"), ("grpc-encoding", "gzip")],
            body: framed([1], flag: 1))

        try harness.pump()

        #expect(call.stream.grpcStatus == 12)
        #expect(
            call.stream.grpcMessage
                == "grpc: Decompressor is not installed for grpc-encoding \"gzip\"")
        #expect(call.stream.value("grpc-accept-encoding") == "identity")
        try harness.close()
    }

    @Test(
        "unary: what is no gRPC request of a known method is refused by HTTP status",
        arguments: [
            ("POST", "application/grpcx", "415", 3), ("POST", "text/plain", "415", 3),
            ("GET", "application/grpc", "405", 13),
        ])
    func refused(method: String, contentType: String, httpStatus: String, code: Int) throws {
        let harness = try Harness()
        let call = harness.client.request(
            "/test.Echo/Unary", method: method, headers: [("content-type", contentType)],
            body: framed([1]))

        try harness.pump()

        #expect(call.stream.value(":status") == httpStatus)
        #expect(call.stream.grpcStatus == code)
        #expect(harness.rpc.callEvents.isEmpty)
        try harness.close()
    }

    @Test("unary: a malformed grpc-timeout is refused", arguments: ["5", "S", "123456789S", "5x"])
    func malformedTimeout(value: String) throws {
        let harness = try Harness()
        let call = harness.client.request(
            "/test.Echo/Unary",
            headers: [("content-type", "application/grpc"), ("grpc-timeout", value)],
            body: framed([]))

        try harness.pump()

        #expect(call.stream.value(":status") == "400")
        #expect(call.stream.grpcStatus == 13)
        try harness.close()
    }

    @Test("unary: an answer before the end of the request tells the client to stop sending")
    func earlyAnswer() throws {
        let harness = try Harness()
        let call = harness.client.request(
            "/test.Echo/Unary", body: framed([1], flag: 1), ends: false)

        try harness.pump()

        #expect(call.stream.grpcStatus == 13)
        #expect(call.stream.closeCode == 0)
        #expect(harness.connection.calls.isEmpty)
        try harness.close()
    }
}
