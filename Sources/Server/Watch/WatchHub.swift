// WatchHub.swift: all watches of one event loop: live ones, and those that catch up.
// Belongs here: who gets which event when. Never here: bytes on the wire (WatchHub+Send.swift), reading history
// (WatchHub+CatchUp.swift). Source: etcd semantics W1-W23.
//
//   create --> behind --(reached `delivered`)--> live --(stream congested, or events skipped)--> behind
//                 \------------------(compacted, canceled, stream gone)------------------/
//
// Invariants: `delivered` is the last revision whose events this loop has been handed; a live watch has been
// sent every event up to it; a watch behind has been sent every event before its `nextRevision`.

internal import Storage
internal import Transport

/// The watches of one event loop; confined to it.
final class WatchHub {
    let identity: Identity
    let status: SharedStatus
    let store: LoopStore
    let environment: any LoopEnvironment
    let loop: Int32
    /// A response above this is split for watches that asked for it (W12).
    let fragmentBytesMax: Int
    /// How often idle watches that asked for it hear of the revision (W14), in milliseconds.
    let progressMilliseconds: UInt64

    var index = WatchIndex()
    /// Watches that are not live, oldest first.
    var behind: [Watcher] = []
    /// How many of `behind` operators were told of.
    private var toldBehind = 0
    /// The last revision handed to this loop; nil until the replica has confirmed the subscription.
    private(set) var delivered: Int64?
    private var isSubscribed = false
    /// Tells the newest subscription, or its end, from those before.
    private var subscriptions: UInt32 = 0
    private var isPumpScheduled = false
    private var isProgressScheduled = false
    private var progressWatchers = 0
    /// All watches on this loop.
    private(set) var watcherCount = 0 {
        didSet { status.counts.watchers.add(watcherCount - oldValue) }
    }
    /// The streams with at least one watch, in the order of their first one.
    private var streams: [WatchStream] = []

    init(
        identity: Identity, status: SharedStatus, store: LoopStore,
        environment: any LoopEnvironment, loop: Int32, fragmentBytesMax: Int,
        progressMilliseconds: UInt64
    ) {
        self.identity = identity
        self.status = status
        self.store = store
        self.environment = environment
        self.loop = loop
        self.fragmentBytesMax = fragmentBytesMax
        self.progressMilliseconds = progressMilliseconds
    }

    // MARK: requests of clients

    /// Creates a watch, or tells the client why not.
    ///
    /// - Parameter refusal: why the client may not have it (W20).
    func create(
        _ request: WatchCreateRequest, on stream: WatchStream, refusal: RPCStatus? = nil
    ) throws(StorageError) {
        let state = try store.state()
        if let refusal { return refuse(stream, WatchCancelReason.refused(refusal), state) }
        guard !request.isRangeEmpty else {
            return refuse(stream, WatchCancelReason.emptyRange, state)
        }
        guard request.startRevision >= 0 else {
            return refuse(stream, WatchCancelReason.negativeRevision, state)
        }
        guard stream.watchers.count < WatchLimits.watchesPerStreamMax else {
            return refuse(stream, EtcdError.tooManyRequests.rawValue, state)
        }
        guard let id = stream.takeID(asked: request.watchID) else {
            return refuse(stream, WatchCancelReason.duplicateWatchID, state)
        }
        let next = request.startRevision == 0 ? state.revision + 1 : request.startRevision
        let watcher = Watcher(request, id: id, stream: stream, nextRevision: next)
        #if SIMULATION
            if ServerBug.watchBeginsEarly.isPlanted, next > 1 { watcher.nextRevision = next - 1 }
        #endif
        if stream.watchers.isEmpty {
            streams.append(stream)
            status.counts.watchStreams.add(1)
        }
        stream.insert(watcher)
        watcherCount += 1
        var head = WatchResponseHead(header: header(state.revision), watchID: id)
        head.created = true
        send(head, to: stream)
        if watcher.wantsProgress {
            progressWatchers += 1
            scheduleProgress()
        }
        subscribe()
        #if SIMULATION
            if ServerBug.watchStartsLive.isPlanted { return makeLive(watcher) }
        #endif
        if let delivered, next > delivered {
            makeLive(watcher)
        } else {
            behind.append(watcher)
            schedulePump()
        }
    }

