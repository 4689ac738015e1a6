// Trace.swift: the commands of a golden trace, run against a cluster.
// Belongs here: running commands. Never here: their words (Trace+Words.swift), files
// (GoldenTests.swift), wording (Describe.swift).
//
//   cluster 1 2 3 [learners=4] [spares=5,6] [prevote=off] [checkquorum=off] [append=BYTES]
//           [uncommitted=BYTES] [retained=BYTES]   spares are in no configuration yet
//   logs ID=INDEX@tTERM,... [ID=...]   give members a log and start them again; the term follows it
//   tick ID [N] | campaign ID | propose ID PAYLOAD... | read ID CONTEXT | apply ID
//   append FROM TO tTERM PREVIOUS ENTRY,...   a message out of nothing, from a leader not shown
//   save ID [N]        finish all saves, or the oldest N
//   deliver [FROM TO]  deliver what is under way now; answers wait for the next deliver
//   drop [FROM TO] | disconnect ID PEER | crash ID | restart ID | settle | status
//   cut FROM TO | mend  nothing gets from the one to the other from now on | all of that is over
//   change ID voters=1,2 [learners=3]   propose the next step on the way there; `leave ID` is
//                      the step out of a joint configuration
//   transfer ID TO | compact ID INDEX
//   install ID FROM    put the state of another member in place of the member's own, if it may
//   silent COMMAND     run without printing
import Raft

/// Runs commands and collects what the members do.
struct Trace {
    private var cluster = Cluster(voters: [1])
    private var output: [String] = []
    private var isSilent = false
    private var cuts: [(from: MemberID, to: MemberID)] = []

    mutating func run(_ line: String) -> [String] {
        output = []
        var words = line.split(separator: " ").map(String.init)
        isSilent = words.first == "silent"
        if isSilent { words.removeFirst() }
        guard let command = words.first else { return ["empty command"] }
        run(command, Array(words.dropFirst()))
        return output
    }

    private mutating func run(_ command: String, _ words: [String]) {
        switch command {
        case "cluster": return build(words)
        case "logs": return words.forEach { setLog($0) }
        case "deliver":
            return deliver { Trace.matches($0, words) }
        case "drop": return cluster.network.removeAll { Trace.matches($0, words) }
        case "settle": return settle()
        case "append": return append(words)
        case "cut": return cuts.append(Trace.pair(words))
        case "mend": return cuts.removeAll()
        case "status": return status()
        default: break
        }
        guard let number = words.first.flatMap({ UInt64($0) }) else {
            return output.append("\(command) names no member")
        }
        let id = MemberID(number)
        let count = words.count > 1 ? Int(words[1]) : nil
        let other = MemberID(UInt64(count ?? 0))
        switch command {
        case "tick": for _ in 0..<(count ?? 1) { step(id, .tick) }
        case "campaign": step(id, .campaign)
        case "propose": step(id, .propose(words.dropFirst().map { Array($0.utf8) }))
        case "read": step(id, .readIndex(ReadContext(UInt64(count ?? 0))))
        case "apply": show(id, cluster.apply(id))
        case "save": save(id, count: count ?? .max)
        case "disconnect": step(id, .peerDisconnected(other))
        case "change": change(id, toward: Trace.membership(words))
        case "leave": change(id, toward: Membership(voters: []))
        case "transfer": step(id, .transferLeadership(to: other))
        case "compact": show(id, cluster.compact(id, through: LogIndex(other.rawValue)))
        case "install": install(id, from: other)
        case "crash": cluster[number].crash()
        case "restart": cluster[number].start()
        default: output.append("unknown command \(command)")
        }
    }

    private mutating func show(_ id: MemberID, _ effects: Effects?) {
        guard let effects else { return }
        let line = Describe.effects(effects)
        if !isSilent, !line.isEmpty { output.append("\(id.rawValue): \(line)") }
        for request in effects.needEntries { show(id, cluster.load(request, for: id)) }
    }

    private mutating func change(_ id: MemberID, toward target: Membership) {
        guard let now = cluster[id.rawValue].node?.membership else { return }
        step(id, .proposeMembership(now.next(toward: target), payload: []))
    }

