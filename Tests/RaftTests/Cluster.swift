// Cluster.swift: members with pretended disks and a network that holds every message.
// Belongs here: carrying out effects as Docs.docc/Raft.md asks. Never here: what to do when
// (Trace.swift, RandomRun.swift), what must hold (SafetyChecker.swift).
import Raft

/// A disk which finishes writes only when told to, and forgets the unfinished at a crash.
struct PretendedDisk {
    struct Write {
        var number: SaveNumber
        var hard: HardState?
        var truncateAfter: LogIndex?
        var append: [Entry]
    }

    var hard = HardState()
    /// From index 1; nothing is ever compacted.
    var entries: [Entry] = []
    var pending: [Write] = []

    mutating func finishOldest() -> SaveNumber {
        let write = pending.removeFirst()
        apply(write)
        return write.number
    }

    mutating func apply(_ write: Write) {
        if let hard = write.hard { self.hard = hard }
        if let index = write.truncateAfter {
            precondition(entries.count >= Int(index.rawValue), "cut after what is not there")
            entries.removeLast(entries.count - Int(index.rawValue))
        }
        for entry in write.append {
            precondition(entry.id.index.rawValue == UInt64(entries.count + 1), "gap on disk")
            entries.append(entry)
        }
    }

    /// The log as it will be when all is written.
    var written: [Entry] {
        var copy = self
        while !copy.pending.isEmpty { copy.apply(copy.pending.removeFirst()) }
        return copy.entries
    }
}

/// One member: a node, when it runs, and what outlives it.
struct Member {
    var configuration: Configuration
    var voters: [MemberID]
    var node: RaftNode?
    var disk = PretendedDisk()
    /// Messages that wait for a save.
    var held: [(after: SaveNumber, message: Message)] = []
    /// How far the state machine is, and how far it would be after a crash.
    var applied = LogIndex.zero
    var checkpoint = LogIndex.zero
    /// Committed and not yet applied.
    var toApply = LogIndex.zero

    var id: MemberID { configuration.id }

    mutating func start() {
        var restored = Restored(voters: voters)
        restored.hardState = disk.hard
        let index = Int(checkpoint.rawValue)
        restored.base = index == 0 ? .zero : disk.entries[index - 1].id
        restored.entries = Array(disk.entries[index...])
        restored.applied = checkpoint
        applied = checkpoint
        toApply = checkpoint
        node = RaftNode(configuration: configuration, restoring: restored)
    }

    mutating func crash() {
        node = nil
        disk.pending = []
        held = []
    }
}

/// Members and the messages between them.
struct Cluster {
    /// In the order of their IDs.
    var members: [Member] = []
    /// In the order they were sent.
    var network: [Message] = []

    init(voters: [UInt64], configure: (inout Configuration) -> Void = { _ in }) {
        let ids = voters.map { MemberID($0) }
        for id in ids {
            var configuration = Configuration(id: id, seed: id.rawValue)
            configuration.checksWholeLog = true
            configure(&configuration)
            var member = Member(configuration: configuration, voters: ids)
            member.start()
            members.append(member)
        }
    }

    func position(of id: MemberID) -> Int {
        guard let position = members.firstIndex(where: { $0.id == id }) else {
            preconditionFailure("no member \(id.rawValue)")
        }
        return position
    }

    subscript(id: UInt64) -> Member {
        get { members[position(of: MemberID(id))] }
        set { members[position(of: MemberID(id))] = newValue }
    }

    /// Gives a running node an input and carries out what it asks for; nil if it is down.
    mutating func step(_ id: MemberID, _ input: Input) -> Effects? {
        let position = position(of: id)
        guard let effects = members[position].node?.step(input) else { return nil }
        if effects.needsSave {
            members[position].disk.pending.append(
                PretendedDisk.Write(
                    number: effects.saveNumber, hard: effects.save,
                    truncateAfter: effects.truncateAfter, append: effects.append))
        }
        network += effects.sendNow
        for message in effects.sendAfterSave {
            members[position].held.append((effects.saveNumber, message))
        }
        if let committed = effects.committed {
            members[position].toApply = committed.upperBound.previous
        }
        return effects
    }

    /// Finishes the oldest save of a member and lets go what waited for it.
    mutating func finishSave(_ id: MemberID) -> Effects? {
        let position = position(of: id)
        guard !members[position].disk.pending.isEmpty else { return nil }
        let number = members[position].disk.finishOldest()
        while let first = members[position].held.first, first.after <= number {
            network.append(first.message)
            members[position].held.removeFirst()
        }
        return step(id, .saved(number))
    }

    /// Applies everything committed.
    mutating func apply(_ id: MemberID) -> Effects? {
        let position = position(of: id)
        guard members[position].toApply > members[position].applied else { return nil }
        members[position].applied = members[position].toApply
        return step(id, .applied(through: members[position].applied))
    }

    /// Reads what a member asked for from its disk.
    mutating func load(_ request: EntriesRequest, for id: MemberID) -> Effects? {
        let log = members[position(of: id)].disk.written
        let start = Int(request.from.rawValue)
        var end = start
        var bytes = log[start - 1].byteCount
        while end < Int(request.through.rawValue), bytes + log[end].byteCount <= request.bytesMax {
            bytes += log[end].byteCount
            end += 1
        }
        let previous = start == 1 ? EntryID.zero : log[start - 2].id
        return step(
            id, .loaded(Array(log[(start - 1)..<end]), after: previous, for: request.member))
    }

    /// Delivers, saves and applies until nothing is left to do.
    mutating func settle() {
        var rounds = 0
        while runOnce() {
            rounds += 1
            precondition(rounds < 10_000, "the members never come to rest")
        }
    }

    private mutating func runOnce() -> Bool {
        var didWork = false
        let messages = network
        network = []
        for message in messages {
            didWork = true
            let effects = step(message.to, .received(message))
            for request in effects?.needEntries ?? [] { _ = load(request, for: message.to) }
        }
        for member in members {
            while finishSave(member.id) != nil { didWork = true }
            if apply(member.id) != nil { didWork = true }
        }
        return didWork
    }
}
