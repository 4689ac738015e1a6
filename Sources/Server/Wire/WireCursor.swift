// WireCursor.swift: raw writing into storage whose size was computed before, and those sizes.
// Belongs here: bytes, tags and varints. Never here: growing of storage (ProtoWriter.swift).
// Source: protobuf encoding. Invariant: position <= limit, checked on every write.

/// A write position in memory that someone else owns, valid only inside the call that lent it.
struct WireCursor {
    private let base: UnsafeMutablePointer<UInt8>
    private let limit: Int
    private(set) var position = 0

    @inline(__always)
    init(_ base: UnsafeMutablePointer<UInt8>, limit: Int) {
        self.base = base
        self.limit = limit
    }

    @inline(__always)
    mutating func byte(_ value: UInt8) {
        precondition(position < limit, "write past \(limit)")
        base[position] = value
        position &+= 1
    }

    @inline(__always)
    mutating func varint(_ value: UInt64) {
        guard value >= 0x80 else { return byte(UInt8(truncatingIfNeeded: value)) }
        let size = WireSize.varint(value)
        precondition(size <= limit &- position, "write past \(limit)")
        let last = position &+ size &- 1
        var rest = value
        if size > 8 {
            // Ids of members and clusters use all 64 bits and are part of every header.
            let low = WireCursor.spread(rest).littleEndian
            UnsafeMutableRawPointer(base + position).storeBytes(of: low, as: UInt64.self)
            position &+= 8
            rest >>= 56
        }
        while position < last {
            base[position] = UInt8(truncatingIfNeeded: rest) | 0x80
            rest >>= 7
            position &+= 1
        }
        base[last] = UInt8(truncatingIfNeeded: rest)
        position &+= 1
    }

    /// The low 56 bits, seven in each byte, with the bit that says "more follows" set in all.
    @inline(__always)
    private static func spread(_ value: UInt64) -> UInt64 {
        var x = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4
        x = (x & 0x0000_3fff_0000_3fff) | (x & 0x0fff_c000_0fff_c000) << 2
        x = (x & 0x007f_007f_007f_007f) | (x & 0x3f80_3f80_3f80_3f80) << 1
        return x | 0x8080_8080_8080_8080
    }

    @inline(__always)
    mutating func tag(_ field: Int, _ type: WireType) {
        varint(UInt64(truncatingIfNeeded: field) << 3 | UInt64(type.rawValue))
    }

    @inline(__always)
    mutating func copy(_ source: UnsafeRawBufferPointer) {
        guard let first = source.baseAddress, !source.isEmpty else { return }
        precondition(source.count <= limit - position, "copy past \(limit)")
        UnsafeMutableRawPointer(base + position).copyMemory(from: first, byteCount: source.count)
        position &+= source.count
    }

    /// An int64 field, left out when it is 0.
    @inline(__always)
    mutating func int64(_ field: Int, _ value: Int64) {
        uint64(field, UInt64(bitPattern: value))
    }

    /// A uint64 field, left out when it is 0.
    @inline(__always)
    mutating func uint64(_ field: Int, _ value: UInt64) {
        guard value != 0 else { return }
        tag(field, .varint)
        varint(value)
    }

    /// A bytes field, left out when it is empty.
    @inline(__always)
    mutating func bytes(_ field: Int, _ value: UnsafeRawBufferPointer) {
        guard !value.isEmpty else { return }
        tag(field, .lengthDelimited)
        varint(UInt64(value.count))
        copy(value)
    }
}

/// How many bytes parts of a message take.
enum WireSize {
    @inline(__always)
    static func varint(_ value: UInt64) -> Int {
        // Seven bits a byte; 9/64 is close enough to 1/7 to be exact for all 64 bit widths.
        let bits = 64 &- (value | 1).leadingZeroBitCount
        return (bits &* 9 &+ 64) >> 6
    }

    @inline(__always)
    static func tag(_ field: Int) -> Int {
        varint(UInt64(truncatingIfNeeded: field) << 3)
    }

    /// A uint64 field, nothing when it is 0.
    @inline(__always)
    static func uint64(_ field: Int, _ value: UInt64) -> Int {
        value == 0 ? 0 : tag(field) + varint(value)
    }

    /// An int64 field, nothing when it is 0.
    @inline(__always)
    static func int64(_ field: Int, _ value: Int64) -> Int {
        uint64(field, UInt64(bitPattern: value))
    }

    /// A bytes field, nothing when it is empty.
    @inline(__always)
    static func bytes(_ field: Int, _ count: Int) -> Int {
        count == 0 ? 0 : lengthDelimited(field, count)
    }

    /// A field with a length prefix, also when the length is 0.
    @inline(__always)
    static func lengthDelimited(_ field: Int, _ count: Int) -> Int {
        tag(field) + varint(UInt64(count)) + count
    }
}
