// LogStore+Append.swift: the caller's side: work is encoded into memory and gets a ticket.
// Belongs here: order, admission, encoding. Never here: disk calls; nothing in this file waits.
// Source: design.md section 3, steps 5 and 6: our own vote counts when our own sync is done.

extension LogStore {
    /// Queues entries, then a hard state, to be saved together; returns at once.
    ///
    /// Either all of it survives a crash or none, unless it is larger than half a segment. Entries
    /// must follow on the last one handed over, and the commit index may not be past them.
    ///
    /// - Throws: `.busy` if too much waits already; `.disk(.full)` if there is no space for it,
    ///   with
    ///   nothing changed, so the caller may try again later; the latched error after a failure.
    public func append(
        _ entries: [LogEntry], hardState: LogHardState? = nil
    ) throws(StorageError) -> LogTicket {
        precondition(!entries.isEmpty || hardState != nil, "nothing to append")
        var bytes = hardState == nil ? 0 : LogRecordHeader.bytes + LogHardState.payloadBytes
        for entry in entries { bytes += LogRecordHeader.bytes + entry.payload.count }
        monitor.lock()
        defer { handedOver() }
        let charge = try admit(bytes, isControl: entries.isEmpty)
        for entry in entries {
            let size = entry.payload.count
            precondition(entry.index == queuedLast + 1, "entry \(entry.index) after \(queuedLast)")
            precondition(entry.term >= queuedLastTerm, "term \(entry.term) after \(queuedLastTerm)")
            precondition(size <= payloadBytesMax, "payload of \(size), at most \(payloadBytesMax)")
            queuedLast = entry.index
            queuedLastTerm = entry.term
            let header = LogRecordHeader(
                type: .entry, kind: entry.kind, index: entry.index, term: entry.term, length: size)
            entry.payload.withUnsafeBytes { pending.append(header, payload: $0) }
        }
        if let hardState {
            precondition(
                hardState.commit <= queuedLast, "commit \(hardState.commit) past \(queuedLast)")
            let header = LogRecordHeader(
                type: .hardState, index: hardState.commit, term: hardState.term,
                length: LogHardState.payloadBytes)
            withUnsafeBytes(of: hardState.vote.littleEndian) { pending.append(header, payload: $0) }
        }
        return enqueue(charge: charge)
    }

    /// Queues the removal of all entries after `index`, to be followed by those that replace them.
    ///
    /// - Parameter term: the term of the entry at `index`, which stays.
    /// - Precondition: `index` is in the log, or is the place before its first entry.
    /// - Throws: as `append`.
    public func truncate(after index: UInt64, term: UInt64) throws(StorageError) -> LogTicket {
        monitor.lock()
        defer { handedOver() }
        precondition(
            index >= table.base && index < queuedLast,
            "cut after \(index) in \(table.base)...\(queuedLast)")
        let charge = try admit(LogRecordHeader.bytes, isControl: true)
        let header = LogRecordHeader(type: .truncation, index: index, term: term, length: 0)
        pending.append(header, payload: UnsafeRawBufferPointer(start: nil, count: 0))
        queuedLast = index
        queuedLastTerm = term
        voidingFloor = min(voidingFloor, index)
        voidingQueued += 1
        return enqueue(charge: charge)
    }

    /// Queues the removal of all entries; the log goes on after `index`, which a snapshot holds.
    ///
    /// - Throws: as `append`.
    public func reset(to index: UInt64, term: UInt64) throws(StorageError) -> LogTicket {
        monitor.lock()
        defer { handedOver() }
        let charge = try admit(LogRecordHeader.bytes, isControl: true)
        let header = LogRecordHeader(type: .reset, index: index, term: term, length: 0)
        pending.append(header, payload: UnsafeRawBufferPointer(start: nil, count: 0))
        queuedLast = index
        queuedLastTerm = term
        voidingFloor = 0
        voidingQueued += 1
        return enqueue(charge: charge)
    }

    /// Queues a checkpoint intent, which replaces the one before it.
    ///
    /// The page store may begin to write pages once the ticket is saved. The newest intent is kept
    /// whatever is released.
    ///
    /// - Throws: as `append`.
    public func append(checkpointIntent payload: [UInt8]) throws(StorageError) -> LogTicket {
        let size = payload.count
        precondition(size <= payloadBytesMax, "payload of \(size), at most \(payloadBytesMax)")
        monitor.lock()
        defer { handedOver() }
        let charge = try admit(LogRecordHeader.bytes + size, isControl: true)
        let header = LogRecordHeader(type: .checkpointIntent, index: 0, term: 0, length: size)
        payload.withUnsafeBytes { pending.append(header, payload: $0) }
        return enqueue(charge: charge)
    }

    /// Whether a call with so many bytes of records may be queued, and what it is charged with.
    ///
    /// The sum: the whole queue must fit either into what is left of the current segment or into
    /// the prepared one, each call counted as a frame of its own. Then whatever the writer groups
    /// together fits as well. If neither holds the call is still taken while a segment is being
    /// prepared, and refused once that has found the disk full.
    private func admit(_ bytes: Int, isControl: Bool) throws(StorageError) -> Int {
        if let failure { throw failure }
        let charge = Self.frameBytes(bytes)
        guard queuedBytes == 0 || queuedBytes + charge <= options.queueBytesMax else {
            throw .busy(what: "log queue")
        }
        guard prepareFull || writeFull else { return charge }
        let reserve =
            isControl ? 0 : min(LogLimits.controlReserveBytes, options.segmentBytes / 16)
        let need = queuedBytes + charge + reserve
        let fits = need <= currentCapacity || (!spares.isEmpty && need <= freshCapacity)
        guard fits && (isControl || !writeFull) else { throw .disk(.full(path: directory)) }
        return charge
    }

    private func enqueue(charge: Int) -> LogTicket {
        lastTicket = LogTicket(lastTicket.rawValue + 1)
        queuedBytes += charge
        pending.close(ticket: lastTicket, charge: charge)
        isRetryDue = true
        return lastTicket
    }

    /// Gives `monitor` back and wakes the writer, in this order, lest it wake only to wait for it.
    private func handedOver() {
        monitor.unlock()
        workArrived.signal()
    }
}
