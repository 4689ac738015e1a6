// MemberProgress.swift: what a leader tells its caller of one other member.
// Belongs here: the view. Never here: the state behind it (Progress.swift).

/// What a leader knows of one other member.
public struct MemberProgress: Equatable, Sendable {
    /// How entries are sent to the member.
    public enum Mode: Equatable, Sendable {
        /// One message at a time, to find where the logs part.
        case probing
        /// As many messages as the window allows.
        case replicating
        /// The caller is reading entries from its disk.
        case loading
        /// The member has been told to fetch a snapshot.
        case snapshot
    }

    /// The member's log equals the leader's through here, and is on its disk.
    public var match: LogIndex

    /// The next entry to be sent.
    public var next: LogIndex

    /// How entries are sent.
    public var mode: Mode

    /// Whether it was heard from within the last one or two election timeouts.
    public var isActive: Bool

    /// Puts a view together.
    public init(match: LogIndex, next: LogIndex, mode: Mode, isActive: Bool) {
        self.match = match
        self.next = next
        self.mode = mode
        self.isActive = isActive
    }
}

extension Progress {
    /// The caller's view.
    var view: MemberProgress {
        let mode: MemberProgress.Mode =
            switch self.mode {
            case .probe: .probing
            case .replicate: .replicating
            case .load: .loading
            case .snapshot: .snapshot
            }
        return MemberProgress(
            match: match, next: next, mode: mode, isActive: isActive || wasActive)
    }
}
