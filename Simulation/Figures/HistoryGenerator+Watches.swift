// HistoryGenerator+Watches.swift: true watches over a finished random run.
// Belongs here: what each watch receives, and when. Never here: calls (HistoryGenerator.swift).

extension HistoryGenerator {
    /// Adds watches of random spans, filters and fates.
    mutating func addWatches(_ count: Int) {
        for number in 0..<count {
            var watch = Watch(
                client: 100 + number, number: number,
                span: draw(2) == 0 ? .everything : KeySpan(Array("k\(draw(odds.keys))".utf8)),
                noPut: draw(6) == 0, noDelete: draw(6) == 0, previous: draw(2) == 0)
            follow(&watch)
            history.watches.append(watch)
        }
    }

    /// Adds watches of everything from the first revision on, each revision a response.
    mutating func addLiveWatches(_ count: Int) {
        for number in 0..<count {
            var watch = Watch(client: 100 + number, number: number, span: .everything)
            var attempt = WatchAttempt(member: 1, started: 0, startRevision: 1)
            attempt.receipts.append(WatchReceipt(at: 1, revision: 1, .created))
            for revision in 2...max(2, store.revision) {
                let time = madeAt[Int(revision)] + 20
                let events = (store.events[revision] ?? []).map { WatchEvent($0.change) }
                attempt.receipts.append(
                    WatchReceipt(at: time, revision: revision, .events(events, fragment: false)))
            }
            watch.attempts = [attempt]
            watch.mustReach = store.revision
            history.watches.append(watch)
        }
    }

    /// Watches over one to three streams, each resumed where the last ended.
    private mutating func follow(_ watch: inout Watch) {
        let first = 1 + Int64(draw(UInt64(store.revision)))
        var time = madeAt[Int(first)]
        var next = draw(3) == 0 ? 0 : 1 + Int64(draw(UInt64(first)))
        for part in 0..<Int(1 + draw(3)) {
            var attempt = WatchAttempt(member: 1 + draw(3), started: time, startRevision: next)
            time += 1 + draw(50)
            let created = revision(at: time)
            attempt.receipts.append(WatchReceipt(at: time, revision: created, .created))
            // "From now" may begin anywhere between the request and the reply.
            if next == 0 {
                next = created + 1 - Int64(draw(2)) * (created - revision(at: time - 1))
            }
            if next < compacted(at: time) {
                attempt.receipts.append(
                    WatchReceipt(
                        at: time, revision: 0, .canceled(compactRevision: compacted(at: time))))
                next = compacted(at: time)
                watch.attempts.append(attempt)
                continue
            }
            let isLast = part == 2
            let goal = isLast ? store.revision : next + Int64(draw(12))
            deliver(&attempt, watch, from: &next, through: min(goal, store.revision), &time)
            watch.attempts.append(attempt)
            if isLast { watch.mustReach = store.revision }
        }
    }

    private mutating func deliver(
        _ attempt: inout WatchAttempt, _ watch: Watch, from next: inout Int64,
        through goal: Int64, _ time: inout UInt64
    ) {
        // What neither event nor progress told of, the client asks for again after a break.
        var sent = next
        while sent <= goal {
            let last = min(goal, sent + Int64(draw(4)))
            time = max(time, madeAt[Int(last)]) + draw(50)
            let current = revision(at: time)
            var events: [WatchEvent] = []
            for revision in sent...last { events += wanted(watch, revision, at: time) }
            sent = last + 1
            if events.isEmpty {
                guard draw(2) == 0 else { continue }
                attempt.receipts.append(WatchReceipt(at: time, revision: last, .progress))
                next = last + 1
                continue
            }
            next = (events.last?.revision ?? last) + 1
            if events.count > 1, draw(3) == 0 {
                attempt.receipts += [
                    WatchReceipt(
                        at: time, revision: current, .events([events[0]], fragment: true)),
                    WatchReceipt(
                        at: time, revision: current,
                        .events(Array(events.dropFirst()), fragment: false)),
                ]
            } else {
                attempt.receipts.append(
                    WatchReceipt(at: time, revision: current, .events(events, fragment: false)))
            }
        }
    }

    private func wanted(_ watch: Watch, _ revision: Int64, at time: UInt64) -> [WatchEvent] {
        (store.events[revision] ?? []).compactMap { event in
            var event = event
            switch event.change {
            case .put: if watch.noPut { return nil }
            case .delete: if watch.noDelete { return nil }
            }
            guard watch.span.contains(event.key) else { return nil }
            if !watch.previous || compacted(at: time) > revision - 1 { event.previous = nil }
            return event
        }
    }

    private func revision(at time: UInt64) -> Int64 {
        Int64((madeAt.lastIndex { $0 <= time } ?? 1))
    }

    private func compacted(at time: UInt64) -> Int64 {
        compactions.last { $0.at <= time }?.revision ?? -1
    }
}
