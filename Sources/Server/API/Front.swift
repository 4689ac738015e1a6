// Front.swift: routes the calls of one event loop to the services, and the replica's answers back.
// Belongs here: dispatch, tickets, time limits. Never here: what a method does (the services).
// Source: design section 3; etcd semantics G8, G12, G20.

internal import Storage
internal import Transport

/// What the services of one loop share.
final class LoopContext {
    let identity: Identity
    let limits: FrontLimits
    let status: SharedStatus
    let store: LoopStore
    let environment: any LoopEnvironment
    let loop: Int32
    let pages: PageStore

    init(
        identity: Identity, limits: FrontLimits, status: SharedStatus, store: LoopStore,
        environment: any LoopEnvironment, loop: Int32, pages: PageStore
    ) {
        self.identity = identity
        self.limits = limits
        self.status = status
        self.store = store
        self.environment = environment
        self.loop = loop
        self.pages = pages
    }

    /// A header at a revision (G4).
    func header(revision: Int64) -> ResponseHeader {
        ResponseHeader(
            clusterID: identity.clusterID, memberID: identity.memberID, revision: revision,
            raftTerm: status.term)
    }
}

/// Settings of the front end.
struct FrontLimits: Sendable {
    /// `--max-request-bytes`.
    var requestBytesMax = 1_572_864
    /// `--max-txn-ops`.
    var operationsMax = 128
    /// How long a request may wait for the replica (G8), in milliseconds.
    var requestTimeoutMilliseconds: UInt64 = 7000
    /// `--election-timeout`.
    var electionTimeoutMilliseconds: UInt64 = 1000
    /// `--quota-backend-bytes`, as Status shows it.
    var quotaBytes: Int64?
    /// How users prove who they are.
    var auth = AuthSettings()
    /// Shown by Status and /version.
    var version = ""

    /// The greatest request message in its wire form (G12).
    var receiveMessageBytesMax: Int { requestBytesMax + 524_288 }

    /// What etcd's proposal adds to a request: its own id and the tags around both (G12).
    static let proposalOverheadBytes = 21
}

/// The calls of one event loop; confined to it.
final class Front {
    let context: LoopContext
    let watches: WatchHub
    private(set) var table: CallTable
    private var reads: ReadBatcher
    private var isSweeping = false
    private var leaderWatch = LeaderWatch()
    /// When the newest question for a read index was asked.
    private var askedReadIndex = Tick(milliseconds: 0)
    var counts = CountCache()
    /// Reads that wait for a free reader.
    var longReads = LongReadQueue()
    let auth: LoopAuth
    var passwords: PasswordMemory
    /// Calls whose token is not known here yet.
    var waiting: [WaitingMessages] = []

    init(context: LoopContext, watches: WatchHub) {
        self.context = context
        self.watches = watches
        auth = LoopAuth(
            settings: context.limits.auth, status: context.status, store: context.store,
            environment: context.environment)
        passwords = PasswordMemory(key: auth.randomBytes(SecretDigest.byteCount))
        table = CallTable(loop: context.loop)
        reads = ReadBatcher(loop: context.loop)
    }

    /// Lets go of what waits, without a word to anybody: the loop has ended.
    ///
    /// Reads that wait hold the front themselves.
    func abandon() {
        table = CallTable(loop: context.loop)
        reads = ReadBatcher(loop: context.loop)
        longReads = LongReadQueue()
    }

    // MARK: calls

    /// A call arrived.
    ///
    /// - Parameter needsLeader: the client sent `hasleader: true` (G9).
    func start(_ call: any ServiceCall, _ method: Method, needsLeader: Bool = false) {
        if needsLeader {
            guard context.status.leader != 0 else { return call.finish(EtcdError.noLeader.status) }
            if method.kind != .unary { watchLeader(for: call) }
        }
        switch method {
        case .watch: call.held = WatchStream(call: call)
        case .leaseKeepAlive: call.held = KeepAliveStream(call: call)
        default: break
        }
    }

