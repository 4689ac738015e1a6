// StorageBug.swift: mistakes in the store that the simulator plants, to see whether it finds them.
// Belongs here: their names. Never here: what each does, which stands where it is planted.
// Only simulation builds have any of it.

#if SIMULATION
    /// A mistake in the store.
    package enum StorageBug: String, CaseIterable, Sendable {
        /// The log is written and never synced.
        case logNotSynced
        /// Pages are not compared with their checksums when they are read.
        case pageChecksumIgnored
        /// Speculative pages stay when leadership is lost.
        case tipNotCut
        /// A key that was deleted goes on counting its versions.
        case versionNotReset
        /// Each put gives the key a new create revision.
        case createRevisionMoves
        /// A snapshot is installed without asking whether it fits.
        case snapshotNotProved
        /// The log is let go beyond the checkpoint.
        case logReleasedEarly

        // Set before a world begins, and read by its one thread.
        nonisolated(unsafe) package static var planted: StorageBug?

        var isPlanted: Bool { Self.planted == self }
    }
#endif
