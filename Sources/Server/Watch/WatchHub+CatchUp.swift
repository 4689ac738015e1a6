// WatchHub+CatchUp.swift: watches that read their events from the store until they have caught up.
// Belongs here: steps of bounded work over the history. Never here: live delivery (WatchHub.swift).
// Source: etcd semantics W4, W6, W10, W19; kubernetes.md part 4 (a previous value must not be lost).

internal import Storage

extension WatchHub {
    /// Moves watches that are behind on, one step each, and comes again while any can move.
    func pump() {
        guard let delivered else { return }
        let waiting = behind
        behind = []
        var canGoOn = false
        var hasFailed = false
        var served: [Watcher] = []
        var stepsLeft = WatchLimits.catchUpStepsPerTurn
        for watcher in waiting where !watcher.isCanceled {
            guard watcher.nextRevision <= delivered else {
                makeLive(watcher)
                continue
            }
            guard !watcher.stream.isCongested else {
                // `drained` brings it back.
                behind.append(watcher)
                continue
            }
            guard stepsLeft > 0 else {
                // The other calls of the loop have their turn first; who waited goes first then.
                behind.append(watcher)
                canGoOn = true
                continue
            }
            stepsLeft -= 1
            do throws(StorageError) {
                try catchUp(watcher, through: delivered)
            } catch {
                store.report(error)
                hasFailed = true
                behind.append(watcher)
                continue
            }
            if watcher.isCanceled { continue }
            if watcher.nextRevision > delivered {
                makeLive(watcher)
            } else {
                served.append(watcher)
                canGoOn = canGoOn || !watcher.stream.isCongested
            }
        }
        behind += served
        tellBehind()
        if canGoOn { schedulePump() }
        // The page it needs may be damaged, and stay so for a while.
        if hasFailed {
            environment.after(milliseconds: WatchLimits.failedReadPauseMilliseconds) { [self] in
                schedulePump()
            }
        }
    }

    private func catchUp(_ watcher: Watcher, through end: Int64) throws(StorageError) {
        let step = try store.read { (reader, state) throws(StorageError) -> CatchUpStep? in
            guard watcher.nextRevision >= state.compacted else {
                cancelCompacted(watcher, at: state.compacted)
                return nil
            }
            return try CatchUpStep(watcher: watcher, through: end, reader: reader, state: state)
        }
        guard let step else { return }
        watcher.nextRevision = step.nextRevision
        #if SIMULATION
            if ServerBug.watchLosesSwitch.isPlanted { watcher.nextRevision += 1 }
        #endif
        send(step.events, at: step.revision, to: watcher)
    }

    // W6: no reason, no revision in the header, but the revision to go on from.
    private func cancelCompacted(_ watcher: Watcher, at compacted: Int64) {
        watcher.isCanceled = true
        var head = WatchResponseHead(header: header(0), watchID: watcher.id)
        head.canceled = true
        head.compactRevision = compacted
        let stream = watcher.stream
        remove(watcher)
        send(head, to: stream)
    }
}

/// What one step of catching up found.
private struct CatchUpStep {
    private(set) var events: [EncodedEvent] = []
    /// The first revision that the step did not look at.
    private(set) var nextRevision: Int64
    /// The store's revision, for the header.
    let revision: Int64

    init(
        watcher: Watcher, through end: Int64, reader: KeyReader, state: StoreView
    ) throws(StorageError) {
        revision = max(state.revision, end)
        nextRevision = end + 1
        let cursor = try ChangeCursor(
            reader: reader, from: PackedRevision(main: watcher.nextRevision))
        defer { cursor.close() }
        var looked = 0
        var revisions = 0
        var byteCount = 0
        var current: Int64 = -1
        var matched: Int64 = -1
        while try cursor.next() {
            let place = cursor.revision
            guard place.main <= end else { break }
            if place.main != current {
                if looked >= WatchLimits.catchUpChangesMax
                    || revisions >= WatchLimits.catchUpRevisionsMax
                    || byteCount >= WatchLimits.catchUpBytesMax
                {
                    nextRevision = place.main
                    break
                }
                current = place.main
            }
            looked += 1
            let record = cursor.record
            guard watcher.wants(isDelete: !record.isLive), watcher.range.contains(cursor.key)
            else { continue }
            let event = try Self.encode(cursor, record, watcher, reader)
            byteCount += event.field.count
            events.append(event)
            if matched != current {
                matched = current
                revisions += 1
            }
        }
    }

    private static func encode(
        _ cursor: ChangeCursor, _ record: KeyRecord, _ watcher: Watcher, _ reader: KeyReader
    ) throws(StorageError) -> EncodedEvent {
        #if SIMULATION
            if ServerBug.watchPreviousLost.isPlanted {
                return EncodedEvent.make(
                    key: cursor.key, record: record, value: cursor.value, previous: nil)
            }
        #endif
        if watcher.wantsPrevious, record.version != 1, cursor.previous.rawValue != 0 {
            let encoded = try reader.withChange(
                cursor.previous, before: record.revision.main
            ) { key, previous, value in
                EncodedEvent.make(
                    key: cursor.key, record: record, value: cursor.value,
                    previous: previous.isLive ? KeyValueView(key, previous, value) : nil)
            }
            if let encoded { return encoded }
        }
        return EncodedEvent.make(
            key: cursor.key, record: record, value: cursor.value, previous: nil)
    }
}
