// PageEntryTests.swift: entries and intents whose bytes may be anything.
// Belongs here: decoding never traps, and refuses what is not whole. Never here: what correct
// entries do.

import Storage
import Testing
import TestSupport

@Suite struct PageEntryTests {
    private func follower(_ rig: PageRig, through index: Int) throws -> PageStore {
        let follower = try PageRig()
        for position in 0..<index {
            try follower.store.apply(
                index: UInt64(position + 1), term: 1, payload: #require(rig.log[position]))
        }
        follower.store.publish(through: UInt64(index), term: 1)
        return follower.store
    }

    private func rig() throws -> PageRig {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        try rig.commit("INSERT INTO t VALUES(1, randomblob(9000)), (2, 'abc')")
        try rig.commit("UPDATE t SET b = 'abd' WHERE a = 2")
        return rig
    }

    @Test("random bytes are refused and change nothing")
    func randomBytes() throws {
        let store = try follower(rig(), through: 2)
        let state = store.tipState
        var numbers = SeededNumbers(state: 11)
        for _ in 0..<3000 {
            var bytes = (0..<numbers.next(below: 200)).map { _ in
                UInt8(truncatingIfNeeded: numbers.next())
            }
            // Half of them get as far as the body.
            if bytes.count >= 48, numbers.next(below: 2) == 0 {
                bytes.replaceSubrange(
                    0..<16, with: [1, UInt8(numbers.next(below: 2)), 0, 0])
                bytes.insert(
                    contentsOf: [UInt8(bytes.count), 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0], at: 4)
            }
            #expect(throws: StorageError.self) {
                try store.apply(index: 3, term: 1, payload: bytes)
            }
        }
        #expect(store.tipState == state)
        #expect(try store.integrity() == "ok")
    }

    @Test("every cut of an entry, and every byte that is another, is refused", arguments: [1, 2])
    func mutatedEntries(position: Int) throws {
        let rig = try rig()
        let store = try follower(rig, through: position)
        let entry = try #require(rig.log[position])
        let index = UInt64(position + 1)
        let step = max(1, entry.count / 300)
        for cut in stride(from: 0, to: entry.count, by: step) {
            #expect(throws: StorageError.self) {
                try store.apply(index: index, term: 1, payload: Array(entry[..<cut]))
            }
        }
        var numbers = SeededNumbers(state: 5)
        // From byte 48: the header of the state is the owner's, any value is one.
        for place in Array(0..<24) + Array(stride(from: 48, to: entry.count, by: step)) {
            var changed = entry
            changed[place] ^= UInt8(1 + numbers.next(below: 255))
            do {
                try store.apply(index: index, term: 1, payload: changed)
                // LZ4 has more than one encoding of the same bytes.
                store.discard(after: store.committedState.index)
                #expect(position == 1 && entry[1] == 1, "byte \(place)")
            } catch {
                #expect(store.tipState.index == UInt64(position))
            }
        }
        try store.apply(index: index, term: 1, payload: entry)
        #expect(store.tipState.index == index)
    }

    @Test("an intent that is not one is refused", arguments: 0..<200)
    func intents(seed: UInt64) throws {
        var numbers = SeededNumbers(state: seed)
        let rig = try rig()
        let checkpoint = try #require(try rig.store.beginCheckpoint())
        var intent = checkpoint.intent
        let disk = rig.disk.afterCrash(.everything)
        #expect(try PageStore.open(disk: disk, directory: "data", intent: intent).isRecovering)
        if seed % 2 == 0 {
            intent.removeLast(1 + numbers.next(below: intent.count - 1))
        } else {
            intent.append(UInt8(numbers.next(below: 256)))
        }
        #expect(throws: StorageError.self) {
            try PageStore.open(disk: disk, directory: "data", intent: intent)
        }
    }
}
