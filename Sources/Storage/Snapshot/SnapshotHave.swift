// SnapshotHave.swift: what a receiver of a snapshot has already, so that only the rest is sent.
// Belongs here: the statement, its bytes, its use by the sender. Never here: where the pages are.
// Source of the layout: Docs.docc/Pages.md, "Snapshots between members". Integers are
// little-endian.

/// Which pages a receiver has, and as of which log index.
///
/// A page needs to be sent if the entry that last changed it is newer than that.
public struct SnapshotHave: Equatable, Sendable {
    /// A run of pages that are all as of one index.
    public struct Segment: Equatable, Sendable {
        /// The last page of the run; it begins after the last page of the segment before.
        public var throughPage: UInt32
        /// The pages are as of this index of the committed log; 0: the receiver lacks them.
        public var index: UInt64

        /// Creates a segment.
        public init(throughPage: UInt32, index: UInt64) {
            self.throughPage = throughPage
            self.index = index
        }
    }

    static let version: UInt8 = 1

    /// Ascending by page; the receiver lacks what lies beyond the last.
    public private(set) var segments: [Segment]
    /// Pages that are sent in any case, ascending: the receiver found its copy corrupt.
    public private(set) var wanted: [UInt32]

    /// Nothing: every page is sent.
    public static let nothing = SnapshotHave(segments: [], wanted: [])

    private init(segments: [Segment], wanted: [UInt32]) {
        self.segments = segments
        self.wanted = wanted
    }

    /// Whole pages of a state, but for those that are wanted.
    ///
    /// Nil if more are wanted than one request may name: then ask for everything.
    /// - Parameters:
    ///   - state: what the receiver's database file stands at.
    ///   - wanted: pages of the file that were found corrupt, in any order.
    public init?(_ state: StoreState, wanted: [UInt32] = []) {
        segments = []
        if state.pageCount > 0 && state.index > 0 {
            segments.append(Segment(throughPage: state.pageCount, index: state.index))
        }
        self.wanted = []
        guard want(wanted) else { return nil }
    }

    /// The newest index of any segment: an older state cannot be laid over this.
    public var newestIndex: UInt64 { segments.reduce(0) { max($0, $1.index) } }

    /// Says that the pages through `page` are now as of `index`, which is not older than any.
    mutating func advance(throughPage page: UInt32, index: UInt64) {
        precondition(index >= newestIndex, "\(index) is older than \(newestIndex)")
        segments.removeAll { $0.throughPage <= page }
        if page > 0 { segments.insert(Segment(throughPage: page, index: index), at: 0) }
        while segments.count > PageLimits.snapshotSegmentsMax { mergeFirst() }
    }

    /// Joins the first two segments; the older index makes the sender send too much, never too
    /// little.
    private mutating func mergeFirst() {
        segments[1].index = min(segments[0].index, segments[1].index)
        segments.removeFirst()
    }

    /// Adds pages to the list of the wanted; false if they are too many.
    mutating func want(_ pages: [UInt32]) -> Bool {
        let all = (wanted + pages).sorted()
        wanted = []
        for page in all where page > 0 && page != wanted.last { wanted.append(page) }
        return wanted.count <= PageLimits.snapshotWantedMax
    }

    /// Takes pages off the list of the wanted.
    mutating func noLongerWants(where isHere: (UInt32) -> Bool) {
        wanted.removeAll(where: isHere)
    }

    /// The bytes for the sender and for the staging's manifest.
    public func encoded() -> [UInt8] {
        var bytes: [UInt8] = [Self.version]
        bytes.reserveCapacity(4 + segments.count * 12 + wanted.count * 4)
        bytes.append(UInt8(segments.count))
        bytes.append(UInt16(wanted.count))
        for segment in segments {
            bytes.append(segment.throughPage)
            bytes.append(segment.index)
        }
        for page in wanted { bytes.append(page) }
        return bytes
    }

    /// Reads the bytes back; nil if they are not such a statement.
    public init?(decoding bytes: [UInt8]) {
        let read = bytes.withUnsafeBytes { all -> SnapshotHave? in
            guard let start = all.baseAddress else { return nil }
            var reader = ByteReader(start, count: all.count)
            guard let have = SnapshotHave(&reader), reader.remaining == 0 else { return nil }
            return have
        }
        guard let read else { return nil }
        self = read
    }

    init?(_ reader: inout ByteReader) {
        guard reader.integer(UInt8.self) == Self.version,
            let segmentCount = reader.integer(UInt8.self),
            segmentCount <= PageLimits.snapshotSegmentsMax,
            let wantedCount = reader.integer(UInt16.self),
            wantedCount <= PageLimits.snapshotWantedMax
        else { return nil }
        segments = []
        wanted = []
        for _ in 0..<segmentCount {
            guard let page = reader.integer(UInt32.self), page > segments.last?.throughPage ?? 0,
                page <= PageLimits.pagesMax, let index = reader.integer(UInt64.self)
            else { return nil }
            segments.append(Segment(throughPage: page, index: index))
        }
        for _ in 0..<wantedCount {
            guard let page = reader.integer(UInt32.self), page > wanted.last ?? 0 else {
                return nil
            }
            wanted.append(page)
        }
    }
}

/// The sender's walk along a receiver's statement; pages are asked about in ascending order.
struct SnapshotSelection {
    private let have: SnapshotHave
    private var segment = 0
    private var wanted = 0

    init(_ have: SnapshotHave) {
        self.have = have
    }

    /// Whether a page that was last changed by the entry at `index` has to be sent.
    mutating func needs(_ page: UInt32, changedAt index: UInt64) -> Bool {
        while segment < have.segments.count, have.segments[segment].throughPage < page {
            segment += 1
        }
        while wanted < have.wanted.count, have.wanted[wanted] < page { wanted += 1 }
        if wanted < have.wanted.count && have.wanted[wanted] == page { return true }
        return segment == have.segments.count || index > have.segments[segment].index
    }
}

extension PageStore {
    /// What this store's database file can contribute to a snapshot; any thread.
    ///
    /// A checkpoint that is under way, or was interrupted or failed, does no harm: the file is then
    /// of the old index and partly of a newer one, and every page in which the two differ was
    /// changed after the old index, so that the snapshot of any state that is not older than the
    /// checkpoint brings it. Installing makes sure that it is not older.
    /// - Parameter corrupt: pages that `scrub`, or a reader, found bad.
    /// - Returns: nil if there are too many of them: a whole snapshot is needed.
    public func snapshotHave(corrupt: [UInt32] = []) -> SnapshotHave? {
        SnapshotHave(checkpointState, wanted: corrupt)
    }
}
