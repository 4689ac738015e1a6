// ServerSupport.swift: a whole member stepped by hand, without threads, on a disk in memory.
// Belongs here: the driver, what it records, reading the published store. Never here: expectations.
// The order of calls is that of Runtime/ReplicaLoop.swift and Runtime/Checkpointer.swift.

import Raft
import Storage
import TestSupport
import Transport

@testable import EtcdResponses
@testable import Server

/// What one member sends another.
enum RigTraffic {
    case message([UInt8])
    case requests([UInt8])
    case answers([UInt8])
}

/// What the replica posted and reported, in order.
final class RecordedOutput: ReplicaOutput {
    private(set) var messages: [(loop: Int, message: LoopMessage)] = []
    private(set) var reports: [ReplicaEvent] = []
    /// What `eventBytesWaiting` says, by loop.
    var eventBytes: [Int]

    init(loopCount: Int) {
        eventBytes = Array(repeating: 0, count: loopCount)
    }

    func post(_ message: LoopMessage, to loop: Int) { messages.append((loop, message)) }
    func eventBytesWaiting(on loop: Int) -> Int { eventBytes[loop] }
    func report(_ event: ReplicaEvent) { reports.append(event) }

    private var traffic: [(member: UInt64, traffic: RigTraffic)] = []
    private var fetches: [UInt64] = []

    func send(_ message: Message) {
        traffic.append((message.to.rawValue, .message(RaftMessageFields(message).encoded())))
    }

    func forward(_ requests: [ForwardedRequest], to member: UInt64) {
        let list = WireList(elements: requests.compactMap(ForwardedRequestFields.init))
        traffic.append((member, .requests(list.encoded())))
    }

    func answer(_ answer: ForwardedAnswer, to member: UInt64) {
        let list = WireList(elements: [ForwardedAnswerFields(answer)])
        traffic.append((member, .answers(list.encoded())))
    }

    private(set) var newcomers: [(number: UInt64, content: ForwardedAnswer.Content)] = []

    func answer(_ content: ForwardedAnswer.Content, toNewcomer number: UInt64) {
        newcomers.append((number, content))
    }

    private(set) var repairs: [Damage] = []
    /// Who was asked for them.
    private(set) var repairSources: [UInt64] = []
    /// Nothing is begun.
    var refusesRepairs = false

    func repair(_ damage: Damage, from member: UInt64) -> Bool {
        guard !refusesRepairs else { return false }
        repairs.append(damage)
        repairSources.append(member)
        return true
    }

    func fetchSnapshot(from member: UInt64) { fetches.append(member) }

    /// What the member sent to others since the last time.
    func takeTraffic() -> [(member: UInt64, traffic: RigTraffic)] {
        defer { traffic = [] }
        return traffic
    }

    func takeFetches() -> [UInt64] {
        defer { fetches = [] }
        return fetches
    }

    /// Forgets what was posted so far.
    func clear() { messages = [] }
}

/// How a call ended.
enum Outcome: Equatable {
    case answer([UInt8])
    case failure(RPCStatus)
}

extension RecordedOutput {
    /// Tickets and outcomes in the order in which they were posted.
    var outcomes: [(ticket: CallTicket, outcome: Outcome)] {
        messages.compactMap { _, message in
            switch message {
            case .answer(let ticket, let bytes): (ticket, .answer(bytes))
            case .failure(let ticket, let status): (ticket, .failure(status))
            case .readable, .subscribed, .events, .skipped: nil
            }
        }
    }

    /// Whether reads under a ticket may go on.
    func isReadable(_ ticket: CallTicket) -> Bool {
        messages.contains { _, message in
            if case .readable(ticket) = message { true } else { false }
        }
    }

    func outcome(of ticket: CallTicket) -> Outcome? {
        outcomes.first { $0.ticket == ticket }?.outcome
    }
}

