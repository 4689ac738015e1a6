// WALSupport.swift: a scripted user of the log, and the obvious model it is compared with.
// Belongs here: steps, model, driver. Never here: expectations about a single test.
// What all crash tests ask: what is found is the state after some call, not before the last one
// acknowledged and not after the last one handed over.

import Storage
import TestSupport

/// What a log should hold, kept in the most obvious way.
struct WALModel: Equatable {
    var base: UInt64 = 0
    var baseTerm: UInt64 = 0
    var entries: [LogEntry] = []
    var hardState = LogHardState()
    var intent: [UInt8]?

    var last: UInt64 { base + UInt64(entries.count) }

    func term(_ index: UInt64) -> UInt64 {
        index == base ? baseTerm : entries[Int(index - base) - 1].term
    }

    func entries(from first: UInt64) -> [LogEntry] {
        Array(entries.drop { $0.index < first })
    }
}

/// One thing a script does.
enum WALStep {
    /// Appends entries of that payload size, with a hard state that commits up to `commit` if
    /// given.
    case append(count: Int, bytes: Int, term: UInt64, commit: UInt64? = nil)
    case vote(term: UInt64, vote: UInt64)
    case truncate(after: UInt64)
    case reset(to: UInt64, term: UInt64)
    case intent(bytes: Int)
    case release(through: UInt64)
    case flush
    case housekeep
}

/// Runs scripts against a log and keeps what it should hold after every call.
final class WALRun {
    let disk: FaultyDisk
    private(set) var store: LogStore?
    private(set) var recovered: RecoveredLog?
    /// The model after no call, after the first that was handed over, and so on.
    private(set) var states = [WALModel()]
    /// How many calls were acknowledged.
    private(set) var acknowledged = 0
    private(set) var released: UInt64 = 0
    /// Tries again what a full disk refused, as a server does.
    var retriesWhenFull = false
    private(set) var refusals = 0

    static let directory = "wal"
    static let options = LogOptions(salt: 0x1234_5678_9abc_def0, segmentBytes: 8 << 10)

    init(disk: FaultyDisk) {
        self.disk = disk
    }

    func open() throws(StorageError) {
        let opened = try LogStore.open(disk: disk, directory: Self.directory, options: Self.options)
        store = opened.store
        recovered = opened.recovered
    }

    func run(_ script: [WALStep]) throws(StorageError) {
        if store == nil { try open() }
        for step in script { try take(step) }
    }

    private func take(_ step: WALStep) throws(StorageError) {
        guard let store else { return }
        switch step {
        case .flush:
            try flush(store)
        case .housekeep:
            try retrying { () throws(StorageError) in try store.housekeep() }
        case .release(let index):
            store.release(through: index)
            released = max(released, index)
        case .append, .vote, .truncate, .reset, .intent:
            var next = states[states.count - 1]
            let ticket = try retrying { () throws(StorageError) in
                try handOver(step, store, &next)
            }
            states.append(next)
            precondition(Int(ticket.rawValue) == states.count - 1, "ticket \(ticket)")
        }
    }

    /// Flushes; if full disks are to be borne, until all is saved, for a flush may tell of a part
    /// first.
    private func flush(_ store: LogStore) throws(StorageError) {
        let ticket = try retrying { () throws(StorageError) in try store.flush() }
        if let ticket { acknowledged = Int(ticket.rawValue) }
        guard retriesWhenFull && acknowledged < states.count - 1 else { return }
        refusals += 1
        try flush(store)
    }

    private func handOver(
        _ step: WALStep, _ store: LogStore, _ next: inout WALModel
    ) throws(StorageError) -> LogTicket {
        switch step {
        case .append(let count, let bytes, let term, let commit):
            let entries = (0..<UInt64(count)).map {
                Self.entry(next.last + 1 + $0, term: term, bytes: bytes)
            }
            let hardState = commit.map {
                LogHardState(term: term, vote: next.hardState.vote, commit: $0)
            }
            let ticket = try store.append(entries, hardState: hardState)
            next.entries += entries
            next.hardState = hardState ?? next.hardState
            return ticket
        case .vote(let term, let vote):
            let hardState = LogHardState(term: term, vote: vote, commit: next.hardState.commit)
            let ticket = try store.append([], hardState: hardState)
            next.hardState = hardState
            return ticket
        case .truncate(let index):
            let ticket = try store.truncate(after: index, term: next.term(index))
            next.entries.removeAll { $0.index > index }
            return ticket
        case .reset(let index, let term):
            let ticket = try store.reset(to: index, term: term)
            next.entries = []
            next.base = index
            next.baseTerm = term
            return ticket
        case .intent(let bytes):
            let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: states.count), count: bytes)
            let ticket = try store.append(checkpointIntent: payload)
            next.intent = payload
            return ticket
        case .release, .flush, .housekeep:
            preconditionFailure("\(step) has no ticket")
        }
    }

    private func retrying<R>(_ body: () throws(StorageError) -> R) throws(StorageError) -> R {
        for _ in 0..<3 {
            do throws(StorageError) {
                return try body()
            } catch {
                guard retriesWhenFull, case .disk(.full) = error else { throw error }
                refusals += 1
                store?.retry()
                do throws(StorageError) {
                    try store?.housekeep()
                } catch {
                    guard case .disk(.full) = error else { throw error }
                    refusals += 1
                }
            }
        }
        return try body()
    }

    /// An entry whose payload says which it is.
    static func entry(_ index: UInt64, term: UInt64, bytes: Int) -> LogEntry {
        var payload = [UInt8](repeating: 0, count: bytes)
        for position in payload.indices {
            payload[position] = UInt8(truncatingIfNeeded: index &* 31 &+ term &+ UInt64(position))
        }
        return LogEntry(
            index: index, term: term, kind: UInt8(truncatingIfNeeded: index % 5), payload: payload)
    }
}

