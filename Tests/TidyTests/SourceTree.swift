// SourceTree.swift: the files of this repository, for tests that read them. Belongs here: finding
// and loading. Never here: rules (Rules.swift). The root is found from this file's own path.

import Foundation

/// One text file of the repository.
struct SourceFile {
    /// The path below the root, such as "Sources/Raft/RaftNode.swift".
    let path: String
    let text: String
    let lines: [Substring]
    /// The lines with comments and the insides of string literals blanked out; same count as
    /// `lines`.
    let code: [Substring]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let stripped = path.hasSuffix(".swift") ? CodeText.strip(text) : text
        code = stripped.split(separator: "\n", omittingEmptySubsequences: false)
    }

    var name: String { String(path.split(separator: "/").last ?? "") }

    /// Whether the text holds a word anywhere: a quick look before a rule goes through the lines.
    func mentions(_ word: String) -> Bool {
        text.withCString { strstr($0, word) != nil }
    }

    func isBelow(_ folders: [String]) -> Bool {
        folders.contains { path.hasPrefix($0 + "/") }
    }

    /// The place of a line as compilers print it.
    func place(_ index: Int) -> String { "\(path):\(index + 1)" }
}

/// The repository's own files, without what building or installing leaves there.
enum SourceTree {
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    private static let folders = [
        ".ci", "Sources", "Tests", "Simulation", "Benchmarks", "Fuzz", "Documentation",
    ]
    private static let endings: Set<String> = [
        "swift", "py", "sh", "md", "h", "c", "txt", "ini", "modulemap", "go",
    ]

    /// The files, loaded once for all tests.
    static let files = Result { try load() }

    /// Every text file below the source folders, and those at the root, by path.
    private static func load() throws -> [SourceFile] {
        var files: [SourceFile] = []
        let manager = FileManager.default
        var paths = try manager.contentsOfDirectory(atPath: root.path).filter { !isSkipped($0) }
        for folder in folders {
            guard let below = manager.enumerator(atPath: root.appending(path: folder).path) else {
                continue
            }
            paths += below.compactMap { $0 as? String }.map { "\(folder)/\($0)" }
        }
        for path in paths.sorted() where isSource(path) {
            let text = try String(contentsOf: root.appending(path: path), encoding: .utf8)
            files.append(SourceFile(path: path, text: text))
        }
        return files
    }

    private static func isSkipped(_ name: String) -> Bool { name.hasPrefix(".") }

    private static func isSource(_ path: String) -> Bool {
        let parts = path.split(separator: "/")
        guard let name = parts.last, !parts.contains(where: { $0.hasPrefix(".build") }) else {
            return false
        }
        guard !parts.contains(where: { $0 == "__pycache__" || $0 == ".venv" }) else { return false }
        if name == "Makefile" || path == ".ci/run" { return true }
        return endings.contains(String(name.split(separator: ".").last ?? "")) && name.contains(".")
    }
}
