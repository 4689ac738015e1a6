// WatchIndex.swift: which live watches a key concerns.
// Belongs here: matching keys to ranges. Never here: revisions, sending.
// Invariant: `ranges` is sorted by (start, end), and `reach[i]` is the greatest end among ranges[0...i].

/// The range of a watch, as bytes of its own (W3).
struct WatchRange: Hashable, Sendable {
    /// Where it ends.
    enum End: Hashable, Sendable {
        case single
        case unbounded
        case before([UInt8])
    }

    let start: [UInt8]
    let end: End

    /// Whether a key lies inside.
    func contains(_ key: UnsafeRawBufferPointer) -> Bool {
        let order = start.withUnsafeBytes { Self.compare(key, $0) }
        switch end {
        case .single: return order == 0
        case .unbounded: return order >= 0
        case .before(let bytes):
            return order >= 0 && bytes.withUnsafeBytes { Self.compare(key, $0) } < 0
        }
    }

    private static func compare(
        _ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer
    ) -> Int {
        let common = min(left.count, right.count)
        for place in 0..<common where left[place] != right[place] {
            return left[place] < right[place] ? -1 : 1
        }
        return left.count - right.count
    }
}

/// Finds the watchers of a key without looking at all of them.
///
/// Watches of the same range share a group: a thousand watches on one prefix cost one comparison. Ranges
/// are searched from the last that starts at or before the key, downwards, and the search ends where no
/// earlier range reaches the key.
struct WatchIndex {
    private struct Group {
        let start: Bytes
        // nil is unbounded.
        let end: Bytes?
        var watchers: [Watcher]
    }

    // Looked up by key, never iterated.
    private var singles: [Bytes: [Watcher]] = [:]
    private var ranges: [Group] = []
    private var reach: [Bytes?] = []

    /// The number of watchers in the index.
    private(set) var count = 0

    /// Adds a watcher.
    mutating func insert(_ watcher: Watcher) {
        count += 1
        let start = Bytes(watcher.range.start)
        let end: Bytes?
        switch watcher.range.end {
        case .single:
            let group = singles[start]?.count ?? 0
            watcher.placeInIndex = group
            singles[start, default: []].append(watcher)
            return
        case .unbounded: end = nil
        case .before(let bytes): end = Bytes(bytes)
        }
        let place = firstIndex(notBefore: start, end)
        if place < ranges.count, ranges[place].start == start, ranges[place].end == end {
            watcher.placeInIndex = ranges[place].watchers.count
            ranges[place].watchers.append(watcher)
            return
        }
        watcher.placeInIndex = 0
        ranges.insert(Group(start: start, end: end, watchers: [watcher]), at: place)
        rebuildReach(from: place)
    }

    /// Removes a watcher that was inserted.
    mutating func remove(_ watcher: Watcher) {
        count -= 1
        let start = Bytes(watcher.range.start)
        let end: Bytes?
        switch watcher.range.end {
        case .single:
            var left = singles.removeValue(forKey: start) ?? []
            Self.remove(watcher, from: &left)
            if !left.isEmpty { singles[start] = left }
            return
        case .unbounded: end = nil
        case .before(let bytes): end = Bytes(bytes)
        }
        let place = firstIndex(notBefore: start, end)
        precondition(
            place < ranges.count && ranges[place].start == start && ranges[place].end == end,
            "a watcher that is not in the index was removed")
        Self.remove(watcher, from: &ranges[place].watchers)
        guard ranges[place].watchers.isEmpty else { return }
        ranges.remove(at: place)
        rebuildReach(from: place)
    }

    // The last takes the place of the one that goes: a thousand watches of a group go in a thousand steps.
    private static func remove(_ watcher: Watcher, from group: inout [Watcher]) {
        let place = watcher.placeInIndex
        precondition(
            place < group.count && group[place] === watcher,
            "a watcher that is not in the index was removed")
        group.swapAt(place, group.count - 1)
        group[place].placeInIndex = place
        group.removeLast()
    }

    /// Calls `body` for each watcher whose range holds the key.
    func forEachWatcher(of key: Bytes, _ body: (Watcher) -> Void) {
        if !singles.isEmpty, let watchers = singles[key] {
            watchers.forEach(body)
        }
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if key < ranges[middle].start { high = middle } else { low = middle + 1 }
        }
        var place = low
        while place > 0 {
            place -= 1
            if let reached = reach[place], !(key < reached) { return }
            if let end = ranges[place].end, !(key < end) { continue }
            ranges[place].watchers.forEach(body)
        }
    }

    private func firstIndex(notBefore start: Bytes, _ end: Bytes?) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if precedes(ranges[middle], start, end) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func precedes(_ group: Group, _ start: Bytes, _ end: Bytes?) -> Bool {
        if group.start != start { return group.start < start }
        guard let left = group.end else { return false }
        guard let right = end else { return true }
        return left < right
    }

    private mutating func rebuildReach(from place: Int) {
        reach.removeSubrange(min(place, reach.count)...)
        for index in place..<max(place, ranges.count) {
            guard index > 0 else {
                reach.append(ranges[index].end)
                continue
            }
            guard let before = reach[index - 1], let end = ranges[index].end else {
                reach.append(nil)
                continue
            }
            reach.append(before < end ? end : before)
        }
    }
}
