// GapEvidence.swift: what is known of revisions whose maker nobody named.
// Belongs here: hints from answers and events. Never here: choosing (LinearizabilityChecker+Gaps).
// Why: almost every lost write was seen by somebody; then there is nothing to search.

/// What answers and events tell of some revisions and keys.
struct GapEvidence {
    /// What became of a key at a revision.
    enum Trace: Equatable {
        /// With this content, if the answer showed it.
        case put(KeyValue)
        case touched
        case deleted
    }

    /// Up to this revision a key still had what `since` gave it.
    private struct Rest {
        let since: Int64
        var through: Int64
    }

    /// A key's counters as somebody saw them.
    private struct Link: Hashable {
        let create: Int64
        let mod: Int64
        let version: Int64
    }

    /// By revision, for gaps only, what happened to which key.
    private var traces: [Int64: [Int: Trace]] = [:]
    /// By key in order of `since`: spans in which the key did not change.
    private var rests: [[Rest]] = []
    /// By key in order of `since`: spans in which somebody unknown changed the key.
    private var stirs: [[Rest]] = []
    private var links: [[Link]] = []
    /// Calls whose values nobody else puts, by their places: the revision at which they were seen.
    private(set) var pins: [Int: Int64] = [:]
    /// Who alone puts a value that tells of its call.
    private let authors: Authors
    private let isGap: [Bool]
    private let keys: KeyTable

    init(history: History, keys: KeyTable, isGap: [Bool], believesWatches: Bool) {
        self.isGap = isGap
        self.keys = keys
        let isOpen = isGap.contains(true)
        authors = isOpen ? Authors(history: history, keys: keys) : Authors()
        guard isOpen else { return }
        rests = Array(repeating: [], count: keys.keys.count)
        stirs = rests
        links = Array(repeating: [], count: keys.keys.count)
        for operation in history.operations {
            guard let answer = operation.answer else { continue }
            read(operation.request, answer.response.body, revision: answer.response.revision)
        }
        for watch in history.watches where believesWatches {
            for attempt in watch.attempts {
                for receipt in attempt.receipts {
                    guard case .events(let events, _) = receipt.content else { continue }
                    for event in events { read(event) }
                }
            }
        }
        for key in rests.indices {
            chain(key)
            rests[key].sort { $0.since < $1.since }
            stirs[key].sort { $0.since < $1.since }
        }
        links = []
    }

    /// What is known to have happened at a revision, by key.
    func traces(at revision: Int64) -> [Int: Trace] { traces[revision] ?? [:] }

    /// Whether somebody saw that a key did not change at a revision.
    func rested(_ key: Int, at revision: Int64) -> Bool {
        let spans = rests[key]
        var low = 0
        var high = spans.count
        while low < high {
            let middle = (low + high) / 2
            if spans[middle].since < revision { low = middle + 1 } else { high = middle }
        }
        // The same version may have been seen several times.
        while low > 0 {
            low -= 1
            if spans[low].through >= revision { return true }
            if low > 0, spans[low - 1].since != spans[low].since { return false }
        }
        return false
    }

    /// Whether the counters of a key want another change about a revision.
    func isStirred(_ key: Int, at revision: Int64) -> Bool {
        let spans = stirs[key]
        var low = 0
        var high = spans.count
        while low < high {
            let middle = (low + high) / 2
            if spans[middle].since < revision { low = middle + 1 } else { high = middle }
        }
        return low > 0 && spans[low - 1].through >= revision
    }

    private mutating func read(_ request: Request, _ body: ResponseBody, revision: Int64) {
        switch (request, body) {
        case (.put(let put), .put(let previous?)):
            guard put.previous else { return }
            read(previous, through: revision - 1, whole: true)
        case (.range(let range), .range(let answer)):
            for item in answer.keyValues {
                let through = range.revision > 0 ? range.revision : revision
                read(item, through: through, whole: !range.keysOnly)
            }
        case (.deleteRange(let delete), .deleteRange(_, let previous)):
            guard delete.previous else { return }
            for item in previous { read(item, through: revision - 1, whole: true) }
        default:
            // Inside a transaction an item may be of the revision under way: only traces count.
            readTraces(body)
        }
    }

    private mutating func readTraces(_ body: ResponseBody) {
        guard case .txn(_, let answers) = body else { return }
        for answer in answers {
            switch answer {
            case .put(let previous?): trace(previous, whole: true)
            case .range(let found): for item in found.keyValues { trace(item, whole: false) }
            case .deleteRange(_, let previous): for item in previous { trace(item, whole: true) }
            case .txn: readTraces(answer)
            default: continue
            }
        }
    }

    private mutating func read(_ event: WatchEvent) {
        guard let key = keys.number(of: event.key) else { return }
        switch event.change {
        case .put(let item): trace(item, of: key, whole: true)
        case .delete(_, let revision):
            if isGap(revision) { note(.deleted, of: key, at: revision) }
        }
        if let previous = event.previous {
            read(previous, through: event.revision - 1, whole: true)
        }
    }

    private mutating func read(_ item: KeyValue, through revision: Int64, whole: Bool) {
        guard let key = keys.number(of: item.key) else { return }
        trace(item, of: key, whole: whole)
        guard item.modRevision <= revision else { return }
        if let last = rests[key].last, last.since == item.modRevision {
            rests[key][rests[key].count - 1].through = max(last.through, revision)
        } else {
            rests[key].append(Rest(since: item.modRevision, through: revision))
        }
    }

    /// Adds the spans in which the counters of a key leave no room for another change.
    ///
    /// Versions count changes: if as many calls are known to have put the key between two sights of
    /// it as its version rose, nobody else did.
    private mutating func chain(_ key: Int) {
        let births = links[key].map { Link(create: $0.create, mod: $0.create, version: 1) }
        let all = Set(links[key] + births).sorted {
            ($0.create, $0.mod, $0.version) < ($1.create, $1.mod, $1.version)
        }
        for (one, two) in zip(all, all.dropFirst()) where one.create == two.create {
            let known = authors.puts(of: key, after: one.mod, before: two.mod) + 1
            let span = Rest(since: one.mod, through: two.mod - 1)
            if two.version - one.version == Int64(known) {
                rests[key].append(span)
            } else {
                stirs[key].append(span)
            }
        }
    }

    private mutating func trace(_ item: KeyValue, whole: Bool) {
        if let key = keys.number(of: item.key) { trace(item, of: key, whole: whole) }
    }

    private mutating func trace(_ item: KeyValue, of key: Int, whole: Bool) {
        if isGap(item.modRevision) {
            note(whole ? .put(item) : .touched, of: key, at: item.modRevision)
        }
        let link = Link(
            create: item.createRevision, mod: item.modRevision, version: item.version)
        if links[key].last != link { links[key].append(link) }
        if whole, let place = authors.author(of: item, at: key) {
            pins[place] = item.modRevision
        }
        if isGap(item.createRevision) { note(.touched, of: key, at: item.createRevision) }
    }

    private mutating func note(_ trace: Trace, of key: Int, at revision: Int64) {
        if trace == .touched, traces[revision]?[key] != nil { return }
        traces[revision, default: [:]][key] = trace
    }

    private func isGap(_ revision: Int64) -> Bool {
        revision >= 0 && revision < Int64(isGap.count) && isGap[Int(revision)]
    }
}
