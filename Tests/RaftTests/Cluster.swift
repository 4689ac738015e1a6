// Cluster.swift: members and a network that holds every message.
// Belongs here: carrying out effects as Docs.docc/Raft.md asks. Never here: one member's disk
// (Member.swift), what to do when (Trace.swift, RandomRun.swift), what must hold
// (SafetyChecker.swift).
import Raft

/// Members and the messages between them.
struct Cluster {
    /// In the order of their IDs.
    var members: [Member] = []
    /// In the order they were sent.
    var network: [Message] = []

    /// Starts members; spares are those that no configuration names yet.
    init(
        voters: [UInt64], learners: [UInt64] = [], spares: [UInt64] = [],
        configure: (inout Configuration) -> Void = { _ in }
    ) {
        let membership = Membership(
            voters: voters.map { MemberID($0) }, learners: learners.map { MemberID($0) })
        for number in voters + learners + spares {
            var configuration = Configuration(id: MemberID(number), seed: number)
            configuration.checksWholeLog = true
            configure(&configuration)
            let isSpare = spares.contains(number)
            var member = Member(
                configuration: configuration,
                membership: isSpare ? Membership(voters: []) : membership)
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
        let member = members[position]
        guard let node = member.node, member.toApply > member.applied else { return nil }
        for entry in node.entries(in: member.applied.next..<member.toApply.next) {
            members[position].state.apply(entry)
        }
        return step(id, .applied(through: member.toApply))
    }

    /// Cuts a member's log on disk, as far as its checkpoint allows.
    mutating func compact(_ id: MemberID, through index: LogIndex) -> Effects? {
        let position = position(of: id)
        guard members[position].node != nil else { return nil }
        members[position].makeCheckpoint()
        let limit = min(index, members[position].checkpoint.last.index)
        members[position].disk.compact(through: limit)
        return step(id, .compacted(through: members[position].disk.base.index))
    }

    /// Puts a snapshot in place of a member's state and log; nil if it must not or need not.
    mutating func install(_ snapshot: Snapshot, on id: MemberID) -> Effects? {
        let position = position(of: id)
        guard let node = members[position].node, node.needsSnapshot(endingWith: snapshot.last)
        else { return nil }
        members[position].disk.replace(with: snapshot)
        members[position].checkpoint = snapshot
        members[position].state = snapshot
        members[position].toApply = snapshot.last.index
        return step(id, .installed(snapshot: snapshot.last, membership: snapshot.membership))
    }

    /// Reads what a member asked for from its disk; nothing if it is not there any more.
    mutating func load(_ request: EntriesRequest, for id: MemberID) -> Effects? {
        let disk = members[position(of: id)].disk.written
        var entries: [Entry] = []
        var bytes = 0
        var index = request.from
        while index <= request.through, let entry = disk.entry(at: index) {
            bytes += entry.byteCount
            guard entries.isEmpty || bytes <= request.bytesMax else { break }
            entries.append(entry)
            index = index.next
        }
        let previous = request.from.previous
        let base = previous == disk.base.index ? disk.base : disk.entry(at: previous)?.id
        return step(id, .loaded(entries, after: base ?? .zero, for: request.member))
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
