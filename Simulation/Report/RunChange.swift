// RunChange.swift: what is left out of a seed's run, to see whether it still fails.
// Belongs here: the parts that can go. Elsewhere: Minimiser.swift (which go). Never here: drawing (Swarm.swift).

/// A run with parts left out.
public struct RunChange: Equatable, CustomStringConvertible {
    /// Fault rules that stay, by their place among those that the seed drew; nil for all.
    var rules: [Int]?
    /// Workloads that stay, by their place in the scenario; nil for all.
    var workloads: [Int]?
    /// Clients of each workload at most.
    var clientsMax: UInt64?
    /// How long the first phase lasts; nil for as long as was drawn.
    var safetyMicroseconds: UInt64?
    /// No loss, repetition, reordering or reset of single messages, and no chance inside the code.
    var hasCalmNetwork = false

    /// Nothing left out.
    public init() {}

    func apply(to setup: inout WorldSetup) {
        if let rules { setup.rules = rules.map { setup.rules[$0] } }
        if let workloads { setup.workloads = workloads.map { setup.workloads[$0] } }
        if let clientsMax {
            for place in setup.workloads.indices
            where setup.workloads[place].options.contains(where: { $0.name == "clients" }) {
                setup.workloads[place]["clients"] = min(
                    clientsMax, setup.workloads[place]["clients"])
            }
        }
        if let safetyMicroseconds { setup.safetyMicroseconds = safetyMicroseconds }
        if hasCalmNetwork {
            setup.network.losses = 0
            setup.network.duplicates = 0
            setup.network.resets = 0
            setup.network.reorders = 0
            setup.chancePoints = []
        }
    }

    /// What is left, for people.
    public var description: String {
        var parts: [String] = []
        if let rules { parts.append("fault rules \(rules)") }
        if let workloads { parts.append("workloads \(workloads)") }
        if let clientsMax { parts.append("at most \(clientsMax) clients of a kind") }
        if let safetyMicroseconds { parts.append("\(safetyMicroseconds / 1000) ms of faults") }
        if hasCalmNetwork { parts.append("a calm network and no chance inside the code") }
        return parts.isEmpty ? "everything" : parts.joined(separator: ", ")
    }
}
