// PeerWire.swift: the bytes between members, and helpers to write and read them.
// Belongs here: layouts, checksums. Never here: what the answers are (PeerAcceptingGreeter.swift,
// PeerDialingGreeter.swift), what frames mean (the caller).
//
// All numbers are little-endian. A checksum is CRC-32C.
//
// Hello, from the dialer, and answer, from the acceptor, each in one envelope:
//
//     offset  bytes
//     0       8      "MARTPEER"
//     8       2      length of the body, at most 4096
//     10      4      checksum of the body
//     14             body
//
// Body of the hello. Bytes after those known are left alone: a later version may add fields.
//
//     0       2      oldest protocol version spoken
//     2       2      newest protocol version spoken
//     4       8      cluster id; 0 is not known yet, only on the bootstrap channel
//     12      8      member id of the dialer; 0 is none yet, only on the bootstrap channel
//     20      8      member id of the acceptor; 0 is any
//     28      1      channel: 1 log, 2 forward, 3 snapshot, 4 bootstrap
//     29      2 + n  name of the dialer
//             2 + n  peer URL of the dialer, for people to read
//
// Body of the answer. After any status but 0 the acceptor closes the connection.
//
//     0       1      0, or why the dialer is refused (PeerRefusal)
//     1       2      protocol version chosen
//     3       8      member id of the acceptor
//     11      8      cluster id
//     19      2 + n  text for the operator
//
// Then frames both ways:
//
//     0       4      length of kind and payload, 1 to the channel's limit
//     4       4      checksum of kind and payload
//     8       1      kind, the caller's; 0 is a ping and has no payload
//     9              payload

import CChecksum
import NIOCore

enum PeerWire {
    static let magic: StaticString = "MARTPEER"
    static let applicationProtocol: StaticString = "martlet-peer/1"
    static let versions: ClosedRange<UInt16> = 1...1
    static let envelopeHeadBytes = 14
    static let helloBodyBytesMax = 4_096
    /// A name or URL; longer ones are cut off, so that a hello always fits.
    static let textBytesMax = 1_024
    static let frameHeadBytes = 8
    static let pingKind: UInt8 = 0

    /// The CRC-32C of bytes of a buffer.
    static func checksum(_ buffer: ByteBuffer, at index: Int, count: Int) -> UInt32 {
        buffer.withUnsafeReadableBytes { bytes in
            let start = index - buffer.readerIndex
            return checksum(UnsafeRawBufferPointer(rebasing: bytes[start..<start + count]))
        }
    }

    static func checksum(_ bytes: UnsafeRawBufferPointer, after first: UInt32 = 0) -> UInt32 {
        guard let start = bytes.baseAddress else { return first }
        return martlet_crc32c(first, start, bytes.count)
    }

    /// Wraps the body of a hello or an answer.
    static func envelope(_ body: ByteBuffer) -> ByteBuffer {
        precondition(body.readableBytes <= helloBodyBytesMax, "hello of \(body.readableBytes)")
        var buffer = ByteBuffer()
        buffer.reserveCapacity(envelopeHeadBytes + body.readableBytes)
        buffer.writeStaticString(magic)
        buffer.writeInteger(UInt16(body.readableBytes), endianness: .little)
        buffer.writeInteger(
            checksum(body, at: body.readerIndex, count: body.readableBytes), endianness: .little)
        buffer.writeImmutableBuffer(body)
        return buffer
    }

    /// Takes an envelope's body from the front of `buffer`; nil when more bytes are needed.
    static func openEnvelope(_ buffer: inout ByteBuffer) throws(PeerFault) -> ByteBuffer? {
        let count = min(buffer.readableBytes, magic.utf8CodeUnitCount)
        let isMagic = buffer.withUnsafeReadableBytes { bytes in
            let expected = UnsafeRawBufferPointer(start: magic.utf8Start, count: count)
            return equalBytes(UnsafeRawBufferPointer(rebasing: bytes[..<count]), expected)
        }
        let start = buffer.readerIndex
        guard isMagic else {
            let first = buffer.getInteger(at: start, as: UInt8.self)
            throw first == 0x16 ? .tlsOnPlain : .notAPeer
        }
        guard
            let length = buffer.getInteger(at: start + 8, endianness: .little, as: UInt16.self),
            let sum = buffer.getInteger(at: start + 10, endianness: .little, as: UInt32.self)
        else { return nil }
        guard length <= helloBodyBytesMax else {
            throw .tooLong(bytes: Int(length), max: helloBodyBytesMax)
        }
        guard
            let body = buffer.getSlice(at: start + envelopeHeadBytes, length: Int(length))
        else { return nil }
        guard checksum(body, at: body.readerIndex, count: body.readableBytes) == sum else {
            throw .checksum
        }
        buffer.moveReaderIndex(forwardBy: envelopeHeadBytes + Int(length))
        return body
    }

    static func write(_ text: String, to buffer: inout ByteBuffer) {
        var bytes = Array(text.utf8.prefix(textBytesMax))
        // A character cut in two is left out whole, by dropping its first bytes too.
        if bytes.count < text.utf8.count {
            while let last = bytes.last, last & 0xC0 == 0x80 { bytes.removeLast() }
            if let last = bytes.last, last >= 0xC0 { bytes.removeLast() }
        }
        buffer.writeInteger(UInt16(bytes.count), endianness: .little)
        buffer.writeBytes(bytes)
    }

    static func readText(_ buffer: inout ByteBuffer) throws(PeerFault) -> String {
        guard let count = buffer.readInteger(endianness: .little, as: UInt16.self),
            let bytes = buffer.readSlice(length: Int(count))
        else { throw .truncated }
        return String(decoding: bytes.readableBytesView, as: UTF8.self)
    }

    static func read<Number: FixedWidthInteger>(
        _ buffer: inout ByteBuffer, as type: Number.Type = Number.self
    ) throws(PeerFault) -> Number {
        guard let number = buffer.readInteger(endianness: .little, as: type) else {
            throw .truncated
        }
        return number
    }
}

/// What is wrong with bytes that came from another member.
enum PeerFault: Error, Equatable, CustomStringConvertible {
    case notAPeer
    case tlsOnPlain
    case tooLong(bytes: Int, max: Int)
    case empty
    case checksum
    case truncated
    case secondHello
    case pingWithPayload
    case unknownChannel(UInt8)
    case unknownStatus(UInt8)

    var description: String {
        switch self {
        case .notAPeer: "what it sent is not a Martlet member's hello; is the URL a peer URL?"
        case .tlsOnPlain: "it spoke TLS to a plain peer URL; use https in both URLs or in neither"
        case .tooLong(let bytes, let max): "it sent a frame of \(bytes) bytes; \(max) are allowed"
        case .empty: "it sent a frame without a kind"
        case .checksum: "a checksum is wrong: bytes were changed on the way"
        case .truncated: "a hello ends too early"
        case .secondHello: "it sent a hello in the middle of the connection"
        case .pingWithPayload: "it sent a ping with a payload"
        case .unknownChannel(let number): "it asked for channel \(number), which does not exist"
        case .unknownStatus(let number): "it refused with code \(number), which is not known here"
        }
    }
}
