// Invariants.swift: what must hold after every step, over all members and all their restarts.
// Belongs here: safety of the log and of the pages. Elsewhere: +Elections (who may lead, changes of members).
// Never here: what clients see (Checkers/).
// Source: Raft paper figure 3; design section 6, rules 1 to 3.

import Raft
import Storage

@testable import Server

/// Watches all members; the first broken rule ends the run.
final class Invariants {
    /// What a member has promised or shown, over all its processes.
    struct Record {
        var member: UInt64 = 0
        /// Whom it voted for, by term, newest last.
        var votes: [(term: UInt64, candidate: UInt64)] = []
        /// The newest entry it has said to be on its disk, and in which term it said so.
        var acknowledged: (term: UInt64, index: UInt64) = (0, 0)
        /// The term it was last seen to lead in, the commit it began that with, and who voted in its look before,
        /// since which entry.
        var leading: (term: UInt64, from: UInt64, membership: Membership?, since: LogIndex) =
            (0, 0, nil, .zero)
        /// The members among whom it stood for election when it was last seen to.
        var standing: Membership?
        /// The newest entry of its log that changes the members, if it was seen before it was agreed.
        var change: EntryID?
        /// Of the running process.
        var term: UInt64 = 0
        var commit: UInt64 = 0
        var applied: UInt64 = 0
        var authRevision: UInt64 = 0
        var last: UInt64 = 0
        var checked: UInt64 = 0
        /// The entry whose pages were looked at last.
        var pages: UInt64 = 0
    }

    struct Agreed {
        let hash: UInt64
        let place: Int
    }

    unowned(unsafe) let world: World
    var records: [Record] = []
    /// Who led, by term; looked up only.
    private var leaders: [UInt64: UInt64] = [:]
    /// What is agreed, by index.
    private(set) var entries: [Agreed?] = []
    private var pages: [Agreed?] = []
    /// The newest entry known to be agreed.
    private(set) var newest: UInt64 = 0
    /// The newest entry that was agreed in each term, in the order in which that was seen.
    private(set) var reached: [(term: UInt64, index: UInt64)] = []
    /// Election timeouts that were drawn.
    var timeouts = TimeoutSample()
    /// What was agreed when members asked leaders for read indexes; looked up only.
    private var asked: [ReadContext: UInt64] = [:]

    init(world: World) {
        self.world = world
    }

    // MARK: events

    /// A process has opened its store.
    func started(_ process: MemberProcess) {
        let place = process.node.place
        let member = process.node.identity.memberID
        while records.count <= place { records.append(Record()) }
        if records[place].member != member { records[place] = Record(member: member) }
        records[place].term = 0
        records[place].leading = (0, 0, nil, .zero)
        records[place].standing = nil
        records[place].change = nil
        records[place].commit = 0
        records[place].applied = 0
        records[place].authRevision = 0
        records[place].last = 0
        records[place].checked = 0
        records[place].pages = 0
        guard !process.node.disk.isSpoiled else { return }
        checkFile(process)
        let record = records[place]
        let node = process.replica.node
        if node.term.rawValue < record.votes.last?.term ?? 0
            || node.term.rawValue < record.acknowledged.term
        {
            world.fail(
                "term forgotten",
                "\(process.node.name) restarted in term \(node.term.rawValue) after acting in a later one"
            )
        }
        let kept = max(node.last.index.rawValue, process.store.pages.checkpointState.index)
        if record.acknowledged.term == node.term.rawValue, kept < record.acknowledged.index {
            world.fail(
                "acknowledgement forgotten",
                "\(process.node.name) acknowledged entry \(record.acknowledged.index) in term "
                    + "\(record.acknowledged.term) and restarted with \(kept)")
        }
    }

    /// A member sends a message.
    func look(at message: Message, of node: SimulatedNode) {
        let term = message.term.rawValue
        switch message.body {
        case .voteAnswer(granted: true): vote(node, term, for: message.to.rawValue)
        case .appendAccepted(let match):
            let known = records[node.place].acknowledged
            if (term, match.rawValue) > (known.term, known.index) {
                records[node.place].acknowledged = (term, match.rawValue)
            }
        case .readIndexRequest(let context, _): asked[context] = newest
        case .readIndexAnswer(let context, let index?, _): look(at: index, for: context, node)
        default: break
        }
    }

