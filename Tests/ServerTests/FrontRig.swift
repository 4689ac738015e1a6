// FrontRig.swift: the front end of one loop beside a member that serves, both stepped by hand.
// Belongs here: making it, moving requests and answers between the two. Never here: expectations.

import Storage
import Testing
import Transport

@testable import Server

/// The front end of one loop, beside a member that serves.
final class FrontRig {
    let rig: ReplicaRig
    let loop = FakeLoop()
    let front: Front

    init() throws {
        rig = try ReplicaRig.started()
        let store = LoopStore(pages: rig.pages) { Issue.record("\($0)") }
        let context = LoopContext(
            identity: ReplicaRig.identity, limits: FrontLimits(), status: rig.status, store: store,
            environment: loop, loop: 0, pages: rig.pages)
        front = Front(
            context: context,
            watches: WatchHub(
                identity: ReplicaRig.identity, status: rig.status, store: store, environment: loop,
                loop: 0, fragmentBytesMax: 1 << 20, progressMilliseconds: 1000))
        loop.refused = { [unowned front] ticket in
            front.take(.failure(ticket, EtcdError.tooManyRequests.status))
        }
    }

    /// Makes a unary call; what it sent to the replica is in `loop`.
    func call(_ method: Method, _ message: [UInt8]) -> FakeCall {
        let call = FakeCall()
        front.start(call, method)
        front.receive(call, method, message)
        return call
    }

    /// Carries out what was submitted and hands the answers back, until nothing more comes.
    func settle() {
        var isBusy = true
        while isBusy {
            isBusy = loop.runTurn()
            for request in loop.takeSubmitted() {
                isBusy = true
                rig.take(request)
            }
            rig.settle()
            for (place, message) in rig.output.messages where place == 0 { front.take(message) }
            rig.output.clear()
        }
    }
}
