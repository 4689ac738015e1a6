// BoltFormat.swift: the bytes of a bbolt file: page headers, meta pages, elements.
// Belongs here: offsets, sizes, checksums. Never here: walking (BoltCursor), writing order (BoltWriter).
// Source: bbolt's file format, version 2, checked against files of etcd 3.4 and 3.5. Little-endian.
//
//   page header 16: id 8, flags 2, count 2, overflow 4
//   meta        64: magic 4, version 4, page size 4, flags 4, root page 8, root sequence 8, freelist 8,
//                   high-water page 8, transaction 8, FNV-1a of the 56 bytes before 8
//   leaf element 16: flags 4, position 4, key size 4, value size 4     branch element 16: position 4,
//   key size 4, child 8; positions count from the element itself

/// Sizes and marks of the format.
enum BoltFormat {
    static let headerBytes = 16
    static let elementBytes = 16
    static let metaBytes = 64
    static let bucketBytes = 16
    static let magic: UInt32 = 0xED0C_DAED
    static let version: UInt32 = 2
    /// The flag of a leaf element whose value is a bucket.
    static let bucketFlag: UInt32 = 1
    static let pageSizes = (0...6).map { 1024 << $0 }
    /// The greatest page with its overflow that is read at once; etcd's largest value is far below.
    static let pageRunBytesMax = 256 << 20
    /// How deep a tree may be: with two children a page it would hold more than any disk.
    static let depthMax = 64
    /// Stands for a freelist that is not stored.
    static let noFreelist = UInt64.max
}

/// What a page is.
enum BoltPageKind: UInt16, Sendable {
    case branch = 1
    case leaf = 2
    case meta = 4
    case freelist = 0x10
}

/// The head of a page.
struct BoltPageHeader: Equatable, Sendable {
    var id: UInt64
    var flags: UInt16
    var count: UInt16
    var overflow: UInt32

    init(id: UInt64, kind: BoltPageKind, count: UInt16, overflow: UInt32) {
        self.id = id
        flags = kind.rawValue
        self.count = count
        self.overflow = overflow
    }

    /// Reads the 16 bytes at the start of a page.
    init(_ bytes: UnsafeRawBufferPointer) {
        id = bytes.boltInteger(at: 0)
        flags = bytes.boltInteger(at: 8)
        count = bytes.boltInteger(at: 10)
        overflow = bytes.boltInteger(at: 12)
    }

    func append(to bytes: inout [UInt8]) {
        bytes.appendBolt(id)
        bytes.appendBolt(flags)
        bytes.appendBolt(count)
        bytes.appendBolt(overflow)
    }
}

/// A meta page's content.
struct BoltMeta: Equatable, Sendable {
    var pageSize: UInt32
    var root: UInt64
    var rootSequence: UInt64 = 0
    var freelist: UInt64
    /// One past the last page in use.
    var highWater: UInt64
    var transaction: UInt64

    init(pageSize: UInt32, root: UInt64, freelist: UInt64, highWater: UInt64, transaction: UInt64) {
        self.pageSize = pageSize
        self.root = root
        self.freelist = freelist
        self.highWater = highWater
        self.transaction = transaction
    }

    /// Reads 64 bytes behind a page header; says why they are none.
    static func read(_ bytes: UnsafeRawBufferPointer) -> Result<BoltMeta, BoltError> {
        guard bytes.boltInteger(at: 0, as: UInt32.self) == BoltFormat.magic else {
            return .failure(.foreign(reason: "no meta page of bbolt"))
        }
        let version = bytes.boltInteger(at: 4, as: UInt32.self)
        guard version == BoltFormat.version else {
            return .failure(.foreign(reason: "bbolt format \(version), this reads format 2"))
        }
        guard bytes.boltInteger(at: 56, as: UInt64.self) == checksum(bytes) else {
            return .failure(.foreign(reason: "a meta page does not match its checksum"))
        }
        var meta = BoltMeta(
            pageSize: bytes.boltInteger(at: 8), root: bytes.boltInteger(at: 16),
            freelist: bytes.boltInteger(at: 32), highWater: bytes.boltInteger(at: 40),
            transaction: bytes.boltInteger(at: 48))
        meta.rootSequence = bytes.boltInteger(at: 24)
        return .success(meta)
    }

    func append(to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.appendBolt(BoltFormat.magic)
        bytes.appendBolt(BoltFormat.version)
        bytes.appendBolt(pageSize)
        bytes.appendBolt(UInt32(0))
        bytes.appendBolt(root)
        bytes.appendBolt(rootSequence)
        bytes.appendBolt(freelist)
        bytes.appendBolt(highWater)
        bytes.appendBolt(transaction)
        let sum = bytes[start...].withUnsafeBytes { Self.checksum($0) }
        bytes.appendBolt(sum)
    }

    /// FNV-1a, 64 bits, of the 56 bytes before the checksum.
    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes.prefix(BoltFormat.metaBytes - 8) {
            sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return sum
    }
}

extension UnsafeRawBufferPointer {
    /// The integer at an offset; the caller has compared it with the size.
    func boltInteger<Number: FixedWidthInteger>(at offset: Int, as type: Number.Type = Number.self)
        -> Number
    {
        precondition(
            offset >= 0 && offset + MemoryLayout<Number>.size <= count, "read past \(count)")
        return Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}

extension Array<UInt8> {
    mutating func appendBolt<Number: FixedWidthInteger>(_ value: Number) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
