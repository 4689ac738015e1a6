// SpaceGuard.swift: whether the disk can still take what the store will have to write.
// Belongs here: the sum. Never here: what is refused then (Executor), the alarm (BackgroundWork).
// Source: design section 7: a full disk refuses writes cleanly, before anything is half written.

internal import Storage

/// Looks at the file system now and then; part of the replica loop.
///
/// The log writes into segments prepared ahead, so what can run out is the space by which the next
/// checkpoint makes the database file grow. As long as that and a reserve are free, no write can meet a
/// full disk halfway.
struct SpaceGuard {
    /// Kept free beyond what the next checkpoint needs: for the files beside the database.
    static let reserveBytes: UInt64 = 8 << 20
    /// A disk that was full counts as having space again only when this much more is free.
    static let hysteresisBytes: UInt64 = 4 << 20
    /// Room prepared in the log below which, once no more can be had, nothing that grows is taken.
    static let logBytesMin = 24 << 20
    /// How often the file system is asked, in milliseconds.
    static let lookMilliseconds: UInt64 = 200

    private let disk: any Disk
    private let directory: String
    private var nextLook = Tick(milliseconds: 0)
    private(set) var isShort = false

    init(disk: any Disk, directory: String) {
        self.disk = disk
        self.directory = directory
    }

    /// Looks again if it is time.
    mutating func look(now: Tick, pages: PageStore, log: LogStore) throws(StorageError) {
        guard nextLook <= now else { return }
        nextLook = now.advanced(milliseconds: Self.lookMilliseconds)
        let free: UInt64
        do throws(DiskError) {
            free = try disk.freeBytes(directory)
        } catch {
            throw .disk(error)
        }
        let tip = UInt64(pages.tipState.pageCount)
        let inFile = UInt64(pages.checkpointState.pageCount)
        let growth = tip > inFile ? (tip - inFile) * UInt64(PageLimits.pageBytes) : 0
        let needed = growth + Self.reserveBytes + (isShort ? Self.hysteresisBytes : 0)
        let room = log.space
        isShort = free < needed || room.isFull && room.preparedBytes < Self.logBytesMin
        if room.isFull { log.retry() }
    }
}