    // A refused watch is created and canceled in one reply, under no id (W2, W3, W7).
    private func refuse(_ stream: WatchStream, _ reason: String, _ state: StoreView) {
        var head = WatchResponseHead(header: header(state.revision), watchID: -1)
        head.created = true
        head.canceled = true
        head.cancelReason = reason
        send(head, to: stream)
    }

    /// Ends a watch at the client's wish; an unknown id gets no reply (W13).
    func cancel(_ id: Int64, on stream: WatchStream) throws(StorageError) {
        guard let watcher = stream.watcher(id) else { return }
        remove(watcher)
        var head = WatchResponseHead(header: header(try store.state().revision), watchID: id)
        head.canceled = true
        send(head, to: stream)
    }

    /// Tells the client how far it has seen everything, if all its watches have (W15, W16).
    func progress(on stream: WatchStream) {
        guard let delivered, !stream.watchers.isEmpty else { return }
        for watcher in stream.watchers {
            guard watcher.isLive, watcher.nextRevision <= delivered + 1 else { return }
        }
        send(WatchResponseHead(header: header(delivered), watchID: -1), to: stream)
    }

    /// The call is gone.
    func close(_ stream: WatchStream) {
        guard !stream.watchers.isEmpty else { return }
        stream.watchers.forEach(forget)
        behind.removeAll { $0.isCanceled }
        stream.removeAll()
        forget(stream)
        tellBehind()
        unsubscribeIfIdle()
    }

    /// The client has caught up with what was sent to it.
    func drained(_ stream: WatchStream) {
        guard stream.watchers.contains(where: { !$0.isLive }) else { return }
        schedulePump()
    }

    // MARK: messages of the replica

    /// Events after `revision` will follow.
    func subscribed(at revision: Int64) {
        // An answer to a former subscription may have come before: what lies between was not sent.
        if delivered != nil { return skipped(through: revision) }
        delivered = revision
        schedulePump()
    }

    /// Hands events to the live watches.
    func deliver(_ batch: EventBatch) {
        guard let delivered else { return }
        precondition(
            batch.revision >= delivered, "events \(batch.revision) after \(delivered)")
        self.delivered = batch.revision
        guard index.count > 0 else { return }
        var touched: [Watcher] = []
        for (place, event) in batch.events.enumerated() {
            index.forEachWatcher(of: event.key) { watcher in
                #if SIMULATION
                    if ServerBug.watchIgnoresStart.isPlanted {
                        if watcher.pending.isEmpty { touched.append(watcher) }
                        return watcher.pending.append(Int32(place))
                    }
                #endif
                guard event.record.revision.main >= watcher.nextRevision,
                    watcher.wants(isDelete: !event.record.isLive)
                else { return }
                if watcher.pending.isEmpty { touched.append(watcher) }
                watcher.pending.append(Int32(place))
            }
        }
        send(batch, to: touched)
    }

    /// Events up to `revision` were not handed over: all live watches read them from the store.
    func skipped(through revision: Int64) {
        guard let former = delivered, revision > former else { return }
        delivered = revision
        forEachLiveWatcher { fallBehind($0, from: max($0.nextRevision, former + 1)) }
    }

    private func forEachLiveWatcher(_ body: (Watcher) -> Void) {
        for stream in streams {
            for watcher in stream.watchers where watcher.isLive { body(watcher) }
        }
    }

    // MARK: live and behind

    func makeLive(_ watcher: Watcher) {
        watcher.isLive = true
        index.insert(watcher)
    }

