// RandomRun+Events.swift: the single events of a run.
// Belongs here: what is drawn when an event happens. Never here: which happens (RandomRun.swift).
import Raft

extension RandomRun {
    mutating func propose(_ id: MemberID) {
        let count = Int.random(in: 1...3, using: &generator)
        var payloads: [[UInt8]] = []
        for _ in 0..<count {
            nextPayload += 1
            let size = Int.random(in: 8...40, using: &generator)
            var payload = Array(repeating: UInt8(truncatingIfNeeded: nextPayload), count: size)
            payload[0] = UInt8(truncatingIfNeeded: nextPayload >> 8)
            payloads.append(payload)
        }
        step(id, .propose(payloads))
    }

    mutating func read(_ id: MemberID) {
        let context = ReadContext(nextContext)
        nextContext += 1
        checker.asked(context)
        step(id, .readIndex(context, mayWait: chance(60)))
    }

    /// A round that waits without heartbeats goes to another member, or back, beside the core's messages.
    mutating func passRoundOn(_ id: MemberID) {
        let other = someMember()
        guard let node = cluster.members[cluster.position(of: id)].node, other != id else { return }
        if node.role == .leader {
            if chance(20) { return step(id, .hurryReads) }
            step(other, .heard(node.quietRound, in: node.term))
        } else if let leader = node.leader {
            let answer = Message.Body.heartbeatAnswer(round: node.heardRound)
            cluster.network.append(Message(from: id, to: leader, term: node.term, body: answer))
        }
    }

    mutating func deliver() {
        guard !cluster.network.isEmpty else { return }
        // Mostly in order, sometimes not.
        let reach = chance(80) ? 1 : cluster.network.count
        let message = cluster.network.remove(at: Int.random(in: 0..<reach, using: &generator))
        if message.to == isolated, chance(80) {
            // Comes when the cut is over, if not lost.
            cluster.network.append(message)
            return
        }
        if chance(odds.lossPercent) { return }
        if message.to == isolated || message.from == isolated { return }
        if let cut, cut == (message.from, message.to) { return }
        if chance(odds.doublePercent) { cluster.network.append(message) }
        step(message.to, .received(message))
    }

    mutating func crash(_ id: MemberID) {
        let position = cluster.position(of: id)
        // What the disk was told may have reached it, in order, up to any point.
        while !cluster.members[position].disk.pending.isEmpty, chance(50) {
            _ = cluster.members[position].disk.finishOldest()
        }
        cluster.members[position].crash()
        if chance(30) {
            restart(id)
            if chance(50) { step(id, .campaign) }
        }
    }

    mutating func restart(_ id: MemberID) {
        let position = cluster.position(of: id)
        if cluster.members[position].node == nil { cluster.members[position].start() }
    }

    /// Asks for any other configuration, or one that would be wrong.
    mutating func changeMembers(_ id: MemberID) {
        guard let node = cluster.members[cluster.position(of: id)].node else { return }
        var voters: [MemberID] = []
        var learners: [MemberID] = []
        let keepsMost = chance(60)
        for member in cluster.members.map(\.id) {
            let isChanged = !keepsMost || chance(20)
            switch isChanged ? Int.random(in: 0..<4, using: &generator) : 4 {
            case 0, 1: voters.append(member)
            case 2: learners.append(member)
            case 3: break
            default:
                if node.membership.voters.contains(member) { voters.append(member) }
                if node.membership.learners.contains(member) { learners.append(member) }
            }
        }
        let target = Membership(voters: voters, learners: learners)
        // Not every caller asks for the next step.
        let next = chance(90) ? node.membership.next(toward: target) : target
        step(id, .proposeMembership(next, payload: [1, 2, 3]))
    }

    mutating func transfer(_ id: MemberID) {
        let target = someMember()
        step(id, .transferLeadership(to: target))
        if cluster.members[cluster.position(of: id)].node?.transferTarget == target {
            transfersBegun += 1
        }
    }

    mutating func compact(_ id: MemberID) {
        let member = cluster.members[cluster.position(of: id)]
        // Mostly all that may go, sometimes a little less.
        let kept = UInt64(chance(70) ? 0 : Int.random(in: 0...5, using: &generator))
        let index = LogIndex(member.applied.rawValue - min(kept, member.applied.rawValue))
        observe(id, cluster.compact(id, through: index))
    }
}
