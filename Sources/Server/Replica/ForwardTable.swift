// ForwardTable.swift: requests that another member carries out for calls of this one.
// Belongs here: sequences, who waits, answers that are ahead of this member's state. Never here: sending.
// Invariant: a request is in the table from when it is sent until its fate is known, or nobody can tell.

internal import Raft

/// What this member has forwarded and has no final word on.
struct ForwardTable {
    private struct Sent {
        let request: ReplicaRequest
        let leader: UInt64
    }

    /// By sequence, counted from `first`; a gap is a request whose fate is known.
    private var sent: [Sent?] = []
    private var first: UInt64
    /// Answers of the leader to what this member has not applied yet.
    private var ahead: [(answer: ForwardedAnswer, origin: RequestOrigin)] = []
    private(set) var count = 0
    /// What the requests that are counted cost in bytes.
    private var byteCount = 0
    /// Frames that no answer has come for: the last sequence of each, and when it was sent.
    private var unanswered: [(last: UInt64, sent: Tick)] = []
    /// Nothing is forwarded before, since the last attempt met nobody who would take it.
    var pausedUntil = Tick(milliseconds: 0)
    /// The newest round that the leader was told to have been heard of, and its term.
    private var told = SenderState()

    /// - Parameter seed: differs between starts, so that an answer to what was asked before a restart meets no
    ///   request of now.
    init(seed: UInt64) {
        first = StartNumber.first(seed: seed)
    }

    /// Whether another frame may follow: few large ones cost less than many small ones.
    func maySend(now: Tick) -> Bool {
        let patience = ReplicaLimits.forwardedFramePatienceMilliseconds
        var count = 0
        for frame in unanswered where now.since(frame.sent) < patience { count += 1 }
        return count < ReplicaLimits.forwardedFramesMax
    }

    /// The round to acknowledge with the next frame; 0 if the leader knows already.
    mutating func roundToTell(_ node: RaftNode) -> UInt64 {
        let heard = SenderState(term: node.term.rawValue, round: node.heardRound.rawValue)
        guard heard != told else { return 0 }
        told = heard
        return heard.round
    }

    /// Ends a frame of what was added since the last one.
    mutating func endFrame(now: Tick) {
        let patience = ReplicaLimits.forwardedFramePatienceMilliseconds
        unanswered.removeAll { now.since($0.sent) >= patience }
        unanswered.append((first + UInt64(sent.count) - 1, now))
    }

    /// Whether one more request may be sent.
    func admits(_ request: ReplicaRequest) -> Bool {
        guard count > 0 else { return true }
        let reserve = request.body.isVital ? ReplicaLimits.forwardedVitalReserve : 0
        return count < ReplicaLimits.forwardedRequestsMax + reserve
            && (byteCount + request.cost <= ReplicaLimits.forwardedBytesMax || reserve > 0)
    }

    mutating func add(_ request: ReplicaRequest, leader: UInt64) -> ForwardedRequest {
        let sequence = first + UInt64(sent.count)
        sent.append(Sent(request: request, leader: leader))
        count += 1
        byteCount += request.cost
        return ForwardedRequest(
            sequence: sequence, body: request.body, byteCount: request.byteCount,
            authority: request.authority)
    }

    /// The request of a sequence, which then is no longer waited for.
    mutating func take(_ sequence: UInt64) -> ReplicaRequest? {
        guard sequence >= first, sequence - first < UInt64(sent.count) else { return nil }
        let place = Int(sequence - first)
        guard let found = sent[place] else { return nil }
        sent[place] = nil
        count -= 1
        byteCount -= found.request.cost
        if let frame = unanswered.firstIndex(where: { $0.last >= sequence }) {
            unanswered.remove(at: frame)
        }
        var known = 0
        while known < sent.count, sent[known] == nil { known += 1 }
        // Now and then, so that taking from the front stays cheap.
        if known == sent.count || known > 1024 {
            sent.removeFirst(known)
            first += UInt64(known)
        }
        return found.request
    }

    /// All requests sent to a member.
    mutating func takeAll(sentTo leader: UInt64) -> [ReplicaRequest] {
        var lost: [ReplicaRequest] = []
        unanswered = []
        for place in sent.indices {
            guard let found = sent[place], found.leader == leader else { continue }
            lost.append(found.request)
            sent[place] = nil
            count -= 1
            byteCount -= found.request.cost
        }
        return lost
    }

    /// Keeps an answer until its index is applied here.
    mutating func hold(_ answer: ForwardedAnswer, for origin: RequestOrigin) {
        ahead.append((answer, origin))
    }

    /// The answers that may be given now, in the order in which they came.
    mutating func release(
        applied: UInt64
    ) -> [(answer: ForwardedAnswer, origin: RequestOrigin)] {
        guard ahead.contains(where: { $0.answer.index <= applied }) else { return [] }
        let ready = ahead.filter { $0.answer.index <= applied }
        ahead.removeAll { $0.answer.index <= applied }
        return ready
    }

    /// Who waits for anything that is not known to have ended.
    mutating func removeAll() -> [RequestOrigin] {
        let origins = sent.compactMap { $0?.request.origin } + ahead.map(\.origin)
        first += UInt64(sent.count)
        (sent, ahead, unanswered, count, byteCount) = ([], [], [], 0, 0)
        return origins
    }
}

/// Numbers that no start of a member shares with another.
enum StartNumber {
    /// Behind it are 2^32 numbers for one start; seeds that are near each other lead far apart.
    static func first(seed: UInt64) -> UInt64 {
        (seed &* 0x9e37_79b9_7f4a_7c15) >> 1 & ~0xffff_ffff
    }
}
