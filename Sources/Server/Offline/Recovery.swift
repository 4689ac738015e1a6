// Recovery.swift: the steps from a member of a lost cluster to the only member of a new one.
// Belongs here: what is found, what is written, in which order. Never here: flags and questions.

internal import Storage

/// One recovery; confined to its thread.
final class Recovery {
    private let store: StoppedStore
    private let path: String
    private let own: MemberRow
    private let members: [MemberRow]
    private let clusterInTables: UInt64
    private let name: String
    private let peerURLs: [String]
    private var entriesTaken = 0
    private var state: StoreState
    private var revision: Int64 = 0
    private var keys = 0

    /// - Parameters:
    ///   - name: of the member from now on; nil for the one it has.
    ///   - peerURLs: where it can be reached from now on; nil for where it was.
    init(_ store: StoppedStore, name: String?, peerURLs: [String]?) throws(OfflineError) {
        self.store = store
        path = store.directory.path
        state = store.opened.pages.committedState
        (members, clusterInTables) = try store.read { (connection) throws(StorageError) in
            let cluster = try MetaTable(connection: connection).value(.clusterID) ?? 0
            return (
                try MemberTable(connection: connection).all(), UInt64(bitPattern: cluster)
            )
        }
        let id = store.identity.identity.memberID
        let row = members.first { $0.id == id } ?? (members.count == 1 ? members.first : nil)
        guard let row else {
            throw .refused(
                "\(path): member \(id.idText) is not among the members it knows: it was removed, or "
                    + "had not joined yet")
        }
        own = row
        self.name = name ?? row.name
        self.peerURLs = peerURLs ?? row.peerURLs
    }

    /// The tables are of another cluster than the file `identity`: only that is left to be written.
    var isInterrupted: Bool { clusterInTables != store.identity.identity.clusterID }

    /// Looks at everything before anything is changed.
    func inspect() throws(OfflineError) {
        try store.checkPages()
        entriesTaken = try store.applyRest()
        state = store.opened.pages.committedState
        (revision, keys) = try store.read { (connection) throws(StorageError) in
            let reader = try KeyReader(connection: connection)
            let all = UnsafeRawBufferPointer(start: nil, count: 0)
            return (
                try reader.currentRevision(),
                try reader.countLive(from: all, to: .unbounded, limit: Int.max).count
            )
        }
    }

    /// What the directory holds, and what it cannot hold.
    var report: String {
        let identity = store.identity.identity
        var lines = [
            "\(path): member \(identity.memberID.idText) (\(own.name)) of cluster "
                + "\(identity.clusterID.idText)",
            "  members known: "
                + members.map { "\($0.name.isEmpty ? $0.id.idText : $0.name)" }
                .joined(separator: ", "),
            "  last entry: term \(state.term), index \(state.index)",
            "  revision \(revision), \(keys) keys",
        ]
        if entriesTaken > 0 {
            lines.append(
                "  the last \(entriesTaken) entries were not known to be agreed; they are kept, for "
                    + "their writers may have been told that they are")
        }
        lines.append(
            """
              may be lost: writes that the others acknowledged behind index \(state.index) of term \
            \(state.term). If the
              disk of another member can be read, run this with --dry-run there too, and recover the \
            one with
              the higher term, and of equal terms the one with the higher index.
            """)
        return lines.joined(separator: "\n")
    }

    /// What will be done.
    func plan(_ bump: RevisionBump) -> String {
        var lines = [
            "will make this the only member of a new cluster, \(name) at "
                + peerURLs.joined(separator: ",") + ":",
            "  all keys with their history, leases, users and roles stay; the other "
                + "\(members.count - 1) members are dropped",
            "  the cluster gets a new id: members of the old one cannot connect, and must begin with "
                + "empty directories",
        ]
        lines.append(
            bump.amount > 0
                ? "  the revision becomes \(revision + bump.amount), and everything before counts as "
                    + "compacted: clients read anew"
                : "  the revision goes on from \(revision). If writes were lost, their revisions will be "
                    + "used again: with --bump-revision=1000000 --mark-compacted clients notice")
        lines.append("  to be able to go back, copy \(path) first")
        return lines.joined(separator: "\n")
    }

    /// Brings the tables to the new cluster, durably.
    func run(_ bump: RevisionBump) throws(OfflineError) {
        var generator = SystemRandomNumberGenerator()
        let id = ClusterIdentity.addedMemberID(peerURLs: peerURLs, nonce: generator.next())
        let cluster = NewCluster(
            members: [
                MemberRow(id: id, name: name, peerURLs: peerURLs, clientURLs: [], role: .voter)
            ],
            identity: Identity(
                clusterID: ClusterIdentity.clusterID(memberIDs: [id]), memberID: id))
        let pages = store.opened.pages
        try storing(in: path) { () throws(StorageError) in
            try write(cluster, bump, on: pages)
            let disk = store.directory.disk
            // What another member had begun to send is of the old cluster.
            try SnapshotStaging.discard(disk: disk, directory: path)
            let staging = try SnapshotStaging.open(
                disk: disk, directory: path, base: pages.checkpointState)
            try staging.begin(pages.committedState)
            let source = try pages.openSnapshotSource(for: staging.have)
            while let piece = try source.next(bytesMax: Self.pieceBytes) { try staging.add(piece) }
            _ = try staging.finish()
            let result = try SnapshotStaging.installIfComplete(
                disk: disk, directory: path, log: store.opened.log)
            guard case .installed = result else {
                throw .busy(what: "the new state was not installed: \(result)")
            }
        }
    }

    private static let pieceBytes = 512 << 10

    private func write(
        _ cluster: NewCluster, _ bump: RevisionBump, on pages: PageStore
    ) throws(StorageError) {
        let writer = try pages.openWriter()
        try writer.execute("BEGIN IMMEDIATE")
        try cluster.write(on: writer)
        try bump.write(on: writer)
        let header = try StateHeader(storedOn: writer)
        try writer.execute("COMMIT")
        _ = try pages.encode(header: header)
        let term = max(state.term, store.opened.recovered.hardState.term) + 1
        pages.seal(index: state.index + 1, term: term)
        pages.publish(through: state.index + 1, term: term)
    }

    /// Makes the directory the new member's; returns what to do next.
    func finish() throws(OfflineError) -> String {
        // Read from the disk: after an interruption it is all that is known.
        let (rows, clusterID) = try Self.cluster(in: store.directory)
        guard let member = rows.first, rows.count == 1 else {
            throw .refused("\(path) is of a cluster of \(rows.count) members: nothing was changed")
        }
        let identity = Identity(clusterID: clusterID, memberID: member.id)
        try storing(in: path) { () throws(StorageError) in
            try store.directory.found(StoredIdentity(identity, peers: rows))
        }
        return """
            \(path) is member \(member.id.idText) (\(member.name)) of the new cluster \
            \(clusterID.idText) now.
            Start it with its usual flags. Then, for each other member: etcdctl member add NAME \
            --peer-urls=URL, empty its data directory, and start it with \
            --initial-cluster-state=existing.
            """
    }

    private static func cluster(
        in directory: DataDirectory
    ) throws(OfflineError) -> ([MemberRow], UInt64) {
        try storing(in: directory.path) { () throws(StorageError) in
            let opened = try OpenedStore(directory: directory, disk: directory.disk, seed: 0)
            let reader = try opened.pages.openReader()
            let cluster = try MetaTable(connection: reader.connection).value(.clusterID) ?? 0
            return (
                try MemberTable(connection: reader.connection).all(), UInt64(bitPattern: cluster)
            )
        }
    }
}
