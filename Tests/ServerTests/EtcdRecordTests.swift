// EtcdRecordTests.swift: single records of etcd: which are taken, which are refused.
// Belongs here: Migration/EtcdRecords, EtcdChange, EtcdAuth. Never here: whole databases.

import Storage
import Testing

@testable import Server

@Suite struct EtcdRecordTests {
    private func change(_ key: [UInt8], _ value: [UInt8]) throws -> EtcdChange {
        let database = try BoltDatabase(BoltFiles.written(["key": [BoltPair(key, value)]]))
        let cursor = try #require(try database.bucket("key"))
        #expect(try cursor.next())
        return try EtcdChange(cursor)
    }

    private static func record(
        key: String = "a", create: Int64 = 3, mod: Int64 = 5, version: Int64 = 2
    ) -> WireKeyValue {
        WireKeyValue(
            key: Bytes(key), createRevision: create, modRevision: mod, version: version,
            value: "v", lease: 9)
    }

    @Test("record: a put, a deletion and a raised revision are told apart")
    func kinds() throws {
        let place = EtcdPlace(main: 5, sub: 2).bytes
        guard case .put(let put, let at) = try change(place, Self.record().encoded()) else {
            Issue.record("not a put")
            return
        }
        #expect(put == Self.record() && at == PackedRevision(main: 5, sub: 2))
        let tombstone = EtcdPlace(main: 5, isTombstone: true).bytes
        guard
            case .deletion(let key, _) = try change(tombstone, WireKeyValue(key: "a").encoded())
        else {
            Issue.record("not a deletion")
            return
        }
        #expect(key == "a")
        guard case .floor(5) = try change(EtcdPlace(main: 5).bytes, []) else {
            Issue.record("not a raised revision")
            return
        }
    }

    @Test("record: what contradicts itself is refused with the page")
    func refused() {
        let place = EtcdPlace(main: 5).bytes
        let bad: [([UInt8], [UInt8])] = [
            (place, Self.record(mod: 6).encoded()), (place, Self.record(create: 6).encoded()),
            (place, Self.record(create: 0).encoded()), (place, Self.record(version: 0).encoded()),
            (place, Self.record(version: .max).encoded()), (place, Self.record(key: "").encoded()),
            (place, [0xff, 0xff]), (Array(place.dropLast()), Self.record().encoded()),
            (place + [0], Self.record().encoded()), (place + [116, 116], Self.record().encoded()),
            (EtcdPlace(main: .max).bytes, Self.record().encoded()),
            (EtcdPlace(main: 5, sub: 1 << 20).bytes, Self.record().encoded()),
            ([UInt8](repeating: 0x41, count: 17), Self.record().encoded()),
        ]
        for (key, value) in bad {
            #expect(throws: BoltError.self, "\(key) \(value)") { try change(key, value) }
        }
    }

    @Test("auth: users, roles and permissions come back from etcd's buckets as they went in")
    func auth() throws {
        var auth = EtcdAuth()
        auth.isEnabled = true
        auth.revision = 42
        auth.users = [
            AuthUserRow(name: [97], hash: Array("$2a$10$x".utf8), roles: [[98], [99]]),
            AuthUserRow(name: [98], hash: [], hasNoPassword: true),
        ]
        auth.roles = [
            AuthRoleRow(
                name: [99],
                permissions: [
                    AuthPermissionRow(key: [1], rangeEnd: [], kind: .read),
                    AuthPermissionRow(key: [2], rangeEnd: [0], kind: .readWrite),
                ])
        ]
        var contents: BoltContents = [:]
        for (name, entries) in auth.buckets {
            contents[name] = entries.map { BoltPair($0.key, $0.value) }
        }
        #expect(try EtcdAuth(BoltDatabase(BoltFiles.written(contents))) == auth)
        #expect(try EtcdAuth(BoltDatabase(BoltFiles.written([:]))) == EtcdAuth())
        let connection = try Connection(path: ":memory:")
        try Schema.create(on: connection)
        try auth.write(on: connection)
        #expect(try EtcdAuth(on: connection) == auth)
    }

    @Test("auth: a user under another name, and a permission of no kind, are refused")
    func badAuth() throws {
        let user = EtcdUser(name: "a")
        let role = EtcdRole(name: "r", permissions: [WirePermission(kind: 7, key: "k")])
        let bad: [BoltContents] = [
            ["authUsers": [BoltPair([98], user.encoded())]],
            ["authUsers": [BoltPair([], EtcdUser().encoded())]],
            ["authRoles": [BoltPair(Array("r".utf8), role.encoded())]],
            ["auth": [BoltPair(Array("authRevision".utf8), [1, 2])]],
        ]
        for contents in bad {
            let database = try BoltDatabase(BoltFiles.written(contents))
            #expect(throws: BoltError.self) { try EtcdAuth(database) }
        }
    }
}
