// DiskFaults.swift: what can go wrong with a disk, and how often.
// Belongs here: plain settings. Never here: the disk that acts on them (SimulatedDisk.swift).

/// How a disk behaves; odds are of a million operations.
struct DiskFaults: Equatable {
    var readErrors: UInt64 = 0
    var writeErrors: UInt64 = 0
    var syncErrors: UInt64 = 0
    /// Writes to the database file that land on another page of it.
    var misdirects: UInt64 = 0
    /// Bytes that all files together may have.
    var capacityBytes: UInt64 = 1 << 40
    /// The usual time of a sync, in microseconds.
    var syncMicroseconds: UInt64 = 300
    /// Syncs that stall, of a million, and for how long.
    var stalls: UInt64 = 0
    var stallMicroseconds: UInt64 = 0
}

/// What a loss of power leaves of that which was not synced.
enum PowerLoss: UInt8, CaseIterable {
    case nothing, everything, some
}
