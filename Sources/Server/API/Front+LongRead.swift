// Front+LongRead.swift: reads in steps: between two of them every other call of the loop has its turn.
// Belongs here: readers, steps, back-pressure.
// Never here: what a step reads (Range/, HashOperation, SnapshotOperation).
// Source: etcd semantics R8, M6, M8; wishes 6 and 9 (a big list starves nobody and is not held in memory).

internal import Storage
internal import Transport

extension Front {
    /// Begins a read, at once if a reader is free.
    func begin(_ read: LongRead) throws(CallFailure) {
        if !longReads.admits(read) { endStuckReads() }
        guard longReads.admits(read) else { return try enqueue(read) }
        let reader: LoopReader?
        do throws(StorageError) {
            reader = try context.store.checkOut()
        } catch {
            context.store.report(error)
            admitNext()
            throw CallFailure(error)
        }
        guard let reader else { return try enqueue(read) }
        do throws(CallFailure) {
            try open(read, on: reader)
        } catch {
            finish(read, reader)
            throw error
        }
        advance(read)
    }

    private func enqueue(_ read: LongRead) throws(CallFailure) {
        guard longReads.append(read) else { throw CallFailure(.tooManyRequests) }
    }

    private func endStuckReads() {
        for stuck in longReads.stuck(now: context.environment.now) {
            end(stuck.call, EtcdError.tooManyRequests.status)
        }
    }

    private func open(_ read: LongRead, on reader: LoopReader) throws(CallFailure) {
        switch read.work {
        case .range(let request) where !read.isOwn, .rangeStream(let request):
            try authorize(read.call, reading: reader.view) { (access) throws(EtcdError) in
                try access.check(request)
            }
        // Others need the role "root", which was checked when they came.
        case .range, .hash, .snapshot: break
        }
        do throws(StorageError) {
            switch read.work {
            case .range(let request): try openRange(read, request, on: reader)
            case .rangeStream(let request):
                try openRange(read, request, streams: true, on: reader)
            case .hash(let request): try openHash(read, request, on: reader)
            case .snapshot:
                // It reads pages, not rows: the reader goes back as soon as the state is pinned.
                let operation = try SnapshotOperation(pages: context.pages)
                context.store.checkIn(reader)
                read.phase = .snapshot(operation)
                admitNext()
            }
        } catch {
            context.store.report(error)
            throw CallFailure(error)
        }
    }

    private func openRange(
        _ read: LongRead, _ request: RangeRequest, streams: Bool = false, on reader: LoopReader
    ) throws(StorageError) {
        let state = reader.view
        if let refusal = Front.refusal(request.revision, state) {
            finish(read, reader)
            return read.call.finish(refusal.status)
        }
        let isNewest = request.revision <= 0 || request.revision == state.revision
        let known = counts.count(
            revision: isNewest ? state.revision : request.revision, bounds: request.bounds)
        let operation = try RangeOperation(
            request: request, reader: reader.keys, revision: isNewest ? nil : request.revision,
            header: context.header(revision: state.revision), splits: true, streams: streams,
            knownCount: known)
        read.phase = .range(operation, reader)
    }

    private func openHash(
        _ read: LongRead, _ request: HashKVRequest, on reader: LoopReader
    ) throws(StorageError) {
        let state = reader.view
        if let refusal = Front.refusal(request.revision, state) {
            finish(read, reader)
            return read.call.finish(refusal.status)
        }
        let operation = try HashOperation(
            reader: reader.keys, state: state, revision: request.revision)
        read.phase = .hash(operation, reader)
    }

    /// Whether history can be read at a revision (R8).
    static func refusal(_ revision: Int64, _ state: StoreView) -> EtcdError? {
        guard revision > 0 else { return nil }
        if revision > state.revision { return .futureRevision }
        #if SIMULATION
            if ServerBug.compactedServed.isPlanted { return nil }
        #endif
        return revision < state.compacted ? .compacted : nil
    }

    /// Does one step of a read, and comes again if there is more.
    func advance(_ read: LongRead) {
        guard read.call.isOpen else { return endLongRead(read) }
        do throws(StorageError) {
            switch read.phase {
            case .waiting, .ended: return
            case .range(let operation, let reader): try step(read, operation, reader)
            case .parts(let operation): try sendPart(read, operation)
            case .hash(let operation, let reader):
                guard try operation.step() else { break }
                context.store.checkIn(reader)
                read.phase = .ended
                answer(read.call, operation.answer(context))
                admitNext()
            case .snapshot(let operation):
                while read.call.bufferedBytes < Front.partsBufferedMax {
                    guard let message = try operation.next() else {
                        read.phase = .ended
                        return read.call.finish(.ok)
                    }
                    read.call.send(message)
                }
                // `drained` brings it back.
                return
            }
        } catch {
            let cause = explain(error, read)
            context.store.report(cause)
            endLongRead(read)
            return read.call.finish(CallFailure(cause).status)
        }
        if case .ended = read.phase { return }
        schedule(read)
    }

