// GrantHistory.swift: which permissions were given and taken, and what users asked for under them.
// Belongs here: the record. Never here: whether it is right (Checkers/GrantChecker.swift).
// Each permission is for keys of its own and given once: so what one allows no other can.

/// Permissions and their use; times as in `Operation`.
package struct GrantHistory: Sendable {
    /// What a permission allows (etcd auth.proto, Permission.Type).
    package enum Kind: Int32, Sendable, CaseIterable {
        case read = 0
        case write, readWrite

        /// Whether it allows all of what `need` asks for.
        package func covers(_ need: Kind) -> Bool { self == .readWrite || self == need }
    }

    /// One permission of one user.
    package struct Grant: Sendable {
        package let user: Int
        package let kind: Kind
        package let span: KeySpan
        /// When the administrator was told that it is given; nil: not yet.
        package var given: UInt64?
        /// When the administrator began to take it away.
        package var takingBegan: UInt64?
        /// When the administrator was told that it is taken away.
        package var taken: UInt64?
        /// The revision of the store when it was taken away: what has a greater one came later.
        package var takenRevision: Int64?
        /// An attempt to give it was lost on the way, and may still arrive.
        package var isDoubtful = false

        package init(user: Int, kind: Kind, span: KeySpan) {
            self.user = user
            self.kind = kind
            self.span = span
        }
    }

    /// One call of a user that was served, or refused for want of a permission.
    package struct Use: Sendable {
        package let user: Int
        package let invoked: UInt64
        package let ended: UInt64
        /// The number of the permission whose keys it is about.
        package let grant: Int
        package let need: Kind
        /// It also asks for keys that no permission covers.
        package let isBeyond: Bool
        /// The member asked may answer by what it has, however old.
        package let isLocal: Bool
        /// The revision of the answer; nil: it was refused.
        package let revision: Int64?
        /// What was asked, for people.
        package let text: String
    }

    package var grants: [Grant] = []
    package var uses: [Use] = []
    /// Times in which calls may not have been checked; the last one may be without an end.
    ///
    /// `revision` is the store's when it ended: a member that has not come so far may know nothing of it.
    package var openings: [(from: UInt64, to: UInt64?, revision: Int64)] = [(0, nil, 0)]

    package init() {}
}
