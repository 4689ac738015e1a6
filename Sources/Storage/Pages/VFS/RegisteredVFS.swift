// RegisteredVFS.swift: makes a page store known to SQLite under a name of its own.
// Belongs here: sqlite3_vfs and what SQLite asks of a file system as a whole. Never here: an open
// file (StoreFile.swift).
// Source: sqlite.org/c3ref/vfs.html. SQLite's journal is off and temporary files live in memory:
// only the database itself is ever opened, and nothing is deleted.

internal import CSQLite
internal import Synchronization

/// A registration that ends with the last reference.
final class RegisteredVFS {
    private static let count = Atomic<UInt64>(0)

    private let structure: UnsafeMutablePointer<sqlite3_vfs>
    private let name: UnsafeMutablePointer<CChar>

    /// A name no other store of this process has; it never reaches a file.
    static func uniqueName() -> String {
        "martlet-\(count.wrappingAdd(1, ordering: .relaxed).newValue)"
    }

    init(store: PageStore) throws(StorageError) {
        let text = Array(store.vfsName.utf8CString)
        name = .allocate(capacity: text.count)
        name.initialize(from: text, count: text.count)
        structure = .allocate(capacity: 1)
        var vfs = sqlite3_vfs()
        vfs.iVersion = 2
        vfs.szOsFile = Int32(MemoryLayout<StoreFile>.size)
        vfs.mxPathname = 64
        vfs.zName = UnsafePointer(name)
        // Unretained: open files keep the store alive, and this goes with the store.
        vfs.pAppData = Unmanaged.passUnretained(store).toOpaque()
        Self.fill(&vfs)
        structure.initialize(to: vfs)
        SQLiteLibrary.configure()
        let code = sqlite3_vfs_register(structure, 0)
        guard code == SQLITE_OK else {
            throw .sqlite(code: code, message: "registering the page store")
        }
    }

    deinit {
        sqlite3_vfs_unregister(structure)
        structure.deallocate()
        name.deallocate()
    }

    private static func fill(_ vfs: inout sqlite3_vfs) {
        vfs.xOpen = { vfs, _, file, flags, outFlags in
            guard let vfs, let file, let context = vfs.pointee.pAppData else {
                return SQLITE_CANTOPEN
            }
            // A file without methods is not closed by SQLite when opening fails.
            file.pointee.pMethods = nil
            guard flags & SQLITE_OPEN_MAIN_DB != 0 else { return SQLITE_CANTOPEN }
            outFlags?.pointee = flags
            let store = Unmanaged<PageStore>.fromOpaque(context).takeUnretainedValue()
            return StoreFile.open(
                file, store: store, isWriter: flags & SQLITE_OPEN_READWRITE != 0)
        }
        vfs.xDelete = { _, _, _ in SQLITE_OK }
        vfs.xAccess = { _, _, _, result in
            result?.pointee = 0
            return SQLITE_OK
        }
        vfs.xFullPathname = { _, path, capacity, output in
            guard let path, let output else { return SQLITE_CANTOPEN }
            var place = 0
            while place < Int(capacity) {
                output[place] = path[place]
                if path[place] == 0 { return SQLITE_OK }
                place += 1
            }
            return SQLITE_CANTOPEN
        }
        // Neither time nor randomness may come into the tables: all nodes must write the same
        // bytes.
        vfs.xRandomness = { _, count, output in
            output?.update(repeating: 0, count: Int(count))
            return count
        }
        vfs.xSleep = { _, _ in 0 }
        vfs.xCurrentTime = { _, output in
            output?.pointee = 0
            return SQLITE_OK
        }
        vfs.xCurrentTimeInt64 = { _, output in
            output?.pointee = 0
            return SQLITE_OK
        }
        vfs.xGetLastError = { _, _, _ in 0 }
    }
}
