// GrantCheckerTests.swift: histories of permissions that are right, and what one change makes of them.
// Belongs here: small histories made by hand. Never here: whole worlds (SeedTests.swift).

import Testing

@testable import Simulation

@Suite("grant checker")
struct GrantCheckerTests {
    /// A permission of user 0, given at 10 and taken away from 50 to 60, at revision 5; checking is on from 5 on.
    private func history(_ kind: GrantHistory.Kind = .write) -> GrantHistory {
        var history = GrantHistory()
        history.openings = [(0, 5, 1)]
        var grant = GrantHistory.Grant(
            user: 0, kind: kind, span: KeySpan(Array("a0.".utf8), end: Array("a0/".utf8)))
        grant.given = 10
        grant.takingBegan = 50
        grant.taken = 60
        grant.takenRevision = 5
        history.grants = [grant]
        return history
    }

    private func use(
        _ invoked: UInt64, _ ended: UInt64, revision: Int64?, user: Int = 0,
        need: GrantHistory.Kind = .write, isBeyond: Bool = false, isLocal: Bool = false
    ) -> GrantHistory.Use {
        GrantHistory.Use(
            user: user, invoked: invoked, ended: ended, grant: 0, need: need, isBeyond: isBeyond,
            isLocal: isLocal, revision: revision, text: "put")
    }

    private func isBroken(_ use: GrantHistory.Use, _ history: GrantHistory) -> Bool {
        var history = history
        history.uses = [use]
        return !GrantChecker.check(history).isEmpty
    }

    @Test("A7: what a permission covers is served while it is held, and nothing else")
    func coverage() {
        #expect(!isBroken(use(20, 30, revision: 3), history()))
        #expect(isBroken(use(20, 30, revision: 3, user: 1), history()))
        #expect(isBroken(use(20, 30, revision: 3, need: .read), history()))
        #expect(isBroken(use(20, 30, revision: 3, need: .readWrite), history()))
        #expect(!isBroken(use(20, 30, revision: 3, need: .readWrite), history(.readWrite)))
        #expect(isBroken(use(20, 30, revision: 3, isBeyond: true), history()))
    }

    @Test("A5: a permission that was taken away counts neither by time nor by revision")
    func taken() {
        // While it is taken away both are right, in the order of the log.
        #expect(!isBroken(use(45, 70, revision: 5), history()))
        #expect(!isBroken(use(45, 70, revision: nil), history()))
        #expect(isBroken(use(45, 70, revision: 6), history()))
        #expect(isBroken(use(61, 70, revision: 5), history()))
        // A member that lags may answer by what it has, but not by what came later.
        #expect(!isBroken(use(61, 70, revision: 5, isLocal: true), history()))
        #expect(isBroken(use(61, 70, revision: 6, isLocal: true), history()))
        // An attempt to give it may have arrived after it was taken away.
        var doubtful = history()
        doubtful.grants[0].isDoubtful = true
        #expect(!isBroken(use(61, 70, revision: 6), doubtful))
    }

    @Test("A5: who has a permission all the time is not refused")
    func refused() {
        #expect(isBroken(use(20, 30, revision: nil), history()))
        #expect(!isBroken(use(5, 30, revision: nil), history()))
        #expect(!isBroken(use(20, 30, revision: nil, isLocal: true), history()))
        #expect(!isBroken(use(61, 70, revision: nil), history()))
        #expect(!isBroken(use(20, 30, revision: nil, user: 1), history()))
    }

    @Test("A1: nothing is held against permissions while checking is off")
    func unchecked() {
        var open = history()
        open.openings.append((20, 25, 4))
        #expect(!isBroken(use(22, 30, revision: 3, user: 1), open))
        #expect(isBroken(use(26, 30, revision: 3, user: 1), open))
        // A member that lags may not have heard that it is on again.
        #expect(!isBroken(use(26, 30, revision: 4, user: 1, isLocal: true), open))
        #expect(isBroken(use(26, 30, revision: 5, user: 1, isLocal: true), open))
    }
}
