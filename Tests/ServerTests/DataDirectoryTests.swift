// DataDirectoryTests.swift: the member's directory: its lock, its identity, and what of it
// survives.
// Belongs here: Runtime/DataDirectory.swift alone. Never here: what lies in the directory.

import Storage
import Testing
import TestSupport

@testable import Server

@Suite struct DataDirectoryTests {
    private static let identity = StoredIdentity(
        Identity(clusterID: 0xfedc_ba98_7654_3210, memberID: .max),
        founders: [
            MemberRow(
                id: .max, name: "a b", peerURLs: ["http://10.0.0.1:2380", "http://10.0.0.2:2380"],
                clientURLs: [], role: .voter)
        ],
        peers: [
            MemberRow(
                id: 1, name: "", peerURLs: ["https://h:1"], clientURLs: [], role: .voter)
        ])

    @Test("directory: an empty one has no owner, a founded one names it")
    func founded() throws {
        let disk = FaultyDisk()
        let directory = try DataDirectory(path: "data", disk: disk)
        #expect(try directory.identity() == nil)
        try directory.found(Self.identity)
        #expect(try directory.identity() == Self.identity)
        #expect(directory.logPath == "data/log")
    }

    @Test("directory: one of etcd is known before anything is made in it")
    func etcds() throws {
        let disk = FaultyDisk()
        #expect(try !DataDirectory.isEtcds("data", disk: disk))
        try disk.createDirectory("data")
        try disk.createDirectory("data/member")
        #expect(try DataDirectory.isEtcds("data", disk: disk))
        #expect(try disk.list("data") == ["member"])
        // Its member's own is ours, whatever else lies there.
        try DataDirectory(path: "data", disk: disk).found(Self.identity)
        #expect(try !DataDirectory.isEtcds("data", disk: disk))
    }

    @Test("directory: a second process is kept out until the first lets go")
    func locked() throws {
        let disk = FaultyDisk()
        var first: DataDirectory? = try DataDirectory(path: "data", disk: disk)
        #expect(first?.path == "data")
        #expect(throws: StorageError.disk(.locked(path: "data/LOCK"))) {
            try DataDirectory(path: "data", disk: disk)
        }
        first = nil
        #expect(try DataDirectory(path: "data", disk: disk).identity() == nil)
    }

    @Test(
        "directory: after a crash while it is founded it is nobody's or the member's",
        arguments: [Survival.nothing, .everything, .evens, .odds, .random(seed: 5)])
    func foundingIsAtomic(survival: Survival) throws {
        for operations in 0..<12 {
            // Given a crash after so many operations
            let disk = FaultyDisk()
            try disk.createDirectory("data")
            try disk.syncDirectory(".")
            disk.crash(afterOperation: disk.operations.count + operations)
            var isFounded = false
            do {
                try DataDirectory(path: "data", disk: disk).found(Self.identity)
                isFounded = !disk.isCrashed
            } catch {
                #expect(disk.isCrashed, "\(error)")
            }
            // When it is opened again
            let found = try DataDirectory(path: "data", disk: disk.afterCrash(survival)).identity()
            // Then the identity is whole or not there
            #expect(found == Self.identity || found == nil, "\(survival) after \(operations)")
            #expect(!isFounded || found == Self.identity)
        }
    }

    @Test("directory: bug SU1: the directory's own name survives a power failure")
    func ownNameIsDurable() throws {
        let disk = FaultyDisk()
        try DataDirectory(path: "data", disk: disk).found(Self.identity)
        let after = try DataDirectory(path: "data", disk: disk.afterCrash(.nothing))
        #expect(try after.identity() == Self.identity)
    }

    @Test(
        "directory: an identity that cannot be read is an error, not a new member",
        arguments: [
            "", "martlet 1\n", "martlet 2\nmember 1\ncluster 2\n",
            "martlet 1\nmember x\ncluster 2\n",
            "martlet 1\nmember 1\ncluster 2\nmore\n",
            "martlet 1\nmember 1\ncluster 2\nfounder 3\n",
            "martlet 1\nmember 1\ncluster 2\nfounder x http://h:1 n\n",
            "martlet 1\ncluster 2\nmember 1\n",
        ])
    func damaged(text: String) throws {
        let disk = FaultyDisk()
        let directory = try DataDirectory(path: "data", disk: disk)
        disk.plant("data/identity", Array(text.utf8))
        #expect(
            throws: StorageError.corrupt(
                file: "data/identity", offset: 0, reason: "it does not name a member and a cluster")
        ) { try directory.identity() }
    }

    @Test("directory: a failing disk is reported when it is founded")
    func failingDisk() throws {
        let disk = FaultyDisk()
        let directory = try DataDirectory(path: "data", disk: disk)
        disk.inject(.ioError, onNext: .sync)
        #expect(throws: StorageError.self) { try directory.found(Self.identity) }
        #expect(try directory.identity() == nil)
    }
}
