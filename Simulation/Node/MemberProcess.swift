// MemberProcess.swift: a running member: what ServerNode assembles, driven by events instead of threads.
// Belongs here: opening, the replica's turns, its inbox. Elsewhere: +Output (what the replica says), +Disk (the
// log's writer and the checkpointer), +Snapshot. Never here: any decision of the server (Replica, Front).
// Source: Server/Runtime/ServerNode.swift and ReplicaLoop.swift, whose order of calls this keeps.

import Raft
import Storage

@testable import Server

/// How a process ends.
enum ProcessEnd: Equatable {
    /// The process alone is gone: what it wrote is in the system's memory.
    case killed
    /// The machine lost its power.
    case powerLost(PowerLoss)
    /// It stopped in good order.
    case stopped
    /// It could not go on.
    case failed(String)
    /// It was removed from the cluster.
    case removed
    /// A snapshot lies ready.
    case reinstall
}

/// One member's process.
final class MemberProcess {
    unowned(unsafe) let world: World
    unowned(unsafe) let node: SimulatedNode
    /// Tells this process from others on the machine.
    let number: Int
    let settings: ReplicaSettings
    let store: OpenedStore
    let replica: Replica
    let status = SharedStatus()
    let directory: PeerDirectory
    let output: ProcessOutput
    let loops: [MemberLoop]
    private let owned: DataDirectory

    private var requests: [ReplicaRequest] = []
    private var news: [ReplicaNews] = []
    /// An empty list with the space of the last one.
    private var spareNews: [ReplicaNews] = []
    private var isTurnScheduled = false
    /// When it takes a turn though nothing has come, and when it looks at that next: earlier, mostly, for every
    /// turn puts off what the one before wanted.
    private var wake = Moment.never
    private var nextLook = Moment.never
    /// What ended it during a turn.
    var ending: ProcessEnd?
    /// The store can be read, and the members are known: clients may connect.
    var isReadable = false
    var knowsMembers = false
    // The log's writer and the checkpointer, see +Disk.
    var isFlushing = false
    var waitsForSpace = false
    var isKeepingHouse = false
    var checkpoint: Checkpoint?
    var checkpointTicket: LogTicket?
    var checkpointLooks = 0
    var isHurried = false
    var isAlone = false
    /// The page that the next scrub begins with.
    var scrubPage: UInt32 = 1
    var snapshots = SnapshotDesk()
    /// Machines without an identity that asked this member for one, by the number of their question.
    var newcomers: [SimulatedNode] = []

    static let directoryPath = "data"

    /// Opens the store.
    init(world: World, node: SimulatedNode) throws(StorageError) {
        self.world = world
        self.node = node
        node.starts += 1
        number = node.starts
        let setup = world.setup
        owned = try DataDirectory(path: Self.directoryPath, disk: node.disk)
        if try owned.identity() == nil {
            try owned.found(
                StoredIdentity(node.identity, founders: node.founders, peers: node.peers))
        }
        var dice = Dice(seed: setup.seed, .node, number: UInt64(node.place * 1000 + number))
        let seed = dice.next()
        store = try OpenedStore(
            directory: owned, disk: node.disk, seed: seed, segmentBytes: setup.segmentBytes,
            options: PageStoreOptions(cacheBytes: setup.cacheBytes))
        var settings = ReplicaSettings(identity: node.identity, member: node.ownRow)
        settings.founders = node.founders
        settings.seed = seed
        settings.electionTimeoutMilliseconds = setup.electionMilliseconds
        if world.chances.strikes(.oddTimeout) {
            settings.electionTimeoutMilliseconds = world.chances.draw(
                setup.electionMilliseconds / 2...setup.electionMilliseconds * 2)
        }
        settings.heartbeatMilliseconds = setup.heartbeatMilliseconds
        settings.loopCount = setup.loopCount
        settings.compactionBatchLimit = setup.compactionBatch
        settings.executor.minimumLeaseTTL = 1
        settings.appendBytesMax = setup.appendBytesMax
        self.settings = settings
        let directory = PeerDirectory(
            node.founders + node.peers, ownID: node.identity.memberID,
            isFounding: !node.founders.isEmpty && store.isBlank, status: status)
        self.directory = directory
        let output = ProcessOutput(loopCount: settings.loopCount)
        self.output = output
        replica = Replica(
            settings: settings,
            node: try store.restore(settings, founders: node.founders, preVote: setup.preVote),
            log: store.log, pages: store.pages,
            space: SpaceGuard(disk: node.disk, directory: Self.directoryPath), status: status,
            output: output)
        let parts = LoopParts(
            world: world, node: node, identity: node.identity, status: status,
            pages: store.pages, seed: seed)
        loops = (0..<settings.loopCount).map { MemberLoop(parts, index: $0) }
        output.process = self
    }

