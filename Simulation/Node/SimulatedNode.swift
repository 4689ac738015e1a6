// SimulatedNode.swift: one machine: its disk, its clock, and the process that runs on it, if one does.
// Belongs here: what outlives a process. Never here: the process (MemberProcess.swift), faults (Faults/).

import Storage

@testable import Server

/// A machine of the world.
final class SimulatedNode {
    /// Which machine it is, from 0.
    let place: Int
    let disk: SimulatedDisk
    var clock: NodeClock
    /// Who it is in the cluster.
    var identity: Identity
    /// The members of the new cluster, on those that found it.
    var founders: [MemberRow]
    /// Whom a joining member was told of.
    var peers: [MemberRow]
    /// The process; nil while it is down.
    var process: MemberProcess?
    /// The process does nothing before this.
    var pausedUntil = Moment.beginning
    /// What each turn of the process takes more than usual.
    var turnMicroseconds: UInt64 = 0
    /// What came to the machine while the process was paused, in that order.
    var parked: [() -> Void] = []
    /// Processes that ran here.
    var starts = 0
    /// The member was removed from the cluster, or lost its disk: it never runs again as what it was.
    var isRetired = false
    /// Its disk was lost, and the others have not given it a new identity yet.
    var awaitsIdentity = false
    /// The process is held back: nobody starts it again on its own.
    var isHeldDown = false

    init(
        place: Int, disk: SimulatedDisk, clock: NodeClock, identity: Identity,
        founders: [MemberRow], peers: [MemberRow]
    ) {
        self.place = place
        self.disk = disk
        self.clock = clock
        self.identity = identity
        self.founders = founders
        self.peers = peers
    }

    /// The process with a number, if that is the one that runs.
    func running(_ number: Int) -> MemberProcess? {
        guard let process, process.number == number else { return nil }
        return process
    }

    /// Whether a process would run, were there one.
    func isRunning(at now: Moment) -> Bool { pausedUntil <= now }

    /// Whether a process runs that is not paused.
    func isAwake(at now: Moment) -> Bool { process != nil && isRunning(at: now) }

    /// As traces show it.
    var name: String { "n\(place)" }

    /// Where a machine of a place listens.
    static func peerURL(_ place: Int) -> String { "http://127.0.0.1:\(2380 + place)" }

    /// The place of the machine that a member's URL leads to.
    static func place(ofURL url: String) -> Int? {
        guard let colon = url.lastIndex(of: ":"), let port = Int(url[url.index(after: colon)...])
        else { return nil }
        return port - 2380
    }

    var ownRow: MemberRow {
        MemberRow(
            id: identity.memberID, name: name, peerURLs: [Self.peerURL(place)],
            clientURLs: ["http://127.0.0.1:\(12380 + place)"], role: .voter)
    }
}
