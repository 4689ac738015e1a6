// TidyTests.swift: the repository keeps the rules of Rules.swift, and each rule finds what it is
// for. The second half plants one fault per rule, so that no rule can pass by seeing nothing.

import Testing

@Suite struct TidyTests {
    private static let rules: [(name: String, rule: Rule)] = [
        ("header", Rules.header), ("size", Rules.size), ("function length", Rules.functionLength),
        ("forbidden words", Rules.forbiddenWords), ("determinism", Rules.determinism),
        ("imports", Rules.imports), ("machine paths", Rules.machinePaths),
        ("unchecked owner", Rules.uncheckedOwner),
    ]

    /// Files that may switch off the compiler's check of sharing; each names the owner that guards
    /// it.
    private static let uncheckedAllowed: Set<String> = [
        "Simulation/Disk/SimulatedDisk.swift",
        "Simulation/Run/System.swift",
        "Sources/Raft/RaftBug.swift",
        "Sources/Server/Auth/JWTMethod.swift",
        "Sources/Server/Lease/LeaseBoard.swift",
        "Sources/Server/Audit/AuditLog.swift",
        "Sources/Server/Runtime/BackupScheduler.swift",
        "Sources/Server/Runtime/Checkpointer.swift",
        "Sources/Server/Runtime/ClientPorts.swift",
        "Sources/Server/Runtime/FounderCheck.swift",
        "Sources/Server/Runtime/LoopDispatcher.swift",
        "Sources/Server/Runtime/PeerDirectory.swift",
        "Sources/Server/Runtime/PeerNetwork.swift",
        "Sources/Server/Runtime/Process.swift",
        "Sources/Server/Runtime/ReplicaLoop.swift",
        "Sources/Server/Runtime/SnapshotExchange.swift",
        "Sources/Server/Runtime/SnapshotReceiver.swift",
        "Sources/Server/Runtime/SnapshotSender.swift",
        "Sources/Server/Runtime/StopSignal.swift",
        "Sources/Server/Runtime/SystemThread.swift",
        "Sources/Server/ServerBug.swift",
        "Sources/Storage/Disk/Monitor.swift",
        "Sources/Storage/Pages/MetaFile.swift",
        "Sources/Storage/Pages/PageStore.swift",
        "Sources/Storage/Pages/SideFile.swift",
        "Sources/Storage/Pages/VFS/StoreFile+Methods.swift",
        "Sources/Storage/StorageBug.swift",
        "Sources/Storage/WAL/LogStore.swift",
        "Sources/Storage/WAL/LogWriter.swift",
        "Sources/Transport/API/HTTPStream.swift",
        "Sources/Transport/API/RPCCall.swift",
        "Sources/Transport/HTTP1/HTTP1Handler.swift",
        "Sources/Transport/HTTP1/WebSocketHandler.swift",
        "Sources/Transport/HTTP2/HTTP2Connection.swift",
        "Sources/Transport/Listener/LoopContext.swift",
        "Sources/Transport/Listener/ProtocolDetector.swift",
        "Sources/Transport/Peer/PeerHandshake.swift",
        "Sources/Transport/Peer/PeerSession.swift",
        "Sources/Transport/TLS/ByteBufferBIO.swift",
        "Sources/Transport/TLS/TLSContext.swift",
        "Sources/Transport/TLS/TLSHandler.swift",
        "Tests/StorageTests/PageConcurrencyTests.swift",
        "Tests/StorageTests/WALWriterTests.swift",
        "Tests/Support/FaultyDisk.swift",
        "Tests/Support/FaultyFile.swift",
    ]

    @Test("tree: every source file keeps every rule")
    func rules() throws {
        let files = try SourceTree.files.get()
        #expect(files.count > 20)
        #expect(files.contains { $0.path == "Package.swift" })
        for (name, rule) in Self.rules {
            let complaints = files.flatMap(rule)
            #expect(complaints.isEmpty, "\(name):\n\(complaints.joined(separator: "\n"))")
        }
    }

    @Test("tree: unchecked sharing stands only where the allow-list has it")
    func uncheckedAllowList() throws {
        let found = try SourceTree.files.get().filter { !Rules.uncheckedLines($0).isEmpty }.map(
            \.path)
        let new = found.filter { !Self.uncheckedAllowed.contains($0) }
        #expect(new.isEmpty, "not in the list:\n\(new.joined(separator: "\n"))")
        let gone = Self.uncheckedAllowed.subtracting(found).sorted()
        #expect(gone.isEmpty, "no longer needed in the list:\n\(gone.joined(separator: "\n"))")
    }

    private func complaints(_ rule: Rule, _ path: String, _ text: String) -> Int {
        rule(SourceFile(path: path, text: text)).count
    }

