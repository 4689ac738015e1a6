// StoppedStore.swift: the store of a member that does not run, opened by a command.
// Belongs here: opening as the server does, and everything that its log says. Never here: changing it.

internal import Storage

/// A locked data directory with its store.
final class StoppedStore {
    let directory: DataDirectory
    let identity: StoredIdentity
    let opened: OpenedStore

    /// Opens it, as a start of the server does.
    init(_ path: String) throws(OfflineError) {
        guard InputFile.isDirectory(path) else { throw .refused("\(path) is not a directory") }
        let disk = PosixDisk()
        // Looked for first: a directory that is none of ours gets no lock file.
        let isStore = try InputFile.exists("\(path)/identity", disk)
        let isHalf = try InputFile.exists(DataDirectory.marker(path), disk)
        guard isStore || isHalf else { throw .refused("\(path) is no data directory of Martlet") }
        (directory, identity, opened) = try storing(in: path) { () throws(StorageError) in
            let directory = try DataDirectory(path: path, disk: disk)
            guard let identity = try directory.identity() else {
                throw .unfinished(directory: path)
            }
            var generator = SystemRandomNumberGenerator()
            let opened = try OpenedStore(
                directory: directory, disk: disk, seed: generator.next())
            return (directory, identity, opened)
        }
        guard opened.pages.committedState.pageCount > 0 else {
            throw .refused("\(path) holds nothing yet: its member has not begun")
        }
    }

    /// Takes entries of the log for agreed that were not known to be; returns how many.
    ///
    /// Whoever wrote them may have been told that they are: this member cannot know.
    func applyRest() throws(OfflineError) -> Int {
        try storing(in: directory.path) { () throws(StorageError) in try opened.applyRest() }
    }

    /// Compares every page with its checksum.
    func checkPages() throws(OfflineError) {
        let pages = opened.pages
        let total = UInt64(pages.checkpointState.pageCount)
        let progress = Progress("checking pages", total: total)
        var next: UInt32? = total > 0 ? 1 : nil
        while let page = next {
            let result = try storing(in: directory.path) { () throws(StorageError) in
                try pages.scrub(from: page, count: 1 << 14)
            }
            if let bad = result.badPages.first {
                throw .store(
                    .corruptPage(page: bad, reason: "its bytes do not match their checksum"),
                    directory: directory.path)
            }
            next = result.nextPage
            progress.update(UInt64(page))
        }
        progress.finish("\(total) pages")
    }

    /// Reads the tables as of everything that was applied.
    func read<Result>(
        _ body: (Connection) throws(StorageError) -> Result
    ) throws(OfflineError) -> Result {
        try storing(in: directory.path) { () throws(StorageError) in
            try body(try opened.pages.openReader().connection)
        }
    }
}
