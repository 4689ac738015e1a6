// RevisionKnowledge.swift: by when which revision was known to exist.
// Belongs here: times of headers. Never here: what the revisions hold (ModelStore.swift).
// Why: a revision that a client has seen was committed before, and stays; both bounds follow.

/// What all headers of a history say of revisions and times.
package struct RevisionKnowledge: Sendable {
    /// Who saw a revision first at or before a time.
    package struct Sighting: Sendable {
        package let at: UInt64
        package let revision: Int64
        /// The operation's number; nil if a watch saw it.
        package let operation: Int?
    }

    /// In order of time, each with the greatest revision seen until then.
    private let rising: [Sighting]
    /// For each revision from 0 on when it, or a later one, was first seen.
    private let firstSeen: [UInt64]

    /// The greatest revision that anybody saw; 1 if nobody saw any.
    package let maxRevision: Int64

    /// Reads all headers; those above the limit, which cannot be right, count for nothing.
    package init(history: History, limit: Int64) {
        var sightings: [Sighting] = []
        for operation in history.operations {
            guard let answer = operation.answer else { continue }
            sightings.append(
                Sighting(
                    at: answer.at, revision: answer.response.revision, operation: operation.number))
        }
        for watch in history.watches {
            for attempt in watch.attempts {
                for receipt in attempt.receipts {
                    sightings.append(
                        Sighting(at: receipt.at, revision: receipt.revision, operation: nil))
                }
            }
        }
        sightings.removeAll { $0.revision > limit || $0.revision < 1 }
        sightings.sort { ($0.at, $0.revision) < ($1.at, $1.revision) }
        var rising: [Sighting] = []
        for sighting in sightings where sighting.revision > rising.last?.revision ?? 0 {
            rising.append(sighting)
        }
        self.rising = rising
        maxRevision = max(1, rising.last?.revision ?? 1)
        var firstSeen: [UInt64] = []
        for sighting in rising {
            while firstSeen.count <= Int(sighting.revision) { firstSeen.append(sighting.at) }
        }
        self.firstSeen = firstSeen
    }

    /// The newest revision that was known before a time; nil if none was.
    package func newest(before time: UInt64) -> Sighting? {
        var low = 0
        var high = rising.count
        while low < high {
            let middle = (low + high) / 2
            if rising[middle].at < time { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? rising[low - 1] : nil
    }

    /// When a revision, or a later one, was first seen: it existed by then.
    package func firstSeen(_ revision: Int64) -> UInt64 {
        guard revision >= 0, revision < Int64(firstSeen.count) else { return .max }
        return firstSeen[Int(revision)]
    }
}
