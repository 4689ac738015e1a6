// World+Rejoin.swift: a machine whose disk is lost asks the members for a new identity, and starts with it.
// Belongs here: asking, as a starting process does. Never here: what the members answer (Server), when disks are
// lost (Faults/).
// Source: Server/Runtime/Bootstrapper.swift; etcd semantics K10.

import Storage
import Transport

@testable import Server

extension World {
    /// Asks one member after the other, until one has an answer.
    func askForIdentity(_ node: SimulatedNode) {
        guard node.awaitsIdentity else { return }
        schedule(after: .milliseconds(500)) { [self] in
            askForIdentity(node)
        }
        guard let place = processDice.pick(Array(nodes.indices)), place != node.place,
            nodes[place].isAwake(at: now), let process = nodes[place].process,
            network.isOpen(from: node.place, to: place), network.isOpen(from: place, to: node.place)
        else { return }
        let request = MemberReplaceRequest(oldID: node.identity.memberID, name: node.name)
        let delay = network.latency(from: node.place, to: place)
        process.after(microseconds: delay) { process in
            process.ask(request, for: node)
        }
    }

    /// The answer for a machine: it starts as the member that it is now.
    func take(_ content: ForwardedAnswer.Content, for node: SimulatedNode) {
        // Two members may have answered; the first answer counts.
        guard node.awaitsIdentity else { return }
        if case .failure(let status) = content,
            EtcdError(rawValue: status.message) == .memberNotFound
        {
            // Its old member was removed meanwhile: it belongs to the cluster no more.
            node.awaitsIdentity = false
            node.isRetired = true
            return
        }
        guard case .message(let bytes) = content else { return }
        do throws(WireError) {
            let answer = try MemberAddResponse(decoding: bytes)
            node.identity = Identity(
                clusterID: node.identity.clusterID, memberID: answer.added.id)
            node.founders = []
            node.peers = answer.members.map(MemberRow.init)
        } catch {
            return fail("codec", "the answer to a member without data can't be read: \(error)")
        }
        node.awaitsIdentity = false
        marks.reach(.diskLossMended)
        note(.member, node.place, node.identity.memberID, 0, "new identity")
        start(node)
    }
}

extension MemberProcess {
    /// Passes a machine's question on to the leader.
    fileprivate func ask(_ request: MemberReplaceRequest, for node: SimulatedNode) {
        newcomers.append(node)
        let question = ReplicaRequest(
            origin: .newcomer(UInt64(newcomers.count - 1)),
            body: .memberReplace(request, nonce: world.processDice.next()),
            byteCount: request.encoded().count)
        _ = add([question])
    }
}