    /// A message arrived; for unary methods the only one.
    func receive(_ call: any ServiceCall, _ method: Method, _ message: [UInt8]) {
        do throws(CallFailure) {
            try dispatch(call, method, message)
        } catch {
            end(call, error.status)
        }
        // What the services keep holds the call: it must not outlive it.
        if !call.isOpen { call.held = nil }
    }

    /// Ends a call with an error, and what the services keep for it: the carrier tells only of calls that the
    /// client ended.
    func end(_ call: any ServiceCall, _ status: RPCStatus) {
        guard call.isOpen else { return }
        let held = call.held
        call.finish(status)
        call.held = nil
        cancel(holder: held)
    }

    /// Hands a message to its service, once what can be checked now is.
    ///
    /// - Parameter mayWait: whether it may wait for its token, which it does once.
    func dispatch(
        _ call: any ServiceCall, _ method: Method, _ message: [UInt8], mayWait: Bool = true
    ) throws(CallFailure) {
        if context.status.isLearner { try refuseOnLearner(method, message) }
        if try auth.isEnabled() {
            guard try admit(call, method, message, mayWait: mayWait) else { return }
        }
        switch method {
        case .range: try range(call, try decode(message))
        case .put: try put(call, try decode(message), message.count)
        case .deleteRange: try deleteRange(call, try decode(message), message.count)
        case .txn: try txn(call, try decode(message), message.count)
        case .compact:
            try submit(call, .compact(try decode(message)), message.count)
        case .watch: try watch(call, try decode(message))
        case .leaseGrant: try submit(call, .leaseGrant(try decode(message)), message.count)
        case .leaseRevoke: try submit(call, .leaseRevoke(try decode(message)), message.count)
        case .leaseTimeToLive:
            try submit(call, .leaseTimeToLive(try decode(message)), message.count)
        case .leaseLeases: try submit(call, .leaseLeases, message.count)
        case .leaseKeepAlive: try keepAlive(call, try decode(message))
        case .memberList: try memberList(call, try decode(message))
        case .memberAdd: try addMember(call, try decode(message), message.count)
        case .memberRemove: try submit(call, .memberRemove(try decode(message)), message.count)
        case .memberUpdate: try updateMember(call, try decode(message), message.count)
        case .memberPromote: try submit(call, .memberPromote(try decode(message)), message.count)
        case .alarm: try submit(call, .alarm(try decode(message)), message.count)
        case .status: try status(call)
        case .defragment: answer(call, [])
        case .hash: try hash(call)
        case .hashKV: try hashKV(call, try decode(message))
        case .snapshot: try snapshot(call)
        case .moveLeader: try moveLeader(call, try decode(message))
        case .authEnable, .authDisable, .authStatus, .authenticate, .userAdd, .userGet, .userList,
            .userDelete, .userChangePassword, .userGrantRole, .userRevokeRole, .roleAdd, .roleGet,
            .roleList, .roleDelete, .roleGrantPermission, .roleRevokePermission:
            try dispatchAuth(call, method, message)
        case .healthCheck: try healthCheck(call, try decode(message))
        case .healthWatch: try healthWatch(call, try decode(message))
        case .healthList: healthList(call)
        case .rangeStream: try rangeStream(call, try decode(message))
        case .downgrade: try downgrade(try decode(message))
        case .lock, .unlock, .campaign, .proclaim, .leader, .observe, .resign:
            try coordinate(call, method, message)
        }
    }

    private func dispatchAuth(
        _ call: any ServiceCall, _ method: Method, _ message: [UInt8]
    ) throws(CallFailure) {
        let command: AuthCommand
        switch method {
        case .authEnable: command = .enable
        case .authDisable: command = .disable
        case .userDelete: command = .deleteUser(try decode(message))
        case .userGrantRole: command = .grantRole(try decode(message))
        case .userRevokeRole: command = .revokeRole(try decode(message))
        case .roleAdd: command = .addRole(try decode(message))
        case .roleDelete: command = .deleteRole(try decode(message))
        case .roleGrantPermission: command = .grantPermission(try decode(message))
        case .roleRevokePermission: command = .revokePermission(try decode(message))
        case .userAdd: return try addUser(call, try decode(message), message.count)
        case .userChangePassword:
            return try changePassword(call, try decode(message), message.count)
        case .authStatus: return try authStatus(call)
        case .authenticate: return try authenticate(call, try decode(message))
        case .userGet: return try userGet(call, try decode(message))
        case .userList: return try userList(call)
        case .roleGet: return try roleGet(call, try decode(message))
        case .roleList: return try roleList(call)
        default: preconditionFailure("\(method) is no method of the Auth service")
        }
        try submit(call, .auth(command), message.count)
    }

