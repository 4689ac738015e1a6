// PeerDirectory.swift: who belongs to the cluster, as far as this member knows, for every thread.
// Belongs here: admission. Never here: connections (PeerNetwork.swift), the table itself (Storage).
// Source: etcd semantics K5: an id that was removed never comes back.

internal import Storage
internal import Transport

/// The members that may connect to this one.
final class PeerDirectory: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards every var.
    private let monitor = Monitor()
    private var rows: [MemberRow]
    private var removed: [UInt64] = []
    /// The database has named the members; before, they are whom this member was told of.
    private var isKnown = false

    private let isFounding: Bool

    /// - Parameter isFounding: this member founds the cluster with these, and began without anything. One
    ///   that began with data must not say so, not even in the moments before its own tables have told it the
    ///   members: whoever lost its disk would take its word for that of a new cluster, and vote.
    init(_ rows: [MemberRow], isFounding: Bool) {
        self.rows = rows
        self.isFounding = isFounding
    }

    /// The members now, by ascending id.
    var members: [MemberRow] {
        monitor.lock()
        defer { monitor.unlock() }
        return rows
    }

    func set(_ rows: [MemberRow], removed: [UInt64]) {
        monitor.lock()
        defer { monitor.unlock() }
        self.rows = rows
        self.removed = removed
        isKnown = true
    }

    /// What this member tells one that starts without data (K10); nil if it knows nothing itself.
    func answer(to request: BootstrapRequest, by identity: Identity) -> BootstrapResponse? {
        monitor.lock()
        defer { monitor.unlock() }
        guard isKnown || isFounding else { return nil }
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
        guard rows.contains(where: { $0.id == hello.from }) else {
            return .refuse(
                .unknownMember, "no member \(id) is known here; was it added to this cluster?")
        }
        return .accept
    }
}
