// ReconfigurationRules.swift: whether a membership change would leave a cluster that can still agree.
// Belongs here: the counts behind --strict-reconfig-check. Never here: carrying a change out
// (Executor+Cluster), what a joint quorum is (Raft).
// Source: etcd semantics K3-K6; of the two rules in K3 the newer one (3.5.30, 3.6.11), which lets a
// cluster grow while a minority is down.

internal import Storage

/// The rules for one change, over the members before it.
struct ReconfigurationRules {
    let members: [MemberRow]
    let view: ClusterView
    /// The leader, who always hears itself.
    let ownID: UInt64

    private var voters: [MemberRow] { members.filter { !$0.isLearner } }

    private static func quorum(of count: Int) -> Int { count / 2 + 1 }

    // A name is published at a member's first start (K9).
    private static func started(_ members: [MemberRow]) -> Int {
        members.count { !$0.name.isEmpty }
    }

    /// Voters connected long enough to be relied on, this member among them.
    private func connected(_ voters: [MemberRow]) -> Int {
        voters.count { $0.id == ownID || view.contact(with: $0.id) == .steady }
    }

    /// Refuses a new member that the present ones could not outvote.
    ///
    /// A voter counts at once in the quorum, although it is not there yet. A sole member may add another
    /// (K4).
    func checkAdding(isLearner: Bool) throws(EtcdError) {
        let voters = voters
        if !isLearner {
            let started = Self.started(voters)
            let isFirstPair = voters.count == 1 && started == 1
            guard isFirstPair || started >= Self.quorum(of: voters.count + 1) else {
                throw .notEnoughStartedMembers
            }
        }
        guard voters.count == 1 || connected(voters) >= Self.quorum(of: voters.count + 1) else {
            throw .unhealthy
        }
    }

    /// Refuses to remove a voter whom the others need; a learner is needed by nobody.
    func checkRemoving(_ id: UInt64) throws(EtcdError) {
        let voters = voters
        guard voters.contains(where: { $0.id == id }) else { return }
        let rest = voters.filter { $0.id != id }
        guard Self.started(rest) >= Self.quorum(of: rest.count) else {
            throw .notEnoughStartedMembers
        }
        // One that can't be heard is no part of the quorum that works now.
        if id != ownID, view.contact(with: id) == .none { return }
        guard connected(voters) - 1 >= 1 + rest.count / 2 else { throw .unhealthy }
    }

    /// Refuses to promote a learner where too few voters have ever started.
    func checkPromoting() throws(EtcdError) {
        // The learner counts as a voter that has started.
        guard Self.started(voters) + 1 >= Self.quorum(of: voters.count + 1) else {
            throw .notEnoughStartedMembers
        }
    }
}
