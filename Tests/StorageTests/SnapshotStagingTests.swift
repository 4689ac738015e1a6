// SnapshotStagingTests.swift: what a receiver of a snapshot refuses, and what it keeps then.
// Belongs here: bad pieces, bad ends, bad disks. Elsewhere: crashes (SnapshotCrashTests).

import Storage
import TestSupport
import Testing

@Suite struct SnapshotStagingTests {
    private let leader: PageRig
    private let member: SnapshotMember

    init() throws {
        leader = try PageRig()
        try leader.fill(rows: 0..<40)
        member = try SnapshotMember()
    }

    private func pieces(bytesMax: Int = 8000) throws -> (StoreState, [[UInt8]]) {
        let source = try leader.store.openSnapshotSource(for: .nothing)
        var pieces: [[UInt8]] = []
        while let piece = try source.next(bytesMax: bytesMax) { pieces.append(piece) }
        return (source.state, pieces)
    }

    @Test("a piece with any byte changed, cut or added is refused, and nothing of it is kept")
    func damagedPieces() throws {
        // Pages that cannot be compressed: another LZ4 block may unpack to the same page.
        try leader.commit("INSERT INTO t VALUES(1000, randomblob(20000))")
        let (state, pieces) = try pieces(bytesMax: 1)
        let staging = try member.staging()
        try staging.begin(state)
        let before = staging.have
        let whole = try #require(pieces.first { $0.count > 4096 })
        var damaged: [[UInt8]] = [
            [], Array(whole.dropLast()), whole + [0], [2] + whole.dropFirst(),
        ]
        for offset in stride(from: 0, to: whole.count, by: 7) {
            var piece = whole
            piece[offset] ^= 0x10
            damaged.append(piece)
        }
        for length in stride(from: 0, to: whole.count, by: 211) {
            damaged.append(Array(whole.prefix(length)))
        }
        for piece in damaged {
            #expect(throws: StorageError.self) { try staging.add(piece) }
            #expect(staging.have == before)
            // What was on its way behind it would leave a gap
            #expect(throws: StorageError.busy(what: "no snapshot is being received")) {
                try staging.add(whole)
            }
            try staging.begin(state)
        }
        for piece in pieces { try staging.add(piece) }
        #expect(try staging.finish() == state)
    }

    @Test("random damage is refused, or leaves the pages as they were", arguments: 0..<30)
    func randomDamage(seed: UInt64) throws {
        var numbers = SeededNumbers(state: seed)
        let (state, pieces) = try pieces(bytesMax: 3000 + numbers.next(below: 9000))
        let staging = try member.staging()
        try staging.begin(state)
        for whole in pieces {
            var piece = whole
            for _ in 0...numbers.next(below: 3) {
                piece[numbers.next(below: piece.count)] = UInt8(numbers.next(below: 256))
            }
            if numbers.next(below: 4) == 0 { piece.removeLast(numbers.next(below: piece.count)) }
            do throws(StorageError) {
                // Another LZ4 block may unpack to the same page.
                try staging.add(piece)
            } catch {
                try staging.begin(state)
                try staging.add(whole)
            }
        }
        #expect(try staging.finish() == state)
    }

    @Test("pieces out of order, twice, or past the end of the database are refused")
    func order() throws {
        let (state, pieces) = try pieces()
        let staging = try member.staging()
        try staging.begin(state)
        try staging.add(pieces[1])
        #expect(throws: StorageError.self) { try staging.add(pieces[0]) }
        try staging.begin(state)
        try staging.add(pieces[1])
        #expect(throws: StorageError.self) { try staging.add(pieces[1]) }
        #expect(throws: StorageError.busy(what: "no snapshot is being received")) {
            try staging.finish()
        }

        var smaller = state
        smaller.pageCount = 3
        let other = try SnapshotMember().staging()
        try other.begin(smaller)
        #expect(throws: StorageError.self) { for piece in pieces { try other.add(piece) } }
        var older = state
        older.index = 1
        try other.begin(older)
        #expect(throws: StorageError.self) { for piece in pieces { try other.add(piece) } }
    }

    @Test("a snapshot with a page missing is dropped whole, and everything is asked for again")
    func missingPage() throws {
        let (state, pieces) = try pieces()
        let staging = try member.staging()
        try staging.begin(state)
        for (position, piece) in pieces.enumerated() where position != 1 { try staging.add(piece) }
        #expect(throws: StorageError.self) { try staging.finish() }
        #expect(staging.have == .nothing)
        #expect(try SnapshotMember(disk: member.disk).installation == .nothing)

        #expect(try staging.receive(leader.store))
        #expect(try staging.finish() == state)
    }

    @Test("a database other than the sender's promised is dropped")
    func wrongDatabaseHash() throws {
        var (state, pieces) = try pieces()
        state.databaseHash ^= 1
        let staging = try member.staging()
        try staging.begin(state)
        for piece in pieces { try staging.add(piece) }
        #expect(throws: StorageError.self) { try staging.finish() }
        #expect(try SnapshotMember(disk: member.disk).installation == .nothing)
    }

    @Test("an own file that is of another history is found out, and not relied on the next time")
    func divergedBase() throws {
        // Given a member that made other pages at the same indexes
        let other = try PageRig()
        try other.fill(rows: 100..<130)
        try member.follow(other, through: other.lastIndex)
        #expect(try member.checkpoint())
        let staging = try member.staging()
        #expect(try staging.receive(leader.store))
        #expect(throws: StorageError.self) { try staging.finish() }

        #expect(staging.have == .nothing)
        #expect(try staging.receive(leader.store))
        let state = try staging.finish()
        // A checkpoint of another history stands in no way, for nothing of it is used
        let again = try SnapshotMember(disk: member.disk)
        #expect(again.installation == .installed(state))
        #expect(try again.pages.image() == leader.store.image())
    }

    @Test(
        "what was staged on top of another file of the same index, or of none, is not gone on with")
    func otherBase() throws {
        try member.follow(leader, through: 20)
        #expect(try member.checkpoint())
        let staging = try member.staging()
        #expect(try !staging.receive(leader.store, pieces: 1, bytesMax: 5000))
        try staging.save()
        let base = member.pages.checkpointState
        let have = staging.have
        #expect(have.segments.count == 2)
        #expect(try member.staging().have == have)
        for (other, left) in [(base, have), (.empty, .nothing)] {
            let disk = try member.disk.memberCopy()
            let found = try SnapshotStaging.open(disk: disk, directory: "data", base: other)
            #expect(found.have == left)
        }
        var diverged = base
        diverged.databaseHash ^= 1
        let found = try SnapshotStaging.open(
            disk: try member.disk.memberCopy(), directory: "data", base: diverged)
        #expect(found.have.segments.count == 1)
        // Nor if the file is as new by itself
        let newer = try SnapshotStaging.open(
            disk: try member.disk.memberCopy(), directory: "data",
            base: leader.store.committedState)
        #expect(newer.have == SnapshotHave(leader.store.committedState))
    }

    @Test("what is staged can be given up at any time")
    func discarded() throws {
        try SnapshotStaging.discard(disk: member.disk, directory: "data")
        let staging = try member.staging()
        #expect(try staging.receive(leader.store))
        _ = try staging.finish()
        try SnapshotStaging.discard(disk: member.disk, directory: "data")
        #expect(try member.disk.list("data/incoming") == [])
        #expect(try SnapshotMember(disk: member.disk).installation == .nothing)
    }

    @Test("a page that was asked for must come")
    func wantedButMissing() throws {
        try member.follow(leader, through: leader.lastIndex)
        #expect(try member.checkpoint())
        leader.store.publish(through: leader.lastIndex + 1, term: 2)
        let staging = try member.staging(corrupt: [3])
        try staging.begin(leader.store.committedState)
        #expect(throws: StorageError.self) { try staging.finish() }
    }

    @Test("more corrupt pages than one request may name make it ask for everything")
    func tooManyCorrupt() throws {
        try member.follow(leader, through: leader.lastIndex)
        #expect(try member.checkpoint())
        #expect(member.pages.snapshotHave(corrupt: Array(1...4096))?.wanted.count == 4096)
        #expect(member.pages.snapshotHave(corrupt: Array(1...4097)) == nil)
        #expect(try member.staging(corrupt: Array(1...4097)).have == .nothing)
    }

    @Test("what the receiver has is said in bytes that are read back, and in no others")
    func haveCoding() throws {
        try member.follow(leader, through: 20)
        #expect(try member.checkpoint())
        let staging = try member.staging(corrupt: [2, 9, 1_000_000])
        #expect(try !staging.receive(leader.store, pieces: 1, bytesMax: 5000))
        let have = staging.have
        #expect(have.segments.count == 2)
        let bytes = have.encoded()
        #expect(SnapshotHave(decoding: bytes) == have)
        for length in 0..<bytes.count {
            #expect(SnapshotHave(decoding: Array(bytes.prefix(length))) == nil)
        }
        #expect(SnapshotHave(decoding: bytes + [0]) == nil)
        #expect(SnapshotHave(decoding: [1, 65, 0, 0]) == nil)
        #expect(SnapshotHave(decoding: [1, 0, 1, 0x10]) == nil)
        // Two segments that end at the same page
        let twice =
            [UInt8](arrayLiteral: 1, 2, 0, 0) + [5, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
        #expect(
            SnapshotHave(decoding: twice + [5, 0, 0, 0] + [UInt8](repeating: 0, count: 8)) == nil)
        let state = leader.store.committedState
        #expect(StoreState(decoding: state.encoded()) == state)
        #expect(StoreState(decoding: state.encoded() + [0]) == nil)
    }

    @Test("many attempts that break off stay within the bound of a request, and end well")
    func manyAttempts() throws {
        let staging = try member.staging()
        for attempt in 0..<200 {
            try leader.commit("UPDATE t SET b = b || 'y' WHERE a = \(39 - attempt % 40)")
            _ = try staging.receive(leader.store, pieces: 1, bytesMax: 40_000 - attempt * 190)
            #expect(staging.have.segments.count <= 64)
        }
        #expect(try staging.receive(leader.store))
        #expect(try staging.finish() == leader.store.committedState)
        let again = try SnapshotMember(disk: member.disk)
        #expect(try again.pages.image() == leader.store.image())
    }

    @Test("staging the same pages again and again ends with a new beginning, not with a full disk")
    func bounded() throws {
        let staging = try member.staging()
        var refusals = 0
        for attempt in 0..<120 where refusals == 0 {
            try leader.commit("UPDATE t SET b = randomblob(1300 + \(attempt))")
            do throws(StorageError) {
                _ = try staging.receive(leader.store, pieces: 1000)
            } catch {
                guard case .busy = error else { throw error }
                refusals += 1
            }
        }
        #expect(refusals == 1)
        #expect(member.disk.contents("data/incoming/pages").isEmpty)
        #expect(staging.have == .nothing)
        #expect(try staging.receive(leader.store))
        _ = try staging.finish()
    }

    @Test("a full disk ends an attempt, and the next one goes on when there is space")
    func fullDisk() throws {
        let (state, pieces) = try pieces()
        let staging = try member.staging()
        try staging.begin(state)
        try staging.add(pieces[0])
        let before = staging.have
        member.disk.inject(.full(written: 700), onNext: .write)
        #expect(throws: StorageError.disk(.full(path: "data/incoming/pages"))) {
            try staging.add(pieces[1])
        }
        #expect(staging.have == before)
        try staging.begin(state)
        for piece in pieces.dropFirst() { try staging.add(piece) }
        #expect(try staging.finish() == state)
        let again = try SnapshotMember(disk: member.disk)
        #expect(try again.pages.image() == leader.store.image())
    }

    @Test("after a sync that failed the staging takes nothing more in this process")
    func failedSync() throws {
        let (state, pieces) = try pieces()
        let staging = try member.staging()
        try staging.begin(state)
        for piece in pieces { try staging.add(piece) }
        member.disk.inject(.ioError, onNext: .sync)
        #expect(throws: StorageError.self) { try staging.finish() }
        #expect(throws: StorageError.self) { try staging.add(pieces[0]) }
        #expect(throws: StorageError.self) { try staging.save() }
        #expect(throws: StorageError.self) { try staging.begin(state) }
        #expect(try SnapshotMember(disk: member.disk.afterCrash(.nothing)).installation == .nothing)
    }

    @Test(
        "a database that has gone past the snapshot by itself is left alone", arguments: [1, .max])
    func overtaken(steps: Int) throws {
        // Given a snapshot that is complete, while the log brings more
        try member.follow(leader, through: 20)
        #expect(try member.checkpoint())
        let staging = try member.staging()
        try leader.commit("UPDATE t SET b = 'first' WHERE a = 1")
        #expect(try staging.receive(leader.store))
        _ = try staging.finish()
        try leader.fill(rows: 50..<60)
        try member.follow(leader, through: leader.lastIndex)
        // When a checkpoint beyond it is written, or only begun
        _ = try member.checkpoint(steps: steps, pagesPerStep: 3)

        let again = try SnapshotMember(disk: member.disk)

        guard case .discarded = again.installation else {
            Issue.record("\(again.installation)")
            return
        }
        #expect(try again.pages.image() == leader.store.image())
        #expect(try SnapshotMember(disk: again.disk).installation == .nothing)
    }

    @Test("a checkpoint that goes past the snapshot before its end makes it superfluous")
    func overtakenBeforeTheEnd() throws {
        try member.follow(leader, through: 20)
        #expect(try member.checkpoint())
        let staging = try member.staging()
        #expect(try staging.receive(leader.store))
        try leader.fill(rows: 50..<60)
        try member.follow(leader, through: leader.lastIndex)
        #expect(try member.checkpoint())

        do throws(StorageError) {
            _ = try staging.finish()
            Issue.record("it was taken for whole")
        } catch {
            guard case .busy = error else { throw error }
        }
        #expect(try SnapshotMember(disk: member.disk).installation == .nothing)
    }

    @Test("staged pages that went bad on the disk are not installed")
    func rottenStaging() throws {
        #expect(try member.staging().have == .nothing)
        let staging = try member.staging()
        #expect(try staging.receive(leader.store))
        _ = try staging.finish()
        let size = member.disk.contents("data/incoming/pages").count
        for offset in [2, 4, 10, 20, 24, 5000, size - 1] {
            let disk = try member.disk.memberCopy()
            disk.flipBit("data/incoming/pages", offset: offset, bit: 3)
            let again = try SnapshotMember(disk: disk)
            guard case .discarded = again.installation else {
                Issue.record("offset \(offset): \(again.installation)")
                return
            }
            #expect(again.pages.committedState == .empty)
        }
        let disk = try member.disk.memberCopy()
        disk.flipBit("data/incoming/manifest", offset: 30)
        #expect(try SnapshotMember(disk: disk).installation == .nothing)
        #expect(try SnapshotMember(disk: member.disk).installation != .nothing)
    }

    @Test("too little space for the database is found before anything is written")
    func noSpaceToInstall() throws {
        let staging = try member.staging()
        #expect(try staging.receive(leader.store))
        _ = try staging.finish()
        let disk = try member.disk.memberCopy()
        disk.setCapacity(disk.usedBytes + 10_000)
        #expect(throws: StorageError.disk(.full(path: "data"))) { try SnapshotMember(disk: disk) }
        #expect(disk.contents("data/db") == member.disk.contents("data/db"))
        disk.setCapacity(.max)
        #expect(try SnapshotMember(disk: disk).pages.image() == leader.store.image())
    }

    @Test("a member that cannot redo its log for a bad page gets that page with a snapshot")
    func badPageBeneathRedo() throws {
        try member.follow(leader, through: leader.lastIndex)
        #expect(try member.checkpoint())
        for row in 0..<40 { try leader.commit("UPDATE t SET b = 'new' WHERE a = \(row)") }
        try leader.commit("CREATE TABLE another(a)")
        try member.follow(leader, through: leader.lastIndex)
        let disk = try member.disk.memberCopy()
        disk.flipBit("data/db", offset: 6 * 4096 + 3000)
        var bad: [UInt32] = []
        do throws(StorageError) {
            _ = try SnapshotMember(disk: disk)
        } catch {
            guard case .corruptPage(let page, _) = error else { throw error }
            bad.append(page)
        }
        #expect(bad == [7])
        // The leader has not gone on: what the member has to have again is its own state
        let base = try PageStore.open(disk: disk, directory: "data").checkpointState
        let staging = try SnapshotStaging.open(
            disk: disk, directory: "data", base: base, corrupt: bad)
        #expect(try staging.receive(leader.store))
        let state = try staging.finish()

        let again = try SnapshotMember(disk: disk)

        #expect(again.installation == .installed(state))
        #expect(again.log.contents.firstIndex == 1)
        #expect(try again.pages.image() == leader.store.image())
        #expect(try again.pages.scrub(from: 1, count: 1000).badPages == [])
    }

    @Test("a database that cannot be opened is replaced by a snapshot that uses none of it")
    func damagedDatabase() throws {
        try member.follow(leader, through: leader.lastIndex)
        #expect(try member.checkpoint())
        let disk = try member.disk.memberCopy()
        disk.flipBit("data/db.pages", offset: 40)
        disk.plant("data/db.meta", [UInt8](repeating: 7, count: 8192))
        #expect(throws: StorageError.self) { try SnapshotMember(disk: disk) }
        let staging = try SnapshotStaging.open(disk: disk, directory: "data", base: .empty)
        #expect(try staging.receive(leader.store))
        let state = try staging.finish()

        let again = try SnapshotMember(disk: disk)

        #expect(again.installation == .installed(state))
        #expect(again.log.contents.firstIndex == 1)
        #expect(try again.pages.image() == leader.store.image())
    }
}
