// StorageError.swift: everything Storage can fail with, carrying what an operator needs.
// Belongs here: the cases. Never here: their texts on the wire (Server/ErrorMap.swift).

/// A failure of the store.
///
/// Each case says how far the damage reaches.
public enum StorageError: Error, Equatable, Sendable {
    /// The disk refused; nothing was acknowledged that is not durable.
    case disk(DiskError)
    /// A file holds bytes that no crash can explain. Never served, never repaired by guessing.
    case corrupt(file: String, offset: UInt64, reason: String)
    /// A page of the database failed its checksum; `page` counts from 1.
    case corruptPage(page: UInt32, reason: String)
    /// The format is newer or foreign.
    case incompatible(file: String, found: String)
    /// A store is being made in this directory, or the attempt to did not come to its end.
    case unfinished(directory: String)
    /// A store was to be made in a directory that holds something.
    case occupied(directory: String)
    /// SQLite returned an error that is not the caller's; the transaction was rolled back.
    case sqlite(code: Int32, message: String)
    /// A bound was reached: the caller must wait or refuse.
    case busy(what: String)
}
