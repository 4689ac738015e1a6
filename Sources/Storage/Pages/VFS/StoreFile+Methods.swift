// StoreFile+Methods.swift: what SQLite asks of the open database, answered from the page store.
// Belongs here: sqlite3_io_methods. Never here: versions (PageStore+Read.swift).
// Source: sqlite.org/c3ref/io_methods.html, and storage.md's traps: 3 and 5 (a reader's header
// comes from its pin), 6 (xFetch), 7 (neighbours are not touched by a write). Locks cost nothing:
// readers see versions, the writer is alone.

internal import CSQLite

/// Extended result codes, which the importer cannot see because they are expressions.
private enum Code {
    static let readFailed = SQLITE_IOERR | 1 << 8
    static let shortRead = SQLITE_IOERR | 2 << 8
    static let writeFailed = SQLITE_IOERR | 3 << 8
    static let truncateFailed = SQLITE_IOERR | 6 << 8
    static let corruptPage = SQLITE_IOERR | 33 << 8
}

extension StoreFile {
    /// One table for all files; it is never freed, as SQLite keeps pointing to it.
    struct Methods: @unchecked Sendable {
        // @unchecked Sendable: written once while it is made, only read afterwards.
        let pointer: UnsafeMutablePointer<sqlite3_io_methods>
    }

    static let methods: Methods = {
        let pointer = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        var methods = sqlite3_io_methods()
        methods.iVersion = 3
        fillLocks(&methods)
        fillContents(&methods)
        pointer.initialize(to: methods)
        return Methods(pointer: pointer)
    }()

    private static func fillLocks(_ methods: inout sqlite3_io_methods) {
        methods.xClose = { file in
            StoreFile.of(file).pointee.close()
            return SQLITE_OK
        }
        methods.xLock = { file, _ in
            let this = StoreFile.of(file)
            if this.pointee.isWriter { return SQLITE_OK }
            return this.pointee.pin() ? SQLITE_OK : SQLITE_BUSY
        }
        methods.xUnlock = { file, level in
            let this = StoreFile.of(file)
            if level == SQLITE_LOCK_NONE { this.pointee.unpin() }
            return SQLITE_OK
        }
        methods.xCheckReservedLock = { _, result in
            result?.pointee = 0
            return SQLITE_OK
        }
        methods.xFileControl = { _, operation, _ in
            operation == SQLITE_FCNTL_MMAP_SIZE ? SQLITE_OK : SQLITE_NOTFOUND
        }
        methods.xSectorSize = { _ in 512 }
        methods.xDeviceCharacteristics = { _ in SQLITE_IOCAP_POWERSAFE_OVERWRITE }
        methods.xSync = { _, _ in SQLITE_OK }
    }

    private static func fillContents(_ methods: inout sqlite3_io_methods) {
        methods.xRead = { file, output, count, offset in
            guard let output else { return Code.readFailed }
            return StoreFile.of(file).pointee.read(output, Int(count), at: UInt64(offset))
        }
        methods.xWrite = { file, bytes, count, offset in
            guard let bytes else { return Code.writeFailed }
            return StoreFile.of(file).pointee.write(bytes, Int(count), at: UInt64(offset))
        }
        methods.xTruncate = { file, size in
            StoreFile.of(file).pointee.truncate(to: UInt64(size))
        }
        methods.xFileSize = { file, size in
            let this = StoreFile.of(file)
            size?.pointee = Int64(this.pointee.pageCount) << Int64(PageLimits.pageShift)
            return SQLITE_OK
        }
        methods.xFetch = { file, offset, count, result in
            StoreFile.of(file).pointee.fetch(UInt64(offset), Int(count), result)
        }
        // What was fetched stays in place until the pin goes: there is nothing to count.
        methods.xUnfetch = { _, _, _ in SQLITE_OK }
    }

    /// Pages of the database as this connection sees it.
    private var pageCount: UInt32 {
        guard isWriter else { return pinned.pageCount }
        return store._withUnsafeGuaranteedRef { $0.pendingPageCount }
    }

