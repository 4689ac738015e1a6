// AuthTableTests.swift: users, roles and logins as rows.
// Belongs here: what is written is read again, in order. Never here: what a change is allowed to do (ServerTests).

import Storage
import Testing

@testable import Storage

@Suite struct AuthTableTests {
    private func store() throws -> Connection {
        let connection = try Connection(path: ":memory:")
        try Schema.create(on: connection)
        return connection
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test("users: rewritten and removed with their roles, in the order of their bytes")
    func users() throws {
        let table = try AuthTable(connection: store())
        let names = ["b", "a", "e\u{301}", "\u{e9}", "a\0b", ""].map(bytes)
        for name in names {
            try table.setUser(AuthUserRow(name: name, hash: bytes("h"), roles: [bytes("z"), name]))
        }
        #expect(try table.users().map(\.name) == names.sorted { $0.lexicographicallyPrecedes($1) })
        try table.setUser(AuthUserRow(name: bytes("a"), hash: [], hasNoPassword: true))
        try table.grant(bytes("r"), to: bytes("b"))
        try table.revoke(bytes("z"), from: bytes("b"))
        try table.revoke(bytes("z"), from: bytes("b"))
        let users = try table.users()
        #expect(
            users.first { $0.name == bytes("a") }
                == AuthUserRow(name: bytes("a"), hash: [], hasNoPassword: true))
        #expect(users.first { $0.name == bytes("b") }?.roles == [bytes("b"), bytes("r")])
        try table.removeUser(bytes("b"))
        try table.removeUser(bytes("b"))
        #expect(try !table.users().contains { $0.name == bytes("b") })
        try table.setUser(AuthUserRow(name: bytes("b"), hash: []))
        #expect(try table.users().first { $0.name == bytes("b") }?.roles == [])
    }

    @Test("roles: a permission is replaced by its range; a removed role leaves all users")
    func roles() throws {
        let table = try AuthTable(connection: store())
        let role = bytes("r")
        try table.addRole(role)
        try table.addRole(role)
        for (key, end, kind) in [("b", "c", .read), ("a", "", .write), ("b", "c", .readWrite)]
            as [(String, String, AuthPermissionRow.Kind)]
        {
            try table.setPermission(
                AuthPermissionRow(key: bytes(key), rangeEnd: bytes(end), kind: kind), of: role)
        }
        #expect(
            try table.roles() == [
                AuthRoleRow(
                    name: role,
                    permissions: [
                        AuthPermissionRow(key: bytes("a"), rangeEnd: [], kind: .write),
                        AuthPermissionRow(key: bytes("b"), rangeEnd: bytes("c"), kind: .readWrite),
                    ])
            ])
        try table.removePermission(key: bytes("b"), rangeEnd: [], of: role)
        try table.removePermission(key: bytes("a"), rangeEnd: [], of: role)
        #expect(try table.roles().first?.permissions.count == 1)
        try table.setUser(AuthUserRow(name: bytes("u"), hash: [], roles: [role]))
        try table.removeRole(role)
        #expect(try table.roles().isEmpty && table.users().first?.roles == [])
    }

    @Test("state: off at revision 1; on, a release that knows no users refuses the store")
    func state() throws {
        let connection = try store()
        let table = try AuthTable(connection: connection)
        let meta = try MetaTable(connection: connection)
        #expect(try !table.isEnabled() && table.revision() == 1)
        try table.setRevision(.max >> 9)
        try table.setEnabled(true)
        #expect(try table.isEnabled() && table.revision() == .max >> 9)
        #expect(try meta.value(.formatVersion) == Schema.formatVersionWithAuth)
        try table.setEnabled(false)
        #expect(try !table.isEnabled() && meta.value(.formatVersion) == Schema.formatVersion)
    }

    @Test("a permission of a kind that this release does not know is an error, not a guess")
    func unknownKind() throws {
        let connection = try store()
        let table = try AuthTable(connection: connection)
        try table.addRole(bytes("r"))
        try connection.execute("INSERT INTO auth_permission VALUES(x'72', x'61', x'', 3)")
        #expect(throws: StorageError.self) { try table.roles() }
    }

    @Test("logins: added, found, ended one by one or all")
    func logins() throws {
        let table = try AuthTokenTable(connection: store())
        let rows = (0..<3 as Range<UInt8>).map {
            AuthTokenRow(digest: [$0], user: bytes("u\($0)"), index: .max - UInt64($0))
        }
        for row in rows.reversed() { try table.add(row) }
        #expect(try table.all() == rows)
        #expect(try table.row(digest: [1]) == rows[1])
        #expect(try table.row(digest: [9]) == nil)
        try table.remove(digest: [1])
        try table.remove(digest: [1])
        #expect(try table.all() == [rows[0], rows[2]])
        try table.removeAll()
        #expect(try table.all().isEmpty)
    }
}
