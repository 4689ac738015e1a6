// GoldenTests.swift: every trace in Golden/ does again what was reviewed.
// Belongs here: files and comparing. Never here: what commands do (Trace.swift).
// MARTLET_REWRITE_GOLDEN=1 writes what happens now into the files: review the difference like code.
import Foundation
import Testing

@Suite("golden traces")
struct GoldenTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Golden")

    static let names = [
        "asymmetric-cut", "conflict", "election", "figure-8", "joint", "lagging-member", "learner",
        "lost-leader", "read-after-pause", "read-index", "snapshot", "sole-voter", "stale-save",
        "transfer",
    ]

    @Test("golden: the folder holds the listed traces and no others")
    func listIsComplete() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: GoldenTests.folder.path)
        #expect(files.sorted() == GoldenTests.names.map { "\($0).txt" }.sorted())
    }

    @Test("golden: members do what the trace says", arguments: names)
    func traceIsUnchanged(name: String) throws {
        let file = GoldenTests.folder.appendingPathComponent("\(name).txt")
        let expected = try String(contentsOf: file, encoding: .utf8)
        let actual = GoldenTests.replay(expected)
        if ProcessInfo.processInfo.environment["MARTLET_REWRITE_GOLDEN"] == "1" {
            try actual.write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(actual == expected)
        }
    }

    /// Runs the commands of a trace and puts what happens in place of what it says.
    ///
    /// A block is commands, a line of dashes, and output up to an empty line.
    static func replay(_ text: String) -> String {
        var trace = Trace()
        var result: [String] = []
        var happened: [String] = []
        var isOutput = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            if line.isEmpty {
                isOutput = false
                result.append(line)
            } else if line == "----" {
                isOutput = true
                result.append(line)
                result += happened
                happened = []
            } else if line.hasPrefix("#"), !isOutput {
                result.append(line)
            } else if !isOutput {
                result.append(line)
                happened += trace.run(line)
            }
        }
        return result.joined(separator: "\n")
    }
}
