// SnapshotTests.swift: a member that lags gets the pages it lacks, and goes on with the log.
// Belongs here: what is sent, resuming, installing. Elsewhere: bad bytes (SnapshotStagingTests),
// crashes (SnapshotCrashTests).

import Storage
import TestSupport
import Testing

@Suite struct SnapshotTests {
    @Test("a new member gets every page, installs them, and goes on with the log")
    func newMember() throws {
        let leader = try PageRig()
        try leader.fill(rows: 0..<60)
        let member = try SnapshotMember()
        let staging = try member.staging()
        #expect(staging.have == .nothing)
        let source = try leader.store.openSnapshotSource(for: staging.have)
        #expect(source.pagesToSend == Int(leader.store.committedState.pageCount))
        #expect(try staging.receive(leader.store))
        let state = try staging.finish()
        #expect(state == leader.store.committedState)

        let again = try SnapshotMember(disk: member.disk)

        #expect(again.installation == .installed(state))
        #expect(again.pages.committedState == state)
        #expect(again.log.contents.firstIndex == state.index + 1)
        #expect(again.log.contents.hardState == LogHardState(term: 1, vote: 0, commit: 61))
        try leader.fill(rows: 60..<80)
        try again.follow(leader, through: leader.lastIndex)
        #expect(again.pages.committedState == leader.store.committedState)
        #expect(try again.pages.image() == leader.store.image())
        #expect(try again.pages.integrity() == "ok")
        #expect(try SnapshotMember(disk: again.disk).installation == .nothing)
    }

    @Test("only pages that changed since the member's checkpoint are sent")
    func incremental() throws {
        let leader = try PageRig()
        try leader.fill(rows: 0..<100)
        let member = try SnapshotMember()
        try member.follow(leader, through: leader.lastIndex)
        #expect(try member.checkpoint())
        try leader.commit("UPDATE t SET b = 'short' WHERE a = 50")
        try leader.commit("UPDATE t SET b = 'shorter' WHERE a = 50")

        let have = try #require(member.pages.snapshotHave())
        let source = try leader.store.openSnapshotSource(for: have)
        #expect(source.pagesToSend > 0)
        #expect(source.pagesToSend < 5)
        let staging = try member.staging()
        #expect(staging.have == have)
        #expect(try staging.receive(leader.store))
        _ = try staging.finish()

        let again = try SnapshotMember(disk: member.disk)
        #expect(again.pages.checkpointState == leader.store.committedState)
        #expect(try again.pages.image() == leader.store.image())
    }

    @Test(
        "a member that has everything gets no page, and stands at the sender's state all the same")
    func nothingToSend() throws {
        let leader = try PageRig()
        try leader.fill(rows: 0..<10)
        let member = try SnapshotMember()
        try member.follow(leader, through: leader.lastIndex)
        #expect(try member.checkpoint())
        // An entry without pages, as Raft makes one at the beginning of a term.
        leader.store.publish(through: leader.lastIndex + 1, term: 2)

        let staging = try member.staging()
        let source = try leader.store.openSnapshotSource(for: staging.have)
        #expect(source.pagesToSend == 0)
        #expect(try source.next(bytesMax: 1 << 20) == nil)
        try staging.begin(source.state)
        let state = try staging.finish()

        #expect(try SnapshotMember(disk: member.disk).pages.committedState == state)
        #expect(state.term == 2)
    }

    @Test("a piece is as small as asked, but for a single page, and the pages are those promised")
    func pieceBounds() throws {
        let leader = try PageRig()
        try leader.fill(rows: 0..<2)
        try leader.commit("INSERT INTO t VALUES(1000, randomblob(60000))")
        let source = try leader.store.openSnapshotSource(for: .nothing)
        var sizes: [Int] = []
        while let piece = try source.next(bytesMax: 9000) { sizes.append(piece.count) }
        #expect(sizes.allSatisfy { $0 <= 9000 })
        #expect(sizes.count >= 8)
        #expect(source.pagesSent == source.pagesToSend)
        let tiny = try leader.store.openSnapshotSource(for: .nothing)
        var count = 0
        while try tiny.next(bytesMax: 1) != nil { count += 1 }
        #expect(count == tiny.pagesToSend)
    }

    @Test("pages named as corrupt are sent although they did not change")
    func wantedPages() throws {
        let leader = try PageRig()
        try leader.fill(rows: 0..<40)
        let member = try SnapshotMember()
        try member.follow(leader, through: leader.lastIndex)
        #expect(try member.checkpoint())
        member.disk.flipBit("data/db", offset: 5 * 4096 + 100)
        leader.store.publish(through: leader.lastIndex + 1, term: 2)

        let staging = try member.staging(corrupt: [6, 6, 0, 1_000_000])
        let source = try leader.store.openSnapshotSource(for: staging.have)
        #expect(source.pagesToSend == 1)
        #expect(try staging.receive(leader.store))
        _ = try staging.finish()

        let again = try SnapshotMember(disk: member.disk)
        #expect(try again.pages.image() == leader.store.image())
    }

