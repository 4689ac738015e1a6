// Replica+Membership.swift: who the members are, and leadership that is handed over on purpose.
// Belongs here: what the replica does when either changes. Never here: checks on requests
// (Executor+Cluster.swift), the rules of the change itself (Raft).
// Source: Raft paper §6, thesis §3.10 and §4.2; etcd semantics K5, K9, M9. The table `member` and Raft's
// configuration change in one entry, so they can't differ.

internal import Raft
internal import Storage

extension Replica {
    /// At the start: the state as recovery left it.
    func noteRestored() throws(StorageError) {
        publishedRevision = max(1, pages.committedState.header.revision)
        status.publish(pages.committedState, freePages: pages.statistics().freePages)
        status.committed = node.commit.rawValue
        status.isLearner = node.membership.learners.contains(node.id)
        try noteMembers()
    }

    /// Raft's configuration changed, committed or not.
    func noteMembership(_ membership: Membership) {
        status.isLearner = membership.learners.contains(node.id)
        if status.readsLocally, membership.voters != [node.id] {
            tip?.executor.leases.settleAll()
            status.readsLocally = false
        }
    }

    /// The table of members changed, or may have.
    func noteMembers() throws(StorageError) {
        guard pages.committedState.pageCount > 0 else { return }
        let rows: [MemberRow]
        let removed: [UInt64]
        do throws(StorageError) {
            (rows, removed) = try store.read { (reader, _) throws(StorageError) in
                (
                    try MemberTable(connection: reader.connection).all(),
                    try RemovedMemberTable(connection: reader.connection).all()
                )
            }
        } catch {
            guard let damage = Damage(error) else { throw error }
            return found(damage, because: error)
        }
        knowsMembers = true
        members = rows
        isWrongInTable = rows.contains {
            $0.id == settings.identity.memberID && !$0.isPublished(as: settings.member)
        }
        output.report(.membersChanged(rows, removed: removed))
        if removed.contains(settings.identity.memberID), !isRemoved {
            isRemoved = true
            output.report(.removed)
        }
    }

    /// Whether a change of members could be proposed now.
    var mayChangeMembers: Bool {
        #if SIMULATION
            // The core's own guard is left out by the same mistake.
            if RaftBug.planted == .changeUnderway { return node.commit >= termStart }
        #endif
        return node.commit >= max(termStart, node.membershipIndex)
    }

    /// What checks on membership changes go by (K3, K6).
    var clusterView: ClusterView {
        var view = ClusterView(lastIndex: node.durable.rawValue)
        for row in members where row.id != settings.identity.memberID {
            let contact: ClusterView.Contact =
                switch contacts.first(where: { $0.member == row.id })?.since {
                case nil: .none
                case .some(let since):
                    now.since(since) >= ClusterView.steadyMilliseconds ? .steady : .recent
                }
            let match = node.progress(of: MemberID(row.id))?.match ?? .zero
            view.peers.append(
                ClusterView.Peer(id: row.id, contact: contact, match: match.rawValue))
        }
        return view
    }

    /// Notes who can be heard, and since when.
    private func noteContacts() {
        contacts.removeAll { contact in
            !(node.progress(of: MemberID(contact.member))?.isActive ?? false)
        }
        for member in node.membership.members where member != node.id {
            guard node.progress(of: member)?.isActive ?? false,
                !contacts.contains(where: { $0.member == member.rawValue })
            else { continue }
            contacts.append((member.rawValue, now))
        }
    }

    /// Proposes the batch that changed the table of members.
    func proposeMembers(_ payload: [UInt8], _ rows: [MemberRow]) -> Effects {
        let next = node.membership.next(toward: Membership(rows))
        precondition(!next.isJoint, "one request changed more than one voter: \(rows)")
        return node.step(.proposeMembership(next, payload: payload))
    }

    /// Writes down this member's name and client URLs if the table has others (K9).
    func publishSelf() {
        guard isWrongInTable, knowsMembers, node.leader != nil, !isPublishing else { return }
        isPublishing = true
        queue(
            ReplicaRequest(
                origin: .replica,
                body: .publishMember(
                    PublishMemberRequest(
                        id: settings.identity.memberID, name: settings.member.name,
                        clientURLs: settings.member.clientURLs)),
                byteCount: 256, authority: .member))
    }

    // MARK: handing leadership over

    /// Hands leadership to a member, or says why not (M9).
    func handOver(to target: UInt64, for origin: RequestOrigin) {
        guard tip != nil else { return fail(origin, .notLeader) }
        if target == settings.identity.memberID {
            return post(Batch.Answer(origin: origin, content: .message([])))
        }
        guard handover == nil, node.membership.voters.contains(MemberID(target)) else {
            return fail(origin, .badLeaderTransferee)
        }
        beginHandover(to: target, for: origin, reason: "a client asked for it")
    }

