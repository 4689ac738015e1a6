// EtcdLogTests.swift: etcd's log, made by hand: what counts, what is torn, what is damaged.
// Belongs here: EtcdLog and EtcdReplay's choice. Never here: logs of etcd itself (Tests/Conformance).

import CChecksum
import Storage
import TestSupport
import Testing

@testable import Server

@Suite struct EtcdLogTests {
    /// A log file under construction.
    private struct Writer {
        var bytes: [UInt8] = []
        var checksum: UInt32 = 0

        init() {
            append(type: 4, nil)
            append(type: 1, [])
        }

        mutating func append(type: Int64, _ data: [UInt8]?) {
            if let data {
                checksum = data.withUnsafeBytes {
                    martlet_crc32c(checksum, $0.baseAddress, $0.count)
                }
            }
            var record = ProtoWriter()
            record.int64(1, type, keepsDefault: true)
            record.uint64(2, UInt64(checksum), keepsDefault: true)
            if let data { record.bytes(3, Bytes(data), keepsDefault: true) }
            let padding = (8 - record.count % 8) % 8
            var head = UInt64(record.count)
            if padding > 0 { head |= UInt64(0x80 | padding) << 56 }
            bytes.appendBolt(head)
            bytes += record.bytes + [UInt8](repeating: 0, count: padding)
        }

        mutating func entry(_ index: UInt64, term: UInt64 = 1, _ data: [UInt8] = []) {
            var entry = ProtoWriter()
            entry.uint64(1, 0, keepsDefault: true)
            entry.uint64(2, term)
            entry.uint64(3, index)
            if !data.isEmpty { entry.bytes(4, Bytes(data)) }
            append(type: 2, entry.bytes)
        }

        mutating func commit(_ index: UInt64) {
            var state = ProtoWriter()
            state.uint64(1, 1)
            state.uint64(2, 1)
            state.uint64(3, index)
            append(type: 3, state.bytes)
        }

        /// As etcd preallocates it.
        var file: EtcdLogFile {
            EtcdLogFile(
                path: "wal/0.wal", sequence: 0, firstIndex: 0,
                bytes: bytes + [UInt8](repeating: 0, count: 4096))
        }
    }

    private static func put(_ key: String) -> [UInt8] {
        var request = ProtoWriter()
        request.uint64(1, 77)
        request.message(4, PutRequest(key: Bytes(key)))
        return request.bytes
    }

    private func reason(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test("log: entries after the index that was asked for count, and the newest commit")
    func entries() throws {
        var writer = Writer()
        for index in 1...5 { writer.entry(UInt64(index)) }
        writer.commit(3)
        writer.commit(4)
        let log = try EtcdLog([writer.file], after: 2)
        #expect(log.entries.map(\.index) == [3, 4, 5])
        #expect(log.committed == 4)
        #expect(!log.hasTornEnd)
        #expect(try EtcdLog([writer.file], after: 9).entries.isEmpty)
    }

    @Test("log: an entry takes the place of one at its index and of all behind it")
    func overwritten() throws {
        var writer = Writer()
        for index in 1...5 { writer.entry(UInt64(index), term: 1) }
        writer.entry(3, term: 2)
        let log = try EtcdLog([writer.file], after: 0)
        #expect(log.entries.map(\.index) == [1, 2, 3])
        #expect(log.entries.last?.term == 2)
    }

    @Test("log: the checksum goes on from one file to the next")
    func files() throws {
        var first = Writer()
        first.entry(1)
        var second = first
        second.bytes = []
        second.append(type: 4, nil)
        second.entry(2)
        #expect(try EtcdLog([first.file, second.file], after: 0).entries.count == 2)
        var other = Writer()
        other.checksum = 5
        other.bytes = []
        other.append(type: 4, nil)
        #expect(
            reason { _ = try EtcdLog([first.file, other.file], after: 0) }
                .contains("does not match its checksum"))
    }

