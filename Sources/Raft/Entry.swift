// Entry.swift: one record of the replicated log.
// Belongs here: the record. Never here: what its payload means (the caller's business).
// Source: Raft paper §5.3; the no-op is that of §8.

/// One record of the replicated log.
public struct Entry: Equatable, Sendable {
    /// What an entry is for.
    public enum Kind: UInt8, Sendable {
        /// Carries what the caller proposed.
        case normal = 0
        /// Opens a leader's term, with no payload.
        case noop = 1
        /// Changes the members; replicated as any other entry.
        case membership = 2
    }

    /// What every entry counts for in the bounds besides its payload, in bytes.
    public static let overheadBytes = 32

    /// The term and the place.
    public let id: EntryID

    /// What it is for.
    public let kind: Kind

    /// Bytes that the core never looks at nor copies; copies of the entry share them.
    public let payload: [UInt8]

    /// Makes an entry.
    public init(id: EntryID, kind: Kind, payload: [UInt8]) {
        self.id = id
        self.kind = kind
        self.payload = payload
    }

    /// What the entry counts for in every bound, in bytes.
    public var byteCount: Int { payload.count + Entry.overheadBytes }
}
