// CodecTests.swift: the small parsers and encoders, against slow and obvious versions.
// Belongs here: pure functions and structs. Never here: connections.

import NIOCore
import Testing

@testable import Transport

@Suite("codecs")
struct CodecTests {
    @Test(
        "timeout: each unit, and what is no timeout",
        arguments: [
            ("1n", 1), ("2u", 2_000), ("3m", 3_000_000), ("4S", 4_000_000_000),
            ("5M", 300_000_000_000), ("6H", 21_600_000_000_000), ("00000007S", 7_000_000_000),
            ("", nil), ("S", nil), ("1", nil), ("-1S", nil), ("123456789S", nil), ("1s", nil),
        ] as [(String, UInt64?)])
    func timeout(text: String, nanoseconds: UInt64?) {
        let parsed = Array(text.utf8).withUnsafeBytes { Timeout.parse($0) }
        #expect(parsed == nanoseconds)
    }

    @Test("timeout: the longest one is cut to a date the clock can hold")
    func longestTimeout() {
        let parsed = Array("99999999H".utf8).withUnsafeBytes { Timeout.parse($0) }
        #expect(parsed == Limits.deadlineNanosecondsMax)
    }

    @Test(
        "status message: only printable ASCII but the percent sign stands for itself",
        arguments: [
            ("plain text ~!", "plain text ~!"), ("100%", "100%25"), ("a\nb", "a%0Ab"),
            ("é", "%C3%A9"), ("", ""), ("\u{7F}", "%7F"),
        ])
    func statusMessage(text: String, encoded: String) {
        #expect(String(decoding: StatusMessage.encode(text), as: UTF8.self) == encoded)
    }

    @Test("status message: a long text is cut between characters")
    func longStatusMessage() {
        let encoded = StatusMessage.encode(String(repeating: "é", count: 10_000))

        #expect(encoded.count <= Limits.statusMessageBytesMax)
        #expect(encoded.count > Limits.statusMessageBytesMax - 6)
        #expect(encoded.count % 6 == 0)
    }

    @Test("method table: every registered path is found, and no other")
    func methodTable() {
        let methods = (0..<200).map { index in
            RPCMethod(path: "/package.Service\(index % 7)/Method\(index)", kind: .unary)
        }
        let table = MethodTable(methods)
        func find(_ path: String) -> Int? {
            Array(path.utf8).withUnsafeBytes { table.find($0) }
        }

        for (index, method) in methods.enumerated() { #expect(find(method.path) == index) }
        for path in ["", "/", "/package.Service0/Method1", "/package.Service0/Method00", "x"] {
            #expect(find(path) == nil)
        }
        #expect(table.services.count == 7)
    }

    @Test("message reader: any cut of the stream gives the same messages", arguments: 1...20)
    func messageReader(seed: Int) {
        var random = SeededGenerator(state: UInt64(seed))
        let messages = (0..<20).map { _ in
            [UInt8](
                repeating: UInt8.random(in: 0...255, using: &random),
                count: .random(in: 0...40, using: &random))
        }
        let stream = messages.flatMap { framed($0) }
        var reader = MessageReader()
        var found: [[UInt8]] = []
        var offset = 0
        while offset < stream.count {
            let end = min(offset + .random(in: 1...15, using: &random), stream.count)
            stream.withUnsafeBytes { all in
                var piece = UnsafeRawBufferPointer(rebasing: all[offset..<end])
                while case .message(let message) = reader.next(&piece, bytesMax: 40) {
                    found.append(message)
                }
                #expect(piece.isEmpty)
            }
            offset = end
        }

        #expect(found == messages)
        #expect(reader.isBetweenMessages)
        #expect(reader.partialBytes == 0)
    }

    @Test("send queue: bytes taken in any portions are those queued, in order", arguments: 1...20)
    func sendQueue(seed: Int) {
        var random = SeededGenerator(state: UInt64(seed) &* 77)
        var queue = SendQueue()
        var expected: [UInt8] = []
        var buffer = ByteBuffer()
        for step in 0..<300 {
            let bytes = [UInt8](
                repeating: UInt8(truncatingIfNeeded: step),
                count: .random(in: 0...30, using: &random))
            if Bool.random(using: &random) {
                queue.append(bytes, prefix: bytes.count)
                expected += framed(bytes)
            } else if !bytes.isEmpty {
                queue.append(bytes, prefix: nil)
                expected += bytes
            }
            let count = Int.random(in: 0...min(40, queue.byteCount), using: &random)
            queue.write(count, into: &buffer)
        }
        queue.write(queue.byteCount, into: &buffer)

        #expect(queue.byteCount == 0)
        #expect(Array(buffer.readableBytesView) == expected)
    }

    @Test("ping policy: strikes count up, and an answer in between forgives them")
    func pingPolicy() {
        let limits = ConnectionLimits()
        var policy = PingPolicy()
        func second(_ value: Int64) -> Int64 { value * 1_000_000_000 }

        var verdicts = (0...2).map {
            policy.allows(at: second($0), hasOpenStreams: true, limits: limits)
        }
        policy.sent()
        verdicts += (3...6).map {
            policy.allows(at: second($0), hasOpenStreams: true, limits: limits)
        }

        #expect(verdicts == [true, true, true, true, true, true, false])
    }

    @Test("rate window: the limit is per second, not per connection")
    func rateWindow() {
        var window = RateWindow()

        let verdicts = [0, 0, 0, 999_999_999, 1_000_000_000].map { window.admit(at: $0, max: 3) }

        #expect(verdicts == [true, true, true, false, true])
    }

    @Test("unknown method: the service name is all before the last slash")
    func unknownMethod() {
        let status = UnknownMethod.status(path: "/a/b/c", services: ["a/b"])
        #expect(status == RPCStatus(.unimplemented, "unknown method c for service a/b"))
    }
}