    @Test(
        "a sender whose state is older than what the receiver has refuses, and so does the receiver"
    )
    func olderSender() throws {
        let leader = try PageRig()
        try leader.fill(rows: 0..<20)
        let lagging = try SnapshotMember()
        try lagging.follow(leader, through: 10)
        let member = try SnapshotMember()
        let staging = try member.staging()
        #expect(try !staging.receive(leader.store, pieces: 2, bytesMax: 5000))

        #expect(throws: StorageError.self) {
            try lagging.pages.openSnapshotSource(for: staging.have)
        }
        #expect(throws: StorageError.self) {
            try staging.begin(lagging.pages.committedState)
        }
        #expect(try staging.receive(leader.store))
        #expect(try staging.finish() == leader.store.committedState)
    }

    @Test("a follower sends as well as a leader, also what a checkpoint is just writing")
    func followerSends() throws {
        let leader = try PageRig()
        try leader.fill(rows: 0..<50)
        let follower = try SnapshotMember()
        try follower.follow(leader, through: 20)
        #expect(try follower.checkpoint())
        try follower.follow(leader, through: leader.lastIndex)
        let checkpoint = try #require(try follower.pages.beginCheckpoint())
        checkpoint.intentIsDurable()
        let member = try SnapshotMember()
        let staging = try member.staging()
        let isAll = try staging.receive(follower.pages, bytesMax: 5000) { () throws(StorageError) in
            if !checkpoint.isDone { _ = try checkpoint.step(pages: 2) }
        }
        #expect(isAll)
        #expect(checkpoint.isDone)
        #expect(try staging.finish() == leader.store.committedState)
        #expect(try SnapshotMember(disk: member.disk).pages.image() == leader.store.image())
    }

    @Test("a pin that checkpoints have gone past says so when memory is short, and only then")
    func tooOld() throws {
        let leader = try PageRig()
        try leader.fill(rows: 0..<20)
        let source = try leader.store.openSnapshotSource(for: .nothing)
        #expect(!source.isTooOld(overlayBytesMax: 0))
        try leader.fill(rows: 20..<40)
        #expect(!source.isTooOld(overlayBytesMax: 0))
        #expect(try leader.checkpoint())
        #expect(source.isTooOld(overlayBytesMax: 0))
        #expect(!source.isTooOld(overlayBytesMax: 1 << 30))
        // And what it pinned is still there
        let member = try SnapshotMember()
        let staging = try member.staging()
        try staging.begin(source.state)
        while let piece = try source.next(bytesMax: 10_000) { try staging.add(piece) }
        #expect(try staging.finish() == source.state)
    }

    @Test(
        "random: broken off and resumed while the leader goes on, then installed", arguments: 0..<40
    )
    func random(seed: UInt64) throws {
        var numbers = SeededNumbers(state: seed &* 7919 &+ 1)
        let leader = try PageRig()
        try leader.fill(rows: 0..<(20 + numbers.next(below: 60)))
        var member = try SnapshotMember()
        let known = numbers.next(below: 3) == 0 ? 0 : numbers.next(below: Int(leader.lastIndex))
        try member.follow(leader, through: UInt64(known))
        if numbers.next(below: 4) > 0 { _ = try member.checkpoint() }
        var isDone = false
        while !isDone {
            for _ in 0..<numbers.next(below: 12) { try leader.change(&numbers) }
            if numbers.next(below: 3) == 0 { _ = try leader.checkpoint(pagesPerStep: 5) }
            // The member may learn some of the log, and move its file on, in between.
            if numbers.next(below: 3) == 0 {
                try member.follow(leader, through: min(leader.lastIndex, member.log.lastIndex + 9))
            }
            let left = numbers.next(below: 4) == 0 ? 1 : 1000
            if !member.hasTornCheckpoint {
                _ = try member.checkpoint(steps: left, pagesPerStep: 2)
            }
            let staging = try member.staging()
            let pieces = numbers.next(below: 5) == 0 ? .max : numbers.next(below: 4)
            isDone = try staging.receive(leader.store, pieces: pieces) { () throws(StorageError) in
                try leader.change(&numbers)
            }
            if isDone { _ = try staging.finish() }
            if numbers.next(below: 3) == 0 { try staging.save() }
            if numbers.next(below: 2) == 0 || isDone {
                let survival = Survival.random(seed: seed)
                member = try SnapshotMember(disk: member.disk.afterCrash(survival))
            }
        }
        let installed = member.pages.checkpointState
        #expect(member.installation == .installed(installed))
        try member.follow(leader, through: leader.lastIndex)
        #expect(member.pages.committedState == leader.store.committedState)
        #expect(try member.pages.image() == leader.store.image())
        #expect(try member.pages.integrity() == "ok")
        #expect(try member.checkpoint() || installed == member.pages.committedState)
        #expect(member.disk.contents("data/db") == (try leader.store.image()))
        // And it knows as well as the leader which entry last changed each page
        let third = try SnapshotMember()
        try third.follow(leader, through: 1 + UInt64(numbers.next(below: Int(installed.index))))
        _ = try third.checkpoint()
        let have = try #require(third.pages.snapshotHave())
        let other = try leader.store.openSnapshotSource(for: have)
        #expect(try member.pages.openSnapshotSource(for: have).pagesToSend == other.pagesToSend)
        let staging = try third.staging()
        #expect(try staging.receive(member.pages))
        #expect(try staging.finish() == leader.store.committedState)
        #expect(try SnapshotMember(disk: third.disk).pages.image() == leader.store.image())
    }
}
