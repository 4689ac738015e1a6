// WatchComparison.swift: the events of one revision against what the store changed.
// Belongs here: one watch, one revision. Never here: the order of revisions (WatchChecker.swift).
// Source: semantics W8, W9, W10, D3, T3.

/// Compares events of one watch with the truth.
struct WatchComparison {
    let watch: Watch
    let truth: Linearization
    let compactions: CompactionTimes
    private let wanted: Range<Int>

    init(watch: Watch, truth: Linearization, compactions: CompactionTimes) {
        self.watch = watch
        self.truth = truth
        self.compactions = compactions
        wanted = truth.store.keys.numbers(in: watch.span)
    }

    /// The events that the watch wants of a revision, in order, without what was there before.
    func expected(at revision: Int64) -> [WatchEvent] {
        var events: [WatchEvent] = []
        for change in truth.store.changes(of: revision) where wanted.contains(change.key) {
            let event = event(change)
            if !isFiltered(event) { events.append(event) }
        }
        return events
    }

    /// Whether all of these are events that the watch wants.
    func wants(_ group: [WatchEvent], _ revision: Int64) -> Bool {
        let all = expected(at: revision).map(\.change)
        return group.allSatisfy { all.contains($0.change) }
    }

    private func event(_ change: ModelStore.Change) -> WatchEvent {
        let store = truth.store
        let version = store.versions[change.key][change.slot]
        if version.isLive { return WatchEvent(.put(store.keyValue(change.key, version))) }
        return WatchEvent(
            .delete(key: store.keys.keys[change.key], modRevision: version.modRevision))
    }

    private func isFiltered(_ event: WatchEvent) -> Bool {
        switch event.change {
        case .put: watch.noPut
        case .delete: watch.noDelete
        }
    }

    /// Compares all events that came of a revision.
    func compare(_ group: [WatchEvent], revision: Int64, at time: UInt64) -> [Violation] {
        let expected = expected(at: revision)
        if group.map(\.change) != expected.map(\.change) {
            return difference(group, expected, revision)
        }
        return group.compactMap { checkPrevious($0, revision, at: time) }
    }

    private func difference(
        _ group: [WatchEvent], _ expected: [WatchEvent], _ revision: Int64
    ) -> [Violation] {
        var violations: [Violation] = []
        var seen: Set<[UInt8]> = []
        for event in group where !expected.contains(where: { $0.change == event.change }) {
            violations.append(
                isUnwanted(event, revision)
                    ? violation(.watchFilter, "an unwanted event: \(describe(event))")
                    : violation(.watchWrong, "an event that never happened: \(describe(event))"))
        }
        for event in group where !seen.insert(event.key).inserted {
            violations.append(violation(.watchDuplicate, "twice: \(describe(event))"))
        }
        for event in expected where !seen.contains(event.key) {
            violations.append(
                violation(.watchMissing, "only part of a revision, without: \(describe(event))"))
        }
        if violations.isEmpty {
            let order = group.map { Describe.bytes($0.key) }
            violations.append(
                violation(.watchOrder, "revision \(revision) in the order \(Describe.list(order))"))
        }
        return violations
    }

    /// Whether an event did happen, but outside the span or against a filter.
    private func isUnwanted(_ event: WatchEvent, _ revision: Int64) -> Bool {
        let changes = truth.store.changes(of: revision)
        guard changes.contains(where: { self.event($0).change == event.change }) else {
            return false
        }
        return isFiltered(event) || !watch.span.contains(event.key)
    }

    private func checkPrevious(
        _ event: WatchEvent, _ revision: Int64, at time: UInt64
    ) -> Violation? {
        guard watch.previous else {
            guard event.previous != nil else { return nil }
            return violation(.watchPrevious, "a previous value not asked for: \(describe(event))")
        }
        var before: KeyValue?
        if let key = truth.store.keys.number(of: event.key),
            let version = truth.store.version(key, at: revision - 1)
        {
            before = truth.store.keyValue(key, version)
        }
        guard event.previous != before else { return nil }
        // Compaction may have eaten it before the event was sent.
        if event.previous == nil, let begun = compactions.begun(by: time), begun > revision - 1 {
            return nil
        }
        return violation(
            .watchPrevious,
            "\(describe(event)) with previous \(event.previous.map(Describe.keyValue) ?? "none"),"
                + " not \(before.map(Describe.keyValue) ?? "none")")
    }

    private func describe(_ event: WatchEvent) -> String {
        switch event.change {
        case .put(let item): "put \(Describe.keyValue(item))"
        case .delete(let key, let revision): "delete \(Describe.bytes(key)) at \(revision)"
        }
    }

    private func violation(_ rule: Violation.Rule, _ text: String) -> Violation {
        Violation(
            rule, watches: [watch.number],
            "watch \(watch.number) (client \(watch.client)) of \(Describe.span(watch.span)) got"
                + " \(text)")
    }
}
