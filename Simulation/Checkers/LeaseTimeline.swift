// LeaseTimeline.swift: how long each lease must live, and may live, by what its clients were told.
// Belongs here: times of leases. Never here: their keys (ModelStore), verdicts (LeaseChecker).
// Source: semantics L1, L3, L6, L7. A renewal took place somewhere between call and answer.

/// What a checker must know of clocks and leaders to judge leases.
package struct LeaseTerms: Hashable, Sendable {
    /// A span of time in which one leader led without a break, in microseconds.
    package struct Reign: Hashable, Sendable {
        package var from: UInt64
        package var until: UInt64

        package init(from: UInt64, until: UInt64) {
            self.from = from
            self.until = until
        }
    }

    /// The most by which a leader's clock runs wrong, in parts of a million.
    package var driftPerMillion: UInt64
    /// The most by which a lease may outlive its time under one leader, in microseconds: the
    /// leader's checks, the rate of revoking, and what a new leader grants on top (L6, L7).
    package var lateMax: UInt64
    /// Spans with a leader; without any, lateness is not judged.
    package var reigns: [Reign]

    package init(driftPerMillion: UInt64 = 0, lateMax: UInt64 = 0, reigns: [Reign] = []) {
        self.driftPerMillion = driftPerMillion
        self.lateMax = lateMax
        self.reigns = reigns
    }
}

/// The lives of all leases of a history.
package struct LeaseTimeline: Sendable {
    /// A lease from one grant on; the same number may be granted again after its end.
    private struct Life {
        let grantInvoked: UInt64
        let grantReturned: UInt64
        var mustLiveUntil: UInt64
        var mayLiveUntil: UInt64
        let ttl: Int64
    }

    private let terms: LeaseTerms
    /// By lease, in order of time.
    private var lives: [Int64: [Life]] = [:]
    /// Leases that a call of unknown outcome may have granted or renewed, with the first such time.
    private var doubtful: [Int64: UInt64] = [:]

    package init(history: History, terms: LeaseTerms) {
        self.terms = terms
        let ordered = history.operations.filter(Self.isAboutLeases).sorted {
            ($0.invoked, $0.number) < ($1.invoked, $1.number)
        }
        for operation in ordered { addGrant(operation) }
        for operation in ordered { addRenewal(operation) }
    }

    private static func isAboutLeases(_ operation: Operation) -> Bool {
        switch operation.request {
        case .leaseGrant, .leaseKeepAlive: true
        default: false
        }
    }

    private mutating func addGrant(_ operation: Operation) {
        guard case .leaseGrant(let id, _) = operation.request else { return }
        if let answer = operation.answer, case .leaseGrant(let id, let ttl) = answer.response.body {
            lives[id, default: []].append(
                Life(
                    grantInvoked: operation.invoked, grantReturned: answer.at,
                    mustLiveUntil: operation.invoked + atLeast(ttl),
                    mayLiveUntil: answer.at + atMost(ttl), ttl: ttl))
        } else if case .unknown = operation.outcome {
            doubtful[id] = min(doubtful[id] ?? .max, operation.invoked)
        }
    }

    private mutating func addRenewal(_ operation: Operation) {
        guard case .leaseKeepAlive(let id) = operation.request else { return }
        if case .unknown = operation.outcome {
            doubtful[id] = min(doubtful[id] ?? .max, operation.invoked)
        }
        guard let answer = operation.answer, let own = lives[id],
            case .leaseKeepAlive(let ttl) = answer.response.body, ttl > 0
        else { return }
        guard let place = own.lastIndex(where: { $0.grantInvoked <= operation.invoked }) else {
            return
        }
        // Near another grant of the same number nobody can tell which life was renewed.
        if place + 1 < own.count, own[place + 1].grantInvoked <= answer.at { return }
        if own[place].grantReturned > operation.invoked, place > 0 { return }
        let must = operation.invoked + atLeast(ttl)
        let may = answer.at + atMost(ttl)
        lives[id]?[place].mustLiveUntil = max(own[place].mustLiveUntil, must)
        lives[id]?[place].mayLiveUntil = max(own[place].mayLiveUntil, may)
    }

    private func atLeast(_ ttl: Int64) -> UInt64 {
        let whole = UInt64(max(0, ttl)) * 1_000_000
        return whole - min(whole, whole / 1_000_000 * terms.driftPerMillion)
    }

    private func atMost(_ ttl: Int64) -> UInt64 {
        let whole = UInt64(max(0, ttl)) * 1_000_000
        return whole + whole / 1_000_000 * terms.driftPerMillion
    }

    /// Whether anybody was, or may have been, granted the lease by a time.
    package func mayExist(_ lease: Int64, by time: UInt64) -> Bool {
        if let since = doubtful[lease], since <= time { return true }
        return (lives[lease] ?? []).contains { $0.grantInvoked <= time }
    }

    /// Whether the number may have been granted more than once, so that ends cannot be told apart.
    package func isRenumbered(_ lease: Int64) -> Bool {
        doubtful[lease] != nil || lives[lease]?.count != 1
    }

    /// The time before which a lease, alive at or before `time`, must not have expired; 0 if
    /// nothing is promised.
    ///
    /// With several lives by then, the end may have been that of any: the least promise counts.
    package func mustLive(_ lease: Int64, by time: UInt64) -> UInt64 {
        let begun = (lives[lease] ?? []).filter { $0.grantInvoked <= time }
        return begun.map(\.mustLiveUntil).min() ?? 0
    }

    /// Whether the lease was certainly granted before a time, in its only life.
    package func wasGranted(_ lease: Int64, before time: UInt64) -> Bool {
        guard let own = lives[lease], own.count == 1 else { return false }
        return own[0].grantReturned < time
    }

    /// The time after which a lease must be gone, if it can be told from one reign: its last
    /// renewal or the reign's start, the whole time to live, and the allowed lateness.
    package func mustBeGone(_ lease: Int64, seenAt time: UInt64) -> UInt64? {
        if let since = doubtful[lease], since <= time { return nil }
        guard let last = (lives[lease] ?? []).last(where: { $0.grantInvoked <= time }),
            let reign = terms.reigns.last(where: { $0.from <= time && time <= $0.until })
        else { return nil }
        return max(last.mayLiveUntil, reign.from + atMost(last.ttl)) + terms.lateMax
    }
}
