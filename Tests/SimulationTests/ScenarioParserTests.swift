// ScenarioParserTests.swift: what scenarios may say, and what is said of those that are wrong.
// Belongs here: the format. Never here: what the words do.

import Testing

@testable import Simulation

@Suite("scenario parser")
struct ScenarioParserTests {
    @Test("scenario: ranges, units and options are read")
    func read() throws {
        let scenario = try ScenarioParser.parse(
            """
            # a comment
            members 3..5
            duration 1500ms..2s   # another
            network delay=100us..5ms loss=0%..1.5% reorder=30%
            chance 0..2%
            log retention=4k
            workload kv clients=2 think=5ms
            fault power every 2s..3s last 10ms..2m
            """, file: "a/b.txt")
        #expect(scenario.name == "b")
        #expect(scenario.members == 3...5)
        #expect(scenario.duration == 1_500_000...2_000_000)
        #expect(scenario.delay == 100...5000)
        #expect(scenario.loss == 0...15_000)
        #expect(scenario.reorder == 300_000...300_000)
        #expect(scenario.chance == 0...20_000)
        #expect(scenario.retention == 4096...4096)
        #expect(scenario.workloads.first?["think"] == 5000)
        #expect(scenario.rules.first?.word == .power)
        #expect(scenario.rules.first?.last == 10_000...120_000_000)
    }

    @Test(
        "scenario: a mistake is told with file and line",
        arguments: [
            ("wrokload kv", "unknown word `wrokload`"),
            ("workload kw", "unknown workload `kw`"),
            ("workload kv cleints=3", "no option `cleints`"),
            ("workload kv clients", "should be name=value"),
            ("workload kv clients=many", "is no number"),
            ("fault earthquake every 1s", "unknown fault `earthquake`"),
            ("fault crash last 1s", "needs how often"),
            ("fault crash every", "lacks its value"),
            ("fault crash after 1s", "unknown word `after`"),
            ("duration 5s..1s", "ends before it begins"),
            ("duration 5 6", "one value is expected"),
            ("members 0", "1 to 9 members"),
            ("members 12", "1 to 9 members"),
            ("network speed=1s", "unknown setting `speed`"),
            ("faults some", "takes the word `all`"),
            ("network loss=101%", "100% at most"),
            ("network loss=5ms", "a share such as"),
            ("network delay=5%", "a time such as"),
            ("duration 10", "a time such as"),
            ("duration 2d", "a time such as"),
            ("log retention=2s", "a size such as"),
            ("clock drift=60%", "50% at most"),
            ("workload kv clients=2000", "1000 clients at most"),
            ("workload kv think=7", "a time such as"),
            ("chance often", "a share such as"),
        ])
    func wrong(_ line: String, _ complaint: String) {
        do {
            _ = try ScenarioParser.parse("workload kv\n\(line)\n", file: "x.txt")
            Issue.record("\(line) was taken")
        } catch {
            #expect("\(error)".hasPrefix("x.txt:2: "))
            #expect("\(error)".contains(complaint), "\(error)")
        }
    }

    @Test("scenario: one without a workload is refused")
    func empty() {
        #expect(throws: ScenarioError.self) {
            _ = try ScenarioParser.parse("members 3\n", file: "x.txt")
        }
    }
}
