// PackedRevision.swift: where a change stands in the history: main revision and order inside the request.
// Belongs here: packing. Never here: which revision comes next (KeyWriter.swift).
// Source: etcd semantics S2 (sub-revision); one integer key keeps the log table a plain rowid table.

/// The place of one change: main revision in the high 43 bits, order inside the request in the low 20.
///
/// Packed values order as (main, sub) does. 0 stands for "none".
public struct PackedRevision: Hashable, Comparable, Sendable {
    /// Bits of the order inside one request.
    static let subBits: Int64 = 20
    /// The most changes that one request may make.
    public static let changesPerRequestMax = 1 << Int(subBits)

    /// The value stored as the rowid of table `log`.
    public let rawValue: Int64

    /// Wraps a stored value.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// Packs a main revision and an order below `changesPerRequestMax`.
    public init(main: Int64, sub: Int64 = 0) {
        precondition(main >= 0 && main < 1 << 43, "main revision \(main) is out of range")
        precondition(sub >= 0 && sub < 1 << Self.subBits, "sub-revision \(sub) is out of range")
        rawValue = main << Self.subBits | sub
    }

    /// The greatest place within a main revision.
    public static func last(of main: Int64) -> PackedRevision {
        PackedRevision(main: main, sub: 1 << subBits - 1)
    }

    /// The main revision.
    public var main: Int64 { rawValue >> Self.subBits }
    /// The order inside the request, from 0.
    public var sub: Int64 { rawValue & (1 << Self.subBits - 1) }

    /// Orders by main revision, then by order inside the request.
    public static func < (left: PackedRevision, right: PackedRevision) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// What is known of a key's newest change without reading its value.
public struct KeyRecord: Equatable, Sendable {
    /// The newest change.
    public var revision: PackedRevision
    /// Main revision of the put that began this generation; of a tombstone, of the last generation.
    public var createRevision: Int64
    /// Puts in this generation; 0 marks a tombstone.
    public var version: Int64
    /// The lease the key hangs on, 0 for none.
    public var lease: Int64

    /// A change with what it makes of its key.
    public init(revision: PackedRevision, createRevision: Int64, version: Int64, lease: Int64) {
        self.revision = revision
        self.createRevision = createRevision
        self.version = version
        self.lease = lease
    }

    /// What a key that never was is compared as (etcd semantics T8).
    public static let missing = KeyRecord(
        revision: PackedRevision(rawValue: 0), createRevision: 0, version: 0, lease: 0)

    /// Whether the key exists now.
    public var isLive: Bool { version > 0 }
}
