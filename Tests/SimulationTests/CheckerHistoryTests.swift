// CheckerHistoryTests.swift: true histories are accepted, and a search agrees on false ones.
// Belongs here: random histories from seeds. Never here: hand-made ones (CheckerMutationTests).
import Raft
@testable import Simulation
import Testing

@Suite("checkers: random histories")
struct CheckerHistoryTests {
    @Test("checkers: true histories with leases, compactions and watches are accepted")
    func trueHistoriesPass() {
        for seed in UInt64(0)..<300 {
            var odds = HistoryGenerator.Odds()
            odds.unknown = seed % 3 * 12
            odds.keys = 2 + seed % 7
            odds.operations = 40 + Int(seed % 5) * 30
            odds.hasLeases = seed % 2 == 0
            var generator = HistoryGenerator(seed: seed, odds: odds)
            generator.run()
            generator.addWatches(5)
            let found = HistoryChecker.check(
                generator.history, terms: generator.terms, contents: generator.contents)
            #expect(found.isEmpty, "seed \(seed): \(found)")
        }
    }

    @Test("checkers: the verdict on small histories, true or changed, is that of a search")
    func agreesWithSearch() {
        var verdicts = [false: 0, true: 0]
        for seed in UInt64(0)..<3_000 {
            var odds = HistoryGenerator.Odds()
            odds.operations = 5 + Int(seed % 5)
            odds.clients = 3 + Int(seed % 2)
            odds.keys = 1 + seed % 3
            odds.unknown = seed % 4 * 15
            odds.hasLeases = false
            odds.hasCompactions = false
            var generator = HistoryGenerator(seed: seed, odds: odds)
            generator.run()
            var history = generator.history
            var change = HistoryChange(random: generator.random)
            for _ in 0..<seed % 3 { change.apply(to: &history) }
            let verdict = LinearizabilityChecker(history: history).check()
            #expect(verdict.violations.isEmpty == (verdict.linearization != nil))
            var search = SearchChecker(history.operations)
            let expected = search.isLinearizable()
            verdicts[expected, default: 0] += 1
            #expect(
                verdict.violations.isEmpty == expected,
                "seed \(seed): search says \(expected), checker \(verdict.violations)")
        }
        // Both verdicts must be common, or the comparison says little.
        #expect(verdicts[true, default: 0] > 500, "\(verdicts)")
        #expect(verdicts[false, default: 0] > 500, "\(verdicts)")
    }
}

/// Changes one thing in a history, which may make it false.
struct HistoryChange {
    var random: SeededGenerator

    mutating func apply(to history: inout History) {
        let place = Int(random.next(below: UInt64(history.operations.count)))
        var operation = history.operations[place]
        guard case .answered(let time, var response) = operation.outcome else {
            operation.invoked += random.next(below: 100)
            history.operations[place] = operation
            return
        }
        var at = time
        switch random.next(below: 6) {
        case 0: response.revision += random.next(below: 2) == 0 ? 1 : -1
        case 1: at = max(operation.invoked, time - min(time, random.next(below: 80)))
        case 2: operation.invoked = min(time, operation.invoked + random.next(below: 80))
        case 3:
            operation.outcome = .unknown
            history.operations[place] = operation
            return
        default: response.body = changed(response.body)
        }
        operation.outcome = .answered(at: at, response)
        history.operations[place] = operation
    }

    private mutating func changed(_ body: ResponseBody) -> ResponseBody {
        switch body {
        case .put(let previous):
            guard let previous else { return .put(previous: nil) }
            return .put(previous: changed(previous))
        case .range(var answer):
            guard let last = answer.keyValues.popLast() else {
                answer.count += 1
                return .range(answer)
            }
            if random.next(below: 2) == 0 { answer.keyValues.append(changed(last)) }
            return .range(answer)
        case .deleteRange(let deleted, let previous):
            return .deleteRange(deleted: deleted + 1, previous: previous)
        case .txn(let succeeded, let answers):
            guard random.next(below: 2) == 0, let last = answers.last else {
                return .txn(succeeded: !succeeded, answers: answers)
            }
            return .txn(succeeded: succeeded, answers: answers.dropLast() + [changed(last)])
        default: return body
        }
    }

    private mutating func changed(_ item: KeyValue) -> KeyValue {
        var item = item
        switch random.next(below: 4) {
        case 0: item.value += [0x21]
        case 1: item.version += 1
        case 2: item.modRevision -= 1
        default: item.createRevision -= 1
        }
        return item
    }
}