    /// Hands leadership to whoever is best prepared, if there is somebody.
    ///
    /// Who had it from this member before comes last: it gave it back, and may be no better off.
    func handOverToBest(reason: String) {
        guard node.role == .leader, handover == nil else { return }
        successors.removeAll { !node.membership.voters.contains($0) }
        var best: (member: MemberID, isBehind: Bool, turn: Int, match: LogIndex)?
        for voter in node.membership.voters where voter != node.id {
            guard let progress = node.progress(of: voter), progress.isActive else { continue }
            let isBehind = progress.mode != .replicating
            let turn = successors.firstIndex(of: voter) ?? -1
            if let known = best {
                guard isBehind == known.isBehind ? turn <= known.turn : known.isBehind else {
                    continue
                }
                let isEqual = isBehind == known.isBehind && turn == known.turn
                if isEqual, progress.match <= known.match { continue }
            }
            best = (voter, isBehind, turn, progress.match)
        }
        guard let best else { return }
        successors.removeAll { $0 == best.member }
        successors.append(best.member)
        beginHandover(to: best.member.rawValue, for: .replica, reason: reason)
    }

    private func beginHandover(to target: UInt64, for origin: RequestOrigin, reason: String) {
        handover = Handover(origin: origin, target: target, began: now)
        output.report(.handingOver(to: target, reason: reason))
        guarded { () throws(StorageError) in
            try perform(node.step(.transferLeadership(to: MemberID(target))))
        }
    }

    func noteTransfer(_ outcome: TransferOutcome) {
        guard let waiting = handover else { return }
        handover = nil
        switch outcome {
        case .refused: fail(waiting.origin, .badLeaderTransferee)
        case .aborted: fail(waiting.origin, .leaderTransferTimeout)
        }
    }

    /// Leadership changed: tells whoever asked for it.
    func settleHandover() {
        guard let waiting = handover, node.leader != nil, node.leader != node.id else { return }
        handover = nil
        if node.leader?.rawValue == waiting.target {
            post(Batch.Answer(origin: waiting.origin, content: .message([])))
        } else {
            fail(waiting.origin, .leaderTransferTimeout)
        }
    }

    /// What the leader does about itself, and about members that are behind.
    func lookAtLeadership() throws(StorageError) {
        publishSelf()
        if let waiting = handover,
            now.since(waiting.began) > 2 * settings.electionTimeoutMilliseconds
        {
            handover = nil
            fail(waiting.origin, .leaderTransferTimeout)
        }
        guard tip != nil, !status.readsLocally || !node.membership.learners.isEmpty,
            now >= nextLook
        else { return }
        nextLook = now.advanced(milliseconds: settings.heartbeatMilliseconds)
        noteContacts()
        if let oldest = saves.first,
            now.since(oldest.asked) > settings.electionTimeoutMilliseconds
        {
            handOverToBest(reason: "this member's disk does not finish a write")
        }
        promoteLearners()
    }

    /// Whether the executor would take the request (Executor+Cluster.swift).
    private func isPromotable(_ row: MemberRow) -> Bool {
        let view = clusterView
        guard view.isCaughtUp(row.id), !row.clientURLs.isEmpty else { return false }
        guard settings.executor.strictReconfigCheck else { return true }
        do throws(EtcdError) {
            try ReconfigurationRules(
                members: members, view: view, ownID: settings.identity.memberID
            ).checkPromoting()
            return true
        } catch {
            return false
        }
    }

    /// Makes learners voters that have caught up, where the operator wants that.
    private func promoteLearners() {
        guard mayChangeMembers else { return }
        for row in members
        where row.role == .joining || row.isLearner && settings.promotesLearners {
            let learner = MemberID(row.id)
            // What would be refused is not asked for: a batch costs an entry whatever comes of it.
            guard let progress = node.progress(of: learner), progress.isActive,
                progress.match >= node.commit, isPromotable(row)
            else { continue }
            queue(
                ReplicaRequest(
                    origin: .replica,
                    body: .memberPromote(MemberPromoteRequest(id: row.id)),
                    byteCount: 64, authority: .member))
            return
        }
    }
}

extension MemberRow {
    /// Whether the table already has what `member` writes down at its start (K9).
    func isPublished(as member: MemberRow) -> Bool {
        name == member.name && clientURLs == member.clientURLs
    }
}

extension Membership {
    /// The configuration that the table of members stands for.
    init(_ rows: [MemberRow]) {
        self.init(
            voters: rows.filter { !$0.isLearner }.map { MemberID($0.id) },
            learners: rows.filter(\.isLearner).map { MemberID($0.id) })
    }
}
