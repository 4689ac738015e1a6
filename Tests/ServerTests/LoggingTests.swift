// LoggingTests.swift: log lines: their layout, that nothing logged can forge another line, and
// their outputs. Unhappy paths: hostile text, endless text, outputs that cannot be written.

import Foundation
import Logging
import Testing

@testable import Server

@Suite struct LoggingTests {
    private let time = LogTimestamp(millisecondsSince1970: 1_700_000_000_123)

    private func line(
        _ message: String, _ fields: [(name: String, value: Logger.MetadataValue)] = [],
        _ format: LogFormat = .json, level: Logger.Level = .info
    ) -> String {
        String(
            decoding: LogLine.encode(
                format, level: level, time: time, message: message, fields: fields), as: UTF8.self)
    }

    private func parsed(_ line: String) throws -> [String: Any] {
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
        return try #require(object as? [String: Any])
    }

    @Test("JSON: level, time, message, then the fields")
    func layout() {
        #expect(
            line("started", [("address", "127.0.0.1:2379")])
                == #"{"level":"info","ts":"2023-11-14T22:13:20.123Z","msg":"started","#
                + #""address":"127.0.0.1:2379"}"# + "\n")
    }

    @Test("console: tabs between its parts, the fields as one JSON object")
    func console() {
        #expect(
            line("hello", [("a", "1"), ("b", "2")], .console, level: .warning)
                == "2023-11-14T22:13:20.123Z\twarn\thello\t{\"a\":\"1\", \"b\":\"2\"}\n")
        #expect(line("x\ty\nz", [], .console) == "2023-11-14T22:13:20.123Z\tinfo\tx\\ty\\nz\n")
    }

    @Test(
        "injection: no text ends a line or leaves its quotes",
        arguments: [
            "a\nb", "a\r\nb", "\"},{\"level\":\"fatal\"", "\\", "\u{0}\u{1B}[31m",
            "\u{85}\u{2028}\u{2029}",
            "\u{7F}\u{9B}", "汉字 🐦", "e\u{301}",
        ])
    func injection(text: String) throws {
        let written = line(text, [("value", .string(text)), (text, "key")])
        #expect(written.unicodeScalars.filter { $0 == "\n" }.count == 1)
        #expect(written.unicodeScalars.allSatisfy { $0 == "\n" || $0.value >= 0x20 })
        let object = try parsed(written)
        #expect(object["msg"] as? String == text)
        #expect(object["value"] as? String == text)
        #expect(object["level"] as? String == "info")
        let consoleLine = line(text, [("value", .string(text))], .console)
        #expect(consoleLine.filter(\.isNewline).count == 1)
    }

    @Test("fields: names of the frame are set apart, nested values are JSON with sorted keys")
    func fields() throws {
        let written = line(
            "m",
            [
                ("level", "x"), ("n", .stringConvertible(7)),
                ("tree", .dictionary(["b": ["1", "2"], "a": "0"])),
            ])
        #expect(written.contains(#""field.level":"x","n":"7","tree":{"a":"0","b":["1","2"]}}"#))
    }

    @Test("secrets: values of fields that are named as such are hidden, at any depth")
    func secrets() {
        let written = line(
            "m",
            [
                ("password", "hunter2"),
                ("request", .dictionary(["token": "abc.7", "user": "root"])),
            ])
        #expect(!written.contains("hunter2") && !written.contains("abc.7"))
        #expect(written.contains("root"))
    }

    @Test("bounds: long text is cut on a character, and fields are counted")
    func bounds() throws {
        let written = line(
            String(repeating: "é", count: 100_000),
            (0..<100).map { (name: "k\($0)", value: .string("v")) })
        #expect(written.utf8.count < LogLimits.textBytesMax + 2000)
        let object = try parsed(written)
        #expect((object["msg"] as? String)?.hasSuffix("é…(cut)") == true)
        #expect(object.count == 3 + LogLimits.fieldsMax)
    }

    @Test(
        "time: leap days, year ends and times before 1970",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_798_761_600_000, "2027-01-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func timestamps(milliseconds: Int64, text: String) {
        var bytes: [UInt8] = []
        LogTimestamp(millisecondsSince1970: milliseconds).write(to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == text)
    }

    @Test("logger: levels filter, metadata of logger, call and error merge, lines reach the file")
    func endToEnd() throws {
        let path = NSTemporaryDirectory() + "martlet-log-\(UUID().uuidString)"
        defer { unlink(path) }
        let configuration = try loadConfiguration(
            "--log-level=warn", "--log-outputs=\(path)"
        ).configuration
        var logger = configuration.makeLogger(writingTo: try LogSink(configuration.logOutputs))
        logger[metadataKey: "member"] = "8e9e"
        logger.info("not written")
        logger.warning("written", metadata: ["step": "2", "member": "override"])
        logger.critical("end")
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 2)
        let first = try parsed(String(try #require(lines.first)))
        #expect(first["level"] as? String == "warn")
        #expect(first["member"] as? String == "override")
        #expect(first["step"] as? String == "2")
        #expect(try parsed(String(try #require(lines.last)))["level"] as? String == "fatal")
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test("outputs: a file that cannot be opened is an error that names it")
    func badOutput() {
        #expect(throws: ConfigurationError.self) {
            try LogSink([.standardError, .file(path: "/nonexistent/dir/log")])
        }
    }

    @Test("outputs: a full disk drops lines and counts them")
    func fullDisk() throws {
        let sink = try LogSink([.file(path: "/dev/full")])
        sink.write(Array("lost\n".utf8))
        sink.write(Array("lost too\n".utf8))
        #expect(sink.droppedLines == 2)
    }

    @Test("outputs: lines of many threads never mix")
    func threads() throws {
        let path = NSTemporaryDirectory() + "martlet-log-\(UUID().uuidString)"
        defer { unlink(path) }
        let sink = try LogSink([.file(path: path)])
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            let line = Array((String(repeating: "\(thread)", count: 200) + "\n").utf8)
            for _ in 0..<100 { sink.write(line) }
        }
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 800)
        #expect(lines.allSatisfy { $0.count == 200 && Set($0).count == 1 })
    }
}