    /// A leader says from which entry on a read sees all that was agreed before it was asked for.
    private func look(at index: LogIndex, for context: ReadContext, _ node: SimulatedNode) {
        guard let agreed = asked.removeValue(forKey: context), index.rawValue < agreed else {
            return
        }
        world.fail(
            "read index",
            "\(node.name) answers with entry \(index.rawValue) a read that was asked for when entry "
                + "\(agreed) was agreed")
    }

    private func vote(_ node: SimulatedNode, _ term: UInt64, for candidate: UInt64) {
        guard let known = records[node.place].votes.last(where: { $0.term == term }) else {
            return records[node.place].votes.append((term, candidate))
        }
        guard known.candidate != candidate else { return }
        world.fail(
            "one vote a term",
            "\(node.name) voted for \(known.candidate.idText) and \(candidate.idText) in term \(term)"
        )
    }

    /// A member has taken a turn.
    func look(at process: MemberProcess) {
        let place = process.node.place
        let replica = process.replica
        guard replica.failure == nil else { return }
        let commit = replica.node.commit.rawValue
        let last = replica.node.last.index.rawValue
        let applied = process.status.applied
        checkTerm(process)
        checkTimeout(replica.node)
        if last < records[place].last, replica.node.role == .leader,
            records[place].leading.term == replica.node.term.rawValue
        {
            world.fail(
                "leaders only append",
                "\(process.node.name) leads and cuts its log from \(records[place].last) to \(last)"
            )
        }
        checkCounting(process)
        if commit < records[place].commit || applied < records[place].applied {
            world.fail(
                "progress",
                "\(process.node.name) went back: commit \(records[place].commit) to \(commit), "
                    + "applied \(records[place].applied) to \(applied)")
        }
        let first = process.store.log.firstIndex
        let checkpoint = process.store.pages.checkpointState.index
        if applied > commit || commit > last || checkpoint > applied || first > checkpoint + 1 {
            world.fail(
                "order of indexes",
                "\(process.node.name): log from \(first), checkpoint \(checkpoint), "
                    + "applied \(applied), commit \(commit), last \(last)")
        }
        if last < records[place].last { world.marks.reach(.logTruncated) }
        records[place].last = last
        records[place].commit = commit
        records[place].applied = applied
        checkEntries(process)
        checkChange(process)
        checkPages(process)
    }

    private func checkTerm(_ process: MemberProcess) {
        let term = process.replica.node.term.rawValue
        let place = process.node.place
        if term < records[place].term {
            world.fail(
                "terms only grow",
                "\(process.node.name) went from term \(records[place].term) to \(term)")
        }
        records[place].term = term
        if process.replica.node.role == .candidate {
            records[place].standing = process.replica.node.membership
        }
        // A term that it was seen to lead in before was looked at then.
        guard process.replica.node.role == .leader, records[place].leading.term != term else {
            return
        }
        let member = process.node.identity.memberID
        guard let known = leaders[term] else {
            leaders[term] = member
            // A candidate's vote for itself binds it once it counts, not when it asks for others'.
            vote(process.node, term, for: member)
            return checkElection(process)
        }
        guard known != member else { return }
        world.fail(
            "one leader a term",
            "\(known.idText) and \(member.idText) both lead in term \(term)")
    }

    /// A leader commits what a quorum of its members has, and begins with an entry of its own term.
    private func checkCounting(_ process: MemberProcess) {
        let place = process.node.place
        guard process.replica.node.role == .leader else { return }
        let commit = process.replica.node.commit
        let term = process.replica.node.term.rawValue
        let former = records[place].leading.membership
        if former == nil || records[place].leading.since != process.replica.node.membershipIndex {
            records[place].leading.membership = process.replica.node.membership
            records[place].leading.since = process.replica.node.membershipIndex
        }
        guard records[place].leading.term == term else {
            // In the turn in which it won it may have been a follower that heard of a commit.
            records[place].leading.term = term
            records[place].leading.from = commit.rawValue
            return
        }
        guard commit.rawValue > max(records[place].leading.from, records[place].commit) else {
            return
        }
        if commit > process.replica.node.memoryBase.index {
            let written = process.replica.node.entry(at: commit).id.term.rawValue
            if written != term {
                world.fail(
                    "own term commits",
                    "\(process.node.name) leads in term \(term) and commits entry "
                        + "\(commit.rawValue) of term \(written)")
            }
        }
        let membership = process.replica.node.membership
        if JointQuorum(membership).isMet(by: { has($0, process) }) { return }
        let isCounted =
            former.map { JointQuorum($0).isMet { has($0, process) } } ?? false
        guard !isCounted else { return }
        world.fail(
            "a quorum commits",
            "\(process.node.name) commits entry \(commit.rawValue), which no quorum of its members has"
        )
    }

