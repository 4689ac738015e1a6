// StagedPages.swift: the pages of a snapshot under way, appended to a file, and where each is.
// Belongs here: records and the table of them. Never here: what they mean together
// (SnapshotStaging).
// Source of the layout: Docs.docc/Pages.md, "incoming". Of a page that came twice the later counts.
// Memory: 12 bytes a page of the database, a third of what the page table takes.

internal import CChecksum

/// The file `pages` of the staging; confined to its owner's thread.
final class StagedPages {
    static let headerBytes = 24
    static let recordBytes = headerBytes + PageLimits.pageBytes
    private static let recordsPerRead = 64

    private let file: any DiskFile
    /// How many records there are, durable or not.
    private(set) var count: UInt32 = 0
    /// By page - 1: the number of its newest record plus one; 0 is none.
    private var places: [UInt32] = []
    /// By page - 1: the hash of that record's page.
    private var hashes: [UInt64] = []

    /// Takes a file whose contents do not count.
    init(file: any DiskFile) {
        self.file = file
    }

    /// Reads back `count` records and compares all checksums; nil if they are not what was written.
    static func load(
        _ file: any DiskFile, count: UInt32, pageCount: UInt32
    ) throws(StorageError) -> StagedPages? {
        let pages = StagedPages(file: file)
        pages.reserve(pageCount: pageCount)
        let room = StagedRecords(capacity: recordsPerRead)
        while pages.count < count {
            let wanted = min(recordsPerRead, Int(count - pages.count))
            guard try room.read(file, from: pages.count, count: wanted) else { return nil }
            for position in 0..<wanted {
                guard let header = room.header(position) else { return nil }
                pages.note(header)
            }
        }
        return pages
    }

    /// Makes room in the table.
    func reserve(pageCount: UInt32) {
        let missing = Int(pageCount) - places.count
        guard missing > 0 else { return }
        places.append(contentsOf: repeatElement(0, count: missing))
        hashes.append(contentsOf: repeatElement(0, count: missing))
    }

    private func note(_ header: SnapshotPageHeader) {
        reserve(pageCount: header.page)
        count += 1
        places[Int(header.page) - 1] = count
        hashes[Int(header.page) - 1] = header.hash
    }

    /// The hash of a staged page, or nil if it is not staged; pages count from 1.
    func hash(of page: UInt32) -> UInt64? {
        let position = Int(page) - 1
        guard position < places.count, places[position] != 0 else { return nil }
        return hashes[position]
    }

    /// Writes records behind the last; none of them counts if that fails.
    func append(_ records: [UInt8], _ headers: [SnapshotPageHeader]) throws(DiskError) {
        try file.write(records, at: UInt64(count) * UInt64(Self.recordBytes))
        for header in headers { note(header) }
    }

    func sync() throws(DiskError) {
        try file.sync()
    }

    /// Forgets all records and gives their space back.
    func clear() throws(DiskError) {
        count = 0
        places = []
        hashes = []
        try file.truncate(to: 0)
    }

    /// Copies a staged page and says which entry last changed it; nil if it is no longer what was
    /// written.
    func read(
        _ page: UInt32, _ room: StagedRecords, to output: UnsafeMutableRawPointer
    ) throws(StorageError) -> SnapshotPageHeader? {
        let place = places[Int(page) - 1]
        precondition(place > 0, "page \(page) is not staged")
        guard try room.read(file, from: place - 1, count: 1), let header = room.header(0),
            header.page == page
        else { return nil }
        output.copyMemory(from: room.page(0), byteCount: PageLimits.pageBytes)
        return header
    }

    /// Appends the bytes of one record.
    static func encode(
        _ header: SnapshotPageHeader, _ page: UnsafeRawPointer, to bytes: inout [UInt8]
    ) {
        let start = bytes.count
        bytes.append(header.page)
        bytes.append(UInt32(0))
        bytes.append(header.index)
        bytes.append(header.hash)
        bytes.withUnsafeMutableBytes { all in
            guard let base = all.baseAddress else { return }
            let record = base + start
            (record + 4).storeBytes(of: checksum(record).littleEndian, as: UInt32.self)
        }
        bytes.append(contentsOf: UnsafeRawBufferPointer(start: page, count: PageLimits.pageBytes))
    }

    /// Covers page, index and hash; the hash covers the rest.
    fileprivate static func checksum(_ record: UnsafeRawPointer) -> UInt32 {
        martlet_crc32c(martlet_crc32c(0, record, 4), record + 8, 16)
    }
}

/// Room for some records read at once; confined to its owner's thread.
final class StagedRecords {
    private let start: UnsafeMutableRawPointer
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        start = .allocate(byteCount: capacity * StagedPages.recordBytes, alignment: 64)
    }

    deinit {
        start.deallocate()
    }

    /// Reads neighbouring records; false if the file ends before.
    fileprivate func read(
        _ file: any DiskFile, from first: UInt32, count: Int
    ) throws(StorageError) -> Bool {
        precondition(count <= capacity, "\(count) records, at most \(capacity)")
        let room = UnsafeMutableRawBufferPointer(
            start: start, count: count * StagedPages.recordBytes)
        let offset = UInt64(first) * UInt64(StagedPages.recordBytes)
        return try onDisk { () throws(DiskError) in
            try file.read(into: room, at: offset) == room.count
        }
    }

    /// The header of a record if all of the record is whole.
    fileprivate func header(_ position: Int) -> SnapshotPageHeader? {
        let record = start + position * StagedPages.recordBytes
        var reader = ByteReader(record, count: StagedPages.headerBytes)
        guard let page = reader.integer(UInt32.self), page > 0, page <= PageLimits.pagesMax,
            reader.integer(UInt32.self) == StagedPages.checksum(record),
            let index = reader.integer(UInt64.self), let hash = reader.integer(UInt64.self),
            PageHash.hash(page: page, self.page(position)) == hash
        else { return nil }
        return SnapshotPageHeader(page: page, index: index, hash: hash)
    }

    fileprivate func page(_ position: Int) -> UnsafeRawPointer {
        UnsafeRawPointer(start + position * StagedPages.recordBytes + StagedPages.headerBytes)
    }
}
