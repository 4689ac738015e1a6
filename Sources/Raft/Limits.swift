// Limits.swift: every bound of the core, and the sum that justifies it.
// Belongs here: the numbers. Never here: what happens at the bound (where it is checked).

/// The bounds of what a node holds and sends, in bytes unless the name says otherwise.
///
/// A node holds at most about `retainedBytesMax + unappliedBytesMax + uncommittedBytesMax` of
/// entries, each bound exceeded by one proposal at most, and per member `inflightAppendsMax` small
/// records. With the defaults that is 144 MiB, reached only if disk and state machine both stall.
public struct Limits: Equatable, Sendable {
    /// Entries in one append message; one entry is always sent, however large.
    ///
    /// 1 MiB is 10 ms of a gigabit link: enough to keep it busy, little enough to lose.
    public var appendBytesMax = 1 << 20

    /// Bytes sent to a member and not yet acknowledged: 16 full messages.
    public var inflightBytesMax = 16 << 20

    /// Messages sent to a member and not yet acknowledged.
    public var inflightAppendsMax = 256

    /// Bytes proposed and not yet committed; beyond it proposals are rejected.
    public var uncommittedBytesMax = 64 << 20

    /// Bytes committed and not yet applied; beyond it proposals are rejected and appends dropped.
    public var unappliedBytesMax = 64 << 20

    /// Applied entries kept for members that lag a little: the full window of one.
    ///
    /// A sole voter keeps none; what a member lacks beyond this is read from disk.
    public var retainedBytesMax = 16 << 20

    /// Reads waiting for a round of heartbeats; beyond it they fail at once.
    ///
    /// 40 bytes each.
    public var pendingReadsMax = 16_384

    /// The defaults above.
    public init() {}
}
