// KeyCount.swift: how many live keys there are, for the metric: counted when it is asked for.
// Belongs here: when it is worth counting anew. Never here: counting (Range/).
// A store of a million keys takes a tenth of a second to count: not at every scrape. It is counted in
// steps between which the loop serves others, at most every 30 seconds, unless it takes no time.

internal import Synchronization
internal import Transport

/// The last count, shared by all event loops.
final class KeyCountState: Sendable {
    fileprivate let revision = Atomic<Int64>(0)
    fileprivate let countedAt = Atomic<UInt64>(0)
    fileprivate let tookMilliseconds = Atomic<UInt64>(0)
    fileprivate let isCounting = Atomic<Bool>(false)
}

/// Keeps the count on one event loop.
struct KeyCount {
    let front: Front
    let metrics: MVCCMetrics

    private static let freeMilliseconds: UInt64 = 20
    private static let intervalMilliseconds: UInt64 = 30_000
    /// A scrape waits no longer for the count; the next shows it.
    private static let patienceMilliseconds: UInt64 = 1_000

    /// Counts if need be, and then calls `then`.
    func refresh(_ then: @escaping () -> Void) {
        let state = metrics.keyCount
        let now = front.context.environment.now
        let revision = front.context.status.revision
        let age = now.since(Tick(milliseconds: state.countedAt.load(ordering: .relaxed)))
        let isCheap =
            state.tookMilliseconds.load(ordering: .relaxed) <= Self.freeMilliseconds
        guard revision != state.revision.load(ordering: .relaxed),
            isCheap || age >= Self.intervalMilliseconds,
            !state.isCounting.exchange(true, ordering: .relaxed)
        else { return then() }
        var isWaiting = true
        let finish = {
            guard isWaiting else { return }
            isWaiting = false
            then()
        }
        let gauge = metrics.keys
        let environment = front.context.environment
        front.countKeys { count in
            let done = environment.now
            if let count {
                gauge.set(count)
                state.revision.store(revision, ordering: .relaxed)
                state.countedAt.store(done.milliseconds, ordering: .relaxed)
                state.tookMilliseconds.store(done.since(now), ordering: .relaxed)
            }
            state.isCounting.store(false, ordering: .relaxed)
            finish()
        }
        if isWaiting { environment.after(milliseconds: Self.patienceMilliseconds, finish) }
    }
}

extension Front {
    /// Counts the live keys in steps; nil if the store can't be read now.
    func countKeys(_ report: @escaping (Int64?) -> Void) {
        var request = RangeRequest()
        request.key = [0]
        request.rangeEnd = [0]
        request.countOnly = true
        let call = CountingCall(report)
        do throws(CallFailure) {
            try begin(LongRead(call: call, work: .range(request), isOwn: true))
        } catch {
            call.finish(error.status)
        }
    }
}

/// A call that only wants the number of keys.
private final class CountingCall: ServiceCall {
    private let report: (Int64?) -> Void
    private var count: Int64?
    private(set) var isOpen = true
    let bufferedBytes = 0

    init(_ report: @escaping (Int64?) -> Void) {
        self.report = report
    }

    func send(_ message: consuming [UInt8]) {
        do throws(WireError) {
            count = try RangeAnswer(decoding: message).count
        } catch {
            count = nil
        }
    }

    func finish(_ status: RPCStatus) {
        guard isOpen else { return }
        isOpen = false
        report(status.code == .ok ? count : nil)
    }

    var credentials: Credentials { Credentials() }
    var held: AnyObject? {
        get { nil }
        set {}
    }
    func beginMessage(length: Int) {}
    func sendPart(_ bytes: consuming [UInt8]) {}
    func pauseReceiving() {}
    func resumeReceiving() {}
}
