// AccessStory.swift: an input as users with grants and what they try, checked step by step.
// Belongs here: the two properties, and the setting. Never here: single requests (AccessStory+Steps.swift), grants
// (AccessOracle.swift).
// Source: etcd semantics A7-A9, T12, W20, W22; AccessTable.swift. The properties:
//   1. Whatever a caller sends, a key that changes is one it may write, and a value it is sent is of a key it may read.
//   2. A request whose need is known is refused if and only if the oracle refuses it.

import Storage
import Transport

@testable import Server

/// One member, its users, and what they do to it.
struct AccessStory {
    enum Verdict {
        case allowed, refused
        /// Property 1 alone is checked.
        case open
    }

    /// A key as it is stored.
    struct Stored: Equatable {
        var modified: Int64
        var lease: Int64
    }

    /// A watch that goes on, and what its owner could read when it began.
    private struct OpenWatch {
        let call: FakeCall
        let mayRead: ([UInt8]) -> Bool
    }

    static let stepsMax = 48
    static let watchesMax = 8
    var draw: Draw
    var oracle = AccessOracle()
    let rig: GuardedRig
    private(set) var stored: [[UInt8]: Stored] = [:]
    private var watches: [OpenWatch] = []

    init(_ input: [UInt8]) throws {
        draw = Draw(input)
        rig = try GuardedRig(auth: AuthSettings(bcryptCost: 4, trustsCertificates: true))
        prepare()
    }

    private mutating func prepare() {
        var user = AuthUserAddRequest(name: "root")
        user.options.noPassword = true
        must(.userAdd, user.encoded())
        must(.userGrantRole, AuthUserRoleRequest(user: "root", role: "root").encoded())
        must(.authEnable, [])
        for role in ["r0", "r1", "r2"] {
            must(.roleAdd, AuthNameRequest(name: role).encoded())
            oracle.roles[role] = []
            for _ in 0..<draw.number(3) { grant(draw.permission(), to: role) }
        }
        for name in ["u0", "u1"] {
            user.name = name
            must(.userAdd, user.encoded())
            oracle.users[name] = []
            for role in ["r0", "r1", "r2"] where draw.flag() {
                must(.userGrantRole, AuthUserRoleRequest(user: name, role: role).encoded())
                oracle.users[name]?.insert(role)
            }
        }
        for lease in [1, 2, 9] as [Int64] {
            must(.leaseGrant, LeaseGrantRequest(ttl: 600, id: lease).encoded())
        }
        for _ in 0..<draw.number(8) {
            let key = draw.key()
            let put = PutRequest(
                key: key, value: Draw.value(of: key), lease: Int64(draw.number(3)))
            must(.put, put.encoded())
        }
    }

    private mutating func grant(_ permission: WirePermission, to role: String) {
        let request = AuthRoleGrantPermissionRequest(role: role, permission: permission)
        let status = rig.call(.roleGrantPermission, request.encoded(), commonName: "root").status
        // A range that no key can lie in is refused.
        if status == .ok { oracle.set(permission, of: role) }
    }

    private func must(_ method: Method, _ message: [UInt8]) {
        let status = rig.call(method, message, commonName: "root").status
        precondition(status == .ok, "\(method): \(String(describing: status))")
    }

    /// Lets the callers try what the input says.
    mutating func tell() throws {
        stored = try read()
        for _ in 0..<Self.stepsMax where !draw.isAtEnd {
            let caller = draw.one(of: [nil, "u0", "u0", "u1", "u1", "ghost", "root"])
            try step(caller)
        }
        // A call and its stream hold each other: nothing of a story is to be left.
        for watch in watches {
            rig.front.cancel(holder: watch.call.held)
            watch.call.held = nil
        }
    }

    /// Makes a call and checks what came of it.
    @discardableResult
    mutating func attempt(
        _ caller: String?, _ method: Method, _ message: [UInt8], _ verdict: Verdict
    ) throws -> FakeCall {
        // As they are before: the call may change them.
        let former = oracle
        let call = rig.call(method, message, commonName: caller)
        let goesOn = method == .watch && call.isOpen && watches.count < Self.watchesMax
        if call.isOpen, !goesOn {
            rig.front.cancel(holder: call.held)
            call.isOpen = false
            call.held = nil
            rig.run()
        }
        let story = "\(caller ?? "nobody") \(method) \(message): \(String(describing: call.status))"
        checkValues(call, story) { former.mayRead(caller, $0) }
        let now = try read()
        for key in Set(stored.keys).union(now.keys) where stored[key] != now[key] {
            precondition(former.mayWrite(caller, key), "\(story) changed \(key)")
        }
        stored = now
        check(call, method, caller, verdict, story)
        for watch in watches { checkValues(watch.call, "a watch", watch.mayRead) }
        if goesOn { watches.append(OpenWatch(call: call) { former.mayRead(caller, $0) }) }
        return call
    }

    private func check(
        _ call: FakeCall, _ method: Method, _ caller: String?, _ verdict: Verdict, _ story: String
    ) {
        let isRefused =
            switch method {
            case .watch: isCanceled(call)
            default:
                call.status == EtcdError.permissionDenied.status
                    || call.status == EtcdError.userNameEmpty.status
            }
        switch verdict {
        case .open: break
        case .allowed: precondition(!isRefused, "\(story), and it is allowed")
        // Something else may be wrong with it as well, and be found first.
        case .refused:
            let failed = method == .watch ? isRefused : call.status.map { $0 != .ok } ?? false
            precondition(failed, "\(story), and it is not allowed")
        }
    }

    private func isCanceled(_ call: FakeCall) -> Bool {
        guard let message = call.messages.first else { return call.status != .ok }
        do throws(WireError) {
            return try DecodedRefusal(decoding: message).canceled
        } catch {
            preconditionFailure("an answer that nobody can read: \(error)")
        }
    }

    /// Every value that was sent must be of a key that may be read.
    private func checkValues(
        _ call: FakeCall, _ story: String, _ mayRead: ([UInt8]) -> Bool
    ) {
        for message in call.messages {
            for place in message.indices
            where message[place...].starts(with: Draw.marker) {
                let key = Self.key(in: message[(place + Draw.marker.count)...])
                precondition(mayRead(key), "\(story) was sent the value of \(key)")
            }
        }
    }

    private static func key(in digits: ArraySlice<UInt8>) -> [UInt8] {
        let text = digits.prefix { $0 != UInt8(ascii: ";") }
        var key: [UInt8] = []
        var high: UInt8?
        for digit in text {
            let number = digit < 0x60 ? digit & 15 : digit - 0x57
            if let known = high { key.append(known << 4 | number) }
            high = high == nil ? number : nil
        }
        return key
    }

    private func read() throws(StorageError) -> [[UInt8]: Stored] {
        try rig.rig.read { (reader, _) throws(StorageError) in
            var found: [[UInt8]: Stored] = [:]
            let cursor = try RangeCursor.make(
                reader: reader, bounds: KeyBounds(start: Bytes([0]), end: .unbounded), at: nil,
                values: .none)
            defer { cursor.close() }
            while try cursor.next() {
                found[Array(cursor.key)] = Stored(
                    modified: cursor.record.revision.rawValue, lease: cursor.record.lease)
            }
            return found
        }
    }
}
