// StorageError+Description.swift: what each failure says to an operator.
// Belongs here: words, with the file and the place. Never here: what to do about it (Server).

extension DiskError: CustomStringConvertible {
    /// One sentence with the path.
    public var description: String {
        switch self {
        case .notFound(let path): "\(path): no such file or directory"
        case .full(let path): "\(path): no space left on device"
        case .denied(let path, let operation): "\(path): permission denied (\(operation))"
        case .readOnly(let path): "\(path): read-only file system"
        case .locked(let path): "\(path): locked by another process"
        case .failed(let path, let operation, let code):
            "\(path): \(operation) failed, errno \(code)"
        }
    }
}

extension StorageError: CustomStringConvertible {
    /// One sentence with the file and the place.
    public var description: String {
        switch self {
        case .disk(let error): "\(error)"
        case .corrupt(let file, let offset, let reason):
            "\(file) is damaged at offset \(offset): \(reason)"
        case .corruptPage(let page, let reason):
            "page \(page) of the database file db (offset \(UInt64(max(page, 1) - 1) * 4096)) is damaged: "
                + reason
        case .incompatible(let file, let found): "\(file) was written by another version: \(found)"
        case .unfinished(let directory):
            "\(directory) is half of a store: a restore, an import or a recovery did not come to its end. "
                + "Run it again with the same flags"
        case .occupied(let directory):
            "data directory \(directory) is not empty: nothing was changed. Give a new one, or move "
                + "what is in it away"
        case .sqlite(let code, let message): "SQLite error \(code): \(message)"
        case .busy(let what): "busy: \(what)"
        }
    }
}
