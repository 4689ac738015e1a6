// SnapshotTrust.swift: whether the next snapshot may build on the database file that is here.
// Belongs here: what failed attempts say about that. Never here: transfers (SnapshotExchange.swift, the simulator).
// Why: checksums and indexes of the file may be damaged too. Then what came and what is here never add up to the
// sender's database, however often it is tried.

internal import Storage

/// Remembers over the attempts of one process what the file is worth.
struct SnapshotTrust {
    private var failures = 0
    private var isGone = false

    /// Attempts that end because the file seems to be newer, until it is not believed.
    private static let failuresMax = 3

    /// An attempt failed.
    mutating func failed(_ error: StorageError) {
        switch error {
        case .corrupt, .corruptPage: isGone = true
        case .busy:
            failures += 1
            if failures == Self.failuresMax { isGone = true }
        case .disk, .incompatible, .unfinished, .occupied, .sqlite: break
        }
    }

    /// What the next attempt must not rely on.
    func doubting(_ damage: Damage?) -> Damage? { isGone ? .everything : damage }
}