/// What a log holds when it is opened, read back in full.
struct WALFound: Equatable {
    var recovered: RecoveredLog
    var entries: [LogEntry]

    /// Opens the log and reads everything.
    init(_ disk: FaultyDisk, options: LogOptions = WALRun.options) throws(StorageError) {
        let (store, recovered) = try LogStore.open(
            disk: disk, directory: WALRun.directory, options: options)
        self.recovered = recovered
        entries = try Self.readAll(store, recovered)
        self.recovered.tornTail = nil
    }

    static func readAll(
        _ store: LogStore, _ recovered: RecoveredLog
    ) throws(StorageError) -> [LogEntry] {
        var entries: [LogEntry] = []
        var next = recovered.firstIndex
        while next <= recovered.lastIndex {
            guard
                let some = try store.entries(
                    from: next, through: recovered.lastIndex, maxBytes: 3000)
            else { break }
            entries += some
            next += UInt64(some.count)
        }
        return entries
    }

    /// Which of the states this is, if it is one from `oldest` on.
    func matches(_ states: [WALModel], from oldest: Int, released: UInt64) -> Int? {
        states.indices.last { position in
            guard position >= oldest else { return false }
            let state = states[position]
            let first = recovered.firstIndex
            return recovered.lastIndex == state.last && recovered.hardState == state.hardState
                && recovered.checkpointIntent == state.intent
                && entries == state.entries(from: first)
                && (first <= released + 1 || first == state.base + 1)
        }
    }
}

/// A script that meets everything a log can meet: groups, roll-over, conflicts, votes, intents,
/// recycling.
///
/// No call in it is larger than half a segment, up to which a call is all there or not at all.
enum WALScripts {
    static let everything: [WALStep] = [
        .append(count: 3, bytes: 100, term: 1), .flush,
        .vote(term: 2, vote: 7), .flush,
        .append(count: 2, bytes: 700, term: 2, commit: 3), .append(count: 1, bytes: 0, term: 2),
        .flush, .housekeep,
        .intent(bytes: 333), .flush,
        .append(count: 2, bytes: 1500, term: 2, commit: 6), .append(count: 2, bytes: 1500, term: 2),
        .flush,
        .truncate(after: 7), .append(count: 2, bytes: 900, term: 3), .flush,
        .append(count: 1, bytes: 2000, term: 3), .append(count: 1, bytes: 2000, term: 3, commit: 9),
        .append(count: 1, bytes: 2000, term: 3),
        .append(count: 1, bytes: 10, term: 3), .flush, .housekeep,
        .release(through: 9), .housekeep,
        .append(count: 3, bytes: 1000, term: 3, commit: 12),
        .append(count: 2, bytes: 1000, term: 3),
        .flush,
        .truncate(after: 14), .flush,
        .append(count: 3, bytes: 1100, term: 4, commit: 14),
        .append(count: 3, bytes: 1100, term: 4),
        .intent(bytes: 1200), .flush,
        .release(through: 14), .housekeep,
        .append(count: 3, bytes: 1200, term: 4, commit: 20),
        .append(count: 3, bytes: 1200, term: 4),
        .flush,
        .release(through: 20), .housekeep,
        .append(count: 3, bytes: 1200, term: 5, commit: 22),
        .append(count: 3, bytes: 1200, term: 5),
        .flush, .housekeep,
        .reset(to: 40, term: 6), .vote(term: 6, vote: 0), .flush,
        .append(count: 2, bytes: 1300, term: 6, commit: 41),
        .append(count: 3, bytes: 1300, term: 6),
        .flush,
        .release(through: 41), .housekeep,
        .append(count: 3, bytes: 1300, term: 6, commit: 45), .vote(term: 7, vote: 9), .flush,
    ]
}
