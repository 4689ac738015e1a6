// FaultRule.swift: one kind of fault that comes again and again.
// Belongs here: the words of scenarios for faults. Never here: their effect (FaultPlan.swift).

/// What a scenario can make happen to machines.
enum FaultWord: String, CaseIterable {
    /// Two halves that can't hear each other.
    case partition
    /// One machine is cut off.
    case isolate
    /// One way between two machines is cut.
    case oneway
    /// The way between two machines comes and goes quickly.
    case flap
    /// One way between two machines is slow.
    case clog
    /// A process is killed, or its machine loses power, and starts again.
    case crash
    case power
    /// A member that has just voted, or won an election, crashes and is back at once.
    case voter, winner
    /// All processes at once.
    case blackout
    /// A process stops in good order and starts again.
    case restart
    /// A process does nothing for a while.
    case pause
    /// A machine's clock moves ahead.
    case jump
    /// A disk takes long, has no space, returns errors.
    case slowdisk, fulldisk, baddisk
    /// A bit of a database file turns over, on a minority at most.
    case flip
    /// A machine with its disk is gone for good; another takes its place.
    case wipe
    /// Leadership is moved by request.
    case move
    /// A member is added as a learner and promoted, or removed.
    case churn
}

/// A fault with how often it comes and how long it lasts, in microseconds.
struct FaultRule: Equatable {
    let word: FaultWord
    var every: ClosedRange<UInt64>
    var last: ClosedRange<UInt64>
}
