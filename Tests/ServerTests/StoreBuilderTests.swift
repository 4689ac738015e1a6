// StoreBuilderTests.swift: a directory that is being made: what a crash leaves, who may use it.
// Belongs here: StoreBuilder, NewCluster, RevisionBump on a disk that fails. Never here: sources of stores.

import Storage
import TestSupport
import Testing

@testable import Server

@Suite struct StoreBuilderTests {
    private static let cluster = NewCluster(
        members: [
            MemberRow(id: 7, name: "m1", peerURLs: ["http://h:1"], clientURLs: [], role: .voter),
            MemberRow(id: 8, name: "m2", peerURLs: ["http://h:2"], clientURLs: [], role: .voter),
        ], identity: Identity(clusterID: 99, memberID: 7))

    private static let segmentBytes = 64 << 10

    private func build(_ disk: FaultyDisk, bump: RevisionBump = RevisionBump()) throws {
        let builder = try StoreBuilder(path: "data", disk: disk, segmentBytes: Self.segmentBytes)
        try builder.write { (connection) throws(StorageError) in
            try Schema.create(on: connection)
            let history = try HistoryWriter(connection: connection)
            for number in 1...50 {
                let key = Array("key-\(number % 7)".utf8)
                try key.withBoltBytes { (key) throws(StorageError) in
                    try history.put(
                        key,
                        KeyRecord(
                            revision: PackedRevision(main: Int64(number + 1)),
                            createRevision: Int64(number % 7 + 2), version: Int64(number / 7 + 1),
                            lease: 0), value: key)
                }
            }
        }
        try builder.write { (connection) throws(StorageError) in
            try Self.cluster.write(on: connection)
            try bump.write(on: connection)
        }
        try builder.finish(Self.cluster.stored, seed: 3)
    }

    /// The revision and the members of the store in a directory, as a server finds them.
    private func opened(_ disk: FaultyDisk) throws -> (
        revision: Int64, members: [UInt64], compacted: Int64
    ) {
        let directory = try DataDirectory(path: "data", disk: disk)
        #expect(try directory.identity() == Self.cluster.stored)
        let store = try OpenedStore(
            directory: directory, disk: disk, seed: 1, segmentBytes: Self.segmentBytes)
        #expect(!store.isBlank)
        #expect(store.recovered.hardState.commit == store.pages.committedState.index)
        let header = store.pages.committedState.header
        let connection = try store.pages.openReader().connection
        #expect(try KeyReader(connection: connection).currentRevision() == header.revision)
        return (
            header.revision, try MemberTable(connection: connection).all().map(\.id),
            header.compactedRevision
        )
    }

    @Test("builder: the store has what was written, and its member goes on from there")
    func whole() throws {
        let disk = FaultyDisk()
        try build(disk)
        let found = try opened(disk)
        #expect(found.revision == 51 && found.members == [7, 8] && found.compacted == -1)
    }

    @Test("builder: a raised revision is the current one, and what lies before is compacted")
    func bumped() throws {
        let disk = FaultyDisk()
        try build(disk, bump: RevisionBump(amount: 1000, marksCompacted: true))
        let found = try opened(disk)
        #expect(found.revision == 1051 && found.compacted == 1051)
    }

    @Test(
        "builder: after a crash at any operation the directory is free, refused, or whole",
        arguments: [Survival.nothing, .everything, .evens, .odds, .random(seed: 4)])
    func crashes(survival: Survival) throws {
        var outcomes = Set<String>()
        var crashPoint = 0
        var isFinished = false
        while !isFinished {
            let disk = FaultyDisk()
            disk.crash(afterOperation: crashPoint)
            do {
                try build(disk)
                isFinished = !disk.isCrashed
            } catch {
                #expect(disk.isCrashed, "\(error)")
            }
            let left = disk.afterCrash(survival)
            do {
                let directory = try DataDirectory(path: "data", disk: left)
                if try directory.identity() == nil {
                    outcomes.insert("free")
                    #expect(try left.list("data/log").isEmpty)
                    #expect(try !left.list("data").contains("db"))
                } else {
                    outcomes.insert("whole")
                }
            } catch StorageError.unfinished {
                outcomes.insert("refused")
            }
            if try !left.exists("data/identity") || left.exists("data/UNFINISHED") {
                try build(left)
            }
            #expect(try opened(left).revision == 51)
            crashPoint += 1 + crashPoint / 40
        }
        #expect(outcomes.isSuperset(of: ["refused", "whole"]), "\(outcomes)")
    }

    @Test("builder: a directory that holds anything is left alone")
    func occupied() throws {
        let disk = FaultyDisk()
        try disk.createDirectory("data")
        disk.plant("data/notes", [1])
        #expect(throws: OfflineError.store(.occupied(directory: "data"), directory: "data")) {
            try build(disk)
        }
        #expect(try disk.list("data") == ["notes"])
        let other = FaultyDisk()
        try build(other)
        #expect(throws: OfflineError.self) { try build(other) }
        #expect(try opened(other).revision == 51)
    }

    @Test("builder: a full disk ends it, and space lets it begin anew")
    func full() throws {
        let disk = FaultyDisk()
        disk.setCapacity(20_000)
        #expect(throws: OfflineError.self) { try build(disk) }
        disk.setCapacity(1 << 30)
        try build(disk)
        #expect(try opened(disk).revision == 51)
    }
}
