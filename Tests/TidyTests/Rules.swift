// Rules.swift: the rules of style that a formatter cannot see; each returns what is wrong with a
// file. Belongs here: rules over one file. Never here: which files exist (SourceTree.swift),
// expectations (TidyTests.swift).

import Foundation

/// A rule: a file goes in, complaints with their places come out.
typealias Rule = @Sendable (SourceFile) -> [String]

enum Rules {
    static let fileLinesMax = 500
    static let functionLinesMax = 70
    static let columnsMax = 120

    /// Parts that must run unchanged in a simulator: nothing outside may decide there.
    static let deterministicFolders = [
        "Sources/Raft", "Sources/Storage", "Sources/Server/Replica", "Sources/Server/API",
        "Sources/Server/Auth",
        "Sources/Server/Lease", "Sources/Server/Range", "Sources/Server/Watch",
        "Sources/Server/Coordination", "Sources/Server/Gateway", "Sources/Server/Wire",
        "Simulation/World", "Simulation/Disk", "Simulation/Network",
        "Simulation/Node", "Simulation/Clients", "Simulation/Faults", "Simulation/Scenario",
        "Simulation/Report", "Simulation/History", "Simulation/Checkers", "Simulation/Responses",
        "Simulation/Figures",
    ]

    /// Every Swift file opens with its name and purpose, then its boundary.
    static func header(_ file: SourceFile) -> [String] {
        guard file.path.hasSuffix(".swift"), file.name != "Package.swift" else { return [] }
        guard file.lines.count > 1, file.lines[0].hasPrefix("// \(file.name): ") else {
            return ["\(file.place(0)): the first line must be \"// \(file.name): its purpose\""]
        }
        guard file.lines[1].hasPrefix("// ") else {
            return ["\(file.place(1)): the header needs a second line: what belongs here"]
        }
        return []
    }

    /// No file is longer than one can hold in mind, no line wider than a screen.
    static func size(_ file: SourceFile) -> [String] {
        guard file.path.hasSuffix(".swift") else { return [] }
        var complaints: [String] = []
        let count = file.lines.count - (file.lines.last?.isEmpty == true ? 1 : 0)
        if count > fileLinesMax {
            complaints.append("\(file.path): \(count) lines, more than \(fileLinesMax)")
        }
        for (index, line) in file.lines.enumerated()
        where line.utf8.count > columnsMax && line.count > columnsMax {
            complaints.append(
                "\(file.place(index)): \(line.count) columns, more than \(columnsMax)")
        }
        return complaints
    }

    /// No function is longer than 70 lines; the formatter puts its closing brace below its first
    /// letter.
    static func functionLength(_ file: SourceFile) -> [String] {
        guard file.path.hasSuffix(".swift") else { return [] }
        var complaints: [String] = []
        for (index, line) in file.code.enumerated() where line.utf8.contains(UInt8(ascii: "(")) {
            let words = line.split { $0 == " " || $0 == "(" || $0 == "<" || $0 == "?" }
            let kinds: Set<Substring> = ["func", "init", "deinit", "subscript"]
            guard words.prefix(6).contains(where: { kinds.contains($0) }) else { continue }
            guard !line.hasSuffix("}"), let body = bodyStart(file.code, from: index) else {
                continue
            }
            let closing = line.prefix { $0 == " " } + "}"
            guard let end = file.code[(body + 1)...].firstIndex(where: { $0.hasPrefix(closing) })
            else { continue }
            let count = end - index + 1
            if count > functionLinesMax {
                complaints.append("\(file.place(index)): a function of \(count) lines")
            }
        }
        return complaints
    }

    /// The line on which a declaration's brace opens; nil for a requirement, which has none.
    private static func bodyStart(_ code: [Substring], from index: Int) -> Int? {
        let indent = code[index].prefix { $0 == " " }.count
        for place in index..<min(index + 16, code.count) {
            let line = code[place]
            if line.hasSuffix("{") { return place }
            // A declaration goes on with deeper lines, or with what closes its parameters.
            let own = line.prefix { $0 == " " }.count
            let goesOn = line.dropFirst(own).first.map { $0 == ")" || $0 == "-" || $0 == "w" }
            if place > index, own <= indent, goesOn != true { return nil }
        }
        return nil
    }

    /// Words that hide an error, end the process, or tell that something is unfinished.
    static func forbiddenWords(_ file: SourceFile) -> [String] {
        guard file.path.hasSuffix(".swift") else { return [] }
        var complaints: [String] = []
        for word in ["try!", "try?", "as!", "fatalError(", "NSLog(", "print("]
        where file.mentions(word) {
            for (index, line) in file.code.enumerated() where standsAlone(word, in: line) {
                complaints.append("\(file.place(index)): \(word)")
            }
        }
        for word in ["TO" + "DO", "FIX" + "ME", "XX" + "X:"] where file.mentions(word) {
            for (index, line) in file.lines.enumerated() where line.contains(word) {
                complaints.append("\(file.place(index)): \(word)")
            }
        }
        return complaints
    }