    /// Takes a watch out of the live ones; it goes on from the store.
    func fallBehind(_ watcher: Watcher, from revision: Int64) {
        index.remove(watcher)
        watcher.isLive = false
        watcher.nextRevision = revision
        behind.append(watcher)
        schedulePump()
    }

    /// Forgets a watch.
    func remove(_ watcher: Watcher) {
        let wasLive = watcher.isLive
        forget(watcher)
        if !wasLive { behind.removeAll { $0 === watcher } }
        watcher.stream.remove(watcher)
        if watcher.stream.watchers.isEmpty { forget(watcher.stream) }
        tellBehind()
        unsubscribeIfIdle()
    }

    private func forget(_ stream: WatchStream) {
        streams.removeAll { $0 === stream }
        status.counts.watchStreams.add(-1)
    }

    // All but the lists that hold it.
    private func forget(_ watcher: Watcher) {
        if watcher.isLive {
            index.remove(watcher)
            watcher.isLive = false
        }
        watcher.isCanceled = true
        watcherCount -= 1
        if watcher.wantsProgress { progressWatchers -= 1 }
    }

    private func unsubscribeIfIdle() {
        guard watcherCount == 0, isSubscribed else { return }
        submit(subscribe: false)
        isSubscribed = false
        delivered = nil
    }

    private func subscribe() {
        guard !isSubscribed, watcherCount > 0 else { return }
        submit(subscribe: true)
        isSubscribed = true
    }

    private func submit(subscribe: Bool) {
        subscriptions &+= 1
        environment.submit(
            ReplicaRequest(
                ticket: CallTicket(loop: loop, slot: Self.slot, generation: subscriptions),
                body: .subscribe(subscribe), byteCount: 0))
    }

    /// No call has this slot, so a refused subscription meets no call.
    private static let slot = UInt32.max - 1

    static func owns(_ ticket: CallTicket) -> Bool { ticket.slot == slot }

    /// The replica's queue was full, or it has stopped: the watches wait and ask again.
    ///
    /// The end of a subscription needs no second attempt: events that nobody watches are passed over.
    func subscriptionRefused(_ ticket: CallTicket) {
        guard isSubscribed, ticket.generation == subscriptions else { return }
        isSubscribed = false
        environment.after(milliseconds: WatchLimits.subscribeRetryMilliseconds) { [self] in
            subscribe()
        }
    }

    /// Tells operators how many watches are behind.
    func tellBehind() {
        guard behind.count != toldBehind else { return }
        status.counts.slowWatchers.add(behind.count - toldBehind)
        toldBehind = behind.count
    }

    func schedulePump() {
        tellBehind()
        guard !isPumpScheduled, delivered != nil, !behind.isEmpty else { return }
        isPumpScheduled = true
        environment.later { [self] in
            isPumpScheduled = false
            pump()
        }
    }

    // MARK: progress

    private func scheduleProgress() {
        guard !isProgressScheduled, progressWatchers > 0 else { return }
        isProgressScheduled = true
        environment.after(milliseconds: progressMilliseconds) { [self] in
            isProgressScheduled = false
            notifyProgress()
            scheduleProgress()
        }
    }

    private func notifyProgress() {
        guard let delivered else { return }
        forEachLiveWatcher { watcher in
            guard watcher.wantsProgress else { return }
            defer { watcher.wasSent = false }
            guard !watcher.wasSent, watcher.nextRevision <= delivered + 1,
                !watcher.stream.isCongested
            else { return }
            #if SIMULATION
                if ServerBug.progressTooEarly.isPlanted {
                    return send(
                        WatchResponseHead(header: header(delivered + 1), watchID: watcher.id),
                        to: watcher.stream)
                }
            #endif
            send(
                WatchResponseHead(header: header(delivered), watchID: watcher.id),
                to: watcher.stream)
        }
    }

    func header(_ revision: Int64) -> ResponseHeader {
        ResponseHeader(
            clusterID: identity.clusterID, memberID: identity.memberID, revision: revision,
            raftTerm: status.term)
    }
}
