// ModelStore.swift: a store that keeps every version, and can take back its newest revisions.
// Belongs here: versions and the journal. Never here: what calls do (ModelStore+Requests.swift).
// Source: semantics S1, S2. Invariant: the versions of a key are in order of their revisions.

/// The store that histories are replayed on.
package struct ModelStore: Sendable {
    /// What a change left of a key.
    package struct Version: Sendable {
        package let modRevision: Int64
        package let createRevision: Int64
        /// 0 where the key was deleted.
        package let version: Int64
        package let lease: Int64
        package let value: [UInt8]

        package var isLive: Bool { version > 0 }
    }

    /// A place in the journal: the key, and which of its versions the change made.
    package struct Change: Sendable {
        package let key: Int
        package let slot: Int
    }

    package let keys: KeyTable
    /// By key number, oldest first.
    package private(set) var versions: [[Version]]
    /// The newest finished revision; 1 for an empty store (G1).
    package private(set) var revision: Int64 = 1
    /// Every change of every revision, in order.
    private var journal: [Change] = []
    /// For each revision from 2 on the place of its first change in the journal.
    private var starts: [Int] = []
    /// The live keys of each lease that has any.
    private var attached: [Int64: Set<Int>] = [:]

    package init(keys: KeyTable) {
        self.keys = keys
        versions = Array(repeating: [], count: keys.keys.count)
    }

    /// The changes of a finished revision, in the order in which they were made.
    package func changes(of revision: Int64) -> ArraySlice<Change> {
        let place = Int(revision - 2)
        guard place >= 0, place < starts.count else { return [] }
        return journal[
            starts[place]..<(place + 1 < starts.count ? starts[place + 1] : journal.count)]
    }

    /// The newest version of a key, also of a revision under way; nil if it is not there.
    func newest(_ key: Int) -> Version? {
        guard let last = versions[key].last, last.isLive else { return nil }
        return last
    }

    /// The version of a key at a revision; nil if it was not there.
    package func version(_ key: Int, at revision: Int64) -> Version? {
        let all = versions[key]
        var low = 0
        var high = all.count
        if let last = all.last, last.modRevision <= revision { low = high }
        while low < high {
            let middle = (low + high) / 2
            if all[middle].modRevision <= revision { low = middle + 1 } else { high = middle }
        }
        guard low > 0, all[low - 1].isLive else { return nil }
        return all[low - 1]
    }

    package func keyValue(_ key: Int, _ version: Version) -> KeyValue {
        KeyValue(
            key: keys.keys[key], value: version.value, createRevision: version.createRevision,
            modRevision: version.modRevision, version: version.version, lease: version.lease)
    }

    /// Leases with keys, in order.
    var activeLeases: [Int64] { attached.keys.sorted() }

    /// The live keys of a lease, in order.
    func keys(ofLease lease: Int64) -> [Int] { (attached[lease] ?? []).sorted() }

    /// Where the journal ends, for `rollBack`.
    var mark: Int { journal.count }

    /// Adds a change to the revision under way.
    mutating func append(_ key: Int, _ version: Version) {
        move(key, from: versions[key].last, to: version)
        journal.append(Change(key: key, slot: versions[key].count))
        versions[key].append(version)
    }

    /// Ends the revision under way, if it changed anything since the mark.
    mutating func finish(from mark: Int) -> Bool {
        guard journal.count > mark else { return false }
        starts.append(mark)
        revision += 1
        return true
    }

    /// Takes back the changes since a mark.
    mutating func rollBack(to mark: Int) {
        while journal.count > mark, let change = journal.popLast() {
            let undone = versions[change.key].popLast()
            move(change.key, from: undone, to: versions[change.key].last)
        }
    }

    /// Takes back all revisions above this one.
    mutating func undo(to target: Int64) {
        while revision > target, let start = starts.popLast() {
            rollBack(to: start)
            revision -= 1
        }
    }

    /// Keeps the leases' keys in step with a key's newest version.
    private mutating func move(_ key: Int, from old: Version?, to new: Version?) {
        let oldLease = old?.lease ?? 0
        let newLease = new?.lease ?? 0
        guard oldLease != newLease else { return }
        if oldLease != 0 {
            attached[oldLease]?.remove(key)
            if attached[oldLease]?.isEmpty == true { attached[oldLease] = nil }
        }
        if newLease != 0 { attached[newLease, default: []].insert(key) }
    }
}