    /// What the machine's clock shows now.
    var tick: Tick { node.clock.tick(at: world.now) }

    /// Whether it still runs.
    var isAlive: Bool { node.process === self }

    /// Begins.
    func start() {
        replica.start(now: tick)
        world.network.update(self, directory.members)
        endTurn()
        scheduleCheckpointLook()
    }

    // MARK: events

    /// Runs `body` after some time unless the process has ended; a paused one runs it later.
    func after(microseconds: UInt64, _ body: @escaping (MemberProcess) -> Void) {
        at(world.now.after(microseconds: microseconds), body)
    }

    func at(_ moment: Moment, _ body: @escaping (MemberProcess) -> Void) {
        guard isAlive else { return }
        world.schedule(at: moment, .process(node, number: number, body))
    }

    // MARK: the replica's inbox

    /// Adds requests; false, and none is added, if too many wait.
    func add(_ batch: [ReplicaRequest]) -> Bool {
        guard requests.count + batch.count <= ReplicaLimits.queuedRequestsMax,
            !world.chances.strikes(.fullInbox)
        else { return false }
        requests += batch
        scheduleTurn()
        return true
    }

    func add(_ item: ReplicaNews) {
        news.append(item)
        scheduleTurn()
    }

    private func scheduleTurn() {
        guard !isTurnScheduled else { return }
        isTurnScheduled = true
        let world = world
        let delay = world.processDice.within(1...world.setup.turnMicroseconds)
        world.schedule(
            at: world.now.after(microseconds: delay + node.turnMicroseconds),
            .process(node, number: number) { $0.turn() })
    }

    private func turn() {
        isTurnScheduled = false
        wake = .never
        let now = tick
        var taken: [ReplicaNews] = []
        swap(&taken, &spareNews)
        swap(&taken, &news)
        var batch = requests
        requests = []
        if taken.count + batch.count > 1, world.chances.strikes(.tinyTurn) {
            keepForLater(&taken, &batch)
        }
        replica.begin(now: now)
        for item in taken { replica.take(item, now: now) }
        taken.removeAll(keepingCapacity: true)
        swap(&taken, &spareNews)
        replica.enqueue(batch, now: now)
        replica.turn(now: now)
        endTurn()
        if isAlive, !news.isEmpty || !requests.isEmpty { scheduleTurn() }
    }

    /// Leaves all but one of what came in for the next turn.
    private func keepForLater(_ taken: inout [ReplicaNews], _ batch: inout [ReplicaRequest]) {
        if taken.isEmpty {
            requests = Array(batch.dropFirst())
            batch = [batch[0]]
        } else {
            news = Array(taken.dropFirst())
            taken = [taken[0]]
            requests = batch
            batch = []
        }
    }

    /// Hands out what the replica said, and sees to what has to happen next.
    private func endTurn() {
        world.invariants.look(at: self)
        output.flush()
        if let ending { return world.end(node, ending) }
        scheduleFlush()
        scheduleWake()
        if world.chances.strikes(.spareTurn) { scheduleTurn() }
    }

    private func scheduleWake() {
        guard let next = replica.nextWake else { return }
        let now = world.now
        let moment = max(node.clock.moment(of: next, now: now), now.after(microseconds: 100))
        wake = moment
        lookAtWake(at: moment)
    }

    private func lookAtWake(at moment: Moment) {
        guard moment < nextLook else { return }
        nextLook = moment
        world.schedule(at: moment, .wake(node, number: number))
    }

    /// Whether the time has come; if not, it looks again.
    func isWakeDue() -> Bool {
        // Another look was meant.
        guard nextLook == world.now else { return false }
        nextLook = .never
        guard wake > world.now else { return true }
        if wake < .never { lookAtWake(at: wake) }
        return false
    }

    /// Takes a turn, unless one is about to come.
    func wakeUp() {
        guard wake <= world.now, !isTurnScheduled else { return }
        turn()
    }
}