    // SQLite knows only that a page could not be read; the reader knows which.
    private func explain(_ error: StorageError, _ read: LongRead) -> StorageError {
        switch read.phase {
        case .range(_, let reader), .hash(_, let reader): reader.explain(error)
        case .waiting, .parts, .snapshot, .ended: error
        }
    }

    private func schedule(_ read: LongRead) {
        guard !read.isScheduled else { return }
        switch read.phase {
        case .parts:
            guard read.call.bufferedBytes < Front.partsBufferedMax else { return }
        default: break
        }
        read.isScheduled = true
        context.environment.later { [self] in
            read.isScheduled = false
            advance(read)
        }
    }

    private func step(
        _ read: LongRead, _ operation: RangeOperation, _ reader: LoopReader
    ) throws(StorageError) {
        switch try operation.step() {
        case .more: return
        case .message(let bytes):
            remember(operation, reader.view)
            context.store.checkIn(reader)
            read.phase = .ended
            answer(read.call, read.isStream ? Front.streamed(bytes) : bytes)
            admitNext()
        case .parts(let total):
            remember(operation, reader.view)
            context.store.checkIn(reader)
            read.phase = .parts(operation)
            read.progressed = context.environment.now
            longReads.beginSending(read, operation)
            if !read.isStream { read.call.beginMessage(length: total) }
            admitNext()
        }
    }

    private func remember(_ operation: RangeOperation, _ state: StoreView) {
        guard let continuation = operation.continuation else { return }
        let request = operation.request
        counts.insert(
            revision: request.revision <= 0 ? state.revision : request.revision,
            end: request.bounds.end, continuation)
    }

    // Rows of the history are read by their place: no transaction is held while the client is slow.
    private func sendPart(_ read: LongRead, _ operation: RangeOperation) throws(StorageError) {
        guard read.call.bufferedBytes < Front.partsBufferedMax else { return }
        let part = try context.store.read { (reader, _) throws(StorageError) in
            read.isStream
                ? try operation.nextChunk(reader: reader) : try operation.nextPart(reader: reader)
        }
        guard let part else {
            endLongRead(read)
            return read.call.finish(EtcdError.compacted.status)
        }
        read.progressed = context.environment.now
        if read.isStream { read.call.send(part) } else { read.call.sendPart(part) }
        guard !operation.hasParts else { return }
        endLongRead(read)
        read.call.finish(.ok)
    }

    /// A RangeResponse as the only message of a stream.
    private static func streamed(_ response: [UInt8]) -> [UInt8] {
        var writer = ProtoWriter()
        response.withUnsafeBytes { writer.bytes(1, $0, keepsDefault: true) }
        return writer.take()
    }

    /// Ends a read whose call is gone.
    func endLongRead(_ read: LongRead) {
        switch read.phase {
        case .waiting:
            longReads.remove(read)
            read.phase = .ended
        case .range(_, let reader), .hash(_, let reader): finish(read, reader)
        case .snapshot(let operation):
            operation.close()
            read.phase = .ended
        case .parts(let operation):
            longReads.endSending(read, operation)
            read.phase = .ended
            admitNext()
        case .ended: break
        }
    }

    private func finish(_ read: LongRead, _ reader: LoopReader) {
        if case .range(let operation, _) = read.phase { operation.close() }
        if case .hash(let operation, _) = read.phase { operation.close() }
        read.phase = .ended
        context.store.checkIn(reader)
        admitNext()
    }

    // Gives a freed reader to the next read, in a turn of its own.
    private func admitNext() {
        guard let next = longReads.popAdmitted() else { return }
        context.environment.later { [self] in
            // Its client may have gone since: the reader is still free.
            guard next.call.isOpen else { return admitNext() }
            do throws(CallFailure) {
                try begin(next)
            } catch {
                end(next.call, error.status)
            }
        }
    }

    /// Unsent bytes of a call above which no more parts are produced.
    private static let partsBufferedMax = 256 << 10
}
