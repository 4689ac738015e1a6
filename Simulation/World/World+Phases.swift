// World+Phases.swift: a run from end to end: faults, then healing and the proof that the cluster lives.
// Belongs here: the order. Never here: faults (Faults/), clients (Clients/).
// Source: TigerBeetle's idea of two phases: safety under all faults; liveness of a healed core while all else
// stays broken for ever.

import Raft
import Storage

@testable import Server

extension World {
    private static func founderID(_ place: Int) -> UInt64 { 0xa1 + UInt64(place) }

    /// Founds the cluster.
    func found() {
        let rows = (0..<setup.members).map { place in
            MemberRow(
                id: Self.founderID(place), name: "n\(place)",
                peerURLs: [SimulatedNode.peerURL(place)], clientURLs: [], role: .voter)
        }
        for row in rows {
            _ = addNode(
                identity: Identity(clusterID: 0xc1, memberID: row.id), founders: rows, peers: [])
        }
        nodes.forEach(start)
    }

    /// Runs all of it; `failure` says what came out.
    func runAll() {
        defer { release() }
        clients.begin()
        plan.begin()
        run(until: now.after(microseconds: setup.safetyMicroseconds))
        guard failure == nil else { return }
        proveLiveness()
        guard failure == nil else { return }
        converge()
    }

    // MARK: liveness

    /// Heals a quorum and wants new writes to succeed.
    private func proveLiveness() {
        note(.phase, -1, 1, 0, "liveness")
        plan.heal()
        let core = chooseCore()
        var dice = Dice(seed: setup.seed, .faults, number: 1)
        for node in nodes where !core.contains(node.place) && !node.isRetired {
            plan.breakForGood(node, by: &dice)
        }
        for place in core { start(nodes[place]) }
        var isServed = false
        askForWrite(core) { isServed = true }
        run(until: now.after(microseconds: setup.livenessMicroseconds)) { isServed }
        guard failure == nil, !isServed else { return }
        fail(
            "liveness",
            "no write succeeded in \(setup.livenessMicroseconds / 1_000_000) s after machines \(core) "
                + "were healed")
    }

    /// A quorum of the members as the newest log has them.
    private func chooseCore() -> [Int] {
        var newest: (last: EntryID, membership: Membership)?
        for node in nodes {
            guard let core = node.process?.replica.node else { continue }
            if let newest, newest.last.isAtLeastAsUpToDate(as: core.last) { continue }
            newest = (core.last, core.membership)
        }
        guard let membership = newest?.membership, setup.members > 2 else {
            return nodes.filter { !$0.isRetired }.map(\.place)
        }
        // While a change is under way, or a machine is damaged, nobody may be missing.
        let voters = membership.voters.compactMap { place(of: $0.rawValue) }
        // A change that is not agreed may be known to those only that are about to be broken.
        let founders = Membership(voters: (0..<setup.members).map { MemberID(Self.founderID($0)) })
        let isDisputed = nodes.contains { node in
            guard !node.isRetired else { return false }
            guard let process = node.process else { return membership != founders }
            return process.replica.node.membership != membership
        }
        let isChanging =
            membership.isJoint || isDisputed || voters.count != membership.voters.count
            || nodes.contains { $0.disk.isSpoiled || $0.awaitsIdentity }
            || nodes.count > setup.members || voters.contains { nodes[$0].isRetired }
        guard !isChanging else { return nodes.filter { !$0.isRetired }.map(\.place) }
        return faultDice.reordered(voters).prefix(voters.count / 2 + 1).sorted()
    }

    private func askForWrite(_ core: [Int], _ done: @escaping () -> Void) {
        guard let place = faultDice.pick(core) else { return }
        let put = Put(Array("alive".utf8), Array("\(now.microseconds)".utf8))
        clients.run(ClientGroup.prober, place, .put(put), timeout: .seconds(5)) { [self] outcome in
            if case .answered = outcome { return done() }
            schedule(after: .milliseconds(200)) { [self] in askForWrite(core, done) }
        }
    }

    // MARK: convergence

    /// Heals everything and wants all members to hold the same bytes.
    private func converge() {
        note(.phase, -1, 2, 0, "convergence")
        clients.stop()
        plan.mend()
        nodes.forEach(start)
        let end = now.after(microseconds: setup.livenessMicroseconds)
        while now < end, failure == nil {
            run(until: now.after(microseconds: .seconds(1)))
            if !clients.isBusy, isConverged, isUndamaged { return judge() }
        }
        guard failure == nil else { return }
        let places = nodes.filter { !$0.isRetired }.map { node in
            "\(node.name) at \(node.process?.status.applied ?? 0)"
                + (node.process?.replica.damage.map { ", damaged: \($0)" } ?? "")
        }
        fail(
            "convergence", "members did not reach the same entry: \(places.joined(separator: ", "))"
        )
    }