    @Test(
        "log: sectors that were never written are a torn end, other bytes that are wrong are damage"
    )
    func sectors() throws {
        var writer = Writer()
        writer.entry(1, Self.put("a"))
        writer.entry(2, Self.put(String(repeating: "b", count: 2_000)))
        var bytes = writer.file.bytes
        for place in 1_024..<1_536 { bytes[place] = 0 }
        let torn = try EtcdLog(
            [EtcdLogFile(path: "w", sequence: 0, firstIndex: 0, bytes: bytes)], after: 0)
        #expect(torn.entries.count == 1 && torn.hasTornEnd)
        bytes[1_200] = 1
        #expect(
            reason {
                _ = try EtcdLog(
                    [EtcdLogFile(path: "w", sequence: 0, firstIndex: 0, bytes: bytes)], after: 0)
            }.contains("damaged at offset"))
    }

    @Test(
        "log: a cut at any byte leaves what was whole before, and is damage in any file but the last"
    )
    func torn() throws {
        var writer = Writer()
        writer.entry(1, Self.put("a"))
        let whole = writer.bytes.count
        writer.entry(2, Self.put("b"))
        for cut in whole..<writer.bytes.count {
            let file = EtcdLogFile(
                path: "w", sequence: 0, firstIndex: 0, bytes: Array(writer.bytes[..<cut]))
            let log = try EtcdLog([file], after: 0)
            #expect(log.entries.count == 1, "cut at \(cut)")
            #expect(log.hasTornEnd == (cut >= whole + 8), "cut at \(cut)")
        }
        var last = Writer()
        last.checksum = writer.checksum
        let torn = EtcdLogFile(
            path: "w", sequence: 0, firstIndex: 0, bytes: Array(writer.bytes[..<(whole + 12)]))
        #expect(
            reason { _ = try EtcdLog([torn, last.file], after: 0) }.contains("damaged at offset"))
    }

    @Test("log: a flipped byte before the end is damage, with its offset")
    func damaged() throws {
        var writer = Writer()
        for index in 1...20 { writer.entry(UInt64(index), Self.put("key-\(index)")) }
        let whole = try EtcdLog([writer.file], after: 0)
        var seen = 0
        for place in 0..<(writer.bytes.count * 3 / 4) {
            var bytes = writer.file.bytes
            bytes[place] ^= 0x55
            let file = EtcdLogFile(path: "w", sequence: 0, firstIndex: 0, bytes: bytes)
            let text = reason {
                let log = try EtcdLog([file], after: 0)
                _ = try EtcdReplay(log, after: 0, path: "w")
                // Not seen: then it lay in padding.
                #expect(log.entries == whole.entries, "byte \(place)")
            }
            if !text.isEmpty { seen += 1 }
        }
        #expect(seen > writer.bytes.count / 2)
    }

    @Test("log: a length that was damaged is no torn end, also in the last record")
    func damagedLength() throws {
        var writer = Writer()
        for index in 1...4 { writer.entry(UInt64(index), Self.put("key-\(index)")) }
        let last = writer.bytes.count
        writer.entry(5, Self.put("key-5"))
        var first = Writer()
        first.entry(1, Self.put("key-1"))
        for record in [first.bytes.count, last] {
            for byte in 0..<7 {
                for bit in 0..<8 {
                    var bytes = writer.file.bytes
                    bytes[record + byte] ^= 1 << bit
                    let file = EtcdLogFile(path: "w", sequence: 0, firstIndex: 0, bytes: bytes)
                    let text = reason { _ = try EtcdLog([file], after: 0) }
                    #expect(
                        text.contains("damaged at offset \(record)"), "\(record) \(byte) \(bit)")
                }
            }
        }
    }

    @Test("replay: a gap between database and log is refused with both numbers")
    func gap() throws {
        var writer = Writer()
        writer.entry(8)
        let log = try EtcdLog([writer.file], after: 5)
        let text = reason { _ = try EtcdReplay(log, after: 5, path: "wal") }
        #expect(text.contains("entry 8") && text.contains("entry 6 is missing"), "\(text)")
    }

    @Test("replay: requests that change something are taken, others are passed over")
    func choice() throws {
        var writer = Writer()
        writer.entry(1)
        writer.entry(2, Self.put("a"))
        var version = ProtoWriter()
        version.message(1300, EmptyRequest())
        writer.entry(3, version.bytes)
        writer.commit(2)
        let log = try EtcdLog([writer.file], after: 0)
        let replay = try EtcdReplay(log, after: 0, path: "wal")
        #expect(replay.steps.count == 1)
        #expect((replay.firstIndex, replay.lastIndex, replay.uncommitted) == (1, 3, 1))
        var other = ProtoWriter()
        other.message(4711, EmptyRequest())
        writer.entry(4, other.bytes)
        let more = try EtcdLog([writer.file], after: 0)
        let refused = reason { _ = try EtcdReplay(more, after: 0, path: "wal") }
        #expect(refused.contains("up to entry 0") && refused.contains("to entry 4"), "\(refused)")
        #expect(refused.contains("4711") && refused.contains("snapshot save"), "\(refused)")
    }

    @Test("replay: changes of users are taken, with who made them, and of passwords the hash")
    func users() throws {
        let hash = Array("$2a$10$8KzaNdKIMyOkASCH4QvSKuEMIY7Jc3vcHDuSJvXLii1rvBNgz60a6".utf8)
        var base64: [UInt8] = []
        hash.withUnsafeBytes { Base64.encode($0, into: &base64) }
        let given = AuthUserAddRequest(
            name: "new", hashedPassword: String(decoding: base64, as: UTF8.self))
        var writer = Writer()
        for (index, request) in [given, AuthUserAddRequest(name: "old", password: "p")].enumerated()
        {
            var entry = ProtoWriter()
            entry.message(100, LoggedHeader(user: "root", revision: 7))
            entry.message(1100, request)
            writer.entry(UInt64(index + 1), entry.bytes)
        }
        let steps = try EtcdReplay(try EtcdLog([writer.file], after: 0), after: 0, path: "w").steps
        let users = steps.compactMap { step -> AuthUserAddRequest? in
            guard case .auth(.addUser(let user)) = step.body else { return nil }
            return user
        }
        try #require(users.count == 2)
        #expect(users.map(\.name) == ["new", "old"] && users.map(\.password) == ["", ""])
        #expect(users[0].hashedPassword.utf8Bytes == hash)
        #expect(PasswordHash.matches(Array("p".utf8), users[1].hashedPassword.utf8Bytes))
        let caller = try #require(steps[0].authority.caller)
        #expect((caller.name, caller.revision) == (Array("root".utf8), 7))
    }

    private static func entry(
        _ field: Int, _ message: some WireMessage, by user: String = "", revision: UInt64 = 0
    ) -> [UInt8] {
        var entry = ProtoWriter()
        entry.message(100, LoggedHeader(user: user, revision: revision))
        entry.message(field, message)
        return entry.bytes
    }

    @Test("replay: without any password a user has the empty one, or none if that was asked for")
    func emptyPasswords() throws {
        var writer = Writer()
        writer.entry(1, Self.entry(1100, AuthUserAddRequest(name: "empty")))
        let none = UserAddOptions(noPassword: true)
        writer.entry(2, Self.entry(1100, AuthUserAddRequest(name: "none", options: none)))
        let steps = try EtcdReplay(try EtcdLog([writer.file], after: 0), after: 0, path: "w").steps
        let hashes = steps.compactMap { step -> [UInt8]? in
            guard case .auth(.addUser(let user)) = step.body else { return nil }
            return user.hashedPassword.utf8Bytes
        }
        try #require(hashes.count == 2)
        #expect(PasswordHash.matches([], hashes[0]) && !PasswordHash.matches([0x20], hashes[0]))
        #expect(hashes[1].isEmpty)
        // Up to 3.4 the same, since 3.5 the end of all logins with a password.
        writer.entry(3, Self.entry(1103, AuthUserChangePasswordRequest(name: "empty")))
        let log = try EtcdLog([writer.file], after: 0)
        let text = reason { _ = try EtcdReplay(log, after: 0, path: "w") }
        #expect(text.contains("entry 3 sets an empty password") && text.contains("Start etcd"))
    }

    @Test("replay: what releases of etcd may have acknowledged is never left out: the import ends")
    func acknowledged() throws {
        let none = UserAddOptions(noPassword: true)
        let permission = WirePermission(kind: 2, key: "/a")
        var writer = Writer()
        let entries: [[UInt8]] = [
            Self.entry(1100, AuthUserAddRequest(name: "root", options: none)),
            Self.entry(1104, AuthUserRoleRequest(user: "root", role: "root")),
            Self.entry(1100, AuthUserAddRequest(name: "u", options: none)),
            Self.entry(1200, AuthNameRequest(name: "r")),
            Self.entry(1203, AuthRoleGrantPermissionRequest(role: "r", permission: permission)),
            Self.entry(1104, AuthUserRoleRequest(user: "u", role: "r")),
            Self.entry(1000, EmptyRequest()),
            Self.entry(8, LeaseGrantRequest(ttl: 100, id: 7)),
            Self.entry(4, PutRequest(key: "/b", lease: 7), by: "root", revision: 9),
            Self.entry(4, PutRequest(key: "/b"), by: "u", revision: 9),
            Self.entry(6, TxnRequest(success: [.put(PutRequest(key: "/a"))]), by: "u", revision: 9),
            Self.entry(
                6, TxnRequest(success: [.put(PutRequest(key: "/a", lease: 7))]), by: "u",
                revision: 9),
        ]
        for (place, entry) in entries.enumerated() { writer.entry(UInt64(place + 1), entry) }
        let log = try EtcdLog([writer.file], after: 0)
        let replay = try EtcdReplay(log, after: 0, path: "wal")
        let cluster = NewCluster(
            members: [], identity: Identity(clusterID: 99, memberID: 7))
        let builder = try StoreBuilder(path: "data", disk: FaultyDisk(), segmentBytes: 64 << 10)
        try builder.write { (connection) throws(StorageError) in
            try Schema.create(on: connection)
        }
        let text = reason { try replay.run(on: builder, cluster: cluster) }
        #expect(text.contains("wal: entry 12 can't be carried out as by etcd"), "\(text)")
        #expect(text.contains("Start etcd on this directory once"), "\(text)")
        // All before it was carried out: one revision for each put, and none for the one that was refused.
        let keys = try KeyReader(connection: builder.openConnection())
        #expect(try keys.currentRevision() == 4)
    }

    /// etcdserverpb.RequestHeader.
    private struct LoggedHeader: WireMessage {
        var user = ""
        var revision: UInt64 = 0

        mutating func merge(from reader: inout ProtoReader) throws(WireError) {
            while let field = try reader.nextField() { try reader.skip(field) }
        }

        func encode(into writer: inout ProtoWriter) {
            writer.string(2, user)
            writer.uint64(3, revision)
        }
    }

    @Test("log: names of files are read, and nothing else is one")
    func names() {
        #expect(
            EtcdLogFile.numbers(ofName: "0000000000000001-00000000000000ff.wal").map {
                [$0.0, $0.1]
            }
                == [1, 255])
        for name in [
            "0.tmp", "1-2.wal", "0000000000000001.wal", "000000000000000g-0000000000000000.wal",
        ] {
            #expect(EtcdLogFile.numbers(ofName: name) == nil)
        }
    }

    private struct EmptyRequest: EmptyWireMessage {}
}
