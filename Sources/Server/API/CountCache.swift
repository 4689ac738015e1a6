// CountCache.swift: how many keys follow where a page of a list ended.
// Belongs here: remembering. Never here: counting (Range/RangeCounter.swift).
// Source: etcd semantics R5: each page counts all keys from its start on, so that listing a large prefix
// by pages is quadratic in etcd; at one revision the next page's count is this one's less its keys.

/// Counts that a client which lists by pages will ask for next; confined to an event loop.
struct CountCache {
    private static let entriesMax = 64

    private struct Entry {
        let revision: Int64
        let continuation: RangeContinuation
        let end: KeyBounds.End
    }

    private var entries: [Entry] = []
    private var oldest = 0

    /// Remembers the number of keys that follow a page.
    mutating func insert(
        revision: Int64, end: KeyBounds.End, _ continuation: RangeContinuation
    ) {
        let entry = Entry(revision: revision, continuation: continuation, end: end)
        if entries.count < Self.entriesMax {
            entries.append(entry)
        } else {
            entries[oldest] = entry
            oldest = (oldest + 1) % Self.entriesMax
        }
    }

    /// The number of keys in a range at a revision, if a page ended there.
    func count(revision: Int64, bounds: KeyBounds) -> Int64? {
        for entry in entries where entry.revision == revision && entry.end == bounds.end {
            // No key lies between the page's last and the next: any start there counts the same.
            let place = entry.continuation
            if Bytes(place.lastKey) < bounds.start, !(Bytes(place.nextKey) < bounds.start) {
                return place.count
            }
        }
        return nil
    }
}
