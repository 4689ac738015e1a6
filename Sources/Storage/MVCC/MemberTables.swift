// MemberTables.swift: who is a member, and who was one.
// Belongs here: rows and one statement each. Never here: which changes are allowed (Server/Replica).
// Source: etcd semantics K1, K5. Invariant: no id is in both tables.

/// A stored member.
public struct MemberRow: Equatable, Sendable {
    /// Whether and how a member votes.
    public enum Role: Int64, Sendable {
        /// It votes.
        case voter = 0
        /// It gets the log and does not vote, until somebody promotes it.
        case learner = 1
        /// A learner that the leader promotes once it has caught up: it is to be a voter, and has no data yet.
        case joining = 2
    }

    /// The member's id.
    public var id: UInt64
    /// Its name; empty until it has started once.
    public var name: String
    /// URLs for other members.
    public var peerURLs: [String]
    /// URLs for clients; empty until it has started once.
    public var clientURLs: [String]
    /// Whether and how it votes.
    public var role: Role

    /// A member of the cluster.
    public init(
        id: UInt64, name: String, peerURLs: [String], clientURLs: [String], role: Role
    ) {
        self.id = id
        self.name = name
        self.peerURLs = peerURLs
        self.clientURLs = clientURLs
        self.role = role
    }

    /// A member of the cluster that votes, or does not.
    public init(
        id: UInt64, name: String, peerURLs: [String], clientURLs: [String], isLearner: Bool
    ) {
        self.init(
            id: id, name: name, peerURLs: peerURLs, clientURLs: clientURLs,
            role: isLearner ? .learner : .voter)
    }

    /// Whether it does not vote.
    public var isLearner: Bool { role != .voter }
}

/// Table `member`.
public struct MemberTable {
    private let selectAll: Statement
    private let replace: Statement
    private let delete: Statement

    /// Prepares the statements.
    public init(connection: Connection) throws(StorageError) {
        selectAll = try connection.prepare(
            "SELECT id, name, peer_urls, client_urls, learner FROM member")
        replace = try connection.prepare("INSERT OR REPLACE INTO member VALUES(?, ?, ?, ?, ?)")
        delete = try connection.prepare("DELETE FROM member WHERE id = ?")
    }

    /// All members by ascending id (K1).
    public func all() throws(StorageError) -> [MemberRow] {
        defer { selectAll.reset() }
        var rows: [MemberRow] = []
        while try selectAll.step() {
            let role = selectAll.integer(4)
            guard let role = MemberRow.Role(rawValue: role) else {
                throw .incompatible(file: "db", found: "a member of role \(role)")
            }
            rows.append(
                MemberRow(
                    id: UInt64(bitPattern: selectAll.integer(0)), name: selectAll.text(1),
                    peerURLs: Self.list(selectAll.text(2)),
                    clientURLs: Self.list(selectAll.text(3)), role: role))
        }
        // The table orders by signed id.
        return rows.sorted { $0.id < $1.id }
    }

    /// Adds a member or rewrites it.
    public func set(_ row: MemberRow) throws(StorageError) {
        replace.bind(1, Int64(bitPattern: row.id))
        replace.bind(2, row.name)
        replace.bind(3, row.peerURLs.joined(separator: ","))
        replace.bind(4, row.clientURLs.joined(separator: ","))
        replace.bind(5, row.role.rawValue)
        try replace.run()
    }

    /// Removes a member; missing is no error.
    public func remove(_ id: UInt64) throws(StorageError) {
        delete.bind(1, Int64(bitPattern: id))
        try delete.run()
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map(String.init)
    }
}

/// Table `removed_member`: ids that never come back (K5).
public struct RemovedMemberTable {
    private let select: Statement
    private let selectAll: Statement
    private let insert: Statement

    /// Prepares the statements; the table must exist (`Schema.isCurrent`).
    public init(connection: Connection) throws(StorageError) {
        select = try connection.prepare("SELECT 1 FROM removed_member WHERE id = ?")
        selectAll = try connection.prepare("SELECT id FROM removed_member ORDER BY id")
        insert = try connection.prepare("INSERT OR IGNORE INTO removed_member VALUES(?)")
    }

    /// All ids that were removed.
    public func all() throws(StorageError) -> [UInt64] {
        defer { selectAll.reset() }
        var ids: [UInt64] = []
        while try selectAll.step() { ids.append(UInt64(bitPattern: selectAll.integer(0))) }
        return ids
    }

    /// Whether a member of this id was removed.
    public func contains(_ id: UInt64) throws(StorageError) -> Bool {
        defer { select.reset() }
        select.bind(1, Int64(bitPattern: id))
        return try select.step()
    }

    /// Notes an id that is not to come back; noted already is no error.
    public func add(_ id: UInt64) throws(StorageError) {
        insert.bind(1, Int64(bitPattern: id))
        try insert.run()
    }
}
