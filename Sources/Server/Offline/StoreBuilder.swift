// StoreBuilder.swift: makes a data directory: empty until it is whole.
// Belongs here: the order of files, what a crash leaves. Never here: what goes into the tables.
// A marker is the first file that is made durable and the last that goes: with it the directory is nobody's,
// the server refuses it, and the next restore begins by emptying it.

internal import Storage

/// A new store under construction; confined to its thread.
final class StoreBuilder {
    let path: String
    private let disk: any Disk
    private let segmentBytes: Int
    private let directory: DataDirectory
    private var pages: PageStore?
    private var writer: Connection?
    private var index: UInt64 = 0

    /// The term of everything that a new store begins with.
    static let term: UInt64 = 1
    /// Page versions in memory above which they are written to the file.
    private static let overlayBytesMax = 32 << 20

    /// Takes a directory that does not exist, is empty, or is what an interrupted attempt left.
    ///
    /// - Parameter segmentBytes: the size of the log's segments.
    init(
        path: String, disk: any Disk, segmentBytes: Int = Storage.LogLimits.segmentBytes
    ) throws(OfflineError) {
        self.path = path
        self.segmentBytes = segmentBytes
        self.disk = disk
        directory = try storing(in: path) { () throws(StorageError) in
            try DataDirectory(unfinished: path, disk: disk)
        }
    }

    /// Copies a database that was checked.
    func adopt(_ image: MartletImage) throws(OfflineError) {
        let header = try image.header()
        let progress = Progress("copying pages", total: image.file.byteCount)
        try storing(in: path) { () throws(StorageError) in
            try PageStore.create(
                disk: disk, directory: path, pageCount: image.pageCount, header: header
            ) { (buffer, offset) throws(StorageError) in
                do throws(BoltError) {
                    try image.file.read(into: buffer, at: offset)
                } catch {
                    throw .corrupt(file: image.file.path, offset: offset, reason: "\(error)")
                }
                progress.update(offset)
            }
        }
        progress.finish("\(image.pageCount) pages")
    }

    /// The connection that writes; opened at the first use.
    private func open() throws(StorageError) -> (PageStore, Connection) {
        if let pages, let writer { return (pages, writer) }
        let opened = try PageStore.open(disk: disk, directory: path)
        try opened.finishRecovery()
        index = opened.committedState.index
        let connection = try opened.openWriter()
        (pages, writer) = (opened, connection)
        return (opened, connection)
    }

    /// The connection, for statements that outlive one transaction; they go before `finish`.
    func openConnection() throws(StorageError) -> Connection {
        try open().1
    }

    /// Runs one transaction; what it changed is durable after `finish`.
    func write(
        _ body: (Connection) throws(StorageError) -> Void
    ) throws(OfflineError) {
        try begin()
        try storing(in: path) { () throws(StorageError) in try body(try open().1) }
        try commit()
    }

    /// Begins a transaction.
    func begin() throws(OfflineError) {
        try storing(in: path) { () throws(StorageError) in
            try open().1.execute("BEGIN IMMEDIATE")
        }
    }

    /// Ends a transaction; what it wrote becomes one step of the store's history.
    func commit() throws(OfflineError) {
        try storing(in: path) { () throws(StorageError) in
            let (pages, connection) = try open()
            let header = try StateHeader(storedOn: connection)
            try connection.execute("COMMIT")
            _ = try pages.encode(header: header)
            index += 1
            pages.seal(index: index, term: Self.term)
            pages.publish(through: index, term: Self.term)
            if pages.overlayBytes > Self.overlayBytesMax { try pages.foldEverything() }
        }
    }

    /// Makes the directory a member's, durably.
    ///
    /// - Parameter seed: for the new log's salt.
    func finish(_ identity: StoredIdentity, seed: UInt64) throws(OfflineError) {
        try storing(in: path) { () throws(StorageError) in
            let (pages, _) = try open()
            try pages.foldEverything()
            // The connection goes before the pages beneath it.
            writer = nil
            self.pages = nil
            let (log, _) = try LogStore.open(
                disk: disk, directory: directory.logPath,
                options: LogOptions(salt: seed, segmentBytes: segmentBytes))
            try log.alignAfterSnapshot(index: index, term: Self.term)
            try directory.found(identity)
            try directory.finished()
        }
    }
}
