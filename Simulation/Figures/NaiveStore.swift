// NaiveStore.swift: a second, slow and obvious store, from which true histories are made.
// Belongs here: etcd's rules written once more. Never here: the checkers' own model.
// Why: two models written apart agree only where both are right.

/// The whole content at each revision, as plain dictionaries.
struct NaiveStore: Hashable {
    enum Result: Hashable {
        case done(ResponseBody)
        case refused(Refusal)
    }

    private(set) var revision: Int64 = 1
    /// The present content, also of a revision under way.
    private(set) var content: [[UInt8]: KeyValue] = [:]
    private(set) var snapshots: [Int64: [[UInt8]: KeyValue]] = [1: [:]]
    /// The events of each revision, each with what was there before.
    private(set) var events: [Int64: [WatchEvent]] = [:]
    var compacted: Int64 = -1
    /// Older snapshots are dropped; nil keeps all.
    var window: Int64?
    private var changes: [WatchEvent] = []

    mutating func perform(_ request: Request) -> Result {
        let before = content
        let result = run(request)
        if case .refused = result {
            content = before
            changes = []
        }
        commit()
        return result
    }

    mutating func expire(lease: Int64) {
        dropKeys(of: lease)
        commit()
    }

    private mutating func commit() {
        guard !changes.isEmpty else { return }
        revision += 1
        snapshots[revision] = content
        events[revision] = changes
        changes = []
        guard let window else { return }
        snapshots[revision - window] = nil
    }

    private mutating func run(_ request: Request) -> Result {
        switch request {
        case .put(let put): return self.put(put)
        case .range(let read): return range(read)
        case .deleteRange(let delete): return self.delete(delete)
        case .txn(let txn): return self.txn(txn)
        case .compact(let target):
            if target <= compacted { return .refused(.compacted) }
            if target > revision { return .refused(.futureRevision) }
            compacted = target
            return .done(.compact)
        case .leaseRevoke(let id):
            dropKeys(of: id)
            return .done(.leaseRevoke)
        case .leaseGrant(let id, let ttl): return .done(.leaseGrant(id: id, ttl: ttl))
        case .leaseKeepAlive: return .done(.leaseKeepAlive(ttl: 0))
        case .leaseTimeToLive: return .done(.leaseTimeToLive(ttl: -1, granted: 0))
        }
    }

    private mutating func dropKeys(of lease: Int64) {
        for key in sorted(content.keys) where content[key]?.lease == lease { remove(key) }
    }

    private func sorted(_ keys: some Sequence<[UInt8]>) -> [[UInt8]] {
        keys.sorted { $0.lexicographicallyPrecedes($1) }
    }

    private mutating func remove(_ key: [UInt8]) {
        let old = content.removeValue(forKey: key)
        changes.append(
            WatchEvent(.delete(key: key, modRevision: revision + 1), previous: old))
    }

    private mutating func put(_ put: Put) -> Result {
        let old = content[put.key]
        if put.ignoreValue || put.ignoreLease, old == nil { return .refused(.keyNotFound) }
        var new = KeyValue(
            key: put.key, value: put.value, createRevision: revision + 1,
            modRevision: revision + 1, version: 1, lease: put.lease)
        if let old {
            new.createRevision = old.createRevision
            new.version = old.version + 1
            if put.ignoreValue { new.value = old.value }
            if put.ignoreLease { new.lease = old.lease }
        }
        content[put.key] = new
        changes.append(WatchEvent(.put(new), previous: old))
        return .done(.put(previous: put.previous ? old : nil))
    }

    func range(_ read: RangeRead) -> Result {
        if read.revision > revision { return .refused(.futureRevision) }
        if read.revision > 0, read.revision < compacted { return .refused(.compacted) }
        let base = read.revision > 0 ? snapshots[read.revision] ?? [:] : content
        let all = sorted(base.keys.filter(read.span.contains)).compactMap { base[$0] }
        if read.countOnly { return .done(.range(RangeAnswer([], count: all.count))) }
        let isCut = read.limit > 0 && all.count > read.limit
        var found = isCut ? Array(all.prefix(read.limit)) : all
        if read.keysOnly { for index in found.indices { found[index].value = [] } }
        return .done(.range(RangeAnswer(found, count: all.count, more: isCut)))
    }

    private mutating func delete(_ delete: DeleteRange) -> Result {
        let doomed = sorted(content.keys.filter(delete.span.contains))
        let previous = doomed.compactMap { content[$0] }
        for key in doomed { remove(key) }
        return .done(
            .deleteRange(deleted: doomed.count, previous: delete.previous ? previous : []))
    }

    private mutating func txn(_ txn: Txn) -> Result {
        let succeeded = txn.compares.allSatisfy(holds)
        var answers: [ResponseBody] = []
        for step in succeeded ? txn.success : txn.failure {
            let result: Result =
                switch step {
                case .put(let put): self.put(put)
                case .range(let read): range(read)
                case .deleteRange(let delete): self.delete(delete)
                case .txn(let inner): self.txn(inner)
                }
            switch result {
            case .done(let answer): answers.append(answer)
            case .refused: return result
            }
        }
        return .done(.txn(succeeded: succeeded, answers: answers))
    }

    private func holds(_ compare: Compare) -> Bool {
        let base = snapshots[revision] ?? [:]
        let found = base.values.filter { compare.span.contains($0.key) }
        if found.isEmpty { return holds(compare, nil) }
        return found.allSatisfy { holds(compare, $0) }
    }

    private func holds(_ compare: Compare, _ item: KeyValue?) -> Bool {
        var isLess = false
        var isEqual = false
        switch compare.operand {
        case .version(let given):
            (isLess, isEqual) = (item?.version ?? 0 < given, item?.version ?? 0 == given)
        case .createRevision(let given):
            let stored = item?.createRevision ?? 0
            (isLess, isEqual) = (stored < given, stored == given)
        case .modRevision(let given):
            (isLess, isEqual) = (item?.modRevision ?? 0 < given, item?.modRevision ?? 0 == given)
        case .lease(let given):
            (isLess, isEqual) = (item?.lease ?? 0 < given, item?.lease ?? 0 == given)
        case .value(let given):
            guard let item else { return false }
            (isLess, isEqual) = (item.value.lexicographicallyPrecedes(given), item.value == given)
        }
        switch compare.relation {
        case .equal: return isEqual
        case .less: return isLess
        case .greater: return !isLess && !isEqual
        case .notEqual: return !isEqual
        }
    }
}