    /// A learner answers for itself and reads what it has; for all else there are voters (K8).
    private func refuseOnLearner(_ method: Method, _ message: [UInt8]) throws(CallFailure) {
        switch method {
        case .status, .snapshot, .healthCheck, .healthWatch, .healthList: return
        case .range:
            let request: RangeRequest = try decode(message)
            guard request.serializable else { throw CallFailure(.notSupportedForLearner) }
        default: throw CallFailure(.notSupportedForLearner)
        }
    }

    /// The client will send no more.
    func halfClose(_ method: Method, holder: AnyObject?) {
        // A watch goes on (W17); a keep-alive stream ends with its last answer.
        guard let stream = holder as? KeepAliveStream else { return }
        stream.isHalfClosed = true
        if stream.waiting == 0 { stream.call.finish(.ok) }
    }

    /// The call is gone.
    func cancel(holder: AnyObject?) {
        switch holder {
        case let stream as WatchStream:
            watches.close(stream)
            forgetWaiting(stream.call)
        case let stream as KeepAliveStream: forgetWaiting(stream.call)
        case let read as LongRead: endLongRead(read)
        case let operation as any CoordinationOperation: operation.cancel()
        default: break
        }
    }

    /// The client has taken most of what was sent.
    func drained(holder: AnyObject?) {
        switch holder {
        case let stream as WatchStream: watches.drained(stream)
        case let read as LongRead: advance(read)
        case let operation as any CoordinationOperation: operation.drained()
        default: break
        }
    }

    func decode<Message: WireMessage>(_ message: [UInt8]) throws(CallFailure) -> Message {
        do throws(WireError) {
            return try Message(decoding: message)
        } catch {
            throw CallFailure(error.unaryStatus)
        }
    }

    func answer(_ call: any ServiceCall, _ message: [UInt8]) {
        call.send(message)
        call.finish(.ok)
    }

    // MARK: to the replica and back

    /// Sends a request to the replica, whose answer ends the call.
    func submit(
        _ call: any ServiceCall, _ body: ReplicaRequest.Body, _ byteCount: Int,
        purpose: CallTable.Purpose = .unary
    ) throws(CallFailure) {
        guard byteCount + FrontLimits.proposalOverheadBytes <= context.limits.requestBytesMax else {
            throw CallFailure(.requestTooLarge)
        }
        let authority = try authority(of: call)
        let ticket = table.insert(call, purpose, deadline: requestDeadline)
        context.environment.submit(
            ReplicaRequest(ticket: ticket, body: body, byteCount: byteCount, authority: authority))
        sweepLater()
    }

    /// Runs `read` when the published state is known to include every write acknowledged before now (G7).
    func whenLinearizable(
        _ call: any ServiceCall, _ read: @escaping () throws(CallFailure) -> Void
    ) throws(CallFailure) {
        #if SIMULATION
            if ServerBug.localRead.isPlanted { return try read() }
        #endif
        if context.status.readsLocally { return try read() }
        let waiting = ReadBatcher.Read(
            call: call,
            run: { [self] in
                guard call.isOpen else { return }
                do throws(CallFailure) {
                    try read()
                } catch {
                    end(call, error.status)
                }
            }, deadline: requestDeadline)
        if let ticket = reads.add(waiting, turn: context.environment.turn) { ask(ticket) }
        sweepLater()
    }

    private func ask(_ ticket: CallTicket) {
        askedReadIndex = context.environment.now
        context.environment.submit(
            ReplicaRequest(ticket: ticket, body: .readIndex, byteCount: 0))
    }

    /// The reads of a question that was answered, or refused; others may be asked for now.
    private func takeReads(_ ticket: CallTicket) -> [ReadBatcher.Read] {
        let taken = reads.take(ticket)
        if let next = reads.next(turn: context.environment.turn) { ask(next) }
        return taken
    }