/// One member on a disk: what a process is, less its threads and sockets.
final class ReplicaRig {
    static let identity = Identity(clusterID: 0xc1, memberID: 0xa1)
    static let directory = "data"

    let disk: FaultyDisk
    let store: OpenedStore
    let replica: Replica
    let output: RecordedOutput
    let status = SharedStatus()
    /// Whose lock keeps others out of the directory.
    private let owned: DataDirectory
    private(set) var now: UInt64
    private var waiting: [ReplicaRequest] = []
    private var nextSlot: UInt32 = 0
    private var checkpoint: Checkpoint?
    private var intentTicket: LogTicket?
    private var firstIndex: UInt64

    /// Opens the directory; `start` begins.
    ///
    /// - Parameter founders: the members of a new cluster; this member alone if none are given.
    init(
        disk: FaultyDisk, now: UInt64 = 1000, seed: UInt64 = 7,
        identity: Identity = ReplicaRig.identity, founders: [MemberRow]? = nil,
        _ adjust: (inout ReplicaSettings) -> Void = { _ in }
    ) throws(StorageError) {
        self.disk = disk
        self.now = now
        owned = try DataDirectory(path: Self.directory, disk: disk)
        store = try OpenedStore(directory: owned, disk: disk, seed: seed)
        firstIndex = store.log.firstIndex
        var settings = ReplicaSettings(
            identity: identity,
            member: MemberRow(
                id: identity.memberID, name: "m", peerURLs: [], clientURLs: [], role: .voter))
        settings.founders = founders ?? [settings.member]
        settings.seed = seed
        adjust(&settings)
        output = RecordedOutput(loopCount: settings.loopCount)
        replica = Replica(
            settings: settings,
            node: try store.restore(settings, founders: settings.founders), log: store.log,
            pages: store.pages, space: SpaceGuard(disk: disk, directory: Self.directory),
            status: status, output: output)
    }

    /// A member that serves, on a disk of its own.
    static func started(
        segmentBytes: Int = 256 << 10, _ adjust: (inout ReplicaSettings) -> Void = { _ in }
    ) throws -> ReplicaRig {
        let disk = FaultyDisk()
        try prepareLog(disk, segmentBytes: segmentBytes)
        let rig = try ReplicaRig(disk: disk, adjust)
        rig.start()
        rig.settle()
        return rig
    }

    /// Makes a log whose first segment is small: those of the usual size make a crash slow to try.
    static func prepareLog(_ disk: FaultyDisk, segmentBytes: Int) throws {
        try disk.createDirectory(directory)
        try disk.syncDirectory(".")
        let (log, _) = try LogStore.open(
            disk: disk, directory: "\(directory)/log",
            options: LogOptions(salt: 1, segmentBytes: segmentBytes))
        _ = try log.append([], hardState: LogHardState())
        _ = try log.flush()
    }

    var pages: PageStore { store.pages }
    var log: LogStore { store.log }

    // MARK: the threads' part

    func start() {
        replica.start(now: Tick(milliseconds: now))
    }

    /// Puts a request into the inbox.
    @discardableResult
    func send(
        _ body: ReplicaRequest.Body, loop: Int32 = 0, byteCount: Int = 64,
        by authority: Authority = .nobody
    ) -> CallTicket {
        let ticket = CallTicket(loop: loop, slot: nextSlot, generation: 0)
        nextSlot += 1
        waiting.append(
            ReplicaRequest(
                ticket: ticket, body: body, byteCount: byteCount, authority: authority))
        return ticket
    }

    /// One turn of the replica's loop; nothing is saved.
    func turn(after milliseconds: UInt64 = 0) {
        now += milliseconds
        let requests = waiting
        waiting = []
        replica.begin(now: Tick(milliseconds: now))
        replica.enqueue(requests, now: Tick(milliseconds: now))
        replica.turn(now: Tick(milliseconds: now))
    }

