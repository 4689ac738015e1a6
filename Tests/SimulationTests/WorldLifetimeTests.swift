// WorldLifetimeTests.swift: a world that nobody looks at any more is gone, with all its parts.
// Belongs here: weak references after a run. Never here: what a run finds (SeedTests.swift).

import Testing

@testable import Simulation

/// What of a world must be gone with it.
private struct Remains {
    weak var world: World?
    weak var clients: ClientGroup?
    weak var network: Network?
    weak var plan: FaultPlan?
    var processes: [Weak<MemberProcess>] = []
    var disks: [Weak<SimulatedDisk>] = []

    struct Weak<Object: AnyObject> {
        weak var object: Object?
    }

    init(_ world: World) {
        self.world = world
        clients = world.clients
        network = world.network
        plan = world.plan
        processes = world.nodes.map { Weak(object: $0.process) }
        disks = world.nodes.map { Weak(object: $0.disk) }
    }

    /// The names of what is still there.
    var names: [String] {
        var found: [String] = []
        if world != nil { found.append("world") }
        if clients != nil { found.append("clients") }
        if network != nil { found.append("network") }
        if plan != nil { found.append("plan") }
        if processes.contains(where: { $0.object != nil }) { found.append("process") }
        if disks.contains(where: { $0.object != nil }) { found.append("disk") }
        return found
    }
}

@Suite("lifetime")
struct WorldLifetimeTests {
    @Test("lifetime: a finished world leaves nothing behind", arguments: ScenarioFiles.names)
    func finished(_ name: String) throws {
        let scenario = try ScenarioFiles.short(name)
        let remains = Remains(SimulationRun.world(scenario, seed: 3))
        #expect(remains.names == [])
    }

    @Test("lifetime: a world that failed in the midst of its faults leaves nothing behind")
    func failed() throws {
        let scenario = try ScenarioFiles.short("watch")
        let (rule, remains) = failing(scenario)
        #expect(rule == "test")
        #expect(remains.names == [])
    }

    private func failing(_ scenario: Scenario) -> (rule: String?, remains: Remains) {
        let world = SimulationRun.world(scenario, seed: 4) { world in
            world.schedule(after: .seconds(2)) { [unowned world] in
                world.fail("test", "on purpose")
            }
        }
        return (world.failure?.rule, Remains(world))
    }
}