    private var requestDeadline: Tick {
        context.environment.now.advanced(milliseconds: context.limits.requestTimeoutMilliseconds)
    }

    /// Takes one message of the replica.
    func take(_ message: LoopMessage) {
        switch message {
        case .events(let batch): watches.deliver(batch)
        case .skipped(let revision): watches.skipped(through: revision)
        case .subscribed(let revision): watches.subscribed(at: revision)
        case .answer(let ticket, let bytes):
            guard let (call, purpose) = table.take(ticket) else { return }
            switch purpose {
            case .unary: answer(call, bytes)
            case .stream(let stream): keptAlive(stream, bytes)
            case .login(let secret): loggedIn(call, secret: secret, bytes)
            }
        case .failure(let ticket, let status) where ReadBatcher.owns(ticket):
            context.status.counts.failedReadIndexes.add(1)
            for read in takeReads(ticket) { end(read.call, status) }
        case .failure(let ticket, _) where WatchHub.owns(ticket):
            watches.subscriptionRefused(ticket)
        case .failure(let ticket, let status):
            guard let (call, _) = table.take(ticket) else { return }
            end(call, status)
        case .readable(let ticket):
            let waited = context.environment.now.since(askedReadIndex)
            if waited >= LoopCounts.slowReadIndexMilliseconds {
                context.status.counts.slowReadIndexes.add(1)
            }
            for read in takeReads(ticket) { read.run() }
        }
    }

    /// Ends streams that need a leader once there has been none for three election timeouts (G9).
    private func watchLeader(for call: any ServiceCall) {
        leaderWatch.add(call)
        guard leaderWatch.begin() else { return }
        lookForLeader()
    }

    private func lookForLeader() {
        context.environment.after(milliseconds: context.limits.electionTimeoutMilliseconds) {
            [self] in
            let lost = leaderWatch.look(
                hasLeader: context.status.leader != 0, now: context.environment.now,
                patience: 3 * context.limits.electionTimeoutMilliseconds)
            for call in lost { end(call, EtcdError.noLeader.status) }
            if !leaderWatch.end() { lookForLeader() }
        }
    }

    // Looks for calls that have waited too long, as long as any wait.
    private func sweepLater() {
        guard !isSweeping else { return }
        isSweeping = true
        context.environment.after(milliseconds: Front.sweepMilliseconds) { [self] in
            isSweeping = false
            let now = context.environment.now
            for (call, purpose) in table.takeOverdue(now: now) {
                end(call, overdueError(purpose).status)
            }
            for read in reads.takeOverdue(now: now) { end(read.call, EtcdError.timeout.status) }
            if table.count + reads.count > 0 { sweepLater() }
        }
    }

    // What etcd says depends on whether anybody leads (G8).
    private func overdueError(_ purpose: CallTable.Purpose) -> EtcdError {
        guard context.status.leader == 0 else { return .timeout }
        return switch purpose {
        case .unary, .login: .contextDeadlineExceeded
        case .stream: .noLeader
        }
    }

    private static let sweepMilliseconds: UInt64 = 500
}

/// Why a call ends without its answer.
struct CallFailure: Error, Equatable {
    let status: RPCStatus

    init(_ status: RPCStatus) {
        self.status = status
    }

    init(_ error: EtcdError) {
        status = error.status
    }

    /// An error of the store that a read met: nothing is served that is not known to be right.
    init(_ error: StorageError) {
        switch error {
        case .corrupt, .corruptPage: status = EtcdError.corrupt.status
        case .busy: status = EtcdError.tooManyRequests.status
        case .disk, .incompatible, .sqlite, .unfinished, .occupied:
            status = RPCStatus(.unavailable, "etcdserver: the store cannot be read: \(error)")
        }
    }
}

extension Front {
    /// Reads the store, reporting its errors.
    func reading<Result>(
        _ body: (KeyReader, StoreView) throws(StorageError) -> Result
    ) throws(CallFailure) -> Result {
        do throws(StorageError) {
            return try context.store.read(body)
        } catch {
            context.store.report(error)
            throw CallFailure(error)
        }
    }
}
