// PeerConnectionTests.swift: two members on loopback sockets: frames, order, bounds, loss, return.
// Source: the promises of PeerHandler.swift and PeerConnection.swift.

import NIOCore
import Synchronization
import Testing

@testable import Transport

@Suite("peer connections")
struct PeerConnectionTests {
    private func frame(_ kind: UInt8, _ payload: [UInt8]) -> PeerRecorder.Frame {
        PeerRecorder.Frame(kind: kind, payload: payload)
    }

    /// Sends until nothing more is taken for 50 ms, as every buffer on the way is full; returns how
    /// often it was taken.
    private func fill(_ send: () -> Bool) -> Int {
        var taken = 0
        var refused = 0
        while refused < 50, taken < 10_000 {
            if send() {
                taken += 1
                refused = 0
            } else {
                refused += 1
                pass(milliseconds: 1)
            }
        }
        return taken
    }

    @Test("link: frames go out in order, answers come back on the same connection")
    func bothWays() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let link = one.link(to: 2, [try two.listen()])
        #expect(eventually { link.isConnected })

        for number in 0..<200 as Range<UInt8> {
            #expect(link.send([(9, [number]), (8, [number, number])]))
        }

        #expect(eventually { one.handler.frames.count == 200 })
        #expect(one.handler.frames == (0..<200 as Range<UInt8>).map { frame(10, [$0]) })
        let sent = (0..<200 as Range<UInt8>).flatMap { [frame(9, [$0]), frame(8, [$0, $0])] }
        #expect(two.handler.frames == sent)
        let accepted = try #require(two.handler.connected.first)
        #expect(accepted.member == 1 && accepted.channel == .log && !accepted.isDialed)
        let dialed = try #require(one.handler.connected.first)
        #expect(dialed.member == 2 && dialed.isDialed && dialed === link.connection)
        let hello = try #require(two.handler.state.withLock { $0.hellos.first })
        #expect(hello.from == 1 && hello.to == 2 && hello.clusterID == 7)
        #expect(hello.name == "member 1" && hello.url == "http://m1:2380")
        #expect(accepted.hello == hello && dialed.hello == nil)
        #expect(accepted.version == 1 && dialed.version == 1)
        try one.stop()
        try two.stop()
    }

    @Test("link: the greatest frame arrives whole, and an empty one behind it")
    func greatFrames() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let link = one.link(to: 2, [try two.listen()])
        #expect(eventually { link.isConnected })
        var great = [UInt8](repeating: 7, count: (20 << 20) - 1)
        for place in stride(from: 0, to: great.count, by: 997) { great[place] = UInt8(place % 251) }

        let isSent = link.send([(1, great), (2, [])])
        #expect(isSent)

        #expect(eventually { two.handler.frames.count == 2 })
        #expect(two.handler.frames.first?.payload == great)
        try one.stop()
        try two.stop()
    }

    @Test("link: what does not fit its queue is refused whole, and nothing is lost or doubled")
    func queueBound() throws {
        var limits = PeerLimits()
        limits.queueBytesMax.log = 100_000
        let one = try PeerTestMember(1, limits: limits)
        let two = try PeerTestMember(2)
        let link = one.link(to: 2, [try two.listen()])
        #expect(eventually { link.isConnected })
        two.handler.state.withLock { $0.pausesAt = 1 }
        #expect(link.send([(1, [])]))
        #expect(eventually { two.handler.frames.count == 1 })

        // The receiver reads no more: socket buffers fill, then the queue.
        let piece = [UInt8](repeating: 7, count: 30_000)
        let taken = fill { link.send([(2, piece), (3, piece)]) }
        let drained = one.handler.drained

        two.handler.state.withLock { $0.pausesAt = nil }
        two.handler.connected.first?.resumeReading()
        #expect(eventually { two.handler.frames.count == 1 + 2 * taken })
        #expect(
            two.handler.frames.dropFirst().enumerated().allSatisfy { place, frame in
                frame.kind == (place % 2 == 0 ? 2 : 3) && frame.payload == piece
            })
        #expect(eventually { one.handler.drained == drained + 1 })
        try one.stop()
        try two.stop()
    }

    @Test("connection: paused in the midst of a read, frames wait and then come in order")
    func pause() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let link = one.link(to: 2, [try two.listen()])
        #expect(eventually { link.isConnected })
        two.handler.state.withLock { $0.pausesAt = 5 }

        #expect(link.send([(4, [1]), (5, [2]), (6, [3]), (7, [4])]))
        #expect(eventually { two.handler.frames.count >= 2 })
        pass(milliseconds: 50)
        #expect(two.handler.frames == [frame(4, [1]), frame(5, [2])])

        let accepted = try #require(two.handler.connected.first)
        accepted.resumeReading()
        #expect(eventually { two.handler.frames.count == 4 })
        #expect(two.handler.frames.map(\.kind) == [4, 5, 6, 7])
        try one.stop()
        try two.stop()
    }

    @Test("connection: what was read before the end reaches even a handler that paused")
    func pauseThenEnd() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let link = one.link(to: 2, [try two.listen()])
        #expect(eventually { link.isConnected })
        two.handler.state.withLock { $0.pausesAt = 5 }
        #expect(link.send([(5, [1]), (6, [2])]))
        #expect(eventually { two.handler.frames.count == 1 })

        link.stop()

        #expect(eventually { two.handler.closed.count == 1 })
        #expect(two.handler.frames == [frame(5, [1]), frame(6, [2])])
        try one.stop()
        try two.stop()
    }

    @Test("loss: both sides hear of it at once, and the link comes back when the other does")
    func lossAndReturn() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let url = try two.listen()
        let link = one.link(to: 2, [url])
        #expect(eventually { link.isConnected && two.handler.connected.count == 1 })

        try two.stopListening()
        #expect(eventually { one.handler.closed.count == 1 && two.handler.closed.count == 1 })
        #expect(!link.isConnected)
        #expect(!link.send([(1, [1])]))
        #expect(one.events.has("is lost: the other side closed it"))
        #expect(two.events.has("is lost: this member stops"))
        #expect(one.events.has("Connection refused"))

        _ = try two.listen(port: url.port)
        #expect(eventually { link.isConnected })
        #expect(link.send([(1, [1])]))
        #expect(eventually { two.handler.frames == [frame(1, [1])] })
        try one.stop()
        try two.stop()
    }

    @Test("link: a second URL is tried when the first fails, and new URLs are tried at once")
    func urls() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let closed = try two.listen()
        try two.stopListening()
        let url = try two.listen()
        let link = one.link(to: 2, [closed, url])
        #expect(eventually { link.isConnected })
        #expect(link.connection?.address == url.description)

        let other = one.link(to: 2, [closed], .forward)
        #expect(one.events.has("no forward connection to member 2: cannot connect to \(closed)"))
        other.update(urls: [url])
        #expect(eventually { other.isConnected })
        try one.stop()
        try two.stop()
    }

    @Test("link: a handler that closes every connection is told of each end after its beginning")
    func closesAtOnce() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        one.handler.state.withLock { $0.closesAtOnce = true }
        let link = one.link(to: 2, [try two.listen()])

        #expect(eventually { one.handler.closed.count >= 3 })

        #expect(one.events.has("is lost: this side closed it"))
        link.stop()
        try one.stop()
        try two.stop()
        #expect(one.handler.connected.count == one.handler.closed.count)
    }

    @Test("link: stopped before it is connected, it never is")
    func stopEarly() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let link = one.link(to: 2, [try two.listen()])
        link.stop()
        link.start()
        pass(milliseconds: 50)
        #expect(!link.isConnected)
        try one.stop()
        try two.stop()
    }

    @Test("duplicates: a newer connection of one member and channel closes the older")
    func duplicates() throws {
        let one = try PeerTestMember(1)
        let twin = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let url = try two.listen()
        _ = try #require(one.dial(url, to: 2, .log)).get()
        _ = try #require(one.dial(url, to: 2, .forward)).get()
        #expect(one.handler.closed.isEmpty)

        let newer = try #require(twin.dial(url, to: 2, .log)).get()

        #expect(eventually { one.handler.closed.count == 1 && two.handler.closed.count == 1 })
        #expect(one.handler.closed.first?.channel == .log)
        #expect(newer.isOpen)
        #expect(two.events.has("a newer connection of the same member took its place"))
        #expect(two.listener?.connectionCount == 2)
        try one.stop()
        try twin.stop()
        try two.stop()
    }

    @Test("snapshots: several at once up to the bound, then busy, and again when one ends")
    func transfersBound() throws {
        var limits = PeerLimits()
        limits.transfersMax = 2
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2, limits: limits)
        let url = try two.listen()
        let first = try #require(one.dial(url, to: 2)).get()
        _ = try #require(one.dial(url, to: 2)).get()

        guard case .failure(.refusedByPeer(_, .busy, let text)) = one.dial(url, to: 2) else {
            Issue.record("a third was accepted")
            return
        }
        #expect(text.contains("try again later"))
        first.close()
        #expect(eventually { two.listener?.connectionCount == 1 })
        _ = try #require(one.dial(url, to: 2)).get()
        try one.stop()
        try two.stop()
    }

    @Test("snapshots: the sender stops at its mark and goes on when told")
    func snapshotBackPressure() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let connection = try #require(one.dial(two.listen(), to: 2)).get()
        let sender = try #require(
            eventually { two.handler.connected.count == 1 } ? two.handler.connected.first : nil)
        one.handler.state.withLock { $0.pausesAt = 1 }
        #expect(sender.send(kind: 1, []))
        #expect(eventually { one.handler.frames.count == 1 })

        let pages = [UInt8](repeating: 3, count: 1 << 20)
        let sent = fill { sender.send(kind: 2, pages) }
        let drained = two.handler.drained

        one.handler.state.withLock { $0.pausesAt = nil }
        connection.resumeReading()
        #expect(eventually { two.handler.drained == drained + 1 })
        #expect(sender.isWritable)
        #expect(eventually { one.handler.frames.count == 1 + sent })
        try one.stop()
        try two.stop()
    }

    @Test("send: the transport's own kind and a frame beyond the limit trap")
    func traps() async {
        await #expect(processExitsWith: .failure) {
            let one = try PeerTestMember(1)
            let two = try PeerTestMember(2)
            let connection = try #require(one.dial(two.listen(), to: 2)).get()
            _ = connection.send(kind: 0, [])
            try one.stop()
            try two.stop()
        }
        await #expect(processExitsWith: .failure) {
            let one = try PeerTestMember(1)
            let two = try PeerTestMember(2)
            let connection = try #require(one.dial(two.listen(), to: 2)).get()
            _ = connection.send(kind: 1, [UInt8](repeating: 0, count: 2 << 20))
            try one.stop()
            try two.stop()
        }
        await #expect(processExitsWith: .success) {
            let one = try PeerTestMember(1)
            let two = try PeerTestMember(2)
            let connection = try #require(one.dial(two.listen(), to: 2)).get()
            _ = connection.send(kind: 1, [UInt8](repeating: 0, count: (2 << 20) - 1))
            try one.stop()
            try two.stop()
        }
    }

    @Test("state: a handler keeps its own state in the connection, from before the beginning")
    func state() throws {
        let one = try PeerTestMember(1)
        let two = try PeerTestMember(2)
        let connection = try #require(one.dial(two.listen(), to: 2)).get()
        let same = try connection.eventLoop.submit {
            let mine = PeerEventLog()
            connection.state = mine
            return connection.state === mine
        }.wait()
        #expect(same)
        try one.stop()
        try two.stop()
    }
}
