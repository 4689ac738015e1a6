// LifetimeTests.swift: what a member held is given back when it begins anew within its process.
// Belongs here: lifetimes of a whole member. Never here: behaviour.
// Why: a member that installed a snapshot starts again in place, and the simulator starts thousands.

import Storage
import Testing
import TestSupport

@testable import Server

@Suite struct LifetimeTests {
    @Test("lifetime: nothing of a member is left when it is let go of")
    func member() throws {
        weak var replica: Replica?
        weak var pages: PageStore?
        weak var log: LogStore?
        do {
            let rig = try ReplicaRig.started()
            for number in 0..<50 { _ = rig.ask(.put("k\(number)", "v")) }
            while try !rig.checkpointStep(pages: 64) { rig.settle() }
            #expect(try rig.content().keys.count == 50)
            (replica, pages, log) = (rig.replica, rig.pages, rig.log)
            #expect(replica != nil && pages != nil && log != nil)
        }
        #expect(replica == nil)
        #expect(pages == nil)
        #expect(log == nil)
    }
}
