// PeerFrame.swift: frames out of the bytes of one connection, and bytes out of frames.
// Belongs here: cutting, checking, joining. Never here: what a kind means.
// A frame that arrives in one piece is a slice of what was read. Any other is copied once, into a
// buffer made for its whole length as soon as that is known; so memory stays below one frame's
// limit and one read.

import NIOCore

/// A frame to send.
typealias PeerOutgoing = (kind: UInt8, payload: [UInt8])

/// A frame that came, already checked.
struct PeerIncoming: Equatable {
    var kind: UInt8
    var payload: ByteBuffer
}

struct PeerFrameDecoder {
    private let frameBytesMax: Int
    /// What was read and not looked at yet.
    private var input = ByteBuffer()
    /// A frame of which the rest is still to come, from its length on.
    private var partial = ByteBuffer()

    init(frameBytesMax: Int) {
        self.frameBytesMax = frameBytesMax
    }

    /// Whether bytes of an unfinished frame are kept.
    var isInsideFrame: Bool { partial.readableBytes + input.readableBytes > 0 }

    /// Takes bytes that were read.
    mutating func append(_ bytes: ByteBuffer) {
        if input.readableBytes == 0 {
            input = bytes
        } else {
            input.writeImmutableBuffer(bytes)
        }
    }

    /// The next frame; nil when its bytes have not all come.
    mutating func next() throws(PeerFault) -> PeerIncoming? {
        if partial.readableBytes == 0 {
            guard input.readableBytes > 0 else { return nil }
            let length = try frameLength(of: input)
            if let length, input.readableBytes >= PeerWire.frameHeadBytes + length {
                return try check(&input, length: length)
            }
            partial.clear(minimumCapacity: PeerWire.frameHeadBytes + (length ?? 0))
        }
        fill(to: PeerWire.frameHeadBytes)
        if let length = try frameLength(of: partial) {
            partial.reserveCapacity(PeerWire.frameHeadBytes + length)
            fill(to: PeerWire.frameHeadBytes + length)
            if partial.readableBytes == PeerWire.frameHeadBytes + length {
                var whole = ByteBuffer()
                swap(&whole, &partial)
                return try check(&whole, length: length)
            }
        }
        // What was read is let go as soon as nothing of it is needed.
        if input.readableBytes == 0 { input = ByteBuffer() }
        return nil
    }

    /// Moves input to the partial frame until that has `count` bytes.
    private mutating func fill(to count: Int) {
        let missing = min(count - partial.readableBytes, input.readableBytes)
        guard missing > 0, var piece = input.readSlice(length: missing) else { return }
        partial.writeBuffer(&piece)
    }

    /// The length of kind and payload once the frame's head has come.
    private func frameLength(of buffer: ByteBuffer) throws(PeerFault) -> Int? {
        let start = buffer.readerIndex
        guard
            let length = buffer.getInteger(at: start, endianness: .little, as: UInt32.self)
        else { return nil }
        guard length > 0 else { throw .empty }
        guard length <= frameBytesMax else {
            // "MART" read as a length.
            if length == 0x5452_414D { throw .secondHello }
            throw .tooLong(bytes: Int(length), max: frameBytesMax)
        }
        return buffer.readableBytes >= PeerWire.frameHeadBytes ? Int(length) : nil
    }

    private func check(
        _ buffer: inout ByteBuffer, length: Int
    ) throws(PeerFault) -> PeerIncoming {
        buffer.moveReaderIndex(forwardBy: 4)
        guard let sum = buffer.readInteger(endianness: .little, as: UInt32.self),
            PeerWire.checksum(buffer, at: buffer.readerIndex, count: length) == sum
        else { throw .checksum }
        guard let kind = buffer.readInteger(as: UInt8.self),
            let payload = buffer.readSlice(length: length - 1)
        else { preconditionFailure("a frame of \(length) bytes lost some") }
        guard kind != PeerWire.pingKind || length == 1 else { throw .pingWithPayload }
        return PeerIncoming(kind: kind, payload: payload)
    }
}

enum PeerFrameEncoder {
    /// Bytes of a frame on the wire.
    static func count(_ frame: PeerOutgoing) -> Int {
        PeerWire.frameHeadBytes + 1 + frame.payload.count
    }

    /// Writes a frame; the one copy of its payload on this side.
    static func write(_ frame: PeerOutgoing, to buffer: inout ByteBuffer) {
        let kind = frame.kind
        let first = withUnsafeBytes(of: kind) { PeerWire.checksum($0) }
        let sum = frame.payload.withUnsafeBytes { PeerWire.checksum($0, after: first) }
        buffer.writeInteger(UInt32(frame.payload.count + 1), endianness: .little)
        buffer.writeInteger(sum, endianness: .little)
        buffer.writeInteger(kind)
        buffer.writeBytes(frame.payload)
    }
}