    private mutating func install(_ id: MemberID, from source: MemberID) {
        let effects = cluster.install(cluster[source.rawValue].state, on: id)
        if effects == nil { output.append("\(id.rawValue): must not install") }
        show(id, effects)
    }

    private mutating func step(_ id: MemberID, _ input: Input) {
        show(id, cluster.step(id, input))
    }

    private mutating func save(_ id: MemberID, count: Int) {
        var finished = 0
        while finished < count, let effects = cluster.finishSave(id) {
            finished += 1
            show(id, effects)
        }
        if finished == 0, !isSilent { output.append("\(id.rawValue): nothing to save") }
    }

    private static func matches(_ message: Message, _ words: [String]) -> Bool {
        guard words.count == 2 else { return true }
        return String(message.from.rawValue) == words[0] && String(message.to.rawValue) == words[1]
    }

    private mutating func deliver(where isMeant: (Message) -> Bool) {
        cluster.network.removeAll { message in
            cuts.contains { $0 == (message.from, message.to) }
        }
        let messages = cluster.network.filter(isMeant)
        cluster.network.removeAll(where: isMeant)
        for message in messages { step(message.to, .received(message)) }
    }

    private mutating func settle() {
        for _ in 0..<1_000 {
            var didWork = !cluster.network.isEmpty
            deliver { _ in true }
            for member in cluster.members {
                while let effects = cluster.finishSave(member.id) {
                    didWork = true
                    show(member.id, effects)
                }
                if let effects = cluster.apply(member.id) {
                    didWork = true
                    show(member.id, effects)
                }
            }
            if !didWork { return }
        }
        output.append("the members never come to rest")
    }

    private mutating func status() {
        for member in cluster.members {
            guard let node = member.node else {
                output.append("\(member.id.rawValue): down")
                continue
            }
            output.append(
                "\(member.id.rawValue): \(node.role) t\(node.term.rawValue) "
                    + "last=\(Describe.id(node.last)) durable=\(node.durable.rawValue) "
                    + "commit=\(node.commit.rawValue) applied=\(node.applied.rawValue)")
        }
    }

    private mutating func build(_ words: [String]) {
        cuts = []
        cluster = Cluster(
            voters: words.compactMap { UInt64($0) },
            learners: Trace.numbers(of: "learners", in: words),
            spares: Trace.numbers(of: "spares", in: words)
        ) { configuration in
            for option in words where option.contains("=") {
                let parts = option.split(separator: "=").map(String.init)
                switch (parts[0], parts[1]) {
                case ("learners", _), ("spares", _): break
                case ("prevote", "off"): configuration.preVote = false
                case ("checkquorum", "off"): configuration.checkQuorum = false
                case ("append", let bytes):
                    configuration.limits.appendBytesMax = Int(bytes) ?? 0
                case ("uncommitted", let bytes):
                    configuration.limits.uncommittedBytesMax = Int(bytes) ?? 0
                case ("retained", let bytes):
                    configuration.limits.retainedBytesMax = Int(bytes) ?? 0
                default: preconditionFailure("unknown option \(option)")
                }
            }
        }
    }

    private mutating func append(_ words: [String]) {
        guard words.count == 5, let from = UInt64(words[0]), let to = UInt64(words[1]),
            let term = UInt64(words[2].dropFirst())
        else { return output.append("append needs five words") }
        step(
            MemberID(to),
            .received(
                Message(
                    from: MemberID(from), to: MemberID(to), term: Term(term),
                    body: .append(
                        previous: Trace.entryID(words[3][...]),
                        entries: Trace.entries(words[4][...]), commit: .zero))))
    }

    /// `1=1@t1,2@t1` gives member 1 two entries; its term is that of the last, with no vote.
    private mutating func setLog(_ word: String) {
        let parts = word.split(separator: "=")
        guard let number = UInt64(parts[0]) else { return output.append("no member in \(word)") }
        var disk = PretendedDisk()
        if parts.count > 1 { disk.entries = Trace.entries(parts[1]) }
        disk.hard.term = disk.entries.last?.id.term ?? .zero
        cluster[number].disk = disk
        cluster[number].start()
    }
}
