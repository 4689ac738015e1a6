// PeerDirectory.swift: who belongs to the cluster, as far as this member knows, for every thread.
// Belongs here: admission. Never here: connections (PeerNetwork.swift), the table itself (Storage).
// Source: etcd semantics K5: an id that was removed never comes back. A member that was away may meet one that the
// others added meanwhile and that leads now: etcd takes whoever knows the cluster's id and was not removed, too.
// A member that joins repeats the log from its beginning: until its own addition its tables are those of a time before
// it, and who told it of the cluster knew better.

internal import Storage
internal import Transport

/// The members that may connect to this one.
final class PeerDirectory: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards every var.
    private let monitor = Monitor()
    private var rows: [MemberRow]
    /// Whom this member was told of when it joined, as long as its tables are older than that.
    private var told: [MemberRow]
    private var removed: [UInt64] = []
    /// The database has named the members; before, they are whom this member was told of.
    private var isKnown = false

    /// Members that this one does not know yet, admitted while it heard of no other leader.
    private var strangers: [MemberRow] = []

    private let ownID: UInt64
    private let isFounding: Bool
    private let status: SharedStatus

    private static let strangersMax = 8

    /// - Parameters:
    ///   - rows: whom this member founds the cluster with, or was told of when it joined.
    ///   - ownID: this member.
    ///   - isFounding: this member founds the cluster with these, and began without anything. One that began
    ///     with data must not say so, not even in the moments before its own tables have told it the members:
    ///     whoever lost its disk would take its word for that of a new cluster, and vote.
    ///   - status: tells who leads.
    init(_ rows: [MemberRow], ownID: UInt64, isFounding: Bool, status: SharedStatus) {
        self.rows = rows
        told = isFounding ? [] : rows
        self.ownID = ownID
        self.isFounding = isFounding
        self.status = status
    }

    /// The members now, by ascending id.
    var members: [MemberRow] {
        monitor.lock()
        defer { monitor.unlock() }
        return rows
    }

    /// Whom this member connects to: the members it knows, and those that it was only told of or only met.
    var reachable: [MemberRow] {
        monitor.lock()
        defer { monitor.unlock() }
        var found = rows
        for row in told + strangers where !found.contains(where: { $0.id == row.id }) {
            found.append(row)
        }
        return found
    }

    func set(_ rows: [MemberRow], removed: [UInt64]) {
        monitor.lock()
        defer { monitor.unlock() }
        self.rows = rows
        self.removed = removed
        isKnown = true
        let isCurrent = rows.contains { $0.id == ownID } || removed.contains(ownID)
        told = isCurrent ? [] : told.filter { !removed.contains($0.id) }
        // The leader's own addition may be still to come.
        strangers.removeAll { stranger in
            stranger.id != status.leader || removed.contains(stranger.id)
                || rows.contains { $0.id == stranger.id }
        }
    }

    /// What this member tells one that starts without data (K10); nil if it knows nothing itself.
    func answer(to request: BootstrapRequest, by identity: Identity) -> BootstrapResponse? {
        monitor.lock()
        defer { monitor.unlock() }
        // A table of the past may lack a member, or have one as not started that has since lost its disk.
        guard told.isEmpty, isKnown || isFounding else { return nil }
        var response = BootstrapResponse()
        response.clusterID = identity.clusterID
        response.answererID = identity.memberID
        response.isFounding = !isKnown
        guard isKnown else { return response }
        response.members = rows.map {
            WireMember(
                id: $0.id, name: $0.name, peerURLs: $0.peerURLs, clientURLs: $0.clientURLs,
                isLearner: $0.isLearner)
        }
        response.isRemoved = request.memberID != 0 && removed.contains(request.memberID)
        return response
    }

    /// Whether a member that introduces itself may stay.
    func admits(_ hello: PeerHello) -> PeerAdmission {
        if hello.channel == .bootstrap { return .accept }
        monitor.lock()
        defer { monitor.unlock() }
        let id = hello.from.idText
        if removed.contains(hello.from) {
            return .refuse(
                .removedMember, "member \(id) was removed from the cluster; its id can't come back")
        }
        guard (rows + told).contains(where: { $0.id == hello.from }) || meet(hello) else {
            return .refuse(
                .unknownMember, "no member \(id) is known here; was it added to this cluster?")
        }
        return .accept
    }

    /// Takes one that is not known for a member added while this one was away; `monitor` is held.
    ///
    /// Not while a member that is known leads: that one will tell who belongs to the cluster.
    private func meet(_ hello: PeerHello) -> Bool {
        let leader = status.leader
        guard leader == 0 || leader == hello.from, !hello.url.isEmpty else { return false }
        strangers.removeAll { $0.id == hello.from }
        if strangers.count == Self.strangersMax { strangers.removeFirst() }
        strangers.append(
            MemberRow(
                id: hello.from, name: hello.name, peerURLs: [hello.url], clientURLs: [],
                role: .voter))
        return true
    }

    /// Whether one that was admitted is not among the members known.
    func isStranger(_ member: UInt64) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        return strangers.contains { $0.id == member }
    }
}