    /// Puts a request of another member into the inbox.
    func take(_ request: ReplicaRequest) { waiting.append(request) }

    /// One turn at a given time; nothing is saved.
    func turn(at time: UInt64) {
        turn(after: time - min(time, now))
    }

    /// One turn of the log's writer: saves what is queued and says so; false if there was nothing.
    @discardableResult
    func save() -> Bool {
        do throws(StorageError) {
            guard let ticket = try store.log.flush() else { return false }
            replica.saved(through: ticket)
            return true
        } catch {
            // A full disk is no failure: the replica looks at the space itself.
            guard case .disk(.full) = error else {
                replica.logFailed(error)
                return false
            }
            return false
        }
    }

    /// Turns and saves until nothing moves any more; time stands still.
    func settle(after milliseconds: UInt64 = 0) {
        turn(after: milliseconds)
        while save() { turn() }
    }

    /// Sends a request and waits for what becomes of it.
    func ask(_ body: ReplicaRequest.Body, after milliseconds: UInt64 = 0) -> Outcome? {
        let ticket = send(body)
        settle(after: milliseconds)
        return output.outcome(of: ticket)
    }

    // MARK: the checkpointer's part

    /// Does the next piece of a checkpoint, beginning one if none runs; true when it is complete.
    func checkpointStep(pages count: Int) throws(StorageError) -> Bool {
        guard let running = checkpoint else {
            guard let begun = try store.pages.beginCheckpoint() else { return true }
            intentTicket = try store.log.append(checkpointIntent: begun.intent)
            checkpoint = begun
            return false
        }
        if let ticket = intentTicket {
            guard store.log.savedThrough >= ticket else { return false }
            running.intentIsDurable()
            intentTicket = nil
        }
        guard try running.step(pages: count) else { return false }
        store.log.release(through: running.target.index)
        checkpoint = nil
        return true
    }

    /// What the log's other thread does, once the log was cut: preparing segments of the usual size
    /// for nothing would take most of a test's time.
    func keepHouse() throws(StorageError) {
        guard store.log.firstIndex != firstIndex else { return }
        firstIndex = store.log.firstIndex
        try store.log.housekeep()
    }

    // MARK: reading what is published

    /// Reads the published store.
    func read<Result>(
        _ body: (KeyReader, StoreView) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        try LoopStore(pages: store.pages) { _ in }.read(body)
    }

    /// The published content, as the model of requests has it.
    func content() throws(StorageError) -> ModelStore {
        try read { (reader, view) throws(StorageError) in
            var found = ModelStore()
            found.revision = view.revision
            found.compacted = view.compacted
            let cursor = try RangeCursor.make(
                reader: reader, bounds: KeyBounds(start: Bytes([0]), end: .unbounded), at: nil,
                values: .full)
            defer { cursor.close() }
            while try cursor.next() {
                let record = cursor.record
                found.keys[String(decoding: cursor.key, as: UTF8.self)] = ModelKey(
                    value: cursor.withValue { String(decoding: $0, as: UTF8.self) },
                    created: record.createRevision, modified: record.revision.main,
                    version: record.version, lease: record.lease)
            }
            let leases = try reader.connection.prepare("SELECT id, ttl FROM lease")
            while try leases.step() { found.leases[leases.integer(0)] = leases.integer(1) }
            return found
        }
    }

    /// HashKV of the published store, at its revision if none is given.
    func hashKV(at revision: Int64 = 0) throws -> DecodedHashKV {
        let bytes = try read { (reader, view) throws(StorageError) in
            let operation = try HashOperation(reader: reader, state: view, revision: revision)
            while try !operation.step() {}
            return operation.answer(context)
        }
        return try DecodedHashKV(decoding: bytes)
    }

    private var context: LoopContext {
        LoopContext(
            identity: Self.identity, limits: FrontLimits(), status: SharedStatus(),
            store: LoopStore(pages: store.pages) { _ in }, environment: NoEnvironment(), loop: 0,
            pages: store.pages)
    }

