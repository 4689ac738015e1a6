// OfflineCommandTests.swift: words of commands, forms of results, names of backups.
// Belongs here: what needs no files. Never here: running commands (Tests/Conformance).

import Testing

@testable import Server

@Suite struct OfflineCommandTests {
    private func reason(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test("command: it is found by its words; flags alone are the server's")
    func named() throws {
        let found = try #require(try Command.named(by: ["snapshot", "restore", "f", "--name=a"]))
        #expect(found.command.words == ["snapshot", "restore"])
        #expect(found.rest == ["f", "--name=a"])
        #expect(try Command.named(by: ["--name=a", "snapshot"]) == nil)
        #expect(try Command.named(by: []) == nil)
        #expect(try Command.named(by: ["frobnicate"]) == nil)
        #expect(reason { _ = try Command.named(by: ["snapshot"]) }.contains("snapshot status FILE"))
    }

    @Test("command: its flags are read in every notation of Go's")
    func flags() throws {
        let form = RestoreCommand.command.form
        let flags = try CommandFlags(
            [
                "--skip-hash-check", "-bump-revision", "7", "file", "--mark-compacted=true",
                "--name=m1", "--initial-advertise-peer-urls", "http://h:1",
            ], form: form)
        #expect(flags.files == ["file"])
        #expect(try flags.boolean("skip-hash-check"))
        #expect(try flags.bump() == RevisionBump(amount: 7, marksCompacted: true))
        let configuration = try flags.configuration()
        #expect(configuration.name == "m1" && configuration.dataDirectory == "m1.martlet")
        #expect(configuration.initialCluster.map(\.name) == ["m1"])
        #expect(flags.isGiven("name") && !flags.isGiven("data-dir"))
    }

    @Test("command: words that do not fit are refused, and the refusal names them")
    func refused() {
        let form = RestoreCommand.command.form
        let cases: [([String], String)] = [
            ([], "usage: martlet snapshot restore FILE"), (["a", "b"], "usage: martlet"),
            (["a", "--frob"], "unknown flag --frob"), (["a", "--bump-revision"], "needs a value"),
            (["a", "--heartbeat-interval=1"], "unknown flag --heartbeat-interval"),
        ]
        for (words, text) in cases {
            #expect(reason { _ = try CommandFlags(words, form: form) }.contains(text))
        }
        let later: [([String], String)] = [
            (["a", "--bump-revision=x"], "expected a whole number"),
            (["a", "--bump-revision=5"], "belong together"),
            (["a", "--mark-compacted"], "belong together"),
            (["a", "--mark-compacted=perhaps"], "expected true or false"),
        ]
        for (words, text) in later {
            #expect(
                reason { _ = try CommandFlags(words, form: form).bump() }.contains(text), "\(words)"
            )
        }
    }

    @Test("command: every one has a help text with its flags")
    func help() throws {
        for command in Command.all {
            #expect(
                command.form.help.contains("usage: martlet \(command.words.joined(separator: " "))")
            )
            for flag in command.form.flags { #expect(command.form.help.contains("--\(flag.name)")) }
            for name in command.form.shared { #expect(FlagTable.flag(named: name) != nil) }
        }
        #expect(HelpText.full().contains("martlet snapshot status FILE"))
    }

    @Test("output: one row in all three forms, as etcd's tools print it")
    func output() {
        let row = OutputRow(fields: [
            .init(key: "hash", title: "HASH", value: .hash(0x7cd2_d3d0)),
            .init(key: "revision", title: "REVISION", value: .number(10_000)),
            .init(key: "totalSize", title: "TOTAL SIZE", value: .size(2_100_000)),
            .init(key: "version", title: "VERSION", value: .text("3.6.0")),
        ])
        #expect(row.rendered(.simple) == "7cd2d3d0, 10000, 2.1 MB, 3.6.0")
        #expect(
            row.rendered(.json)
                == #"{"hash":2094191568,"revision":10000,"totalSize":2100000,"version":"3.6.0"}"#)
        #expect(
            row.rendered(.table) == """
                +----------+----------+------------+---------+
                |   HASH   | REVISION | TOTAL SIZE | VERSION |
                +----------+----------+------------+---------+
                | 7cd2d3d0 |    10000 | 2.1 MB     | 3.6.0   |
                +----------+----------+------------+---------+
                """)
    }

    @Test(
        "output: sizes are shown in powers of 1000",
        arguments: [
            (UInt64(0), "0 B"), (999, "999 B"), (1000, "1.0 kB"), (20_480, "20 kB"),
            (2_100_000, "2.1 MB"), (12_345_678_901, "12 GB"),
        ])
    func sizes(bytes: UInt64, text: String) {
        #expect(OutputRow.Value.readable(bytes) == text)
    }

    @Test("backup: names sort by time, and are read back")
    func names() {
        let name = BackupName(
            clusterID: 0xcdf8_1819_4e3a_8c32,
            at: LogTimestamp(millisecondsSince1970: 1_767_323_045_678), revision: 1234)
        #expect(name.text == "martlet-cdf818194e3a8c32-20260102T030405Z-1234.db")
        #expect(BackupName(name.text) == name)
        let later = BackupName(
            clusterID: 1, at: LogTimestamp(millisecondsSince1970: 1_767_323_046_000), revision: 1)
        #expect(name < later)
        for other in [
            "", "martlet.db", "martlet-1-2-3.db", "martlet-x-20260102T030405Z-1.db",
            "martlet-1-20260102T030405Z--1.db", name.text + ".part", "x" + name.text,
        ] {
            #expect(BackupName(other) == nil, "\(other)")
        }
    }
}
