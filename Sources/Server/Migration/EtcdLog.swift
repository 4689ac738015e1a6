// EtcdLog.swift: etcd's log of requests: which of them its database does not have yet.
// Belongs here: frames, checksums, the order of entries. Never here: what entries ask for (EtcdReplay).
// Source: etcd's write-ahead log as files of 3.4 and 3.5 have it. A frame: 8 bytes little-endian, of which the
// low 56 bits are the record's size and, if the top bit is set, the low 3 bits of the top byte the padding;
// then the record {1 type, 2 crc, 3 data} and the padding. The CRC-32C runs on over all data; a record of
// type 4 says where it stands.

internal import CChecksum
internal import Storage

/// A file of the log, in memory.
struct EtcdLogFile {
    let path: String
    let sequence: UInt64
    /// The entry that the file begins with.
    let firstIndex: UInt64
    let bytes: [UInt8]

    /// The numbers in a file's name, "0000000000000001-0000000000000a1b.wal"; nil for another file.
    static func numbers(ofName name: String) -> (sequence: UInt64, index: UInt64)? {
        guard name.hasSuffix(".wal") else { return nil }
        let parts = name.dropLast(4).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 16 }),
            let sequence = UInt64(parts[0], radix: 16), let index = UInt64(parts[1], radix: 16)
        else { return nil }
        return (sequence, index)
    }
}

/// An entry of etcd's Raft (raftpb.Entry).
struct EtcdEntry: WireDecodable {
    var type: Int32 = 0
    var term: UInt64 = 0
    var index: UInt64 = 0
    var data = Bytes()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: type = try reader.int32(field)
            case 2: term = try reader.uint64(field)
            case 3: index = try reader.uint64(field)
            case 4: data = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// What a log says: entries after an index, and what was known to be committed.
struct EtcdLog {
    /// Entries after the index that was asked for, in order.
    private(set) var entries: [EtcdEntry] = []
    /// What the member knew to be committed.
    private(set) var committed: UInt64 = 0
    /// A record at the very end that a crash cut off.
    private(set) var hasTornEnd = false
    private let after: UInt64
    private var checksum: UInt32 = 0
    private var hasChecksum = false

    /// Bytes of entries that are kept; a database is never that far behind its log.
    static let entryBytesMax = 1 << 30
    private var entryBytes = 0

    /// Reads files that follow on one another.
    ///
    /// - Throws: `damaged` for anything but a record that is cut off at the end of the last file.
    init(_ files: [EtcdLogFile], after index: UInt64) throws(OfflineError) {
        after = index
        for (position, file) in files.enumerated() {
            try read(file, isLast: position == files.count - 1)
        }
    }

    private mutating func read(_ file: EtcdLogFile, isLast: Bool) throws(OfflineError) {
        var offset = 0
        while offset + 8 <= file.bytes.count {
            let head = file.bytes.withUnsafeBytes { $0.boltInteger(at: offset, as: UInt64.self) }
            if head == 0 {
                // The end, unless something stands behind it.
                guard !Self.hasRecord(file.bytes, behind: offset) else {
                    throw Self.damaged(file, offset, "zeroes, but a record behind them")
                }
                return
            }
            let size = head & 0x00FF_FFFF_FFFF_FFFF
            let padding = head >> 63 == 1 ? head >> 56 & 7 : 0
            guard size > 0, size + padding <= UInt64(file.bytes.count - offset - 8) else {
                return try end(file, offset, isLast, "a record of \(size) bytes passes the end")
            }
            let start = offset + 8
            let record: EtcdLogRecord
            do throws(WireError) {
                record = try EtcdLogRecord(
                    decoding: Array(file.bytes[start..<(start + Int(size))]))
            } catch {
                return try end(file, offset, isLast, "\(error)")
            }
            guard let data = checked(record) else {
                return try end(file, offset, isLast, "a record does not match its checksum")
            }
            let isKnown: Bool
            do throws(WireError) {
                isKnown = try take(record.type, data)
            } catch {
                throw Self.damaged(file, offset, "\(error)")
            }
            guard isKnown else {
                throw Self.damaged(file, offset, "a record of type \(record.type)")
            }
            guard entryBytes <= Self.entryBytesMax else {
                throw .refused(
                    "\(file.path): more than \(Self.entryBytesMax) bytes of entries are not in the "
                        + "database yet: start etcd on this directory once and stop it")
            }
            offset = start + Int(size + padding)
        }
    }

    /// A bad record: the torn end of the log, or damage.
    ///
    /// A crash leaves sectors of zeroes where it had not written yet; what was written whole and is wrong
    /// now, or has more behind it, is damage.
    private mutating func end(
        _ file: EtcdLogFile, _ offset: Int, _ isLast: Bool, _ reason: String
    ) throws(OfflineError) {
        guard isLast, Self.isTorn(file.bytes, from: offset) else {
            throw Self.damaged(file, offset, reason)
        }
        hasTornEnd = true
    }

