// RequestQueue.swift: requests that wait, and who may still join them.
// Belongs here: order, bytes, the rule of admission. Never here: carrying anything out.
// Source: etcd semantics G14; design section 6, rule 6. What keeps a cluster alive while clients storm it
// (leases kept alive, alarms cleared, members changed) has places that nobody else can take.

/// Whether one more request may wait where some wait already.
enum Admission {
    /// - Parameters:
    ///   - count: requests that wait.
    ///   - bytes: what they cost.
    static func admits(_ request: ReplicaRequest, count: Int, bytes: Int) -> Bool {
        // One alone always fits: its size was judged when it came.
        guard count > 0 else { return true }
        let isVital = request.body.isVital
        let countMax =
            ReplicaLimits.queuedRequestsMax + (isVital ? ReplicaLimits.vitalRequestsReserve : 0)
        let bytesMax =
            ReplicaLimits.queuedBytesMax + (isVital ? ReplicaLimits.vitalBytesReserve : 0)
        return count < countMax && bytes + request.cost <= bytesMax
    }
}

extension ReplicaRequest {
    /// What it takes in memory while it waits, in bytes.
    var cost: Int { byteCount + ReplicaLimits.requestOverheadBytes }
}

extension ReplicaRequest.Body {
    /// Whether it may use the places that are kept for what ends a storm, or keeps others from harm in it.
    ///
    /// - Vital is what others depend on while the queue is full: leases kept alive and tokens renewed (else every
    ///   lock and every login is lost, and all clients begin anew at once); leases that end, which free locks; what
    ///   members do for each other; read indexes, of which each loop has some tens at a time (`ReadBatcher`).
    /// - Vital is what an operator ends a storm or an alarm with: compaction, alarms, members, leadership, and users
    ///   and permissions: whoever storms can be shut out.
    /// - Not vital is what clients storm with. Logins: each costs a hash already, and a client that has to wait for one
    ///   is not worse off. Deletions: they are ordinary writes; at a used-up quota the queue is as free as ever, for
    ///   puts are refused when they are carried out, and don't wait for anything. Lists and times of leases: they only
    ///   read, and keep nothing alive.
    var isVital: Bool {
        switch self {
        case .put, .deleteRange, .txn, .leaseGrant, .leaseTimeToLive, .leaseLeases, .auth(.login):
            false
        case .leaseKeepAlive, .leaseRevoke, .loginUsed, .readIndex, .subscribe, .publishMember,
            .memberReplace:
            true
        case .compact, .alarm, .moveLeader, .memberAdd, .memberRemove, .memberUpdate,
            .memberPromote, .auth:
            true
        }
    }
}

extension ReplicaRequest.Body {
    /// Whether the leader answers it from memory, without an entry.
    var isLeaseQuestion: Bool {
        switch self {
        case .leaseKeepAlive, .leaseTimeToLive, .leaseLeases: true
        default: false
        }
    }
}

/// Requests in the order in which they came, with what they cost together.
struct RequestQueue {
    private var items: [ReplicaRequest] = []
    private var start = 0
    /// What the requests cost.
    private(set) var byteCount = 0
    /// How many of them are vital.
    private(set) var vitalCount = 0

    var count: Int { items.count - start }
    var isEmpty: Bool { start == items.count }
    var first: ReplicaRequest? { isEmpty ? nil : items[start] }

    /// The request at a place, counted from the oldest.
    subscript(place: Int) -> ReplicaRequest { items[start + place] }

    mutating func append(_ request: ReplicaRequest) {
        items.append(request)
        note(request)
    }

    mutating func append(contentsOf requests: [ReplicaRequest]) {
        for request in requests { append(request) }
    }

    /// Takes over a whole array; there must be nothing yet.
    mutating func fill(with requests: [ReplicaRequest]) {
        precondition(isEmpty, "\(count) requests wait already")
        items = requests
        start = 0
        for request in requests { note(request) }
    }

    mutating func popFirst() -> ReplicaRequest? {
        guard let request = first else { return nil }
        start += 1
        forget(request)
        compact()
        return request
    }

    /// Takes the oldest requests.
    mutating func take(_ count: Int) -> ArraySlice<ReplicaRequest> {
        let taken = items[start..<start + count]
        for request in taken { forget(request) }
        start += count
        compact()
        return taken
    }

    mutating func takeAll() -> [ReplicaRequest] {
        let all = Array(items[start...])
        self = RequestQueue()
        return all
    }

    /// Takes the vital ones, oldest first, as long as `isWanted`; the others keep their order.
    mutating func takeVital(while isWanted: (ReplicaRequest) -> Bool) -> [ReplicaRequest] {
        var taken: [ReplicaRequest] = []
        var kept: [ReplicaRequest] = []
        var isOpen = true
        for request in takeAll() {
            if isOpen, request.body.isVital {
                isOpen = isWanted(request)
                if isOpen {
                    taken.append(request)
                    continue
                }
            }
            kept.append(request)
        }
        fill(with: kept)
        return taken
    }

    private mutating func note(_ request: ReplicaRequest) {
        byteCount += request.cost
        if request.body.isVital { vitalCount += 1 }
    }

    private mutating func forget(_ request: ReplicaRequest) {
        byteCount -= request.cost
        if request.body.isVital { vitalCount -= 1 }
    }

    private mutating func compact() {
        if start == items.count {
            items.removeAll(keepingCapacity: true)
            start = 0
        } else if start > 4096 {
            items.removeFirst(start)
            start = 0
        }
    }
}
