// LogFormat.swift: the bytes of the log: segment header, frame, record.
// Belongs here: offsets, encoding, checking. Never here: files, order, recovery decisions.
// Source of truth for people: Docs.docc/WAL.md. Integers are little-endian, checksums CRC-32C.

import CChecksum

/// What a record is.
enum LogRecordType: UInt8 {
    case entry = 1
    case hardState = 2
    case checkpointIntent = 3
    /// Entries after `index` are void; the one at `index` has `term`.
    case truncation = 4
    /// All entries are void; the log goes on after `index`, whose term is `term`.
    case reset = 5
}

/// The fixed part of a record: 28 bytes, then the payload.
///
/// ```
/// 0  u32 CRC of bytes 4 to the end of the payload
/// 4  u32 payload length
/// 8  u8  type   9 u8 kind (entries)   10 u8 version   11 u8 zero
/// 12 u64 index  (entry, truncation, reset; hard state: commit; intent: 0)
/// 20 u64 term   (intent: 0)
/// ```
struct LogRecordHeader: Equatable {
    static let bytes = 28
    static let version: UInt8 = 1

    var type: LogRecordType
    var kind: UInt8
    var index: UInt64
    var term: UInt64
    var length: Int

    /// Appends the record to a queue; its CRC stays open until `seal`.
    func encode(payload: UnsafeRawBufferPointer, to buffer: inout [UInt8]) {
        precondition(payload.count == length, "payload of \(payload.count), not \(length)")
        withUnsafeTemporaryAllocation(byteCount: Self.bytes, alignment: 8) { header in
            header.store(0, at: 0, as: UInt32.self)
            header.store(UInt32(length), at: 4, as: UInt32.self)
            header.store(type.rawValue, at: 8, as: UInt8.self)
            header.store(kind, at: 9, as: UInt8.self)
            header.store(Self.version, at: 10, as: UInt8.self)
            header.store(0, at: 11, as: UInt8.self)
            header.store(index, at: 12, as: UInt64.self)
            header.store(term, at: 20, as: UInt64.self)
            buffer.append(contentsOf: header)
        }
        buffer.append(contentsOf: payload)
    }

    /// Reads the fixed part at `offset`, or nil if it cannot be one that fits into `bytes`.
    init?(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        guard offset + Self.bytes <= bytes.count,
            let type = LogRecordType(rawValue: bytes.load(at: offset + 8, as: UInt8.self)),
            bytes.load(at: offset + 10, as: UInt8.self) == Self.version
        else { return nil }
        self.type = type
        kind = bytes.load(at: offset + 9, as: UInt8.self)
        index = bytes.load(at: offset + 12, as: UInt64.self)
        term = bytes.load(at: offset + 20, as: UInt64.self)
        length = Int(bytes.load(at: offset + 4, as: UInt32.self))
    }

    init(type: LogRecordType, kind: UInt8 = 0, index: UInt64, term: UInt64, length: Int) {
        self.type = type
        self.kind = kind
        self.index = index
        self.term = term
        self.length = length
    }

    /// Header and payload together.
    var recordBytes: Int { Self.bytes + length }

    /// The CRC the record at `offset` should carry; the record must lie within `bytes`.
    func checksum(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt32 {
        crc32c(0, bytes, from: offset + 4, count: recordBytes - 4)
    }
}

/// What stands before the records of one write: 32 bytes on a sector boundary.
///
/// ```
/// 0  u32 CRC of bytes 4 to 31, started with the frame's sector number in its segment
/// 4  u32 CRC over the records' CRCs, in order
/// 8  u32 bytes of all records
/// 12 u32 number of records
/// 16 u64 sequence of the segment
/// 24 u64 salt of the log
/// ```
/// A frame is written by one write and followed by one sync before the next frame is begun. So a
/// frame header that is whole proves that every frame before it was once durable.
struct LogFrameHeader: Equatable {
    static let bytes = 32

    var bodyChecksum: UInt32
    var bodyBytes: Int
    var records: Int
    var sequence: UInt64
    var salt: UInt64

    /// Puts the header for a frame that will stand at `offset` of its segment.
    func encode(to buffer: UnsafeMutableRawBufferPointer, segmentOffset offset: Int) {
        buffer.store(bodyChecksum, at: 4, as: UInt32.self)
        buffer.store(UInt32(bodyBytes), at: 8, as: UInt32.self)
        buffer.store(UInt32(records), at: 12, as: UInt32.self)
        buffer.store(sequence, at: 16, as: UInt64.self)
        buffer.store(salt, at: 24, as: UInt64.self)
        let crc = Self.checksum(UnsafeRawBufferPointer(buffer), at: 0, segmentOffset: offset)
        buffer.store(crc, at: 0, as: UInt32.self)
    }

