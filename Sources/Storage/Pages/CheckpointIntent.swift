// CheckpointIntent.swift: what a checkpoint is about to write, put into the log before it writes
// anything.
// Belongs here: its bytes. Never here: where the log keeps it (WAL/), what recovery does with it
// (+Apply).
// Source of the layout: Docs.docc/Pages.md, "Intent". Integers are little-endian.

/// The pages that a checkpoint replaces in the database file, with the hashes they will have.
struct CheckpointIntent: Equatable {
    static let version: UInt8 = 1

    /// The index the file stands at before.
    var fromIndex: UInt64
    /// The state the file stands at afterwards.
    var state: StoreState
    /// Ascending by page; only pages within `state.pageCount`.
    var pages: [(page: UInt32, hash: UInt64)]

    static func == (a: Self, b: Self) -> Bool {
        a.fromIndex == b.fromIndex && a.state == b.state
            && a.pages.elementsEqual(b.pages) { $0 == $1 }
    }

    /// The bytes for the log.
    func encoded() -> [UInt8] {
        var bytes: [UInt8] = [Self.version]
        bytes.reserveCapacity(80 + pages.count * 10)
        bytes.append(fromIndex)
        state.append(to: &bytes)
        bytes.append(UInt32(pages.count))
        var last: UInt32 = 0
        for (page, hash) in pages {
            var step = page - last
            while step >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: step) | 0x80)
                step >>= 7
            }
            bytes.append(UInt8(step))
            bytes.append(hash)
            last = page
        }
        return bytes
    }

    /// Reads the bytes back; nil if they are not an intent.
    init?(_ payload: [UInt8]) {
        let read = payload.withUnsafeBytes { all -> CheckpointIntent? in
            guard let start = all.baseAddress else { return nil }
            var reader = ByteReader(start, count: all.count)
            guard reader.integer(UInt8.self) == Self.version,
                let fromIndex = reader.integer(UInt64.self), let state = StoreState(&reader),
                let count = reader.integer(UInt32.self), count <= state.pageCount
            else { return nil }
            var pages: [(page: UInt32, hash: UInt64)] = []
            var last: UInt32 = 0
            for _ in 0..<count {
                guard let step = reader.number(), step > 0, step <= state.pageCount - last,
                    let hash = reader.integer(UInt64.self)
                else { return nil }
                last += step
                pages.append((last, hash))
            }
            guard reader.remaining == 0 else { return nil }
            return CheckpointIntent(fromIndex: fromIndex, state: state, pages: pages)
        }
        guard let read else { return nil }
        self = read
    }

    init(fromIndex: UInt64, state: StoreState, pages: [(page: UInt32, hash: UInt64)]) {
        self.fromIndex = fromIndex
        self.state = state
        self.pages = pages
    }
}

extension StoreState {
    /// Bytes of a state in the meta file and in intents.
    static let bytes = 52

    func append(to bytes: inout [UInt8]) {
        bytes.append(index)
        bytes.append(term)
        bytes.append(pageCount)
        bytes.append(databaseHash)
        bytes.append(UInt64(bitPattern: header.revision))
        bytes.append(UInt64(bitPattern: header.compactedRevision))
        bytes.append(UInt64(bitPattern: header.spare))
    }

    /// The bytes that go ahead of a snapshot's pieces; the layout is that in `db.meta`.
    public func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    /// Reads the bytes back; nil if they are not a state.
    public init?(decoding bytes: [UInt8]) {
        let read = bytes.withUnsafeBytes { all -> StoreState? in
            guard let start = all.baseAddress, all.count == Self.bytes else { return nil }
            var reader = ByteReader(start, count: all.count)
            return StoreState(&reader)
        }
        guard let read else { return nil }
        self = read
    }

    init?(_ reader: inout ByteReader) {
        guard let index = reader.integer(UInt64.self), let term = reader.integer(UInt64.self),
            let pageCount = reader.integer(UInt32.self), pageCount <= PageLimits.pagesMax,
            let databaseHash = reader.integer(UInt64.self),
            let revision = reader.integer(Int64.self),
            let compactedRevision = reader.integer(Int64.self),
            let spare = reader.integer(Int64.self)
        else { return nil }
        self.init(
            index: index, term: term, pageCount: pageCount, databaseHash: databaseHash,
            header: StateHeader(
                revision: revision, compactedRevision: compactedRevision, spare: spare))
    }
}

extension [UInt8] {
    /// Appends an integer, little-endian.
    mutating func append<Value: FixedWidthInteger>(_ value: Value) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
