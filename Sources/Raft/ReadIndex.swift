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

/// The number of a round, counted from 1 in each leader's term.
///
/// A round begins with heartbeats, or quietly: then the leader's next answers to questions carry its number, and
/// the questions after them bring it back. Either way what acknowledges a round was sent after it began.
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

/// The newest round that a member has heard of in a term.
struct HeardRound: Sendable {
    private var term = Term.zero
    private var newest = ReadRound.zero

    /// Notes what the leader of a term said.
    mutating func note(_ round: ReadRound, in term: Term) {
        newest = term == self.term ? max(newest, round) : round
        self.term = term
    }

    /// What to tell the leader of a term; zero if that one has said nothing yet.
    func round(in term: Term) -> ReadRound { term == self.term ? newest : .zero }
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

    /// Whether reads wait for the newest round, and no heartbeats were sent for it.
    private(set) var isQuiet = false

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
    mutating func beginRound(
        commit: LogIndex, takingWaiting: Bool, isQuiet: Bool = false
    ) -> ReadRound {
        latestRound = latestRound.next
        self.isQuiet = isQuiet
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
        if inRound.isEmpty { isQuiet = false }
        return result
    }

    /// Takes out everything, oldest first.
    mutating func removeAll() -> [Request] {
        let all = inRound.map(\.request) + waiting
        isQuiet = false
        inRound.removeAll()
        waiting.removeAll()
        return all
    }
}
