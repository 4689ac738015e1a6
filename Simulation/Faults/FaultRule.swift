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
    /// One machine hears nobody, or is heard by nobody.
    case deaf
    /// The way between two machines comes and goes quickly.
    case flap
    /// One way between two machines is slow.
    case clog
    /// Messages of one kind don't get through one way.
    case filter
    /// A process is killed, or its machine loses power, and starts again.
    case crash
    case power
    /// A member that has just voted, or won an election, crashes and is back at once.
    case voter, winner
    /// A member that has begun to write a checkpoint loses its power in the midst of it, and is back at once.
    case checkpoint
    /// All processes at once.
    case blackout
    /// A process stops in good order and starts again.
    case restart
    /// A process is killed as soon as it has started, over and over.
    case loop
    /// A process does nothing for a while.
    case pause
    /// A process takes long for each of its turns, and so applies slowly.
    case slow
    /// A machine's clock moves ahead, or stands still for a while.
    case jump, freeze
    /// A disk takes long, has no space, returns errors.
    case slowdisk, fulldisk, baddisk
    /// Bits of files turn over: of the database, of its checksums, of the log; on a minority at most.
    case flip
    /// Writes to a database file land on another page of it, on a minority at most.
    case misdirect
    /// Bits of database files turn over on every machine, but never on all in the same page.
    case rot
    /// A machine with its disk is gone for good; another takes its place.
    case wipe
    /// A machine loses its disk and starts again under its old address: the members give it a new identity.
    case lostdisk
    /// Leadership is moved by request.
    case move
    /// A member is added as a learner and promoted, or removed.
    case churn
    /// Several changes of the members are asked for at the same time.
    case rush
}

/// A fault with how often it comes and how long it lasts, in microseconds.
struct FaultRule: Equatable {
    let word: FaultWord
    var every: ClosedRange<UInt64>
    var last: ClosedRange<UInt64>
}
