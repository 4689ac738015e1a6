// ChangeEvent.swift: what a committed batch changed, as watches see it.
// Belongs here: the shared, immutable record. Never here: who watches (WatchIndex.swift).
// Source: etcd semantics W8, W10.

internal import Storage

/// One change of one key.
struct ChangeEvent: Sendable {
    let key: Bytes
    /// The new value; empty for a deletion.
    let value: Bytes
    let record: KeyRecord
    /// The key's change before this one; raw value 0 if there was none.
    let previous: PackedRevision

    /// Whether this put began a generation: such an event never has a previous value (W8).
    var isCreation: Bool { record.version == 1 }

    /// The memory an event keeps alive, about.
    var byteCount: Int { key.count + value.count + MemoryLayout<ChangeEvent>.size }
}

/// The events of one or more whole revisions, shared by all event loops.
final class EventBatch: Sendable {
    /// In order of their revisions.
    let events: [ChangeEvent]
    /// The store's revision once these are published.
    let revision: Int64
    let byteCount: Int

    init(events: [ChangeEvent], revision: Int64) {
        self.events = events
        self.revision = revision
        byteCount = events.reduce(0) { $0 + $1.byteCount }
    }
}
