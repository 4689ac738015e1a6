// SaveNumber.swift: the name of one request to the disk.
// Belongs here: the type. Never here: what a save covers (SaveTracker.swift).
// Source: thesis §10.2.1 (disk in parallel) made safe against completions that come late.

/// The name of one request to the disk, counted from 1 in each run of a node.
///
/// A completion names the request and not the entries in it: an entry may be written, replaced and
/// written again under the same ID, and then only the last of these writes proves that it lasts.
public struct SaveNumber: Hashable, Comparable, Sendable {
    /// The count; 0 stands for what the node was restored with.
    public let rawValue: UInt64

    /// What the node was restored with, which is on the disk by definition.
    public static let restored = SaveNumber(0)

    /// Makes a number; only tests and callers that pass it between threads need this.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The request after this one.
    public var next: SaveNumber { SaveNumber(rawValue + 1) }

    /// Orders requests by the time they were made.
    public static func < (left: SaveNumber, right: SaveNumber) -> Bool {
        left.rawValue < right.rawValue
    }
}
