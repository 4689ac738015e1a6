// Watcher.swift: one watch, and the stream it belongs to.
// Belongs here: their state. Never here: what happens to it (WatchHub.swift).
// Source: etcd semantics W1-W9.

/// One watch on a stream.
final class Watcher {
    let id: Int64
    let stream: WatchStream
    let range: WatchRange
    let wantsPrevious: Bool
    let wantsProgress: Bool
    let wantsFragments: Bool
    private let skipsPuts: Bool
    private let skipsDeletes: Bool

    /// The first revision that this watch has not been sent or passed by.
    ///
    /// Only moved when the watch leaves or enters the live index, or catches up: a live watch has seen
    /// everything the hub has delivered.
    var nextRevision: Int64
    /// Whether the hub hands it events as they come.
    var isLive = false
    /// Whether the client, or the server, ended it.
    var isCanceled = false
    /// Whether events were sent since the last progress interval (W14).
    var wasSent = false
    /// Where the index keeps it among the watches of its range; the index's own.
    var placeInIndex = 0
    /// Places in the batch being delivered that this watch wants.
    var pending: [Int32] = []

    init(_ request: WatchCreateRequest, id: Int64, stream: WatchStream, nextRevision: Int64) {
        self.id = id
        self.stream = stream
        range = request.range
        wantsPrevious = request.prevKV
        wantsProgress = request.progressNotify
        wantsFragments = request.fragment
        skipsPuts = request.filters.contains(0)
        skipsDeletes = request.filters.contains(1)
        self.nextRevision = nextRevision
    }

    /// Whether the filters let a change pass (W9).
    func wants(isDelete: Bool) -> Bool {
        #if SIMULATION
            if ServerBug.watchFilterIgnored.isPlanted { return true }
        #endif
        return isDelete ? !skipsDeletes : !skipsPuts
    }
}

/// The watches of one call.
final class WatchStream {
    let call: any ServiceCall
    /// By ascending id.
    private(set) var watchers: [Watcher] = []
    private var nextID: Int64 = 0

    init(call: any ServiceCall) {
        self.call = call
    }

    /// Whether the client takes events more slowly than they come.
    var isCongested: Bool { call.bufferedBytes > WatchLimits.streamBufferedBytesMax }

    /// The watch of an id.
    func watcher(_ id: Int64) -> Watcher? {
        let place = firstIndex(notBefore: id)
        return place < watchers.count && watchers[place].id == id ? watchers[place] : nil
    }

    /// The id for a new watch: the one asked for, or the next free one (W2); nil if it is taken.
    func takeID(asked: Int64) -> Int64? {
        if asked != 0 { return watcher(asked) == nil ? asked : nil }
        while watcher(nextID) != nil { nextID += 1 }
        defer { nextID += 1 }
        return nextID
    }

    func insert(_ watcher: Watcher) {
        watchers.insert(watcher, at: firstIndex(notBefore: watcher.id))
    }

    func removeAll() {
        watchers = []
    }

    func remove(_ watcher: Watcher) {
        let place = firstIndex(notBefore: watcher.id)
        precondition(
            place < watchers.count && watchers[place] === watcher,
            "watch \(watcher.id) is not on its stream")
        watchers.remove(at: place)
    }

    private func firstIndex(notBefore id: Int64) -> Int {
        var low = 0
        var high = watchers.count
        while low < high {
            let middle = (low + high) / 2
            if watchers[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension WatchCreateRequest {
    /// The range watched: an empty key stands for "\0" (W3), in the one reading of range_end (W22).
    var range: WatchRange {
        let start = key.isEmpty ? [0] : key.array
        switch KeyBounds(key: key, rangeEnd: rangeEnd).end {
        case .single: return WatchRange(start: start, end: .single)
        case .unbounded: return WatchRange(start: start, end: .unbounded)
        case .before(let end): return WatchRange(start: start, end: .before(end.array))
        }
    }

    /// Whether no key can be in the range (W3).
    var isRangeEmpty: Bool {
        guard case .before(let end) = range.end else { return false }
        return !(Bytes(range.start) < Bytes(end))
    }
}

extension WatchRange {
    /// The same range in the form of other requests.
    var bounds: KeyBounds {
        switch end {
        case .single: KeyBounds(start: Bytes(start), end: .single)
        case .unbounded: KeyBounds(start: Bytes(start), end: .unbounded)
        case .before(let end): KeyBounds(start: Bytes(start), end: .before(Bytes(end)))
        }
    }
}
