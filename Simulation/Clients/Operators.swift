// Operators.swift: what people who run a cluster ask of it: other members, another leader.
// Belongs here: requests of the Cluster and Maintenance services, new machines. Never here: when (Faults/).
// Source: etcd semantics K1 to K8, M9; as with etcd, a member is added as a learner and promoted later.

import Raft
import Storage
import Transport

@testable import Server

/// The operators of one world; one change of the members at a time.
final class Operators {
    unowned(unsafe) let world: World
    private var isChanging = false
    /// The most machines a world may have, those that were removed included.
    private static let machinesMax = 12

    init(world: World) {
        self.world = world
    }

    /// The member that leads in the newest term; nil if none does.
    var leader: SimulatedNode? {
        var found: (node: SimulatedNode, term: UInt64)?
        for node in world.nodes {
            guard let core = node.process?.replica.node, core.role == .leader else { continue }
            if let found, found.term >= core.term.rawValue { continue }
            found = (node, core.term.rawValue)
        }
        return found?.node
    }

    /// Asks the leader to hand over to another voter.
    func moveLeader() {
        guard let leader, let core = leader.process?.replica.node,
            let target = world.faultDice.pick(core.membership.voters.filter { $0 != core.id })
        else { return }
        world.faults.count(.leaderMoved)
        let request = MoveLeaderRequest(targetID: target.rawValue)
        world.clients.ask(
            leader.place, .moveLeader, request.encoded(), timeout: .seconds(5)
        ) { _ in }
    }

    /// A machine is gone with its disk: its member is removed, and another one added in its place.
    func loseMachine() {
        guard let leader, let core = leader.process?.replica.node, core.membership.voters.count > 2,
            world.nodes.count < Self.machinesMax, isWhole(core),
            let victim = world.faultDice.pick(core.membership.voters),
            let place = world.place(of: victim.rawValue)
        else { return }
        let node = world.nodes[place]
        world.faults.count(.diskLost)
        world.note(.fault, place, UInt64(FaultKind.diskLost.rawValue), 0, "diskLost")
        world.end(node, .powerLost(.nothing))
        node.disk.wipe()
        node.isRetired = true
        replaceLost()
    }

    /// Whether no machine of a member is lost already: two at a time may be more than the others can bear.
    func isWhole(_ core: RaftNode) -> Bool {
        lost(core) == nil && !world.nodes.contains(where: \.awaitsIdentity)
    }

    /// A voter whose machine is gone for good.
    private func lost(_ core: RaftNode) -> MemberID? {
        core.membership.members.first { member in
            world.place(of: member.rawValue).map { world.nodes[$0].isRetired } ?? false
        }
    }

    /// Goes on until as many members vote as in the beginning.
    func replaceLost() {
        world.schedule(after: .seconds(1)) { [self] in
            guard !world.plan.isOver else { return }
            guard let core = leader?.process?.replica.node else { return replaceLost() }
            if lost(core) == nil, core.membership.voters.count >= world.setup.members { return }
            changeMembers()
            replaceLost()
        }
    }

    /// Adds a member, or removes one, if the last change is over.
    func changeMembers() {
        guard !isChanging, let leader, let core = leader.process?.replica.node else { return }
        if let gone = lost(core) { return remove(gone.rawValue, on: leader.place) }
        let voters = core.membership.voters.count
        let learners = core.membership.learners
        if let learner = learners.first { return promote(learner.rawValue, on: leader.place) }
        let grows = voters <= 3 || voters < 5 && world.faultDice.chance(percent: 50)
        if grows, world.nodes.count < Self.machinesMax { return add(on: leader.place) }
        guard voters > 3, let victim = world.faultDice.pick(core.membership.voters) else { return }
        remove(victim.rawValue, on: leader.place)
    }

    /// Several people ask for changes of the members at the same time, each without waiting for the others.
    func rush() {
        guard let leader, let core = leader.process?.replica.node, lost(core) == nil,
            world.nodes.count + 1 < Self.machinesMax
        else { return }
        world.faults.count(.changesAtOnce)
        for learner in core.membership.learners { promote(learner.rawValue, on: leader.place) }
        if core.membership.voters.count > 3,
            let victim = world.faultDice.pick(core.membership.voters.filter { $0 != core.id })
        {
            remove(victim.rawValue, on: leader.place)
        }
        add(on: leader.place)
    }

    private func ask(
        _ place: Int, _ method: Method, _ message: [UInt8], _ end: @escaping (Reply) -> Void
    ) {
        isChanging = true
        world.clients.ask(place, method, message, timeout: .seconds(5)) { [self] reply in
            isChanging = false
            end(reply)
        }
    }

    private func add(on place: Int) {
        let machine = world.nodes.count
        let url = SimulatedNode.peerURL(machine)
        let request = MemberAddRequest(peerURLs: [url], isLearner: true)
        ask(place, .memberAdd, request.encoded()) { [self] reply in
            guard case .message(let bytes) = reply else { return }
            do throws(WireError) {
                let answer = try MemberAddResponse(decoding: bytes)
                join(answer, cluster: world.nodes[place].identity.clusterID, url: url)
            } catch {
                world.fail("codec", "the answer to a member's addition can't be read: \(error)")
            }
        }
    }

    private func join(_ answer: MemberAddResponse, cluster: UInt64, url: String) {
        guard SimulatedNode.place(ofURL: url) == world.nodes.count else { return }
        world.faults.count(.memberAdded)
        let node = world.addNode(
            identity: Identity(clusterID: cluster, memberID: answer.added.id), founders: [],
            peers: answer.members.map(MemberRow.init))
        world.note(.member, node.place, answer.added.id, 0, "added")
        if world.nodes.contains(where: \.isRetired) { world.marks.reach(.memberReplaced) }
        // Those that heard of it before its machine was there dial it now.
        for other in world.nodes {
            guard let process = other.process, process.knowsMembers else { continue }
            world.network.update(process, process.directory.members)
        }
        world.start(node)
    }

    private func promote(_ member: UInt64, on place: Int) {
        ask(place, .memberPromote, MemberPromoteRequest(id: member).encoded()) { [self] reply in
            guard case .message = reply else { return }
            world.faults.count(.memberPromoted)
            world.marks.reach(.learnerPromoted)
        }
    }

    private func remove(_ member: UInt64, on place: Int) {
        ask(place, .memberRemove, MemberRemoveRequest(id: member).encoded()) { [self] reply in
            guard case .message = reply, let gone = world.place(of: member) else { return }
            world.faults.count(.memberRemoved)
            world.note(.member, gone, member, 1, "removed")
            // Nobody runs it for long: the members that are left may be its only word of the removal.
            world.schedule(after: .seconds(10)) { [self] in
                world.end(world.nodes[gone], .removed)
                world.nodes[gone].isRetired = true
            }
        }
    }
}
