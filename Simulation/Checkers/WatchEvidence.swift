// WatchEvidence.swift: what the watches, if they are right, tell of every revision.
// Belongs here: changes seen, and spans of which all were seen. Never here: judging watches.
// Why: where guesses remain, the one that agrees with the watches comes first; only if there is
// none, the watches are judged by what the calls alone allow.

/// Changes by revision as watches report them.
struct WatchEvidence {
    /// All changes of these keys from one revision to another were shown.
    private struct Cover {
        let keys: Range<Int>
        let noPut: Bool
        let noDelete: Bool
        var from: Int64
        var through: Int64
    }

    /// What became of a key.
    enum Sight: Equatable {
        case item(KeyValue)
        case deleted
    }

    /// By revision, what was seen of which key.
    private var sights: [Int64: [Int: Sight]] = [:]
    private var covers: [Cover] = []
    private let keyCount: Int

    init(history: History, keys: KeyTable) {
        keyCount = keys.keys.count
        for watch in history.watches {
            let range = keys.numbers(in: watch.span)
            for attempt in watch.attempts {
                for receipt in attempt.receipts {
                    guard case .events(let events, _) = receipt.content else { continue }
                    for event in events { note(event, keys) }
                }
                guard let (from, through) = Self.covered(attempt) else { continue }
                covers.append(
                    Cover(
                        keys: range, noPut: watch.noPut, noDelete: watch.noDelete, from: from,
                        through: through))
            }
        }
        merge()
    }

    private mutating func note(_ event: WatchEvent, _ keys: KeyTable) {
        guard let key = keys.number(of: event.key) else { return }
        switch event.change {
        case .put(let item): sights[item.modRevision, default: [:]][key] = .item(item)
        case .delete(_, let revision): sights[revision, default: [:]][key] = .deleted
        }
        if let item = event.previous { sights[item.modRevision, default: [:]][key] = .item(item) }
    }

    /// The revisions of which an attempt shows everything, if it is right.
    private static func covered(_ attempt: WatchAttempt) -> (Int64, Int64)? {
        var from = attempt.startRevision
        var through: Int64 = 0
        for receipt in attempt.receipts {
            switch receipt.content {
            case .created: if attempt.startRevision == 0 { from = receipt.revision + 1 }
            case .progress: through = max(through, receipt.revision)
            case .events(let events, _):
                guard let first = events.first, let last = events.last else { continue }
                if attempt.startRevision == 0 { from = min(from, first.revision) }
                through = max(through, last.revision)
            case .canceled: continue
            }
        }
        return from <= through ? (from, through) : nil
    }

    /// Joins covers of the same keys that meet: most watches watch one of few spans for long.
    private mutating func merge() {
        func order(_ cover: Cover) -> (Int, Int, Int, Int64) {
            let filters = (cover.noPut ? 1 : 0) + (cover.noDelete ? 2 : 0)
            return (cover.keys.lowerBound, cover.keys.upperBound, filters, cover.from)
        }
        var merged: [Cover] = []
        for cover in covers.sorted(by: { order($0) < order($1) }) {
            if let last = merged.last, last.keys == cover.keys, last.noPut == cover.noPut,
                last.noDelete == cover.noDelete, cover.from <= last.through + 1
            {
                merged[merged.count - 1].through = max(last.through, cover.through)
            } else {
                merged.append(cover)
            }
        }
        covers = merged
    }

    /// Whether all changes of a revision are known: then every cause that fits does the same.
    func determines(_ revision: Int64) -> Bool {
        covers.contains {
            $0.keys == 0..<keyCount && !$0.noPut && !$0.noDelete && $0.from <= revision
                && revision <= $0.through
        }
    }

    /// A key whose change at the newest revision contradicts the watches; nil if none does.
    func contradiction(_ store: ModelStore) -> Int? {
        let revision = store.revision
        let seen = sights[revision] ?? [:]
        for key in seen.keys.sorted() {
            let version = store.versions[key].last
            guard version?.modRevision == revision, let version else { return key }
            switch seen[key] {
            case .item(let item):
                if !version.isLive || store.keyValue(key, version) != item { return key }
            case .deleted, nil: if version.isLive { return key }
            }
        }
        for change in store.changes(of: revision) where seen[change.key] == nil {
            let isPut = store.versions[change.key][change.slot].isLive
            let isCovered = covers.contains {
                $0.from <= revision && revision <= $0.through && $0.keys.contains(change.key)
                    && !(isPut ? $0.noPut : $0.noDelete)
            }
            if isCovered { return change.key }
        }
        return nil
    }
}