    /// What SQLite thinks of the published database.
    func integrity() throws(StorageError) -> String {
        try read { (reader, _) throws(StorageError) in
            let statement = try reader.connection.prepare("PRAGMA integrity_check")
            guard try statement.step() else { return "no answer" }
            return statement.text(0)
        }
    }
}

/// An environment for code that needs one and does not use it.
final class NoEnvironment: LoopEnvironment {
    var now: Tick { Tick(milliseconds: 0) }
    var nonce: UInt64 { 0 }
    var wallClockSeconds: Int64 { 0 }
    var turn: UInt64 { 0 }
    func compute(
        _ work: @escaping @Sendable () -> [UInt8]?, then done: @escaping ([UInt8]?) -> Void
    ) -> Bool { false }
    func later(_ body: @escaping () -> Void) {}
    func after(milliseconds: UInt64, _ body: @escaping () -> Void) {}
    func submit(_ request: ReplicaRequest) {}
}

/// HashKVResponse, less its header.
struct DecodedHashKV: WireDecodable {
    var hash: UInt64 = 0
    var compactRevision: Int64 = 0
    var hashRevision: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 2: hash = try reader.uint64(field)
            case 3: compactRevision = try reader.int64(field)
            case 4: hashRevision = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }
}

// MARK: a model of the store

/// A live key of the model.
struct ModelKey: Equatable {
    var value: String
    var created: Int64
    var modified: Int64
    var version: Int64
    var lease: Int64
}

/// The slow and obvious store: what requests do to keys, leases and revisions.
struct ModelStore: Equatable {
    var keys: [String: ModelKey] = [:]
    var leases: [Int64: Int64] = [:]
    var revision: Int64 = 1
    var compacted: Int64 = -1

    /// Carries out a request that is known to be acceptable.
    mutating func apply(_ body: ReplicaRequest.Body) {
        let next = revision + 1
        var changed = false
        switch body {
        case .put(let request): changed = put(request, at: next)
        case .deleteRange(let request): changed = delete(request)
        case .txn(let request):
            for operation in request.success {
                switch operation {
                case .put(let inner): changed = put(inner, at: next) || changed
                case .deleteRange(let inner): changed = delete(inner) || changed
                default: preconditionFailure("the model knows no \(operation)")
                }
            }
        case .leaseGrant(let request): leases[request.id] = request.ttl
        case .leaseRevoke(let request):
            leases[request.id] = nil
            let attached = keys.filter { $0.value.lease == request.id }.map(\.key)
            for key in attached { keys[key] = nil }
            changed = !attached.isEmpty
        case .compact(let request): compacted = request.revision
        default: preconditionFailure("the model knows no \(body)")
        }
        if changed { revision = next }
    }

    private mutating func put(_ request: PutRequest, at next: Int64) -> Bool {
        let name = String(decoding: request.key.array, as: UTF8.self)
        let former = keys[name]
        keys[name] = ModelKey(
            value: String(decoding: request.value.array, as: UTF8.self),
            created: former?.created ?? next, modified: next, version: (former?.version ?? 0) + 1,
            lease: request.lease)
        return true
    }

    private mutating func delete(_ request: DeleteRangeRequest) -> Bool {
        let doomed = keys.keys.filter { request.bounds.contains(Bytes($0)) }
        for key in doomed { keys[key] = nil }
        return !doomed.isEmpty
    }
}

extension ReplicaRequest.Body {
    static func put(_ key: String, _ value: String, lease: Int64 = 0) -> ReplicaRequest.Body {
        .put(PutRequest(key: Bytes(key), value: Bytes(value), lease: lease))
    }

    static func delete(_ key: String, end: String = "") -> ReplicaRequest.Body {
        .deleteRange(DeleteRangeRequest(key: Bytes(key), rangeEnd: Bytes(end)))
    }
}
