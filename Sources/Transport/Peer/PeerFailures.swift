// PeerFailures.swift: which failures are reported, so that one broken member does not fill the log.
// Belongs here: counting per key and time. Never here: what a failure is.
// Bounded: of more keys than are kept, the one reported longest ago is forgotten.

import Synchronization

final class PeerFailures: Sendable {
    private struct Entry {
        var key: String
        /// When the present interval began, and how many failures of it were reported.
        var began: Int64
        var reported: Int
        /// Failures that were not.
        var silent: Int
    }

    private let intervalNanoseconds: Int64
    private let reportsMax: Int
    private let entries = Mutex<[Entry]>([])

    /// - Parameter reportsMax: so many failures of one key are reported in an interval.
    init(intervalNanoseconds: Int64, reportsMax: Int = 1) {
        self.intervalNanoseconds = intervalNanoseconds
        self.reportsMax = reportsMax
    }

    /// Counts a failure; the failures since the last report when one is due now, else nil.
    func count(_ key: String, at now: Int64) -> Int? {
        entries.withLock { entries in
            guard let place = entries.firstIndex(where: { $0.key == key }) else {
                if entries.count == PeerBounds.failureAddressesMax {
                    entries.removeFirst()
                }
                entries.append(Entry(key: key, began: now, reported: 1, silent: 0))
                return 1
            }
            var entry = entries[place]
            if now - entry.began >= intervalNanoseconds {
                (entry.began, entry.reported) = (now, 0)
            }
            guard entry.reported < reportsMax else {
                entries[place].silent += 1
                return nil
            }
            let count = entry.silent + 1
            entry.silent = 0
            entry.reported += 1
            // The end of the list is the newest report.
            entries.remove(at: place)
            entries.append(entry)
            return count
        }
    }
}
