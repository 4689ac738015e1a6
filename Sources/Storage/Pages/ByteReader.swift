// ByteReader.swift: reading numbers and bytes out of memory that may hold anything.
// Belongs here: bounds checks, LEB128. Never here: formats.

/// Walks through bytes without ever leaving them; valid while their owner lives.
struct ByteReader {
    private var position: UnsafeRawPointer
    private let end: UnsafeRawPointer

    init(_ start: UnsafeRawPointer, count: Int) {
        position = start
        end = start + count
    }

    /// How many bytes are left.
    var remaining: Int { end - position }

    /// A LEB128 number of up to 32 bits, or nil if there is none.
    @inline(__always)
    mutating func number() -> UInt32? {
        var value: UInt32 = 0
        var shift: UInt32 = 0
        while position < end {
            let byte = position.load(as: UInt8.self)
            position += 1
            if shift == 28 && byte > 0x0F { return nil }
            value |= UInt32(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    /// The next `count` bytes in place, or nil if there are fewer.
    @inline(__always)
    mutating func bytes(_ count: Int) -> UnsafeRawPointer? {
        guard count <= end - position else { return nil }
        defer { position += count }
        return position
    }

    /// A little-endian integer, or nil if too few bytes are left.
    @inline(__always)
    mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type) -> Value? {
        guard let start = bytes(MemoryLayout<Value>.size) else { return nil }
        return Value(littleEndian: start.loadUnaligned(as: Value.self))
    }
}

/// LEB128: seven bits a byte, the lowest first.
enum VarInt {
    /// The most bytes of a 32-bit number.
    static let bytesMax = 5

    /// Writes a number; returns the place behind it.
    @inline(__always)
    static func write(
        _ value: UInt32, to output: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer {
        var rest = value
        var place = output
        while rest >= 0x80 {
            place.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
            place += 1
            rest >>= 7
        }
        place.storeBytes(of: UInt8(rest), as: UInt8.self)
        return place + 1
    }
}