    private static let sectorBytes = 512

    /// Whether a bad record is one that a crash cut off; everything in doubt is damage.
    ///
    /// A damaged length looks like a cut too: it is told by what lies behind. A sector that was never
    /// written follows on one that was written to its end, and no record follows on a torn one.
    private static func isTorn(_ bytes: [UInt8], from offset: Int) -> Bool {
        let head = bytes.withUnsafeBytes { $0.boltInteger(at: offset, as: UInt64.self) }
        let size = head & 0x00FF_FFFF_FFFF_FFFF
        guard !hasRecord(bytes, behind: offset + 8) else { return false }
        let padding = head >> 63 == 1 ? head >> 56 & 7 : 0
        guard size + padding <= UInt64(bytes.count - offset - 8) else {
            // The file itself is cut: what was prepared for more would end in zeroes.
            return bytes.suffix(sectorBytes).contains { $0 != 0 }
        }
        let end = offset + 8 + Int(size)
        var start = offset
        while start < end {
            let next = min((start / sectorBytes + 1) * sectorBytes, end)
            if bytes[start..<next].allSatisfy({ $0 == 0 }) {
                return bytes[..<start].suffix(8).contains { $0 != 0 }
            }
            start = next
        }
        return false
    }

    /// Whether something that has the form of a record stands behind an offset.
    private static func hasRecord(_ bytes: [UInt8], behind offset: Int) -> Bool {
        var place = (offset + 7) / 8 * 8
        while place + 8 < bytes.count {
            defer { place += 8 }
            let head = bytes.withUnsafeBytes { $0.boltInteger(at: place, as: UInt64.self) }
            let size = head & 0x00FF_FFFF_FFFF_FFFF
            guard size > 4, size <= UInt64(bytes.count - place - 8) else { continue }
            let padding = (8 - size % 8) % 8
            guard head >> 56 == (padding == 0 ? 0 : 0x80 | padding), bytes[place + 8] == 0x08 else {
                continue
            }
            do throws(WireError) {
                let record = try EtcdLogRecord(
                    decoding: Array(bytes[(place + 8)..<(place + 8 + Int(size))]))
                if (1...5).contains(record.type) { return true }
            } catch {
                continue
            }
        }
        return false
    }

    private static func damaged(
        _ file: EtcdLogFile, _ offset: Int, _ reason: String
    ) -> OfflineError {
        .damaged(file: file.path, reason: "the log is damaged at offset \(offset): \(reason)")
    }

    /// The record's data if its checksum is right.
    private mutating func checked(_ record: EtcdLogRecord) -> Bytes? {
        if record.type == EtcdLogRecord.checksumType {
            guard !hasChecksum || record.checksum == checksum else { return nil }
            checksum = record.checksum
            hasChecksum = true
            return record.data
        }
        let sum = record.data.withUnsafeBytes {
            martlet_crc32c(checksum, $0.baseAddress, $0.count)
        }
        guard sum == record.checksum else { return nil }
        checksum = sum
        return record.data
    }

    /// Notes what a record says; false if there is no such kind.
    private mutating func take(_ type: Int64, _ data: Bytes) throws(WireError) -> Bool {
        switch type {
        case EtcdLogRecord.entryType:
            let entry = try EtcdEntry(decoding: data.array)
            guard entry.index > after else { return true }
            // An entry takes the place of what a deposed leader had written there and behind.
            while let last = entries.last, last.index >= entry.index {
                entryBytes -= last.data.count
                entries.removeLast()
            }
            entryBytes += entry.data.count
            entries.append(entry)
        case EtcdLogRecord.stateType:
            committed = try EtcdHardState(decoding: data.array).commit
        default: return EtcdLogRecord.otherTypes.contains(type)
        }
        return true
    }
}

/// A record of the log (walpb.Record).
struct EtcdLogRecord: WireDecodable {
    static let entryType: Int64 = 2
    static let stateType: Int64 = 3
    static let checksumType: Int64 = 4
    /// Who wrote the log, a checksum, a place from which the log can be read.
    static let otherTypes: Set<Int64> = [1, checksumType, 5]

    var type: Int64 = 0
    var checksum: UInt32 = 0
    var data = Bytes()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: type = try reader.int64(field)
            case 2: checksum = UInt32(truncatingIfNeeded: try reader.uint64(field))
            case 3: data = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// raftpb.HardState, of which only the commit index counts here.
struct EtcdHardState: WireDecodable {
    var commit: UInt64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 3: commit = try reader.uint64(field)
            default: try reader.skip(field)
            }
        }
    }
}
