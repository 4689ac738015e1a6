// GrantChecker.swift: whether users were served what they had permissions for, and nothing else.
// Belongs here: judging. Never here: noting (Clients/UserClient.swift, Clients/AdminClient.swift).
// Source: etcd semantics A5-A8: permissions are checked in the order of the log, reads against the state they read.
//
// Changes of users have no revision of their own. But the answer to one names the revision of the store at its place
// in the log: whatever shows a greater one lies behind it, however close in time both were.

/// Judges the use of permissions.
package struct GrantChecker {
    private let history: GrantHistory

    /// All violations.
    package static func check(_ history: GrantHistory) -> [Violation] {
        let checker = GrantChecker(history: history)
        return history.uses.compactMap { checker.check($0) }
    }

    private func check(_ use: GrantHistory.Use) -> Violation? {
        guard !mayBeUnchecked(use) else { return nil }
        let grant = history.grants[use.grant]
        let isCovered = grant.user == use.user && grant.kind.covers(use.need) && !use.isBeyond
        guard let revision = use.revision else {
            guard isCovered, isHeld(grant, throughout: use) else { return nil }
            return Violation(
                .access, "\(describe(use)) was refused, though it had the permission all the time")
        }
        guard isCovered else {
            return Violation(.access, "\(describe(use)) was served without any permission")
        }
        guard !grant.isDoubtful else { return nil }
        if let taken = grant.takenRevision, revision > taken {
            return Violation(
                .access,
                "\(describe(use)) was served at revision \(revision), but the permission was taken away "
                    + "at \(taken)")
        }
        if let taken = grant.taken, use.invoked > taken, !use.isLocal {
            return Violation(
                .access, "\(describe(use)) was served after the permission was taken away")
        }
        return nil
    }

    private func mayBeUnchecked(_ use: GrantHistory.Use) -> Bool {
        history.openings.contains { opening in
            guard opening.from <= use.ended else { return false }
            return use.invoked <= opening.to ?? .max
                || use.isLocal && use.revision ?? 0 <= opening.revision
        }
    }

    private func isHeld(
        _ grant: GrantHistory.Grant, throughout use: GrantHistory.Use
    ) -> Bool {
        guard let given = grant.given, given < use.invoked, !use.isLocal else { return false }
        return grant.takingBegan.map { use.ended < $0 } ?? true
    }

    private func describe(_ use: GrantHistory.Use) -> String {
        "user u\(use.user)'s \(use.text), begun at \(use.invoked) us, about permission \(use.grant) of u"
            + "\(history.grants[use.grant].user) (\(history.grants[use.grant].kind)),"
    }
}
