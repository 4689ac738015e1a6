// NewCluster.swift: the cluster that a restored or imported store begins.
// Belongs here: its members and ids, from etcd's flags. Never here: files (StoreBuilder).
// Source: etcd semantics G17; etcdctl.md part 3: each member restores from the same file, with the same flags
// but --name and its own URLs.

internal import Storage

/// The members of a cluster that begins, and which of them this directory is for.
struct NewCluster: Equatable {
    let members: [MemberRow]
    let identity: Identity

    init(_ configuration: Configuration) throws(OfflineError) {
        do throws(BootstrapError) {
            let own = try configuration.ownInitialMember()
            try configuration.checkAdvertisedURLs(of: own)
            members = configuration.foundingMembers
            identity = Identity(
                clusterID: ClusterIdentity.clusterID(memberIDs: members.map(\.id)),
                memberID: ClusterIdentity.memberID(
                    peerURLs: own.peerURLs, token: configuration.initialClusterToken))
        } catch {
            throw .usage("\(error)")
        }
    }

    init(members: [MemberRow], identity: Identity) {
        self.members = members
        self.identity = identity
    }

    /// Writes the cluster into the tables, in place of any other; inside the caller's transaction.
    func write(on connection: Connection) throws(StorageError) {
        if try !Schema.isCurrent(on: connection) { try Schema.upgrade(on: connection) }
        try connection.execute("DELETE FROM member; DELETE FROM removed_member")
        // A login is for the cluster that it was made in.
        try AuthTokenTable(connection: connection).removeAll()
        let table = try MemberTable(connection: connection)
        for member in members { try table.set(member) }
        let meta = try MetaTable(connection: connection)
        try meta.set(.clusterID, to: Int64(bitPattern: identity.clusterID))
        try meta.remove(.membership)
    }

    /// What goes into the file `identity`: whom this member listens to before it reads the tables.
    var stored: StoredIdentity { StoredIdentity(identity, peers: members) }
}

/// What a restore does to revisions, so that nobody takes a new one for one seen before.
struct RevisionBump: Equatable {
    /// How much is added to the current revision.
    var amount: Int64 = 0
    /// Whether everything up to the new current revision counts as compacted.
    var marksCompacted = false

    static let amountMax: Int64 = 1 << 40

    /// Raises the revision; inside the caller's transaction.
    func write(on connection: Connection) throws(StorageError) {
        guard amount > 0 || marksCompacted else { return }
        let revision = try KeyReader(connection: connection).currentRevision() + amount
        guard revision < 1 << 42 else { throw .busy(what: "revision \(revision) is too large") }
        let meta = try MetaTable(connection: connection)
        try meta.set(.revisionFloor, to: revision)
        guard marksCompacted, revision > (try meta.value(.compacted) ?? -1) else { return }
        try Compactor(connection: connection).begin(at: revision)
    }
}
