// ReadRequests.swift: reads on their way to an index, and from there to the applied state.
// Belongs here: who waits for which round. Never here: asking (Replica+Reads.swift), Raft's own rounds.
// Source: thesis §6.4; etcd semantics G7. Invariant: a read joins only a context made after it came.

internal import Raft

/// What waits for a read index.
enum ReadWaiter {
    /// Whoever wants to read the published state.
    case reader(RequestOrigin)
    /// An answer that rests on this member leading, and on the entries up to an index; void once it leads no more.
    case answer(Batch.Answer, after: UInt64)

    /// Who is told if nothing comes of it.
    var origin: RequestOrigin {
        switch self {
        case .reader(let origin): origin
        case .answer(let answer, _): answer.origin
        }
    }

    /// The index that has to be applied besides that of the read.
    fileprivate var restsOn: UInt64 {
        if case .answer(_, let index) = self { index } else { 0 }
    }
}

/// The linearizable reads of one member that may not be served yet.
struct ReadRequests {
    private struct Asked {
        let context: ReadContext
        let waiters: [ReadWaiter]
        let since: Tick
    }

    /// Came and were not asked for yet, or asked in vain.
    private var waiting: [ReadWaiter] = []
    private var asked: [Asked] = []
    /// Have their index and wait until it is applied.
    private var indexed: [(index: UInt64, waiters: [ReadWaiter])] = []
    private var counter: UInt64
    private var pausedUntil = Tick(milliseconds: 0)
    private(set) var gather = Gather()
    /// When the other members were last heard asking.
    private var lastQuestion = Tick(milliseconds: 0)
    /// When a leader's own reads wait no longer for other members' questions.
    private(set) var hurry: Tick?
    /// Those came too late: they are not relied on before.
    private var hurriedUntil = Tick(milliseconds: 0)

    /// - Parameter seed: differs between starts, so that no context is ever used twice.
    init(seed: UInt64) {
        counter = StartNumber.first(seed: seed)
    }

    /// Whether as many rounds are under way as may be.
    var isAsking: Bool { asked.count >= ReplicaLimits.readRoundsMax }

    /// When the oldest question counts as lost; nil if nothing is asked.
    var nextRetry: Tick? {
        asked.first.map { $0.since.advanced(milliseconds: ReplicaLimits.readRetryMilliseconds) }
    }

    /// How many reads wait to be asked for.
    var waitingCount: Int { waiting.count }

    mutating func add(_ waiter: ReadWaiter) { waiting.append(waiter) }

    /// Another member asked for a read index.
    mutating func asked(now: Tick) { lastQuestion = now }

    /// Whether others ask so often that their next questions will confirm a group of a leader's own reads.
    ///
    /// Few reads never wait for that: what they cost is little, and their latency is all there is to gain.
    func mayRelyOnQuestions(count: Int, now: Tick) -> Bool {
        count >= ReplicaLimits.gatheringMin && now >= hurriedUntil
            && now.since(lastQuestion) <= ReplicaLimits.questionWaitMilliseconds
    }

    /// The reads just asked for wait for other members' questions.
    mutating func waitForQuestions(now: Tick) {
        hurry = now.advanced(milliseconds: ReplicaLimits.questionWaitMilliseconds)
    }

    /// Whether that took too long.
    mutating func takeHurry(now: Tick) -> Bool {
        guard let moment = hurry, moment <= now else { return false }
        hurry = nil
        hurriedUntil = now.advanced(milliseconds: ReplicaLimits.questionPauseMilliseconds)
        return true
    }

    /// A fresh context for everything that waits; nil if nothing does, or enough is under way.
    mutating func ask(now: Tick) -> ReadContext? {
        guard !waiting.isEmpty, asked.count < ReplicaLimits.readRoundsMax, now >= pausedUntil,
            !gather.holds(waiting.count, now: now)
        else { return nil }
        counter += 1
        gather.sent(waiting.count)
        let context = ReadContext(counter)
        asked.append(Asked(context: context, waiters: waiting, since: now))
        waiting = []
        return context
    }

    /// Notes the index of a context; one that was given up meanwhile is passed over.
    mutating func resolve(_ context: ReadContext, index: UInt64, now: Tick) {
        guard let place = asked.firstIndex(where: { $0.context == context }) else { return }
        gather.answered(now: now)
        hurry = nil
        let waiters = asked.remove(at: place).waiters
        guard waiters.contains(where: { $0.restsOn > index }) else {
            return indexed.append((index, waiters))
        }
        for waiter in waiters { indexed.append((max(index, waiter.restsOn), [waiter])) }
    }

    /// Lets the reads of a context wait for another one, not before `pause`.
    mutating func failed(_ context: ReadContext, pause: Tick) {
        guard let place = asked.firstIndex(where: { $0.context == context }) else { return }
        waiting = asked.remove(at: place).waiters + waiting
        pausedUntil = pause
    }

    /// Gives up contexts whose question or answer must have been lost.
    mutating func giveUp(askedBefore limit: Tick) {
        for lost in asked where lost.since < limit { waiting = lost.waiters + waiting }
        asked.removeAll { $0.since < limit }
    }

    /// The reads that may be served once `applied` is.
    mutating func release(applied: UInt64) -> [ReadWaiter] {
        #if SIMULATION
            if ServerBug.readBeforeApplied.isPlanted {
                defer { indexed = [] }
                return indexed.flatMap(\.waiters)
            }
        #endif
        guard indexed.contains(where: { $0.index <= applied }) else { return [] }
        var ready: [ReadWaiter] = []
        for read in indexed where read.index <= applied { ready += read.waiters }
        indexed.removeAll { $0.index <= applied }
        return ready
    }

    /// Takes out the answers of a leader that is none any more; the reads stay.
    mutating func takeAnswers() -> [Batch.Answer] {
        let all = removeAll()
        var answers: [Batch.Answer] = []
        for waiter in all {
            switch waiter {
            case .reader: waiting.append(waiter)
            case .answer(let answer, _): answers.append(answer)
            }
        }
        return answers
    }

    /// Takes out everything.
    mutating func removeAll() -> [ReadWaiter] {
        let all = indexed.flatMap(\.waiters) + asked.flatMap(\.waiters) + waiting
        (indexed, asked, waiting) = ([], [], [])
        return all
    }
}
