// Network+Links.swift: connections are dialled, admitted, and break.
// Belongs here: the life of a link. Never here: what travels on it (Network.swift).
// Source: Transport/Peer/PeerLink.swift and PeerLimits.swift; Server/Runtime/PeerNetwork.swift.

import Storage

@testable import Server
@testable import Transport

extension Network {
    /// Connects a member to those that there are now, and lets go of those that are gone.
    func update(_ process: MemberProcess, _ rows: [MemberRow]) {
        let own = process.node.place
        var wanted: [Int] = []
        for row in rows where row.id != process.node.identity.memberID {
            if let place = world.place(of: row.id) { wanted.append(place) }
        }
        for place in wanted {
            for channel in LinkChannel.allCases {
                let link = link(own, place, channel)
                link.isWanted = true
                dial(link, after: 0)
            }
        }
        let gone = links.filter { link in
            link.dialer == own
                ? link.isWanted && !wanted.contains(link.acceptor)
                : link.acceptor == own && link.isUp && !wanted.contains(link.dialer)
        }
        guard !gone.isEmpty else { return }
        // What tells a member of its removal may still be on its way.
        process.after(microseconds: .seconds(2)) { $0.world.network.letGo(gone, by: $0) }
    }

    /// Ends connections with members that are gone; one that dials again is told that it was removed.
    private func letGo(_ gone: [Link], by process: MemberProcess) {
        let own = process.node.place
        for link in gone where link.dialer != own || link.isWanted {
            let other = link.dialer == own ? link.acceptor : link.dialer
            let isBack = process.directory.reachable.contains { world.place(of: $0.id) == other }
            guard !isBack else { continue }
            if link.dialer == own { link.isWanted = false }
            breakLink(link)
        }
    }

    /// Tries to connect, and goes on trying.
    func dial(_ link: Link, after delay: UInt64) {
        guard link.isWanted, !link.isUp, !link.isDialing,
            let dialer = world.nodes[link.dialer].process
        else { return }
        link.isDialing = true
        let handshake = 3 * latency(from: link.dialer, to: link.acceptor)
        dialer.after(microseconds: delay + handshake) { [self] process in
            guard link.isDialing else { return }
            link.isDialing = false
            guard link.isWanted, !link.isUp else { return }
            guard isOpen(from: link.dialer, to: link.acceptor),
                isOpen(from: link.acceptor, to: link.dialer),
                world.nodes[link.acceptor].isAwake(at: world.now),
                let acceptor = world.nodes[link.acceptor].process
            else { return retry(link) }
            meet(link, process, acceptor)
        }
    }

    private func retry(_ link: Link) {
        link.failures = min(link.failures + 1, 6)
        dial(link, after: min(.seconds(1), .milliseconds(20) << link.failures))
    }

    private func meet(_ link: Link, _ dialer: MemberProcess, _ acceptor: MemberProcess) {
        let hello = PeerHello(
            identity: PeerIdentity(
                clusterID: dialer.node.identity.clusterID,
                memberID: dialer.node.identity.memberID, name: dialer.node.name,
                url: SimulatedNode.peerURL(dialer.node.place)),
            to: acceptor.node.identity.memberID,
            channel: link.channel == .log ? .log : .forward)
        switch acceptor.directory.admits(hello) {
        case .accept:
            link.isUp = true
            link.failures = 0
            link.epoch += 1
            link.underWay = 0
            if link.channel == .forward { dialer.add(.forwardReady) }
            if acceptor.directory.isStranger(hello.from) {
                world.marks.reach(.strangerAdmitted)
                update(acceptor, acceptor.directory.reachable)
            }
        case .refuse(.removedMember, _):
            world.marks.reach(.removedMemberTold)
            world.end(dialer.node, .removed)
        case .refuse: retry(link)
        }
    }

    /// A connection breaks; what was under way is lost, and both ends are told that still live.
    func breakLink(_ link: Link) {
        guard link.isUp else { return }
        drop(link)
        let dialer = world.nodes[link.dialer]
        let acceptor = world.nodes[link.acceptor]
        switch link.channel {
        case .log:
            dialer.process?.add(.disconnected(acceptor.identity.memberID))
            acceptor.process?.add(.disconnected(dialer.identity.memberID))
        case .forward: dialer.process?.add(.forwardLost(acceptor.identity.memberID))
        }
        dial(link, after: 0)
    }

    private func drop(_ link: Link) {
        link.isUp = false
        link.epoch += 1
        link.underWay = 0
        link.heldThere = []
        link.heldBack = []
    }

    /// The process of a machine is gone: its connections are, and the others hear of it now or much later.
    func processEnded(_ place: Int, isHeard: Bool) {
        for link in links where link.dialer == place || link.acceptor == place {
            if link.dialer == place {
                link.isWanted = false
                link.isDialing = false
            }
            guard link.isUp else { continue }
            let other = link.dialer == place ? link.acceptor : link.dialer
            let delay = isHeard ? latency(from: place, to: other) : settings.silenceMicroseconds
            let epoch = link.epoch
            if link.dialer == place || isHeard {
                // The end that is gone asks for nothing; a new process dials anew.
                drop(link)
                tell(link, other, after: delay)
            } else {
                world.schedule(at: world.now.after(microseconds: delay)) { [self] in
                    if link.epoch == epoch { breakLink(link) }
                }
            }
        }
    }

    private func tell(_ link: Link, _ other: Int, after delay: UInt64) {
        let gone = world.nodes[link.dialer == other ? link.acceptor : link.dialer].identity.memberID
        world.nodes[other].process?.after(microseconds: delay) { [self] process in
            switch link.channel {
            case .log: process.add(.disconnected(gone))
            case .forward where link.dialer == other: process.add(.forwardLost(gone))
            case .forward: break
            }
            if link.dialer == other { dial(link, after: 0) }
        }
    }
}
