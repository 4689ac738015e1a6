// ScenarioParser.swift: reads scenarios from text; every complaint names its line.
// Belongs here: the format. Never here: what the words do.
//
//   # a comment                                     a range is `a..b`, or `a` alone
//   members 3..5                                    times: 100us 5ms 2s 3m; shares: 5% 0.1%; sizes: 1500 64k 1M
//   duration 10s..30s
//   election 300ms..1s
//   network delay=100us..5ms loss=0%..5% duplicate=0%..5% reset=0%..0.1% reorder=0%..10%
//   disk sync=100us..5ms stall=0%..1%
//   clock drift=0%..1%
//   log retention=16k..512k
//   chance 0%..10%                                  at points in the code, see World/Chances.swift
//   workload kv clients=4 keys=8 put=40 get=40 txn=12 delete=8 think=20ms
//   fault partition every 2s..10s last 1s..5s
//   faults all                                      every seed has every fault of the list

/// What is wrong with a scenario's text.
public struct ScenarioError: Error, Equatable, CustomStringConvertible {
    let file: String
    let line: Int
    let text: String

    /// The file, the line and the complaint.
    public var description: String { "\(file):\(line): \(text)" }
}

/// Reads the text of a scenario.
public struct ScenarioParser {
    private let file: String
    private var line = 0
    private var scenario = Scenario()

    private init(file: String) {
        self.file = file
    }

    /// The scenario that a text describes.
    public static func parse(
        _ text: String, file: String
    ) throws(ScenarioError) -> Scenario {
        var parser = ScenarioParser(file: file)
        let name = file.split(separator: "/").last ?? ""
        parser.scenario.name = String(name.prefix { $0 != "." })
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            parser.line += 1
            let words = line.prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" }
            if !words.isEmpty { try parser.take(words) }
        }
        guard !parser.scenario.workloads.isEmpty else {
            throw parser.error("no workload: add a line such as `workload kv`")
        }
        return parser.scenario
    }

    private func error(_ text: String) -> ScenarioError {
        ScenarioError(file: file, line: line, text: text)
    }

    private mutating func take(_ words: [Substring]) throws(ScenarioError) {
        let rest = words.dropFirst()
        switch words[0] {
        case "members": scenario.members = try range(try only(rest), .count)
        case "duration": scenario.duration = try range(try only(rest), .time)
        case "election": scenario.election = try range(try only(rest), .time)
        case "chance": scenario.chance = try range(try only(rest), .share)
        case "network": try settings(rest, Self.network)
        case "disk": try settings(rest, Self.disk)
        case "clock": try settings(rest, [("drift", \.drift, .share)])
        case "log": try settings(rest, [("retention", \.retention, .size)])
        case "workload": try workload(rest)
        case "fault": try fault(Array(rest))
        case "faults":
            guard try only(rest) == "all" else { throw error("`faults` takes the word `all`") }
            scenario.keepsAllRules = true
        default:
            throw error(
                "unknown word `\(words[0])`: use members, duration, election, network, disk, clock, "
                    + "log, chance, workload, fault or faults")
        }
        guard (1...9).contains(scenario.members.lowerBound), scenario.members.upperBound <= 9 else {
            throw error("a cluster has 1 to 9 members")
        }
        guard scenario.drift.upperBound <= 500_000 else {
            throw error("clocks drift by 50% at most")
        }
    }

    private typealias Setting = (
        name: String, path: WritableKeyPath<Scenario, ClosedRange<UInt64>>, unit: ScenarioUnit
    )

    private static var network: [Setting] {
        [
            ("delay", \.delay, .time), ("loss", \.loss, .share), ("duplicate", \.duplicate, .share),
            ("reset", \.reset, .share), ("reorder", \.reorder, .share),
        ]
    }

    private static var disk: [Setting] { [("sync", \.sync, .time), ("stall", \.stall, .share)] }

    private func only(_ words: ArraySlice<Substring>) throws(ScenarioError) -> Substring {
        guard words.count == 1, let word = words.first else {
            throw error("one value is expected here, not \(words.count)")
        }
        return word
    }

    private mutating func settings(
        _ words: ArraySlice<Substring>, _ known: [Setting]
    ) throws(ScenarioError) {
        for word in words {
            let (name, value) = try pair(word)
            guard let setting = known.first(where: { $0.name == name }) else {
                let names = known.map(\.name).joined(separator: ", ")
                throw error("unknown setting `\(name)`: use \(names)")
            }
            scenario[keyPath: setting.path] = try range(value, setting.unit)
        }
    }

    private func pair(_ word: Substring) throws(ScenarioError) -> (Substring, Substring) {
        let parts = word.split(separator: "=", omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw error("`\(word)` should be name=value") }
        return (parts[0], parts[1])
    }

    private static let clientsMax = 1000

    private mutating func workload(_ words: ArraySlice<Substring>) throws(ScenarioError) {
        guard let name = words.first, let kind = Workload.Kind(rawValue: String(name)) else {
            let kinds = Workload.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw error("unknown workload `\(words.first ?? "")`: use \(kinds)")
        }
        var workload = Workload(kind)
        for word in words.dropFirst() {
            let (name, value) = try pair(word)
            guard workload.options.contains(where: { $0.name == name }) else {
                let names = workload.options.map(\.name).joined(separator: ", ")
                throw error("workload \(kind) has no option `\(name)`: use \(names)")
            }
            workload[String(name)] = try number(value, Workload.unit(of: String(name)))
        }
        let clients = workload.options.first { $0.name == "clients" || $0.name == "users" }
        if let clients, clients.value > Self.clientsMax {
            throw error("a workload has \(Self.clientsMax) \(clients.name) at most")
        }
        scenario.workloads.append(workload)
    }

    private mutating func fault(_ words: [Substring]) throws(ScenarioError) {
        guard let name = words.first, let word = FaultWord(rawValue: String(name)) else {
            let names = FaultWord.allCases.map(\.rawValue).joined(separator: ", ")
            throw error("unknown fault `\(words.first ?? "")`: use \(names)")
        }
        var rule = FaultRule(word: word, every: 0...0, last: 0...0)
        var rest = words.dropFirst()
        while let key = rest.popFirst() {
            guard let value = rest.popFirst() else { throw error("`\(key)` lacks its value") }
            switch key {
            case "every": rule.every = try range(value, .time)
            case "last": rule.last = try range(value, .time)
            default: throw error("unknown word `\(key)`: use every or last")
            }
        }
        guard rule.every.lowerBound > 0 else {
            throw error("fault \(word) needs how often it comes: `every 2s..10s`")
        }
        scenario.rules.append(rule)
    }

    // MARK: numbers

    private func range(
        _ text: Substring, _ unit: ScenarioUnit
    ) throws(ScenarioError) -> ClosedRange<UInt64> {
        guard let dots = text.firstRange(of: "..") else {
            let value = try number(text, unit)
            return value...value
        }
        let low = try number(text[..<dots.lowerBound], unit)
        let high = try number(text[dots.upperBound...], unit)
        guard low <= high else { throw error("`\(text)` ends before it begins") }
        return low...high
    }

    private func number(_ text: Substring, _ unit: ScenarioUnit) throws(ScenarioError) -> UInt64 {
        guard let value = unit.value(of: text) else {
            throw error("`\(text)` is no number that fits here: use \(unit.advice)")
        }
        return value
    }
}