    // MARK: judgement

    /// Lets what clients did and saw, and what members hold, be judged.
    private func judge() {
        let healed = now
        letLeasesEnd(since: healed)
        // What is on its way to watches arrives; leases go on ending meanwhile, so this is repeated.
        var revision: Int64 = -1
        while failure == nil, revision != finalRevision || !isConverged {
            revision = finalRevision
            run(until: now.after(microseconds: .seconds(2)))
        }
        guard failure == nil else { return }
        readEverything()
        // The leader's own work may have gone on meanwhile.
        let end = now.after(microseconds: setup.livenessMicroseconds)
        while failure == nil, now < end, !isConverged { run(until: now.after(microseconds: 500)) }
        guard failure == nil, isConverged else {
            return fail(
                "convergence", "members are never at the same entry, though nothing is asked")
        }
        clients.settle(revision)
        var place = 0
        do throws(StorageError) {
            var contents: [FinalContent] = []
            for node in lasting {
                place = node.place
                if let process = node.process { contents.append(try process.content()) }
            }
            let terms = leaseTerms(since: healed)
            let violations = HistoryChecker.check(clients.history, terms: terms, contents: contents)
            try comparePages()
            let accesses = GrantChecker.check(clients.grants)
            if let first = (violations + accesses).first { fail(first.rule.rawValue, "\(first)") }
            for check in checks {
                if let found = check(self, contents) { fail(found.rule, found.text) }
            }
        } catch {
            fail("content", "the content of n\(place) can't be read at the end: \(error)")
        }
    }

    /// What leases are judged by: since all is healed and one member leads, each has to end in time.
    private func leaseTerms(since healed: Moment) -> LeaseTerms {
        let began = max(healed, reignBegan)
        // A new leader's grace, its look at deadlines each half second, and the way of what it says.
        let late =
            .milliseconds(2 * setup.electionMilliseconds) + .seconds(3)
            + 64 * setup.network.delayMicroseconds
        return LeaseTerms(
            driftPerMillion: 2 * setup.clockDriftPerMillion, lateMax: late,
            reigns: [
                LeaseTerms.Reign(from: began.microseconds, until: Moment.never.microseconds)
            ])
    }

    /// Waits until no lease may live any more that clients asked for.
    private func letLeasesEnd(since healed: Moment) {
        let longest = setup.workloads.filter { $0.kind == .lease }.map { $0["ttl"] }.max()
        guard let longest else { return }
        let late = leaseTerms(since: healed).lateMax
        run(until: max(healed, reignBegan).after(microseconds: .seconds(longest + 1) + late))
    }

    /// A client reads all keys: what calls of unknown outcome did shows in their revisions.
    private func readEverything() {
        guard let place = lasting.first?.place else { return }
        var isRead = false
        clients.run(
            ClientGroup.prober, place, .range(RangeRead(.everything)), timeout: .seconds(5)
        ) { _ in isRead = true }
        run(until: now.after(microseconds: .seconds(6))) { isRead }
    }

    private var finalRevision: Int64 {
        lasting.first?.process?.store.pages.committedState.header.revision ?? 0
    }

    /// The machines that should agree at the end.
    private var lasting: [SimulatedNode] {
        nodes.filter { !$0.isRetired }
    }

    /// Whether every page of every file is what it should be; members learn of those that are not.
    private var isUndamaged: Bool {
        // All members look, for each can then see to it.
        lasting.map { $0.process?.isFileWhole ?? false }.allSatisfy { $0 }
    }

    /// Compares the databases byte by byte, not by the sums that members keep themselves.
    private func comparePages() throws(StorageError) {
        var first: (name: String, pages: [UInt64])?
        for node in lasting {
            guard let pages = try node.process?.pageSums() else { continue }
            guard let known = first else {
                first = (node.name, pages)
                continue
            }
            guard known.pages != pages else { continue }
            let page = zip(known.pages, pages).enumerated().first { $1.0 != $1.1 }?.offset
            return fail(
                "equal bytes",
                "\(known.name) and \(node.name) differ in "
                    + (page.map { "page \($0 + 1)" } ?? "their number of pages"))
        }
    }

    private var isConverged: Bool {
        guard let first = lasting.first?.process?.store.pages.committedState else { return false }
        return lasting.allSatisfy { node in
            guard let process = node.process else { return false }
            return process.store.pages.committedState == first
                && process.replica.node.commit == process.replica.node.last.index
        }
    }
}
