// WatchClient.swift: a client that wants every change of some keys, over broken streams and on any member.
// Belongs here: opening, resuming, noting what came. Never here: whether it is right (Checkers/).
// Source: what etcd's client library does: it resumes after the newest revision it has seen.

import Transport

@testable import EtcdResponses
@testable import Server

/// One watch, kept up.
final class WatchClient: SimulatedClient {
    private unowned(unsafe) let world: World
    private let number: Int
    private let workload: Workload
    private let watch: Int
    private var call: SimulatedCall?
    /// Counts the streams: what comes on an older one is not listened to.
    private var stream = 0
    private var next: Int64 = 0
    private var isStopped = false
    /// The newest stream has confirmed the watch.
    private(set) var isCreated = false

    var isBusy: Bool { isStopped && !isCreated }

    /// A watch on every change of every key: what a lost call or a lease did may leave no other trace.
    init(observing world: World, number: Int) {
        self.world = world
        self.number = number
        workload = Workload(.watch)
        watch = world.clients.history.watches.count
        world.clients.history.watches.append(
            Watch(client: number, number: watch, span: .everything, previous: true))
    }

    init(world: World, number: Int, workload: Workload) {
        self.world = world
        self.number = number
        self.workload = workload
        watch = world.clients.history.watches.count
        let keys = max(1, Int(workload["keys"]))
        let isWide = world.clientDice.chance(percent: 60)
        let span =
            isWide
            ? KeySpan(Array("k".utf8), end: Array("l".utf8))
            : KeySpan(Array("k\(world.clientDice.below(keys))".utf8))
        world.clients.history.watches.append(
            Watch(
                client: number, number: watch, span: span,
                noPut: world.clientDice.chance(percent: 10),
                noDelete: world.clientDice.chance(percent: 10),
                previous: world.clientDice.chance(percent: 50)))
    }

    func start() { open() }

    /// It goes on watching, but leaves no stream by itself any more.
    func stop() { isStopped = true }

    /// The cluster is quiet at this revision: everything must have come.
    func settle(_ revision: Int64) {
        world.clients.history.watches[watch].mustReach = revision
    }

    private func open() {
        let place = world.clientDice.below(world.nodes.count)
        let wish = world.clients.history.watches[watch]
        var request = WatchCreateRequest()
        request.key = Bytes(wish.span.key)
        request.rangeEnd = Bytes(wish.span.end)
        request.startRevision = next
        request.progressNotify = world.clientDice.chance(percent: 50)
        request.fragment = world.clientDice.chance(percent: 20)
        request.prevKV = wish.previous
        if wish.noPut { request.filters.append(WatchCreateRequest.filterNoPut) }
        if wish.noDelete { request.filters.append(WatchCreateRequest.filterNoDelete) }
        world.clients.history.watches[watch].attempts.append(
            WatchAttempt(
                member: world.nodes[place].identity.memberID, started: world.now.microseconds,
                startRevision: next))
        stream += 1
        isCreated = false
        let own = stream
        world.note(.call, place, UInt64(number), UInt64(bitPattern: next), "watch")
        call = world.clients.call(place, .watch, WatchRequest.create(request).encoded()) {
            [self] bytes in
            if own == stream { take(bytes) }
        } onEnd: { [self] _ in
            if own == stream { reopen() }
        }
        let life = world.clientDice.within(workload["life"] / 4...2 * workload["life"])
        world.schedule(after: life) { [self] in
            guard own == stream, !isStopped || !isCreated else { return }
            reopen()
        }
    }

    private func reopen() {
        call?.cancel()
        call = nil
        stream += 1
        isCreated = false
        world.marks.reach(.watchResumed)
        world.schedule(after: world.clientDice.within(1...UInt64.milliseconds(300))) { [self] in
            open()
        }
    }

    private func take(_ bytes: [UInt8]) {
        do throws(WireError) {
            let response = try DecodedWatch(decoding: bytes)
            note(response)
        } catch {
            world.fail("codec", "a watch response can't be read: \(error)")
        }
    }

    private func note(_ response: DecodedWatch) {
        let content: WatchReceipt.Content
        if response.canceled {
            content = .canceled(compactRevision: response.compactRevision)
        } else if response.created {
            content = .created
        } else if response.events.isEmpty {
            content = .progress
        } else {
            content = .events(response.events.map(\.plain), fragment: response.fragment)
        }
        let attempts = world.clients.history.watches[watch].attempts.count
        world.clients.history.watches[watch].attempts[attempts - 1].receipts.append(
            WatchReceipt(
                at: world.now.microseconds, revision: response.revision, content))
        world.note(
            .answer, -1, UInt64(number), UInt64(bitPattern: response.revision), "watch")
        switch content {
        case .created:
            isCreated = true
            // From now on: the watch begins after the revision that the answer names.
            if next == 0 { next = response.revision + 1 }
        case .events(let events, let isFragment):
            // A revision that came in part is wanted again as a whole.
            let newest = events.last?.revision ?? 0
            next = max(next, isFragment ? newest : newest + 1)
        case .progress: next = max(next, response.revision + 1)
        case .canceled(let compacted):
            if compacted > 0 {
                world.marks.reach(.watchCompacted)
                next = max(next, compacted)
            }
            reopen()
        }
    }
}