    @Test("rule: a header names its own file and has a second line")
    func header() {
        #expect(
            complaints(Rules.header, "Sources/A.swift", "// A.swift: x.\n// Belongs here: y.\n")
                == 0)
        #expect(complaints(Rules.header, "Sources/A.swift", "// B.swift: x.\n// Belongs\n") == 1)
        #expect(complaints(Rules.header, "Sources/A.swift", "// A.swift: x.\n\nlet a = 1\n") == 1)
        #expect(complaints(Rules.header, "Sources/A.swift", "import X\n") == 1)
        #expect(complaints(Rules.header, "Sources/A.swift", "") == 1)
    }

    @Test("rule: lines and columns are counted")
    func size() {
        let lines = String(repeating: "a\n", count: Rules.fileLinesMax)
        #expect(complaints(Rules.size, "A.swift", lines) == 0)
        #expect(complaints(Rules.size, "A.swift", lines + "a\n") == 1)
        #expect(complaints(Rules.size, "A.swift", String(repeating: "é", count: 121)) == 1)
    }

    @Test("rule: a function's lines are counted from its name to its closing brace")
    func functionLength() {
        func function(_ lines: Int) -> String {
            "struct S {\n    func f(\n        a: Int\n    ) {\n"
                + String(repeating: "        g()\n", count: lines - 4) + "    }\n}\n"
        }
        #expect(complaints(Rules.functionLength, "A.swift", function(70)) == 0)
        #expect(complaints(Rules.functionLength, "A.swift", function(71)) == 1)
        let requirement = "protocol P {\n    func f(\n        a: Int\n    ) -> Int\n"
        let long = requirement + String(repeating: "    func g()\n", count: 80) + "}\n"
        #expect(complaints(Rules.functionLength, "A.swift", long) == 0)
    }

    @Test("rule: forbidden words are found in code, not in comments or strings")
    func words() {
        for code in [
            "let a = try! f()", "let a = try? f()", "print(1)", "let a = b as! C", "fatalError()",
            "// TO" + "DO later", "let s = \"FIX" + "ME\"",
        ] {
            #expect(complaints(Rules.forbiddenWords, "Tests/A.swift", code) == 1, "\(code)")
        }
        for code in [
            "// try! is bad", "let s = \"try! print(1)\"", "/* print(1) \n /* try! */ */",
            "sprint(1)", "func f() -> Entry?",
            "let s = #\"a \" try? \"#", "let s = \"\"\"\n print(1) \\\"\"\" try!\n\"\"\"",
        ] {
            #expect(complaints(Rules.forbiddenWords, "Tests/A.swift", code) == 0, "\(code)")
        }
        #expect(complaints(Rules.forbiddenWords, "A.swift", "let a = \"\\\\\"; print(1)") == 1)
        #expect(complaints(Rules.forbiddenWords, "A.swift", "#if DEBUG\nprint(1)\n#endif") == 1)
    }

    @Test("rule: clocks, chance and tasks are found in the parts that decide, and only there")
    func determinism() {
        for code in [
            "import Foundation", "let d = Date()", "Int.random(in: 0..<2)", "Task { }",
            "clock_gettime(CLOCK_REALTIME, &t)", "func f() async {}",
        ] {
            #expect(complaints(Rules.determinism, "Sources/Raft/A.swift", code) == 1, "\(code)")
            #expect(complaints(Rules.determinism, "Sources/Server/Main/A.swift", code) == 0)
        }
        #expect(
            complaints(Rules.determinism, "Sources/Storage/A.swift", "let update = 1 // Date") == 0)
    }

    @Test("rule: imports against the arrows are found")
    func imports() {
        #expect(complaints(Rules.imports, "Sources/Raft/A.swift", "import Glibc") == 1)
        #expect(complaints(Rules.imports, "Sources/Storage/A.swift", "public import Raft") == 1)
        #expect(complaints(Rules.imports, "Sources/Storage/A.swift", "import CSQLite") == 0)
        #expect(complaints(Rules.imports, "Sources/Transport/A.swift", "import Storage") == 1)
        #expect(complaints(Rules.imports, "Sources/Server/API/A.swift", "import NIOCore") == 1)
        #expect(
            complaints(Rules.imports, "Sources/Server/API/A.swift", "import struct NIOCore.B") == 1)
        #expect(complaints(Rules.imports, "Sources/Server/Runtime/A.swift", "import NIOCore") == 0)
        #expect(complaints(Rules.imports, "Sources/Server/API/A.swift", "import Server") == 1)
    }

    @Test("rule: paths of a machine are found, parts of other paths are not")
    func paths() {
        #expect(complaints(Rules.machinePaths, "A.md", "see /wo" + "rk/x") == 1)
        #expect(complaints(Rules.machinePaths, "a.py", "p = \"/ho" + "me/me\"") == 1)
        #expect(
            complaints(Rules.machinePaths, "a.sh", "x=$HOME/ro" + "ot/y \"${A}\"/wo" + "rk/z") == 0)
    }

    @Test("rule: unchecked sharing needs a comment beside it")
    func unchecked() {
        let bare = "import X\n\n\nfinal class A: @unchecked Sendable {\n}\n"
        #expect(complaints(Rules.uncheckedOwner, "A.swift", bare) == 1)
        let owned = "// Guarded by its event loop.\nfinal class A: @unchecked Sendable {\n}\n"
        #expect(complaints(Rules.uncheckedOwner, "A.swift", owned) == 0)
    }
}