    private mutating func read(
        _ output: UnsafeMutableRawPointer, _ count: Int, at offset: UInt64
    ) -> Int32 {
        let page = UInt32(offset >> PageLimits.pageShift) + 1
        let start = Int(offset & UInt64(PageLimits.pageBytes - 1))
        guard isWriter || isPinned, page <= pageCount, start + count <= PageLimits.pageBytes else {
            output.initializeMemory(as: UInt8.self, repeating: 0, count: count)
            return Code.shortRead
        }
        if isWriter {
            let failed = store._withUnsafeGuaranteedRef { store -> StorageError? in
                guard generation == store.writerGeneration else {
                    return .busy(what: "a writer connection that was to be opened anew")
                }
                do throws(StorageError) {
                    try store.readForWriter(page, start, count, to: output)
                    return nil
                } catch {
                    return error
                }
            }
            return failed.map { report($0) } ?? SQLITE_OK
        }
        let index = pinned.index
        let failed = store._withUnsafeGuaranteedRef { store -> StorageError? in
            do throws(StorageError) {
                try store.read(page, start, count, at: index, to: output)
                return nil
            } catch {
                return error
            }
        }
        if let failed { return report(failed) }
        if page == 1 { patchChangeCounter(output, start, count) }
        return SQLITE_OK
    }

    /// Makes the change counter that of the pin: SQLite drops its cache exactly when the pin moves
    /// (trap 3).
    private func patchChangeCounter(_ output: UnsafeMutableRawPointer, _ start: Int, _ count: Int) {
        let counter = UInt32(truncatingIfNeeded: pinned.index).bigEndian
        for place in [24, 92] where place >= start && place + 4 <= start + count {
            (output + place - start).storeBytes(of: counter, as: UInt32.self)
        }
    }

    private mutating func write(
        _ bytes: UnsafeRawPointer, _ count: Int, at offset: UInt64
    ) -> Int32 {
        guard isWriter, count == PageLimits.pageBytes, offset % UInt64(PageLimits.pageBytes) == 0
        else { return Code.writeFailed }
        let page = offset >> PageLimits.pageShift + 1
        guard page <= UInt64(PageLimits.pagesMax) else { return SQLITE_FULL }
        return store._withUnsafeGuaranteedRef { store in
            guard generation == store.writerGeneration else { return Code.writeFailed }
            store.write(UInt32(page), bytes)
            return SQLITE_OK
        }
    }

    private mutating func truncate(to size: UInt64) -> Int32 {
        guard isWriter, size >> PageLimits.pageShift <= UInt64(PageLimits.pagesMax) else {
            return Code.truncateFailed
        }
        return store._withUnsafeGuaranteedRef { store in
            guard generation == store.writerGeneration else { return Code.truncateFailed }
            store.resize(to: UInt32(size >> PageLimits.pageShift))
            return SQLITE_OK
        }
    }

    private mutating func fetch(
        _ offset: UInt64, _ count: Int, _ result: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Int32 {
        result?.pointee = nil
        let page = UInt32(offset >> PageLimits.pageShift) + 1
        guard isPinned, count == PageLimits.pageBytes, page > 1, page <= pinned.pageCount else {
            return SQLITE_OK
        }
        let index = pinned.index
        let failed = store._withUnsafeGuaranteedRef { store -> StorageError? in
            do throws(StorageError) {
                result?.pointee = try store.frame(of: page, at: index)?.bytes
                return nil
            } catch {
                return error
            }
        }
        return failed.map { report($0) } ?? SQLITE_OK
    }

    private func report(_ error: StorageError) -> Int32 {
        store._withUnsafeGuaranteedRef { $0.note(error) }
        failure._withUnsafeGuaranteedRef { $0.error = error }
        if case .corruptPage = error { return Code.corruptPage }
        return Code.readFailed
    }
}

extension PageStore {
    /// Copies part of a page as of `index`; the reader has pinned it.
    func read(
        _ page: UInt32, _ start: Int, _ count: Int, at index: UInt64,
        to output: UnsafeMutableRawPointer
    ) throws(StorageError) {
        if let frame = try frame(of: page, at: index) {
            output.copyMemory(from: frame.bytes + start, byteCount: count)
            return
        }
        if count == PageLimits.pageBytes, Int(bitPattern: output) & 7 == 0 {
            return try copy(page, at: index, to: output)
        }
        // The cache is full of what readers hold: a page of this thread's own, for a moment.
        let own = UnsafeMutableRawPointer.allocate(
            byteCount: PageLimits.pageBytes, alignment: 64)
        defer { own.deallocate() }
        try copy(page, at: index, to: own)
        output.copyMemory(from: own + start, byteCount: count)
    }

    /// Copies part of a page of the tip and what is pending on it.
    func readForWriter(
        _ page: UInt32, _ start: Int, _ count: Int, to output: UnsafeMutableRawPointer
    ) throws(StorageError) {
        readers.enter(writerSlot)
        defer { readers.leave(writerSlot) }
        if page > tip.pageCount {
            guard let newest = table[page].pointee.newest, newest.index == Frame.unsealed else {
                output.initializeMemory(as: UInt8.self, repeating: 0, count: count)
                return
            }
        }
        try read(page, start, count, at: Frame.unsealed, to: output)
    }
}
