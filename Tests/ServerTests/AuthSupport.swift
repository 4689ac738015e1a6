// AuthSupport.swift: a member with auth on as its clients reach it, and the slow and obvious idea of permissions.
// Belongs here: driving calls to their end, a model that enumerates keys. Never here: expectations.
// The model shares nothing with the code under test but the requests.

import Storage
import Testing
import Transport

@testable import Server

/// A member, the front end of one loop of it, and clients that hold tokens.
final class GuardedRig {
    let rig: ReplicaRig
    let loop = FakeLoop()
    let front: Front
    private var delivered = 0

    init(auth: AuthSettings = AuthSettings(bcryptCost: 4)) throws {
        rig = try ReplicaRig.started()
        loop.nonceStep = 0x9e37_79b9_7f4a_7c15
        let store = LoopStore(pages: rig.pages) { Issue.record("\($0)") }
        var limits = FrontLimits()
        limits.auth = auth
        let context = LoopContext(
            identity: ReplicaRig.identity, limits: limits, status: rig.status, store: store,
            environment: loop, loop: 0, pages: rig.pages)
        front = Front(
            context: context,
            watches: WatchHub(
                identity: ReplicaRig.identity, status: rig.status, store: store, environment: loop,
                loop: 0, fragmentBytesMax: 1 << 20, progressMilliseconds: 1000))
    }

    /// A member with user and role "root", and auth on.
    static func enabled(auth: AuthSettings = AuthSettings(bcryptCost: 4)) throws -> GuardedRig {
        let rig = try GuardedRig(auth: auth)
        for (method, message) in [
            (Method.userAdd, AuthUserAddRequest(name: "root", password: "r").encoded()),
            (.userGrantRole, AuthUserRoleRequest(user: "root", role: "root").encoded()),
            (.authEnable, []),
        ] {
            let status = rig.call(method, message).status
            #expect(status == .ok, "\(method)")
        }
        return rig
    }

    /// Makes a call and lets everything run until nothing moves.
    @discardableResult
    func call(_ method: Method, _ message: [UInt8], token: String? = nil) -> FakeCall {
        let call = FakeCall()
        call.credentials = Credentials(token: token)
        begin(call, method, message)
        run()
        return call
    }

    func begin(_ call: FakeCall, _ method: Method, _ message: [UInt8]) {
        front.start(call, method)
        front.receive(call, method, message)
    }

    /// Carries requests and answers between loop and replica until there are none.
    func run() {
        var isMoving = true
        while isMoving {
            isMoving = false
            for request in loop.takeSubmitted() {
                rig.take(request)
                isMoving = true
            }
            rig.settle()
            while delivered < rig.output.messages.count {
                front.take(rig.output.messages[delivered].message)
                delivered += 1
                isMoving = true
            }
            while loop.runTurn() { isMoving = true }
        }
    }

    /// Logs in; nil if that is refused.
    func logIn(_ name: String, _ password: String) -> String? {
        let request = AuthenticateRequest(name: name, password: password)
        let call = call(.authenticate, request.encoded())
        guard call.status == .ok, let message = call.messages.first else { return nil }
        do throws(WireError) {
            // In the answer to a client it is the whole token.
            return try LoginResponse(decoding: message).index
        } catch {
            return nil
        }
    }

    /// Makes a user with one role of its name that has these permissions, and logs it in.
    func make(_ name: String, _ permissions: [WirePermission], root: String) throws -> String {
        let requests: [(Method, [UInt8])] =
            [
                (.userAdd, AuthUserAddRequest(name: name, password: "p").encoded()),
                (.roleAdd, AuthNameRequest(name: name).encoded()),
                (.userGrantRole, AuthUserRoleRequest(user: name, role: name).encoded()),
            ]
            + permissions.map {
                (
                    .roleGrantPermission,
                    AuthRoleGrantPermissionRequest(role: name, permission: $0).encoded()
                )
            }
        for (method, message) in requests {
            let status = call(method, message, token: root).status
            #expect(status == .ok, "\(method)")
        }
        return try #require(logIn(name, "p"))
    }
}

/// All keys there are for the model: every text of up to three letters out of three, and one behind all.
///
/// Where bounds have two letters at most, a gap between ranges begins at one of these keys, if there is one.
enum ModelKeys {
    static let letters: [UInt8] = [0, 1, 2]
    static let all: [[UInt8]] = {
        var keys: [[UInt8]] = [[0xff, 0xff, 0xff, 0xff]]
        for first in letters {
            keys.append([first])
            for second in letters {
                keys.append([first, second])
                for third in letters { keys.append([first, second, third]) }
            }
        }
        return keys
    }()

    /// The keys of a range as requests and permissions name it.
    static func keys(_ key: [UInt8], _ rangeEnd: [UInt8]) -> Set<[UInt8]> {
        if rangeEnd.isEmpty { return [key] }
        return Set(
            all.filter { candidate in
                let isBefore = rangeEnd == [0] || candidate.lexicographicallyPrecedes(rangeEnd)
                return !candidate.lexicographicallyPrecedes(key) && isBefore
            })
    }

    /// A key of one or two letters.
    static func key(_ random: inout WireRandom) -> [UInt8] {
        (0...(random.bool() ? 1 : 0)).map { _ in letters.randomElement(using: &random) ?? 0 }
    }

    static func rangeEnd(_ random: inout WireRandom) -> [UInt8] {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: []
        case 1: [0]
        default: key(&random)
        }
    }
}

/// What a user may do, as sets of keys.
struct ModelGrant {
    var readable: Set<[UInt8]> = []
    var writable: Set<[UInt8]> = []

    mutating func add(_ permission: WirePermission) {
        let keys = ModelKeys.keys(permission.key.array, permission.rangeEnd.array)
        if permission.kind != 1 { readable.formUnion(keys) }
        if permission.kind != 0 { writable.formUnion(keys) }
    }

    func allows(_ request: RangeRequest) -> Bool {
        readable.isSuperset(of: touched(request.key, request.rangeEnd))
    }

    /// - Parameter leased: the keys attached to each lease.
    func allows(_ request: PutRequest, leased: [Int64: Set<[UInt8]>]) -> Bool {
        let key = request.key.array
        return writable.contains(key) && (!request.prevKV || readable.contains(key))
            && writable.isSuperset(of: leased[request.lease] ?? [])
    }

    func allows(_ request: DeleteRangeRequest) -> Bool {
        let keys = touched(request.key, request.rangeEnd)
        return writable.isSuperset(of: keys) && (!request.prevKV || readable.isSuperset(of: keys))
    }

    func allows(_ txn: TxnRequest, leased: [Int64: Set<[UInt8]>]) -> Bool {
        txn.compare.allSatisfy { readable.isSuperset(of: touched($0.key, $0.rangeEnd)) }
            && (txn.success + txn.failure).allSatisfy { operation in
                switch operation {
                case .range(let request): allows(request)
                case .put(let request): allows(request, leased: leased)
                case .deleteRange(let request): allows(request)
                case .txn(let nested): allows(nested, leased: leased)
                case .none: false
                }
            }
    }

    // A range without keys asks for its first one.
    private func touched(_ key: Bytes, _ rangeEnd: Bytes) -> Set<[UInt8]> {
        ModelKeys.keys(key.array, rangeEnd.array).union([key.array])
    }
}