    /// Whether a voter has said to have what a leader commits; one that was replaced since is believed.
    private func has(_ voter: MemberID, _ leader: MemberProcess) -> Bool {
        let term = leader.replica.node.term.rawValue
        let commit = leader.replica.node.commit
        if voter.rawValue == leader.node.identity.memberID {
            return leader.replica.node.durable >= commit
        }
        guard let place = world.place(of: voter.rawValue), records.indices.contains(place) else {
            return true
        }
        let said = records[place].acknowledged
        return (said.term, said.index) >= (term, commit.rawValue)
    }

    private func checkEntries(_ process: MemberProcess) {
        let place = process.node.place
        let replica = process.replica
        let commit = replica.node.commit.rawValue
        guard commit > records[place].checked else { return }
        let first = max(records[place].checked, replica.node.memoryBase.index.rawValue) + 1
        records[place].checked = max(commit, records[place].checked)
        noteAgreed(commit, in: replica.node.term.rawValue)
        guard first <= commit else { return }
        for index in first...commit {
            let entry = replica.node.entry(at: LogIndex(index))
            let hash = Self.hash(entry)
            world.trace.mix(hash)
            note(hash, of: index, in: &entries, place) { other in
                world.fail(
                    "committed entries never change",
                    "entry \(index) of \(process.node.name), term \(entry.id.term.rawValue), "
                        + "differs from that of n\(other)")
            }
        }
    }

    private func noteAgreed(_ index: UInt64, in term: UInt64) {
        guard index > newest else { return }
        newest = index
        // Terms seldom change: one place for each is enough.
        if reached.last?.term == term { reached.removeLast() }
        reached.append((term, index))
    }

    private func checkPages(_ process: MemberProcess) {
        let place = process.node.place
        let state = process.store.pages.committedState
        guard state.index > 0, state.index != records[place].pages else { return }
        records[place].pages = state.index
        world.trace.mix(state.databaseHash)
        let authRevision = AuthMark(header: state.header).revision
        if authRevision < records[place].authRevision {
            world.fail(
                "auth revisions only grow",
                "\(process.node.name) went from auth revision "
                    + "\(records[place].authRevision) to \(authRevision)")
        }
        records[place].authRevision = authRevision
        note(state.databaseHash, of: state.index, in: &pages, place) { other in
            world.fail(
                "equal pages at equal index",
                "\(process.node.name) and n\(other) differ at entry \(state.index)")
        }
    }

    private func note(
        _ hash: UInt64, of index: UInt64, in list: inout [Agreed?], _ place: Int,
        differs: (Int) -> Void
    ) {
        let position = Int(index)
        if list.count <= position {
            list.append(contentsOf: repeatElement(nil, count: position + 1 - list.count))
        }
        guard let known = list[position] else {
            list[position] = Agreed(hash: hash, place: place)
            return
        }
        if known.hash != hash { differs(known.place) }
    }

    static func hash(_ entry: Entry) -> UInt64 {
        var hash = entry.id.term.rawValue &* 0x9E37_79B9_7F4A_7C15
        entry.payload.withUnsafeBytes { bytes in
            var place = 0
            while place + 8 <= bytes.count {
                hash ^= bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                hash = (hash &* 0xD6E8_FEB8_6659_FD93) ^ (hash >> 31)
                place += 8
            }
            while place < bytes.count {
                hash = (hash ^ UInt64(bytes[place])) &* 0x0000_0100_0000_01B3
                place += 1
            }
        }
        return hash
    }
}
