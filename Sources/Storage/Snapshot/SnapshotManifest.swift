// SnapshotManifest.swift: how far a snapshot under way has come, in one small file.
// Belongs here: its bytes, replacing it as a whole. Never here: pages (StagedPages.swift).
// Source of the layout: Docs.docc/Pages.md, "incoming". Integers are little-endian.
// Invariant: what it promises was made durable before it.

internal import CChecksum

/// What is known of the staged pages.
struct SnapshotManifest: Equatable {
    private static let magic: UInt64 = 0x5041_4E53_5452_414D
    private static let version: UInt8 = 1
    private static let completeFlag: UInt8 = 1
    private static let bytesMax =
        16 + 2 * StoreState.bytes + 4 + PageLimits.snapshotSegmentsMax * 12
        + PageLimits.snapshotWantedMax * 4 + 4

    /// Every page is here or in the database file: it can be installed.
    var isComplete: Bool
    /// What the database file stood at when the first page came; `empty` if none of it is used.
    var base: StoreState
    /// The state that the newest pages are of.
    var state: StoreState
    /// How many records of the file `pages` count.
    var records: UInt32
    /// What to tell a sender in order to go on.
    var have: SnapshotHave

    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(Self.magic)
        bytes.append(Self.version)
        bytes.append(isComplete ? Self.completeFlag : 0)
        bytes.append(UInt16(0))
        bytes.append(records)
        base.append(to: &bytes)
        state.append(to: &bytes)
        bytes += have.encoded()
        let sum = bytes.withUnsafeBytes { martlet_crc32c(0, $0.baseAddress, $0.count) }
        bytes.append(sum)
        return bytes
    }

    init(
        isComplete: Bool, base: StoreState, state: StoreState, records: UInt32, have: SnapshotHave
    ) {
        self.isComplete = isComplete
        self.base = base
        self.state = state
        self.records = records
        self.have = have
    }

    /// Reads the bytes back; nil if they are not a manifest.
    init?(_ bytes: [UInt8]) {
        let read = bytes.withUnsafeBytes { all -> SnapshotManifest? in
            guard let start = all.baseAddress, all.count > 4 else { return nil }
            var reader = ByteReader(start, count: all.count)
            let sum = martlet_crc32c(0, start, all.count - 4)
            guard reader.integer(UInt64.self) == Self.magic,
                reader.integer(UInt8.self) == Self.version,
                let flags = reader.integer(UInt8.self), flags <= Self.completeFlag,
                reader.integer(UInt16.self) == 0, let records = reader.integer(UInt32.self),
                let base = StoreState(&reader), let state = StoreState(&reader),
                let have = SnapshotHave(&reader), reader.integer(UInt32.self) == sum,
                reader.remaining == 0
            else { return nil }
            return SnapshotManifest(
                isComplete: flags == Self.completeFlag, base: base, state: state,
                records: records, have: have)
        }
        guard let read else { return nil }
        self = read
    }

    // MARK: the file

    private static func path(_ folder: String) -> String { folder + "/manifest" }

    /// The manifest in a folder; nil if there is none, or none of this version that is whole.
    static func load(_ disk: any Disk, _ folder: String) throws(StorageError) -> SnapshotManifest? {
        do throws(DiskError) {
            guard try disk.exists(path(folder)) else { return nil }
            let file = try disk.open(path(folder), create: false)
            var bytes = [UInt8](repeating: 0, count: bytesMax)
            try file.read(into: &bytes, at: 0)
            return SnapshotManifest(bytes)
        } catch {
            throw .disk(error)
        }
    }

    /// Replaces the manifest in a folder, durably.
    func store(_ disk: any Disk, _ folder: String) throws(DiskError) {
        let scratch = Self.path(folder) + ".tmp"
        let file = try disk.open(scratch, create: true)
        try file.truncate(to: 0)
        try file.write(encoded(), at: 0)
        try file.sync()
        try disk.rename(scratch, to: Self.path(folder))
        try disk.syncDirectory(folder)
    }

    /// Takes the manifest away, durably: what else is in the folder means nothing then.
    static func remove(_ disk: any Disk, _ folder: String) throws(DiskError) {
        try disk.remove(path(folder))
        try disk.remove(path(folder) + ".tmp")
        try disk.syncDirectory(folder)
    }
}
