// RevisionReplay+Gaps.swift: what may have made a revision that no answer names.
// Belongs here: candidates, and going back to another. Never here: the walk (RevisionReplay.swift).
// Source: conflict-directed backjumping (Prosser 1993), by keys instead of variables.

extension RevisionReplay {
    /// A possible maker of a revision.
    enum Candidate {
        case call(Int)
        case expiry(lease: Int64, keys: [Int])
    }

    /// A revision with the candidates that are left to try.
    struct Guess {
        let revision: Int64
        var candidates: ArraySlice<Candidate>
        /// The keys that any candidate reads or writes.
        var reach: Footprint
        /// The keys of all contradictions met above this guess.
        var conflict = Footprint()
        /// The call in use.
        var call: Int?
    }

    /// Opens a guess at a revision.
    mutating func guess(at revision: Int64) -> Contradiction? {
        var reach = Footprint()
        let found = candidates(at: revision, reach: &reach)
        guesses.append(Guess(revision: revision, candidates: found[...], reach: reach))
        if tryNext() { return nil }
        let guess = guesses.removeLast()
        var keys = guess.reach
        keys.formUnion(leasedKeys)
        return Contradiction(
            revision: revision, violation: unexplained(revision), keys: keys, isLack: true)
    }

    /// Goes back to the newest guess that has to do with some keys and has another candidate;
    /// returns its revision, or nil if there is none.
    mutating func goBack(from keys: Footprint, isLack: Bool) -> Int64? {
        var keys = keys
        var isLack = isLack
        while var guess = guesses.popLast() {
            undo(to: guess.revision - 1)
            if let call = guess.call { isUsed.remove(call) }
            guess.call = nil
            guard guess.reach.overlaps(keys) else { continue }
            // Where the watches show all, another cause does the same, and only frees a call.
            if !isLack, watches?.determines(guess.revision) == true { continue }
            guess.conflict.formUnion(keys)
            guesses.append(guess)
            if tryNext() { return guess.revision }
            guesses.removeLast()
            isLack = true
            keys = guess.conflict
            keys.formUnion(guess.reach)
            keys.formUnion(leasedKeys)
        }
        return nil
    }

    /// Puts the next candidate of the newest guess in force; false if none fits.
    private mutating func tryNext() -> Bool {
        guard var guess = guesses.popLast() else { return false }
        defer { guesses.append(guess) }
        while let candidate = guess.candidates.popFirst() {
            trials += 1
            switch candidate {
            case .call(let place):
                _ = store.perform(history.operations[place].request)
                if fits(guess.revision) {
                    guess.call = place
                    isUsed.insert(place)
                    note(.operation(place))
                    return true
                }
            case .expiry(let lease, let doomed):
                let whole = store.keys(ofLease: lease).count == doomed.count
                if store.expire(doomed), fits(guess.revision) {
                    note(.expiry(lease: lease, whole: whole))
                    return true
                }
            }
            store.undo(to: guess.revision - 1)
        }
        return false
    }

    /// Whether the newest revision agrees with all that anybody saw of it.
    private func fits(_ revision: Int64) -> Bool {
        guard store.revision == revision, watches?.contradiction(store) == nil else {
            return false
        }
        var left = evidence.traces(at: revision)
        for change in store.changes(of: revision) {
            if evidence.rested(change.key, at: revision) { return false }
            // A key deleted and put again in one revision shows only its last state.
            guard change.slot == store.versions[change.key].count - 1 else { continue }
            let version = store.versions[change.key][change.slot]
            guard let trace = left.removeValue(forKey: change.key) else { continue }
            switch trace {
            case .deleted: if version.isLive { return false }
            case .touched: if !version.isLive { return false }
            case .put(let item):
                guard version.isLive, store.keyValue(change.key, version) == item else {
                    return false
                }
            }
        }
        return left.isEmpty
    }

    private func candidates(at revision: Int64, reach: inout Footprint) -> [Candidate] {
        let deadline = knowledge.firstSeen(revision)
        let traces = evidence.traces(at: revision)
        let revokes = suspects.revokes[revision] ?? []
        var wanted: [Int] = []
        // Newest first, for a lost call is mostly applied soon or never.
        var calls: [Int] = []
        var ranges: [Range<Int>] = []
        let possible = suspects.calls(touching: traces.keys.sorted())
        for place in possible where history.operations[place].invoked <= deadline {
            let request = history.operations[place].request
            guard evidence.pins[place] ?? revision == revision,
                mayFit(request, revision, traces)
            else { continue }
            ranges += Footprint(request, keys: keys).ranges
            if case .leaseRevoke = request { ranges += leasedKeys.ranges }
            if isUsed.contains(place) { continue }
            if case .put(let put) = request, let key = keys.number(of: put.key),
                evidence.isStirred(key, at: revision)
            {
                wanted.append(place)
            } else {
                calls.append(place)
            }
        }
        let ends = expiries(at: revision, deadline, traces)
        if !ends.isEmpty || !revokes.isEmpty { ranges += leasedKeys.ranges }
        reach = Footprint(ranges)
        return (revokes + wanted + calls).map { .call($0) } + ends
    }

    /// What can be told of a plain put without trying it.
    private func mayFit(
        _ request: Request, _ revision: Int64, _ traces: [Int: GapEvidence.Trace]
    ) -> Bool {
        guard case .put(let put) = request, let key = keys.number(of: put.key) else { return true }
        if traces.count > 1 || evidence.rested(key, at: revision) { return false }
        if traces.isEmpty { return true }
        switch traces[key] {
        case .put(let item): return put.ignoreValue || item.value == put.value
        case .touched: return true
        case .deleted, nil: return false
        }
    }

    private func expiries(
        at revision: Int64, _ deadline: UInt64, _ traces: [Int: GapEvidence.Trace]
    ) -> [Candidate] {
        let seen = traces.keys.sorted()
        guard seen.allSatisfy({ traces[$0] == .deleted }) else { return [] }
        var leases = store.activeLeases
        if let first = seen.first {
            guard let lease = store.newest(first)?.lease, lease != 0 else { return [] }
            leases = [lease]
        }
        var found: [Candidate] = []
        for lease in leases where allowsEarlyEnds || lives.mustLive(lease, by: deadline) <= deadline
        {
            let all = store.keys(ofLease: lease)
            found.append(.expiry(lease: lease, keys: all))
            if allowsEarlyEnds, !seen.isEmpty, seen.count < all.count {
                found.append(.expiry(lease: lease, keys: seen))
            }
        }
        return found
    }

    private func unexplained(_ revision: Int64) -> Violation {
        let traces = evidence.traces(at: revision)
        let seen = traces.keys.sorted().map { key -> String in
            switch traces[key] {
            case .put(let item): "put \(Describe.keyValue(item))"
            case .deleted: "delete \(Describe.bytes(keys.keys[key]))"
            case .touched, nil: "change of \(Describe.bytes(keys.keys[key]))"
            }
        }
        return Violation(
            .unexplained,
            "no call and no lease's end explains revision \(revision), first seen by"
                + " \(knowledge.firstSeen(revision)); seen of it: \(Describe.list(seen))")
    }
}
