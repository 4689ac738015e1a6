// LoopStore.swift: the readers of one event loop.
// Belongs here: read transactions, the pool. Never here: what is read.
// Source: design section 4: a reader sees the state that was committed when its transaction began.

internal import Storage

/// One reader with its statements; confined to an event loop.
final class LoopReader {
    let keys: KeyReader
    private let pages: StoreReader
    private let begin: Statement
    private let touch: Statement
    private let end: Statement
    /// What the open transaction sees.
    private(set) var view = StoreView(revision: 1, compacted: -1)

    init(_ pages: StoreReader) throws(StorageError) {
        self.pages = pages
        keys = try KeyReader(connection: pages.connection)
        begin = try pages.connection.prepare("BEGIN")
        touch = try pages.connection.prepare("SELECT 1 FROM meta LIMIT 1")
        end = try pages.connection.prepare("COMMIT")
    }

    /// Begins a transaction on the newest published state.
    func open() throws(StorageError) {
        try begin.run()
        // SQLite begins with the first row that is read; only then is a state pinned.
        _ = try touch.step()
        touch.reset()
        view = pinnedView
    }

    private var pinnedView: StoreView {
        guard let header = pages.pinned?.header else {
            preconditionFailure("a transaction that reads has no state")
        }
        return StoreView(
            revision: header.revision, compacted: header.compactedRevision,
            authMark: AuthMark(header: header))
    }

    /// Reads one key that exists now, in a transaction of its own; nil if it does not.
    ///
    /// One statement is a transaction by itself: this is what the commonest request costs.
    func live<Result>(
        _ key: UnsafeRawBufferPointer,
        _ body: (StoreView, KeyRecord, UnsafeRawBufferPointer) -> Result
    ) throws(StorageError) -> Result? {
        try keys.withLiveKey(key) { record, value in body(pinnedView, record, value) }
    }

    /// What the page store says of an error that SQLite reported.
    func explain(_ error: StorageError) -> StorageError {
        pages.takeFailure() ?? error
    }

    /// Ends the transaction.
    func close() throws(StorageError) {
        try end.run()
    }
}

/// Read access to the store from one event loop.
final class LoopStore {
    /// Readers of one loop, that is long reads at once; more wait.
    private static let readersMax = 8

    private let pages: PageStore
    private let reportError: (StorageError) -> Void
    private var idle: [LoopReader] = []
    private var count = 0

    init(pages: PageStore, report: @escaping (StorageError) -> Void) {
        self.pages = pages
        reportError = report
    }

    /// Runs a short read in a transaction of its own.
    ///
    /// Short reads do not wait for long ones: they may open readers beyond the pool.
    func read<Result>(
        _ body: (KeyReader, StoreView) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        try withReader { (reader) throws(StorageError) in
            try reader.open()
            let result = try body(reader.keys, reader.view)
            try reader.close()
            return result
        }
    }

    /// Reads one key that exists now; nil if it does not.
    func live<Result>(
        _ key: UnsafeRawBufferPointer,
        _ body: (StoreView, KeyRecord, UnsafeRawBufferPointer) -> Result
    ) throws(StorageError) -> Result? {
        try withReader { (reader) throws(StorageError) in try reader.live(key, body) }
    }

    @inline(__always)
    private func withReader<Result>(
        _ body: (LoopReader) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        let reader = try takeReader()
        do throws(StorageError) {
            let result = try body(reader)
            idle.append(reader)
            return result
        } catch {
            // Whatever state the connection is in, it goes; `makeReader` begins anew.
            count -= 1
            throw reader.explain(error)
        }
    }

    /// What a read that began now would see.
    func state() throws(StorageError) -> StoreView {
        try read { _, view in view }
    }

    /// Takes a reader with an open transaction for a long read; nil if too many are out.
    func checkOut() throws(StorageError) -> LoopReader? {
        guard !idle.isEmpty || count < Self.readersMax else { return nil }
        let reader = try takeReader()
        do throws(StorageError) {
            try reader.open()
        } catch {
            count -= 1
            throw reader.explain(error)
        }
        return reader
    }

    /// Ends a long read's transaction and takes the reader back.
    func checkIn(_ reader: LoopReader) {
        do throws(StorageError) {
            try reader.close()
            idle.append(reader)
        } catch {
            count -= 1
            report(error)
        }
    }

    /// Tells operators of an error that a read met.
    func report(_ error: StorageError) {
        reportError(error)
    }

    private func takeReader() throws(StorageError) -> LoopReader {
        if let reader = idle.popLast() { return reader }
        return try makeReader()
    }

    private func makeReader() throws(StorageError) -> LoopReader {
        count += 1
        do throws(StorageError) {
            return try LoopReader(try pages.openReader())
        } catch {
            count -= 1
            throw error
        }
    }
}
