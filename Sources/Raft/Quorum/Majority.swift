// Majority.swift: what a majority of a fixed set of voters has stored, or said.
// Belongs here: counting. Never here: who the voters are (Configuration.swift), what follows from it.
// Source: Raft paper §5.2, §5.3. Invariant: a result is backed by more than half of the voters.

/// A fixed set of voters of which more than half decide.
package struct Majority: Equatable, Sendable {
    /// What a vote has come to.
    package enum VoteResult: Equatable, Sendable {
        case won
        case lost
        case pending
    }

    /// In order, each once.
    package let voters: [MemberID]

    package init(voters: [MemberID]) {
        var unique: [MemberID] = []
        for voter in voters.sorted() where unique.last != voter { unique.append(voter) }
        self.voters = unique
    }

    /// The fewest voters that are more than half; 1 for no voters at all, so that nobody decides.
    package var quorum: Int { voters.count / 2 + 1 }

    package func contains(_ member: MemberID) -> Bool { voters.contains(member) }

    /// The greatest value that a majority has reached; `nobody` if there are no voters.
    ///
    /// Compares every pair: clusters have few voters, and this way nothing is allocated.
    package func greatest<Value: Comparable>(
        reached: (MemberID) -> Value, nobody: Value
    ) -> Value {
        var best = nobody
        for candidate in voters {
            let value = reached(candidate)
            guard value > best else { continue }
            var backers = 0
            for voter in voters where reached(voter) >= value { backers += 1 }
            #if SIMULATION
                if RaftBug.commitByMinority.isPlanted, backers + 1 >= quorum { best = value }
            #endif
            if backers >= quorum { best = value }
        }
        return best
    }

    /// Whether a majority fulfils a condition.
    package func isMet(by condition: (MemberID) -> Bool) -> Bool {
        var count = 0
        for voter in voters where condition(voter) { count += 1 }
        return count >= quorum
    }

    /// What a vote has come to, given what each voter said, nil for nothing yet.
    package func result(of vote: (MemberID) -> Bool?) -> VoteResult {
        var granted = 0
        var missing = 0
        for voter in voters {
            switch vote(voter) {
            case true: granted += 1
            case false: break
            case nil: missing += 1
            }
        }
        #if SIMULATION
            if RaftBug.electedByMinority.isPlanted, granted + 1 >= quorum { return .won }
        #endif
        if granted >= quorum { return .won }
        return granted + missing >= quorum ? .pending : .lost
    }
}
