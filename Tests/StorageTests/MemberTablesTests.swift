// MemberTablesTests.swift: rows of members, ids that were removed, and the store of an older release.
// Belongs here: the tables alone. Never here: membership changes (ServerTests).
// Source: etcd semantics K1, K5.

import Storage
import Testing

@Suite struct MemberTablesTests {
    private func store() throws -> Connection {
        let connection = try Connection(path: ":memory:")
        try Schema.create(on: connection)
        return connection
    }

    private func row(_ id: UInt64, _ role: MemberRow.Role) -> MemberRow {
        MemberRow(
            id: id, name: "n\(id)", peerURLs: ["http://a:1", "http://b:2"], clientURLs: [],
            role: role)
    }

    @Test("members: all roles come back, by ascending id as an unsigned number (K1)")
    func members() throws {
        let members = try MemberTable(connection: store())
        let list = [row(1, .learner), row(2, .joining), row(.max, .voter)]
        for row in list.reversed() { try members.set(row) }
        #expect(try members.all() == list)
        #expect(list.map(\.isLearner) == [true, true, false])
        var changed = list[1]
        changed.role = .voter
        try members.set(changed)
        try members.remove(.max)
        try members.remove(77)
        #expect(try members.all() == [list[0], changed])
    }

    @Test("members: a role of a newer release is refused, not taken for another")
    func unknownRole() throws {
        let connection = try store()
        try connection.execute("INSERT INTO member VALUES(5, 'n', '', '', 9)")
        let members = try MemberTable(connection: connection)
        #expect(throws: StorageError.incompatible(file: "db", found: "a member of role 9")) {
            try members.all()
        }
    }

    @Test("removed members: an id that was noted stays noted, and only that one (K5)")
    func removed() throws {
        let table = try RemovedMemberTable(connection: store())
        #expect(try !table.contains(.max))
        try table.add(.max)
        try table.add(.max)
        #expect(try table.contains(.max))
        #expect(try !table.contains(1))
    }

    @Test("meta: bytes come back as they were, also none at all")
    func metaBytes() throws {
        let meta = try MetaTable(connection: store())
        #expect(try meta.bytes(.membership) == nil)
        for bytes in [[0, 1, 255], [], [7]] as [[UInt8]] {
            try meta.set(.membership, to: bytes)
            #expect(try meta.bytes(.membership) == bytes)
        }
        try meta.remove(.membership)
        #expect(try meta.bytes(.membership) == nil)
    }

    @Test(
        "schema: a store of an older release lacks tables, gets them once, and keeps its rows",
        arguments: ["removed_member", "auth_token"])
    func upgrade(missing: String) throws {
        let connection = try store()
        try connection.execute("DROP TABLE \(missing)")
        try MemberTable(connection: connection).set(row(1, .voter))
        #expect(try Schema.exists(on: connection))
        #expect(try !Schema.isCurrent(on: connection))
        for _ in 0..<2 {
            try Schema.upgrade(on: connection)
            #expect(try Schema.isCurrent(on: connection))
        }
        #expect(try MemberTable(connection: connection).all() == [row(1, .voter)])
        #expect(try !RemovedMemberTable(connection: connection).contains(1))
        #expect(try !Schema.isCurrent(on: Connection(path: ":memory:")))
    }

    @Test("schema: a newer format is refused before anything is added to it")
    func newerFormat() throws {
        let connection = try store()
        try MetaTable(connection: connection).set(
            .formatVersion, to: Schema.formatVersionWithAuth + 1)
        #expect(throws: StorageError.self) { try Schema.isCurrent(on: connection) }
    }
}
