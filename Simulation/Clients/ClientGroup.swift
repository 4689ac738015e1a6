// ClientGroup.swift: all clients of a world, their calls, and what operators ask for.
// Belongs here: starting and stopping clients, connections. Never here: what each kind does (KVClient and others).

import Transport

@testable import Server

/// One client's behaviour; it plans its next step itself.
protocol SimulatedClient: AnyObject {
    /// Begins.
    func start()
    /// Asks for nothing new from now on.
    func stop()
    /// Whether an operation of it is under way.
    var isBusy: Bool { get }
}

/// The clients of one world.
final class ClientGroup {
    /// Who asks whether a healed cluster serves.
    static let prober = 1000

    unowned(unsafe) let world: World
    private(set) var clients: [any SimulatedClient] = []
    private var calls: [SimulatedCall] = []
    private var sweepAt = 256
    /// What clients asked, were told and saw.
    var history = History()
    /// Permissions, and what users asked for under them.
    var grants = GrantHistory()
    /// Operations that ended with an answer.
    private(set) var answered = 0
    /// The newest revision that any client has heard of.
    private(set) var newestRevision: Int64 = 0
    lazy var operators = Operators(world: world)

    init(world: World) {
        self.world = world
    }

    /// Makes the clients of the setup's workloads.
    func begin() {
        add(WatchClient(observing: world, number: 0))
        for workload in world.setup.workloads {
            switch workload.kind {
            case .kv:
                for _ in 0..<workload["clients"] {
                    add(KVClient(world: world, number: clients.count, workload: workload))
                }
            case .watch:
                for _ in 0..<workload["clients"] {
                    add(WatchClient(world: world, number: clients.count, workload: workload))
                }
            case .lease:
                for _ in 0..<workload["clients"] {
                    add(LeaseClient(world: world, number: clients.count, workload: workload))
                }
            case .auth: addUsers(workload)
            case .compact:
                add(CompactClient(world: world, number: clients.count, workload: workload))
            }
        }
    }

    private func addUsers(_ workload: Workload) {
        let users = (0..<Int(workload["users"])).map { user in
            UserClient(
                world: world, client: clients.count + user, user: user, workload: workload)
        }
        users.forEach(add)
        add(AdminClient(world: world, workload: workload, users: users))
    }

    func add(_ client: any SimulatedClient) {
        clients.append(client)
        client.start()
    }

    func stop() { clients.forEach { $0.stop() } }

    /// Watches must have heard of everything up to a revision.
    func settle(_ revision: Int64) {
        for case let client as WatchClient in clients { client.settle(revision) }
    }

    /// The world is over: lets go of its calls, which hold clients and processes.
    func abandonCalls() {
        calls.forEach { $0.abandon() }
        calls.removeAll()
    }

    /// Whether any operation is under way.
    var isBusy: Bool { clients.contains { $0.isBusy } }

    // MARK: calls

    /// Opens a call on a member; without a token it is the administrator's.
    func call(
        _ place: Int, _ method: Method, _ message: [UInt8], token: String? = nil,
        onMessage: @escaping ([UInt8]) -> Void, onEnd: @escaping (RPCStatus) -> Void
    ) -> SimulatedCall {
        let call = SimulatedCall(
            world: world, place: place, method: method, token: token, onMessage: onMessage,
            onEnd: onEnd)
        if calls.count >= sweepAt {
            calls.removeAll { !$0.isListening && !$0.isOpen }
            sweepAt = max(256, 2 * calls.count)
        }
        calls.append(call)
        call.request(message)
        return call
    }

    /// Calls a unary method; the end comes once, with the message if there was one.
    func ask(
        _ place: Int, _ method: Method, _ message: [UInt8], timeout: UInt64, token: String? = nil,
        _ end: @escaping (Reply) -> Void
    ) {
        var answer: [UInt8]?
        var isOver = false
        let call = call(place, method, message, token: token) {
            answer = $0
        } onEnd: { status in
            guard !isOver else { return }
            isOver = true
            if status.code == .ok, let answer { return end(.message(answer)) }
            end(.status(status))
        }
        world.schedule(after: timeout) { [self] in
            guard !isOver else { return }
            isOver = true
            world.note(.answer, place, 0, 2, "client gives up")
            call.cancel()
            end(.timeout)
        }
    }

    /// A process is gone: its calls break.
    func processEnded(_ process: MemberProcess) {
        for call in calls where call.isTaken(by: process) { call.connectionLost() }
    }

    /// Asks under the eyes of the history; `done` learns what the client learns.
    func run(
        _ client: Int, _ place: Int, _ request: Request, timeout: UInt64, token: String? = nil,
        _ done: @escaping (Operation.Outcome) -> Void
    ) {
        let number = history.operations.count
        history.operations.append(
            Operation(
                client: client, number: number, member: world.nodes[place].identity.memberID,
                invoked: world.now.microseconds, request: request))
        world.note(.call, place, UInt64(client), UInt64(number), "\(request.method)")
        let end: (Reply) -> Void = { [self] reply in
            let outcome = outcome(of: reply, to: request)
            history.operations[number].outcome = outcome
            note(outcome, place, number, reply)
            done(outcome)
        }
        guard case .leaseKeepAlive = request else {
            return ask(
                place, request.method, request.encoded, timeout: timeout, token: token, end)
        }
        keepAlive(place, request.encoded, timeout: timeout, end)
    }

    private func outcome(of reply: Reply, to request: Request) -> Operation.Outcome {
        switch reply {
        case .message(let bytes):
            do throws(WireError) {
                return .answered(at: world.now.microseconds, try Response(to: request, bytes))
            } catch {
                world.fail("codec", "an answer can't be read: \(error)")
                return .unknown
            }
        case .status(let status):
            guard let refusal = Refusal(status) else { return .unknown }
            return .refused(at: world.now.microseconds, refusal)
        case .timeout: return .unknown
        }
    }

    private func note(
        _ outcome: Operation.Outcome, _ place: Int, _ number: Int, _ reply: Reply
    ) {
        switch outcome {
        case .answered(_, let response):
            answered += 1
            newestRevision = max(newestRevision, response.revision)
            world.note(.answer, place, UInt64(number), UInt64(bitPattern: response.revision))
        case .refused(_, let refusal):
            world.marks.reach(.definiteFailure)
            world.note(.answer, place, UInt64(number), 0, "\(refusal)")
        case .unknown:
            world.marks.reach(.unknownOutcome)
            world.note(.answer, place, UInt64(number), 1, "unknown: \(reply)")
        }
    }

    /// Renews on a stream of its own, which the client leaves with the first answer.
    private func keepAlive(
        _ place: Int, _ message: [UInt8], timeout: UInt64, _ end: @escaping (Reply) -> Void
    ) {
        var isOver = false
        var call: SimulatedCall?
        let finish: (Reply) -> Void = { reply in
            guard !isOver else { return }
            isOver = true
            call?.cancel()
            call = nil
            end(reply)
        }
        call = self.call(place, .leaseKeepAlive, message) {
            finish(.message($0))
        } onEnd: {
            finish(.status($0))
        }
        world.schedule(after: timeout) { finish(.timeout) }
    }

    // MARK: operators

    func moveLeader() { operators.moveLeader() }
    func changeMembers() { operators.changeMembers() }
}

/// How a unary call ended.
enum Reply {
    case message([UInt8])
    case status(RPCStatus)
    /// The client gave up: it will never know.
    case timeout
}
