// Executor+Cluster.swift: membership requests, as rows of the tables `member` and `removed_member`.
// Belongs here: what each request checks and writes. Never here: the counts of quorums
// (ReconfigurationRules), who votes in Raft (Replica), the syntax of URLs (Front).
// Source: etcd semantics K1-K7, K9, G4, G17. The members in the tables and those that vote come from
// the same log entry, so they can't differ.

internal import Storage

extension Executor {
    func addMember(
        _ request: MemberAddRequest, nonce: UInt64
    ) throws(RequestFailure) -> Execution {
        try strictly { rules throws(EtcdError) in
            try rules.checkAdding(isLearner: request.isLearner)
        }
        guard members.count < ClusterLimits.membersMax else { throw .refused(.notCapable) }
        let id = ClusterIdentity.addedMemberID(peerURLs: request.peerURLs, nonce: nonce)
        try refuseUsedID(id)
        try refuseUsedURLs(request.peerURLs, except: nil)
        if request.isLearner { try refuseTooManyLearners(members) }
        try write(
            MemberRow(
                id: id, name: "", peerURLs: request.peerURLs, clientURLs: [],
                role: request.isLearner ? .learner : try roleOfNewVoter()))
        return added(try member(id))
    }

    /// How a new voter begins.
    ///
    /// The second of two can't be a voter at once: its own vote would be needed to agree that it is a member,
    /// and nothing could be written before it has started (K4).
    private func roleOfNewVoter() throws(RequestFailure) -> MemberRow.Role {
        guard members.count(where: { $0.role == .voter }) == 1 else { return .voter }
        guard !settings.strictReconfigCheck || !members.contains(where: { $0.role == .joining })
        else { throw .refused(.notEnoughStartedMembers) }
        return .joining
    }

    func removeMember(_ request: MemberRemoveRequest) throws(RequestFailure) -> Execution {
        let row = try member(request.id)
        guard row.isLearner || members.contains(where: { !$0.isLearner && $0.id != row.id }) else {
            throw .refused(.notEnoughStartedMembers)
        }
        try strictly { rules throws(EtcdError) in try rules.checkRemoving(row.id) }
        try erase(row)
        return listed()
    }

    func updateMember(_ request: MemberUpdateRequest) throws(RequestFailure) -> Execution {
        var row = try member(request.id)
        try refuseUsedURLs(request.peerURLs, except: row.id)
        row.peerURLs = request.peerURLs
        try write(row)
        return listed()
    }

    func promoteMember(_ request: MemberPromoteRequest) throws(RequestFailure) -> Execution {
        var row = try member(request.id)
        guard row.isLearner else { throw .refused(.memberNotLearner) }
        // A voter whose disk is lost must be told from one that never started, by what it published
        // (BootstrapPlan): so nobody votes before that.
        guard clusterView().isCaughtUp(row.id), !row.clientURLs.isEmpty else {
            throw .refused(.learnerNotReady)
        }
        try strictly { rules throws(EtcdError) in try rules.checkPromoting() }
        row.role = .voter
        try write(row)
        return listed()
    }

    /// Notes what a member publishes at its start (K9); nothing is written if it is known.
    func publishMember(_ request: PublishMemberRequest) throws(RequestFailure) -> Execution {
        let known = try member(request.id)
        var row = known
        row.name = request.name
        row.clientURLs = request.clientURLs
        guard !known.isPublished(as: row) else { return .answer([]) }
        try write(row)
        return .memberChange(bytes: [])
    }

    /// Puts a fresh identity in the place of a member that lost its disk, in one step.
    ///
    /// The new member begins as a learner, so the quorum never counts one that has nothing, and becomes a
    /// voter once it has caught up, if the old one was.
    func replaceMember(
        _ request: MemberReplaceRequest, nonce: UInt64
    ) throws(RequestFailure) -> Execution {
        let old = try member(request.oldID)
        guard old.id != identity.memberID, clusterView().contact(with: old.id) == .none else {
            throw .refused(.memberExists)
        }
        let rest = members.filter { $0.id != old.id }
        try strictly { rules throws(EtcdError) in
            try rules.checkRemoving(old.id)
            try ReconfigurationRules(members: rest, view: rules.view, ownID: rules.ownID)
                .checkAdding(isLearner: true)
        }
        let id = ClusterIdentity.addedMemberID(peerURLs: old.peerURLs, nonce: nonce)
        try refuseUsedID(id)
        let row = MemberRow(
            id: id, name: request.name, peerURLs: old.peerURLs, clientURLs: [],
            role: old.role == .voter ? .joining : old.role)
        try erase(old)
        try write(row)
        return added(row)
    }

    // MARK: checks; nothing is written before the last of them

    private func strictly(
        _ check: (ReconfigurationRules) throws(EtcdError) -> Void
    ) throws(RequestFailure) {
        guard settings.strictReconfigCheck else { return }
        do throws(EtcdError) {
            try check(
                ReconfigurationRules(
                    members: members, view: clusterView(), ownID: identity.memberID))
        } catch {
            throw .refused(error)
        }
    }

    private func member(_ id: UInt64) throws(RequestFailure) -> MemberRow {
        guard let row = members.first(where: { $0.id == id }) else {
            throw .refused(.memberNotFound)
        }
        return row
    }

    // An id that was removed never comes back (K5, G18).
    private func refuseUsedID(_ id: UInt64) throws(RequestFailure) {
        let isRemoved = try storing { () throws(StorageError) in
            try removedMemberTable.contains(id)
        }
        guard !isRemoved else { throw .refused(.memberNotFound) }
        guard id != 0, !members.contains(where: { $0.id == id }) else {
            throw .refused(.memberExists)
        }
    }

    private func refuseUsedURLs(
        _ urls: [String], except own: UInt64?
    ) throws(RequestFailure) {
        for row in members where row.id != own {
            guard !row.peerURLs.contains(where: urls.contains) else {
                throw .refused(.peerURLExists)
            }
        }
    }

    private func refuseTooManyLearners(_ rows: [MemberRow]) throws(RequestFailure) {
        guard rows.count(where: { $0.role == .learner }) < settings.maxLearners else {
            throw .refused(.tooManyLearners)
        }
    }

    // MARK: writing

    private func write(_ row: MemberRow) throws(RequestFailure) {
        members = try storing { () throws(StorageError) in
            try memberTable.set(row)
            return try memberTable.all()
        }
    }

    private func erase(_ row: MemberRow) throws(RequestFailure) {
        members = try storing { () throws(StorageError) in
            try memberTable.remove(row.id)
            try removedMemberTable.add(row.id)
            return try memberTable.all()
        }
    }

    // MARK: answers, whose headers have revision 0 (G4)

    private func added(_ row: MemberRow) -> Execution {
        var writer = ProtoWriter()
        writer.memberAddResponse(
            header(revision: 0), added: WireMember(row), members: members.map(WireMember.init))
        return .memberChange(bytes: writer.take())
    }

    private func listed() -> Execution {
        var writer = ProtoWriter()
        writer.memberListResponse(header(revision: 0), members: members.map(WireMember.init))
        return .memberChange(bytes: writer.take())
    }
}

extension WireMember {
    /// A stored member as clients see it.
    init(_ row: MemberRow) {
        self.init(
            id: row.id, name: row.name, peerURLs: row.peerURLs, clientURLs: row.clientURLs,
            isLearner: row.isLearner)
    }
}
