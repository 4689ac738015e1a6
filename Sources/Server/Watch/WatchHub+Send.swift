// WatchHub+Send.swift: turning events into responses, each event encoded once for all watches.
// Belongs here: bytes, fragments, congestion. Never here: which watch wants what (WatchHub.swift).
// Source: etcd semantics W8, W10-W12, W19.

internal import Storage

extension WatchHub {
    func send(_ head: WatchResponseHead, to stream: WatchStream) {
        guard stream.call.isOpen else { return }
        var writer = ProtoWriter(capacity: head.encodedSize)
        writer.beginWatchResponse(head)
        stream.call.send(writer.take())
    }

    /// Sends each touched watch its pending events of a batch.
    func send(_ batch: EventBatch, to touched: [Watcher]) {
        var encoder = BatchEncoder(batch: batch, store: store)
        // Both arrays keep their memory from watch to watch and from batch to batch.
        var places: [Int32] = []
        var fields: [EncodedEvent] = []
        for watcher in touched {
            swap(&places, &watcher.pending)
            defer {
                places.removeAll(keepingCapacity: true)
                swap(&places, &watcher.pending)
            }
            guard let first = places.first, !watcher.isCanceled else { continue }
            guard !watcher.stream.isCongested else {
                fallBehind(watcher, from: batch.events[Int(first)].record.revision.main)
                continue
            }
            do throws(StorageError) {
                try encoder.encode(places, withPrevious: watcher.wantsPrevious, into: &fields)
            } catch {
                // The store cannot be read now: the watch tries again from this batch on.
                fallBehind(watcher, from: batch.events[Int(first)].record.revision.main)
                continue
            }
            let last = Int(places.last ?? first)
            send(fields, at: batch.events[last].record.revision.main, to: watcher)
        }
    }

    /// Sends events in one response, or in fragments where the watch asked for them (W12).
    func send(_ events: [EncodedEvent], at revision: Int64, to watcher: Watcher) {
        guard !events.isEmpty, watcher.stream.call.isOpen else { return }
        watcher.wasSent = true
        status.counts.eventsSent.add(events.count)
        var head = WatchResponseHead(header: header(revision), watchID: watcher.id)
        var first = 0
        while first < events.count {
            var size = head.encodedSize + WatchHub.fragmentFlagBytes
            var end = first
            while end < events.count {
                let next = events[end].field.count
                let isOver = watcher.wantsFragments && size + next > fragmentBytesMax
                if isOver, end > first { break }
                size += next
                end += 1
            }
            head.fragment = end < events.count
            var writer = ProtoWriter(capacity: size)
            writer.beginWatchResponse(head)
            for event in events[first..<end] { writer.appendEvent(event) }
            watcher.stream.call.send(writer.take())
            first = end
        }
    }

    // Tag and value of the field `fragment`.
    private static let fragmentFlagBytes = 2
}

/// Encodes the events of a batch at first need, with and without the previous value.
private struct BatchEncoder {
    let batch: EventBatch
    let store: LoopStore
    private var plain: [EncodedEvent?]
    private var full: [EncodedEvent?]

    init(batch: EventBatch, store: LoopStore) {
        self.batch = batch
        self.store = store
        plain = Array(repeating: nil, count: batch.events.count)
        full = plain
    }

    /// Replaces what is in `fields` by the events at `places`.
    mutating func encode(
        _ places: [Int32], withPrevious: Bool, into fields: inout [EncodedEvent]
    ) throws(StorageError) {
        fields.removeAll(keepingCapacity: true)
        for place in places {
            fields.append(try event(Int(place), withPrevious: withPrevious))
        }
    }

    private mutating func event(_ place: Int, withPrevious: Bool) throws(StorageError)
        -> EncodedEvent
    {
        let event = batch.events[place]
        // Without a previous value both forms are the same.
        let wantsPrevious = withPrevious && !event.isCreation && event.previous.rawValue != 0
        if let encoded = wantsPrevious ? full[place] : plain[place] { return encoded }
        let encoded: EncodedEvent
        if wantsPrevious {
            encoded = try store.read { (reader, _) throws(StorageError) in
                try reader.withChange(event.previous, before: event.record.revision.main) {
                    key, record, value in
                    event.encoded(previous: record.isLive ? KeyValueView(key, record, value) : nil)
                } ?? event.encoded(previous: nil)
            }
            full[place] = encoded
        } else {
            encoded = event.encoded(previous: nil)
            plain[place] = encoded
        }
        return encoded
    }
}

extension ChangeEvent {
    fileprivate func encoded(previous: KeyValueView?) -> EncodedEvent {
        key.withUnsafeBytes { key in
            value.withUnsafeBytes { value in
                EncodedEvent.make(key: key, record: record, value: value, previous: previous)
            }
        }
    }
}

extension EncodedEvent {
    /// Encodes a change as an event: of a deletion only key and revision are shown (W8).
    static func make(
        key: UnsafeRawBufferPointer, record: KeyRecord, value: UnsafeRawBufferPointer,
        previous: KeyValueView?
    ) -> EncodedEvent {
        if record.isLive {
            return EncodedEvent(.put, KeyValueView(key, record, value), previous: previous)
        }
        let bare = KeyValueView(
            key: key, createRevision: 0, modRevision: record.revision.main, version: 0,
            value: UnsafeRawBufferPointer(start: nil, count: 0), lease: 0)
        return EncodedEvent(.delete, bare, previous: previous)
    }
}
