// FaultCounter.swift: which faults happened, and how often.
// Belongs here: the kinds and counting. Never here: causing them (FaultPlan.swift).

/// The kinds of faults that the world can cause.
public enum FaultKind: Int, CaseIterable, Sendable {
    // Network.
    case messageLost, messageDuplicated, connectionReset, halfOpen, partition, oneWayCut, clog
    // Disk.
    case readError, writeError, syncError, diskFull, diskStall, tornWrite, bitFlip,
        misdirectedWrite, diskLost
    // Process and clock.
    case crash, powerLoss, pause, cleanRestart, clockJump, memberAdded, memberRemoved
    case memberPromoted, leaderMoved, messagesFiltered
    case messageReordered, pathFull, deafness, clockDrift, clockFrozen, restartLoop, slowTurns,
        changesAtOnce, brokenForGood

    /// As reports and scenarios show it.
    public var name: String { "\(self)" }
}

/// Counts faults by kind.
public final class FaultCounter {
    /// How often each kind happened, in the order of the kinds.
    public private(set) var counts = [Int](repeating: 0, count: FaultKind.allCases.count)

    /// Nothing counted yet.
    public init() {}

    func count(_ kind: FaultKind) { counts[kind.rawValue] += 1 }

    /// Adds another counter's counts.
    public func add(_ other: FaultCounter) {
        for place in counts.indices { counts[place] += other.counts[place] }
    }
}
