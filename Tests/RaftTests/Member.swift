// Member.swift: one member of a test cluster: its node, its pretended disk, its state machine.
// Belongs here: what outlives a crash and what does not. Never here: the network (Cluster.swift).
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
    /// The entry before the log's first.
    var base = EntryID.zero
    var entries: [Entry] = []
    var pending: [Write] = []

    var last: EntryID { entries.last?.id ?? base }

    /// The entry at a place, if the log reaches it and still has it.
    func entry(at index: LogIndex) -> Entry? {
        guard index > base.index, index <= last.index else { return nil }
        return entries[index.distance(from: base.index) - 1]
    }

    mutating func finishOldest() -> SaveNumber {
        let write = pending.removeFirst()
        apply(write)
        return write.number
    }

    mutating func apply(_ write: Write) {
        if let hard = write.hard { self.hard = hard }
        if let index = write.truncateAfter {
            precondition(index >= base.index && index <= last.index, "cut after what is not there")
            entries.removeLast(last.index.distance(from: index))
        }
        for entry in write.append {
            precondition(entry.id.index == last.index.next, "gap on disk")
            entries.append(entry)
        }
    }

    /// The disk as it will be when all is written.
    var written: PretendedDisk {
        var copy = self
        while !copy.pending.isEmpty { copy.apply(copy.pending.removeFirst()) }
        return copy
    }

    /// Removes the entries through a place.
    mutating func compact(through index: LogIndex) {
        guard let entry = entry(at: index) else { return }
        entries.removeFirst(index.distance(from: base.index))
        base = entry.id
    }

    /// Puts an empty log behind a snapshot in place of the log and of what is still to be written.
    mutating func replace(with snapshot: Snapshot) {
        for position in pending.indices {
            if let hard = pending[position].hard { self.hard = hard }
            pending[position].truncateAfter = nil
            pending[position].append = []
        }
        base = snapshot.last
        entries = []
    }
}

/// A state machine, of which only the place in the log and the configuration there matter.
struct Snapshot: Equatable {
    var last: EntryID
    var membership: Membership

    mutating func apply(_ entry: Entry) {
        precondition(entry.id.index == last.index.next, "applies \(entry.id) after \(last)")
        last = entry.id
        guard entry.kind == .membership else { return }
        if let (next, _) = Membership.split(entry.payload) { membership = next }
    }
}

/// One member: a node, when it runs, and what outlives it.
struct Member {
    var configuration: Configuration
    var node: RaftNode?
    var disk = PretendedDisk()
    /// Messages that wait for a save.
    var held: [(after: SaveNumber, message: Message)] = []
    /// The state machine, and what it would be after a crash.
    var state: Snapshot
    var checkpoint: Snapshot
    /// Committed and not yet applied.
    var toApply = LogIndex.zero

    var id: MemberID { configuration.id }
    var applied: LogIndex { state.last.index }

    init(configuration: Configuration, membership: Membership) {
        self.configuration = configuration
        checkpoint = Snapshot(last: .zero, membership: membership)
        state = checkpoint
    }

    mutating func start() {
        var restored = Restored(membership: checkpoint.membership)
        restored.hardState = disk.hard
        restored.compactedThrough = disk.base.index
        restored.base = checkpoint.last
        let known = checkpoint.last.index.distance(from: disk.base.index)
        restored.entries = Array(disk.entries[known...])
        restored.applied = checkpoint.last.index
        state = checkpoint
        toApply = state.last.index
        node = RaftNode(configuration: configuration, restoring: restored)
    }

    mutating func crash() {
        node = nil
        disk.pending = []
        held = []
    }

    /// Makes what is applied, and on the disk, what a crash goes back to.
    mutating func makeCheckpoint() {
        guard let node, state.last.index <= node.durable else { return }
        checkpoint = state
    }
}
