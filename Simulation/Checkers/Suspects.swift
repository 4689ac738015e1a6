// Suspects.swift: the calls that may have made a revision which no answer names.
// Belongs here: finding them fast. Never here: trying them (RevisionReplay+Gaps.swift).

/// Calls of unknown outcome, and revokes, whose answers do not say whether they had any effect.
struct Suspects {
    /// Places of answered revokes, by the revision of the answer.
    private(set) var revokes: [Int64: [Int]] = [:]
    /// Places of all calls of unknown outcome that may write, newest first.
    private var all: [Int] = []
    /// Of these the plain puts, by key.
    private var puts: [Int: [Int]] = [:]
    /// The others.
    private var others: [Int] = []
    private let invoked: [Int: UInt64]

    init(history: History, keys: KeyTable) {
        var invoked: [Int: UInt64] = [:]
        for (place, operation) in history.operations.enumerated() {
            switch (operation.request, operation.outcome) {
            case (.put, .unknown), (.deleteRange, .unknown), (.txn, .unknown),
                (.leaseRevoke, .unknown):
                all.append(place)
                invoked[place] = operation.invoked
            case (.leaseRevoke, .answered(_, let response)):
                revokes[response.revision, default: []].append(place)
            default: continue
            }
        }
        all.sort { (invoked[$0] ?? 0, $0) > (invoked[$1] ?? 0, $1) }
        self.invoked = invoked
        for place in all {
            if case .put(let put) = history.operations[place].request,
                let key = keys.number(of: put.key)
            {
                puts[key, default: []].append(place)
            } else {
                others.append(place)
            }
        }
    }

    /// The calls that may have changed all these keys, newest first; all calls for no keys.
    func calls(touching keys: [Int]) -> [Int] {
        guard let key = keys.first else { return all }
        guard keys.count == 1, let plain = puts[key] else { return others }
        return (plain + others).sorted {
            (invoked[$0] ?? 0, $0) > (invoked[$1] ?? 0, $1)
        }
    }
}
