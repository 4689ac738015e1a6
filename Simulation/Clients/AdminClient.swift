// AdminClient.swift: the administrator of the users: founds them, gives and takes permissions, switches checking.
// Belongs here: what it asks, one change at a time, each until it is known to be made. Never here: whether users were
// served rightly (Checkers/GrantChecker.swift).

import Transport

@testable import EtcdResponses
@testable import Server

/// One administrator, with the role "root".
final class AdminClient: SimulatedClient {
    private unowned(unsafe) let world: World
    private let workload: Workload
    private let users: [UserClient]
    private var isStopped = false
    private(set) var isBusy = false
    /// Permissions that are given and not taken away, oldest first.
    private var held: [Int] = []

    /// The most permissions that are in force at a time.
    private static let heldMax = 8

    init(world: World, workload: Workload, users: [UserClient]) {
        self.world = world
        self.workload = workload
        self.users = users
    }

    func start() {
        var steps: [(Method, [UInt8])] = []
        let options = UserAddOptions(noPassword: true)
        steps.append((.userAdd, AuthUserAddRequest(name: "root", options: options).encoded()))
        steps.append((.userGrantRole, AuthUserRoleRequest(user: "root", role: "root").encoded()))
        for user in users {
            let add = AuthUserAddRequest(name: user.name, password: user.password)
            steps.append((.userAdd, add.encoded()))
            steps.append((.roleAdd, AuthNameRequest(name: user.role).encoded()))
            let grant = AuthUserRoleRequest(user: user.name, role: user.role)
            steps.append((.userGrantRole, grant.encoded()))
        }
        perform(steps[...])
    }

    func stop() { isStopped = true }

    private func perform(_ steps: ArraySlice<(Method, [UInt8])>) {
        guard let (method, message) = steps.first else { return enable() }
        change(method, message) { [self] _ in perform(steps.dropFirst()) }
    }

    private func later() {
        world.schedule(after: world.clientDice.heavyTail(mean: workload["every"])) { [self] in
            if !isStopped { act() }
        }
    }

    private func act() {
        if world.clientDice.chance(percent: 4) { return disable() }
        let isFull = held.count >= Self.heldMax
        if isFull || held.count > 2 && world.clientDice.chance(percent: 50) { return take() }
        give()
    }

    // MARK: changes

    private func give() {
        let number = world.clients.grants.grants.count
        let user = world.clientDice.below(users.count)
        let kind = world.clientDice.pick(GrantHistory.Kind.allCases) ?? .read
        let span = KeySpan(Array("a\(number).".utf8), end: Array("a\(number)/".utf8))
        world.clients.grants.grants.append(.init(user: user, kind: kind, span: span))
        let permission = WirePermission(
            kind: kind.rawValue, key: Bytes(span.key), rangeEnd: Bytes(span.end))
        let request = AuthRoleGrantPermissionRequest(
            role: users[user].role, permission: permission)
        change(.roleGrantPermission, request.encoded()) { [self] answer in
            world.clients.grants.grants[number].given = world.now.microseconds
            world.clients.grants.grants[number].isDoubtful = answer.isRepeated
            held.append(number)
            later()
        }
    }

    private func take() {
        let number = held.remove(at: world.clientDice.below(held.count))
        let grant = world.clients.grants.grants[number]
        let request = AuthRoleRevokePermissionRequest(
            role: users[grant.user].role, key: Bytes(grant.span.key),
            rangeEnd: Bytes(grant.span.end))
        world.clients.grants.grants[number].takingBegan = world.now.microseconds
        change(.roleRevokePermission, request.encoded()) { [self] answer in
            world.clients.grants.grants[number].taken = world.now.microseconds
            world.clients.grants.grants[number].takenRevision = answer.revision
            later()
        }
        // Now of all times it is used.
        users[grant.user].hurry(number)
    }

    private func enable() {
        change(.authEnable, []) { [self] answer in
            let place = world.clients.grants.openings.count - 1
            world.clients.grants.openings[place].to = world.now.microseconds
            world.clients.grants.openings[place].revision = answer.revision ?? .max
            later()
        }
    }

    private func disable() {
        world.clients.grants.openings.append((world.now.microseconds, nil, 0))
        change(.authDisable, []) { [self] answer in
            // One that was lost may arrive whenever it likes: nothing is certain from here on.
            guard !answer.isRepeated else { return later() }
            enable()
        }
    }

    // MARK: asking

    /// How a change became known to be made.
    private struct Made {
        /// The revision that its answer names; nil: it had been made before.
        let revision: Int64?
        /// An earlier attempt had an unknown end.
        let isRepeated: Bool
    }

    /// Asks until the change is known to be made.
    private func change(
        _ method: Method, _ message: [UInt8], isRepeated: Bool = false,
        _ done: @escaping (Made) -> Void
    ) {
        isBusy = true
        let place = world.clientDice.below(world.nodes.count)
        world.clients.ask(place, method, message, timeout: .seconds(4)) { [self] reply in
            isBusy = false
            var isLost = isRepeated
            switch reply {
            case .message(let bytes):
                return done(Made(revision: revision(bytes), isRepeated: isRepeated))
            case .status(let status):
                switch EtcdError(rawValue: status.message) {
                case .userExists, .roleExists, .permissionNotGranted:
                    return done(Made(revision: nil, isRepeated: isRepeated))
                default: isLost = isLost || !status.isDefinite
                }
            case .timeout: isLost = true
            }
            world.schedule(after: .milliseconds(100)) { [self] in
                if !isStopped { change(method, message, isRepeated: isLost, done) }
            }
        }
    }

    private func revision(_ bytes: [UInt8]) -> Int64? {
        do throws(WireError) {
            return try DecodedPlain(decoding: bytes).revision
        } catch {
            world.fail("codec", "the answer to a change of users can't be read: \(error)")
            return nil
        }
    }
}
