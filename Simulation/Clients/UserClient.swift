// UserClient.swift: a user with a password who reads, writes and watches what it has permissions for, and what not.
// Belongs here: logging in, what it asks, noting what came of it. Never here: judging (Checkers/GrantChecker.swift).

import Transport

@testable import EtcdResponses
@testable import Server

/// One user.
final class UserClient: SimulatedClient {
    private unowned(unsafe) let world: World
    private let client: Int
    private let user: Int
    private let workload: Workload
    private var place: Int
    private var token: String?
    private var count = 0
    private var isStopped = false
    private(set) var isBusy = false

    init(world: World, client: Int, user: Int, workload: Workload) {
        self.world = world
        self.client = client
        self.user = user
        self.workload = workload
        place = client % world.setup.members
    }

    var name: String { "u\(user)" }
    var role: String { "r\(user)" }
    var password: String { "secret \(user)" }

    func start() { think() }

    func stop() { isStopped = true }

    private func think() {
        world.schedule(after: world.clientDice.heavyTail(mean: workload["think"])) { [self] in
            guard !isStopped, !isBusy else { return }
            if token == nil { logIn() } else { act(on: choice()) }
        }
    }

    /// A permission is about to be taken away: it is used once more, at the same moment.
    func hurry(_ grant: Int) {
        guard !isBusy, !isStopped, token != nil else { return }
        isBusy = true
        world.schedule(after: world.clientDice.within(0...600)) { [self] in
            ask(grant, .write, .put(put(grant)))
        }
    }

    private func logIn() {
        isBusy = true
        let request = AuthenticateRequest(name: name, password: password)
        world.clients.ask(place, .authenticate, request.encoded(), timeout: .seconds(5)) {
            [self] reply in
            isBusy = false
            if case .message(let bytes) = reply { take(bytes) } else { move() }
            world.schedule(after: .milliseconds(100)) { [self] in think() }
        }
    }

    private func take(_ bytes: [UInt8]) {
        do throws(WireError) {
            token = try DecodedLogin(decoding: bytes).token
            world.marks.reach(.loggedIn)
        } catch {
            world.fail("codec", "the answer to a login can't be read: \(error)")
        }
    }

    private func move() { place = world.clientDice.below(world.nodes.count) }

    // MARK: what it asks

    /// One of the newest permissions, mostly of its own.
    private func choice() -> Int? {
        let grants = world.clients.grants.grants
        let newest = Array(grants.indices.suffix(16))
        // Mostly of those that should be good for something.
        let own = newest.filter { grants[$0].user == user && grants[$0].taken == nil }
        guard world.clientDice.chance(percent: 70), !own.isEmpty else {
            return world.clientDice.pick(newest)
        }
        return world.clientDice.pick(own)
    }

    private func key(_ grant: Int) -> [UInt8] {
        world.clients.grants.grants[grant].span.key
            + Array("\(world.clientDice.below(3))".utf8)
    }

    private func put(_ grant: Int) -> Put {
        count += 1
        return Put(key(grant), Array("\(client).\(count)".utf8))
    }

    private func act(on grant: Int?) {
        guard let grant else { return think() }
        isBusy = true
        let span = world.clients.grants.grants[grant].span
        // The first key behind the permission is asked for too.
        let wide = KeySpan(span.key, end: span.end + [0])
        switch world.clientDice.below(10) {
        case 0: ask(grant, .read, .range(RangeRead(span)))
        case 1: ask(grant, .read, .range(RangeRead(KeySpan(key(grant)), serializable: true)))
        case 2: ask(grant, .read, .range(RangeRead(wide)), isBeyond: true)
        case 3: ask(grant, .write, .deleteRange(DeleteRange(wide)), isBeyond: true)
        case 4: ask(grant, .write, .deleteRange(DeleteRange(span)))
        case 5:
            var put = put(grant)
            put.previous = true
            ask(grant, .readWrite, .put(put))
        case 6:
            let condition = Compare(KeySpan(key(grant)), .greater, .version(0))
            let read = TxnStep.range(RangeRead(span))
            ask(
                grant, .readWrite,
                .txn(
                    Txn(
                        compares: [condition], success: [.put(put(grant)), read],
                        failure: [read])))
        case 7:
            let inner = Txn(success: [.put(put(grant))])
            ask(grant, .write, .txn(Txn(success: [.txn(inner)])))
        case 8: watch(grant, span)
        default: ask(grant, .write, .put(put(grant)))
        }
    }

    // MARK: what comes of it

    private func ask(
        _ grant: Int, _ need: GrantHistory.Kind, _ request: Request, isBeyond: Bool = false
    ) {
        let invoked = world.now.microseconds
        let used = token
        var isLocal = false
        if case .range(let read) = request { isLocal = read.serializable }
        world.clients.run(client, place, request, timeout: .seconds(5), token: used) {
            [self] outcome in
            isBusy = false
            let revision: Int64?
            switch outcome {
            case .answered(_, let response): revision = response.revision
            case .refused(_, .other(EtcdError.permissionDenied.rawValue)): revision = nil
            case .refused(_, .other(EtcdError.invalidAuthToken.rawValue)):
                if token == used { token = nil }
                return think()
            case .refused, .unknown:
                move()
                return think()
            }
            note(
                GrantHistory.Use(
                    user: user, invoked: invoked, ended: world.now.microseconds, grant: grant,
                    need: need, isBeyond: isBeyond, isLocal: isLocal, revision: revision,
                    text: "\(request.method)"))
            think()
        }
    }

    private func note(_ use: GrantHistory.Use) {
        world.marks.reach(use.revision == nil ? .accessRefused : .accessGranted)
        world.clients.grants.uses.append(use)
    }

    /// Opens a watch, and leaves it as soon as it is clear whether it may have it.
    private func watch(_ grant: Int, _ span: KeySpan) {
        var request = WatchCreateRequest()
        request.key = Bytes(span.key)
        request.rangeEnd = Bytes(span.end)
        let invoked = world.now.microseconds
        var call: SimulatedCall?
        let end: (Int64?, Bool) -> Void = { [self] revision, isKnown in
            guard let open = call else { return }
            call = nil
            open.cancel()
            isBusy = false
            if isKnown {
                note(
                    GrantHistory.Use(
                        user: user, invoked: invoked, ended: world.now.microseconds, grant: grant,
                        need: .read, isBeyond: false, isLocal: true, revision: revision,
                        text: "watch"))
            } else {
                move()
            }
            think()
        }
        call = world.clients.call(
            place, .watch, WatchRequest.create(request).encoded(), token: token
        ) { [self] bytes in
            do throws(WireError) {
                let response = try DecodedWatch(decoding: bytes)
                let isRefused = response.canceled
                end(isRefused ? nil : response.revision, response.created)
            } catch {
                world.fail("codec", "a watch response can't be read: \(error)")
            }
        } onEnd: { _ in
            end(nil, false)
        }
        world.schedule(after: .seconds(5)) { end(nil, false) }
    }
}
