// PeerPolicyTests.swift: the parts that only count: backoff, failure reports, the outbox.
// Belongs here: arithmetic with times and sizes given. Never here: sockets.

import Testing

@testable import Transport

@Suite("peer policy")
struct PeerPolicyTests {
    @Test("backoff: the first retry is at once, then waits double to the greatest, with jitter")
    func backoff() {
        var backoff = PeerBackoff(minNanoseconds: 20, maxNanoseconds: 1_000, seed: 3)
        let waits = (0..<10).map { _ in backoff.next() }
        let steps: [Int64] = [0, 20, 40, 80, 160, 320, 640, 1_000, 1_000, 1_000]
        for (wait, step) in zip(waits, steps) {
            #expect(wait <= step && wait >= step - step / 2, "\(wait) of \(step)")
        }
        #expect(waits.suffix(3) != [1_000, 1_000, 1_000])
        backoff.reset()
        #expect(backoff.next() == 0)
    }

    @Test("backoff: one seed gives one sequence, another another")
    func backoffSeed() {
        func waits(_ seed: UInt64) -> [Int64] {
            var backoff = PeerBackoff(minNanoseconds: 1_000, maxNanoseconds: 9_000, seed: seed)
            return (0..<8).map { _ in backoff.next() }
        }
        #expect(waits(1) == waits(1))
        #expect(waits(1) != waits(2))
    }

    @Test("failures: each key is reported once per interval, with the count since then")
    func failures() {
        let failures = PeerFailures(intervalNanoseconds: 100)
        #expect(failures.count("a", at: 0) == 1)
        #expect(failures.count("a", at: 50) == nil)
        #expect(failures.count("b", at: 50) == 1)
        #expect(failures.count("a", at: 99) == nil)
        #expect(failures.count("a", at: 100) == 3)
        #expect(failures.count("a", at: 150) == nil)
    }

    @Test("failures: as many as allowed are reported in an interval, the rest with the next")
    func failuresInBursts() {
        let failures = PeerFailures(intervalNanoseconds: 100, reportsMax: 2)
        #expect(failures.count("a", at: 0) == 1)
        #expect(failures.count("a", at: 1) == 1)
        #expect(failures.count("a", at: 2) == nil)
        #expect(failures.count("a", at: 99) == nil)
        #expect(failures.count("a", at: 100) == 3)
        #expect(failures.count("a", at: 101) == 1)
    }

    @Test("failures: of too many keys the one reported longest ago is forgotten")
    func failuresBound() {
        let failures = PeerFailures(intervalNanoseconds: 100)
        for number in 0...PeerBounds.failureAddressesMax {
            #expect(failures.count("\(number)", at: 0) == 1)
        }
        #expect(failures.count("1", at: 1) == nil)
        #expect(failures.count("0", at: 1) == 1)
    }

    private func frame(_ count: Int) -> [PeerOutgoing] {
        [(1, [UInt8](repeating: 0, count: count - PeerFrameEncoder.count((1, []))))]
    }

    @Test("outbox: frames are taken up to the bound, and one wake serves all of a turn")
    func outbox() {
        let outbox = PeerOutbox(bytesMax: 100)
        #expect(outbox.put(frame(40)) == .wake)
        #expect(outbox.put(frame(60)) == .queued)
        #expect(!outbox.isWritable)
        #expect(outbox.put(frame(9)) == .refused)
        #expect(outbox.take().count == 2)
        // What is not in the socket's queue yet still counts.
        #expect(outbox.put(frame(9)) == .refused)
        #expect(!outbox.gone(bytes: 40))
        #expect(outbox.put(frame(40)) == .wake)
        #expect(outbox.gone(bytes: 60))
        #expect(!outbox.gone(bytes: 40))
    }

    @Test("outbox: an empty one takes frames beyond the bound, or they could never be sent")
    func outboxGreatFrames() {
        let outbox = PeerOutbox(bytesMax: 100)
        #expect(outbox.put(frame(300)) == .wake)
        #expect(outbox.put(frame(9)) == .refused)
    }

    @Test("outbox: a closed one refuses and keeps nothing")
    func outboxClosed() {
        let outbox = PeerOutbox(bytesMax: 100)
        _ = outbox.put(frame(10))
        outbox.close()
        #expect(outbox.put(frame(10)) == .refused)
        #expect(outbox.take().isEmpty)
        #expect(!outbox.isOpen)
    }
}
