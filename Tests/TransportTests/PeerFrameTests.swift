// PeerFrameTests.swift: frames and hellos as bytes: whole, in pieces, and broken.
// Source: the layouts in PeerWire.swift.

import NIOCore
import Testing

@testable import Transport

@Suite("peer wire")
struct PeerFrameTests {
    private func encode(_ frames: [PeerOutgoing]) -> [UInt8] {
        var buffer = ByteBuffer()
        for frame in frames { PeerFrameEncoder.write(frame, to: &buffer) }
        return Array(buffer.readableBytesView)
    }

    /// Feeds the bytes in pieces and returns the frames.
    private func decode(
        _ bytes: [UInt8], pieces: Int, max: Int = 1 << 20
    ) throws(PeerFault) -> [PeerRecorder.Frame] {
        var decoder = PeerFrameDecoder(frameBytesMax: max)
        var frames: [PeerRecorder.Frame] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            decoder.append(ByteBuffer(bytes: rest.prefix(pieces)))
            rest = rest.dropFirst(pieces)
            while let frame = try decoder.next() {
                frames.append(
                    PeerRecorder.Frame(
                        kind: frame.kind, payload: Array(frame.payload.readableBytesView)))
            }
        }
        guard !decoder.isInsideFrame else { throw .truncated }
        return frames
    }

    private func fault(_ bytes: [UInt8], pieces: Int = 1_000, max: Int = 100) -> PeerFault? {
        do throws(PeerFault) {
            _ = try decode(bytes, pieces: pieces, max: max)
            return nil
        } catch {
            return error
        }
    }

    @Test("frames: however the bytes are cut, the same frames come out", arguments: 1...40)
    func pieces(size: Int) throws {
        let sent: [PeerOutgoing] = (0..<9).map { number in
            (UInt8(number + 1), [UInt8](repeating: UInt8(number), count: number * number))
        }

        let came = try decode(encode(sent), pieces: size)

        #expect(came == sent.map { PeerRecorder.Frame(kind: $0.kind, payload: $0.payload) })
    }

    @Test("frames: bytes appended while frames still wait are kept in order")
    func appendWhileWaiting() throws {
        var decoder = PeerFrameDecoder(frameBytesMax: 100)
        let bytes = encode([(1, [1]), (2, [2, 2]), (3, [3, 3, 3])])
        decoder.append(ByteBuffer(bytes: bytes.prefix(25)))
        let first = try decoder.next()
        decoder.append(ByteBuffer(bytes: bytes.dropFirst(25)))

        #expect(first?.kind == 1)
        #expect(try decoder.next()?.payload == ByteBuffer(bytes: [2, 2]))
        #expect(try decoder.next()?.payload == ByteBuffer(bytes: [3, 3, 3]))
        #expect(try decoder.next() == nil)
        #expect(!decoder.isInsideFrame)
    }

    @Test("frames: the bound counts the kind, and holds before the payload comes")
    func oversize() {
        #expect(fault(encode([(1, [UInt8](repeating: 0, count: 99))])) == nil)
        #expect(
            fault(Array(encode([(1, [UInt8](repeating: 0, count: 100))]).prefix(4)))
                == .tooLong(bytes: 101, max: 100))
        #expect(fault([0, 0, 0, 0]) == .empty)
    }

    @Test("frames: every flipped bit behind the length is found by the checksum")
    func corrupt() {
        let good = encode([(5, [1, 2, 3])])
        for place in 4..<good.count {
            for bit in 0..<8 {
                var bad = good
                bad[place] ^= 1 << UInt8(bit)
                #expect(fault(bad) == .checksum)
            }
        }
    }

    @Test("frames: every frame cut short is known to be")
    func truncated() {
        let good = encode([(5, [1, 2, 3])])
        for count in 1..<good.count {
            #expect(fault(Array(good.prefix(count))) == .truncated)
        }
    }

    @Test("frames: a hello in their midst and a ping with a payload are faults")
    func misplaced() {
        let hello = PeerHello(
            identity: PeerIdentity(clusterID: 1, memberID: 2, name: ""), to: 3, channel: .log)
        #expect(fault(Array(hello.encoded.readableBytesView)) == .secondHello)
        #expect(fault(encode([(0, [1])])) == .pingWithPayload)
        #expect(fault(encode([(0, [])])) == nil)
    }

    @Test("frames: random bytes end in a fault or wait for more, never in a frame")
    func random() {
        var generator = SeededGenerator(state: 11)
        for _ in 0..<2_000 {
            let count = Int(generator.next(upperBound: UInt(60)))
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            // Lengths that are allowed, so that the checksum is reached.
            for place in 1..<4 where place < count { bytes[place] = 0 }
            #expect(count == 0 || fault(bytes, pieces: 7) != nil, "\(bytes)")
        }
    }

    // MARK: Hello and answer

    private let hello = PeerHello(
        identity: PeerIdentity(clusterID: 0xC, memberID: 2, name: "näme", url: "http://a:1"),
        to: 3, channel: .snapshot)

    @Test("hello: what is written is read, byte by byte too")
    func helloRoundTrip() throws {
        let bytes = Array(hello.encoded.readableBytesView)
        var received = ByteBuffer()
        for byte in bytes.dropLast() {
            received.writeInteger(byte)
            #expect(try PeerWire.openEnvelope(&received) == nil)
        }
        received.writeBytes([bytes[bytes.count - 1], 77])

        let body = try #require(try PeerWire.openEnvelope(&received))
        #expect(try PeerHello(body: body) == hello)
        #expect(received == ByteBuffer(bytes: [77]))
    }

    @Test("hello: fields a later version adds are left alone")
    func laterVersion() throws {
        var envelope = hello.encoded
        var body = try #require(try PeerWire.openEnvelope(&envelope))
        body.writeString("something new")
        #expect(try PeerHello(body: body) == hello)
    }

    @Test("hello: a body cut anywhere, and an unknown channel, are faults")
    func brokenBody() throws {
        var envelope = hello.encoded
        let body = try #require(try PeerWire.openEnvelope(&envelope))
        for count in 0..<body.readableBytes {
            let cut = try #require(body.getSlice(at: body.readerIndex, length: count))
            #expect(throws: PeerFault.truncated) { try PeerHello(body: cut) }
        }
        var other = body
        other.setInteger(UInt8(9), at: other.readerIndex + 28)
        #expect(throws: PeerFault.unknownChannel(9)) { try PeerHello(body: other) }
    }

    @Test("hello: wrong magic, TLS, a long body and a wrong checksum each have their own fault")
    func brokenEnvelope() {
        func fault(_ change: (inout [UInt8]) -> Void) -> PeerFault? {
            var bytes = Array(hello.encoded.readableBytesView)
            change(&bytes)
            var buffer = ByteBuffer(bytes: bytes)
            do throws(PeerFault) {
                _ = try PeerWire.openEnvelope(&buffer)
                return nil
            } catch {
                return error
            }
        }
        #expect(fault { $0 = [0x47] } == .notAPeer)
        #expect(fault { $0[7] = 0 } == .notAPeer)
        #expect(fault { $0 = [0x16, 3, 1] } == .tlsOnPlain)
        #expect(fault { $0.removeLast() } == nil)
        #expect(
            fault { $0.replaceSubrange(8..<10, with: [1, 0x10]) }
                == .tooLong(bytes: 4_097, max: 4_096))
        #expect(fault { $0[20] ^= 1 } == .checksum)
    }

    @Test("hello: a name that is too long is cut between characters, and the hello fits")
    func longName() throws {
        let name = "x" + String(repeating: "ü", count: 4_000)
        let long = PeerHello(
            identity: PeerIdentity(clusterID: 1, memberID: 2, name: name, url: name), to: 0,
            channel: .log)
        var envelope = long.encoded
        let body = try #require(try PeerWire.openEnvelope(&envelope))
        let read = try PeerHello(body: body)
        #expect(read.name == "x" + String(repeating: "ü", count: 511))
        #expect(read.url == read.name)
    }

    @Test("answer: every refusal survives the wire; an unknown one is a fault")
    func answers() throws {
        let identity = PeerIdentity(clusterID: 5, memberID: 6, name: "n")
        for refusal in [nil] + PeerRefusal.allCases.map(Optional.some) {
            let answer = PeerAnswer(
                refusal: refusal, version: 1, identity: identity, text: "because")
            var envelope = answer.encoded
            let body = try #require(try PeerWire.openEnvelope(&envelope))
            #expect(try PeerAnswer(body: body) == answer)
        }
        #expect(throws: PeerFault.unknownStatus(200)) {
            try PeerAnswer(body: ByteBuffer(bytes: [200]))
        }
    }
}
