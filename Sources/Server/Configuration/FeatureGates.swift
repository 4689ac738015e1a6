// FeatureGates.swift: the switches of --feature-gates, as etcd 3.6 and later take them.
// Belongs here: their names, defaults and grammar. Never here: what a gate switches.

/// The gates that are on.
struct FeatureGates: Equatable, Sendable {
    /// A gate by etcd's name.
    enum Gate: String, Sendable, CaseIterable {
        case stopGRPCServiceOnDefrag = "StopGRPCServiceOnDefrag"
        case initialCorruptCheck = "InitialCorruptCheck"
        case compactHashCheck = "CompactHashCheck"
        case txnModeWriteWithSharedBuffer = "TxnModeWriteWithSharedBuffer"
        case leaseCheckpoint = "LeaseCheckpoint"
        case leaseCheckpointPersist = "LeaseCheckpointPersist"
        case setMemberLocalAddr = "SetMemberLocalAddr"
        case fastLeaseKeepAlive = "FastLeaseKeepAlive"
        case priorityRequest = "PriorityRequest"

        /// Whether the gate is on when nothing is said.
        ///
        /// Lease checkpoints are always on in Martlet; the gate tells what was asked for.
        var isOnByDefault: Bool {
            switch self {
            case .txnModeWriteWithSharedBuffer, .fastLeaseKeepAlive, .leaseCheckpoint,
                .leaseCheckpointPersist:
                true
            case .stopGRPCServiceOnDefrag, .initialCorruptCheck, .compactHashCheck,
                .setMemberLocalAddr, .priorityRequest:
                false
            }
        }
    }

    private var changed: [Gate: Bool] = [:]

    /// Whether a gate is on.
    func isOn(_ gate: Gate) -> Bool { changed[gate] ?? gate.isOnByDefault }

    /// Sets one gate.
    mutating func set(_ gate: Gate, to isOn: Bool) { changed[gate] = isOn }

    /// Takes over "Name=true,Other=false"; AllAlpha and AllBeta are read and stand for nothing
    /// here.
    mutating func apply(_ text: String) throws(ValueProblem) {
        for piece in text.split(separator: ",") {
            let (name, value) = String(piece.drop { $0 == " " }).splitOnce(at: "=")
            guard let value, let isOn = FlagValue.boolean(value) else {
                throw ValueProblem(expected: "a list such as InitialCorruptCheck=true,Other=false")
            }
            if let gate = Gate(rawValue: name) {
                changed[gate] = isOn
            } else if name != "AllAlpha", name != "AllBeta" {
                let names = Gate.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValueProblem(expected: "known gates (\(names))")
            }
        }
    }
}
