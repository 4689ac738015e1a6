// GuardedRig.swift: a member as its clients reach it: front end, replica and store, on one thread.
// Belongs here: driving calls to their end. Never here: expectations, users (AuthSupport.swift); the fuzzer of
// permissions uses it too.

import Storage
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
        let store = LoopStore(pages: rig.pages) { preconditionFailure("\($0)") }
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

    deinit {
        front.abandon()
        loop.forget()
    }

    /// Makes a call and lets everything run until nothing moves.
    @discardableResult
    func call(
        _ method: Method, _ message: [UInt8], token: String? = nil, commonName: String? = nil
    ) -> FakeCall {
        let call = FakeCall()
        call.credentials = Credentials(token: token, commonName: commonName)
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
}

/// What a watch answers, as far as refusals go.
struct DecodedRefusal: WireDecodable {
    var canceled = false

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 4: canceled = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }
}
