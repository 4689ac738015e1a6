// Faults.swift: what a test can ask of a FaultyDisk: which operations fail, what a crash leaves.
// Belongs here: plain descriptions. Never here: the disk that acts on them (FaultyDisk.swift).

import Glibc
import Storage

/// The operations of a disk that can be made to fail; all but `read` are counted.
package enum OperationKind: Hashable, Sendable {
    case create, remove, rename, syncDirectory, write, truncate, sync, read
}

/// One operation that happened, or was made to fail.
package struct DiskOperation: Equatable, Sendable {
    /// What was done.
    package var kind: OperationKind
    /// To which file or directory.
    package var path: String
}

/// How an operation fails.
package enum Fault: Equatable, Sendable {
    /// With this errno, having done nothing.
    case failed(code: Int32)
    /// With a full disk; a write gets this many bytes to the file first.
    case full(written: Int)

    func error(_ path: String, _ kind: OperationKind) -> DiskError {
        switch self {
        case .failed(let code): .failed(path: path, operation: "\(kind)", code: code)
        case .full: .full(path: path)
        }
    }
}

extension Fault {
    /// An input/output error.
    package static var ioError: Fault { .failed(code: EIO) }
}

/// What survives a crash of that which was not synced.
package enum Survival: Hashable, Sendable {
    /// None of it.
    case nothing
    /// All of it, as after the death of the process alone.
    case everything
    /// Every other sector and name, beginning with the first.
    case evens
    /// Every other sector and name, beginning with the second.
    case odds
    /// Each sector and name by the toss of a coin; the seed decides for all of them.
    case random(seed: UInt64)
}

/// Decides for one sector or name after the other.
struct SurvivalCoin {
    private let survival: Survival
    private var state: UInt64
    private var tosses = 0

    init(_ survival: Survival) {
        self.survival = survival
        state = if case .random(let seed) = survival { seed } else { 0 }
    }

    mutating func survives() -> Bool {
        tosses += 1
        switch survival {
        case .nothing: return false
        case .everything: return true
        case .evens: return tosses % 2 == 1
        case .odds: return tosses % 2 == 0
        case .random: return next() & 1 == 1
        }
    }

    /// The next number of a fixed sequence, that of splitmix64 (Steele, Lea, Flood 2014).
    private mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
