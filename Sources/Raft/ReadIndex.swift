// ReadIndex.swift: reads that wait for the leader to prove that it leads.
// Belongs here: rounds and which read waits for which. Never here: sending (RaftNode+Reads.swift).
// Source: thesis §6.4. Invariant: a read is confirmed only by a round begun after the read came.

/// The name of one read request.
///
/// A member must never use one again, not even after a restart or to retry: a late answer to the
/// first use would give the second an index that is too old.
public struct ReadContext: Hashable, Sendable {
    /// The number, for instance a random part drawn at start above a counter.
    public let rawValue: UInt64

    /// Makes a context.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// The number of a round of heartbeats, counted from 1 in each leader's term.
public struct ReadRound: Hashable, Comparable, Sendable {
    /// The number as it is sent.
    public let rawValue: UInt64

    /// Before the first round.
    public static let zero = ReadRound(0)

    /// Makes a round from its sent number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The round after this one.
    public var next: ReadRound { ReadRound(rawValue + 1) }

    /// Orders rounds by the time they began.
    public static func < (left: ReadRound, right: ReadRound) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The reads a leader has been asked for and has not confirmed.
struct ReadQueue: Sendable {
    /// Who asked, and how they call it.
    struct Request: Equatable, Sendable {
        var member: MemberID
        var context: ReadContext
    }

    /// A read with the commit index at the start of its round.
    struct InRound: Equatable, Sendable {
        var request: Request
        var round: ReadRound
        var index: LogIndex
    }

    /// The newest round begun.
    private(set) var latestRound = ReadRound.zero

    /// Came after the latest round began.
    private var waiting: [Request] = []

    /// In the order of their rounds.
    private var inRound: [InRound] = []

    var count: Int { waiting.count + inRound.count }
    var hasWaiting: Bool { !waiting.isEmpty }
    var hasRoundUnderway: Bool { !inRound.isEmpty }

    mutating func add(_ request: Request) {
        #if SIMULATION
            if RaftBug.readJoinsRound.isPlanted, let last = inRound.last {
                return inRound.append(
                    InRound(request: request, round: last.round, index: last.index))
            }
        #endif
        waiting.append(request)
    }

    /// Begins a round; all that waits, if it may join, is confirmed by it or by a later one.
    mutating func beginRound(commit: LogIndex, takingWaiting: Bool) -> ReadRound {
        latestRound = latestRound.next
        if takingWaiting {
            for request in waiting {
                inRound.append(InRound(request: request, round: latestRound, index: commit))
            }
            waiting.removeAll(keepingCapacity: true)
        }
        return latestRound
    }

    /// Takes out the reads whose round a quorum has answered.
    mutating func confirm(through round: ReadRound) -> [InRound] {
        var confirmed = 0
        while confirmed < inRound.count, inRound[confirmed].round <= round { confirmed += 1 }
        guard confirmed > 0 else { return [] }
        let result = Array(inRound[..<confirmed])
        inRound.removeFirst(confirmed)
        return result
    }

    /// Takes out everything, oldest first.
    mutating func removeAll() -> [Request] {
        let all = inRound.map(\.request) + waiting
        inRound.removeAll()
        waiting.removeAll()
        return all
    }
}
