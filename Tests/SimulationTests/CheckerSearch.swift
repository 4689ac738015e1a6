// CheckerSearch.swift: tries every order of a small history, one call after the other.
// Belongs here: the search. Never here: the revision order, which the real checker relies on.
// Source: Wing and Gong (1993), with Lowe's memory of states (2017).
@testable import Simulation

/// Decides linearizability by search; independent of LinearizabilityChecker and its model.
struct SearchChecker {
    private struct State: Hashable {
        var done: UInt64 = 0
        var store = NaiveStore()
    }

    private let operations: [Operation]
    private var visited: Set<State> = []

    /// Only puts, reads, deletes and transactions are understood.
    init(_ operations: [Operation]) {
        precondition(operations.count <= 64, "\(operations.count) calls are too many")
        self.operations = operations
    }

    mutating func isLinearizable() -> Bool { search(State()) }

    private mutating func search(_ state: State) -> Bool {
        var isFinished = true
        var deadline = UInt64.max
        for (place, operation) in operations.enumerated() where state.done & 1 << place == 0 {
            guard let answer = operation.answer else { continue }
            isFinished = false
            deadline = min(deadline, answer.at)
        }
        if isFinished { return true }
        guard visited.insert(state).inserted else { return false }
        for (place, operation) in operations.enumerated() where state.done & 1 << place == 0 {
            if case .refused = operation.outcome { continue }
            guard operation.invoked <= deadline else { continue }
            var next = state
            next.done |= 1 << place
            guard Self.agrees(operation, &next.store) else { continue }
            if search(next) { return true }
        }
        return false
    }

    private static func agrees(_ operation: Operation, _ store: inout NaiveStore) -> Bool {
        guard let response = operation.answer?.response else {
            // A call that changes nothing is as good as none.
            let before = store.revision
            if case .done = store.perform(operation.request) { return store.revision > before }
            return false
        }
        if !operation.isLinearizable, case .range(var read) = operation.request {
            guard response.revision >= 1, response.revision <= store.revision else { return false }
            guard read.revision <= response.revision else { return false }
            if read.revision == 0 { read.revision = response.revision }
            return store.range(read) == .done(response.body)
        }
        return store.perform(operation.request) == .done(response.body)
            && store.revision == response.revision
    }
}