    /// Reads the header at `position` of `bytes`, or nil if it is not one written for that segment
    /// and place.
    init?(
        _ bytes: UnsafeRawBufferPointer, at position: Int, segmentOffset offset: Int,
        sequence: UInt64
    ) {
        guard position + Self.bytes <= bytes.count,
            bytes.load(at: position + 16, as: UInt64.self) == sequence,
            bytes.load(at: position, as: UInt32.self)
                == Self.checksum(bytes, at: position, segmentOffset: offset)
        else { return nil }
        bodyChecksum = bytes.load(at: position + 4, as: UInt32.self)
        bodyBytes = Int(bytes.load(at: position + 8, as: UInt32.self))
        records = Int(bytes.load(at: position + 12, as: UInt32.self))
        self.sequence = sequence
        salt = bytes.load(at: position + 24, as: UInt64.self)
    }

    init(bodyChecksum: UInt32, bodyBytes: Int, records: Int, sequence: UInt64, salt: UInt64) {
        self.bodyChecksum = bodyChecksum
        self.bodyBytes = bodyBytes
        self.records = records
        self.sequence = sequence
        self.salt = salt
    }

    private static func checksum(
        _ bytes: UnsafeRawBufferPointer, at position: Int, segmentOffset offset: Int
    ) -> UInt32 {
        let place = UInt32(offset / LogLimits.sectorBytes)
        return crc32c(place, bytes, from: position + 4, count: Self.bytes - 4)
    }
}

/// The first sector of a segment in use.
///
/// ```
/// 0  8 bytes "MARTLWAL"
/// 8  u32 format version, 1
/// 12 u32 CRC of bytes 0 to 11 and 16 to 63
/// 16 u64 sequence, the number in the file's name
/// 24 u64 salt of the log
/// 32 u64 index of the last entry before this segment   40 u64 its term
/// 48 u64 where the previous segment ends, 0 if there never was one
/// 56 u64 zero
/// ```
struct LogSegmentHeader: Equatable {
    static let bytes = 64
    static let magic: UInt64 = 0x4c41_574c_5452_414d
    static let version: UInt32 = 1

    var sequence: UInt64
    var salt: UInt64
    var baseIndex: UInt64
    var baseTerm: UInt64
    var previousEnd: UInt64

    func encode(to buffer: UnsafeMutableRawBufferPointer) {
        buffer.store(Self.magic, at: 0, as: UInt64.self)
        buffer.store(Self.version, at: 8, as: UInt32.self)
        buffer.store(sequence, at: 16, as: UInt64.self)
        buffer.store(salt, at: 24, as: UInt64.self)
        buffer.store(baseIndex, at: 32, as: UInt64.self)
        buffer.store(baseTerm, at: 40, as: UInt64.self)
        buffer.store(previousEnd, at: 48, as: UInt64.self)
        buffer.store(0, at: 56, as: UInt64.self)
        let crc = Self.checksum(UnsafeRawBufferPointer(buffer))
        buffer.store(crc, at: 12, as: UInt32.self)
    }

    /// What the first bytes of a file say about it.
    enum Reading: Equatable {
        case header(LogSegmentHeader)
        /// A header of ours that is whole, but of another version.
        case version(UInt32)
        case none
    }

    static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
        guard bytes.count >= Self.bytes, bytes.load(at: 0, as: UInt64.self) == magic,
            bytes.load(at: 12, as: UInt32.self) == checksum(bytes)
        else { return .none }
        let version = bytes.load(at: 8, as: UInt32.self)
        guard version == Self.version else { return .version(version) }
        return .header(
            LogSegmentHeader(
                sequence: bytes.load(at: 16, as: UInt64.self),
                salt: bytes.load(at: 24, as: UInt64.self),
                baseIndex: bytes.load(at: 32, as: UInt64.self),
                baseTerm: bytes.load(at: 40, as: UInt64.self),
                previousEnd: bytes.load(at: 48, as: UInt64.self)))
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let head = crc32c(0, bytes, from: 0, count: 12)
        return crc32c(head, bytes, from: 16, count: Self.bytes - 16)
    }
}

/// CRC-32C of a part of `bytes`, continued from `crc`.
@inline(__always)
func crc32c(_ crc: UInt32, _ bytes: UnsafeRawBufferPointer, from: Int, count: Int) -> UInt32 {
    precondition(from >= 0 && count >= 0 && from + count <= bytes.count, "past \(bytes.count)")
    guard let start = bytes.baseAddress else { return crc }
    return martlet_crc32c(crc, start + from, count)
}

extension UnsafeRawBufferPointer {
    /// A little-endian integer at any alignment.
    @inline(__always)
    func load<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Puts a little-endian integer at any alignment.
    @inline(__always)
    func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int, as type: T.Type)
    {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: type)
    }
}
