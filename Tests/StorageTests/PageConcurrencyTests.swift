// PageConcurrencyTests.swift: readers on threads of their own while a writer, discards and
// checkpoints go on.
// Belongs here: what only threads can show. Never here: timing.

import Glibc
import Storage
import Synchronization
import Testing
import TestSupport

@Suite struct PageConcurrencyTests {
    private static let accounts = 400

    /// Runs closures on threads of their own and waits for them.
    private func inParallel(_ bodies: [@Sendable () -> Void]) {
        final class Box {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var threads: [pthread_t] = []
        for body in bodies {
            var thread = pthread_t()
            let code = pthread_create(
                &thread, nil,
                { context in
                    guard let context else { return nil }
                    Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body()
                    return nil
                }, Unmanaged.passRetained(Box(body)).toOpaque())
            #expect(code == 0)
            threads.append(thread)
        }
        for thread in threads { pthread_join(thread, nil) }
    }

    @Test(
        "every reader sees one consistent state: money is conserved and the header's revision is that of the table",
        arguments: [1 << 26, 20 * 4096])
    func consistentReaders(cacheBytes: Int) throws {
        let rig = try bank(cacheBytes: cacheBytes)
        let store = rig.store
        let seen = Observations()
        let reader: @Sendable () -> Void = {
            do {
                let reader = try store.openReader()
                var last: Int64 = 0
                while !seen.isDone.load(ordering: .relaxed) {
                    try reader.connection.execute("BEGIN")
                    let revision = try reader.connection.integer("SELECT revision FROM meta") ?? -1
                    let pinned = reader.pinned?.header.revision
                    let money = try reader.connection.integer(
                        "SELECT sum(money) + sum(length(pad)) * 0 FROM bank")
                    try reader.connection.execute("COMMIT")
                    let isRight =
                        money == Int64(Self.accounts * 100) && pinned == revision
                        && revision >= last
                    if !isRight { seen.faults.add(1, ordering: .relaxed) }
                    last = revision
                    seen.reads.add(1, ordering: .relaxed)
                }
            } catch {
                Issue.record(error)
                seen.faults.add(1, ordering: .relaxed)
            }
        }

        inParallel([
            Self.writer(rig, seen), Self.checkpointer(store, seen), reader, reader, reader,
        ])

        #expect(seen.faults.load(ordering: .relaxed) == 0)
        #expect(seen.reads.load(ordering: .relaxed) > 0)
        #expect(seen.checkpoints.load(ordering: .relaxed) > 0)
        store.collect()
        _ = try rig.checkpoint()
        #expect(rig.disk.contents("data/db") == (try store.image()))
        #expect(try store.integrity() == "ok")
    }

    @Test("snapshots, whole and of what changed since the last one, are right while pages change")
    func snapshotsBesideAll() throws {
        let rig = try bank(cacheBytes: 20 * 4096)
        let store = rig.store
        let seen = Observations()
        let receiver: @Sendable () -> Void = {
            do {
                let disk = FaultyDisk()
                try disk.createDirectory("data")
                let staging = try SnapshotStaging.open(
                    disk: disk, directory: "data", base: .empty)
                while !seen.isDone.load(ordering: .relaxed) {
                    do throws(StorageError) {
                        _ = try staging.receive(store)
                        _ = try staging.finish()
                        // A few are enough: each one takes long on a disk in memory.
                        seen.reads.add(5, ordering: .relaxed)
                    } catch {
                        // Too much came again: the next one is whole.
                        guard case .busy = error else { throw error }
                    }
                }
            } catch {
                Issue.record(error)
                seen.faults.add(1, ordering: .relaxed)
            }
        }
        let scrubber: @Sendable () -> Void = {
            do {
                while !seen.isDone.load(ordering: .relaxed) {
                    let result = try store.scrub(from: 1, count: 1 << 20)
                    if result.badPages != [] { seen.faults.add(1, ordering: .relaxed) }
                }
            } catch {
                Issue.record(error)
                seen.faults.add(1, ordering: .relaxed)
            }
        }

        inParallel([
            Self.writer(rig, seen), Self.checkpointer(store, seen), receiver, receiver, scrubber,
        ])

        #expect(seen.faults.load(ordering: .relaxed) == 0)
        #expect(seen.reads.load(ordering: .relaxed) >= 20)
        #expect(seen.checkpoints.load(ordering: .relaxed) > 0)
    }

    /// Accounts with 100 each.
    private func bank(cacheBytes: Int) throws -> PageRig {
        let rig = try PageRig(options: PageStoreOptions(cacheBytes: cacheBytes))
        try rig.commit("CREATE TABLE bank(id INTEGER PRIMARY KEY, money INT, pad BLOB)")
        try rig.commit("CREATE TABLE meta(revision INT)", "INSERT INTO meta VALUES(2)")
        try rig.commit(
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(Self.accounts)) \
            INSERT INTO bank SELECT i, 100, zeroblob(400) FROM n
            """, "UPDATE meta SET revision = 3")
        return rig
    }

    private static func checkpointer(
        _ store: PageStore, _ seen: Observations
    ) -> @Sendable () -> Void {
        {
            do {
                while !seen.isDone.load(ordering: .relaxed) {
                    guard let checkpoint = try store.beginCheckpoint() else { continue }
                    checkpoint.intentIsDurable()
                    while try !checkpoint.step(pages: 7) {}
                    seen.checkpoints.add(1, ordering: .relaxed)
                }
            } catch {
                Issue.record(error)
                seen.faults.add(1, ordering: .relaxed)
            }
        }
    }

    private static func writer(_ rig: PageRig, _ seen: Observations) -> @Sendable () -> Void {
        let writer = UnsafeTransfer(value: rig)
        return {
            defer { seen.isDone.store(true, ordering: .relaxed) }
            do {
                try transferMoney(writer.value, seen)
            } catch {
                Issue.record(error)
                seen.faults.add(1, ordering: .relaxed)
            }
        }
    }

    private static func transferMoney(_ rig: PageRig, _ seen: Observations) throws {
        var numbers = SeededNumbers(state: 1)
        var round = 0
        // Ends once there were enough rounds and every kind of thread had its turns.
        while round < 600 || (seen.reads.load(ordering: .relaxed) < 20 && round < 50_000) {
            round += 1
            let from = 1 + numbers.next(below: accounts)
            let to = 1 + numbers.next(below: accounts)
            let amount = numbers.next(below: 50)
            let revision = rig.store.tipState.header.revision + 1
            try rig.seal(
                "UPDATE bank SET money = money - \(amount), pad = zeroblob(\(300 + amount)) WHERE id = \(from)",
                "UPDATE bank SET money = money + \(amount) WHERE id = \(to)",
                "UPDATE meta SET revision = \(revision)")
            // Leadership is lost now and then: what was not agreed on goes.
            if numbers.next(below: 20) == 0 {
                try rig.discard(after: rig.store.committedState.index)
            } else if numbers.next(below: 3) != 0 {
                rig.publish()
            }
        }
        rig.publish()
    }
}

/// What the threads tell each other.
private final class Observations: Sendable {
    let isDone = Atomic<Bool>(false)
    let reads = Atomic<Int>(0)
    let faults = Atomic<Int>(0)
    let checkpoints = Atomic<Int>(0)
}

/// Hands a rig to the one thread that uses it.
private struct UnsafeTransfer: @unchecked Sendable {
    // @unchecked Sendable: the creating thread waits while the other uses it.
    let value: PageRig
}