    /// No clock, chance or concurrency in the parts that decide.
    static func determinism(_ file: SourceFile) -> [String] {
        guard file.path.hasSuffix(".swift"), file.isBelow(deterministicFolders) else { return [] }
        let banned = [
            "Foundation", "Date", "Clock", "ContinuousClock", "SuspendingClock", "DispatchTime",
            "clock_gettime", "gettimeofday", "SystemRandomNumberGenerator", "Task", "async",
            "await", "usleep", "nanosleep",
        ]
        var complaints: [String] = []
        for word in banned where file.mentions(word) {
            for (index, line) in file.code.enumerated() where identifiers(line).contains(word) {
                complaints.append(
                    "\(file.place(index)): \(word) in a part that must be deterministic")
            }
        }
        for word in [".random(", ".shuffled(", ".randomElement("] where file.mentions(word) {
            for (index, line) in file.code.enumerated() where line.contains(word) {
                // Chance is fine when it is drawn from a generator that was handed in.
                let statement = file.code[index..<min(index + 4, file.code.count)].joined()
                if !statement.contains("using:") {
                    complaints.append("\(file.place(index)): chance in a deterministic part")
                }
            }
        }
        return complaints
    }

    /// The arrows between the parts run one way, and only the outermost know NIO.
    static func imports(_ file: SourceFile) -> [String] {
        guard file.path.hasSuffix(".swift"), file.path.hasPrefix("Sources/") else { return [] }
        var complaints: [String] = []
        for (index, line) in file.code.enumerated() where line.contains("import ") {
            guard let module = importedModule(line) else { continue }
            let isWrong =
                switch module {
                case _ where file.isBelow(["Sources/Raft"]): true
                case _ where module.hasPrefix("NIO"):
                    !file.isBelow([
                        "Sources/Transport", "Sources/Server/Runtime", "Sources/Server/Main",
                    ])
                case "Raft", "Storage", "Transport": !file.isBelow(["Sources/Server"])
                case "Server": !file.isBelow(["Sources/Server/Main"])
                default: false
                }
            if isWrong { complaints.append("\(file.place(index)): must not import \(module)") }
        }
        return complaints
    }

    private static func importedModule(_ line: Substring) -> String? {
        let words = line.split { $0 == " " || $0 == "." }
        guard let place = words.firstIndex(of: "import"), place < words.count - 1, place <= 2 else {
            return nil
        }
        let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "typealias"]
        let next = words[place + 1]
        return kinds.contains(next) && place + 2 < words.count
            ? String(words[place + 2]) : String(next)
    }

    /// Nothing of the machine on which a file was written may stand in it.
    static func machinePaths(_ file: SourceFile) -> [String] {
        let roots = ["work", "root", "home", "Users"].map { "/" + $0 + "/" }
        var complaints: [String] = []
        for root in roots where file.mentions(root) {
            for (index, line) in file.lines.enumerated() {
                guard let range = line.range(of: root) else { continue }
                if !endsInPath(line[..<range.lowerBound]) {
                    complaints.append("\(file.place(index)): a path of one machine, \(root)")
                }
            }
        }
        return complaints
    }

    /// Whether what follows continues a path, as in `$A/root/x`, `a/work/b` or `"$A"/root/x`.
    private static func endsInPath(_ text: Substring) -> Bool {
        let unquoted = text.last == "\"" ? text.dropLast() : text
        let last = unquoted.last ?? " "
        return last.isLetter || last.isNumber || "/_-.})$*".contains(last)
    }

    /// Each place where the compiler's check of sharing is switched off names the owner that guards
    /// it.
    static func uncheckedOwner(_ file: SourceFile) -> [String] {
        guard file.path.hasSuffix(".swift") else { return [] }
        var complaints: [String] = []
        for index in uncheckedLines(file) {
            let near = file.lines[max(0, index - 2)...min(file.lines.count - 1, index + 1)]
            if !near.contains(where: { $0.contains("//") }) {
                complaints.append(
                    "\(file.place(index)): unchecked sharing without its owner's name")
            }
        }
        return complaints
    }

    /// The lines of a file that switch the check off.
    static func uncheckedLines(_ file: SourceFile) -> [Int] {
        guard file.mentions("unchecked") || file.mentions("unsafe") else { return [] }
        return file.code.indices.filter {
            file.code[$0].contains("@unchecked") || file.code[$0].contains("nonisolated(unsafe)")
        }
    }

    /// Whether a word is there that is not the end of a longer one.
    private static func standsAlone(_ word: String, in line: Substring) -> Bool {
        line.ranges(of: word).contains { range in
            let before = line[..<range.lowerBound].last ?? " "
            return !(before.isLetter || before.isNumber || before == "_" || before == ".")
        }
    }

    private static func identifiers(_ line: Substring) -> Set<String> {
        Set(line.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init))
    }
}
